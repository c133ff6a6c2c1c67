"""Comparison of an imported network with the library that wrote its checkpoint, where that is installed.

Shape legend: B batch, C channels, K classes, H and W an image's height and width.
"""

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from limner.core.errors import ConfigError, MissingPartError, ModelError, describe
from limner.core.outputs import ClassLogits, QueryBoxes, QueryMasks, resize_logits
from limner.decoding.label_maps import as_pixel_outputs
from limner.networks import NETWORKS
from limner.weights.checkpoint_files import Checkpoint, read_checkpoint
from limner.weights.importing import Imported
from limner.weights.sources.facts.transformers_backbones import TITLE as TRANSFORMERS
from limner.weights.sources.pixels.smp import options_for_library
from limner.weights.sources.pixels.smp_names import TITLE as SMP
from limner.weights.sources.pixels.torchvision_models import TITLE as TORCHVISION
from limner.weights.sources.volumes.monai_library import arguments_for_library
from limner.weights.sources.volumes.monai_names import TITLE as MONAI
from limner.weights.sources.volumes.nnunet_plans import read_configuration
from limner.weights.sources.volumes.nnunet_results import TITLE as NNUNET

Scores = tuple[Tensor, ...]
Network = Callable[[Tensor], Scores]

SIZES = {2: ((96, 160), (97, 161)), 3: ((32, 64, 32), (64, 32, 96))}
"""Number of axes -> sizes of the images, in pixels; the second is odd for images.

Images for networks whose positions are learned for one size have that size, since they differ in how they fit
others.
"""

TOLERANCE = 1e-3
"""Largest difference of scores, in multiples of the largest score, that rounding explains."""


@dataclass(frozen=True)
class Verification:
    """Result of a comparison.

    Attributes:
        library: The library and its version.
        difference: Largest absolute difference of scores.
        largest: Largest absolute score of the library.
        sizes: Sizes of the random images; those that the library refuses are missing.
    """

    library: str
    difference: float
    largest: float
    sizes: tuple[tuple[int, ...], ...]

    def __str__(self) -> str:
        """Return the result in words."""
        sizes = _size_words(self.sizes)
        return (
            f"largest difference of scores from {self.library}: {self.difference:.1e}, of scores up to "
            f"{self.largest:.1f}, on random images of {sizes}"
        )


def verify_import(imported: Imported) -> Verification:
    """Run the library's network and limner's on random images.

    Raises:
        ConfigError: The library of this checkpoint cannot be run without its own code.
        MissingPartError: The library is not installed.
        ModelError: The scores differ by more than rounding.
    """
    if imported.source not in _REBUILD:
        known = ", ".join(_REBUILD)
        raise ConfigError(f"--verify compares with {known}; this checkpoint is of {imported.source}.")
    checkpoint = read_checkpoint(imported.path, part=imported.part)
    package, rebuild = _REBUILD[imported.source]
    library = _library(package)
    theirs = rebuild(library, checkpoint, imported)
    result = _compare(imported, theirs, f"{package} {getattr(library, '__version__', '')}".strip())
    if result.difference > TOLERANCE * max(result.largest, 1.0):
        raise ModelError(
            describe(
                "The imported network does not give the library's scores",
                where=imported.path,
                found=str(result),
                expected=f"a difference of at most {TOLERANCE:g} of the largest score",
                fix="Set what tensors do not contain, such as --set network.options.output_stride=8.",
            )
        )
    return result


def _compare(imported: Imported, theirs: Network, library: str) -> Verification:
    channels = imported.model.plan.input.channels
    draws = torch.Generator().manual_seed(0)
    done, difference, largest = [], 0.0, 0.0
    sizes = _sizes(imported)
    is_bgr = imported.asked.how_read.channel_order == "bgr"
    for size in sizes:
        images = torch.randn(1, channels, *size, generator=draws)
        with torch.no_grad():
            try:
                expected = theirs(images.flip(1) if is_bgr else images)
            except (RuntimeError, ValueError):  # some networks refuse sizes that they cannot halve
                continue
            found = _ours(imported, images)
        for one, other in zip(found, expected, strict=True):
            difference = max(difference, float((one - other).abs().max()))
            largest = max(largest, float(other.abs().max()))
        done.append(size)
    if not done:
        raise ModelError(
            f"{library} refuses images of {_size_words(sizes)}, so its scores cannot be compared."
        )
    return Verification(library, difference, largest, tuple(done))


