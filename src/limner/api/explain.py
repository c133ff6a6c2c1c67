"""`limner.explain()`: which parts of an image made a model predict a class."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from limner.analysis.class_activation import (
    Heat,
    activation_maps,
    default_layer,
    explainable_layers,
)
from limner.analysis.query_attention import ATTENTION, attention_layers, attention_map
from limner.core.errors import ConfigError, UnknownNameError
from limner.drawing.display import RGBImage, display_image
from limner.drawing.grid import Row, sheet
from limner.drawing.heat import heat_overlay
from limner.drawing.panels import Panel, side_by_side
from limner.drawing.png import encode_png
from limner.images.read_image import read_image
from limner.inference.fitted_images import fit_images
from limner.inference.load_predictor import load_predictor
from limner.inference.predictor import Predictor
from limner.storage.filled_folder import filled_folder
from limner.storage.output_folder import make_output_folder, refuse_dataset, refuse_inside
from limner.storage.user_paths import user_path
from limner.storage.whole_files import write_whole
from limner.transforms.fit_values import ValueRange
from limner.transforms.resize_array import resize_image

Target = npt.NDArray[np.bool_] | None
"""(H, W) the pixels whose score is explained; None for all that are predicted as the class."""


@dataclass(frozen=True)
class Explanation:
    """Evidence for a class.

    Attributes:
        class_name: The class.
        layer: Layer of the features.
        heats: Method -> (H, W) from 0 to 1.
        pictures: Overlay of each method, then all side by side; empty without an output folder.
        attention_layer: Layer of the attention of a query network; None for other networks.
    """

    class_name: str
    layer: str
    heats: dict[str, Heat]
    pictures: tuple[Path, ...]
    attention_layer: str | None = None

    @property
    def where(self) -> str:
        """The layers in words."""
        return self.layer + (f", attention at {self.attention_layer}" if self.attention_layer else "")


def explain(
    model: Path | str | Predictor,
    image: Path | str,
    *,
    class_name: str,
    layer: str | None = None,
    point: tuple[int, int] | None = None,
    region: tuple[int, int, int, int] | None = None,
    out: Path | str | None = None,
    value_range: ValueRange | None = None,
    device: str = "auto",
) -> Explanation:
    """Draw Grad-CAM, HiResCAM and LayerCAM of a class, and for query networks the attention of its queries.

    Args:
        model: A model folder, a run folder, or a loaded predictor.
        image: An image file.
        class_name: The class to explain.
        layer: A name in `explain_layers`; defaults to the last of the coarsest layers, and to the last
            attention layer.
        point: (x, y) of a single pixel whose score is explained.
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
    model: Path | str | Predictor,
    image: Path | str,
    *,
    class_names: Sequence[str] = (),
    layer: str | None = None,
    point: tuple[int, int] | None = None,
    region: tuple[int, int, int, int] | None = None,
    out: Path | str | None = None,
    value_range: ValueRange | None = None,
    device: str = "auto",
) -> tuple[Explanation, ...]:
    """Explain several classes as `explain` does, and draw them together, one class below the other.

    The picture of all classes is the last of the last explanation. Without names, the most probable classes
    of a whole image are explained.
    """
    image = user_path(image)
    folder = None if out is None else _usable(user_path(out), image)
    predictor, inputs, shown = _prepared(model, image, device, value_range)
    names = predictor.labels.names
    for name in class_names:
        if name not in names:
            raise UnknownNameError("class of this model", name, names)
    class_names = class_names or _first_classes(predictor, image)
    height, width = shown.shape[:2]
    target = _target((height, width), point, region)
    seen_target = _as_seen(target, inputs)
    found = []
    for name in dict.fromkeys(class_names):
        evidence = _evidence(predictor, inputs, name, layer, seen_target)
        found.append(replace(evidence, heats=_resized(evidence.heats, (height, width))))
    return tuple(found) if folder is None else _drawn(found, shown, target, image=image, folder=folder)


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
        raise ConfigError("Name the class to explain with --class, or list the layers with --layers.")
    return [predictor.labels.names[index] for index in indices]


