"""Set prediction loss: true segments are matched with queries one to one, at every decoder layer.

Paper: Mask2Former (Cheng et al., CVPR 2022), https://arxiv.org/abs/2112.01527; its settings are the defaults.
Authors' code: https://github.com/facebookresearch/Mask2Former (MIT licence).

What differs, and why: all layers and images are processed together, with one transfer to the host per step
for the assignment; the points for matching are sampled once per image instead of once per image and layer;
and masks are computed for matched queries only. In an image of which not all objects of a class are drawn, an
unmatched query may have found one of these, so that "no object" and all such classes together are the right
answer for it.

Shape legend: B batch, L decoder layers, Q queries, K classes, C channels, N true segments of an
image, M pairs of an image, P points, *s spatial axes of the features, *S those of the true masks.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, distributed, nn

from limner.core.errors import ConfigError
from limner.core.outputs import QueryMasks
from limner.core.segments import SegmentTargets
from limner.losses.focal import binary_focal_costs
from limner.losses.layer_features import LayerFeatures, at_points, features_of
from limner.losses.matching import Matches, Weights, assign, pairwise_costs
from limner.losses.points import sample_at, sample_masks_at, uncertain_points
from limner.losses.verified_classes import verified_classes

MASK_LOSSES = ("cross_entropy", "focal")


class SegmentSetLoss(nn.Module):
    """Cross-entropy of all queries' classes; cross-entropy (or focal) and Dice loss of matched masks.

    Raises:
        ConfigError: A setting is out of range.
    """

    def __init__(
        self,
        *,
        class_weight: float = 2.0,
        mask_weight: float = 5.0,
        dice_weight: float = 5.0,
        mask_loss: str = "cross_entropy",
        no_object_weight: float = 0.1,
        num_points: int = 12544,
        oversample: float = 3.0,
        importance: float = 0.75,
    ) -> None:
        """Build the loss.

        Args:
            class_weight: Factor of the class term, in the loss and in the matching costs.
            mask_weight: The same for the mask loss.
            dice_weight: The same for the Dice loss.
            mask_loss: ``cross_entropy``, or ``focal`` as in MaskFormer.
            no_object_weight: Class weight of unmatched queries, versus 1 for matched ones.
            num_points: Number of points at which masks are compared.
            oversample: Number of candidate points per point kept.
            importance: Fraction of points that are the most uncertain candidates.
        """
        super().__init__()
        parts = {"class_weight": class_weight, "mask_weight": mask_weight, "dice_weight": dice_weight}
        for name, value in {**parts, "no_object_weight": no_object_weight}.items():
            if not value >= 0:
                raise ConfigError(f"segment_set: {name} must be 0 or more; found {value}.")
        if num_points < 1 or oversample < 1 or not 0 <= importance <= 1:
            raise ConfigError(
                "segment_set: num_points and oversample must be 1 or more, and importance in [0, 1]; found "
                f"{num_points}, {oversample} and {importance}."
            )
        if mask_loss not in MASK_LOSSES:
            raise ConfigError(f"segment_set: mask_loss is {' or '.join(MASK_LOSSES)}; found {mask_loss}.")
        self.weights = Weights(class_weight, mask_weight, dice_weight, focal=mask_loss == "focal")
        self.no_object_weight = no_object_weight
        self.num_points = num_points
        self.oversample = oversample
        self.importance = importance

    def forward(
        self,
        outputs: QueryMasks,
        targets: Sequence[SegmentTargets],
        *,
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Return the weighted terms, whose sum is the loss.

        Args:
            outputs: Class logits (B, Q, K + 1), embeddings (B, Q, C), features (B, C, *s), and the same of
                each earlier layer; layers that share features cost less.
            targets: B targets on the same device; masks (N, *S) of any size.
            generator: Random generator of that device for the points; defaults to PyTorch's global one,
                which training seeds at every step.

        Returns:
            ``class``, ``mask`` and ``dice`` of the last layer, and ``auxiliary_0``, ``auxiliary_1``, ...: the
            sum of the three for each earlier layer.
        """
        layers = (*outputs.auxiliary, outputs)
        features = features_of(layers)
        class_logits = torch.stack([layer.class_logits for layer in layers]).float()  # (L, B, Q, K + 1)
        embeddings = torch.stack([layer.embeddings for layer in layers])  # (L, B, Q, C)
        matches = self.match(class_logits, embeddings, features, targets, generator=generator)
        of_class = self._class_losses(class_logits, targets, matches) * self.weights.class_
        sums = [
            self._mask_losses(embeddings[:, image], features.of(image), target, matched, generator)
            for image, (target, matched) in enumerate(zip(targets, matches, strict=True))
        ]
        share = 1 / _masks_per_worker(targets, device=embeddings.device)
        of_mask = torch.stack([mask for mask, _ in sums]).sum(0) * (self.weights.mask * share)
        of_dice = torch.stack([dice for _, dice in sums]).sum(0) * (self.weights.dice * share)
        earlier = (of_class + of_mask + of_dice)[:-1]
        last = {"class": of_class[-1], "mask": of_mask[-1], "dice": of_dice[-1]}
        return last | {f"auxiliary_{index}": value for index, value in enumerate(earlier)}

    @torch.no_grad()
    def match(
        self,
        class_logits: Tensor,
        embeddings: Tensor,
        features: LayerFeatures,
        targets: Sequence[SegmentTargets],
        *,
        generator: torch.Generator | None = None,
    ) -> list[Matches]:
        """Match queries with true segments by costs at uniform random points.

        Args:
            class_logits: (L, B, Q, K + 1).
            embeddings: (L, B, Q, C).
            features: Features of the L layers, (B, C, *s).
            targets: B targets.
            generator: Random generator for the points.

        Returns:
            The matches of the B images.
        """
        device = embeddings.device
        points = torch.rand((len(targets), self.num_points, 2), device=device, generator=generator)
        costs, weights = [], self.weights
        for image, target in enumerate(targets):
            truth = self._true_at(target.masks, points[image])
            parts = zip(
                features.split(class_logits[:, image]),
                features.split(embeddings[:, image]),
                features.of(image).maps,
                strict=True,
            )
            of_layers = [
                pairwise_costs(scores, vectors, at_points(maps, points[image]), target.labels, truth, weights)
                for scores, vectors, maps in parts
            ]
            costs.append(torch.cat(of_layers))
        return assign(costs, device=device)

    def _class_losses(
        self, logits: Tensor, targets: Sequence[SegmentTargets], matches: Sequence[Matches]
    ) -> Tensor:
        """Return each layer's cross-entropy (L,), averaged with class weights.

        The answer for an unmatched query is right with the probability of "no object" and that of the classes
        of which not all objects are drawn, together.
        """
        nothing = logits.shape[-1] - 1
        wanted = torch.full(logits.shape[:-1], nothing, device=logits.device)  # (L, B, Q)
        for image, (target, matched) in enumerate(zip(targets, matches, strict=True)):
            wanted[:, image].scatter_(1, matched.queries, target.labels[matched.segments])
        weights = torch.where(wanted == nothing, self.no_object_weight, 1.0)
        losses = F.cross_entropy(logits.flatten(0, 2), wanted.flatten(), reduction="none").view_as(weights)
        verified = verified_classes(targets, nothing)
        if verified is not None:
            right = logits.masked_fill(F.pad(verified, (0, 1))[:, None], -torch.inf)  # leaves "no object"
            of_unmatched = logits.logsumexp(-1) - right.logsumexp(-1)
            losses = losses.where(wanted != nothing, of_unmatched)
        return (losses * weights).sum((1, 2)) / weights.sum((1, 2))

    def _mask_losses(
        self,
        embeddings: Tensor,
        features: LayerFeatures,
        target: SegmentTargets,
        matched: Matches,
        generator: torch.Generator | None,
    ) -> tuple[Tensor, Tensor]:
        """Return the sums of mask loss and Dice loss over one image's matches, (L,) each.

        Args:
            embeddings: (L, Q, C).
            features: Features of the L layers, (C, *s).
            target: Target of the image.
            matched: Matches of the image.
            generator: Random generator for the points.
        """
        shape = matched.queries.shape
        if not shape[1]:
            # Every parameter still gets a gradient, which training on several devices requires.
            nothing = (
                embeddings.float().sum((1, 2)) * 0 + sum(maps.float().sum() for maps in features.maps) * 0
            )
            return nothing, nothing
        chosen = embeddings.gather(1, matched.queries.unsqueeze(-1).expand(-1, -1, embeddings.shape[-1]))
        products = [
            rows.flatten(0, 1).float() @ own.float().flatten(1)
            for rows, own in zip(features.split(chosen), features.maps, strict=True)
        ]
        maps = torch.cat(products).view(-1, *features.maps[0].shape[1:])  # (M, *s), matched queries only
        points = uncertain_points(
            maps.detach(),
            num_points=self.num_points,
            oversample=self.oversample,
            importance=self.importance,
            generator=generator,
        )
        own = points.view(*shape, *points.shape[1:])
        true = torch.cat(
            [self._true_at(target.masks[n], at) for n, at in zip(matched.segments, own, strict=True)]
        )
        logits = sample_at(maps.unsqueeze(1), points).squeeze(1)  # (M, P)
        probabilities = logits.sigmoid()
        overlap, size = 2 * (probabilities * true).sum(1), probabilities.sum(1) + true.sum(1)
        dice = 1 - (overlap + 1) / (size + 1)
        return self._of_points(logits, true).mean(1).view(shape).sum(1), dice.view(shape).sum(1)

    def _true_at(self, masks: Tensor, points: Tensor) -> Tensor:
        """Return what is true of masks at points, in [0, 1], see `sample_masks_at`."""
        return sample_masks_at(masks, points)

    def _of_points(self, logits: Tensor, true: Tensor) -> Tensor:
        """Return the mask loss at each point; all are (M, P)."""
        if not self.weights.focal:
            return F.binary_cross_entropy_with_logits(logits, true, reduction="none")
        one, zero = binary_focal_costs(logits)
        return torch.lerp(zero, one, true)


def _masks_per_worker(targets: Sequence[SegmentTargets], *, device: torch.device) -> Tensor:
    """Return the mean number of true segments per process, at least 1; a scalar."""
    count = torch.full((), float(sum(len(target.labels) for target in targets)), device=device)
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(count)
        count = count / distributed.get_world_size()
    return count.clamp(min=1)
