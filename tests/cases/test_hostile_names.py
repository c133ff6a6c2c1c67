"""Control characters in the names of files and classes are written out wherever limner prints them."""

import json
import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from limner.api.check import check
from limner.cli.app import main
from limner.cli.console import console
from limner.core.printable import printable, printable_line
from limner.evaluation.write_scores import PerImageFile

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
MASK = np.eye(40, 50, dtype=np.uint8)
ESCAPES = ("a\x1b[2Jb", "c\x9b31md", "e\u202egnp", "f\x07g", "h\nwarning: i")
OBEYED = {"\x1b", "\x9b", "\u202e", "\x07"}

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows allows no such names")


@pytest.fixture
def hostile(tree):
    """Images whose masks have another size, so that each is named in a finding, and a class as hostile."""
    files: dict[str, object] = {f"images/{name}.png": PICTURE for name in ESCAPES}
    files |= {f"masks/{name}.png": MASK[1:] for name in ESCAPES}
    classes = [{"name": "background"}, {"name": "\x1b]0;title\x07"}]
    return tree(files | {"dataset.yaml": json.dumps({"classes": classes})})


def test_check_and_its_page(hostile, tmp_path, monkeypatch, capsys) -> None:
    console.cache_clear()
    monkeypatch.setattr(sys, "argv", ["limner", "check", str(hostile), "--report", str(tmp_path / "a.html")])
    with pytest.raises(SystemExit):
        main()
    said = "".join(capsys.readouterr())
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert not OBEYED & {*said} and not OBEYED & {*page}
    assert r"a\x1b[2Jb" in said and r"\x1b]0;title\x07" in said and r"h\nwarning: i" in said
    assert r"a\x1b[2Jb" in page


def test_errors(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["limner", "check", str(tmp_path / "no\x1b[2J\nlimner: all is well")])
    with pytest.raises(SystemExit):
        main()
    said = "".join(capsys.readouterr())
    assert "\x1b" not in said and r"no\x1b[2J\nlimner: all is well" in said


def test_tables_of_scores(tmp_path) -> None:
    with PerImageFile(tmp_path, ["dice"]) as file:
        file.write(SimpleNamespace(name=ESCAPES[0], numbers=(0.5,), rank=0.5))
    assert "\x1b" not in (tmp_path / "per_image.csv").read_text()


def test_other_text_stays() -> None:
    for text in ("Gef\u00e4\u00df \u7ec6\u80de \u05d0\n\tb", "[/red] <b>"):
        assert printable(text) == text
    assert printable_line("a\nb") == r"a\nb"


def test_findings_keep_the_real_names(hostile) -> None:
    files = {file for finding in check(hostile).findings for file in finding.files}
    assert f"images/{ESCAPES[0]}.png" in files
