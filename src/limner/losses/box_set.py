"""Set prediction loss of boxes: true boxes are matched with queries one to one, at every decoder layer.

Papers: DETR (Carion et al., ECCV 2020), https://arxiv.org/abs/2005.12872; with focal loss, Deformable DETR
(Zhu et al., ICLR 2021), https://arxiv.org/abs/2010.04159, whose settings are the defaults. Authors' code:
https://github.com/fundamentalvision/Deformable-DETR (Apache-2.0 licence). With scores that say how good the
box is, and copies of true boxes to restore: RT-DETR (Zhao et al., CVPR 2024),
https://arxiv.org/abs/2304.08069.

Shape legend: B batch, L decoder layers, Q queries, K classes, N true boxes of an image, M pairs of an image.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from limner.core.box_geometry import as_corners, as_middles, generalized_ious, paired_generalized_ious
from limner.core.boxes import BoxTargets
from limner.core.errors import ConfigError
from limner.core.outputs import NOTHING, DenoisedBoxes, QueryBoxes
from limner.losses.focal import binary_focal_costs
from limner.losses.matching import Matches, assign
from limner.losses.query_scores import SCORE_LOSSES
from limner.losses.verified_classes import verified_classes


@dataclass(frozen=True)
class _Truth:
    """The true boxes of one image: middle and size (N, 4) as fractions of the image, and labels (N,)."""

    boxes: Tensor
    labels: Tensor


@dataclass(frozen=True)
class _Layers:
    """The outputs of several layers, stacked: logits (L, B, Q, K) and boxes (L, B, Q, 4)."""

    logits: Tensor
    boxes: Tensor

    @classmethod
    def of(cls, layers: Sequence[QueryBoxes]) -> "_Layers":
        logits = torch.stack([layer.class_logits for layer in layers]).float()
        return cls(logits, torch.stack([layer.boxes for layer in layers]).float())


class BoxSetLoss(nn.Module):
    """Loss of all queries' scores; absolute error and generalised IoU of matched boxes.

    In an image of which not all objects of a class are drawn, the score of that class counts only for queries
    that are matched with such an object.

    Raises:
        ConfigError: A setting is out of range.
    """

    def __init__(
        self,
        *,
        scores: Literal["focal", "varifocal"] = "focal",
        class_weight: float = 2.0,
        distance_weight: float = 5.0,
        overlap_weight: float = 2.0,
        class_cost: float | None = None,
    ) -> None:
        """Build the loss.

        Args:
            scores: Loss of the scores: ``focal`` learns 1 for objects, ``varifocal`` the IoU of their boxes.
            class_weight: Factor of the class term, in the loss and in the matching costs.
            distance_weight: The same for the absolute error of middle and size, as fractions of the image.
            overlap_weight: The same for the generalised IoU.
            class_cost: Factor of the class in the matching costs; None takes `class_weight`.
        """
        super().__init__()
        if scores not in SCORE_LOSSES:
            raise ConfigError(f"box_set: scores is {' or '.join(SCORE_LOSSES)}; found {scores!r}.")
        self.weights = {"class": class_weight, "distance": distance_weight, "overlap": overlap_weight}
        self.class_cost = class_weight if class_cost is None else class_cost
        numbers = {f"{name}_weight": value for name, value in self.weights.items()}
        for name, value in {**numbers, "class_cost": self.class_cost}.items():
            if not value >= 0:
                raise ConfigError(f"box_set: {name} must be 0 or more; found {value}.")
        self.score_loss = SCORE_LOSSES[scores]

    def forward(
        self, outputs: QueryBoxes, targets: Sequence[BoxTargets], size: tuple[int, int]
    ) -> dict[str, Tensor]:
        """Return the weighted terms, whose sum is the loss.

        All are sums over queries and layers, divided by the number of true boxes. The boxes of a first stage
        are compared regardless of class; those restored from noisy copies with the box that they are from.

        Args:
            outputs: Of B images, with those of earlier layers.
            targets: B targets in pixels of the input, on the same device.
            size: (H, W) of the input.
        """
        truth = [_truth_of(target, size) for target in targets]
        total = max(sum(len(image.labels) for image in truth), 1)
        verified = verified_classes(targets, outputs.class_logits.shape[2])
        stages = {"": (_Layers.of((outputs, *outputs.auxiliary)), truth)}
        if outputs.proposals is not None:
            objects = [_Truth(image.boxes, torch.zeros_like(image.labels)) for image in truth]
            stages["first_"] = (_Layers.of((outputs.proposals,)), objects)
        parts: dict[str, Tensor] = {}
        for (name, (layers, wanted)), matches in zip(
            stages.items(), self._matched(stages.values()), strict=True
        ):
            # A first stage separates objects of any class from the rest: there is no class to leave out.
            terms = self._terms(layers, wanted, matches, total, verified=None if name else verified)
            parts |= {f"{name}{term}": value for term, value in terms.items()}
        if outputs.denoised is not None:
            copies = outputs.denoised
            pairs = [_restored(copies, image, len(each.labels)) for image, each in enumerate(truth)]
            layers = _Layers.of(copies.layers)
            of_copies = self._terms(layers, truth, pairs, total * copies.groups, verified=verified)
            parts |= {f"noisy_{name}": value for name, value in of_copies.items()}
        return parts

    @torch.no_grad()
    def _matched(self, stages: Collection[tuple[_Layers, Sequence[_Truth]]]) -> list[list[Matches]]:
        """Return the pairs with the lowest costs of each stage, with one transfer to the host for all."""
        costs = [
            [self._costs(layers.logits[:, i], layers.boxes[:, i], image) for i, image in enumerate(truth)]
            for layers, truth in stages
        ]
        together = [cost for of_stage in costs for cost in of_stage]
        matches = iter(assign(together, device=together[0].device))
        return [[next(matches) for _ in of_stage] for of_stage in costs]

    def _terms(
        self,
        layers: _Layers,
        truth: Sequence[_Truth],
        matches: Sequence[Matches],
        total: int,
        *,
        verified: Tensor | None,
    ) -> dict[str, Tensor]:
        """Return the terms of given pairs; `verified` (B, K) says which classes count without an object."""
        logits, found, true, counted = [], [], [], []
        for i, (match, image) in enumerate(zip(matches, truth, strict=True)):
            layer = torch.arange(len(layers.logits), device=layers.logits.device)[:, None]
            labels = image.labels[match.segments]
            logits.append(layers.logits[:, i][layer, match.queries, labels].flatten())
            found.append(layers.boxes[:, i][layer, match.queries].flatten(0, 1))
            true.append(image.boxes[match.segments].flatten(0, 1))
            if verified is not None:
                counted.append(verified[i][labels].flatten())
        own, wanted, of_objects = torch.cat(found), torch.cat(true), torch.cat(logits)
        ious, overlaps = paired_generalized_ious(as_corners(own), as_corners(wanted))
        loss = self.score_loss
        of_nothing, instead_of = loss.of_nothing(layers.logits), loss.of_nothing(of_objects)
        if verified is not None:
            of_nothing, instead_of = of_nothing * verified[:, None], instead_of * torch.cat(counted)
        extra = loss.of_objects(of_objects, ious) - instead_of
        terms = {
            "class": of_nothing.sum() + extra.sum(),
            "distance": (own - wanted).abs().sum(),
            "overlap": (1 - overlaps).sum(),
        }
        return {name: self.weights[name] * value / total for name, value in terms.items()}

    def _costs(self, logits: Tensor, boxes: Tensor, truth: _Truth) -> Tensor:
        """Return the matching costs (L, Q, N) of an image."""
        one, zero = binary_focal_costs(logits)
        of_class = (one - zero)[..., truth.labels]
        flat = boxes.flatten(0, 1)
        distance = torch.cdist(flat, truth.boxes, p=1)
        overlap = generalized_ious(as_corners(flat), as_corners(truth.boxes))
        of_box = self.weights["distance"] * distance - self.weights["overlap"] * overlap
        return self.class_cost * of_class + of_box.view(of_class.shape)


def _restored(copies: DenoisedBoxes, image: int, num_boxes: int) -> Matches:
    """Return the pairs of copies and the true boxes that they are from, the same in each layer."""
    # Copies to restore first, in their order; how many there are is known, so that the host need not wait.
    is_nothing = (copies.truth[image] == NOTHING).int()
    queries = is_nothing.argsort(stable=True)[: num_boxes * copies.groups]
    pairs = torch.stack((queries, copies.truth[image, queries]))[:, None].expand(-1, len(copies.layers), -1)
    return Matches(*pairs)


def _truth_of(target: BoxTargets, size: tuple[int, int]) -> _Truth:
    height, width = size
    boxes, labels = target.counted()
    sides = torch.tensor([width, height] * 2, dtype=boxes.dtype).to(boxes.device, non_blocking=True)
    return _Truth(as_middles(boxes / sides), labels)
