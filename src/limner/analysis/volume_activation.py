"""The part of a volume whose evidence for a class is computed: one window, since gradients need much memory.

Shape legend: C channels, *S size of the file's volume, *s of what the network sees, *w of the window.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from limner.analysis.class_activation import Heat
from limner.core.outputs import resize_logits
from limner.core.prediction import middle_of
from limner.inference.predictor import Predictor
from limner.inference.seen_image import SeenImage
from limner.inference.sliding_window import pad_images

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class VolumeWindow:
    """A window of a volume around some voxels.

    Attributes:
        inputs: (1, C, *w) normalised input of the network; padded as for prediction if the volume is smaller.
        box: Place of the window in what the network sees.
        seen: The volume as the network sees it.
    """

    inputs: torch.Tensor
    box: tuple[slice, ...]
    seen: SeenImage

    def own(self, mask: Mask) -> Mask:
        """Return (*w) the part of a mask (*S) in the window; each of its voxels there stays in it."""
        turned = torch.from_numpy(np.ascontiguousarray(self.seen.turn.apply(mask))).float()
        pooled = torch.nn.functional.adaptive_max_pool3d(turned[None], self._seen_size)
        part = pooled[0][self.box].numpy() > 0
        window = self.inputs.shape[2:]
        pads = [((w - n) // 2, w - n - (w - n) // 2) for w, n in zip(window, part.shape, strict=True)]
        return np.asarray(np.pad(part, pads))

    def in_volume(self, heat: Heat) -> Heat:
        """Return a heat map (*w) of the window in the file's volume, (*S), with 0 around it."""
        extent = tuple(side.stop - side.start for side in self.box)
        whole = np.zeros(self._seen_size, np.float32)
        whole[self.box] = middle_of(heat, extent)
        resized = resize_logits(torch.from_numpy(whole)[None, None], self.seen.size)[0, 0].numpy()
        return np.ascontiguousarray(self.seen.turn.undo(resized))

    @property
    def _seen_size(self) -> tuple[int, ...]:
        return tuple(self.seen.values.shape[:-1])


def window_around(predictor: Predictor, seen: SeenImage, marked: Mask) -> VolumeWindow:
    """Return the window of the model's plan around voxels.

    Args:
        predictor: The model.
        seen: The volume.
        marked: (*S) the voxels, at least one.
    """
    places: npt.NDArray[Any] = np.argwhere(seen.turn.apply(marked))
    centre = places[np.square(places - places.mean(0)).sum(1).argmin()]
    size = seen.values.shape[:-1]
    window = predictor.settings.window or predictor.plan.input.crop_size
    box = []
    for place, file_side, side, length in zip(centre, seen.size, size, window, strict=True):
        middle = int((place + 0.5) * side / file_side)
        start = min(max(middle - length // 2, 0), max(side - length, 0))
        box.append(slice(start, min(start + length, side)))
    part = np.ascontiguousarray(seen.values[tuple(box)], np.float32)
    values = torch.from_numpy(part)[None].movedim(-1, 1).to(predictor.device)
    padded = pad_images(values, window, predictor.plan.fill_for(predictor.settings))
    return VolumeWindow(predictor.model.normalization(padded), tuple(box), seen)
