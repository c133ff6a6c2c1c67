"""Evaluation of masks at sampled points.

Paper: PointRend (Kirillov et al., CVPR 2020), https://arxiv.org/abs/1912.08193.

Shape legend: B batch, C channels, M masks, N true masks, P points, H and W a map's height and width.
Points are x and y in [0, 1], where 0 and 1 are the outer edges of a map of any resolution.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

_CHUNK_POINTS = 2**21
"""Points sampled at once: 16 MiB of coordinates."""

_CHUNK_POINTS_ACCELERATOR = 2**26

_CHUNK_PIXELS = 2**22
"""Pixels of true masks converted to float at once: 16 MiB."""

_CHUNK_PIXELS_ACCELERATOR = 2**26


def sample_at(maps: Tensor, points: Tensor) -> Tensor:
    """Sample maps bilinearly with zero padding.

    Args:
        maps: (B, C, H, W).
        points: (B, P, 2).

    Returns:
        (B, C, P).
    """
    return F.grid_sample(maps, 2 * points.unsqueeze(1) - 1, align_corners=False).squeeze(2)


def sample_masks_at(masks: Tensor, points: Tensor) -> Tensor:
    """Sample binary masks as `sample_at` does, converting a few at a time to float.

    Args:
        masks: (N, H, W) bool.
        points: (P, 2), the same for all masks; or (N, P, 2), one set per mask.

    Returns:
        (N, P) float32.
    """
    if not len(masks):
        return points.new_zeros(0, points.shape[-2])
    limit = _CHUNK_PIXELS if masks.device.type == "cpu" else _CHUNK_PIXELS_ACCELERATOR
    some = torch.split(masks, max(1, limit // masks[0].numel()))
    if points.ndim == 2:
        shared = points.unsqueeze(0)
        return torch.cat([sample_at(part.unsqueeze(0).float(), shared)[0] for part in some])
    own = torch.split(points, len(some[0]))
    return torch.cat(
        [sample_at(part.unsqueeze(1).float(), there)[:, 0] for part, there in zip(some, own, strict=True)]
    )


def uncertain_points(
    maps: Tensor,
    *,
    num_points: int,
    oversample: float,
    importance: float,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Sample points for each mask, most of them where its logit is closest to zero.

    Args:
        maps: (M, H, W) logits.
        num_points: P.
        oversample: Number of candidate points per point kept.
        importance: Fraction of points that are the most uncertain candidates; the others are uniform.
        generator: On the device of `maps`; defaults to PyTorch's global one.

    Returns:
        (M, P, 2).
    """
    many, num_uncertain = int(num_points * oversample), int(num_points * importance)
    limit = _CHUNK_POINTS if maps.device.type == "cpu" else _CHUNK_POINTS_ACCELERATOR

    def draw(masks: int, count: int) -> Tensor:
        return torch.rand((masks, count, 2), device=maps.device, generator=generator)

    if not num_uncertain:
        return draw(len(maps), num_points)
    points = []
    for some in torch.split(maps, max(1, limit // many)):
        candidates = draw(len(some), many)
        scores = sample_at(some.unsqueeze(1), candidates).squeeze(1)
        chosen = scores.abs_().topk(num_uncertain, dim=1, largest=False, sorted=False).indices
        uncertain = candidates.gather(1, chosen.unsqueeze(-1).expand(-1, -1, 2))
        points += [torch.cat((uncertain, draw(len(some), num_points - num_uncertain)), 1)]
    return torch.cat(points)
