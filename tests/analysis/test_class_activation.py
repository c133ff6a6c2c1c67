import numpy as np
import pytest
import torch
from torch import nn

from limner.analysis.class_activation import activation_maps, default_layer, explainable_layers
from limner.core.errors import ConfigError, UnknownNameError
from limner.core.outputs import DenseLogits, PointBoxes, QueryBoxes
from limner.networks import build_network


class Linear(nn.Module):
    """One 1x1 convolution on two features that are the image's channels: everything can be worked out."""

    def __init__(self):
        super().__init__()
        self.features = nn.Identity()
        self.act = nn.ReLU(inplace=True)
        self.head = nn.Conv2d(2, 2, 1, bias=False)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[0.0, 0.0], [2.0, -1.0]])[..., None, None])

    def forward(self, image):
        return DenseLogits(self.head(self.act(self.features(image))))


def image():
    values = torch.zeros(1, 2, 3, 4)
    values[0, 0] = torch.arange(12.0).reshape(3, 4)
    values[0, 1] = 4.0
    return values


def test_maps_by_hand():
    target = np.zeros((3, 4), bool)
    target[1, 2:] = True  # values 6 and 7
    found = activation_maps(Linear(), image(), layer="act", class_index=1, target=target)
    first, second = image()[0].numpy()
    # The gradient of the score is (2, -1) at the target and 0 elsewhere.
    here = target.astype(float)
    hires = np.clip((2 * first - second) * here, 0, None)
    layer = np.clip(2 * first * here, 0, None)
    # Its mean over the 12 pixels is (2, -1) * 2 / 12 everywhere.
    grad = np.clip((2 * first - second) / 6, 0, None)
    for name, expected in (("hirescam", hires), ("layercam", layer), ("gradcam", grad)):
        np.testing.assert_allclose(found[name], expected / expected.max(), atol=1e-6, err_msg=name)


def test_without_a_target_the_predicted_pixels_are_explained():
    found = activation_maps(Linear(), image(), layer="act", class_index=1)
    # Class 1 scores 2 * first - 4, which exceeds the 0 of class 0 from the value 3 on.
    assert (found["layercam"] > 0).sum() == 9
    with pytest.raises(ConfigError, match="nothing to explain"):
        activation_maps(Linear(), torch.zeros(1, 2, 3, 4), layer="act", class_index=1)
    with pytest.raises(UnknownNameError, match=r"'ac' \(did you mean 'act'\?\)"):
        activation_maps(Linear(), image(), layer="ac", class_index=1)


def test_layers_are_listed_with_their_maps_and_the_deepest_is_taken(tiny_model):
    network = tiny_model().network
    images = torch.zeros(1, 3, 64, 48)
    layers = explainable_layers(network, images)
    assert all(len(shape) == 3 for shape in layers.values())
    chosen = default_layer(layers)
    assert layers[chosen][1:] == (32, 24)  # the tiny U-Net halves once
    heats = activation_maps(network, images, layer=chosen, class_index=0, target=np.ones((64, 48), bool))
    assert all(heat.shape == (64, 48) for heat in heats.values())
    assert all(p.grad is None for p in network.parameters())


@pytest.mark.parametrize("name", ["pspnet", "deeplabv3"])
def test_neither_pooled_maps_nor_scores_are_taken_by_default(name):
    network = build_network(name, num_classes=2, backbone="resnet18_width16", channels=8).eval()
    layers = explainable_layers(network, torch.zeros(1, 3, 64, 64))
    assert default_layer(layers) == "context" and layers["context"] == (8, 8, 8)


class Queries(nn.Module):
    """Two boxes side by side, whose logits are the means of the features below them."""

    def __init__(self):
        super().__init__()
        self.features = nn.Identity()

    def forward(self, image):
        halves = self.features(image)[0, 0].unflatten(1, (2, -1)).mean((0, 2))  # left and right
        boxes = torch.tensor([[0.25, 0.5, 0.5, 1.0], [0.75, 0.5, 0.5, 1.0]])
        return QueryBoxes(halves.view(1, 2, 1), boxes[None])


def halves(left, right):
    image = torch.full((1, 1, 4, 8), float(left))
    image[..., 4:] = right
    return image


def test_boxes_of_queries_are_explained_where_they_are():
    network, image = Queries(), halves(2, 3)
    both = activation_maps(network, image, layer="features", class_index=0)["hirescam"]
    # The gradient of a score p is p (1 - p) / 16 at each pixel of its box; times the feature.
    p, q = torch.tensor([2.0, 3.0]).sigmoid().tolist()
    ratio = 2 * p * (1 - p) / (3 * q * (1 - q))
    np.testing.assert_allclose(both[:, :4], 1, atol=1e-5)
    np.testing.assert_allclose(both[:, 4:], 1 / ratio, atol=1e-5)
    target = np.zeros((4, 8), bool)
    target[1, 6] = True  # in the right box alone
    right = activation_maps(network, image, layer="features", class_index=0, target=target)["hirescam"]
    assert (right[:, :4] == 0).all() and (right[:, 4:] == 1).all()


def test_without_a_box_there_is_nothing_to_explain():
    with pytest.raises(ConfigError, match=r"No box of this class has a score of 0\.5"):
        activation_maps(Queries(), halves(-1, -1), layer="features", class_index=0)


class Points(nn.Module):
    """One level of a point for each pixel."""

    def __init__(self):
        super().__init__()
        self.features = nn.Identity()

    def forward(self, image):
        maps = self.features(image)
        y, x = torch.meshgrid(torch.arange(4) + 0.5, torch.arange(8) + 0.5, indexing="ij")
        points = torch.stack((x.flatten(), y.flatten(), torch.ones(32)), 1)
        return PointBoxes(maps.flatten(2).transpose(1, 2), torch.zeros(1, 32, 4), points)


def test_points_are_explained_from_the_score_that_is_shown():
    # A logit of -0.5 is a probability of 0.38, and a score of 0.61.
    found = activation_maps(Points(), halves(-0.5, -9), layer="features", class_index=0)["gradcam"]
    assert found.shape == (4, 8)
