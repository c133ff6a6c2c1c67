"""Matching of queries and true segments: the one-to-one assignment of minimum cost (Kuhn, 1955).

Papers: DETR (Carion et al., ECCV 2020), https://arxiv.org/abs/2005.12872, and, for costs at random points,
Mask2Former (Cheng et al., CVPR 2022), https://arxiv.org/abs/2112.01527.

Masks are evaluated only at points: the product over channels and bilinear sampling commute, so the features
are sampled once for all queries of all layers, and the masks of the queries are never materialised.

Shape legend: L decoder layers, Q queries, K classes, C channels, N true segments of an image, P points.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from limner.losses.focal import binary_focal_costs

_CHUNK_ELEMENTS = 2**21
"""Mask logits in memory at once: 8 MiB each for logits, probabilities and losses."""

_CHUNK_ELEMENTS_ACCELERATOR = 2**26

_HOPELESS = 1e9
"""Cost that replaces NaN and infinity, so that such pairs are matched only as a last resort."""


@dataclass(frozen=True)
class Weights:
    """Factors of the three terms, in the matching costs and in the loss.

    Attributes:
        class_: Factor of the class.
        mask: Factor of the mask's binary cross-entropy or focal loss.
        dice: Factor of the mask's Dice loss.
        focal: Whether `mask` is for the focal loss.
    """

    class_: float
    mask: float
    dice: float
    focal: bool = False


@dataclass(frozen=True)
class Matches:
    """Matched pairs of one image, n = min(Q, N) in each layer.

    Attributes:
        queries: (L, n) int64, the query of each pair.
        segments: (L, n) int64, the true segment of each pair.
    """

    queries: Tensor
    segments: Tensor


def pairwise_costs(
    class_logits: Tensor,
    embeddings: Tensor,
    features: Tensor,
    labels: Tensor,
    truth: Tensor,
    weights: Weights,
) -> Tensor:
    """Return the matching cost of each query and true segment of one image.

    Args:
        class_logits: (L, Q, K + 1).
        embeddings: (L, Q, C).
        features: (C, P), the mask features at the points.
        labels: (N,) int64.
        truth: (N, P) float32 in [0, 1], the true masks at the points.
        weights: Factors of the three terms.

    Returns:
        (L, Q, N) float32.
    """
    of_class = -class_logits.float().softmax(-1)[..., labels]
    features, true_points = features.float(), truth.T.contiguous()
    limit = _CHUNK_ELEMENTS if features.device.type == "cpu" else _CHUNK_ELEMENTS_ACCELERATOR
    rows = max(1, limit // features.shape[1])
    of_mask = [
        _mask_costs(some, features, true_points, weights)
        for some in torch.split(embeddings.float().flatten(0, 1), rows)
    ]
    return weights.class_ * of_class + torch.cat(of_mask).view(of_class.shape)


def _mask_costs(embeddings: Tensor, features: Tensor, true_points: Tensor, weights: Weights) -> Tensor:
    """Return the costs (R, N) of R masks against true ones (P, N), regardless of class."""
    logits = embeddings @ features  # (R, P)
    if weights.focal:
        one, zero = binary_focal_costs(logits)
        both = ((one - zero) @ true_points).add_(zero.sum(1, keepdim=True))
    else:
        # Softplus(x) - x where the truth is 1, softplus(x) where it is 0: one sum, one product.
        both = (logits @ true_points).neg_().add_(F.softplus(logits).sum(1, keepdim=True))
    probabilities = logits.sigmoid_()
    overlap = 2 * (probabilities @ true_points)
    size = probabilities.sum(1, keepdim=True) + true_points.sum(0)
    dice = 1 - (overlap + 1) / (size + 1)
    return weights.mask / features.shape[1] * both + weights.dice * dice


def assign(costs: Sequence[Tensor], *, device: torch.device) -> list[Matches]:
    """Find the minimum-cost assignment of each image and layer, with one transfer from and one to the device.

    Args:
        costs: One per image, (L, Q, N); N may be 0 or larger than Q.
        device: Device of the result.

    Returns:
        One per image.
    """
    from scipy.optimize import linear_sum_assignment  # half a second, only for networks with queries

    together = torch.cat([cost.reshape(-1) for cost in costs]).cpu().numpy()
    together = np.nan_to_num(together, nan=_HOPELESS, posinf=_HOPELESS, neginf=_HOPELESS)
    together = together.clip(-_HOPELESS, _HOPELESS)
    pairs, start = [], 0
    for cost in costs:
        matrices = together[start : start + cost.numel()].reshape(cost.shape)
        start += cost.numel()
        found = np.array([linear_sum_assignment(matrix) for matrix in matrices], dtype=np.int64)  # (L, 2, n)
        pairs.append(torch.from_numpy(found))
    flat = torch.cat([pair.flatten() for pair in pairs]).to(device, non_blocking=True)
    parts = torch.split(flat, [pair.numel() for pair in pairs])
    return [Matches(*part.view(pair.shape).unbind(1)) for part, pair in zip(parts, pairs, strict=True)]
