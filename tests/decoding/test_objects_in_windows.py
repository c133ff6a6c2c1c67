"""Masks from windows, as from the whole image."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from limner.core.outputs import QueryMasks
from limner.decoding import objects_in_windows
from limner.decoding.network_runs import Tile
from limner.decoding.query_masks import find_objects
from limner.inference.window_grid import window_starts

NUM_CLASSES = 3


@dataclass
class Runs:
    """Runs of a network that sees the part of every object that is inside of a window exactly."""

    objects: list  # (mask, label, score)
    size: tuple
    window: tuple
    overlap: float = 0.25
    zoom: int = 1
    kind = QueryMasks
    is_windowed = True

    @property
    def seen_size(self):
        return tuple(side // self.zoom for side in self.size)

    def tiles(self):
        grid = [window_starts(s, w, self.overlap) for s, w in zip(self.seen_size, self.window, strict=True)]
        for top in grid[0]:
            for left in grid[1]:
                yield Tile(self._outputs(top, left), (top, left), self.window)

    def _outputs(self, top, left):
        height, width = self.window
        maps, logits = [torch.zeros(height, width) - 20], [[0.0] * NUM_CLASSES + [20.0]]
        for mask, label, score in self.objects:
            seen = mask[:: self.zoom, :: self.zoom][top : top + height, left : left + width]
            if np.count_nonzero(seen) > 4:
                maps.append(torch.from_numpy(seen) * 40.0 - 20)
                chances = np.full(NUM_CLASSES + 1, 1e-6)
                chances[[label, -1]] = score, 1 - score
                logits.append(np.log(chances).tolist())
        return QueryMasks(torch.tensor([logits]), torch.eye(len(maps))[None], torch.stack(maps)[None])


def find_objects_in_windows(runs, *, name):
    def find(outputs, size):
        return find_objects(outputs, size, name=name)

    sizes = {"size": runs.size, "seen_size": runs.seen_size}
    return objects_in_windows.find_objects_in_windows(runs.tiles(), find, name=name, **sizes)


def scene(seed, size=(300, 420)):
    """Ellipses of 10 to 150 pixels whose boxes do not touch."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]]
    objects, taken = [], np.zeros(size, bool)
    for _ in range(50):
        height, width = rng.integers(10, rng.choice([40, 150]), 2)
        top, left = rng.integers(0, size[0] - height), rng.integers(0, size[1] - width)
        if not taken[max(top - 4, 0) : top + height + 4, max(left - 4, 0) : left + width + 4].any():
            taken[top : top + height, left : left + width] = True
            y, x = (rows + 0.5 - top) / height - 0.5, (columns + 0.5 - left) / width - 0.5
            mask = y**2 + x**2 <= 0.25
            objects.append((mask, int(rng.integers(NUM_CLASSES)), float(rng.uniform(0.3, 0.99))))
    return objects


def sure(prediction):
    """The masks and labels with a score, by score: every query is also a candidate for other classes."""
    there = prediction.scores > 1e-3
    return prediction.masks[there], prediction.labels[there].tolist()


@pytest.mark.parametrize("overlap", [0.25, 0.5])
@pytest.mark.parametrize("seed", range(6))
def test_windows_find_what_the_whole_image_has(seed, overlap):
    objects = sorted(scene(seed), key=lambda one: -one[2])
    masks, labels = sure(find_objects_in_windows(Runs(objects, (300, 420), (128, 128), overlap), name="a"))
    assert labels == [label for _, label, _ in objects]
    for found, (mask, _, _) in zip(masks, objects, strict=True):
        np.testing.assert_array_equal(found, mask)


def test_masks_have_the_size_of_the_image():
    mask = np.zeros((200, 300), bool)
    mask[40:160, 60:260] = True  # wider than a window
    found = find_objects_in_windows(Runs([(mask, 1, 0.9)], (200, 300), (64, 64), zoom=2), name="a")
    (only,), labels = sure(found)
    assert labels == [1] and found.masks.shape[1:] == (200, 300)
    assert np.count_nonzero(only ^ mask) < 0.03 * np.count_nonzero(mask)


def test_an_image_without_objects():
    found = find_objects_in_windows(Runs([], (100, 100), (64, 64)), name="a")
    assert found.masks.shape == (0, 100, 100)
