"""Evidence for a class, as computed and drawn for images and volumes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

from limner.analysis.class_activation import Heat, activation_maps, default_layer, explainable_layers
from limner.analysis.query_attention import ATTENTION, attention_layers, attention_map
from limner.core.outputs import DenseLogits, OutputKind
from limner.drawing.display import RGBImage
from limner.drawing.grid import Row, sheet
from limner.drawing.heat import heat_overlay
from limner.drawing.panels import Panel, side_by_side
from limner.drawing.png import encode_png
from limner.images.file_names import image_stem
from limner.storage.filled_folder import filled_folder
from limner.storage.whole_files import write_whole

Target = npt.NDArray[np.bool_] | None
"""(*S) the pixels whose score is explained; None for all that are predicted as the class."""


@dataclass(frozen=True)
class Explanation:
    """Evidence for a class.

    Attributes:
        class_name: The class.
        layer: Layer of the features.
        heats: Method -> (*S) from 0 to 1, at the size of the image, the slice or the volume.
        pictures: Overlay of each method, then all side by side; empty without an output folder.
        attention_layer: Layer of the attention of a query network; None for other networks.
    """

    class_name: str
    layer: str
    heats: dict[str, Heat]
    pictures: tuple[Path, ...]
    attention_layer: str | None = None

    def with_heats(self, heats: dict[str, Heat]) -> "Explanation":
        """Return the explanation with other heat maps."""
        return replace(self, heats=heats)

    @property
    def where(self) -> str:
        """The layers in words."""
        return self.layer + (f", attention at {self.attention_layer}" if self.attention_layer else "")


def evidence_for(
    network: nn.Module,
    inputs: torch.Tensor,
    names: Sequence[str],
    class_name: str,
    layer: str | None,
    target: Target,
    *,
    kind: OutputKind = DenseLogits,
) -> Explanation:
    """Return the evidence for one class, at the size that the network sees, without pictures."""
    features, looks = explainable_layers(network, inputs), attention_layers(network, inputs)
    chosen = layer if layer and layer not in looks else default_layer(features, kind)
    index = names.index(class_name)
    heats = activation_maps(network, inputs, layer=chosen, class_index=index, target=target)
    look = None
    if looks:
        look = layer if layer in looks else list(looks)[-1]
        heats[ATTENTION] = attention_map(network, inputs, layer=look, class_index=index, target=target)
    return Explanation(class_name, chosen, heats, (), look)


def pixels_as_seen(target: npt.NDArray[np.bool_], inputs: torch.Tensor) -> npt.NDArray[np.bool_]:
    """Return pixels (H, W) at the size of the network's input; every one of them stays in it."""
    size = tuple(inputs.shape[2:])
    if target.shape == size:
        return target
    pooled = F.adaptive_max_pool2d(torch.from_numpy(target).float()[None], size)
    return np.asarray(pooled[0].numpy() > 0)


@dataclass(frozen=True)
class Drawing:
    """What the overlays of a class are drawn on.

    Attributes:
        explanation: The class.
        shown: (h, w) the picture.
        heats: Method -> (h, w) from 0 to 1.
        target: (h, w) the explained pixels, to be outlined, or None.
    """

    explanation: Explanation
    shown: RGBImage
    heats: dict[str, Heat]
    target: Target


def draw_explanations(drawings: Sequence[Drawing], *, image: Path, folder: Path) -> tuple[Explanation, ...]:
    """Write the overlays of each class, and of several classes one picture, and return what was written."""
    files: dict[Path, RGBImage] = {}
    written, rows = [], []
    name = image_stem(image.name)
    for each in drawings:
        overlays = {
            method: heat_overlay(each.shown, heat, target=each.target) for method, heat in each.heats.items()
        }
        panels = [Panel("image", each.shown)]
        panels += [Panel(method, picture) for method, picture in overlays.items()]
        explanation = each.explanation
        title = f"{image.name}: evidence for {explanation.class_name}, at {explanation.where}"
        drawn = overlays | {"all": side_by_side(panels, title=title)}
        stem = f"{name}_{_file_name(explanation.class_name)}"
        paths = {folder / f"{stem}_{method}.png": picture for method, picture in drawn.items()}
        files |= paths
        written.append(replace(explanation, pictures=tuple(paths)))
        rows.append(Row(explanation.class_name, tuple(panels)))
    if len(drawings) > 1:
        path = folder / f"{name}_{'_'.join(_file_name(each.class_name) for each in written)}.png"
        title, columns = f"{image.name}: evidence at {written[0].where}", len(rows[0].panels)
        files[path] = sheet(rows, columns=columns, side=drawings[0].shown.shape[1], title=title)
        written[-1] = replace(written[-1], pictures=(*written[-1].pictures, path))
    with filled_folder(folder, by="explain", files=files):
        for path, picture in files.items():
            write_whole(path, encode_png(picture))
    return tuple(written)


def _file_name(class_name: str) -> str:
    return re.sub(r"[^\w.\-]+", "_", class_name)
