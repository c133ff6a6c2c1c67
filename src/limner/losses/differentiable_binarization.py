"""Loss of text maps: probability of cores, thresholds, and the binary map that both give.

Paper: Real-time Scene Text Detection with Differentiable Binarization (Liao et al., AAAI 2020),
https://arxiv.org/abs/1911.08947, section 3.3 and equation 2: B = 1 / (1 + exp(-k (P - T))). Authors' code:
https://github.com/MhLiao/DB (Apache-2.0 licence), whose weights are used: 5 for the probability, where the
paper says 1, 10 for the thresholds, 1 for the binary map.

What differs, and why: in batches with few or no words, the hardest thousandth of the pixels still counts.
With the authors' 3 background pixels for each pixel of a core, images without words would teach nothing.

Shape legend: B batch, K kinds of text, *s spatial axes of the outputs, H and W those of the targets.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from limner.core.errors import ConfigError
from limner.core.outputs import TextMaps
from limner.core.words import WordTargets
from limner.losses.masked_mean import mean_where
from limner.losses.text_targets import draw_text_targets


class DifferentiableBinarizationLoss(nn.Module):
    """Balanced cross-entropy of the probability, absolute error of the threshold, Dice of the binary map.

    Raises:
        ConfigError: A setting is out of range.
    """

    def __init__(
        self,
        *,
        probability_weight: float = 5.0,
        threshold_weight: float = 10.0,
        binary_weight: float = 1.0,
        steepness: float = 50.0,
        shrink: float = 0.4,
        negative_ratio: float = 3.0,
        least_negatives: float = 0.001,
    ) -> None:
        """Build the loss.

        Args:
            probability_weight: Factor of the cross-entropy of the probability.
            threshold_weight: Factor of the error of the threshold.
            binary_weight: Factor of the Dice loss of the binary map.
            steepness: k of the binary map.
            shrink: Size of the core of a word: it is shrunk by A (1 - shrink^2) / L.
            negative_ratio: Number of background pixels, the hardest, for each pixel of a core.
            least_negatives: Fraction of the pixels that counts as background at least, the hardest.
        """
        super().__init__()
        at_least_zero = {
            "probability_weight": probability_weight,
            "threshold_weight": threshold_weight,
            "binary_weight": binary_weight,
            "steepness": steepness,
            "negative_ratio": negative_ratio,
        }
        for name, value in at_least_zero.items():
            if not value >= 0:
                raise ConfigError(f"differentiable_binarization: {name} must be 0 or more; found {value}.")
        for name, value in {"shrink": shrink, "least_negatives": least_negatives}.items():
            if not 0 < value < 1:
                raise ConfigError(
                    f"differentiable_binarization: {name} must be between 0 and 1; found {value}."
                )
        self.probability_weight = probability_weight
        self.threshold_weight = threshold_weight
        self.binary_weight = binary_weight
        self.steepness = steepness
        self.shrink = shrink
        self.negative_ratio = negative_ratio
        self.least_negatives = least_negatives

    def forward(
        self, outputs: TextMaps, words: Sequence[WordTargets], size: tuple[int, int]
    ) -> dict[str, Tensor]:
        """Return the weighted terms, whose sum is the loss: ``probability``, ``threshold`` and ``binary``.

        Args:
            outputs: Of B images with K = 1, at any resolution; compared at that of the images.
            words: The words of each image, on the same device.
            size: H and W of the images.
        """
        targets = draw_text_targets(words, size, shrink=self.shrink)
        found = outputs.resized(size)
        logits = found.logits.float()
        cores = targets.cores & targets.known
        parts = {"probability": self.probability_weight * self._balanced(logits, cores, targets.known)}
        if found.threshold_logits is not None:
            thresholds = found.threshold_logits.float().sigmoid()
            error = (thresholds - targets.thresholds).abs()
            parts["threshold"] = self.threshold_weight * mean_where(error, targets.near)
            binary = (self.steepness * (logits.sigmoid() - thresholds)).sigmoid()
            parts["binary"] = self.binary_weight * _dice(binary * targets.known, cores)
        return parts

    def _balanced(self, logits: Tensor, cores: Tensor, known: Tensor) -> Tensor:
        """Return the mean cross-entropy of the cores and of the hardest background pixels."""
        of_pixel = F.binary_cross_entropy_with_logits(logits, cores.float(), reduction="none")
        background = known & ~cores
        num_positives, num_background = int(cores.sum()), int(background.sum())
        wanted = max(self.negative_ratio * num_positives, self.least_negatives * num_background, 1)
        num_negatives = min(num_background, int(wanted))
        hardest = (of_pixel * background).flatten().topk(num_negatives, sorted=False).values
        total = (of_pixel * cores).sum() + hardest.sum()
        return total / max(num_positives + num_negatives, 1)


def _dice(binary: Tensor, cores: Tensor) -> Tensor:
    """Return the Dice loss over the whole batch, 1 without any core."""
    shared = (binary * cores).sum()
    return 1 - 2 * shared / (binary.sum() + cores.sum()).clamp(min=1e-6)
