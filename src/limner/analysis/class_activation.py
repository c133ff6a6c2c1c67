"""Which parts of an image made a model predict a class: gradient-weighted activation maps of a layer.

Grad-CAM (Selvaraju et al., 2017) weights each channel by its mean gradient: smooth, but it may highlight
locations that did not contribute. HiResCAM (Draelos and Carin, 2020) multiplies gradient and activation at
each location, which for a last convolution shows exactly what was used. LayerCAM (Jiang et al., 2021) uses
only positive gradients and stays sharp in early layers.

Shape legend: C channels of the image, F features of the layer, K classes, *S image size, *s the layer's.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from math import prod

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from limner.core.box_geometry import as_corners
from limner.core.errors import ConfigError, UnknownNameError
from limner.core.outputs import (
    CentreOffsets,
    ClassLogits,
    DenseLogits,
    OutputKind,
    PixelMaps,
    PixelOutputs,
    PointBoxes,
    QueryBoxes,
    QueryMasks,
    TextMaps,
    resize_logits,
)
from limner.core.prediction import SCORE_THRESHOLD
from limner.decoding.boxes_of_points import point_scores

Heat = npt.NDArray[np.float32]
"""(*S) from 0 to 1."""

NO_BOX = (
    "No box of this class has a score of 0.5 or more there, so there is nothing to explain. Choose a "
    "location inside a box with --point or --region."
)

NOTHING_PREDICTED = (
    "No pixel is predicted as this class, so there is nothing to explain. Choose a location with --point or "
    "--region to see the evidence for the class there."
)


def _grad_cam(activation: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    return (gradient.mean(tuple(range(1, gradient.ndim)), keepdim=True) * activation).sum(0)


def _hires_cam(activation: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    return (gradient * activation).sum(0)


def _layer_cam(activation: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    return (gradient.clamp(min=0) * activation).sum(0)


METHODS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "gradcam": _grad_cam,
    "hirescam": _hires_cam,
    "layercam": _layer_cam,
}
"""Name -> activation (F, *s) and its gradient -> map (*s)."""


def explainable_layers(network: nn.Module, images: torch.Tensor) -> dict[str, tuple[int, ...]]:
    """Return the layers whose output is a feature map, with its (F, *s), in execution order.

    Layers that are run several times, such as heads that all levels of a pyramid share, have no single map.

    Args:
        network: In evaluation mode.
        images: (1, C, *S), normalised network input.
    """
    found: dict[str, tuple[int, ...]] = {}
    runs: Counter[str] = Counter()
    dims = images.ndim

    def note(name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            runs[name] += 1
            if isinstance(output, torch.Tensor) and output.ndim == dims and output.is_floating_point():
                found[name] = tuple(output.shape[1:])

        return hook

    hooks = [m.register_forward_hook(note(name)) for name, m in network.named_modules() if name]
    try:
        with torch.no_grad():
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: shape for name, shape in found.items() if runs[name] == 1}


def default_layer(layers: dict[str, tuple[int, ...]], kind: OutputKind = DenseLogits) -> str:
    """Return the last layer with the coarsest map, which has the deepest features.

    Maps that were pooled further than the encoder's, such as those of pyramid pooling, show no places, and
    heads show scores instead of features. Of detectors the layer is one of the encoder, on which boxes of all
    sizes depend.

    Args:
        layers: As `explainable_layers` returns them.
        kind: Kind of output of the network.
    """
    sizes = {name: prod(shape[1:]) for name, shape in layers.items() if prod(shape[1:]) > 1}
    encoder = {name: size for name, size in sizes.items() if name.startswith("backbone.")}
    if kind in (PointBoxes, QueryBoxes) and encoder:
        sizes = encoder
    features = {name: size for name, size in sizes.items() if not name.partition(".")[0].endswith("head")}
    coarsest = min((encoder or features or sizes).values())
    return [name for name, size in (features or sizes).items() if size == coarsest][-1]


def activation_maps(
    network: nn.Module,
    images: torch.Tensor,
    *,
    layer: str,
    class_index: int,
    target: npt.NDArray[np.bool_] | None = None,
    size: tuple[int, ...] | None = None,
) -> dict[str, Heat]:
    """Return method -> heat map of the evidence for a class, of the whole image or at the target.

    Args:
        network: In evaluation mode; its parameters get no gradients.
        images: (1, C, *S), normalised network input.
        layer: A name of `explainable_layers`.
        class_index: The class, 0..K-1.
        target: (*S) pixels whose scores are explained; defaults to those predicted as the class.
        size: *S of target and heat maps; defaults to that of `images`.

    Raises:
        UnknownNameError: The layer does not exist.
        ConfigError: The scores do not depend on the layer; no pixel is predicted as the class, and no target
            is given; no box touches the target; or a target is given, and the classes are those of whole
            images.
    """
    modules = dict(network.named_modules())
    if layer not in modules:
        raise UnknownNameError("layer", layer, [name for name in modules if name])
    size = size or tuple(images.shape[2:])
    kept: list[torch.Tensor] = []

    def keep(module: nn.Module, inputs: object, output: torch.Tensor) -> torch.Tensor:
        kept[:] = [output if output.requires_grad else output.detach().requires_grad_()]
        # Pass on a copy, so that an in-place ReLU cannot change the stored activation.
        return kept[0].clone()

    hook = modules[layer].register_forward_hook(keep)
    try:
        with torch.enable_grad():
            score = _explained_score(network(images), class_index, target, size)
            (gradient,) = torch.autograd.grad(score, kept[0], allow_unused=True)
    finally:
        hook.remove()
    if gradient is None:
        raise ConfigError(
            f"The class scores do not depend on the layer {layer!r}; it may move boxes only. Choose another "
            "of those that --layers lists."
        )
    activation = kept[0].detach()[0].float()
    return {name: scaled_heat(way(activation, gradient[0].float()), size) for name, way in METHODS.items()}


def _explained_score(
    outputs: PixelOutputs | PixelMaps | PointBoxes | QueryBoxes | ClassLogits,
    class_index: int,
    target: npt.NDArray[np.bool_] | None,
    size: tuple[int, ...],
) -> torch.Tensor:
    """Return the scalar that is explained: the score of the image, or the sum of those at the target."""
    if isinstance(outputs, ClassLogits):
        if target is not None:
            raise ConfigError(
                "--point and --region are for classes of pixels; this model predicts classes of whole images."
            )
        return outputs.logits[0, class_index].float()
    if isinstance(outputs, QueryBoxes):
        return _score_of_boxes(outputs, class_index, target, size)
    is_set = isinstance(outputs, (PointBoxes, QueryMasks, TextMaps))
    scores = _pixel_scores(outputs, size)
    pixels = _target(scores, class_index, target, least=SCORE_THRESHOLD if is_set else None)
    return scores[class_index][pixels].sum()


def _score_of_boxes(
    outputs: QueryBoxes, class_index: int, target: npt.NDArray[np.bool_] | None, size: tuple[int, ...]
) -> torch.Tensor:
    """Return the sum of the scores of boxes of a class, or the highest of a box that touches the target."""
    scores = outputs.class_logits[0, :, class_index].float().sigmoid()
    if target is None:
        chosen = scores >= SCORE_THRESHOLD
        if not bool(chosen.any()):
            raise ConfigError(NO_BOX)
        return scores[chosen].sum()
    height, width = size
    rows, columns = np.nonzero(target)
    left, top, right, bottom = as_corners(outputs.boxes[0].detach().float()).T
    covers = (left * width < columns.max() + 1) & (right * width > columns.min())
    covers &= (top * height < rows.max() + 1) & (bottom * height > rows.min())
    if not bool(covers.any()):
        raise ConfigError(NO_BOX)
    return scores[covers].amax()


def _pixel_scores(outputs: PixelOutputs | PixelMaps | PointBoxes, size: Sequence[int]) -> torch.Tensor:
    """Return class scores (K, *S).

    For mask sets, the sum over the masks that cover a pixel; for boxes, the highest of the points around it.
    """
    if isinstance(outputs, PointBoxes):
        return _scores_of_points(outputs, size)
    if isinstance(outputs, TextMaps):
        return outputs.resized(size).logits[0].float().sigmoid()
    if isinstance(outputs, DenseLogits):
        return resize_logits(outputs.logits.float(), size)[0]
    if isinstance(outputs, CentreOffsets):
        return resize_logits(outputs.class_logits.float(), size)[0]
    assert isinstance(outputs, QueryMasks), f"no scores of pixels: {type(outputs).__name__}"
    chances = outputs.class_logits[0].float().softmax(-1)[:, :-1]
    covered = torch.einsum("qk,qhw->khw", chances, outputs.mask_logits[0].float().sigmoid())
    return resize_logits(covered[None], size)[0]


def _scores_of_points(outputs: PointBoxes, size: Sequence[int]) -> torch.Tensor:
    """Return (K, H, W): the highest score of the levels at each pixel."""
    scores, strides = point_scores(outputs.class_logits[0].float().sigmoid()), outputs.points[:, 2]
    levels = []
    for stride in torch.unique(strides):
        own = strides == stride
        width = len(torch.unique(outputs.points[own, 0]))
        maps = scores[own].T.reshape(scores.shape[1], -1, width)
        levels.append(resize_logits(maps[None], size)[0])
    return torch.stack(levels).amax(0)


def _target(
    scores: torch.Tensor, class_index: int, target: npt.NDArray[np.bool_] | None, *, least: float | None
) -> torch.Tensor:
    if target is not None:
        pixels = torch.from_numpy(target).to(scores.device)
    else:
        pixels = scores.argmax(0) == class_index
        pixels = pixels if least is None else pixels & (scores[class_index] >= least)
    if not bool(pixels.any()):
        raise ConfigError(NOTHING_PREDICTED)
    return pixels


def scaled_heat(values: torch.Tensor, size: tuple[int, ...]) -> Heat:
    """Clip to positive evidence, scale to 0..1 and resize to the image.

    Args:
        values: (*s).
        size: *S.
    """
    positive = values.clamp(min=0)[None, None]
    heat = resize_logits(positive, size)[0, 0]
    return np.asarray((heat / heat.max().clamp(min=1e-12)).cpu().numpy(), np.float32)
