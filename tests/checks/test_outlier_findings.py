import numpy as np

from limner.checks.outlier_findings import outlier_findings
from limner.checks.scan import scan
from limner.core.labels import LabelClass, LabelTable

TABLE = LabelTable((LabelClass("background", (0,), (0, 0, 0)), LabelClass("cell", (1,), (255, 0, 0))))


def pairs(rng, *, bright=False, large=False, full=False, count=30):
    """Pictures alike but for number 7."""
    made = {}
    for number in range(count):
        odd = number == 7
        side = 160 if large and odd else 32
        image = rng.integers(90, 130, (side, side, 3), dtype=np.uint8) + np.uint8(120 * (bright and odd))
        mask = np.zeros((side, side), np.uint8)
        mask[: side // 4, : side if full and odd else 2] = 1
        if full and odd:
            mask[:] = 1
            mask[0, 0] = 0
        made[f"{number:02}"] = (image, mask)
    return made


def codes(source):
    found = outlier_findings(scan(source, cache=False), TABLE)
    return {finding.code: finding.files for finding in found}


def test_alike_pictures_have_no_outlier(make_source, rng):
    assert codes(make_source(pairs(rng))) == {}


def test_the_odd_one_is_named(make_source, rng, tmp_path):
    assert codes(make_source(pairs(rng, bright=True))) == {"outlier-intensity": ("images/07.png",)}


def test_size(make_source, rng):
    assert "outlier-size" in codes(make_source(pairs(rng, large=True)))


def test_label_area(make_source, rng):
    assert codes(make_source(pairs(rng, full=True))) == {"outlier-label-area": ("images/07.png",)}


def test_of_two_kinds_nobody_is_an_outlier(make_source, rng):
    images = pairs(rng)
    for number in range(15):
        image, mask = images[f"{number:02}"]
        images[f"{number:02}"] = (image + np.uint8(120), mask)
    assert codes(make_source(images)) == {}


def test_of_few_images_nobody_is_an_outlier(make_source, rng):
    assert codes(make_source(pairs(rng, bright=True, count=12))) == {}
