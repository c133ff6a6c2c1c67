"""The page as a whole: valid, self-contained, escaped, bounded, and whole whatever is missing."""

import re
import shutil
from html.parser import HTMLParser

import pytest

from limner.core.errors import DataError
from limner.core.run_folder import RunFolder
from limner.reporting import write_report
from limner.reporting.page import SECTIONS

VOID = {"meta", "img", "br", "hr"}
LIMIT_BYTES = 6_000_000

OF_OTHERS = {"objects", "curves", "folds"}
"""Sections about objects and about classes of whole images; the runs here are of label maps."""


class Page(HTMLParser):
    """Checks that every element is closed in order, and keeps what tests ask for."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.ids, self.text = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes <{self.open[-1:]}> at {self.getpos()}"
        self.open.pop()

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).replace("\u00a0", " ").split())


def read(run):
    return write_report(run).read_text("utf-8")


def test_page_is_balanced_and_has_each_section_once(run):
    page = Page(read(run))
    for section in SECTIONS:
        if section.anchor in OF_OTHERS:
            assert section.anchor not in page.ids
            continue
        assert page.ids.count(section.anchor) == 1
        assert section.heading in page.words
    assert len(page.ids) == len(set(page.ids))


def test_every_inner_link_has_a_target(street_run):
    page = Page(read(street_run))
    targets = {value for _, name, value in page.attributes if name == "href"}
    assert targets and targets <= {f"#{anchor}" for anchor in page.ids}


def test_nothing_is_loaded_from_elsewhere(run):
    text = read(run)
    page = Page(text)
    assert "link" not in page.tags and "iframe" not in page.tags
    sources = [value for _, name, value in page.attributes if name in ("src", "srcset", "data", "poster")]
    assert sources and all(value.startswith("data:image/webp;base64,") for value in sources)
    assert "://" not in re.sub(r"data:image/webp;base64,[^\"]+", "", text)
    assert not re.search(r"@import|url\(", text)
    assert "default-src 'none'" in text


def test_page_of_500_images_with_large_pictures_stays_under_the_limit(
    make_run, street, add_evaluation, matrix_of
):
    large = {"pictures": 16, "picture_size": (512, 2048)}
    run = make_run("street-1", street, matrix_of(20), 500, **large)
    add_evaluation(run, street, matrix_of(20, 1), 500, split="test", **large)
    page = write_report(run)
    assert page.stat().st_size < LIMIT_BYTES
    assert Page(page.read_text("utf-8")).tags.count("img") >= 24


def test_long_training_with_200_classes_stays_under_the_limit(make_run, matrix_of):
    names = [f"class {i}" for i in range(200)]
    run = make_run("long", names, matrix_of(200), 20, pictures=2)
    with run.metrics.open("a") as file:
        file.writelines(f"{1000 + i},{i},train/loss,{1 / (1 + i)}\n" for i in range(100_000))
    page = write_report(run)
    assert page.stat().st_size < 1_500_000
    Page(page.read_text("utf-8"))


def test_names_cannot_become_markup(make_run, matrix_of):
    evil = '<script>alert("1")</script>'
    names = ("background", evil, "a&b'\"><img src=x>")
    run = make_run("r<b>", names, matrix_of(3), 12)
    text = read(run)
    page = Page(text)
    assert page.tags.count("script") == 1  # the page's own
    assert evil not in text and "<img src=x" not in text
    assert page.words.count(evil) >= 3  # labels, classes, confusion


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ("plan.yaml", "There is no readable plan.yaml"),
        ("findings.json", "This run has no findings.json"),
        ("metrics.csv", "There is no metrics.csv"),
        ("evaluation", "Not evaluated yet"),
        ("environment.json", "There is no environment.json"),
        ("model", "No licence is stated for the model"),
        ("evaluation/val/per_image.csv", "Pictures"),
        ("evaluation/val/pictures", "No pictures were drawn"),
    ],
)
def test_a_missing_part_is_said_and_the_rest_is_there(run, part, sentence):
    target = run.root / part
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink()
    page = Page(read(run))
    assert sentence in page.words
    assert {section.anchor for section in SECTIONS} - set(page.ids) == OF_OTHERS


@pytest.mark.parametrize(
    ("part", "content"),
    [
        ("plan.yaml", "train: [1, 2"),
        ("plan.yaml", "data: {labels: {classes: [{}]}}"),
        ("findings.json", '[{"code": "x"}]'),
        ("findings.json", "{"),
        ("metrics.csv", "\x00\x01"),
        ("evaluation/val/scores.json", '{"num_images": "many"}'),
        ("evaluation/val/scores.json", "[]"),
        ("evaluation/val/per_image.csv", "name,foreground_dice\na.png,good\n"),
        ("environment.json", "[1]"),
        ("model/model.json", "not json"),
    ],
)
def test_a_damaged_part_costs_only_its_section(run, part, content):
    (run.root / part).write_text(content)
    page = Page(read(run))
    assert {section.anchor for section in SECTIONS} - set(page.ids) == OF_OTHERS
    if part != "metrics.csv":  # that one simply holds no row
        assert f"{part} could not be read" in page.words


def test_a_picture_that_is_no_picture_is_left_out(run):
    for picture in (run.evaluation("val") / "pictures").glob("*.png"):
        picture.write_bytes(b"not a picture")
    page = Page(read(run))
    assert "No pictures were drawn" in page.words


def test_the_same_run_gives_the_same_bytes(run):
    assert read(run) == read(run)


def test_a_run_with_a_plan_only_has_a_page(tmp_path, run):
    bare = RunFolder(tmp_path / "bare")
    bare.root.mkdir()
    shutil.copy(run.plan, bare.plan)
    assert "This run has no scores yet." in Page(read(bare)).words


def test_a_folder_that_is_no_run_is_refused_and_left_alone(tmp_path):
    (tmp_path / "cat.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"not a run folder(.|\n)*cat\.png"):
        write_report(RunFolder(tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["cat.png"]


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"There is no run folder(.|\n)*found: +nothing"):
        write_report(RunFolder(tmp_path / "gone"))


def test_the_folder_of_runs_is_refused_with_the_runs_named(run):
    with pytest.raises(DataError, match="Name one of the runs inside it: nuclei-1"):
        write_report(RunFolder(run.root.parent))
