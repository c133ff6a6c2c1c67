"""Boxes of queries: the heads that score and move them, and proposals around the pixels of a pyramid.

Paper: Deformable DETR (Zhu et al., ICLR 2021), https://arxiv.org/abs/2010.04159; RT-DETR has the same.

Boxes are middle x and y, width and height, as fractions of the image. Shape legend: B batch, Q queries, C
channels, K classes, M pixels of all levels.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from limner.layers.deformable_attention import Size, pixel_centres

FIRST_SCORE = 0.01
"""Score of every class at the start (RetinaNet, Lin et al., ICCV 2017)."""

LEAST = 1e-5
"""Distance from 0 and 1 at which logits are cut off."""

PROPOSAL_SIDE = 0.05
"""Side of boxes around pixels of the finest level, as a fraction of the image; each level doubles it."""

INSIDE = 0.01
"""Proposals nearer to the border than this fraction of the image are left out."""


class BoxHead(nn.Module):
    """MLP of three layers: a query to the move of its box, at first none."""

    def __init__(self, channels: int, *, first_side: float = 0.0) -> None:
        """Build the head; `first_side` is what it adds to the logits of width and height at the start."""
        super().__init__()
        self.hidden = nn.ModuleList(nn.Linear(channels, channels) for _ in range(2))
        self.last = nn.Linear(channels, 4)
        nn.init.zeros_(self.last.weight)
        with torch.no_grad():
            self.last.bias.copy_(torch.tensor([0.0, 0.0, first_side, first_side]))

    def forward(self, queries: Tensor) -> Tensor:
        """Map (B, Q, C) to (B, Q, 4), before the sigmoid."""
        for linear in self.hidden:
            queries = F.relu(linear(queries))
        result: Tensor = self.last(queries)
        return result


def score_head(channels: int, num_classes: int) -> nn.Linear:
    """Return a linear layer from queries (B, Q, C) to logits (B, Q, K), low for all classes at the start."""
    linear = nn.Linear(channels, num_classes)
    nn.init.constant_(linear.bias, math.log(FIRST_SCORE / (1 - FIRST_SCORE)))
    return linear


def moved_boxes(moves: Tensor, references: Tensor) -> Tensor:
    """Return boxes (B, Q, 4) at reference points (B, Q, 2), or from reference boxes (B, Q, 4), and moves."""
    start = logit(references.float())
    missing = moves.shape[-1] - start.shape[-1]
    return (moves.float() + F.pad(start, (0, missing))).sigmoid()


def logit(values: Tensor) -> Tensor:
    """Return the inverse of the sigmoid, finite for values of 0 and 1."""
    return (values.clamp(min=LEAST) / (1 - values).clamp(min=LEAST)).log()


def pixel_proposals(sizes: Sequence[Size], *, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return a box (M, 4) around each pixel before the sigmoid, and (M,) whether it is inside the image.

    Args:
        sizes: Height and width of each level, the finest first.
        like: Tensor whose device and dtype are used.
    """
    centres = pixel_centres(sizes, like=like)[0, :, 0]
    sides = torch.cat(
        [
            torch.full((height * width, 2), PROPOSAL_SIDE * 2**level, device=like.device)
            for level, (height, width) in enumerate(sizes)
        ]
    )
    boxes = torch.cat((centres, sides), 1)
    inside = ((boxes > INSIDE) & (boxes < 1 - INSIDE)).all(1)
    return (boxes / (1 - boxes)).log().masked_fill(~inside[:, None], torch.inf), inside
