"""Grouping of pixels against a second implementation, pixel by pixel, from the paper."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import ndimage

from limner.core.outputs import CentreOffsets
from limner.decoding.centre_offsets import (
    MOST_CENTRES,
    MOST_SADDLE,
    find_centred_objects,
    find_centred_segments,
    find_centres,
    mean_of_views,
)
from limner.inference.test_time_augmentation import View

SIZE = (40, 48)
IS_THING = (True, True, False)


def noisy(seed: int) -> CentreOffsets:
    """Smooth random maps: nothing as round as an object, which puts every rule to use."""
    draws = torch.Generator().manual_seed(seed)
    coarse = [torch.randn(1, maps, 8, 8, generator=draws) for maps in (4, 1, 2)]
    classes, centres, offsets = (torch.nn.functional.interpolate(one, SIZE, mode="bicubic") for one in coarse)
    return CentreOffsets(3 * classes, centres, 5 * offsets)


def reference(outputs: CentreOffsets) -> dict[frozenset, tuple[int, float]]:
    """The objects of an image: pixels -> class and score."""
    chances = outputs.class_logits[0].softmax(0).numpy()
    heat, offsets = smoothed(outputs.centres[0, 0].numpy()), outputs.offsets[0].numpy()
    peaks = []
    for y in range(SIZE[0]):
        for x in range(SIZE[1]):
            near = heat[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4]
            if heat[y, x] > 0.1 and heat[y, x] == near.max():
                peaks.append((y, x))
    peaks = [peak for peak in peaks if stands_out(heat, peak, peaks)]
    pixels = {peak: [] for peak in peaks}
    for y in range(SIZE[0]):
        for x in range(SIZE[1]):
            label = chances[:, y, x].argmax()
            if label < 3 and IS_THING[label]:
                end = np.array([y, x]) + offsets[:, y, x]
                pixels[min(peaks, key=lambda peak: ((end - peak) ** 2).sum())].append((y, x, int(label)))
    found = {}
    for peak, own in pixels.items():
        if own:
            label = Counter(label for _, _, label in sorted(own, key=lambda p: p[2])).most_common(1)[0][0]
            mean = np.mean([chances[label, y, x] for y, x, _ in own])
            found[frozenset((y, x) for y, x, _ in own)] = (label, (mean * min(heat[peak], 1)) ** 0.5)
    return found


def smoothed(heat: np.ndarray) -> np.ndarray:
    """The mean of 3x3 pixels with weights 1, 2, 1 along each axis; the border is repeated."""
    padded = np.pad(heat, 1, mode="edge").astype(np.float32)
    rows = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    return (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 4


def stands_out(heat: np.ndarray, peak: tuple[int, int], peaks: list[tuple[int, int]]) -> bool:
    """Whether no higher peak is in the part around this one that is above 0.8 of its height."""
    regions, _ = ndimage.label(heat > MOST_SADDLE * heat[peak], np.ones((3, 3)))
    together = [other for other in peaks if regions[other] == regions[peak]]
    return not any(heat[other] > heat[peak] for other in together)


def test_objects_are_those_of_the_paper():
    for seed in range(3):
        outputs = noisy(seed)
        expected = reference(outputs)
        found = find_centred_objects(outputs, SIZE, is_thing=IS_THING, name="a")
        assert len(expected) == len(found.masks) > 3
        assert (np.diff(found.scores) <= 0).all()
        for mask, label, score in zip(found.masks, found.labels, found.scores, strict=True):
            wanted, wanted_score = expected[frozenset(map(tuple, np.argwhere(mask).tolist()))]
            assert label == wanted
            np.testing.assert_allclose(score, wanted_score, rtol=1e-4)


def test_segments_are_the_objects_and_one_region_of_each_stuff():
    outputs = noisy(0)
    # Peaks that make objects are high enough for segments too, and there are no others.
    outputs = replace(outputs, centres=torch.where(outputs.centres > 0.1, outputs.centres + 0.2, 0.0))
    objects = find_centred_objects(outputs, SIZE, is_thing=IS_THING, name="a")
    found = find_centred_segments(outputs, SIZE, is_thing=IS_THING, name="a")
    best = outputs.class_logits[0].argmax(0).numpy()
    assert found.is_thing.tolist() == [True] * len(objects.masks) + [False]
    assert found.labels[-1] == 2
    assert np.array_equal(found.segment_ids == len(found.labels), best == 2)
    assert np.array_equal(found.segment_ids == 0, best == 3)  # nothing
    masks = {found.segment_ids[mask].tobytes() for mask in objects.masks}
    assert len(masks) == len(objects.masks)
    for mask in objects.masks:
        (number,) = np.unique(found.segment_ids[mask])
        assert (found.segment_ids == number).sum() == mask.sum()


def test_low_peaks_split_no_segment():
    """A disc with a high peak and a low one at its border, where offsets are not learned yet."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    disc = torch.from_numpy((rows - 20) ** 2 + (columns - 20) ** 2 <= 15**2)
    classes = torch.stack([9.0 * disc, 0 * disc, 0 * disc, 9.0 * ~disc])[None]
    centres, offsets = torch.zeros(1, 1, *SIZE), torch.zeros(1, 2, *SIZE)
    centres[0, 0, 18:23, 18:23], centres[0, 0, 18:23, 31:36] = 0.9, 0.2
    outputs = CentreOffsets(classes, centres, offsets)
    found = find_centred_segments(outputs, SIZE, is_thing=IS_THING, name="a")
    assert len(found.labels) == 1 and np.array_equal(found.segment_ids == 1, disc.numpy())
    # As an object it is there, with a low score.
    scores = find_centred_objects(outputs, SIZE, is_thing=IS_THING, name="a").scores
    assert len(scores) == 2 and scores[0] > 0.9 > 0.5 > scores[1]


