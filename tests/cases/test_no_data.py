"""Pixels without data by GDAL's tag in GeoTIFF files are left out of statistics, losses and scores."""

import numpy as np
import pytest
import tifffile

import limner
from limner.core.label_map import LabelMap
from limner.core.labels import IGNORE_INDEX
from limner.formats import open_source
from limner.images.read_image import read_image
from limner.loading.dataset import Dataset


def geotiff(path, pixels, no_data):
    path.parent.mkdir(parents=True, exist_ok=True)
    tags = [] if no_data is None else [(42113, "s", 0, no_data, True)]
    tifffile.imwrite(path, pixels, extratags=tags)


def dataset(root, *, image_tag=None, mask_tag=None, values=(0, 1)):
    """Images of 100 and 200 in halves, with the first two of twelve rows empty; masks of two halves."""
    for index in range(3):
        image = np.full((12, 16), 100, np.float32)
        image[:, 8:] = 200
        if image_tag is not None:
            image[:2] = float(image_tag)
        mask = np.full((12, 16), values[0], np.uint8)
        for place, value in enumerate(values[1:], start=1):
            mask[:, 16 * place // len(values) :] = value
        geotiff(root / f"images/{index}.tif", image, image_tag)
        geotiff(root / f"masks/{index}.tif", mask, mask_tag)
    return root


@pytest.mark.parametrize("tag", ["-9999", "-3.4028234663852886e+38", "nan"])
def test_of_images(tmp_path, tag):
    root = dataset(tmp_path / "data", image_tag=tag)
    checked = limner.check(root)
    (finding,) = (one for one in checked.findings if one.code == "no-data-pixels")
    assert "3 of 3 images" in finding.found and "16.7 %" in finding.found  # 2 of 12 rows
    (channel,) = checked.facts.images[0].intensities
    assert (channel.minimum, channel.maximum, channel.mean) == (100, 200, 150)
    assert checked.facts.images[0].value_counts == {0: 80, 1: 80}  # 10 rows of 8
    sample = Dataset(checked.source, checked.source.records, checked.labels, cache=None)[0]
    classes = sample.get(LabelMap).labels
    assert (classes[:2] == IGNORE_INDEX).all() and (classes[2:] != IGNORE_INDEX).all()
    assert (sample.image[:2] == 150).all()  # the mean, so that nothing stands out


def test_all_channels_have_no_data_or_the_pixel_has_some(tmp_path):
    pixels = np.full((4, 4, 3), 9, np.uint8)
    pixels[0, 0] = 0  # no data
    pixels[1, 1, 2] = 0  # no blue
    geotiff(tmp_path / "a.tif", pixels, "0")
    picture = read_image(tmp_path / "a.tif")
    assert picture.valid.sum() == 15 and not picture.valid[0, 0]
    # The mean of blue is 14 * 9 / 15 = 8.4.
    assert picture.array[0, 0].tolist() == [9, 9, 8] and picture.array[1, 1].tolist() == [9, 9, 0]


@pytest.mark.parametrize("tag", ["-9999", "nan", "0.5", "none", ""])
def test_a_value_that_no_pixel_has_changes_nothing(tmp_path, tag):
    geotiff(tmp_path / "a.tif", np.full((4, 4), 9, np.uint8), tag)
    picture = read_image(tmp_path / "a.tif")
    assert picture.valid is None and (picture.array == 9).all()


def test_an_image_without_any_data_is_ignored_as_a_whole(tmp_path):
    root = dataset(tmp_path / "data")
    geotiff(root / "images/0.tif", np.full((12, 16), -1, np.float32), "-1")
    checked = limner.check(root)
    assert checked.facts.images[0].no_data_pixels == 12 * 16
    assert checked.facts.images[0].value_counts == {}


def test_of_masks_is_asked_about(tmp_path):
    root = dataset(tmp_path / "data", mask_tag="7", values=(0, 1, 7))
    (finding,) = limner.check(root).errors
    assert finding.code == "mask-has-no-data" and finding.proposal == {"ignored": [7]}
    accepted = limner.check(root, accept=True)
    assert accepted.labels.trained_as == {0: 0, 1: 1, 7: IGNORE_INDEX} and not accepted.errors


def test_of_two_values_in_masks_one_is_the_background(tmp_path):
    """QGIS tags the background 0 of a rasterised layer as no data."""
    root = dataset(tmp_path / "data", mask_tag="0")
    (finding,) = limner.check(root).errors
    assert finding.code == "mask-has-no-data"
    accepted = limner.check(root, accept=True)
    assert accepted.labels.names == ("background", "foreground") and not accepted.errors


@pytest.mark.parametrize("answer", ["mask_encoding: index", "classes: [unknown, leaf, stem]"])
def test_an_answer_is_not_asked_again(tmp_path, answer):
    root = dataset(tmp_path / "data", mask_tag="0", values=(0, 1, 2))
    assert limner.check(root).errors[0].code == "mask-has-no-data"
    (root / "dataset.yaml").write_text(answer)
    assert not limner.check(root).errors
    assert open_source(root).settings.ignored == ()
