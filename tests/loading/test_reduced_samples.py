"""Samples whose image is decoded at a part of its size, beside labels at full size."""

import cv2
import numpy as np
import pytest
from PIL import Image

from limner.core.boxes import Boxes, boxes_of
from limner.core.label_map import LabelMap
from limner.core.plan import ResizePlan
from limner.core.randomness import generator
from limner.core.sample import Sample
from limner.formats import open_source
from limner.loading.dataset import Dataset
from limner.transforms.area_crop import AreaCrop
from limner.transforms.reduced_size import ReducedSize
from limner.transforms.scale_crop import CropParams, ScaleCrop

HEIGHT, WIDTH = 160, 240
SMALL = ResizePlan(shortest=20)  # of 160 rows: decoded at a quarter, 40 rows


@pytest.fixture
def source(tmp_path):
    """One image, whose red and green are row and column, with a mask."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    image = np.stack([rows, columns, np.zeros_like(rows)], axis=-1).astype(np.uint8)
    mask = ((rows // 7 + columns // 11) % 2).astype(np.uint8)
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    Image.fromarray(image).save(tmp_path / "images" / "a.jpg", quality=100, subsampling=0)
    cv2.imwrite(str(tmp_path / "masks" / "a.png"), mask)
    (tmp_path / "dataset.yaml").write_text("classes: [background, stripe]\n", "utf-8")
    return open_source(tmp_path)


def samples_of(source) -> tuple[Sample, Sample]:
    """The sample at full size, and reduced."""
    labels = source.declared_labels()
    whole = Dataset(source, source.records, labels, cache=None)[0]
    return whole, Dataset(source, source.records, labels, cache=None, reduce=ReducedSize(SMALL))[0]


def test_labels_stay_at_full_size(source):
    whole, reduced = samples_of(source)
    assert (reduced.reduction, reduced.image.shape) == (4, (40, 60, 3))
    assert reduced.spatial_shape == whole.spatial_shape == (HEIGHT, WIDTH)
    np.testing.assert_array_equal(reduced.get(LabelMap).labels, whole.get(LabelMap).labels)
    assert reduced.nbytes < whole.nbytes / 2


@pytest.mark.parametrize(
    "crop",
    [
        ScaleCrop(size=(16, 24), scale=(0.5, 2.0), resize=SMALL),
        ScaleCrop(size=(32, 32), scale=(0.5, 0.7), resize=SMALL),  # padded
        ScaleCrop(size=(16, 16), scale=(0.5, 2.0), resize=SMALL, foreground_probability=1.0),
        AreaCrop(size=(20, 30)),
    ],
    ids=["plain", "padded", "on the foreground", "by area"],
)
def test_a_crop_is_that_of_the_whole_image(source, crop):
    """Red and green say where a pixel is from: a shift by one row of the file makes a difference of one."""
    whole, reduced = samples_of(source)
    for number in range(40):
        params = crop.draw(generator(0, "crop", number), reduced)
        expected, found = crop.apply(whole, params), crop.apply(reduced, params)
        assert found.reduction == 1 and found.spatial_shape == crop.size
        np.testing.assert_array_equal(found.get(LabelMap).labels, expected.get(LabelMap).labels)
        difference = found.image.astype(int) - expected.image
        assert np.abs(difference.mean((0, 1))).max() < 0.5, (number, params)
        assert np.abs(difference).mean() < 1


def test_windows_are_drawn_as_for_the_whole_image(source):
    whole, reduced = samples_of(source)
    crop = ScaleCrop(size=(16, 24), scale=(0.5, 2.0), resize=SMALL)
    for number in range(40):
        one, other = (crop.draw(generator(0, "crop", number), sample) for sample in (whole, reduced))
        difference = np.abs(np.subtract(one.window + one.start, other.window + other.start))
        assert difference.max() <= 4, (one, other)
        assert all(side % 4 == 0 for side in other.window + other.start)


def test_boxes_are_those_of_the_whole_image():
    image = np.zeros((40, 60, 3), np.uint8)
    boxes = boxes_of([[30, 41, 90, 101]], [0], shape=(160, 240))
    reduced = Sample("a", image, (boxes,), reduction=4)
    crop = ScaleCrop(size=(32, 32)).apply(reduced, CropParams((40, 20), (64, 64)))
    # The window begins at x 20 and y 40, and is shown at half its size.
    np.testing.assert_array_equal(crop.get(Boxes).xyxy, [[5.0, 0.5, 32.0, 30.5]])
