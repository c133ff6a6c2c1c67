"""Evidence for a class in a volume: in a window around it, or in the slice that shows most of it.

Shape legend: *S size of the file's volume, D, H, W its axes, h, w size of a picture.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from limner.analysis.class_activation import NOTHING_PREDICTED
from limner.analysis.volume_activation import window_around
from limner.api.explanation import Drawing, evidence_for, pixels_as_seen
from limner.core.errors import ConfigError
from limner.core.picture import Picture
from limner.drawing.display import display_image, resize_nearest, resize_picture
from limner.images.read_image import read_image
from limner.inference.fitted_images import fit_images
from limner.inference.predictor import Predictor
from limner.inference.seen_image import SeenImage
from limner.transforms.orthogonal_views import orthogonal_views
from limner.transforms.resize_array import resize_image
from limner.transforms.slices import slice_of

LEAST_SIDE = 400
"""Minimum of the longer side of pictures, in pixels."""

Mask = npt.NDArray[np.bool_]
Point = tuple[int, ...]
"""(x, y, z) of a voxel, counted along the file's axes from 0."""


def explained_volume(
    predictor: Predictor, image: Path, class_names: Sequence[str], *, layer: str | None, point: Point | None
) -> list[Drawing]:
    """Compute and picture the evidence for classes in a volume.

    Args:
        predictor: The model.
        image: The volume.
        class_names: The classes.
        layer: As in `explain`.
        point: The voxel whose score is explained; None explains those that are predicted as the class.

    Raises:
        ConfigError: The point is outside the volume, or no voxel is predicted as a class.
    """
    picture, seen = read_volume(predictor, image)
    size = tuple(picture.array.shape[:3])
    voxel = None if point is None else _mask_of(point, size)
    predicted = None
    if voxel is None:
        predicted = predictor.predict(picture, name=image.name).semantic
    drawings = []
    for name in dict.fromkeys(class_names):
        index = predictor.labels.names.index(name)
        marked = voxel if predicted is None else predicted == index
        assert marked is not None, "either a voxel or the predicted ones"
        if not marked.any():
            raise ConfigError(NOTHING_PREDICTED)
        draw = _of_window if predictor.plan.input.slice_axis is None else _of_slice
        drawings.append(draw(predictor, picture, seen, marked, name, layer))
    return drawings


def read_volume(predictor: Predictor, image: Path) -> tuple[Picture, SeenImage]:
    """Read a volume, and return it as it is and as the network sees it.

    Raises:
        DataError: It cannot be read, or does not match the model's input.
    """
    picture = read_image(image)
    seen = predictor.prepare(
        picture.array, picture.geometry, where=str(image), stored_dtype=picture.stored_dtype
    )
    return picture, seen


def middle_input(predictor: Predictor, image: Path) -> torch.Tensor:
    """Return a normalised input of the network from the middle of a volume."""
    picture, seen = read_volume(predictor, image)
    size = tuple(picture.array.shape[:3])
    marked = np.zeros(size, bool)
    marked[tuple(side // 2 for side in size)] = True
    axis = predictor.plan.input.slice_axis
    if axis is None:
        return window_around(predictor, seen, marked).inputs
    return _slice_input(predictor, seen, axis, seen.size[axis] // 2)


def _of_window(
    predictor: Predictor, picture: Picture, seen: SeenImage, marked: Mask, name: str, layer: str | None
) -> Drawing:
    """Explain voxels of a network in three dimensions, in three orthogonal views through most of them."""
    window = window_around(predictor, seen, marked)
    network, names = predictor.model.network.eval(), predictor.labels.names
    evidence = evidence_for(network, window.inputs, names, name, layer, window.own(marked))
    volumes = {method: window.in_volume(heat) for method, heat in evidence.heats.items()}
    most = marked.astype(np.uint8)
    view, target = orthogonal_views(picture.array, picture.geometry, most)
    assert target is not None, "labels were given"
    heats = {
        method: np.clip(orthogonal_views(heat[..., None], picture.geometry, most)[0][..., 0], 0, 1)
        for method, heat in volumes.items()
    }
    return _enlarged(Drawing(evidence.with_heats(volumes), display_image(view), heats, target > 0))


def _of_slice(
    predictor: Predictor, picture: Picture, seen: SeenImage, marked: Mask, name: str, layer: str | None
) -> Drawing:
    """Explain pixels of a network in two dimensions, in the slice that shows most of the marked voxels."""
    axis = predictor.plan.input.slice_axis
    assert axis is not None, "only such plans have slices"
    turned = seen.turn.apply(marked)
    place = int(turned.sum(axis=tuple(a for a in range(3) if a != axis)).argmax())
    target = np.ascontiguousarray(turned.take(place, axis))
    inputs = _slice_input(predictor, seen, axis, place)
    network, names = predictor.model.network.eval(), predictor.labels.names
    own = pixels_as_seen(target, inputs)
    evidence = evidence_for(network, inputs, names, name, layer, own)
    heats = {m: resize_image(heat[..., None], target.shape)[..., 0] for m, heat in evidence.heats.items()}
    shown = display_image(slice_of(seen.turn.apply(picture.array), axis, place))
    return _enlarged(Drawing(evidence.with_heats(heats), shown, heats, target))


def _enlarged(drawing: Drawing) -> Drawing:
    """Return a drawing of at least `LEAST_SIDE` pixels: volumes have few voxels."""
    height, width = drawing.shown.shape[:2]
    factor = -(-LEAST_SIDE // max(height, width))
    if factor == 1:
        return drawing
    size = (height * factor, width * factor)
    return replace(
        drawing,
        shown=resize_picture(drawing.shown, size),
        heats={name: resize_image(heat[..., None], size)[..., 0] for name, heat in drawing.heats.items()},
        target=None if drawing.target is None else resize_nearest(drawing.target, size),
    )


def _slice_input(predictor: Predictor, seen: SeenImage, axis: int, place: int) -> torch.Tensor:
    """Return the normalised input (1, C, h, w) for a slice."""
    values = slice_of(seen.values, axis, place, predictor.plan.input.slice_neighbours or 0)
    tensor = torch.from_numpy(values.astype(np.float32))[None].movedim(-1, 1).to(predictor.device)
    fitted = fit_images(tensor, predictor.plan.resize_for(predictor.settings))
    normalised: torch.Tensor = predictor.model.normalization(fitted)
    return normalised


def _mask_of(point: Point, size: tuple[int, ...]) -> Mask:
    place = tuple(reversed(point))
    if len(place) != 3 or not all(0 <= index < side for index, side in zip(place, size, strict=False)):
        depth, height, width = size
        raise ConfigError(
            f"A point in a volume is x,y,z, counted from 0: x in 0..{width - 1}, y in 0..{height - 1}, z in "
            f"0..{depth - 1}; found {','.join(map(str, point))}."
        )
    mask = np.zeros(size, bool)
    mask[place] = True
    return mask