def test_an_image_without_peaks_has_no_objects():
    outputs = CentreOffsets(torch.tensor([9.0, 0, 0, 0]).view(1, 4, 1, 1).expand(1, 4, *SIZE), *(
        torch.zeros(1, maps, *SIZE) for maps in (1, 2)
    ))  # fmt: skip
    assert len(find_centred_objects(outputs, SIZE, is_thing=IS_THING, name="a").masks) == 0
    found = find_centred_segments(outputs, SIZE, is_thing=IS_THING, name="a")
    assert not found.segment_ids.any() and len(found.labels) == 0


def hills(*places: tuple[int, int, float], size=(60, 90), sigma=4.0) -> torch.Tensor:
    """The highest of Gaussians at these places (y, x, height)."""
    y, x = torch.meshgrid(*(torch.arange(side) for side in size), indexing="ij")
    each = [h * torch.exp(-((y - at) ** 2 + (x - to) ** 2) / (2 * sigma**2)) for at, to, h in places]
    return torch.stack(each).amax(0)


def test_equal_neighbours_are_one_peak():
    """In bfloat16 the top of a peak is flat: two centres in one object would share its pixels at random."""
    heat = hills((20, 20, 0.9), (40, 70, 0.9)).to(torch.bfloat16).float().clamp(max=0.85)
    assert ((heat == heat.max()).sum() > 4) and len(find_centres(heat)[0]) == 2
    volume = torch.zeros(8, 8, 8)
    volume[2:6, 2:6, 2:6] = 0.7
    assert len(find_centres(volume)[0]) == 1


def test_a_peak_of_its_own_is_one_behind_a_saddle():
    # Between Gaussians d apart the heat sinks to exp(-d^2 / 8 sigma^2) of their height: 0.68 at 7, 0.88 at 4.
    assert len(find_centres(hills((30, 30, 0.9), (30, 37, 0.9)))[0]) == 2
    assert len(find_centres(hills((30, 30, 0.9), (30, 34, 0.9)))[0]) == 1
    # The lower one decides: 7 apart from one of 0.9, the way from a height of 0.5 sinks to 0.43 only.
    assert len(find_centres(hills((30, 30, 0.9), (30, 37, 0.5)))[0]) == 1


