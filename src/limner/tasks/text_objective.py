"""Training on the cores of words and the thresholds around their outlines.

Shape legend: B batch, H and W height and width.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from limner.core.batch import Batch
from limner.core.labels import LabelTable
from limner.core.outputs import Outputs, TextMaps
from limner.core.plan import Decision, LossPlan, LossTerm
from limner.core.words import Words, WordTargets
from limner.losses.differentiable_binarization import DifferentiableBinarizationLoss
from limner.tasks.objective import Criterion, LossValue, Objective, OptimizerDefaults, only_term, unsuitable
from limner.tasks.situation import Situation

TERM = "differentiable_binarization"
"""Name of the loss."""

WORD, LINE = (40, 12), 24
"""Width and height of the words in cost measurements, and the distance of their lines, in pixels."""


class TextObjective(Objective):
    """Pixels learn whether they are in the core of a word, and the threshold of that probability."""

    losses = frozenset({TERM})
    optimizer = OptimizerDefaults(
        learning_rate=1e-3,
        weight_decay=0.01,
        gradient_norm=5.0,
        batch_on_cpu=8,
        source="limner's measurements on ICDAR 2015",
        # Four crops of photographs, DBNet with 64 channels: an h-mean of 0.96 after 100 steps; with 1e-3 the
        # first word was not found after 120.
        rate_from_scratch=3e-3,
    )

    def default_loss(
        self, situation: Situation, settled: Mapping[str, Any], network_loss: Mapping[str, Any]
    ) -> Iterator[Decision]:
        """Choose the only loss, with the options of the network."""
        reason = "each pixel predicts whether it is in the core of a word, and a threshold that sharpens it"
        yield Decision("loss.terms", (LossTerm(name=TERM, options=dict(network_loss)),), reason)
        yield Decision("loss.class_weights", None, "the loss balances text and background itself")

    def criterion(self, plan: LossPlan, *, labels: LabelTable) -> "TextCriterion":
        """Build the loss.

        Raises:
            ConfigError: As `TextCriterion`.
        """
        return TextCriterion(plan)

    def example(self, images: torch.Tensor) -> Batch:
        """Return a batch with a word in every line."""
        width, height = WORD
        corners = torch.tensor([[4, 4], [width, 4], [width, height], [4, height]], device=images.device)
        tops = torch.arange(0, images.shape[2] - height, LINE, device=images.device)
        points = corners + torch.stack((torch.zeros_like(tops), tops), 1)[:, None]
        words = WordTargets(
            points.reshape(-1, 2).float(),
            torch.full_like(tops, 4),
            torch.zeros_like(tops, dtype=torch.bool),
            ("word",) * len(tops),
        )
        return Batch(images, (), {Words: (words,) * len(images)})


class TextCriterion(Criterion):
    """The weighted loss of text maps.

    Raises:
        ConfigError: The plan has other losses or class weights, or an option is unknown.
    """

    def __init__(self, plan: LossPlan) -> None:
        super().__init__()
        term = only_term(plan, TERM, DifferentiableBinarizationLoss, networks="detect text")
        self.weight = term.weight
        self.text_loss = DifferentiableBinarizationLoss(**term.options)

    def loss(self, outputs: Outputs, batch: Batch) -> LossValue:
        """Compute the loss at the resolution of the images.

        Args:
            outputs: `TextMaps` with one kind of text, at any resolution.
            batch: With `Words`.

        Raises:
            ConfigError: The network has another kind of output, or several kinds of text.
        """
        if not isinstance(outputs, TextMaps) or outputs.logits.shape[1] != 1:
            raise unsuitable(outputs, needs=f"The loss {TERM!r} needs `TextMaps` with one map of logits")
        words = batch.get(Words)
        assert words is not None, "training needs labelled batches"
        height, width = batch.images.shape[2:]
        return LossValue.of(self.text_loss(outputs, words, (height, width)), weight=self.weight)
