"""Checkpoints of segmentation-models-pytorch: a state dict, or a folder with `config.json`.

A state dict contains neither the output stride nor the atrous rates; without `config.json` they are the
library's defaults, which is said.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from limner.core.errors import ConfigError, ModelError, describe
from limner.networks.backbones.mit import MIX_TRANSFORMERS
from limner.networks.backbones.resnet import RESNETS
from limner.weights.checkpoint_files import CONFIG, Checkpoint
from limner.weights.checkpoint_source import SET_BY_USER, Asked, CheckpointSource, NetworkShape, ReadNetwork
from limner.weights.how_read import IMAGES_AND_CLASSES
from limner.weights.renaming import Renamed, rename
from limner.weights.sources.facts.backbone_shapes import Sizes, input_channels, recognize_backbone
from limner.weights.sources.facts.dense_facts import RECIPE, conclude, imagenet
from limner.weights.sources.pixels.smp_names import OLD_DEEPLABV3, SIGNS, TITLE, smp_naming

SMP_HEAD = "segmentation_head.0.weight"

_ASSUMED = "assumed: the library's default, which a state dict does not contain"


def _recognises(checkpoint: Checkpoint) -> bool:
    return SMP_HEAD in checkpoint.tensors and any(name.startswith("encoder.") for name in checkpoint.tensors)


def _read(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    kind = _kind(checkpoint)
    backbone = _encoder(checkpoint, asked)
    _refuse_variants(kind, backbone, checkpoint)
    wrapped = backbone not in RESNETS and backbone not in MIX_TRANSFORMERS
    renamed = rename(checkpoint.tensors, smp_naming(kind, wrapped=wrapped))
    _place_outer_block(kind, renamed)
    sizes = renamed.sizes
    name, read_options = _NETWORKS[kind]
    options, sources = read_options(_Known(checkpoint.config, sizes, asked.options))
    options = {"backbone": backbone, **options, **asked.options}
    if kind == "PSPNet":
        _drop_stages(renamed, options["stride"])
    head = checkpoint.tensors[SMP_HEAD]
    channels = _channels(checkpoint, sizes)
    summary = f"{kind} on {backbone}"
    shape = NetworkShape(name, options, head.shape[0], channels, summary, sources)
    why = "assumed: ImageNet's, as get_preprocessing_params gives for most encoders; others: --set input.mean"
    facts = {
        "upsampling of the scores": "bilinear with aligned corners, as the library's head"
        if options.get("enlarges_logits")
        else "none: the scores have the size of the image",
    }
    conclusions = conclude(
        checkpoint,
        shape,
        asked,
        normalization=imagenet(why),
        facts=facts,
        unknown=IMAGES_AND_CLASSES,
    )
    return ReadNetwork(shape, renamed, conclusions)


def options_for_library(checkpoint: Checkpoint, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the library's class and the arguments that build the checkpoint's network.

    Args:
        checkpoint: The checkpoint.
        options: Options of limner's network.

    Raises:
        ConfigError: It is a state dict of a DPT, which does not name its encoder.
    """
    is_dpt = SMP_HEAD not in checkpoint.tensors  # its head is the only one of another layout
    if is_dpt and not checkpoint.config:
        raise ConfigError(f"--verify of a DPT needs the folder with config.json; found {checkpoint.path}.")
    kind = "DPT" if is_dpt else _kind(checkpoint)
    if checkpoint.config:
        known = {key: value for key, value in checkpoint.config.items() if not key.startswith("_")}
        return kind, known | {"encoder_weights": None}
    wrapped = any(name.startswith("encoder.model.") for name in checkpoint.tensors)
    arguments = {
        "encoder_name": "tu-" * wrapped + str(options["backbone"]),
        "classes": checkpoint.tensors[SMP_HEAD].shape[0],
    }
    for ours, theirs in _ARGUMENTS.get(kind, {}).items():
        arguments[theirs] = options[ours]
    if options.get("attention") == "scse":
        arguments["decoder_attention_type"] = "scse"
    return kind, arguments


