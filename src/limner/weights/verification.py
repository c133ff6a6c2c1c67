"""Comparison of an imported network with the library that wrote its checkpoint, where that is installed.

Shape legend: B batch, C channels, K classes, H and W an image's height and width.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from limner.core.errors import ConfigError, MissingPartError, ModelError, describe
from limner.core.outputs import QueryBoxes, QueryMasks, resize_logits
from limner.decoding.label_maps import as_pixel_outputs
from limner.weights.checkpoint_files import Checkpoint, read_checkpoint
from limner.weights.importing import Imported
from limner.weights.sources.smp import options_for_library
from limner.weights.sources.smp_names import TITLE as SMP
from limner.weights.sources.torchvision_models import TITLE as TORCHVISION
from limner.weights.sources.transformers_names import TITLE as TRANSFORMERS

Scores = tuple[Tensor, ...]
Network = Callable[[Tensor], Scores]

SIZES = ((96, 160), (97, 161))
"""Sizes of the images, in pixels; the second is odd."""

TOLERANCE = 1e-3
"""Largest difference of scores, in multiples of the largest score, that rounding explains."""


@dataclass(frozen=True)
class Verification:
    """Result of a comparison.

    Attributes:
        library: The library and its version.
        difference: Largest absolute difference of scores.
        largest: Largest absolute score of the library.
        sizes: Sizes of the random images (H, W); those that the library refuses are missing.
    """

    library: str
    difference: float
    largest: float
    sizes: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        """Return the result in words."""
        sizes = " and ".join(f"{height}x{width}" for height, width in self.sizes)
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
    checkpoint = read_checkpoint(imported.path)
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
    for size in SIZES:
        images = torch.randn(1, channels, *size, generator=draws)
        with torch.no_grad():
            try:
                expected = theirs(images)
            except (RuntimeError, ValueError):  # some networks refuse sizes that they cannot halve
                continue
            found = _ours(imported, images)
        for one, other in zip(found, expected, strict=True):
            difference = max(difference, float((one - other).abs().max()))
            largest = max(largest, float(other.abs().max()))
        done.append(size)
    if not done:
        sizes = " and ".join(f"{height}x{width}" for height, width in SIZES)
        raise ModelError(f"{library} refuses images of {sizes}, so its scores cannot be compared.")
    return Verification(library, difference, largest, tuple(done))


def _ours(imported: Imported, images: Tensor) -> Scores:
    found = imported.model.network(images)
    if isinstance(found, QueryBoxes):
        return found.class_logits, found.boxes
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
        return (resize_logits(outputs.logits, images.shape[2:]),)

    return scores


_REBUILD: Mapping[str, tuple[str, Callable[[Any, Checkpoint, Imported], Network]]] = {
    TORCHVISION: ("torchvision", _torchvision),
    SMP: ("segmentation_models_pytorch", _smp),
    TRANSFORMERS: ("transformers", _transformers),
}
"""Project -> its package, and what builds its network with the checkpoint's tensors."""
