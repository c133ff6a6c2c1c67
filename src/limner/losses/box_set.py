"""Set prediction loss of boxes: true boxes are matched with queries one to one, at every decoder layer.

Papers: DETR (Carion et al., ECCV 2020), https://arxiv.org/abs/2005.12872; with focal loss, Deformable DETR
(Zhu et al., ICLR 2021), https://arxiv.org/abs/2010.04159, whose settings are the defaults. Authors' code:
https://github.com/fundamentalvision/Deformable-DETR (Apache-2.0 licence).

Shape legend: B batch, L decoder layers, Q queries, K classes, N true boxes of an image, M pairs of an image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from limner.core.box_geometry import as_corners, as_middles, generalized_ious, paired_generalized_ious
from limner.core.boxes import BoxTargets
from limner.core.errors import ConfigError
from limner.core.outputs import QueryBoxes
from limner.losses.focal import binary_focal_costs
from limner.losses.matching import assign


@dataclass(frozen=True)
class _Truth:
    """The true boxes of one image: middle and size (N, 4) as fractions of the image, and labels (N,)."""

    boxes: Tensor
    labels: Tensor


class BoxSetLoss(nn.Module):
    """Focal loss of all queries' classes; absolute error and generalised IoU of matched boxes.

    Raises:
        ConfigError: A setting is out of range.
    """

    def __init__(
        self, *, class_weight: float = 2.0, distance_weight: float = 5.0, overlap_weight: float = 2.0
    ) -> None:
        """Build the loss.

        Args:
            class_weight: Factor of the class term, in the loss and in the matching costs.
            distance_weight: The same for the absolute error of middle and size, as fractions of the image.
            overlap_weight: The same for the generalised IoU.
        """
        super().__init__()
        self.weights = {"class": class_weight, "distance": distance_weight, "overlap": overlap_weight}
        for name, value in self.weights.items():
            if not value >= 0:
                raise ConfigError(f"box_set: {name}_weight must be 0 or more; found {value}.")

    def forward(
        self, outputs: QueryBoxes, targets: Sequence[BoxTargets], size: tuple[int, int]
    ) -> dict[str, Tensor]:
        """Return the weighted terms, whose sum is the loss.

        All are sums over queries and layers, divided by the number of true boxes. The boxes of a first stage
        are compared regardless of class.

        Args:
            outputs: Of B images, with those of earlier layers.
            targets: B targets in pixels of the input, on the same device.
            size: (H, W) of the input.
        """
        truth = [_truth_of(target, size) for target in targets]
        layers = (outputs, *outputs.auxiliary)
        total = max(sum(len(image.labels) for image in truth), 1)
        parts = self._terms(layers, truth, total)
        if outputs.proposals is not None:
            objects = [_Truth(image.boxes, torch.zeros_like(image.labels)) for image in truth]
            of_first = self._terms((outputs.proposals,), objects, total)
            parts |= {f"first_{name}": value for name, value in of_first.items()}
        return parts

    def _terms(self, layers: Sequence[QueryBoxes], truth: Sequence[_Truth], total: int) -> dict[str, Tensor]:
        logits = torch.stack([layer.class_logits for layer in layers]).float()  # (L, B, Q, K)
        boxes = torch.stack([layer.boxes for layer in layers]).float()
        with torch.no_grad():
            costs = [self._costs(logits[:, i], boxes[:, i], image) for i, image in enumerate(truth)]
            matches = assign(costs, device=logits.device)
        one, zero = binary_focal_costs(logits)
        found, true, extra = [], [], []
        for i, (match, image) in enumerate(zip(matches, truth, strict=True)):
            layer = torch.arange(len(layers), device=logits.device)[:, None]
            labels = image.labels[match.segments]
            extra.append((one[:, i] - zero[:, i])[layer, match.queries, labels].sum())
            found.append(boxes[:, i][layer, match.queries].flatten(0, 1))
            true.append(image.boxes[match.segments].flatten(0, 1))
        own, wanted = torch.cat(found), torch.cat(true)
        _, overlaps = paired_generalized_ious(as_corners(own), as_corners(wanted))
        terms = {
            "class": zero.sum() + torch.stack(extra).sum(),
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
        return self.weights["class"] * of_class + of_box.view(of_class.shape)


def _truth_of(target: BoxTargets, size: tuple[int, int]) -> _Truth:
    height, width = size
    single = target.xyxy[~target.is_ignored] / target.xyxy.new_tensor([width, height] * 2)
    return _Truth(as_middles(single), target.labels[~target.is_ignored])
