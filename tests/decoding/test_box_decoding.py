"""Boxes from outputs, and from windows as from the whole image."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from limner.core.box_geometry import box_ious
from limner.core.outputs import PointBoxes
from limner.decoding import box_decoding, found_boxes
from limner.decoding.found_boxes import suppress
from limner.decoding.network_runs import Tile, array_tiles
from limner.inference.window_grid import window_starts

NUM_CLASSES = 3


def outputs(boxes, labels, scores):
    """Return outputs with one point for each box."""
    xyxy = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    logits = torch.full((len(xyxy), NUM_CLASSES), -20.0)  # a score is the root of the probability
    for row, (label, score) in enumerate(zip(labels, scores, strict=True)):
        logits[row, label] = torch.tensor(score**2).logit()
    points = torch.cat(((xyxy[:, :2] + xyxy[:, 2:]) / 2, torch.full((len(xyxy), 1), 8.0)), 1)
    return PointBoxes(logits[None], xyxy[None], points)


@dataclass
class Runs:
    """Runs of a network that sees every object in a window exactly, and of a cut one the part inside."""

    objects: list  # (box, label, score)
    size: tuple
    window: tuple
    overlap: float = 0.25
    zoom: float = 1.0
    kind = PointBoxes

    @property
    def seen_size(self):
        return tuple(round(side * self.zoom) for side in self.size)

    def tiles(self):
        grid = [window_starts(s, w, self.overlap) for s, w in zip(self.seen_size, self.window, strict=True)]
        for top in grid[0]:
            for left in grid[1]:
                yield Tile(self._outputs(top, left), (top, left), self.window)

    def _outputs(self, top, left):
        height, width = self.window
        shift = np.array([left, top, left, top])
        rows = []
        for box, label, score in self.objects:
            inside = np.clip(np.array(box) * self.zoom - shift, 0, [width, height, width, height])
            if (inside[2:] - inside[:2]).min() > 2:
                rows.append((inside.tolist(), label, score))
        return outputs(*zip(*rows, strict=True)) if rows else outputs([], [], [])


def find_boxes(runs, *, name):
    sizes = {"size": runs.size, "seen_size": runs.seen_size}
    return box_decoding.find_boxes(array_tiles(runs), kind=runs.kind.__name__, name=name, **sizes)


def as_rows(prediction):
    return [
        (*(round(float(v), 1) for v in box), int(label))
        for box, label in zip(prediction.xyxy, prediction.labels, strict=True)
    ]


def test_boxes_are_sorted_clipped_and_not_twice():
    objects = [([-5, 0, 20, 20], 0, 0.6), ([0, 0, 20, 21], 0, 0.9), ([0, 0, 20, 20], 1, 0.7)]
    found = find_boxes(Runs(objects, (100, 100), (100, 100)), name="a")
    assert as_rows(found) == [(0, 0, 20, 21, 0), (0, 0, 20, 20, 1)]
    assert found.scores.tolist() == pytest.approx([0.9, 0.7])


def test_an_image_without_boxes():
    found = find_boxes(Runs([], (100, 100), (64, 64)), name="a")
    assert len(found.labels) == 0 and found.shape == (100, 100)


def test_boxes_are_in_pixels_of_the_original_image():
    found = find_boxes(Runs([([10, 20, 50, 60], 0, 0.9)], (100, 200), (50, 100), zoom=0.5), name="a")
    assert as_rows(found) == [(10, 20, 50, 60, 0)]


def scene(seed):
    """Objects of 10 to 200 pixels that do not touch, on an image of 500 x 700 pixels."""
    rng = np.random.default_rng(seed)
    objects, taken = [], np.zeros((500, 700), bool)
    for _ in range(60):
        height, width = rng.integers(10, rng.choice([40, 200]), 2)
        top, left = rng.integers(0, 500 - height), rng.integers(0, 700 - width)
        if not taken[max(top - 4, 0) : top + height + 4, max(left - 4, 0) : left + width + 4].any():
            taken[top : top + height, left : left + width] = True
            box = [float(left), float(top), float(left + width), float(top + height)]
            objects.append((box, int(rng.integers(NUM_CLASSES)), float(rng.uniform(0.3, 0.99))))
    return objects


@pytest.mark.parametrize("overlap", [0.25, 0.5])
@pytest.mark.parametrize("seed", range(8))
def test_windows_find_what_the_whole_image_has(seed, overlap):
    objects = scene(seed)
    whole = find_boxes(Runs(objects, (500, 700), (500, 700)), name="a")
    parts = find_boxes(Runs(objects, (500, 700), (160, 160), overlap), name="a")
    assert len(whole.labels) == len(objects)
    assert sorted(as_rows(parts)) == sorted(as_rows(whole))
    assert (np.diff(parts.scores) <= 0).all()


def test_neighbours_on_both_sides_of_a_seam_stay_two():
    # The border of the first window is at x = 160, that of the second at 120.
    objects = [([90.0, 10, 138, 60], 0, 0.9), ([142.0, 10, 190, 60], 0, 0.8)]
    found = find_boxes(Runs(objects, (160, 280), (160, 160)), name="a")
    assert sorted(as_rows(found)) == sorted((*box, label) for box, label, _ in objects)


def test_the_last_edge_of_something_round_is_no_second_object():
    class Round(Runs):
        """Of a disc, a window sees only as much in height as there is of it."""

        def _outputs(self, top, left):
            found = super()._outputs(top, left)
            if left == 120:  # 5 of 60 columns of the disc are in this window, which are 33 pixels high
                found = outputs([[0, 33.5, 5, 66.5]], [0], [0.6])
            return found

    found = find_boxes(Round([([65.0, 20, 125, 80], 0, 0.9)], (160, 280), (160, 160)), name="a")
    assert as_rows(found) == [(65, 20, 125, 80, 0)]


def test_suppression_is_one_by_one(monkeypatch):
    def greedy(boxes, labels, most):
        remains = []
        for i in range(len(boxes)):
            rivals = [j for j in remains if labels[j] == labels[i]]
            overlaps = box_ious(boxes[i : i + 1], boxes[rivals])
            if not (overlaps > most).any():
                remains.append(i)
        return remains

    monkeypatch.setattr(found_boxes, "BLOCK", 37)
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(200, 2, generator=generator) * 60
    boxes = torch.cat((corner, corner + 5 + torch.rand(200, 2, generator=generator) * 30), 1)
    labels = torch.randint(0, 2, (200,), generator=generator)
    for most in (0.2, 0.5, 0.7):
        found = np.flatnonzero(suppress(boxes.numpy(), labels.numpy(), most_overlap=most)).tolist()
        assert found == greedy(boxes, labels, most)