def _evidence(
    predictor: Predictor, inputs: torch.Tensor, class_name: str, layer: str | None, target: Target
) -> Explanation:
    """Return the evidence for one class, at the size that the network sees, without pictures."""
    network, index = predictor.model.network.eval(), predictor.labels.names.index(class_name)
    features, looks = explainable_layers(network, inputs), attention_layers(network, inputs)
    chosen = layer if layer and layer not in looks else default_layer(features, predictor.kind)
    heats = activation_maps(network, inputs, layer=chosen, class_index=index, target=target)
    look = None
    if looks:
        look = layer if layer in looks else list(looks)[-1]
        heats[ATTENTION] = attention_map(network, inputs, layer=look, class_index=index, target=target)
    return Explanation(class_name, chosen, heats, (), look)


def _drawn(
    found: Sequence[Explanation], shown: RGBImage, target: Target, *, image: Path, folder: Path
) -> tuple[Explanation, ...]:
    """Write the overlays of each class, and of several classes one picture, and return what was written."""
    files: dict[Path, RGBImage] = {}
    written, rows = [], []
    for each in found:
        overlays = {name: heat_overlay(shown, heat, target=target) for name, heat in each.heats.items()}
        panels = [Panel("image", shown), *(Panel(name, picture) for name, picture in overlays.items())]
        title = f"{image.name}: evidence for {each.class_name}, at {each.where}"
        drawn = overlays | {"all": side_by_side(panels, title=title)}
        stem = f"{image.stem}_{_file_name(each.class_name)}"
        paths = {folder / f"{stem}_{name}.png": picture for name, picture in drawn.items()}
        files |= paths
        written.append(replace(each, pictures=tuple(paths)))
        rows.append(Row(each.class_name, tuple(panels)))
    if len(found) > 1:
        path = folder / f"{image.stem}_{'_'.join(_file_name(each.class_name) for each in found)}.png"
        title, columns = f"{image.name}: evidence at {found[0].where}", len(rows[0].panels)
        files[path] = sheet(rows, columns=columns, side=shown.shape[1], title=title)
        written[-1] = replace(written[-1], pictures=(*written[-1].pictures, path))
    with filled_folder(folder, by="explain", files=files):
        for path, picture in files.items():
            write_whole(path, encode_png(picture))
    return tuple(written)


def _file_name(class_name: str) -> str:
    return re.sub(r"[^\w.\-]+", "_", class_name)


def explain_layers(
    model: Path | str | Predictor,
    image: Path | str,
    *,
    value_range: ValueRange | None = None,
    device: str = "auto",
) -> dict[str, tuple[int, ...]]:
    """Return layer for `explain` -> (features or queries, height, width) for this image."""
    predictor, inputs, _ = _prepared(model, user_path(image), device, value_range)
    network = predictor.model.network.eval()
    return explainable_layers(network, inputs) | attention_layers(network, inputs)


def _prepared(
    model: Path | str | Predictor, image: Path, device: str, value_range: ValueRange | None
) -> tuple[Predictor, torch.Tensor, npt.NDArray[np.uint8]]:
    """Return the predictor, the input of its network, and the image to draw on."""
    if isinstance(model, Predictor):
        predictor = model
    else:
        predictor = load_predictor(model, device=device, precision="float32", value_range=value_range)
    if predictor.plan.input.spatial_dims != 2:
        raise ConfigError("Class activation needs 2D images; this model takes volumes.")
    pixels = read_image(image).array
    fitted = np.ascontiguousarray(predictor.fit(pixels, where=str(image)))
    values = torch.from_numpy(fitted.astype(np.float32))[None].movedim(-1, 1).to(predictor.device)
    values = fit_images(values, predictor.plan.resize_for(predictor.settings))
    return predictor, predictor.model.normalization(values), display_image(pixels)


def _as_seen(target: Target, inputs: torch.Tensor) -> Target:
    """Return the target at the size of the network's input; every one of its pixels stays in it."""
    size = tuple(inputs.shape[2:])
    if target is None or target.shape == size:
        return target
    pooled = F.adaptive_max_pool2d(torch.from_numpy(target).float()[None], size)
    return np.asarray(pooled[0].numpy() > 0)


def _resized(heats: Mapping[str, Heat], size: tuple[int, int]) -> dict[str, Heat]:
    """Return heat maps at the size of the image."""
    return {name: resize_image(heat[..., None], size)[..., 0] for name, heat in heats.items()}


def _target(
    size: tuple[int, int],
    point: tuple[int, int] | None,
    region: tuple[int, int, int, int] | None,
) -> Target:
    if point is None and region is None:
        return None
    if point is not None and region is not None:
        raise ConfigError("Specify a point or a region, not both.")
    if region is None:
        assert point is not None
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
