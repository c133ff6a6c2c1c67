"""Targets of text detection at each pixel, from the words of a batch.

Paper: Real-time Scene Text Detection with Differentiable Binarization (Liao et al., AAAI 2020),
https://arxiv.org/abs/1911.08947, section 3.4: the core of a word is its polygon shrunk by
D = A (1 - r^2) / L, with its area A and perimeter L; within D of the outline, on either side, the threshold
falls from its highest value on the outline to its lowest. Authors' code: https://github.com/MhLiao/DB
(Apache-2.0 licence), whose numbers are used.

What differs, and why: instead of drawing shrunk and grown polygons with whole-numbered corners, each pixel is
measured: it is in the core if it is inside and at least D - 1/2 from the outline. That is the same shape,
exact for words of a few pixels, and works for all words of a batch at once, on any device, for which the
host never waits: the outlines are on the host, which counts the pixels around them. The half is that
of the authors' drawing, which includes the pixels of the border; in decoding, the border of a core goes
through the middles of its outermost pixels, so that it is at D again.

Shape legend: B batch, N words of all images, P points of all words, Q pixels of all windows, H and W height
and width.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

import torch
from torch import Tensor

from limner.core.words import WordTargets

SMALLEST = 8.0
"""Words whose bounding box has a shorter side are ignored, in pixels (authors' `min_text_size`)."""


Part = TypeVar("Part", "_Outlines", "_Windows")

HALF_PIXEL = 0.5
"""Distance from the border of a core within which pixels outside of it belong to it."""


@dataclass(frozen=True)
class TextTargets:
    """What a network of text maps should return.

    Attributes:
        cores: (B, 1, H, W) bool: the pixel is in the core of a word.
        known: (B, 1, H, W) bool: the pixel is not in an ignored word.
        thresholds: (B, 1, H, W) float32: threshold of the pixel.
        near: (B, 1, H, W) bool: the pixel is inside or within D of a word, where thresholds are learned.
    """

    cores: Tensor
    known: Tensor
    thresholds: Tensor
    near: Tensor


@torch.no_grad()
def draw_text_targets(
    words: Sequence[WordTargets],
    size: tuple[int, int],
    *,
    device: torch.device | None = None,
    shrink: float = 0.4,
    lowest: float = 0.3,
    highest: float = 0.7,
) -> TextTargets:
    """Draw the targets of a batch.

    Ignored are words marked so, words smaller than `SMALLEST`, and those whose core has no pixel's middle.

    Args:
        words: The words of each of the B images, on one device; the host waits for it unless it is the CPU.
        size: H and W.
        device: Device of the targets; defaults to that of the words.
        shrink: r of the core; 1 does not shrink.
        lowest: Threshold far from every outline.
        highest: Threshold on an outline.
    """
    height, width = size
    outlines = _Outlines.of(words, shrink)
    windows = outlines.windows(height, width)
    num_pixels, most_points = int(windows.num_pixels.sum()), max(outlines.count.tolist(), default=0)
    device = device or outlines.points.device
    outlines = _on(device, outlines)
    pixels = _Pixels.of(_on(device, windows), num_pixels, height, width)
    distances, is_inside = outlines.measured(pixels, most_points)
    depth = outlines.margins[pixels.word]
    in_core = is_inside & (distances >= depth - HALF_PIXEL)
    is_deep = is_inside & (distances >= depth)
    num_deep = torch.zeros_like(outlines.count).index_add(0, pixels.word, is_deep.long())
    has_core = num_deep > 0
    is_learned = (~outlines.is_ignored & has_core)[pixels.word]
    is_near = (is_inside | (distances <= depth)) & is_learned
    # On a large word the middle is far from the outline: there the threshold is the lowest.
    heights = (1 - distances / depth.clamp(min=1e-6)).clamp(min=0) * is_near
    shape = (len(words), 1, height, width)
    flat = torch.zeros(len(words) * height * width, device=pixels.place.device)
    above = flat.scatter_reduce(0, pixels.place, heights, "amax")
    return TextTargets(
        cores=_marked(flat, pixels.place, in_core & is_learned).view(shape),
        known=~_marked(flat, pixels.place, is_inside & ~is_learned).view(shape),
        thresholds=(lowest + (highest - lowest) * above).view(shape),
        near=_marked(flat, pixels.place, is_near).view(shape),
    )


@dataclass(frozen=True)
class _Windows:
    """The parts of the images that may be within D of a word.

    Attributes:
        low: (N, 2) int64 first column and row.
        across: (N,) int64 width.
        num_pixels: (N,) int64.
        image: (N,) int64 number of the image.
    """

    low: Tensor
    across: Tensor
    num_pixels: Tensor
    image: Tensor


@dataclass(frozen=True)
class _Pixels:
    """The pixels of the windows around all words; those of several words occur several times.

    Attributes:
        word: (Q,) int64 number of the word.
        place: (Q,) int64 position in the flattened maps (B, 1, H, W).
        x: (Q,) float32 middle of the pixel.
        y: (Q,) float32 middle of the pixel.
    """

    word: Tensor
    place: Tensor
    x: Tensor
    y: Tensor

    @classmethod
    def of(cls, windows: _Windows, num_pixels: int, height: int, width: int) -> "_Pixels":
        """List the pixels of windows in images of H x W; there are `num_pixels`."""
        of_word = torch.repeat_interleave(windows.num_pixels, output_size=num_pixels)
        before = windows.num_pixels.cumsum(0) - windows.num_pixels
        number = torch.arange(num_pixels, device=of_word.device) - before[of_word]
        across = windows.across[of_word]
        column, row = windows.low[of_word].T + torch.stack((number % across, number // across))
        place = (windows.image[of_word] * height + row) * width + column
        return cls(of_word, place, column + 0.5, row + 0.5)


@dataclass(frozen=True)
class _Outlines:
    """The outlines of all words of a batch.

    Attributes:
        points: (P, 2) float32 x, y.
        first: (N,) int64 number of the first point of each word.
        count: (N,) int64 number of its points.
        image: (N,) int64 number of its image.
        margins: (N,) float32 D of each word in pixels.
        is_ignored: (N,) bool.
    """

    points: Tensor
    first: Tensor
    count: Tensor
    image: Tensor
    margins: Tensor
    is_ignored: Tensor

    @classmethod
    def of(cls, words: Sequence[WordTargets], shrink: float) -> "_Outlines":
        """Join the words of the images."""
        points = torch.cat([each.points for each in words]).float()
        count = torch.cat([each.num_points for each in words])
        image = torch.repeat_interleave(
            torch.arange(len(words), device=count.device),
            torch.tensor([len(each.num_points) for each in words], device=count.device),
        )
        first = count.cumsum(0) - count
        word = torch.repeat_interleave(torch.arange(len(count), device=count.device), count)
        position = torch.arange(len(points), device=count.device) - first[word]
        following = points[first[word] + (position + 1) % count[word]]
        crossed = points[:, 0] * following[:, 1] - points[:, 1] * following[:, 0]
        areas = _sums(crossed, word, len(count)).abs() / 2
        lengths = _sums((following - points).norm(dim=1), word, len(count))
        sides = _ends(points, word, len(count), "amax") - _ends(points, word, len(count), "amin")
        is_ignored = torch.cat([each.is_ignored for each in words]) | (sides.amin(1) < SMALLEST)
        margins = areas * (1 - shrink**2) / lengths.clamp(min=1e-6)
        return cls(points, first, count, image, margins, is_ignored)

    def windows(self, height: int, width: int) -> _Windows:
        """Return the windows of images of H x W around the words."""
        word = torch.repeat_interleave(torch.arange(len(self.count), device=self.count.device), self.count)
        limit = torch.tensor([width, height], device=self.points.device)
        reach = self.margins[:, None]
        low = (_ends(self.points, word, len(self.count), "amin") - reach).floor().long().clamp(min=0)
        high = (_ends(self.points, word, len(self.count), "amax") + reach).ceil().long().minimum(limit)
        sides = (high - low).clamp(min=0)  # (N, 2) width and height
        return _Windows(low, sides[:, 0], sides.prod(1), self.image)

    def measured(self, pixels: _Pixels, most_points: int) -> tuple[Tensor, Tensor]:
        """Return the distance (Q,) of each pixel from the outline of its word, and whether it is inside.

        Inside is what a ray from the pixel leaves by crossing the outline an odd number of times.

        Args:
            pixels: The pixels.
            most_points: Number of points of the outline that has the most.
        """
        nearest = torch.full_like(pixels.x, torch.inf)
        is_inside = torch.zeros_like(pixels.x, dtype=torch.bool)
        for edge in range(most_points):
            # Of a word with fewer edges, the last one is measured again, and not crossed again.
            number = (self.count - 1).clamp(max=edge)
            start = self.points[self.first + number]
            way = self.points[self.first + (number + 1) % self.count] - start
            (x0, y0), (dx, dy) = start[pixels.word].T, way[pixels.word].T
            x, y = pixels.x - x0, pixels.y - y0
            along = ((x * dx + y * dy) / (dx * dx + dy * dy).clamp(min=1e-12)).clamp(0, 1)
            nearest = torch.minimum(nearest, (x - along * dx).square() + (y - along * dy).square())
            crosses = (y < 0) != (y < dy)
            is_left = (x - y * dx / torch.where(dy == 0, 1.0, dy)) < 0
            is_inside ^= crosses & is_left & (edge < self.count)[pixels.word]
        return nearest.sqrt(), is_inside


def _sums(values: Tensor, word: Tensor, num_words: int) -> Tensor:
    """Return the sum (N,) of the values (P,) of each word."""
    return values.new_zeros(num_words).index_add(0, word, values)


def _ends(points: Tensor, word: Tensor, num_words: int, which: str) -> Tensor:
    """Return the smallest or largest x and y (N, 2) of each word."""
    empty = points.new_zeros(num_words, 2)
    return empty.scatter_reduce(0, word[:, None].expand(-1, 2), points, which, include_self=False)


def _marked(flat: Tensor, places: Tensor, is_wanted: Tensor) -> Tensor:
    """Return a map like `flat` that is True at the wanted ones of some places."""
    # What is not wanted marks a place behind the map: picking out the others would wait for their number.
    marks = torch.zeros(len(flat) + 1, dtype=torch.bool, device=flat.device)
    return marks.index_fill_(0, places.where(is_wanted, len(flat)), True)[:-1]


def _on(device: torch.device, part: Part) -> Part:
    """Return the tensors of a part on a device."""
    moved = (getattr(part, field.name).to(device, non_blocking=True) for field in fields(part))
    return type(part)(*moved)
