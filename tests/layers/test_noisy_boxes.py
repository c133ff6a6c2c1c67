import pytest
import torch

from limner.core.box_geometry import as_corners
from limner.core.boxes import BoxTargets
from limner.core.outputs import NOTHING
from limner.layers.noisy_boxes import Noise, noisy_boxes

SIZE = (100, 200)
CLASSES = 4


def target(xyxy, labels, ignored=()):
    flags = torch.tensor([i in ignored for i in range(len(labels))], dtype=torch.bool)
    boxes = torch.tensor(xyxy, dtype=torch.float32).reshape(-1, 4)
    return BoxTargets(boxes, torch.tensor(labels, dtype=torch.long), flags)


TWO = target([[20, 10, 60, 50], [100, 20, 160, 80], [0, 0, 9, 9]], [1, 3, 0], ignored=(2,))
ONE = target([[50, 50, 70, 90]], [2])


def test_without_noise_they_are_copies():
    noisy = noisy_boxes([TWO, ONE], SIZE, Noise(queries=7, labels=0, boxes=0), num_classes=CLASSES)
    assert noisy.groups == 3  # 7 // 2
    assert noisy.labels.tolist() == [[1, 3] * 6, [2, CLASSES] * 6]
    assert noisy.truth.tolist() == [[0, 1, NOTHING, NOTHING] * 3, [0, NOTHING, NOTHING, NOTHING] * 3]
    corners = as_corners(noisy.boxes) * torch.tensor([200, 100, 200, 100])
    torch.testing.assert_close(corners[0, :2], TWO.xyxy[:2])
    torch.testing.assert_close(corners[1, 4], ONE.xyxy[0])


def test_little_noise_moves_a_side_by_less_than_half_and_more_noise_by_more():
    torch.manual_seed(0)
    true = target([[80, 40, 120, 60]], [1])
    noisy = noisy_boxes([true], SIZE, Noise(queries=500, labels=0), num_classes=CLASSES)
    corners = as_corners(noisy.boxes[0]) * torch.tensor([200.0, 100, 200, 100])
    moves = (corners - true.xyxy).abs() / torch.tensor([20, 10, 20, 10])  # in halves of the size
    little, more = moves.view(500, 2, 4).unbind(1)
    assert little.max() < 1 + 1e-4 and little.min() < 0.01 and little.mean() == pytest.approx(0.5, abs=0.05)
    assert more.min() > 1 - 1e-4 and more.max() < 2 + 1e-4


def test_a_quarter_of_the_labels_is_drawn_again():
    torch.manual_seed(0)
    noisy = noisy_boxes([ONE], SIZE, Noise(queries=4000, boxes=0), num_classes=CLASSES)
    # One in four of the drawn ones is the old one again.
    assert (noisy.labels != 2).float().mean().item() == pytest.approx(0.25 * 0.75, abs=0.02)


def test_groups_see_themselves_and_the_queries_only():
    noisy = noisy_boxes([ONE], SIZE, Noise(queries=2), num_classes=CLASSES)
    expected = [
        [1, 1, 0, 0, 1],  # a group of two sees itself and the query
        [1, 1, 0, 0, 1],
        [0, 0, 1, 1, 1],
        [0, 0, 1, 1, 1],
        [0, 0, 0, 0, 1],  # the query sees none of them
    ]
    assert noisy.visible(1)[0].int().tolist() == expected


def test_images_without_boxes_have_no_copies():
    assert noisy_boxes([target([], [])], SIZE, Noise(), num_classes=CLASSES) is None
    nothing = noisy_boxes([target([], []), ONE], SIZE, Noise(queries=1), num_classes=CLASSES)
    assert nothing.truth[0].tolist() == [NOTHING, NOTHING] and nothing.labels[0].tolist() == [CLASSES] * 2
