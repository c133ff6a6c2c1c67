from dataclasses import replace

import numpy as np
import pytest

from limner.checks.facts import DatasetFacts, ImageFacts
from limner.checks.file_findings import file_findings

GOOD = ImageFacts(
    "a",
    image_file="images/a.png",
    label_file="masks/a.png",
    shape=(40, 60),
    channels=3,
    dtype="uint8",
    label_shape=(40, 60),
    value_counts={0: 1200, 1: 1200},
)


def findings_of(*images, fill=12):
    filler = [replace(GOOD, name=f"f{i}", image_file=f"images/f{i}.png") for i in range(fill)]
    return {f.code: f for f in file_findings(DatasetFacts((*images, *filler)))}


def test_good_files_give_no_finding():
    assert findings_of(GOOD) == {}


def test_an_unreadable_image_is_named_with_what_was_found():
    error = (
        "The file is cut off: /data/images/b.png\n  found:    900 bytes\n  expected: an end mark\n"
        "  fix:      Copy it again."
    )
    broken = ImageFacts("b", image_file="images/b.png", label_file="masks/b.png", image_error=error)
    found = findings_of(broken)["image-unreadable"]
    assert found.severity.value == "error" and found.where == "images/b.png"
    assert found.found == "The file is cut off: 900 bytes"
    assert (found.expected, found.fix) == ("an end mark", "Copy it again.")


def test_a_broken_instance_mask_is_named_although_it_is_not_the_first():
    broken = replace(GOOD, label_shape=None, label_error="The file is empty: /data/masks/7.png")
    found = findings_of(broken)["mask-unreadable"]
    assert "/data/masks/7.png" in found.found and found.fix


def test_sizes_that_differ_are_given_as_width_x_height():
    found = findings_of(replace(GOOD, label_shape=(20, 30)))["size-mismatch"]
    assert "30x20" in found.found and "60x40" in found.expected
    assert found.files == ("masks/a.png", "images/a.png")


@pytest.mark.parametrize(("exif", "word"), [(True, "EXIF"), (False, "transpose")])
def test_a_turned_mask_is_recognised(exif, word):
    turned = replace(GOOD, label_shape=(60, 40), is_exif_rotated=exif)
    assert word in findings_of(turned)["size-mismatch"].fix


def test_fewer_than_ten_images():
    assert "few-images" in findings_of(GOOD, fill=8)  # 9 in all
    assert "few-images" not in findings_of(GOOD, fill=9)


def test_no_masks_at_all():
    bare = replace(GOOD, label_file="", label_shape=None)
    assert set(findings_of(bare, fill=0)) == {"no-labelled-images"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"dtype": "uint16"}, "sixteen-bit"),
        ({"has_alpha": True}, "alpha-channel"),
        ({"has_palette": True}, "palette-image"),
        ({"is_exif_rotated": True}, "exif-rotated"),
        ({"shape": (31, 60), "label_shape": (31, 60)}, "image-tiny"),
        ({"shape": (100, 100), "label_shape": (100, 100)}, "sizes-vary"),  # 10000 > 4 x 2400
    ],
)
def test_unusual_files_are_named(change, code):
    found = findings_of(replace(GOOD, **change))[code]
    assert found.severity.value != "error"
    if code != "sizes-vary":
        assert found.files == ("images/a.png",) and found.count == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"channels": 5}, "channels-differ"),
        ({"dtype": "uint16"}, "depth-differs"),
    ],
)
def test_images_that_cannot_be_trained_on_together(change, code):
    found = findings_of(replace(GOOD, **change))[code]
    assert found.severity.value == "error" and found.files == ("images/a.png",)
    unlabelled = replace(GOOD, label_file="", label_shape=None, **change)
    assert code not in findings_of(unlabelled)


def test_grey_among_colour_is_trained_with_equal_channels():
    found = findings_of(replace(GOOD, channels=1))["grey-and-colour"]
    assert found.severity.value == "warning" and found.files == ("images/a.png",)


def test_twenty_files_are_named_and_all_are_counted():
    images = [replace(GOOD, image_file=f"images/{i}.png", has_alpha=True) for i in range(50)]
    found = findings_of(*images)["alpha-channel"]
    assert len(found.files) == 20 and found.count == 50
    assert np.all([name in {i.image_file for i in images} for name in found.files])
