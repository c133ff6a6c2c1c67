import numpy as np
import pytest
import torch

from limner.core.errors import DataError
from limner.core.label_map import LabelMap
from limner.core.sample import Sample
from limner.loading.collate import collate


def sample_of(name, shape, channels, dtype=np.uint8):
    rng = np.random.default_rng(len(name))
    image = rng.integers(0, 256, (*shape, channels)).astype(dtype)
    return Sample(name, image, (LabelMap(rng.integers(0, 3, shape, dtype=np.uint8)),))


@pytest.mark.parametrize("shape", [(4, 6), (3, 4, 6)])
@pytest.mark.parametrize("channels", [1, 3, 12])
def test_stacks_and_stays_channels_last(shape, channels):
    samples = [sample_of("a", shape, channels), sample_of("bb", shape, channels)]
    batch = collate(samples)
    assert batch.names == ("a", "bb")
    assert batch.images.shape == (2, channels, *shape)
    layout = torch.channels_last if len(shape) == 2 else torch.channels_last_3d
    assert batch.images.is_contiguous(memory_format=layout)
    for row, sample in enumerate(samples):
        assert np.array_equal(batch.images[row].movedim(0, -1).numpy(), sample.image)
        assert np.array_equal(batch.get(LabelMap)[row].numpy(), sample.get(LabelMap).labels)


def test_mirrored_views_are_copied_right():
    sample = sample_of("a", (4, 6), 3)
    mirrored = Sample("b", sample.image[:, ::-1], (LabelMap(sample.get(LabelMap).labels[::-1]),))
    batch = collate([mirrored])
    assert np.array_equal(batch.images[0].movedim(0, -1).numpy(), sample.image[:, ::-1])
    assert np.array_equal(batch.get(LabelMap)[0].numpy(), sample.get(LabelMap).labels[::-1])


@pytest.mark.parametrize(
    ("dtype", "travels_as"),
    [
        (np.uint8, torch.uint8),
        (np.uint16, torch.float32),
        (np.float32, torch.float32),
        (np.float64, torch.float32),
    ],
)
def test_types(dtype, travels_as):
    sample = sample_of("a", (4, 6), 2, dtype)
    batch = collate([Sample("a", sample.image * dtype(200), sample.targets)])
    assert batch.images.dtype == travels_as
    assert np.array_equal(batch.images[0].movedim(0, -1).numpy(), sample.image * dtype(200))


def test_unlabelled_samples_make_an_unlabelled_batch():
    assert collate([Sample("a", np.zeros((4, 6, 3), np.uint8))]).get(LabelMap) is None


@pytest.mark.parametrize(
    ("other", "found"),
    [
        (Sample("b", np.zeros((4, 6, 1), np.uint8)), "4 x 6, 1 channels, uint8, unlabelled"),
        (Sample("b", np.zeros((4, 6, 3), np.uint16)), "4 x 6, 3 channels, uint16, unlabelled"),
        (sample_of("b", (4, 6), 3), "4 x 6, 3 channels, uint8, labelled"),
    ],
)
def test_samples_of_two_kinds_are_named(other, found):
    first = Sample("a", np.zeros((4, 6, 3), np.uint8))
    with pytest.raises(
        DataError, match="must have the same size, channels, type and kinds of labels: b"
    ) as caught:
        collate([first, other])
    assert f"found:    {found}" in str(caught.value)
    assert "as in a" in str(caught.value)
