import pytest
import torch

from limner.layers.input_normalization import InputNormalization


def test_normalises_each_channel():
    layer = InputNormalization([10.0, 100.0], [2.0, 50.0])
    images = torch.tensor([[[[14]], [[50]]]], dtype=torch.uint8)  # (1, 2, 1, 1)
    # (14 - 10) / 2 = 2 and (50 - 100) / 50 = -1
    torch.testing.assert_close(layer(images), torch.tensor([[[[2.0]], [[-1.0]]]]))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.int16, torch.float16, torch.float64])
@pytest.mark.parametrize("size", [(5, 7), (3, 5, 7)])
def test_every_number_type_becomes_float32_in_2d_and_3d(dtype, size):
    images = torch.arange(2 * 3 * torch.Size(size).numel()).remainder(200).view(2, 3, *size)
    normalised = InputNormalization([1, 2, 3], [4, 5, 6])(images.to(dtype))
    assert normalised.dtype == torch.float32
    mean = torch.tensor([1.0, 2, 3]).view(3, *[1] * len(size))
    std = torch.tensor([4.0, 5, 6]).view(3, *[1] * len(size))
    torch.testing.assert_close(normalised, (images.float() - mean) / std)


def test_the_callers_float_image_is_not_changed():
    images = torch.ones(1, 1, 2, 2)
    InputNormalization([5.0], [2.0])(images)
    assert (images == 1).all()


def test_another_number_of_channels_is_refused_and_not_broadcast():
    with pytest.raises(ValueError, match=r"3 channels; found .*\(2, 1, 4, 4\)"):
        InputNormalization([1, 2, 3], [4, 5, 6])(torch.zeros(2, 1, 4, 4))


def test_a_mean_far_above_the_deviation_loses_no_digits():
    # 16-bit scans: at 30001 over a mean of 30000 and a deviation of 0.5 the result is exactly 2.
    images = torch.tensor([[[[30001]]]], dtype=torch.uint16)
    assert InputNormalization([30000.0], [0.5])(images).item() == 2.0


def test_memory_format_is_kept_and_the_state_dict_is_empty():
    layer = InputNormalization([0.0] * 3, [1.0] * 3)
    images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8).to(memory_format=torch.channels_last)
    assert layer(images).is_contiguous(memory_format=torch.channels_last)
    assert not layer.state_dict()
