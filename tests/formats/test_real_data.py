"""What the formats say of real datasets; skipped where the data is not there."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.core.dataset_file import DatasetFile
from limner.formats import open_source


def test_retinal_vessels(shared_data: Path) -> None:
    source = open_source(shared_data / "drive")
    assert source.name == "retinal-vessels"
    assert Counter(r.split for r in source.records) == {"train": 20, "test": 20}
    for record in source.records:
        number = record.image.name.split("_")[0]
        assert record.labels[0].name == f"{number}_manual1.gif"
        assert record.valid_region is not None
        assert record.valid_region.name.startswith(f"{number}_")
    assert set(np.unique(source.read_values(source.records[0]))) == {0, 255}
    second = next(f for f in source.findings if f.code == "other-labels-not-used")
    assert second.count == 20
    assert "2nd_manual" in second.found


def test_street_scenes(shared_data: Path) -> None:
    source = open_source(shared_data / "camvid")
    assert Counter(r.split for r in source.records) == {"train": 82, "val": 101}
    assert all(r.labels[0].name == r.image.name for r in source.records)
    assert source.read_values(source.records[0]).max() == 11


def test_polyps(shared_data: Path) -> None:
    source = open_source(shared_data / "polyps")
    assert (source.name, len(source.records)) == ("polyps", 599)
    assert set(np.unique(source.read_values(source.records[0]))) == {0, 1}
    assert all(r.labels[0].name == r.image.name for r in source.records)


def test_nuclei(shared_data: Path) -> None:
    source = open_source(shared_data / "nuclei")
    assert (source.name, len(source.records)) == ("instance-masks", 142)
    record = source.records[0]
    with Image.open(record.labels[0]) as first:
        union = np.zeros((first.height, first.width), bool)
    for path in record.labels:
        with Image.open(path) as mask:
            union |= np.asarray(mask) > 0
    np.testing.assert_array_equal(source.read_values(record), union)


@pytest.mark.parametrize("kind", ["semantic_segmentation", "instance_segmentation"])
def test_labelme_conversions(shared_data: Path, kind: str) -> None:
    # The folder of instances holds the same images as COCO's JSON too, which says more and is read first.
    source = open_source(shared_data / "labelme" / kind, DatasetFile(format="voc"))
    assert len(source.records) == 3
    table = source.declared_labels()
    assert table is not None
    assert table.names[:3] == ("background", "aeroplane", "bicycle")
    for record in source.records:
        assert table.unknown_values(np.unique(source.read_values(record))) == []
    # labelme writes the same labels as NumPy arrays with -1 where the PNG has 255.
    array = next((shared_data / "labelme" / kind).rglob("SegmentationClassNpy/2011_000003.npy"))
    values = source.read_values(source.records[0]).astype(int)
    np.testing.assert_array_equal(np.where(values == 255, -1, values), np.load(array))
