"""What the authors' code calls its tensors, and Hugging Face its own: written out from their two codes.

Independent of limner's renaming: the left is as in Mask2Former's modules and Detectron2's ResNet, the right
as in transformers' conversion script, which has no ResNet; that part is from transformers' ResNet.
"""

_NORM = ("weight", "bias", "running_mean", "running_var")
_BOTH = ("weight", "bias")


def authors_names(*, swin=None, resnet=None, pixel_layers, decoder_layers):
    """Return the authors' name -> Hugging Face's names, whose tensors are joined where there are several.

    Args:
        swin: Blocks of each stage, or None.
        resnet: (blocks of each stage, convolutions of a block), or None.
        pixel_layers: Of the pixel decoder.
        decoder_layers: Of the query decoder.
    """
    names = {}
    names |= _swin(swin) if swin else _resnet(*resnet)
    names |= _pixel_decoder(pixel_layers)
    names |= _query_decoder(decoder_layers)
    return {name: (theirs,) if isinstance(theirs, str) else theirs for name, theirs in names.items()}


def _pairs(left, right, ends=_BOTH):
    return {f"{left}.{end}": f"{right}.{end}" for end in ends}


def _joined(left, right, words, end):
    return {f"{left}{end}": tuple(f"{right}.{word}.{end.strip('._')}" for word in words)}


def _swin(blocks):
    hf = "model.pixel_level_module.encoder"
    names = _pairs("backbone.patch_embed.proj", f"{hf}.embeddings.patch_embeddings.projection")
    names |= _pairs("backbone.patch_embed.norm", f"{hf}.embeddings.norm")
    for stage, count in enumerate(blocks):
        for block in range(count):
            left = f"backbone.layers.{stage}.blocks.{block}"
            right = f"{hf}.encoder.layers.{stage}.blocks.{block}"
            names |= _pairs(f"{left}.norm1", f"{right}.layernorm_before")
            names |= _pairs(f"{left}.norm2", f"{right}.layernorm_after")
            table = "relative_position_bias_table"
            names[f"{left}.attn.{table}"] = f"{right}.attention.self.{table}"
            for end in _BOTH:
                words = ("query", "key", "value")
                names |= _joined(f"{left}.attn.qkv.", f"{right}.attention.self", words, end)
            names |= _pairs(f"{left}.attn.proj", f"{right}.attention.output.dense")
            names |= _pairs(f"{left}.mlp.fc1", f"{right}.intermediate.dense")
            names |= _pairs(f"{left}.mlp.fc2", f"{right}.output.dense")
        if stage < 3:
            left, right = f"backbone.layers.{stage}.downsample", f"{hf}.encoder.layers.{stage}.downsample"
            names |= _pairs(f"{left}.reduction", f"{right}.reduction", ("weight",))
            names |= _pairs(f"{left}.norm", f"{right}.norm")
        names |= _pairs(f"backbone.norm{stage}", f"{hf}.hidden_states_norms.stage{stage + 1}")
    return names


def _resnet(blocks, convolutions):
    hf = "model.pixel_level_module.encoder"
    names = {"backbone.stem.conv1.weight": f"{hf}.embedder.embedder.convolution.weight"}
    names |= _pairs("backbone.stem.conv1.norm", f"{hf}.embedder.embedder.normalization", _NORM)
    for stage, count in enumerate(blocks):
        for block in range(count):
            left, right = f"backbone.res{stage + 2}.{block}", f"{hf}.encoder.stages.{stage}.layers.{block}"
            for number in range(convolutions):
                names[f"{left}.conv{number + 1}.weight"] = f"{right}.layer.{number}.convolution.weight"
                norm = f"{right}.layer.{number}.normalization"
                names |= _pairs(f"{left}.conv{number + 1}.norm", norm, _NORM)
            if block == 0 and (stage > 0 or convolutions == 3):
                names[f"{left}.shortcut.weight"] = f"{right}.shortcut.convolution.weight"
                names |= _pairs(f"{left}.shortcut.norm", f"{right}.shortcut.normalization", _NORM)
    return names


def _pixel_decoder(layers):
    left, right = "sem_seg_head.pixel_decoder", "model.pixel_level_module.decoder"
    names = {f"{left}.transformer.level_embed": f"{right}.level_embed"}
    for level in range(3):
        for part in range(2):
            names |= _pairs(f"{left}.input_proj.{level}.{part}", f"{right}.input_projections.{level}.{part}")
    for theirs in ("adapter_1", "layer_1"):
        names[f"{left}.{theirs}.weight"] = f"{right}.{theirs}.0.weight"
        names |= _pairs(f"{left}.{theirs}.norm", f"{right}.{theirs}.1")
    names |= _pairs(f"{left}.mask_features", f"{right}.mask_projection")
    for layer in range(layers):
        one, other = f"{left}.transformer.encoder.layers.{layer}", f"{right}.encoder.layers.{layer}"
        for part in ("sampling_offsets", "attention_weights", "value_proj", "output_proj"):
            names |= _pairs(f"{one}.self_attn.{part}", f"{other}.self_attn.{part}")
        for part, word in (
            ("norm1", "self_attn_layer_norm"),
            ("linear1", "fc1"),
            ("linear2", "fc2"),
            ("norm2", "final_layer_norm"),
        ):
            names |= _pairs(f"{one}.{part}", f"{other}.{word}")
    return names


def _query_decoder(layers):
    left, module = "sem_seg_head.predictor", "model.transformer_module"
    names = {
        f"{left}.query_feat.weight": f"{module}.queries_features.weight",
        f"{left}.query_embed.weight": f"{module}.queries_embedder.weight",
        f"{left}.level_embed.weight": f"{module}.level_embed.weight",
    }
    names |= _pairs(f"{left}.class_embed", "class_predictor")
    names |= _pairs(f"{left}.decoder_norm", f"{module}.decoder.layernorm")
    for number in range(3):
        right = f"{module}.decoder.mask_predictor.mask_embedder.{number}.0"
        names |= _pairs(f"{left}.mask_embed.layers.{number}", right)
    for layer in range(layers):
        right = f"{module}.decoder.layers.{layer}"
        cross = f"{left}.transformer_cross_attention_layers.{layer}"
        itself = f"{left}.transformer_self_attention_layers.{layer}"
        perceptron = f"{left}.transformer_ffn_layers.{layer}"
        for end in _BOTH:
            names[f"{cross}.multihead_attn.in_proj_{end}"] = f"{right}.cross_attn.in_proj_{end}"
            words = ("q_proj", "k_proj", "v_proj")
            names |= _joined(f"{itself}.self_attn.in_proj_", f"{right}.self_attn", words, end)
        names |= _pairs(f"{cross}.multihead_attn.out_proj", f"{right}.cross_attn.out_proj")
        names |= _pairs(f"{cross}.norm", f"{right}.cross_attn_layer_norm")
        names |= _pairs(f"{itself}.self_attn.out_proj", f"{right}.self_attn.out_proj")
        names |= _pairs(f"{itself}.norm", f"{right}.self_attn_layer_norm")
        names |= _pairs(f"{perceptron}.linear1", f"{right}.fc1")
        names |= _pairs(f"{perceptron}.linear2", f"{right}.fc2")
        names |= _pairs(f"{perceptron}.norm", f"{right}.final_layer_norm")
    return names
