import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.networks import build_network
from limner.networks.valid_padding import crop_centre, mirror_for_valid_convolutions


def valid_unet(**options):
    return build_network("unet", num_classes=2, in_channels=1, padding="valid", norm="none", **options).eval()


@pytest.mark.parametrize(("size", "expected"), [(572, 388), (188, 4)])
def test_the_papers_sizes_without_mirroring(size, expected):
    network = valid_unet(widths=(1, 1, 1, 1, 1), mirror_input=False)
    with torch.no_grad():
        assert network(torch.zeros(1, 1, size, size)).logits.shape == (1, 2, expected, expected)


def test_the_3d_papers_sizes():
    # Figure 2 of Cicek et al.: 132 x 132 x 116 voxels in, 44 x 44 x 28 out.
    options = {"widths": (2, 2, 2, 2), "padding": "valid", "mirror_input": False}
    network = build_network("unet3d", num_classes=1, in_channels=1, **options).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 1, 116, 132, 132)).logits.shape == (1, 1, 28, 44, 44)


@settings(max_examples=10, deadline=None)
@given(height=st.integers(1, 50), width=st.integers(1, 50), depth=st.integers(1, 3))
def test_with_mirroring_the_output_covers_images_of_any_size(height, width, depth):
    network = valid_unet(widths=(1,) * (depth + 1))
    with torch.no_grad():
        assert network(torch.zeros(1, 1, height, width)).logits.shape == (1, 2, height, width)


def test_mirroring_puts_the_image_where_its_scores_are():
    # All kernels pick their centre: each score is a function of its own pixel only.
    network = valid_unet(widths=(1, 1), mirror_input=True)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d) and module.kernel_size == (3, 3):
            module.weight.data.zero_()
            module.weight.data[:, 0, 1, 1] = 1  # the skip connection comes first
        elif isinstance(module, torch.nn.Conv2d):
            module.weight.data.fill_(1)
            module.bias.data.zero_()
    image = torch.rand(1, 1, 21, 34)
    with torch.no_grad():
        torch.testing.assert_close(network(image).logits[:, :1], image)


def test_mirroring_equals_pytorchs_where_that_is_possible():
    image = torch.arange(2 * 60 * 61, dtype=torch.float32).reshape(1, 2, 60, 61)
    found = mirror_for_valid_convolutions(image, depth=1)
    # depth 1: 2 b - 12 >= 60 -> b = 36, input 2 b + 4 = 76: 8 before, 8 after; 61 -> b = 37, 78: 8 and 9.
    expected = torch.nn.functional.pad(image, (8, 9, 8, 8), mode="reflect")
    assert torch.equal(found, expected)


def test_mirroring_a_single_pixel_repeats_it():
    assert mirror_for_valid_convolutions(torch.full((1, 1, 1, 1), 7.0), depth=1).unique().tolist() == [7.0]


def test_the_centre_of_an_odd_difference():
    # 5 to 2: one off in front, two behind.
    assert crop_centre(torch.arange(5.0).reshape(1, 1, 1, 5), (1, 2)).flatten().tolist() == [1.0, 2.0]


def test_padding_to_a_multiple_changes_no_image_that_is_one():
    torch.manual_seed(0)
    network = build_network("unet", num_classes=2, in_channels=1, widths=(4, 8, 8)).eval()
    image = torch.randn(1, 1, 32, 40)
    below = torch.zeros(1, 1, 35, 43)
    below[..., :32, :40] = image
    with torch.no_grad():
        alone, padded = network(image).logits, network(below).logits
    assert padded.shape[2:] == (35, 43)
    # Far from the border with the zeros, the scores agree (receptive field: 22 pixels to each side).
    torch.testing.assert_close(padded[..., :8, :16], alone[..., :8, :16])


@pytest.mark.parametrize("norm", ["none", "batch", "instance", "group"])
@pytest.mark.parametrize("upsampling", ["transposed", "bilinear", "nearest"])
@pytest.mark.parametrize("dims", [2, 3])
def test_every_combination_trains(norm, upsampling, dims):
    network = build_network(
        "unet",
        num_classes=2,
        spatial_dims=dims,
        widths=(4, 8, 8),
        norm=norm,
        upsampling=upsampling,
        auxiliary=True,
    ).train()
    outputs = network(torch.randn(1, 3, *(33,) * dims))
    assert outputs.logits.shape[2:] == (33,) * dims
    assert outputs.auxiliary[0].logits.shape[2:] == (18,) * dims  # half of 36, the multiple of four
    outputs.logits.square().mean().backward()


def test_a_small_3d_unet_learns_a_ball():
    """Overfits one synthetic volume, so that nothing between the loss and the weights is broken in 3D."""
    torch.manual_seed(0)
    axis = torch.linspace(-1, 1, 16)
    distance = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")).norm(dim=0)
    truth = (distance < 0.6).long()[None]
    volume = truth[:, None].float() + 0.5 * torch.randn(1, 1, 16, 16, 16)
    network = build_network("unet3d", num_classes=2, in_channels=1, widths=(8, 16))
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)
    for _ in range(40):
        loss = torch.nn.functional.cross_entropy(network(volume).logits, truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = network(volume).logits.argmax(1)
    dice = 2 * (found * truth).sum() / (found.sum() + truth.sum())
    # Thresholding the noisy volume itself at one half reaches a Dice of about 0.55.
    assert dice > 0.95


def test_overlapping_steps_reach_twice_the_size_and_the_next_width():
    # Kernels of ones: pixels 1 and 10 become 1, 1 + 10, 10, of which the first is repeated.
    network = build_network("unet", num_classes=1, in_channels=1, widths=(2, 4), upsampling="overlapping")
    up = network.decoder[0].up
    assert up.conv.weight.shape == (4, 2, 3, 3)
    with torch.no_grad():
        up.conv.weight.fill_(1)
        up.conv.bias.zero_()
        found = up(torch.tensor([[1.0, 10.0]]).expand(1, 4, 1, 2))
    assert found.shape == (1, 2, 2, 4)
    assert found[0, 0, 0].tolist() == [4, 4, 44, 40]
