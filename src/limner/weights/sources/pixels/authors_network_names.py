r"""Names of the tensors of authors' own codes, of networks whose layers are not in limner's order."""

from limner.weights.renaming import Rule

_DECODER = (
    *("deep_to_middle", "deep_to_fine", "middle_to_fine", "deep_beside_middle", "coarse_beside_fine"),
    *("join_middle", "join_fine", "last", "head"),
)
_THEIR_DECODER = (
    *(f"conv_upsample{i}" for i in range(1, 6)),
    *("conv_concat2", "conv_concat3", "conv4", "conv5"),
)


def _partial_decoder(prefix: str) -> tuple[Rule, ...]:
    """Return the rules of the partial decoder; its last layer has no wrapper there, and one here."""
    pairs = zip(_THEIR_DECODER, _DECODER, strict=True)
    return (
        *((rf"^{prefix}\.{theirs}\.", f"decoder.{ours}.") for theirs, ours in pairs),
        (r"^decoder\.head\.(weight|bias)$", r"decoder.head.conv.\1"),
    )


_NORMS: Rule = (r"^((?!backbone).*)\.bn\.", r"\1.norm.")

REVERSE_ATTENTION: tuple[Rule, ...] = (
    (r"^resnet\.", "backbone.model."),
    *((rf"^rfb{level + 2}_1\.", f"fields.{level}.") for level in range(3)),
    (r"^(fields\.\d)\.branch0\.0\.", r"\1.branches.0."),
    (r"^(fields\.\d)\.branch([123])\.([12])\.conv\.", r"\1.branches.\2.\3.0."),
    (r"^(fields\.\d)\.branch([123])\.([12])\.bn\.", r"\1.branches.\2.\3.1."),
    (r"^(fields\.\d)\.branch([123])\.", r"\1.branches.\2."),
    (r"^(fields\.\d)\.conv_cat\.", r"\1.join."),
    (r"^(fields\.\d)\.conv_res\.", r"\1.shortcut."),
    *_partial_decoder("(?:agg1|ParDec)"),
    *((rf"^ra{4 - branch}_conv1\.", f"branches.{branch}.narrow.") for branch in range(3)),
    (r"^ra4_conv5\.", "branches.0.last."),
    *((rf"^ra{4 - branch}_conv4\.", f"branches.{branch}.last.") for branch in (1, 2)),
    *(
        (rf"^ra{4 - branch}_conv{place}\.", f"branches.{branch}.convs.{place - 2}.")
        for branch in range(3)
        for place in (2, 3, 4)
    ),
    *((rf"^edge_conv{place}\.", f"guide.{place - 1}.") for place in (1, 2, 3)),
    (r"^edge_conv4\.", "guide_head."),
    _NORMS,
)
"""PraNet and Inf-Net."""

CARANET: tuple[Rule, ...] = (
    (r"^resnet\.", "backbone.model."),
    *((rf"^rfb{level + 2}_1\.", f"laterals.{level}.") for level in range(3)),
    *_partial_decoder("agg1"),
    *(
        rule
        for branch in range(3)
        for rule in (
            (rf"^CFP_{3 - branch}\.", f"branches.{branch}.context."),
            (rf"^aa_kernel_{3 - branch}\.", f"branches.{branch}.attention."),
            *((rf"^ra{3 - branch}_conv{i + 1}\.", f"branches.{branch}.convs.{i}.") for i in range(3)),
        )
    ),
    (r"\.context\.bn_relu_1\.", ".context.first."),
    (r"\.context\.bn_relu_2\.", ".context.last."),
    (r"\.context\.conv1x1_1\.", ".context.narrow."),
    (r"\.context\.conv1x1\.conv\.", ".context.project."),
    *(
        (rf"\.context\.dconv_{chain + 1}_{step + 1}\.", f".context.chains.{chain}.{step}.")
        for chain in range(4)
        for step in range(3)
    ),
    (r"\.attention\.conv([01])\.conv\.", r".attention.\1."),
    (r"\.attention\.Hattn\.", ".attention.2."),
    (r"\.attention\.Wattn\.", ".attention.3."),
    (r"\.(query|key|value)_conv\.conv\.", r".\1."),
    (r"\.(?:bn_relu\.)?bn\.", "!norm."),
    (r"\.(?:bn_relu\.)?acti\.", "!slope."),
    (r"^(branches\.\d\.context\.(?:first|last))!norm\.", r"\1.0."),
    (r"^(branches\.\d\.context\.(?:first|last))!slope\.", r"\1.1."),
    (r"^((?:laterals|branches)\..*)!norm\.", r"\1.1."),
    (r"^((?:laterals|branches)\..*)!slope\.", r"\1.2."),
    (r"^((?:laterals|branches)\..*)\.conv\.", r"\1.0."),
)

