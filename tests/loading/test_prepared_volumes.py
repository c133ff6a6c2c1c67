"""Volumes prepared once for patches: turned, clipped, resampled, cached, with places of the foreground."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from limner.core.augment_plan import AugmentPlan
from limner.core.label_map import MOST_PLACES, LabelMap
from limner.core.labels import LabelClass, LabelTable
from limner.core.picture import Geometry
from limner.core.plan import InputPlan
from limner.core.sample import Sample
from limner.formats import open_source
from limner.images.volumes.volume_writing import write_volume
from limner.loading.image_cache import MemoryCache
from limner.loading.loader import training_batches
from limner.loading.pipeline import build_pipeline
from limner.loading.training_dataset import PreparedDataset, training_dataset
from limner.transforms.normalize_each import normalize_each
from limner.transforms.resample_volume import resample_image, resample_labels

NAMES = ("background", "organ", "vessel")
TABLE = LabelTable(tuple(LabelClass(name, (i,), (i, i, i)) for i, name in enumerate(NAMES)))
SHAPE = (6, 12, 10)


def plan(**more: object) -> InputPlan:
    values = {"spatial_dims": 3, "channels": 1, "crop_size": (8, 8, 8), "mean": (0.0,), "std": (1.0,)}
    return InputPlan(**(values | {"orientation": "RAS"} | more))


@pytest.fixture
def source(tmp_path: Path):
    """Two equal volumes of 3 x 1 x 1 mm, one stored upside down."""
    rng = np.random.default_rng(0)
    voxels = rng.integers(-1000, 1000, SHAPE).astype(np.int16)
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:4, 2:9, 2:8] = 1
    labels[2, 4, 4] = 2
    affine = np.diag([1.0, 1.0, 3.0, 1.0])[:, [2, 1, 0, 3]]
    turned = affine @ np.array([[-1, 0, 0, 5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    for name, flip in (("a", False), ("b", True)):
        for folder, array in (("images", voxels), ("labels", labels)):
            stored = np.ascontiguousarray(array[::-1] if flip else array)[..., None]
            place = Geometry((3.0, 1.0, 1.0), turned if flip else affine)
            write_volume(tmp_path / folder / f"{name}.nii.gz", stored, place)
    return open_source(tmp_path), voxels.astype(np.float32), labels


def prepared(source, plan: InputPlan) -> PreparedDataset:
    dataset = training_dataset(source[0], source[0].records, TABLE, plan, targets=(LabelMap,))
    assert isinstance(dataset, PreparedDataset)
    return dataset


def test_volumes_are_turned_clipped_and_resampled(source) -> None:
    _, voxels, labels = source
    found = prepared(source, plan(clip=((-500, 300),), resample=True, spacing_mm=(1.0, 1.0, 2.0)))
    shape = (18, 12, 5)
    for sample in (found[0], found[1]):
        clipped = np.clip(voxels, -500, 300)[..., None]
        np.testing.assert_allclose(sample.image, resample_image(clipped, shape), atol=1e-3)
        np.testing.assert_array_equal(sample.get(LabelMap).labels, resample_labels(labels, shape))
        assert sample.spacing_mm == (1, 1, 2)
        assert not sample.image.flags.writeable


def test_without_a_spacing_voxels_stay(source) -> None:
    sample = prepared(source, plan(normalize_each=True))[1]
    np.testing.assert_allclose(sample.image, normalize_each(source[1][..., None]), atol=1e-6)
    assert sample.spacing_mm == (3, 1, 1)


def test_places_are_of_each_class(source) -> None:
    places = prepared(source, plan())[0].get(LabelMap).places
    values, counts = np.unique(places[:, 0], return_counts=True)
    assert (values.tolist(), counts.tolist()) == ([1, 2], [3 * 7 * 6 - 1, 1])
    assert (source[2].ravel()[places[:, 1]] == places[:, 0]).all()


def test_places_are_drawn_evenly_from_the_classes() -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[10:30] = 1
    labels[35, :2] = 2
    labels[0] = 255
    target = LabelMap(labels).with_places(None)  # the largest class is the background: 1
    assert set(np.unique(target.places[:, 0])) == {0, 2}
    assert (target.places[:, 0] == 0).sum() == MOST_PLACES
    drawn = [target.foreground_pixel(rng, None) for _ in range(400)]
    assert 0.4 < np.mean([labels[place] == 2 for place in drawn]) < 0.6
    empty = LabelMap(np.zeros((3, 3, 3), np.uint8)).with_places(0)
    assert empty.foreground_pixel(rng, 0) is None


def test_the_cache_folder_keeps_everything(source, monkeypatch, tmp_path_factory) -> None:
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path_factory.mktemp("cache")))
    values = plan(normalize_each=True, resample=True, spacing_mm=(1.0, 1.0, 1.0))

    def read() -> Sample:
        kinds = (LabelMap,)
        records = source[0].records
        return PreparedDataset(source[0], records, TABLE, values, targets=kinds, cache=MemoryCache(0))[0]

    first = read()
    monkeypatch.setattr(source[0], "read_image", lambda record: pytest.fail("read again"))
    again = read()
    assert isinstance(again.image, np.memmap)
    np.testing.assert_array_equal(again.image, first.image)
    np.testing.assert_array_equal(again.get(LabelMap).places, first.get(LabelMap).places)
    np.testing.assert_array_equal(again.get(LabelMap).labels, first.get(LabelMap).labels)


def test_patches_do_not_depend_on_cache_or_workers(source, monkeypatch, tmp_path_factory) -> None:
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path_factory.mktemp("cache")))
    values = plan(normalize_each=True, resample=True, spacing_mm=(1.5, 1.0, 1.0))
    augment = AugmentPlan(
        **{"rotation": 30, "scale": (0.7, 1.4), "affine_probability": 0.5, "gamma": (0.7, 1.5)},
        **{"noise": 0.1, "blur": 1.0, "low_resolution": 0.5, "foreground_probability": 0.5},
        flip_axes=(0, 1, 2),
    )
    pipeline = build_pipeline(augment, values, TABLE)
    batches = []
    for cache, workers in ((MemoryCache(), 0), (MemoryCache(0), 2), (MemoryCache(0), 0)):
        dataset = PreparedDataset(
            source[0], source[0].records, TABLE, values, targets=(LabelMap,), cache=cache
        )
        with training_batches(dataset, pipeline, batch_size=3, seed=5, workers=workers) as stream:
            batches.append([next(stream) for _ in range(4)])
    for one, two, three in zip(*batches, strict=True):
        assert one.images.shape == (3, 1, 8, 8, 8)
        for other in (two, three):
            assert (one.images == other.images).all()
            assert (one.get(LabelMap) == other.get(LabelMap)).all()


def test_photographs_are_normalised_by_themselves_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image, labels = (
        rng.integers(0, 255, (9, 8, 3)).astype(np.uint8),
        rng.integers(0, 2, (9, 8)).astype(np.uint8),
    )
    for folder, array in (("images", image), ("masks", labels)):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "a.png"), array)
    source = open_source(tmp_path)
    values = InputPlan(channels=3, crop_size=(8, 8), mean=(0,) * 3, std=(1,) * 3, normalize_each=True)
    sample = training_dataset(source, source.records, TABLE, values, targets=(LabelMap,))[0]
    np.testing.assert_allclose(sample.image, normalize_each(image[..., ::-1]), atol=1e-6)
    np.testing.assert_array_equal(sample.get(LabelMap).labels, labels)
