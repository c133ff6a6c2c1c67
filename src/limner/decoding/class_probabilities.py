"""Probabilities of the classes of a whole image.

Shape legend: K classes.
"""

import numpy as np
import numpy.typing as npt
import torch

from limner.core.errors import ConfigError
from limner.core.outputs import ClassLogits, Outputs
from limner.decoding.network_runs import NetworkRuns


def predict_image_classes(runs: NetworkRuns, *, exclusive: bool) -> npt.NDArray[np.float32]:
    """Return (K,) the probability of each class, averaged over the views.

    Args:
        runs: Runs of the network on the image.
        exclusive: Whether an image has one class, so that the probabilities sum to 1.
    """
    chances = [_probabilities(view.whole(), exclusive=exclusive) for view in runs.views()]
    mean = torch.stack(chances).mean(0)
    return np.asarray(mean.cpu().numpy(), np.float32)


def _probabilities(outputs: Outputs, *, exclusive: bool) -> torch.Tensor:
    if not isinstance(outputs, ClassLogits):
        raise ConfigError(
            f"Classes of whole images need a network that returns ClassLogits; found "
            f"{type(outputs).__name__}."
        )
    logits = outputs.logits[0].float()
    return logits.softmax(0) if exclusive else logits.sigmoid()
