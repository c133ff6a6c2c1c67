"""Each finding speaks the words of its format: no masks where there are polygons, no JSON but XML."""

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from limner.checks.facts import DatasetFacts, ImageFacts
from limner.checks.outcome import run_checks
from limner.checks.scan import scan
from limner.core.finding import Finding
from limner.formats import FORMATS, open_source
from limner.formats.format_codes import FORMAT_CODES
from limner.formats.source import Source

_spec = importlib.util.spec_from_file_location("examples", Path(__file__).with_name("examples.py"))
examples = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(examples)
FOLDERS = examples.EXAMPLES | examples.CLASSES

BUILT = [name for name in FORMATS if name in FOLDERS]
"""Formats whose examples need no library that is not installed."""

SOURCES = Path(__file__).parents[2] / "src/limner/formats"
ABOUT_MISSING_MASKS = {"boxes-only", "annotation-without-mask", "boxes-among-masks"}
"""What is missing there is a mask, in any format."""


def facts_with_trouble(facts: DatasetFacts) -> Iterator[DatasetFacts]:
    """Yield the facts with one thing wrong at a time."""
    first, *others = facts.images

    def with_first(**changes: object) -> DatasetFacts:
        return DatasetFacts((replace(first, **changes), *others))

    yield facts
    yield with_first(image_error="The image cannot be read: x")
    yield with_first(label_error="The labels cannot be read: x")
    if first.label_shape is not None and not facts.are_classes:
        yield with_first(label_shape=(4, 5))
        yield with_first(label_shape=first.label_shape[::-1])
        yield with_first(label_shape=first.label_shape[::-1], is_exif_rotated=True)
    yield DatasetFacts(tuple(unlabelled(image) for image in facts.images))
    # One split shows each class, the other only the first.
    value, *_ = sorted(first.value_counts)
    poor = replace(first, value_counts={value: 54}, components={}, split="val")
    yield DatasetFacts(tuple(replace(image, split="train") for image in facts.images) + (poor,) * 3)
    yield DatasetFacts((poor,) * 3)


def unlabelled(image: ImageFacts) -> ImageFacts:
    return replace(image, label_file="", label_shape=None, value_counts={}, components={})


def findings_of(source: Source) -> Iterator[Finding]:
    for facts in facts_with_trouble(scan(source, cache=False)):
        yield from run_checks(source, facts).findings


def wrong_words(source: Source, code: str, text: str) -> set[str]:
    """Return the words that the format of a source does not have."""
    terms = source.terms
    foreign = set()
    if terms.holder != "mask" and code not in ABOUT_MISSING_MASKS:
        foreign |= {"mask"}
    for listing in {"JSON", "XML"} - {terms.listing}:
        foreign |= {listing}
    if not source.name.startswith("coco"):
        foreign |= {"image_id", "`images`", "`categories`"}
    return {word for word in foreign if re.search(rf"(?<![\w-]){word}s?(?![\w-])", text)}


@pytest.mark.parametrize("name", BUILT)
def test_findings_have_the_words_of_the_format(make_tree, name: str) -> None:
    source = open_source(make_tree(FOLDERS[name]))
    codes = set()
    for finding in findings_of(source):
        codes.add(finding.code)
        text = " ".join((finding.found, finding.expected, finding.fix))
        if finding.code != "layout":  # it names files
            assert wrong_words(source, finding.code, text) == set(), (finding.code, text)
    assert {"few-images", "image-unreadable", "no-labelled-images"} <= codes


@pytest.mark.parametrize("name", BUILT)
def test_problems_have_the_words_of_the_format(make_tree, name: str) -> None:
    source = open_source(make_tree(FOLDERS[name]))
    general = [code for code, kind in FORMAT_CODES.items() if kind.fix and not _of_one_format(code)]
    assert "image-missing" in general
    for code in general:
        kind = FORMAT_CODES[code]
        text = f"{source.terms.fill(kind.expected)} {source.terms.fill(kind.fix)}"
        assert "{" not in text and wrong_words(source, code, text) <= {"mask"}, (code, text)


def _of_one_format(code: str) -> bool:
    """Tell whether only one file or folder of formats reports a problem."""
    files = [path for path in SOURCES.rglob("*.py") if path.name != "format_codes.py"]
    users = [path for path in files if f'"{code}"' in path.read_text(encoding="utf-8")]
    return len(users) <= 1 or {path.parent.name for path in users} == {"coco"}
