"""The probability of text at each pixel of an image, from all windows and views.

Shape legend: H and W height and width of the map.
"""

import numpy as np
import numpy.typing as npt
import torch

from limner.core.outputs import Outputs, TextMaps, resize_logits
from limner.decoding.network_runs import ImageView, NetworkRuns
from limner.decoding.view_parts import joined


def mean_probabilities(runs: NetworkRuns) -> npt.NDArray[np.float32]:
    """Run the network on an image in all its windows and views, and average the probabilities.

    Returns:
        (H, W): at the network's resolution if there is one plain view, else at the image's.
    """
    if runs.fits_in_one_pass:
        (view,) = runs.views()
        return _numpy(_logits_of(view).sigmoid())
    views = [resize_logits(v.undo_flip(_logits_of(v)), runs.size).sigmoid() for v in runs.views()]
    return _numpy(torch.stack(views).mean(0))


def _logits_of(view: ImageView) -> torch.Tensor:
    """Return the logits (1, 1, H, W) of one view, its parts joined."""
    return joined(view, lambda outputs, _: as_text_maps(outputs).logits.float())


def as_text_maps(outputs: Outputs) -> TextMaps:
    """Return text maps, as planning has made sure they are."""
    assert isinstance(outputs, TextMaps), f"no text maps: {type(outputs).__name__}"
    return outputs


def _numpy(maps: torch.Tensor) -> npt.NDArray[np.float32]:
    array: npt.NDArray[np.float32] = maps[0, 0].cpu().numpy()
    return array