def _sizes(imported: Imported) -> tuple[tuple[int, ...], ...]:
    plan = imported.model.plan
    side = plan.network.options.get("image_size")
    if imported.source in (TRANSFORMERS, SMP) and isinstance(side, int):
        return ((side, side),)
    resize = plan.inference.resize
    if NETWORKS[plan.network.name].output is ClassLogits and resize is not None and resize.size is not None:
        return (resize.size,)
    return SIZES[plan.input.spatial_dims]


def _size_words(sizes: Iterable[Sequence[int]]) -> str:
    return " and ".join("x".join(map(str, size)) for size in sizes)


def _ours(imported: Imported, images: Tensor) -> Scores:
    found = imported.model.network(images)
    if isinstance(found, QueryBoxes):
        return found.class_logits, found.boxes
    if isinstance(found, ClassLogits):
        return (found.logits,)
    outputs = as_pixel_outputs(found)
    if isinstance(outputs, QueryMasks):
        return outputs.class_logits, outputs.mask_logits
    logits = resize_logits(outputs.logits, images.shape[2:])
    if any("background" in how for how in imported.tensors.reshaped.values()):
        logits = logits[:, 1:] - logits[:, :1]  # their one score
    return (logits,)


def _library(package: str) -> Any:  # noqa: ANN401 - a module
    try:
        return importlib.import_module(package)
    except ImportError:
        raise MissingPartError(package, "--verify of this checkpoint", f"pip install {package}") from None


_BIASES = ("classifier.4.bias", "classifier.low_classifier.bias")
"""Names of the bias of torchvision's classifiers."""


def _torchvision(_: Any, checkpoint: Checkpoint, imported: Imported) -> Network:  # noqa: ANN401
    plan = imported.model.plan.network
    if plan.name == "classifier":
        return _torchvision_classifier(checkpoint, imported)
    segmentation = importlib.import_module("torchvision.models.segmentation")
    build = getattr(segmentation, f"{plan.name}_{plan.options['backbone']}")
    side = {} if plan.name == "lraspp" else {"aux_loss": _has_side(checkpoint)}
    network = build(
        weights=None,
        weights_backbone=None,
        **side,
        num_classes=next(len(checkpoint.tensors[name]) for name in _BIASES if name in checkpoint.tensors),
    ).eval()
    network.load_state_dict(checkpoint.tensors)
    return lambda images: (network(images)["out"],)


def _torchvision_classifier(checkpoint: Checkpoint, imported: Imported) -> Network:
    models = importlib.import_module("torchvision.models")
    backbone = str(imported.model.plan.network.options["backbone"])
    name = _TORCHVISION_NAMES.get(backbone, backbone)
    classes = imported.model.labels.num_classes
    network = models.get_model(name, weights=None, num_classes=classes).eval()
    network.load_state_dict(checkpoint.tensors)
    return lambda images: (network(images),)


_TORCHVISION_NAMES = {
    **{
        f"vit_{size}_patch{patch}_224": f"vit_{size[0]}_{patch}"
        for size in ("base", "large")
        for patch in (16, 32)
    },
    "vit_huge_patch14_224": "vit_h_14",
    **{f"swin_{size}_patch4_window7_224": f"swin_{size[0]}" for size in ("tiny", "small", "base")},
    "mobilenetv2_100": "mobilenet_v2",
    "mobilenetv3_large_100": "mobilenet_v3_large",
    "mobilenetv3_small_100": "mobilenet_v3_small",
}
"""limner's name of an encoder, which is timm's -> torchvision's, where they differ."""


def _has_side(checkpoint: Checkpoint) -> bool:
    return any(name.startswith("aux_classifier.") for name in checkpoint.tensors)


def _smp(library: Any, checkpoint: Checkpoint, imported: Imported) -> Network:  # noqa: ANN401
    kind, options = options_for_library(checkpoint, imported.model.plan.network.options)
    network = getattr(library, kind)(**{"encoder_weights": None, **options}).eval()
    network.load_state_dict(checkpoint.tensors)
    return lambda images: (network(images),)


