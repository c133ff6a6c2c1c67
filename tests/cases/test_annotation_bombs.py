"""Small files that would take gigabytes or minutes if their content were written out."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import limner
from limner.core.errors import ConfigError, DataError
from limner.core.finding import Severity
from limner.core.yaml_text import MAX_CHARACTERS, load_yaml
from limner.formats import open_source
from limner.formats.dataset_yaml import read_dataset_file
from limner.formats.source import Source
from limner.storage.json_files import parse_json
from limner.storage.xml_files import read_xml

BOX = "0 0.5 0.5 0.5 0.5\n"
ENDLESS = "refer to each other endlessly"


def nested_aliases(start: str, line: str, levels: int = 10) -> str:
    """Each level repeats the one before nine times: 9 ** levels values."""
    rows = [f"a0: &a0 {start}"]
    for level in range(1, levels):
        repeated = ",".join([f"*a{level - 1}"] * 9)
        rows.append(f"a{level}: &a{level} " + line.format(repeated))
    return "\n".join([*rows, f"names: *a{levels - 1}", ""])


LISTS = nested_aliases("[x,x,x]", "[{}]")
MERGES = nested_aliases("{x: 1, y: 2}", "{{<<: [{}]}}")
BOMBS = {
    "aliases": (LISTS, ENDLESS),
    "merge keys": (MERGES, ENDLESS),
    "holds itself": ("names: &a [*a]\n", ENDLESS),
    "deep lists": ("[" * 3000, "nested too deeply"),
    "deep mappings": ("names: " + "{a: " * 3000, "nested too deeply"),
    "long": ("names: [" + "a," * MAX_CHARACTERS + "]", "characters"),
    "sixtieths": ("names: 1" + ":10" * 300_000, "unquoted value of 900,001 characters"),
}


def yolo(root: Path, data_yaml: str) -> Source:
    for index in range(2):
        (root / "images").mkdir(exist_ok=True)
        (root / "labels").mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), index, np.uint8)).save(root / f"images/{index}.png")
        (root / f"labels/{index}.txt").write_text(BOX)
    (root / "data.yaml").write_text(data_yaml)
    return open_source(root)


@pytest.mark.parametrize("kind", BOMBS)
def test_of_yaml_in_data_yaml(tmp_path: Path, kind: str) -> None:
    text, problem = BOMBS[kind]
    source = yolo(tmp_path, text)
    (found,) = [finding for finding in source.findings if finding.code == "names-unreadable"]
    assert (found.where, problem in found.found) == ("data.yaml", True)
    assert source.declared_labels().names == ("background", "class 0")
    assert found.severity is Severity.ERROR


def test_a_damaged_data_yaml_stops_training_whatever_names_the_classes(tmp_path: Path) -> None:
    (tmp_path / "dataset.yaml").write_text("format: yolo\nclasses: [background, cell]\n")
    yolo(tmp_path, "[" * 3000)
    assert "names-unreadable" in {finding.code for finding in limner.check(tmp_path).errors}


def test_another_yaml_than_data_yaml_matters_only_without_names(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("[[")
    source = yolo(tmp_path, "names: [cell]")
    assert source.declared_labels().names == ("background", "cell")
    assert "names-unreadable" not in {finding.code for finding in source.findings}


@pytest.mark.parametrize("kind", ["deep lists", "deep mappings"])
def test_deep_yaml_is_refused_at_once(kind: str) -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match="nested too deeply"):
        load_yaml(BOMBS[kind][0])
    assert time.process_time() - began < 1


@pytest.mark.parametrize("kind", BOMBS)
def test_of_yaml_in_dataset_yaml(tmp_path: Path, kind: str) -> None:
    text, problem = BOMBS[kind]
    (tmp_path / "dataset.yaml").write_text(text)
    with pytest.raises(ConfigError, match=problem) as raised:
        read_dataset_file(tmp_path)
    assert str(tmp_path / "dataset.yaml") in str(raised.value)


def test_numbers_beyond_floats_are_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        load_yaml("1" + ":10" * 300 + ".5")


def test_aliases_of_real_files_are_read() -> None:
    assert load_yaml("a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, *a]\n") == {
        "a": {"x": 1},
        "b": {"x": 1, "y": 2},
        "c": [{"x": 1}, {"x": 1}],
    }


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[" * 900 + r'"\ud800"' + "]" * 900,
        json.dumps({"a": 1})[:-1] + "," + '"b": ' + "9" * 100_000 + "}",
    ],
    ids=["deep", "deep with half a surrogate pair", "digits"],
)
def test_of_json(text: str) -> None:
    try:
        parse_json(text.encode())
    except ValueError:
        return
    assert text.count("[") == 900  # shallow enough to be read


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_of_xml_are_refused(tmp_path: Path, encoding: str) -> None:
    levels = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 5))
    head = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE annotation [<!ENTITY e0 "x">{levels}]>'
    path = tmp_path / "a.xml"
    path.write_text(f"{head}<annotation>&e4;</annotation>", encoding=encoding)
    with pytest.raises(DataError, match="entities"):
        read_xml(path, root="annotation", what="The VOC annotations")


def test_deep_xml_is_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text("<annotation>" + "<a>" * 100_000 + "</a>" * 100_000 + "</annotation>")
    assert read_xml(path, root="annotation", what="The VOC annotations").tag == "annotation"
