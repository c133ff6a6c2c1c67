"""`limner.explain()`: which parts of an image made a model predict a class."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from limner.analysis.class_activation import (
    Heat,
    activation_maps,
    default_layer,
    explainable_layers,
)
from limner.analysis.query_attention import ATTENTION, attention_layers, attention_map
from limner.core.errors import ConfigError, UnknownNameError
from limner.drawing.display import display_image
from limner.drawing.heat import heat_overlay
from limner.drawing.panels import Panel, side_by_side
from limner.drawing.png import encode_png
from limner.images.read_image import read_image
from limner.inference.load_predictor import load_predictor
from limner.inference.predictor import Predictor
from limner.storage.filled_folder import filled_folder
from limner.storage.output_folder import make_output_folder, refuse_dataset, refuse_inside
from limner.storage.whole_files import write_whole
from limner.transforms.fit_values import ValueRange


@dataclass(frozen=True)
class Explanation:
    """Evidence for a class.

    Attributes:
        layer: Layer of the features.
        heats: Method -> (H, W) from 0 to 1.
        pictures: Overlay of each method, then all side by side; empty without an output folder.
        attention_layer: Layer of the attention of a query network; None for other networks.
    """

    layer: str
    heats: dict[str, Heat]
    pictures: tuple[Path, ...]
    attention_layer: str | None = None


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
    if out is not None:
        out = Path(out).expanduser()
        refuse_inside(out, Path(image).parent)
        refuse_dataset(out)
        make_output_folder(out)
    predictor, inputs, shown = _prepared(model, image, device, value_range)
    names = predictor.labels.names
    if class_name not in names:
        raise UnknownNameError("class of this model", class_name, names)
    network = predictor.model.network.eval()
    features, looks = explainable_layers(network, inputs), attention_layers(network, inputs)
    chosen = layer if layer and layer not in looks else default_layer(features)
    index = names.index(class_name)
    target = _target((int(inputs.shape[2]), int(inputs.shape[3])), point, region)
    heats = activation_maps(network, inputs, layer=chosen, class_index=index, target=target)
    where, look = chosen, None
    if looks:
        look = layer if layer in looks else list(looks)[-1]
        heats[ATTENTION] = attention_map(network, inputs, layer=look, class_index=index, target=target)
        where = f"{chosen}, attention at {look}"
    pictures: tuple[Path, ...] = ()
    if out is not None:
        overlays = {name: heat_overlay(shown, heat, target=target) for name, heat in heats.items()}
        title = f"{Path(image).name}: evidence for {class_name}, at {where}"
        panels = [Panel("image", shown), *(Panel(name, picture) for name, picture in overlays.items())]
        drawn = overlays | {"all": side_by_side(panels, title=title)}
        pictures = tuple(out / f"{Path(image).stem}_{class_name}_{name}.png" for name in drawn)
        with filled_folder(out, by="explain", files=pictures):
            for path, picture in zip(pictures, drawn.values(), strict=True):
                write_whole(path, encode_png(picture))
    return Explanation(chosen, heats, pictures, look)


def explain_layers(
    model: Path | str | Predictor,
    image: Path | str,
    *,
    value_range: ValueRange | None = None,
    device: str = "auto",
) -> dict[str, tuple[int, ...]]:
    """Return layer for `explain` -> (features or queries, height, width) for this image."""
    predictor, inputs, _ = _prepared(model, image, device, value_range)
    network = predictor.model.network.eval()
    return explainable_layers(network, inputs) | attention_layers(network, inputs)


def _prepared(
    model: Path | str | Predictor, image: Path | str, device: str, value_range: ValueRange | None
) -> tuple[Predictor, torch.Tensor, npt.NDArray[np.uint8]]:
    """Return the predictor, the input of its network, and the image to draw on."""
    if isinstance(model, Predictor):
        predictor = model
    else:
        predictor = load_predictor(model, device=device, precision="float32", value_range=value_range)
    if predictor.plan.input.spatial_dims != 2:
        raise ConfigError("Class activation needs 2D images; this model takes volumes.")
    pixels = read_image(Path(image)).array
    fitted = np.ascontiguousarray(predictor.fit(pixels, where=str(image)))
    values = torch.from_numpy(fitted.astype(np.float32))[None].movedim(-1, 1).to(predictor.device)
    return predictor, predictor.model.normalization(values), display_image(pixels)


def _target(
    size: tuple[int, int],
    point: tuple[int, int] | None,
    region: tuple[int, int, int, int] | None,
) -> npt.NDArray[np.bool_] | None:
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
