"""Slices of volumes: places, neighbours, turned volumes, slices without foreground."""

from pathlib import Path

import numpy as np
import pytest

from limner.core.label_map import LabelMap
from limner.core.labels import LabelClass, LabelTable
from limner.core.picture import Geometry
from limner.core.plan import InputPlan
from limner.formats import open_source
from limner.images.volumes.volume_writing import write_volume
from limner.loading.image_cache import MemoryCache
from limner.loading.loader import training_batches
from limner.loading.pseudo_labelled import JoinedDataset, PseudoLabelled
from limner.loading.training_dataset import PreparedDataset, training_dataset
from limner.transforms.slices import slice_of

TABLE = LabelTable((LabelClass("background", (0,), (0, 0, 0)), LabelClass("organ", (3,), (9, 9, 9))))
SHAPE = (8, 5, 6)
AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])[:, [2, 1, 0, 3]]


def plan(**more: object) -> InputPlan:
    return InputPlan(channels=1, crop_size=(48, 48), mean=(0.0,), std=(1.0,), slice_axis=0, **more)


@pytest.fixture
def source(tmp_path: Path):
    """Two volumes whose voxels tell their place, one stored upside down; slices 2 and 3 show an organ."""
    voxels = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:4, 1:3, 1:3] = 3
    for name, flip in (("a", False), ("b", True)):
        affine = (
            AFFINE @ np.array([[-1, 0, 0, 7], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]) if flip else AFFINE
        )
        for folder, array in (("images", voxels), ("labels", labels)):
            stored = array[::-1] if flip else array
            path = tmp_path / folder / f"{name}.nii.gz"
            write_volume(path, np.ascontiguousarray(stored)[..., None], Geometry((2.0, 1.0, 1.0), affine))
    return open_source(tmp_path)


def test_turned_volumes_give_the_same_slices(source) -> None:
    dataset = training_dataset(source, source.records, TABLE, plan(orientation="RAS"), targets=(LabelMap,))
    assert len(dataset) == 16
    first, second = dataset[2], dataset[10]
    assert (first.name, second.name) == ("a, slice 2", "b, slice 2")
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.image[..., 0], np.arange(60, 90).reshape(5, 6))
    np.testing.assert_array_equal(first.get(LabelMap).labels, second.get(LabelMap).labels)
    assert first.get(LabelMap).labels.sum() == 4
    assert first.spacing_mm == (1, 1)
    stored = training_dataset(source, source.records, TABLE, plan(), targets=(LabelMap,))
    assert not np.array_equal(stored[2].image, stored[10].image)


@pytest.mark.parametrize(("share", "count"), [(None, 16), (0.0, 4), (0.5, 8), (0.75, 16), (0.9, 16)])
def test_slices_without_foreground_are_limited(source, share: float | None, count: int) -> None:
    dataset = training_dataset(source, source.records, TABLE, plan(empty_slices=share), targets=(LabelMap,))
    assert len(dataset) == count
    shown = [bool(dataset[i].get(LabelMap).labels.any()) for i in range(count)]
    assert sum(shown) == 4


def test_every_slice_of_every_volume_is_trained_on(source) -> None:
    dataset = training_dataset(source, source.records, TABLE, plan(), targets=(LabelMap,))
    seen: list[str] = []
    with training_batches(dataset, lambda sample, _: sample, batch_size=4, seed=0, workers=0) as batches:
        for _ in range(4):
            seen += next(batches).names
    assert sorted(seen) == sorted(dataset.name_of(index) for index in range(16))
    joined = JoinedDataset(dataset, PseudoLabelled(source, (), TABLE))
    assert len(joined) == len(joined.classes) == len(dataset.classes) == 16


def test_neighbours_are_channels_and_ends_are_repeated() -> None:
    volume = np.arange(4 * 2 * 3).reshape(4, 2, 3, 1)
    np.testing.assert_array_equal(slice_of(volume, 0, 0, 1)[0, 0], [0, 0, 6])
    np.testing.assert_array_equal(slice_of(volume, 2, 1, 1)[0, 0], [0, 1, 2])
    assert slice_of(volume, 1, 1, 2).shape == (4, 3, 5)


def test_what_does_not_fit_in_memory_is_kept_on_disk(source, monkeypatch, tmp_path_factory) -> None:
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path_factory.mktemp("cache")))

    def prepared() -> PreparedDataset:
        return PreparedDataset(
            source, source.records, TABLE, plan(orientation="RAS"), targets=(LabelMap,), cache=MemoryCache(0)
        )

    first = prepared()[1]
    reads: list[str] = []
    monkeypatch.setattr(source, "read_image", lambda record: reads.append(record.name))
    again = prepared()[1]
    assert reads == []
    assert isinstance(again.image, np.memmap)
    np.testing.assert_array_equal(again.image, first.image)
    np.testing.assert_array_equal(again.get(LabelMap).labels, first.get(LabelMap).labels)
    assert again.spacing_mm == first.spacing_mm == (2, 1, 1)
    # A plan that prepares volumes in another way finds nothing, and removes what nobody needs any more.
    folder = prepared()._files._folder
    PreparedDataset(source, source.records, TABLE, plan(), targets=(LabelMap,), cache=MemoryCache(0))
    assert not [*folder.glob("*.npy")]