TRANSUNET: tuple[Rule, ...] = (
    (r"^transformer\.embeddings\.hybrid_model\.root\.conv\.", "backbone.patch_embed.backbone.stem.conv."),
    (r"^transformer\.embeddings\.hybrid_model\.root\.gn\.", "backbone.patch_embed.backbone.stem.norm."),
    *(
        (
            rf"^transformer\.embeddings\.hybrid_model\.body\.block{stage + 1}\.unit{unit + 1}\.",
            f"backbone.patch_embed.backbone.stages.{stage}.blocks.{unit}.",
        )
        for stage in range(3)
        for unit in range(24)
    ),
    (r"\.gn_proj\.", ".downsample.norm."),
    (r"\.gn([123])\.", r".norm\1."),
    (r"\.downsample\.weight$", ".downsample.conv.weight"),
    (r"^transformer\.embeddings\.patch_embeddings\.", "backbone.patch_embed.proj."),
    (r"^transformer\.embeddings\.position_embeddings$", "backbone.pos_embed"),
    (r"^transformer\.encoder\.layer\.", "backbone.blocks."),
    (r"^transformer\.encoder\.encoder_norm\.", "backbone.norm."),
    (r"\.attention_norm\.", ".norm1."),
    (r"\.ffn_norm\.", ".norm2."),
    (r"\.ffn\.fc([12])\.", r".mlp.fc\1."),
    *(
        (rf"\.attn\.{word}\.(weight|bias)$", rf".attn.qkv.\1@{place}")
        for place, word in enumerate(("query", "key", "value"))
    ),
    (r"\.attn\.out\.", ".attn.proj."),
    (r"^decoder\.conv_more\.0\.", "bridge.conv."),
    (r"^decoder\.conv_more\.1\.", "bridge.norm."),
    *(
        rule
        for place in range(2)
        for rule in (
            (rf"^decoder\.blocks\.(\d)\.conv{place + 1}\.0\.", rf"decoder.\1.{place}.conv."),
            (rf"^decoder\.blocks\.(\d)\.conv{place + 1}\.1\.", rf"decoder.\1.{place}.norm."),
        )
    ),
    (r"^segmentation_head\.0\.", "head.conv."),
)

_POSITION_ATTENTION: tuple[Rule, ...] = ((r"\.(query|key|value)_conv\.", r".\1."),)

DANET: tuple[Rule, ...] = (
    (r"^pretrained\.", "backbone."),
    *(
        rule
        for theirs, attention, after, ours in (
            ("conv5a", "sa", "conv51", "position"),
            ("conv5c", "sc", "conv52", "channel"),
        )
        for rule in (
            (rf"^head\.{theirs}\.0\.", f"{ours}.0.conv."),
            (rf"^head\.{theirs}\.1\.", f"{ours}.0.norm."),
            (rf"^head\.{attention}\.", f"{ours}.1."),
            (rf"^head\.{after}\.0\.", f"{ours}.2.conv."),
            (rf"^head\.{after}\.1\.", f"{ours}.2.norm."),
        )
    ),
    (r"^head\.conv6\.1\.", "position_head.conv."),
    (r"^head\.conv7\.1\.", "channel_head.conv."),
    (r"^head\.conv8\.1\.", "head.conv."),
    *_POSITION_ATTENTION,
)

CCNET: tuple[Rule, ...] = (
    *((rf"^conv{place + 1}\.", f"backbone.conv1.{3 * place}.") for place in range(3)),
    (r"^bn1\.", "backbone.conv1.1."),
    (r"^bn2\.", "backbone.conv1.4."),
    (r"^bn3\.", "backbone.bn1."),
    (r"^layer", "backbone.layer"),
    *(
        rule
        for theirs, ours in (
            ("head.conva", "context.module.0"),
            ("head.convb", "context.module.2"),
            ("head.bottleneck", "context.fusion"),
            ("dsn", "auxiliary_head.convs.0"),
        )
        for rule in ((rf"^{theirs}\.0\.", f"{ours}.conv."), (rf"^{theirs}\.1\.", f"{ours}.norm."))
    ),
    (r"^head\.cca\.", "context.module.1."),
    (r"^head\.bottleneck\.3\.", "head.conv."),
    (r"^dsn\.3\.", "auxiliary_head.classifier.conv."),
    *_POSITION_ATTENTION,
)

EMANET: tuple[Rule, ...] = (
    (r"^extractor\.0\.", "backbone.conv1."),
    (r"^extractor\.1\.", "backbone.bn1."),
    *((rf"^extractor\.{place}\.", f"backbone.layer{place - 3}.") for place in range(4, 8)),
    (r"^fc0\.", "context.0."),
    (r"^emau\.mu$", "context.1.bases"),
    (r"^emau\.conv1\.", "context.1.project."),
    (r"^emau\.conv2\.0\.", "context.1.restore.conv."),
    (r"^emau\.conv2\.1\.", "context.1.restore.norm."),
    (r"^fc1\.0\.", "context.2."),
    (r"^fc2\.", "head.conv."),
    _NORMS,
)