def _transformers(library: Any, checkpoint: Checkpoint, imported: Imported) -> Network:  # noqa: ANN401
    if not checkpoint.path.is_dir():
        raise ConfigError(f"--verify needs the folder with config.json; found the file {checkpoint.path}.")
    architecture = checkpoint.config.get("architectures", [""])[0]
    network = getattr(library, architecture).from_pretrained(checkpoint.path, local_files_only=True).eval()

    def scores(images: Tensor) -> Scores:
        outputs = network(images)
        for names in (("class_queries_logits", "masks_queries_logits"), ("logits", "pred_boxes")):
            if all(name in outputs for name in names):
                return tuple(outputs[name] for name in names)
        if outputs.logits.ndim == 2:  # of whole images
            return (outputs.logits,)
        return (resize_logits(outputs.logits, images.shape[2:]),)

    return scores


def _monai(library: Any, checkpoint: Checkpoint, imported: Imported) -> Network:  # noqa: ANN401
    nets = importlib.import_module("monai.networks.nets")
    plan = imported.model.plan
    kind, arguments = arguments_for_library(checkpoint, plan.network.options, plan.input.spatial_dims)
    if plan.network.options.get("merging") == "repeated":
        raise ConfigError(
            f"--verify: MONAI {library.__version__} merges voxels differently from versions before 1.5, with "
            "which this SwinUNETR was trained."
        )
    network = getattr(nets, kind)(**arguments).eval()
    names = network.state_dict().keys() - checkpoint.tensors.keys()
    prefix = "model." if any(name.startswith("model.") for name in names) else ""  # which reading removed
    tensors = {prefix + name: tensor for name, tensor in checkpoint.tensors.items()}
    missing = network.load_state_dict(tensors, strict=False).missing_keys
    if missing:
        raise ModelError(f"{kind} of MONAI {library.__version__} has other tensors, such as {missing[0]}.")
    return lambda images: (network(images),)


def _nnunet(_: Any, checkpoint: Checkpoint, imported: Imported) -> Network:  # noqa: ANN401
    unets = importlib.import_module("dynamic_network_architectures.architectures.unet")
    configuration = read_configuration(checkpoint)
    dims = configuration.spatial_dims
    named = {"conv_op": f"Conv{dims}d", **_layer_names(configuration.arguments, dims)}
    network = getattr(unets, configuration.architecture)(
        imported.model.plan.input.channels,
        **{
            "n_stages": len(configuration.arguments["features_per_stage"]),
            **configuration.arguments,
            **{key: name and getattr(torch.nn, name) for key, name in named.items()},
            "num_classes": imported.model.labels.num_classes,
            "deep_supervision": False,
        },
    ).eval()
    network.load_state_dict(checkpoint.tensors)
    forward = [2 + axis for axis in sorted(range(dims), key=configuration.kernel_order.__getitem__)]
    back = [2 + axis for axis in configuration.kernel_order]
    return lambda images: (network(images.permute(0, 1, *forward)).permute(0, 1, *back),)


def _layer_names(arguments: Mapping[str, Any], dims: int) -> dict[str, str | None]:
    """Return PyTorch's names of the kinds of layers of nnU-Net's arguments."""
    names: dict[str, str | None] = {}
    for key, end in (("norm_op", f"{dims}d"), ("dropout_op", f"{dims}d"), ("nonlin", "")):
        name = str(arguments.get(key) or "").rpartition(".")[2]
        names[key] = name.removesuffix(end) + end if name else None
    return names


_REBUILD: Mapping[str, tuple[str, Callable[[Any, Checkpoint, Imported], Network]]] = {
    TORCHVISION: ("torchvision", _torchvision),
    SMP: ("segmentation_models_pytorch", _smp),
    TRANSFORMERS: ("transformers", _transformers),
    MONAI: ("monai", _monai),
    NNUNET: ("dynamic_network_architectures", _nnunet),
}
"""Project -> its package, and what builds its network with the checkpoint's tensors."""
