"""Targets of class, centre and offset at each pixel, from the segments of a batch.

Paper: Panoptic-DeepLab (Cheng et al., CVPR 2020), https://arxiv.org/abs/1911.10194, section 3.3: the centre
of an object is its centre of mass, drawn as a Gaussian; each pixel points to the centre of its object.

Shape legend: B batch, N segments of all images and one "nothing" per image, K classes, D number of spatial
axes, P pixels of a Gaussian's square, *S spatial axes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from limner.core.segments import SegmentTargets

NARROWEST = 1.0
"""Smallest standard deviation of a Gaussian in pixels: a narrower one is a single pixel."""


@dataclass(frozen=True)
class CentreTargets:
    """What a network of class, centre and offset should return.

    Attributes:
        labels: (B, *S) int64: the class 0..K-1 of each pixel, K for "nothing", and -1 for ignored.
        areas: (B, *S) float32: area in pixels of the object that each pixel belongs to; infinite elsewhere.
        centres: (B, 1, *S) float32: the highest Gaussian of all objects of the image.
        offsets: (B, D, *S) float32: from each pixel of an object to its centre, in pixels; 0 elsewhere.
    """

    labels: Tensor
    areas: Tensor
    centres: Tensor
    offsets: Tensor


@torch.no_grad()
def draw_centre_targets(
    segments: Sequence[SegmentTargets], is_thing: Tensor, *, sigma: float, share_of_diameter: float | None
) -> CentreTargets:
    """Draw the targets of a batch.

    Pixels in no segment are "nothing", or ignored where there are classes of stuff, which leave nothing else.

    Args:
        segments: B targets of the same size *S, with `top`.
        is_thing: (K,) bool on their device: whether a class is countable.
        sigma: Standard deviation of the Gaussians in pixels.
        share_of_diameter: Narrows the Gaussians of small objects to this part of their diameter, if set.
    """
    maps, labels = _numbered(segments, nothing=torch.where(is_thing.all(), len(is_thing), -1))
    is_object = F.pad(is_thing, (0, 2))[labels]  # (N,); neither "nothing" nor, from the end, ignored ones are
    pixels = torch.ones(1, dtype=torch.int32, device=maps.device).expand(maps.numel())
    counts = pixels.new_zeros(len(labels)).index_add_(0, maps.flatten(), pixels)
    areas = counts.float()
    centres = _centres_of_mass(maps, areas)  # (N, D)
    inside = is_object[maps]
    grid = _coordinates(maps.shape[1:], maps.device)
    offsets = torch.stack([(centres[:, axis][maps] - at) * inside for axis, at in enumerate(grid)], 1)
    sigmas = torch.full_like(areas, sigma)
    if share_of_diameter is not None:
        dims = maps.ndim - 1
        sides = areas ** (1 / dims)  # of a square or cube of that area
        sigmas = (sides * share_of_diameter).clamp(NARROWEST, sigma)
    numbers = torch.tensor([len(each.labels) + 2 for each in segments])
    images = torch.repeat_interleave(torch.arange(len(segments)), numbers).to(maps.device, non_blocking=True)
    drawn, reach = is_object & (areas > 0), int(3 * sigma + 1)
    if maps.device.type == "cpu" or maps.ndim > 3:
        # On an accelerator the host waits here, so only for volumes, where squares for the widest Gaussian
        # that is possible would take too much memory.
        centres, sigmas, images, drawn = centres[drawn], sigmas[drawn], images[drawn], drawn[drawn]
        reach = int(3 * sigmas.max() + 1) if len(sigmas) else 0
    heat = _gaussians(centres, sigmas, images, drawn, reach=reach, shape=tuple(maps.shape))
    infinite = torch.full_like(areas, torch.inf)
    return CentreTargets(labels[maps], torch.where(is_object, areas, infinite)[maps], heat, offsets)


def _numbered(segments: Sequence[SegmentTargets], *, nothing: Tensor) -> tuple[Tensor, Tensor]:
    """Return (B, *S) numbers 0..N-1 of the segments of all images, and the label (N,) of each number.

    Each image has a number for crowds, whose label is -1, and one for `nothing`, before those of its
    segments.
    """
    maps, labels, count = [], [], 0
    for each in segments:
        assert each.top is not None, "segments are stacked by `Segments.stack`"
        maps.append(each.top.long() + (count + 1))
        labels += [each.labels.new_full((1,), -1), nothing[None].to(each.labels.dtype), each.labels]
        count += len(each.labels) + 2
    return torch.stack(maps), torch.cat(labels)


def _coordinates(size: Sequence[int], device: torch.device) -> tuple[Tensor, ...]:
    """Return the position of each pixel along each of D axes, (*S) each."""
    axes = [torch.arange(length, dtype=torch.float32, device=device) for length in size]
    return torch.meshgrid(*axes, indexing="ij")


def _centres_of_mass(maps: Tensor, areas: Tensor) -> Tensor:
    """Return the mean position (N, D) of the pixels of each number in maps (B, *S)."""
    numbers = maps.flatten()
    centres = []
    for axis in _coordinates(maps.shape[1:], maps.device):
        # From the middle of the image, so that float32 is exact to a fraction of a pixel for any area.
        middle = (axis.max() / 2).round()
        positions = (axis - middle).expand(maps.shape).flatten()
        centres.append(positions.new_zeros(len(areas)).index_add_(0, numbers, positions) / areas + middle)
    return torch.stack(centres, 1)


def _gaussians(
    centres: Tensor, sigmas: Tensor, images: Tensor, drawn: Tensor, *, reach: int, shape: tuple[int, ...]
) -> Tensor:
    """Draw a Gaussian around each centre, the highest of several at each pixel: (B, 1, *S).

    As in the authors' code, it is centred on the nearest whole pixel and ends 3 sigma + 1 from there.

    Args:
        centres: (N, D).
        sigmas: (N,) standard deviations.
        images: (N,) index of the image of each.
        drawn: (N,) bool: whether it is drawn; the centre of others may be NaN.
        reach: Most pixels to either side of a centre.
        shape: (B, *S).
    """
    if not len(centres):
        return centres.new_zeros(shape).unsqueeze(1)
    steps = torch.arange(-reach, reach + 1, device=centres.device)
    squares = torch.meshgrid(*[steps] * centres.shape[1], indexing="ij")  # D of (P,)
    nearest, narrow = centres.round().long(), sigmas.unsqueeze(1)
    distance = torch.stack(squares).square().sum(0).flatten()
    heat = torch.exp(distance / (-2 * narrow.square()))  # (N, P)
    inside = (torch.stack(squares).abs().amax(0).flatten() <= 3 * narrow + 1) & drawn.unsqueeze(1)
    flat = images.unsqueeze(1).expand(inside.shape)
    for axis, (square, length) in enumerate(zip(squares, shape[1:], strict=True)):
        place = nearest[:, axis, None] + square.flatten()
        inside &= (place >= 0) & (place < length)
        flat = flat * length + place.clamp_(0, length - 1)
    # Outside, a zero changes nothing.
    drawn = heat.new_zeros(prod(shape)).scatter_reduce_(0, flat.flatten(), (heat * inside).flatten(), "amax")
    return drawn.view(shape).unsqueeze(1)