def test_a_rippled_hill_is_one_object():
    """Decoders leave stripes of single pixels, and a hard object a plateau of noise."""
    heat = hills((30, 40, 0.5), sigma=10.0)
    noise = torch.rand(heat.shape, generator=torch.Generator().manual_seed(0)) - 0.5
    stripes = 0.3 * (torch.arange(60) % 2 - 0.5).view(-1, 1)
    centres, heights = find_centres(heat * (1 + stripes + 0.2 * noise))
    assert len(centres) == 1 and 0.4 < float(heights) < 0.6
    assert (centres[0] - torch.tensor([30, 40])).abs().max() <= 5


def test_the_highest_peaks_are_kept():
    heat = torch.zeros(400, 400)
    heat[4::8, 4::8] = 4 * (torch.rand(50, 50) + 0.5)  # of which smoothing leaves a quarter
    centres, heights = find_centres(heat)
    assert len(centres) == MOST_CENTRES
    highest = heat.flatten().sort(descending=True).values[:MOST_CENTRES]
    torch.testing.assert_close(heights, highest / 4)


def test_peaks_are_found_at_the_size_that_the_network_saw():
    """An image of twice the size has the same objects, twice as large."""
    outputs = noisy(1)
    small = find_centred_objects(outputs, SIZE, is_thing=IS_THING, name="a")
    twice = [2 * side for side in SIZE]
    large = find_centred_objects(outputs, twice, is_thing=IS_THING, name="a", seen_size=SIZE)
    assert len(large.masks) == len(small.masks)
    assert large.masks.sum() == pytest.approx(4 * small.masks.sum(), rel=0.05)


class Views:
    """Runs of a network that returns the same maps, mirrored as the image that it sees."""

    kind = CentreOffsets
    size = SIZE
    fits_in_one_pass = False

    def __init__(self, outputs):
        self.outputs = outputs

    def views(self):
        for flipped in ((), (0,), (0, 1)):
            outputs = self.outputs.mirrored(flipped)
            shape = torch.Size((1, 3, *SIZE))
            part = (tuple(slice(0, side) for side in SIZE), outputs)
            yield SimpleNamespace(flipped=flipped, shape=shape, parts=lambda p=part: iter([p]))


def test_mirrored_views_agree():
    outputs = noisy(1)
    mean = mean_of_views(Views(outputs))
    torch.testing.assert_close(mean.class_logits.softmax(1), outputs.class_logits.softmax(1))
    torch.testing.assert_close(mean.offsets, outputs.offsets)
    alone = find_centred_objects(outputs, SIZE, is_thing=IS_THING, name="a")
    averaged = find_centred_objects(mean, SIZE, is_thing=IS_THING, name="a")
    assert np.array_equal(alone.masks, averaged.masks)


def test_mirroring_maps_is_mirroring_the_image():
    """A pixel that points 3 pixels up points 3 pixels down in a mirrored view."""
    offsets = torch.zeros(1, 2, 5, 4)
    offsets[0, 0, 4, 1] = -3.0
    outputs = CentreOffsets(torch.zeros(1, 2, 5, 4), torch.zeros(1, 1, 5, 4), offsets)
    mirrored = outputs.mirrored((0,))
    assert mirrored.offsets[0, 0, 0, 1] == 3.0 and mirrored.offsets.abs().sum() == 3
    assert torch.equal(mirrored.mirrored((0,)).offsets, offsets)
    pixels = torch.rand(1, 1, 5, 4)
    seen = View(flipped=(0,)).apply(pixels)
    assert torch.equal(CentreOffsets(outputs.class_logits, pixels, offsets).mirrored((0,)).centres, seen)


def test_offsets_are_in_pixels_of_the_size():
    outputs = CentreOffsets(torch.zeros(1, 2, 3, 4), torch.zeros(1, 1, 3, 4), torch.ones(1, 2, 3, 4))
    resized = outputs.resized((12, 8)).offsets
    assert resized.shape == (1, 2, 12, 8)
    assert (resized[:, 0] == 4).all() and (resized[:, 1] == 2).all()
