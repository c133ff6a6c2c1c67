import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import limner
from limner.cli.app import app
from limner.core.errors import ConfigError
from limner.reporting.check_report import write_check_report


def test_samples_and_what_findings_name(cells, tmp_path):
    cv2.imwrite(str(cells / "masks" / "cell_3.png"), np.zeros((9, 9), np.uint8))
    checked = limner.check(cells)
    page = write_check_report(checked, tmp_path / "out" / "page.html").read_text("utf-8")
    assert "size-mismatch" in page
    assert page.count("Picture of cell_0") == 1  # once among the samples
    finding = page[page.index("size-mismatch") :]
    assert "Picture of cell_3" in finding.split("</li>")[0]
    assert page == write_check_report(checked, tmp_path / "again.html").read_text("utf-8")


def test_an_open_question_without_proposal_still_gives_a_page(cells, tmp_path):
    (cells / "dataset.yaml").write_text("classes: [{name: a, value: 3}]\n")
    page = write_check_report(limner.check(cells), tmp_path / "page.html").read_text("utf-8")
    assert "values-not-named" in page or "mask-is-0-255" in page


def test_class_folders_are_ready_to_train(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(24):
        path = tmp_path / "insects" / ("ants", "bees")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 255, (40, 40, 3), np.uint8))
    checked = limner.check(tmp_path / "insects")
    page = write_check_report(checked, tmp_path / "page.html").read_text("utf-8")
    assert not checked.errors and "Ready to train" in page and "cannot train" not in page


def test_a_folder_in_the_way_is_told(cells, tmp_path):
    (tmp_path / "page.html").mkdir()
    with pytest.raises(ConfigError, match=r"found: +a folder"):
        write_check_report(limner.check(cells), tmp_path / "page.html")


def test_on_the_command_line(cells, tmp_path):
    done = CliRunner().invoke(app, ["check", str(cells), "--report", str(tmp_path / "page.html")])
    assert done.exit_code == 0, done.output
    assert "<html" in (tmp_path / "page.html").read_text("utf-8")
