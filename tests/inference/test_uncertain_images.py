import numpy as np
import pytest
import torch
from torch import nn

from limner.inference.deep_features import DeepFeatures
from limner.inference.uncertain_images import MeasuredImage, choose_next


def at(uncertainty: float, x: float, y: float = 0.0) -> MeasuredImage:
    return MeasuredImage(uncertainty, (x, y))


def test_the_most_uncertain_comes_first_and_each_next_one_is_the_farthest() -> None:
    measured = [at(0.1, 0), at(0.9, 0), at(0.8, 0.1), at(0.7, 1), at(0.6, 3), at(0.5, 3.1)]
    chosen = choose_next(measured, 3)
    # From 0: the farthest is 3.1; then 1, whose nearest is at a distance of 1, not 3 with one of 0.1.
    assert [one.index for one in chosen] == [1, 5, 3]
    assert [one.distance for one in chosen] == [None, pytest.approx(3.1), pytest.approx(1)]


def test_only_the_most_uncertain_are_candidates() -> None:
    measured = [at(0.9 - n / 100, 0) for n in range(4)] + [at(0.1, 100)]
    assert [one.index for one in choose_next(measured, 1)] == [0]
    # Four candidates for one image, eight for two: now the far one is among them.
    assert [one.index for one in choose_next(measured, 2)] == [0, 4]


def test_copies_are_chosen_last_and_never_twice() -> None:
    measured = [at(0.9, 0), at(0.8, 0), at(0.7, 5)]
    assert [one.index for one in choose_next(measured, 10)] == [0, 2, 1]
    assert choose_next([], 3) == []


def test_what_is_kept_between_images_is_read_back() -> None:
    one = at(0.123456, 0.5, -0.25)
    assert MeasuredImage.from_json(one.to_json()) == one


class Network(nn.Module):
    """A map of 2 x 2, then a head that runs on two levels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 3, 1)
        self.deep = nn.AvgPool2d(4)
        self.head = nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.stem(images)
        deep = self.deep(features)
        self.head(deep)
        return self.head(features)


def test_the_deepest_layer_that_runs_once_is_averaged() -> None:
    network = Network().eval()
    images = torch.arange(64.0).view(1, 1, 8, 8)
    features = DeepFeatures(network)
    for count in (1, 2):
        with features.watch() as runs, torch.inference_mode():
            for _ in range(count):
                network(images)
        assert features.layer == "deep"
        assert len(runs) == count
        expected = network.stem(images).mean((0, 2, 3)).detach().numpy()
        np.testing.assert_allclose(runs[0], expected, rtol=1e-5)
    assert not network.deep._forward_hooks


def test_a_network_without_maps_has_no_features() -> None:
    features = DeepFeatures(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)))
    with features.watch() as runs:
        features._network(torch.zeros(1, 4))
    assert (features.layer, runs) == (None, [])