_ARGUMENTS: Mapping[str, Mapping[str, str]] = {
    "Unet": {"decoder_widths": "decoder_channels"},
    "UnetPlusPlus": {"decoder_widths": "decoder_channels"},
    "MAnet": {"decoder_widths": "decoder_channels", "attention_channels": "decoder_pab_channels"},
    "FPN": {"pyramid_channels": "decoder_pyramid_channels", "channels": "decoder_segmentation_channels"},
    "PSPNet": {"channels": "psp_out_channels"},
    "DeepLabV3": {
        "output_stride": "encoder_output_stride",
        "atrous_rates": "decoder_atrous_rates",
        "channels": "decoder_channels",
    },
    "DeepLabV3Plus": {
        "output_stride": "encoder_output_stride",
        "atrous_rates": "decoder_atrous_rates",
        "channels": "decoder_channels",
    },
    "PAN": {"output_stride": "encoder_output_stride", "channels": "decoder_channels"},
    "UPerNet": {"channels": "decoder_channels"},
    "Segformer": {"channels": "decoder_segmentation_channels"},
}
"""Class -> limner's option -> the argument of the same meaning."""


class _Known:
    """Values of `config.json`, of the caller and of the library, in this order of priority."""

    def __init__(self, config: Mapping[str, Any], sizes: Sizes, options: Mapping[str, Any]) -> None:
        self.sizes = sizes
        self.sources: dict[str, str] = {}
        self._config, self._asked = config, options

    def value(self, key: str, default: Any, option: str) -> Any:  # noqa: ANN401 - any JSON value
        """Return the value for one of limner's options, and note its source."""
        if option in self._asked:
            self.sources[option] = SET_BY_USER
            return self._asked[option]
        self.sources[option] = CONFIG if key in self._config else _ASSUMED
        found = self._config.get(key, default)
        return tuple(found) if isinstance(found, list) else found

    def width(self, name: str) -> int:
        """Return the number of output channels of a convolution; 1 if it is missing, which is reported."""
        return self.sizes.get(f"{name}.weight", (1,))[0]

    def widths(self, pattern: str) -> tuple[int, ...]:
        """Return the output channels of the convolutions whose names match, in order."""
        found = {int(m[1]): shape[0] for name, shape in self.sizes.items() if (m := re.match(pattern, name))}
        return tuple(found[index] for index in sorted(found))


Options = tuple[dict[str, Any], dict[str, str]]


def _unet(known: _Known) -> Options:
    widths = known.widths(r"decoder\.(\d)\.conv2\.conv\.weight")
    attention = "scse" if any(".attention1." in name for name in known.sizes) else "none"
    return {"decoder_widths": widths, "attention": attention}, {}


def _unetplusplus(known: _Known) -> Options:
    widths = known.widths(r"decoder\.x_0_(\d)\.conv2\.conv\.weight")
    outer = known.widths(r"outer\.(\d)\.conv2\.conv\.weight")
    attention = "scse" if any(".attention1." in name for name in known.sizes) else "none"
    return {"decoder_widths": (*widths, *outer), "attention": attention}, {}


def _fpn(known: _Known) -> Options:
    options = {
        "pyramid_channels": known.width("laterals.3"),
        "channels": known.width("branches.0.0.conv"),
        "norm": "group",
        "smooths_pyramid": False,
        "upsampling": "aligned",
        "enlarges_logits": True,
    }
    return options, {}


def _pspnet(known: _Known) -> Options:
    stride = known.value("encoder_depth", 3, "stride")
    if "stride" not in known._asked:  # noqa: SLF001 - its own record
        stride = 2**stride
    return {"stride": stride, "channels": known.width("fusion.conv"), "enlarges_logits": True}, known.sources


def _atrous(known: _Known, default_stride: int) -> dict[str, Any]:
    return {
        "output_stride": known.value("encoder_output_stride", default_stride, "output_stride"),
        "atrous_rates": known.value("decoder_atrous_rates", (12, 24, 36), "atrous_rates"),
        "dilation": "uniform",
        "channels": known.width("context.0.projection.conv"),
        "auxiliary": False,
        "enlarges_logits": True,
    }


