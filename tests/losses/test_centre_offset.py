"""Targets and losses of Panoptic-DeepLab against a second implementation, pixel by pixel, from the paper."""

import math

import numpy as np
import pytest
import torch

from limner.core.errors import ConfigError
from limner.core.outputs import CentreOffsets
from limner.core.segments import Segments, segments_of
from limner.losses.centre_offset import CentreOffsetLoss
from limner.losses.centre_targets import draw_centre_targets

THING, STUFF = 0, 1
SIZE = (24, 30)


def image(seed: int, *, with_stuff: bool, crowd: bool = False) -> Segments:
    """Overlapping rectangles of things, on a strip of stuff."""
    rng = np.random.default_rng(seed)
    masks, labels = [], []
    if with_stuff:
        masks.append(np.zeros(SIZE, bool))
        masks[-1][:9] = True
        labels.append(STUFF)
    for _ in range(4):
        top, left = rng.integers(0, 18, 2)
        height, width = rng.integers(2, 10, 2)
        masks.append(np.zeros(SIZE, bool))
        masks[-1][top : top + height, left : left + width] = True
        labels.append(THING)
    return segments_of(masks, labels, [False] * (len(labels) - 1) + [crowd], shape=SIZE)


def reference(segments: Segments, is_thing, *, sigma: float, share: float | None) -> tuple[np.ndarray, ...]:
    """Labels, areas, centres and offsets of one image, pixel by pixel."""
    num_classes = len(is_thing)
    labels = np.full(SIZE, num_classes if all(is_thing) else -1)
    areas, heat, offsets = np.full(SIZE, np.inf), np.zeros(SIZE), np.zeros((2, *SIZE))
    top = segments.flat()
    for number in range(len(segments)):
        own = top == number + 1
        if segments.is_crowd[number]:
            labels[own] = -1
            continue
        labels[own] = segments.labels[number]
        if not is_thing[segments.labels[number]] or not own.any():
            continue
        pixels = np.argwhere(own)
        areas[own] = len(pixels)
        middle = pixels.mean(0)
        for y, x in pixels:
            offsets[:, y, x] = middle - (y, x)
        width = sigma if share is None else min(max(share * math.sqrt(len(pixels)), 1.0), sigma)
        cy, cx = (round(value) for value in middle)
        for y in range(SIZE[0]):
            for x in range(SIZE[1]):
                if max(abs(y - cy), abs(x - cx)) <= 3 * width + 1:
                    heat[y, x] = max(heat[y, x], math.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * width**2)))
    return labels, areas, heat, offsets


@pytest.mark.parametrize("share", [None, 0.25])
@pytest.mark.parametrize("with_stuff", [False, True])
def test_targets_are_those_of_the_paper(with_stuff, share):
    is_thing = [True, False] if with_stuff else [True]
    images = [image(seed, with_stuff=with_stuff, crowd=seed == 1) for seed in range(3)]
    found = draw_centre_targets(
        Segments.stack(images), torch.tensor(is_thing), sigma=3.0, share_of_diameter=share
    )
    for index, one in enumerate(images):
        labels, areas, heat, offsets = reference(one, is_thing, sigma=3.0, share=share)
        assert np.array_equal(found.labels[index], labels)
        assert np.array_equal(found.areas[index], areas)
        np.testing.assert_allclose(found.centres[index, 0], heat, atol=1e-6)
        np.testing.assert_allclose(found.offsets[index], offsets, atol=1e-4)


def test_the_loss_is_the_sum_of_the_paper():
    is_thing = [True, False]
    images = [image(seed, with_stuff=True) for seed in range(2)]
    draws = torch.Generator().manual_seed(0)
    outputs = CentreOffsets(*(torch.randn(2, maps, *SIZE, generator=draws) for maps in (3, 1, 2)))
    loss = CentreOffsetLoss(small_area=30, sigma=3.0)
    found = loss(outputs, Segments.stack(images), torch.tensor(is_thing))

    entropies, squares, lengths = [], [], []
    for index, one in enumerate(images):
        labels, areas, heat, offsets = reference(one, is_thing, sigma=3.0, share=None)
        chances = outputs.class_logits[index].softmax(0).numpy()
        for y, x in np.argwhere(labels >= 0):
            entropies.append(-math.log(chances[labels[y, x], y, x]) * (3 if areas[y, x] < 30 else 1))
            squares.append((float(outputs.centres[index, 0, y, x]) - heat[y, x]) ** 2)
        for y, x in np.argwhere(np.isfinite(areas)):
            lengths.append(np.abs(outputs.offsets[index, :, y, x].numpy() - offsets[:, y, x]).sum())
    hardest = sorted(entropies, reverse=True)[: int(0.2 * len(entropies))]
    assert found["class"].item() == pytest.approx(np.mean(hardest), rel=1e-5)
    assert found["centre"].item() == pytest.approx(200 * np.mean(squares), rel=1e-5)
    assert found["offset"].item() == pytest.approx(0.01 * np.mean(lengths), rel=1e-5)


def test_without_objects_there_is_still_a_gradient():
    empty = segments_of([], [], shape=SIZE)
    outputs = CentreOffsets(*(torch.randn(1, maps, *SIZE, requires_grad=True) for maps in (2, 1, 2)))
    parts = CentreOffsetLoss()(outputs, Segments.stack([empty]), torch.tensor([True]))
    sum(parts.values()).backward()
    assert parts["offset"] == 0 and outputs.class_logits.grad.abs().sum() > 0
    assert outputs.offsets.grad is not None


def test_a_coarse_output_is_compared_at_the_size_of_the_image():
    one = image(0, with_stuff=False)
    coarse = CentreOffsets(torch.zeros(1, 2, 6, 8), torch.zeros(1, 1, 6, 8), torch.ones(1, 2, 6, 8))
    fine = CentreOffsets(
        torch.zeros(1, 2, *SIZE),
        torch.zeros(1, 1, *SIZE),
        torch.tensor([24 / 6, 30 / 8]).view(1, 2, 1, 1).expand(1, 2, *SIZE),
    )
    is_thing, targets = torch.tensor([True]), Segments.stack([one])
    for name, value in CentreOffsetLoss()(coarse, targets, is_thing).items():
        assert value == pytest.approx(CentreOffsetLoss()(fine, targets, is_thing)[name])


@pytest.mark.parametrize(
    ("option", "value"),
    [("centre_weight", -1), ("hard_fraction", 0), ("sigma", 0), ("share_of_diameter", -0.5)],
)
def test_settings_out_of_range_are_refused(option, value):
    with pytest.raises(ConfigError, match=f"centre_offset: {option}.*found {value}"):
        CentreOffsetLoss(**{option: value})
