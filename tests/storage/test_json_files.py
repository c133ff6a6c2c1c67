import pytest

from limner.core.errors import DataError
from limner.storage.json_files import JsonObject, as_shown, parse_json, read_json_object
from limner.storage.usable_numbers import is_number, number_of, numbers_in, points_in


@pytest.mark.parametrize("value", [None, True, "1", [1], {}, float("nan"), float("inf"), 1e20, -(10**400)])
def test_what_is_no_number(value) -> None:
    assert not is_number(value)
    assert JsonObject({"a": value}).number("a") is None
    assert numbers_in([1, value]) is None
    assert numbers_in([value, 1]) is None
    assert points_in([[1, 2], [3, value]]) is None


def test_a_list_of_numbers() -> None:
    assert [numbers_in(value) for value in ([], [1, 2.5], "12", None)] == [[], [1, 2.5], None, None]


def test_numbers_that_text_spells() -> None:
    assert [number_of(text) for text in ("1.5", " 2 ", "-3e2")] == [1.5, 2, -300]
    assert [number_of(text) for text in (None, "", "x", "nan", "1e999", "9" * 400)] == [None] * 6


def test_values_of_another_type_read_as_missing() -> None:
    row = JsonObject({"text": "a", "number": 3, "flag": True, "list": ["b", 4, None], "child": {"c": 5}})
    assert [row.text(key) for key in ("text", "number", "flag", "list", "none")] == ["a", "3", "", "", ""]
    assert row.texts("list") == ["b", "4"]
    assert (row.items("text"), row.items("child"), row.children("number")) == ([], [], [])
    assert row.child("child").number("c") == 5
    assert row.child("list").number("c") is None
    assert "c" not in row.children("list")[0]
    assert JsonObject([1, 2]).names == ()


def test_text_in_other_encodings_and_halves_of_surrogates() -> None:
    assert parse_json('{"a": "é"}'.encode("utf-16")) == {"a": "é"}
    assert parse_json(rb'{"\ud800": ["\ud800x", "\ud83d\ude00"]}') == {"\ufffd": ["\ufffdx", "\U0001f600"]}


@pytest.mark.parametrize("text", ["", "[1", "[" * 100_000, "1" * 5_000, "[1, 2]", '{"rows": 1}'])
def test_a_file_that_is_no_object_is_named(tmp_path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DataError, match="The rows cannot be read: .*a.json"):
        read_json_object(path, what="The rows", expected="a list `rows`", lists="rows")


def test_long_values_are_shown_short() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep, deep, deep, deep, deep]
    assert len(as_shown(deep)) < 100
    assert len(as_shown({"a" * 900: "b" * 900})) < 120