def _deeplabv3(known: _Known) -> Options:
    options = _atrous(known, 8) | {"projection_kernel": 1, "refines_context": True, "dropout": 0.0}
    return options, known.sources


def _deeplabv3plus(known: _Known) -> Options:
    options = _atrous(known, 16) | {"layout": "segmentation-models-pytorch"}
    return options, known.sources


def _pan(known: _Known) -> Options:
    stride = known.value("encoder_output_stride", 16, "output_stride")
    options = {"output_stride": stride, "channels": known.width("context.middle.conv")}
    return {**options, "dilation": "uniform", "enlarges_logits": True}, known.sources


def _linknet(known: _Known) -> Options:
    return {"channels": known.widths(r"decoder\.(\d)\.2\.conv\.weight")[-1]}, {}


def _manet(known: _Known) -> Options:
    skip = next((s for name, s in known.sizes.items() if name.endswith("skip_gate.1.weight")), (1, 16))
    options = {
        "decoder_widths": known.widths(r"decoder\.(\d)\.conv2\.conv\.weight"),
        "attention_channels": known.width("context.key"),
        "reduction": max(skip[1] // skip[0], 1),
    }
    return options, {}


def _upernet(known: _Known) -> Options:
    options = {
        "channels": known.width("decoder.fusion.conv"),
        "norm_features": True,
        "feature_norm_eps": 1e-6,
        "auxiliary": False,
        "enlarges_logits": True,
    }
    return options, {}


def _segformer(known: _Known) -> Options:
    return {"channels": known.width("decoder.fusion.conv"), "enlarges_logits": True}, {}


_NETWORKS: Mapping[str, tuple[str, Callable[[_Known], Options]]] = {
    "Unet": ("encoder-unet", _unet),
    "UnetPlusPlus": ("encoder-unetplusplus", _unetplusplus),
    "FPN": ("semantic-fpn", _fpn),
    "PSPNet": ("pspnet-shallow", _pspnet),
    "DeepLabV3": ("deeplabv3", _deeplabv3),
    "DeepLabV3Plus": ("deeplabv3plus", _deeplabv3plus),
    "PAN": ("pan", _pan),
    "Linknet": ("linknet", _linknet),
    "MAnet": ("manet", _manet),
    "UPerNet": ("upernet", _upernet),
    "Segformer": ("segformer", _segformer),
}
"""The library's class -> limner's network, and what reads its options."""


def _kind(checkpoint: Checkpoint) -> str:
    said = checkpoint.config.get("_model_class")
    found = next((kind for kind, name in SIGNS.items() if name in checkpoint.tensors), None)
    if found is None and OLD_DEEPLABV3 in checkpoint.tensors:
        found = "DeepLabV3"
    if found is None and "decoder.aspp.0.convs.0.0.weight" in checkpoint.tensors:
        found = "DeepLabV3Plus"
    kind = found if found is not None else said
    if kind not in _NETWORKS:
        raise ModelError(
            describe(
                f"limner does not have this network of {TITLE}",
                where=checkpoint.path,
                found=str(kind or "a decoder that is none of the library's"),
                expected=", ".join(_NETWORKS),
            )
        )
    return str(kind)


def _encoder(checkpoint: Checkpoint, asked: Asked) -> str:
    """Return limner's name of the encoder.

    Raises:
        ModelError: It is not supported, or cannot be inferred.
    """
    if "backbone" in asked.options:
        return str(asked.options["backbone"])
    said = checkpoint.config.get("encoder_name")
    if isinstance(said, str):
        return _limners_name(said, checkpoint)
    inside = {name.removeprefix("encoder.") for name in checkpoint.tensors if name.startswith("encoder.")}
    if all(name.startswith("model.") for name in inside):
        raise ModelError(
            describe(
                "The encoder's name is unknown; it is a model of timm, of which there are many",
                where=checkpoint.path,
                found=f"{len(inside)} tensors, such as encoder.{min(inside)}",
                fix="Set it as timm calls it: --set network.options.backbone=NAME, or keep config.json.",
            )
        )
    sizes = {
        name.replace("encoder.", "backbone.", 1): tuple(tensor.shape)
        for name, tensor in checkpoint.tensors.items()
    }
    return recognize_backbone(sizes, str(checkpoint.path))


def _limners_name(encoder: str, checkpoint: Checkpoint) -> str:
    if encoder in RESNETS or encoder in MIX_TRANSFORMERS:
        return encoder
    plain = re.sub(r"^(tu|timm)-", "", encoder)
    if plain != encoder or re.match(r"(resnext|wide_resnet)", encoder):
        return plain if not plain.startswith("mobilenetv3") else f"tf_{plain}"
    raise ModelError(
        describe(
            f"limner does not have this encoder of {TITLE}",
            where=checkpoint.path,
            found=encoder,
            expected="resnet18 to 152, resnext, mit_b0 to mit_b5, or a tu- encoder",
            fix="Its maps are from other layers than timm's, so its weights fit no network of limner.",
        )
    )


def _refuse_variants(kind: str, backbone: str, checkpoint: Checkpoint) -> None:
    config = checkpoint.config
    only: dict[str, tuple[Any, ...]] = {
        "decoder_use_norm": ("batchnorm", True),
        "decoder_use_batchnorm": (True,),
        "decoder_merge_policy": ("add",),
        "decoder_interpolation": ("nearest", "bilinear") if kind == "PAN" else ("nearest",),
        "decoder_aspp_separable": (kind == "DeepLabV3Plus",),
        "encoder_depth": (3, 4, 5) if kind == "PSPNet" else (5,),
    }
    factor = {
        "PSPNet": 2 ** config.get("encoder_depth", 3),
        "DeepLabV3": config.get("encoder_output_stride", 8),
    }
    only["upsampling"] = (None, factor.get(kind, 4))
    other = [f"{key} {config[key]!r}" for key, ok in only.items() if key in config and config[key] not in ok]
    if kind == "Segformer" and backbone not in MIX_TRANSFORMERS:
        other.append(f"the encoder {backbone}, whose map at stride 2 the library's decoder reads")
    if other:
        raise ModelError(
            describe(
                f"The checkpoint is a variant of {kind} that limner does not have",
                where=checkpoint.path,
                found=", ".join(other),
                expected="the library's defaults for these",
            )
        )


def _place_outer_block(kind: str, renamed: Renamed) -> None:
    """Rename the last block of a UnetPlusPlus, which has no skip connection."""
    if kind != "UnetPlusPlus":
        return
    last = max(int(m[1]) for name in renamed.tensors if (m := re.match(r"decoder\.x_0_(\d)\.", name)))
    for name in [name for name in renamed.tensors if name.startswith(f"decoder.x_0_{last}.")]:
        ours = name.replace(f"decoder.x_0_{last}.", "outer.0.", 1)
        renamed.tensors[ours] = renamed.tensors.pop(name)
        renamed.theirs[ours] = renamed.theirs.pop(name)


def _drop_stages(renamed: Renamed, stride: int) -> None:
    """Leave out the encoder's stages after the map that a PSPNet reads."""
    for stage in range(1, 5):
        if 2 ** (stage + 1) > stride:
            renamed.leave_out(f"backbone.layer{stage}.", "a stage after the map that is classified")


def _channels(checkpoint: Checkpoint, sizes: Sizes) -> int:
    said = checkpoint.config.get("in_channels")
    if isinstance(said, int):
        return said
    wrapped = {name.replace("backbone.model.", "backbone.", 1): shape for name, shape in sizes.items()}
    return input_channels(wrapped)


SMP = CheckpointSource(
    TITLE,
    "Unet, UnetPlusPlus, FPN, PSPNet, DeepLabV3(Plus), PAN, Linknet, MAnet, UPerNet, Segformer",
    f"{SMP_HEAD} and encoder....",
    _recognises,
    _read,
    RECIPE,
)
