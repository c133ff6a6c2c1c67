import json
from pathlib import Path

import pytest
from schemas import without_repetition

from limner.core.config import parse_config
from limner.core.dataset_file import FILE_NAME, DatasetFile, SplitFractions, SplitLists, json_schema
from limner.core.errors import ConfigError, DataError
from limner.formats.dataset_yaml import read_dataset_file, write_dataset_file


def write(root: Path, text: str) -> Path:
    (root / "dataset.yaml").write_text(text, encoding="utf-8")
    return root


def test_no_file_is_the_defaults(tmp_path: Path) -> None:
    assert read_dataset_file(tmp_path) == DatasetFile()


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert read_dataset_file(write(tmp_path, "# nothing yet\n")) == DatasetFile()


def test_writing_keeps_what_the_user_wrote(tmp_path: Path) -> None:
    write(tmp_path, "# the hospital's export\nimages: bilder/*.png  # all of them\nsplits: {val: 0.3}\n")
    write_dataset_file(
        tmp_path, {"mask_encoding": {"threshold": 127}, "classes": [{"name": "Zähne", "value": 1}]}
    )
    settings = read_dataset_file(tmp_path)
    assert settings.images == "bilder/*.png"
    assert settings.splits == SplitFractions(val=0.3)
    assert settings.encoding.threshold == 127
    text = (tmp_path / "dataset.yaml").read_text(encoding="utf-8")
    assert "# the hospital's export" in text
    assert "# all of them" in text
    assert "Zähne" in text
    assert [p.name for p in tmp_path.iterdir()] == ["dataset.yaml"]


def test_writing_over_a_key_replaces_it_alone(tmp_path: Path) -> None:
    text = "classes:\n  - name: a\n    # the rest follows\n  - name: b\n\n# borders\nignored: [255]\n"
    write(tmp_path, text)
    write_dataset_file(tmp_path, {"classes": [{"name": "c", "value": 4}]})
    assert (tmp_path / "dataset.yaml").read_text() == (
        "classes:\n- {name: c, value: 4}\n\n# borders\nignored: [255]\n"
    )


def test_writing_into_one_line_of_braces(tmp_path: Path) -> None:
    write_dataset_file(write(tmp_path, "{images: a/*.png, ignored: [255]}\n"), {"ignored": [254]})
    settings = read_dataset_file(tmp_path)
    assert (settings.images, settings.ignored) == ("a/*.png", (254,))


def test_mappings_are_merged(tmp_path: Path) -> None:
    write_dataset_file(write(tmp_path, "splits: {val: 0.3}\n"), {"splits": {"seed": 7}})
    assert read_dataset_file(tmp_path).splits == SplitFractions(val=0.3, seed=7)


def test_nothing_is_written_that_could_not_be_read(tmp_path: Path) -> None:
    write(tmp_path, "images: a/*.png\n")
    with pytest.raises(ConfigError):
        write_dataset_file(tmp_path, {"classes": [{"name": "a", "value": 1}, {"name": "b", "value": 1}]})
    assert (tmp_path / "dataset.yaml").read_text() == "images: a/*.png\n"


def test_broken_yaml_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"dataset\.yaml, line 2, column"):
        read_dataset_file(write(tmp_path, "images: a\n  masks: b\n"))


def test_a_folder_called_dataset_yaml(tmp_path: Path) -> None:
    (tmp_path / "dataset.yaml").mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        read_dataset_file(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("splits: {vall: 0.2}", "splits.vall: unknown key (did you mean 'val'?)"),
        ("splits: {train: a.txt, vall: b.txt}", "splits.vall: unknown key (did you mean 'val'?)"),
        ("splits: {val: 2}", "splits.val: should be less than 1; found 2"),
        ("splits: {train: 0.7, val: 0.1}", "train 0.7, val 0.1 and test 0 must add up to 1"),
        ("splits: 3", "splits: should be a mapping"),
        ("mask_encoding: colour", "mask_encoding: should be 'index', 'color' or 'objects'; found 'colour'"),
        ("mask_encoding: {threshold: -1}", "mask_encoding.threshold: should be greater than or equal to 0"),
        ("mask_encoding: {treshold: 9}", "mask_encoding.treshold: unknown key (did you mean 'threshold'?)"),
        ("ignored: [[1, 2, 300]]", "ignored.0.2: should be less than or equal to 255; found 300"),
        ("ignored: [void]", "ignored.0: should be a whole number; found 'void'"),
        ("ignored: 255", "ignored: should be a list; found 255"),
        ("clases: []", "clases: unknown key (did you mean 'classes'?)"),
        ("classes: [{nam: a}]", "classes.0.nam: unknown key (did you mean 'name'?)"),
        ("classes: [{name: a, value: x}]", "classes.0.value: should be a whole number; found 'x'"),
        ("classes: [{name: a}, {name: a, value: 5}]", "Each class name may be in the label table"),
        ("classes: [{name: a, value: 1}, {name: b, value: 1}]", "Each mask value may be in the label table"),
        (
            "classes: [{name: a, value: 1, values: [2]}]",
            "classes.0: give either `value` or `values`, not both",
        ),
        ("just text", "should be a mapping"),
    ],
)
def test_mistakes_name_the_key_and_the_cure(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_dataset_file(write(tmp_path, text))
    assert message in str(refused.value)
    assert "dataset.yaml" in str(refused.value)
    for internal in ("function-after", "SplitFractions", "SplitLists", "literal[", "<"):
        assert internal not in str(refused.value)


def test_both_kinds_of_splits_and_ignored_values() -> None:
    fractions = parse_config(DatasetFile, {"splits": {"train": 0.7, "val": 0.2, "test": 0.1}}, where="test")
    assert isinstance(fractions.splits, SplitFractions)
    lists = parse_config(DatasetFile, {"splits": {"train": "train.txt"}}, where="test")
    assert isinstance(lists.splits, SplitLists)
    assert parse_config(DatasetFile, {"ignored": [255, [0, 0, 1]]}, where="test").ignored_values == (255, 1)
    assert DatasetFile(splits=SplitFractions(val=0.5)).splits == SplitFractions(val=0.5)


def test_schema_describes_every_key_and_the_one_in_docs_is_current() -> None:
    schema = json.loads(json.dumps(json_schema()))
    assert schema["title"] == FILE_NAME
    assert set(schema["properties"]) == set(DatasetFile.model_fields)
    assert all("description" in entry for entry in schema["properties"].values())
    assert schema["additionalProperties"] is False
    current = Path(__file__).parents[2] / "docs" / "dataset.schema.json"
    # Compared as values: releases of pydantic write the same number as 1 or as 1.0.
    assert json.loads(current.read_text()) == without_repetition(schema), (
        "docs/dataset.schema.json lags behind the code; renew it: make generate"
    )
