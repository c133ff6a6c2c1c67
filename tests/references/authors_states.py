"""State dicts as authors' codes register them: names and shapes read from the codes, values random.

Written from the codes' constructors, independent of limner's rules.
"""

import torch

from limner.networks.weightless import uninitialized

NORM = ("weight", "bias", "running_mean", "running_var")


class Registry:
    """Collects tensors in the order of registration."""

    def __init__(self):
        self.state = {}
        self.draws = torch.Generator().manual_seed(0)

    def tensor(self, name, *shape):
        values = torch.randn(shape, generator=self.draws)
        if name.endswith("running_var"):
            values = 1 + 0.3 * values.abs()
        elif len(shape) > 1:
            values *= (2 / values[0].numel()) ** 0.5
        self.state[name] = values

    def conv(self, name, inputs, outputs, kernel=3, *, bias=False, groups=1):
        height, width = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        self.tensor(f"{name}.weight", outputs, inputs // groups, height, width)
        if bias:
            self.tensor(f"{name}.bias", outputs)

    def norm(self, name, channels):
        for part in NORM:
            self.tensor(f"{name}.{part}", channels)
        self.state[f"{name}.num_batches_tracked"] = torch.tensor(3)

    def basic(self, name, inputs, outputs, kernel=3, *, conv="conv", bn="bn", groups=1):
        self.conv(f"{name}.{conv}", inputs, outputs, kernel, groups=groups)
        self.norm(f"{name}.{bn}", outputs)

    def add(self, prefix, state):
        for name, tensor in state.items():
            if tensor.is_floating_point():
                self.tensor(prefix + name, *tensor.shape)
            else:
                self.state[prefix + name] = tensor


def _res2net(registry, name):
    import timm

    with uninitialized():  # for its shapes
        network = timm.create_model(name)
    registry.add("resnet.", network.state_dict())  # with fc, which the codes do not use


def _partial_decoder(registry, name):
    for place in range(1, 5):
        registry.basic(f"{name}.conv_upsample{place}", 32, 32)
    registry.basic(f"{name}.conv_upsample5", 64, 64)
    registry.basic(f"{name}.conv_concat2", 64, 64)
    registry.basic(f"{name}.conv_concat3", 96, 96)
    registry.basic(f"{name}.conv4", 96, 96)
    registry.conv(f"{name}.conv5", 96, 1, 1, bias=True)


def reverse_attention(*, decoder, guide):
    """Return PraNet's state dict (decoder agg1, no guide) or Inf-Net's (ParDec, 64)."""
    registry = Registry()
    _res2net(registry, "res2net50d")
    for level, width in ((2, 512), (3, 1024), (4, 2048)):
        block = f"rfb{level}_1"
        registry.basic(f"{block}.branch0.0", width, 32, 1)
        for branch, side in ((1, 3), (2, 5), (3, 7)):
            registry.basic(f"{block}.branch{branch}.0", width, 32, 1)
            registry.basic(f"{block}.branch{branch}.1", 32, 32, (1, side))
            registry.basic(f"{block}.branch{branch}.2", 32, 32, (side, 1))
            registry.basic(f"{block}.branch{branch}.3", 32, 32)
        registry.basic(f"{block}.conv_cat", 128, 32)
        registry.basic(f"{block}.conv_res", width, 32, 1)
    _partial_decoder(registry, decoder)
    registry.basic("ra4_conv1", 2048, 256, 1)
    registry.basic("ra4_conv2", 256 + guide, 256, 5)
    registry.basic("ra4_conv3", 256, 256, 5)
    registry.basic("ra4_conv4", 256, 256, 5)
    registry.basic("ra4_conv5", 256, 1, 1)
    for level, width in ((3, 1024), (2, 512)):
        registry.basic(f"ra{level}_conv1", width, 64, 1)
        registry.basic(f"ra{level}_conv2", 64 + guide, 64)
        registry.basic(f"ra{level}_conv3", 64, 64)
        registry.basic(f"ra{level}_conv4", 64, 1)
    if guide:
        registry.basic("edge_conv1", 256, 64, 1)
        registry.basic("edge_conv2", 64, 64)
        registry.basic("edge_conv3", 64, 64)
        registry.basic("edge_conv4", 64, 1)
    return registry.state


def _norm_slope(registry, name, channels):
    registry.norm(f"{name}.bn", channels)
    registry.tensor(f"{name}.acti.weight", channels)


def _activated(registry, name, inputs, outputs, kernel=3, groups=1):
    registry.conv(f"{name}.conv", inputs, outputs, kernel, groups=groups)
    _norm_slope(registry, f"{name}.bn_relu", outputs)


def caranet():
    """Return CaraNet's state dict."""
    registry = Registry()
    _res2net(registry, "res2net101d")
    for level, width in ((2, 512), (3, 1024), (4, 2048)):
        _activated(registry, f"rfb{level}_1", width, 32)
    for place in range(1, 5):
        registry.conv(f"agg1.conv_upsample{place}.conv", 32, 32)
    registry.conv("agg1.conv_upsample5.conv", 64, 64)
    registry.conv("agg1.conv_concat2.conv", 64, 64)
    registry.conv("agg1.conv_concat3.conv", 96, 96)
    registry.conv("agg1.conv4.conv", 96, 96)
    registry.conv("agg1.conv5", 96, 1, 1, bias=True)
    for index in (1, 2, 3):
        block = f"CFP_{index}"
        _norm_slope(registry, f"{block}.bn_relu_1", 32)
        _norm_slope(registry, f"{block}.bn_relu_2", 32)
        _activated(registry, f"{block}.conv1x1_1", 32, 8)
        for chain in (4, 1, 2, 3):
            for step, (inputs, outputs) in enumerate(((8, 2), (2, 2), (2, 4)), 1):
                _activated(registry, f"{block}.dconv_{chain}_{step}", inputs, outputs, groups=2)
        registry.conv(f"{block}.conv1x1.conv", 32, 32, 1)
    for index in (1, 2, 3):
        for place, outputs in ((1, 32), (2, 32), (3, 1)):
            _activated(registry, f"ra{index}_conv{place}", 32, outputs)
    for index in (1, 2, 3):
        block = f"aa_kernel_{index}"
        registry.conv(f"{block}.conv0.conv", 32, 32, 1)
        registry.conv(f"{block}.conv1.conv", 32, 32)
        for axis in ("Hattn", "Wattn"):
            registry.tensor(f"{block}.{axis}.gamma", 1)
            registry.conv(f"{block}.{axis}.query_conv.conv", 32, 4, 1)
            registry.conv(f"{block}.{axis}.key_conv.conv", 32, 4, 1)
            registry.conv(f"{block}.{axis}.value_conv.conv", 32, 32, 1)
    return registry.state


def _resnet18(registry, prefix):
    registry.basic(prefix, 3, 64, 7, conv="conv1", bn="bn1")
    inputs = 64
    for stage, width in enumerate((64, 128, 256, 512), 1):
        for block in range(2):
            name = f"{prefix}.layer{stage}.{block}"
            registry.basic(name, inputs, width, conv="conv1", bn="bn1")
            registry.basic(name, width, width, conv="conv2", bn="bn2")
            if inputs != width:
                registry.basic(f"{name}.downsample", inputs, width, 1, conv="0", bn="1")
            inputs = width


def bisenetv1(classes):
    """Return BiSeNetV1's state dict, with its side outputs."""
    registry = Registry()
    _resnet18(registry, "cp.resnet")
    for stride, width in ((16, 256), (32, 512)):
        registry.basic(f"cp.arm{stride}.conv", width, 128)
        registry.conv(f"cp.arm{stride}.conv_atten", 128, 128, 1)
        registry.norm(f"cp.arm{stride}.bn_atten", 128)
    registry.basic("cp.conv_head32", 128, 128)
    registry.basic("cp.conv_head16", 128, 128)
    registry.basic("cp.conv_avg", 512, 128, 1)
    registry.basic("sp.conv1", 3, 64, 7)
    registry.basic("sp.conv2", 64, 64)
    registry.basic("sp.conv3", 64, 64)
    registry.basic("sp.conv_out", 64, 128, 1)
    registry.basic("ffm.convblk", 256, 256, 1)
    registry.basic("ffm", 256, 256, 1)
    for name, inputs, middle in (("conv_out", 256, 256), ("conv_out16", 128, 64), ("conv_out32", 128, 64)):
        registry.basic(f"{name}.conv", inputs, middle)
        registry.conv(f"{name}.conv_out", middle, classes, 1, bias=True)
    return registry.state


def transunet(classes, *, layers, units, patches):
    """Return TransUNet's state dict with fewer layers; a unit of each block is a bottleneck."""
    registry = Registry()
    model = "transformer.embeddings.hybrid_model"
    registry.conv(f"{model}.root.conv", 3, 64, 7)

    def group_norm(name, channels):
        registry.tensor(f"{name}.weight", channels)
        registry.tensor(f"{name}.bias", channels)

    def linear(name, inputs, outputs):
        registry.tensor(f"{name}.weight", outputs, inputs)
        registry.tensor(f"{name}.bias", outputs)

    group_norm(f"{model}.root.gn", 64)
    inputs = 64
    for block, (width, count) in enumerate(zip((64, 128, 256), units, strict=True), 1):
        for unit in range(1, count + 1):
            name = f"{model}.body.block{block}.unit{unit}"
            for place, (a, b, side) in enumerate(
                ((inputs, width, 1), (width, width, 3), (width, 4 * width, 1)), 1
            ):
                group_norm(f"{name}.gn{place}", b)
                registry.conv(f"{name}.conv{place}", a, b, side)
            if unit == 1:
                registry.conv(f"{name}.downsample", inputs, 4 * width, 1)
                group_norm(f"{name}.gn_proj", 4 * width)
            inputs = 4 * width
    registry.conv("transformer.embeddings.patch_embeddings", 1024, 768, 1, bias=True)
    registry.tensor("transformer.embeddings.position_embeddings", 1, patches, 768)
    for layer in range(layers):
        name = f"transformer.encoder.layer.{layer}"
        group_norm(f"{name}.attention_norm", 768)
        group_norm(f"{name}.ffn_norm", 768)
        linear(f"{name}.ffn.fc1", 768, 3072)
        linear(f"{name}.ffn.fc2", 3072, 768)
        for part in ("query", "key", "value", "out"):
            linear(f"{name}.attn.{part}", 768, 768)
    group_norm("transformer.encoder.encoder_norm", 768)
    registry.basic("decoder.conv_more", 768, 512, conv="0", bn="1")
    widths = ((512 + 512, 256), (256 + 256, 128), (128 + 64, 64), (64, 16))
    for block, (a, b) in enumerate(widths):
        registry.basic(f"decoder.blocks.{block}.conv1", a, b, conv="0", bn="1")
        registry.basic(f"decoder.blocks.{block}.conv2", b, b, conv="0", bn="1")
    registry.conv("segmentation_head.0", 16, classes, 3, bias=True)
    return registry.state


def _dilated_resnet101(registry, prefix):
    inputs = 128
    for stage, (width, count) in enumerate(((64, 3), (128, 4), (256, 23), (512, 3)), 1):
        for block in range(count):
            name = prefix.format(stage=stage, block=block)
            registry.basic(name, inputs, width, 1, conv="conv1", bn="bn1")
            registry.basic(name, width, width, conv="conv2", bn="bn2")
            registry.basic(name, width, 4 * width, 1, conv="conv3", bn="bn3")
            if not block:
                registry.basic(f"{name}.downsample", inputs, 4 * width, 1, conv="0", bn="1")
            inputs = 4 * width


def ccnet(classes):
    """Return CCNet's state dict; its norms count no batches."""
    registry = Registry()
    for place, (a, b) in enumerate(((3, 64), (64, 64), (64, 128)), 1):
        registry.conv(f"conv{place}", a, b)
        registry.norm(f"bn{place}", b)
    _dilated_resnet101(registry, "layer{stage}.{block}")
    registry.basic("head.conva", 2048, 512, conv="0", bn="1")
    registry.tensor("head.cca.gamma", 1)
    for name, width in (("query", 64), ("key", 64), ("value", 512)):
        registry.conv(f"head.cca.{name}_conv", 512, width, 1, bias=True)
    registry.basic("head.convb", 512, 512, conv="0", bn="1")
    registry.basic("head.bottleneck", 2560, 512, conv="0", bn="1")
    registry.conv("head.bottleneck.3", 512, classes, 1, bias=True)
    registry.conv("dsn.0", 1024, 512, bias=True)
    registry.norm("dsn.1", 512)
    registry.conv("dsn.3", 512, classes, 1, bias=True)
    return {name: tensor for name, tensor in registry.state.items() if "num_batches" not in name}


def emanet(classes):
    """Return EMANet's state dict."""
    registry = Registry()
    for place, (a, b) in ((0, (3, 64)), (3, (64, 64)), (6, (64, 128))):
        registry.conv(f"extractor.0.{place}", a, b)
        if place < 6:
            registry.norm(f"extractor.0.{place + 1}", b)
    registry.norm("extractor.1", 128)
    stages = Registry()
    _dilated_resnet101(stages, "{stage}.{block}")
    for name, tensor in stages.state.items():
        stage, _, rest = name.partition(".")
        registry.state[f"extractor.{int(stage) + 3}.{rest}"] = tensor
    registry.basic("fc0", 2048, 512)
    registry.tensor("emau.mu", 1, 512, 64)
    registry.conv("emau.conv1", 512, 512, 1, bias=True)
    registry.basic("emau.conv2", 512, 512, 1, conv="0", bn="1")
    registry.basic("fc1.0", 512, 256)
    registry.conv("fc2", 256, classes, 1, bias=True)
    return registry.state


def _gather_and_expand(registry, name, inputs, outputs, *, halves):
    """A layer of BiSeNetV2's semantic branch, of stride 2 if it halves the size."""
    wide = 6 * inputs
    registry.basic(f"{name}.conv1", inputs, inputs)
    if halves:
        registry.basic(f"{name}.dwconv1", inputs, wide, conv="0", bn="1", groups=inputs)
        registry.basic(f"{name}.dwconv2", wide, wide, conv="0", bn="1", groups=wide)
    else:
        registry.basic(f"{name}.dwconv", inputs, wide, conv="0", bn="1", groups=inputs)
    registry.basic(f"{name}.conv2", wide, outputs, 1, conv="0", bn="1")
    if halves:
        registry.basic(f"{name}.shortcut", inputs, inputs, conv="0", bn="1", groups=inputs)
        registry.basic(f"{name}.shortcut", inputs, outputs, 1, conv="2", bn="3")


def bisenetv2(classes):
    """Return BiSeNetV2's state dict, with its side outputs."""
    registry = Registry()
    inputs = 3
    for stage, width, count in ((1, 64, 2), (2, 64, 3), (3, 128, 3)):
        for place in range(count):
            registry.basic(f"detail.S{stage}.{place}", inputs, width)
            inputs = width
    registry.basic("segment.S1S2.conv", 3, 16)
    registry.basic("segment.S1S2.left.0", 16, 8, 1)
    registry.basic("segment.S1S2.left.1", 8, 16)
    registry.basic("segment.S1S2.fuse", 32, 16)
    inputs = 16
    for stage, width, count in (("S3", 32, 2), ("S4", 64, 2), ("S5_4", 128, 4)):
        for place in range(count):
            name = f"segment.{stage}.{place}"
            _gather_and_expand(registry, name, inputs, width, halves=not place)
            inputs = width
    registry.norm("segment.S5_5.bn", 128)
    registry.basic("segment.S5_5.conv_gap", 128, 128, 1)
    registry.basic("segment.S5_5.conv_last", 128, 128)
    registry.basic("bga.left1", 128, 128, conv="0", bn="1", groups=128)
    registry.conv("bga.left1.2", 128, 128, 1)
    registry.basic("bga.left2", 128, 128, conv="0", bn="1")
    registry.basic("bga.right1", 128, 128, conv="0", bn="1")
    registry.basic("bga.right2", 128, 128, conv="0", bn="1", groups=128)
    registry.conv("bga.right2.2", 128, 128, 1)
    registry.basic("bga.conv", 128, 128, conv="0", bn="1")
    registry.basic("head.conv", 128, 1024)
    registry.conv("head.conv_out.1", 1024, classes, 1, bias=True)
    for name, inputs, middle in (
        ("aux2", 16, 16),
        ("aux3", 32, 64),
        ("aux4", 64, 256),
        ("aux5_4", 128, 1024),
    ):
        registry.basic(f"{name}.conv", inputs, 128)
        registry.basic(f"{name}.conv_out.0.1", 128, middle)
        registry.conv(f"{name}.conv_out.1", middle, classes, 1, bias=True)
    return registry.state


def danet(classes):
    """Return DANet's state dict, with the layer of ImageNet's classes."""
    registry = Registry()
    for place, (a, b) in ((0, (3, 64)), (3, (64, 64)), (6, (64, 128))):
        registry.conv(f"pretrained.conv1.{place}", a, b)
        if place < 6:
            registry.norm(f"pretrained.conv1.{place + 1}", b)
    registry.norm("pretrained.bn1", 128)
    _dilated_resnet101(registry, "pretrained.layer{stage}.{block}")
    registry.tensor("pretrained.fc.weight", 1000, 2048)
    registry.tensor("pretrained.fc.bias", 1000)
    for name in ("a", "c"):
        registry.basic(f"head.conv5{name}", 2048, 512, conv="0", bn="1")
    for name in ("sa", "sc"):
        registry.tensor(f"head.{name}.gamma", 1)
    for name, width in (("query", 64), ("key", 64), ("value", 512)):
        registry.conv(f"head.sa.{name}_conv", 512, width, 1, bias=True)
    for place in (1, 2):
        registry.basic(f"head.conv5{place}", 512, 512, conv="0", bn="1")
    for place in (6, 7, 8):
        registry.conv(f"head.conv{place}.1", 512, classes, 1, bias=True)
    return registry.state


def dbnet(*, fuses_scales=False):
    """Return the state dict of DBNet or DBNet++ on a ResNet-18, in the wrappers that its code saves."""
    registry = Registry()
    start = "model.module"
    _resnet18(registry, f"{start}.backbone")
    registry.tensor(f"{start}.backbone.fc.weight", 1000, 512)
    registry.tensor(f"{start}.backbone.fc.bias", 1000)
    registry.conv(f"{start}.backbone.smooth", 2048, 256, 1, bias=True)
    for level, width in ((5, 512), (4, 256), (3, 128), (2, 64)):
        registry.conv(f"{start}.decoder.in{level}", width, 256, 1)
    for level in (5, 4, 3, 2):
        registry.conv(f"{start}.decoder.out{level}{'.0' if level > 2 else ''}", 256, 64)
    if fuses_scales:
        name = f"{start}.decoder.concat_attention"
        registry.conv(f"{name}.conv", 256, 64, bias=True)
        registry.conv(f"{name}.enhanced_attention.channel_wise.1", 64, 16, 1)
        registry.conv(f"{name}.enhanced_attention.channel_wise.3", 16, 64, 1)
        registry.conv(f"{name}.enhanced_attention.spatial_wise.0", 1, 1)
        registry.conv(f"{name}.enhanced_attention.spatial_wise.2", 1, 1, 1)
        registry.conv(f"{name}.enhanced_attention.attention_wise.0", 64, 4, 1)
    for head in ("binarize", "thresh"):
        name = f"{start}.decoder.{head}"
        registry.basic(name, 256, 64, conv="0", bn="1")
        registry.tensor(f"{name}.3.weight", 64, 64, 2, 2)
        registry.tensor(f"{name}.3.bias", 64)
        registry.norm(f"{name}.4", 64)
        registry.tensor(f"{name}.6.weight", 64, 1, 2, 2)
        registry.tensor(f"{name}.6.bias", 1)
    return registry.state
