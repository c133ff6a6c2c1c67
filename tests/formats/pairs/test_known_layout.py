"""What `dataset.yaml` and a known layout say together."""

from pathlib import Path

import pytest

from limner.core.config import parse_config
from limner.core.dataset_file import DatasetFile
from limner.core.labels import LabelClass, LabelTable, MaskEncoding
from limner.formats import open_source
from limner.formats.pairs.known_layout import Known, completed

ROOT = Path("data")

TABLE = LabelTable(
    (LabelClass("road", (7,), (1, 2, 3), False), LabelClass("car", (26, 27), (4, 5, 6), True)), (0, 255)
)


def settings(**values: object) -> DatasetFile:
    return parse_config(DatasetFile, values, where="test")


def table_after(**values: object) -> LabelTable:
    table = completed(settings(**values), Known("test", TABLE), ROOT).label_table()
    assert table is not None
    return table


def test_an_empty_file_takes_everything_over() -> None:
    assert table_after() == TABLE


def test_a_threshold_is_taken_over() -> None:
    table = LabelTable(
        (LabelClass("no", (0,), (0, 0, 0)), LabelClass("yes", (1,), (9, 9, 9))),
        encoding=MaskEncoding("threshold", 127),
    )
    assert completed(settings(), Known("test", table), ROOT).label_table() == table


def test_a_value_that_the_user_ignores_is_no_class() -> None:
    table = table_after(ignored=[26])
    assert table.names == ("road",)
    assert table.ignored_values == (26, 0, 255)


def test_the_users_classes_replace_the_known_ones() -> None:
    table = table_after(classes=[{"name": "void too", "value": 0}, {"name": "flat", "value": 7}])
    assert table.names == ("void too", "flat")
    assert table.ignored_values == (255,)


def test_the_users_classes_are_meant_as_the_pixels_are() -> None:
    known = LabelTable(
        (LabelClass("no", (0,), (0, 0, 0)), LabelClass("yes", (1,), (9, 9, 9))),
        (5,),
        encoding=MaskEncoding("threshold", 127),
    )
    own = settings(classes=[{"name": "background", "value": 0}, {"name": "polyp", "value": 255}])
    assert completed(own, Known("test", known), ROOT).label_table() == own.label_table()


def test_the_users_patterns_win() -> None:
    known = Known("test", images="a/{stem}.png", masks="b/{stem}.png")
    both = completed(settings(masks="c/{stem}.png", splits={"val": 0.3}), known, ROOT)
    assert (both.images, both.masks) == ("a/{stem}.png", "c/{stem}.png")
    assert both.splits is not None
    assert completed(settings(), None, ROOT) == settings()


@pytest.mark.parametrize("name", ["cityscapes", "ade20k", "polyps", "retinal-vessels"])
def test_a_format_named_for_another_layout_is_refused_in_words(tmp_path: Path, name: str) -> None:
    from limner.core.errors import DataError
    from limner.formats import open_source

    (tmp_path / "photo.txt").write_text("x")
    with pytest.raises(DataError, match=f"the layout of {name}: "):
        open_source(tmp_path, settings(format=name))


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "jpe", "jfif"])
def test_masks_of_polyps_are_thresholded_whatever_suffix_of_jpegs_they_have(tmp_path, suffix) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"cju0qkwl35piu0993l0dewei2.{suffix}").touch()
    source = open_source(tmp_path)
    assert source.name == "polyps"
    table = source.settings.label_table()
    assert table is not None
    assert table.encoding.threshold == 127
