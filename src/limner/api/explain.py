"""`limner.explain()`: which parts of an image made a model predict a class."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from limner.analysis.class_activation import Heat, explainable_layers
from limner.analysis.query_attention import attention_layers
from limner.api.explain_volume import explained_volume, middle_input
from limner.api.explanation import (
    Drawing,
    Explanation,
    Target,
    draw_explanations,
    evidence_for,
    pixels_as_seen,
)
from limner.core.errors import ConfigError, UnknownNameError
from limner.core.wording import first_few
from limner.drawing.display import RGBImage, display_image
from limner.images.read_image import read_image
from limner.inference.ensemble import Ensemble
from limner.inference.load_predictor import load_predictor
from limner.inference.predictor import Predictor
from limner.storage.output_folder import make_output_folder, refuse_dataset, refuse_inside
from limner.storage.user_paths import user_path
from limner.transforms.fit_values import ValueRange
from limner.transforms.resize_array import resize_image

MOST_NAMES = 10
"""Maximum number of classes in an error message."""


def explain(
    model: Path | str | Predictor | Ensemble,
    image: Path | str,
    *,
    class_name: str,
    layer: str | None = None,
    point: tuple[int, ...] | None = None,
    region: tuple[int, int, int, int] | None = None,
    out: Path | str | None = None,
    value_range: ValueRange | None = None,
    device: str = "auto",
) -> Explanation:
    """Draw Grad-CAM, HiResCAM and LayerCAM of a class, and for query networks the attention of its queries.

    Args:
        model: A model folder, a run folder, or a loaded predictor; of a cross-validation, one of its runs.
        image: An image file.
        class_name: The class to explain.
        layer: A name in `explain_layers`; defaults to the last of the coarsest layers, and to the last
            attention layer.
        point: (x, y) of a single pixel whose score is explained; (x, y, z) of a voxel in a volume.
        region: (left, top, right, bottom) of the pixels whose scores are explained; right and bottom are
            excluded. Without point and region, all pixels predicted as the class.
        out: Folder for the overlays; None writes none.
        value_range: As in `load`.
        device: As in `load`.

    Raises:
        UnknownNameError: The model has no such class or layer.
        ConfigError: The target is outside the image, or no pixel is predicted as the class.
        ModelError: The model cannot be loaded.
        DataError: The image cannot be read, or the overlays would be among the images.
    """
    (found,) = explain_classes(
        model, image, class_names=[class_name], layer=layer, point=point, region=region, out=out,
        value_range=value_range, device=device,
    )  # fmt: skip
    return found


def explain_classes(
    model: Path | str | Predictor | Ensemble,
    image: Path | str,
    *,
    class_names: Sequence[str] = (),
    layer: str | None = None,
    point: tuple[int, ...] | None = None,
    region: tuple[int, int, int, int] | None = None,
    out: Path | str | None = None,
    value_range: ValueRange | None = None,
    device: str = "auto",
) -> tuple[Explanation, ...]:
    """Explain several classes as `explain` does, and draw them together, one class below the other.

    The last picture of the last explanation shows all classes. Without names, the most probable classes
    of a whole image are explained.
    """
    image = user_path(image)
    folder = None if out is None else _usable(user_path(out), image)
    predictor = _loaded(model, device, value_range)
    names = predictor.labels.names
    for name in class_names:
        if name not in names:
            raise UnknownNameError("class of this model", name, names)
    if predictor.plan.input.takes_volumes:
        if region is not None:
            raise ConfigError("--region is for images; for a volume, specify --point X,Y,Z.")
        if not class_names:
            raise _no_class(names)
        drawings = explained_volume(predictor, image, class_names, layer=layer, point=point)
    else:
        class_names = class_names or _first_classes(predictor, image)
        drawings = _explained_image(predictor, image, class_names, layer, point, region)
    if folder is None:
        return tuple(each.explanation for each in drawings)
    return draw_explanations(drawings, image=image, folder=folder)


def _explained_image(
    predictor: Predictor,
    image: Path,
    class_names: Sequence[str],
    layer: str | None,
    point: tuple[int, ...] | None,
    region: tuple[int, int, int, int] | None,
) -> list[Drawing]:
    """Compute the evidence for classes in an image."""
    inputs, shown = _prepared(predictor, image)
    size = (shown.shape[0], shown.shape[1])
    target = _target(size, point, region)
    seen_target = None if target is None else pixels_as_seen(target, inputs)
    network, names = predictor.model.network.eval(), predictor.labels.names
    drawings = []
    for name in dict.fromkeys(class_names):
        evidence = evidence_for(network, inputs, names, name, layer, seen_target, kind=predictor.kind)
        heats = _resized(evidence.heats, size)
        drawings.append(Drawing(evidence.with_heats(heats), shown, heats, target))
    return drawings


def _usable(folder: Path, image: Path) -> Path:
    """Create the folder of the overlays, and return it.

    Raises:
        DataError: It is among the images, or a dataset.
    """
    refuse_inside(folder, image.parent)
    refuse_dataset(folder)
    make_output_folder(folder)
    return folder


def _first_classes(predictor: Predictor, image: Path) -> list[str]:
    """Return the classes to explain if none is named."""
    prediction = predictor.predict(image)
    indices = predictor.task.explained_first(prediction)
    if not indices:
        raise _no_class(predictor.labels.names)
    return [predictor.labels.names[index] for index in indices]


def _no_class(names: Sequence[str]) -> ConfigError:
    known = first_few(names, MOST_NAMES)
    return ConfigError(f"Name the class to explain with --class ({known}), or list the layers with --layers.")


def explain_layers(
    model: Path | str | Predictor | Ensemble,
    image: Path | str,
    *,
    value_range: ValueRange | None = None,
    device: str = "auto",
) -> dict[str, tuple[int, ...]]:
    """Return layer for `explain` -> (features or queries, then its size) for this image."""
    predictor, image = _loaded(model, device, value_range), user_path(image)
    takes_volumes = predictor.plan.input.takes_volumes
    inputs = middle_input(predictor, image) if takes_volumes else _prepared(predictor, image)[0]
    network = predictor.model.network.eval()
    return explainable_layers(network, inputs) | attention_layers(network, inputs)


def _loaded(
    model: Path | str | Predictor | Ensemble, device: str, value_range: ValueRange | None
) -> Predictor:
    if isinstance(model, Predictor):
        return model
    if isinstance(model, Ensemble):
        raise ConfigError(
            f"`explain` takes a single model; found an average of {len(model.members)}. Pass one of them, "
            "such as predictor.members[0]."
        )
    return load_predictor(model, device=device, precision="float32", value_range=value_range)


def _prepared(predictor: Predictor, image: Path) -> tuple[torch.Tensor, RGBImage]:
    """Return the input of the network, and the image to draw on."""
    picture = read_image(image)
    images, _ = predictor.inputs(picture.array, where=str(image), stored_dtype=picture.stored_dtype)
    return predictor.model.normalization(images), display_image(picture.array)


def _resized(heats: Mapping[str, Heat], size: tuple[int, int]) -> dict[str, Heat]:
    """Return heat maps at the size of the image."""
    return {name: resize_image(heat[..., None], size)[..., 0] for name, heat in heats.items()}


def _target(
    size: tuple[int, int],
    point: tuple[int, ...] | None,
    region: tuple[int, int, int, int] | None,
) -> Target:
    if point is None and region is None:
        return None
    if point is not None and region is not None:
        raise ConfigError("Specify a point or a region, not both.")
    if region is None:
        assert point is not None
        if len(point) != 2:
            raise ConfigError(f"A point in an image is x,y; found {','.join(map(str, point))}.")
        region = (point[0], point[1], point[0] + 1, point[1] + 1)
    left, top, right, bottom = region
    height, width = size
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise ConfigError(
            f"The target is outside the image: found x {left} to {right - 1}, y {top} to {bottom - 1}; "
            f"expected x in 0..{width - 1} and y in 0..{height - 1}."
        )
    target = np.zeros(size, bool)
    target[top:bottom, left:right] = True
    return target
