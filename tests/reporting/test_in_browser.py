"""The page in a real browser: its script runs, and nothing is said on the console."""

import json
import re
import shutil
import subprocess

import pytest
from PIL import Image

from limner.core.tuning import RateTest, Trial, Tuning
from limner.reporting import write_report
from limner.reporting.tuning_page import write_tuning

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed"),
]


def browse(page, folder, *arguments):
    """Open a page without a window; return what the browser wrote to stdout and to its log."""
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
        f"--user-data-dir={folder / 'browser'}", *arguments, page.resolve().as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_the_page_runs_without_a_word_on_the_console(run, tmp_path):
    page = write_report(run)
    document, console = browse(page, tmp_path, "--dump-dom")
    assert console == []
    # The script made the headings of the tables into buttons; without it none has a tabindex.
    assert re.search(r'<th scope="col" tabindex="0">Class', document)


def test_a_page_of_tuning_runs_without_a_word_too(tmp_path):
    rates = tuple(10.0 ** (i - 7) for i in range(8))
    test = RateTest(rates, (3.0, 2.0, 1.0, 1.0, 2.0, 5.0, 9.0, 30.0), (3.0,) * 8, planned=0.1, diverged=True)
    trials = tuple(Trial(1, i, i, 1.0, {"optimizer.learning_rate": 0.1**i}, score=0.5) for i in (1, 2, 3))
    tuning = Tuning(tmp_path, "cells", "mean_iou", test, trials)
    write_tuning(tuning)
    document, console = browse(tuning.page, tmp_path, "--dump-dom")
    assert console == [] and "Score by setting" in document


def test_an_error_would_be_seen(tmp_path):
    page = tmp_path / "broken.html"
    page.write_text("<script>nowhere.to.be.found()</script>")
    assert browse(page, tmp_path, "--dump-dom")[1]


def measured(page, folder, script, *, width):
    """Return the number that a script finds in a page in a window of a width."""
    text = page.read_text("utf-8")
    policy = text.index("<meta http-equiv"), text.index("/>", text.index("<meta http-equiv")) + 2
    probe = f"<script>document.title = {script}</script>"
    page.write_text(text[: policy[0]] + text[policy[1] :].replace("</body>", f"{probe}</body>"), "utf-8")
    document, _ = browse(page, folder, "--dump-dom", f"--window-size={width},900")
    return int(re.search(r"<title>(-?\d+)</title>", document).group(1))


@pytest.mark.parametrize("width", [1100, 500])
def test_nothing_is_wider_than_the_window(street_run, tmp_path, width):
    page = write_report(street_run)
    assert measured(page, tmp_path, "document.documentElement.scrollWidth", width=width) <= width


@pytest.mark.parametrize("width", [1200, 1600])
def test_the_classes_of_volumes_are_seen_without_scrolling(street_run, tmp_path, width):
    """With distances, volumes and cases their table has fifteen columns."""
    path = street_run.evaluation("val") / "scores.json"
    scores = json.loads(path.read_text("utf-8"))
    for row in scores["classes"]:
        row |= {"case_dice": 0.5, "surface_dice": 0.5, "hd95": 96.4, "surface_distance": 17.6}
        row |= {"volume_difference": 28179.0, "cases": 4, "missed_cases": 1, "false_cases": 0}
    path.write_text(json.dumps(scores | {"spatial_dims": 3, "length_unit": "mm"}), "utf-8")
    page = write_report(street_run)
    assert page.read_text("utf-8").count('<th scope="col" class="num">') > 14
    table = "document.querySelector('#classes .scroll')"
    hidden = measured(page, tmp_path, f"{table}.scrollWidth - {table}.clientWidth", width=width)
    beyond = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert hidden <= 0 and measured(write_report(street_run), tmp_path, beyond, width=width) <= 0


def test_a_screenshot_shows_ink_on_paper(run, tmp_path):
    shot = tmp_path / "shot.png"
    browse(write_report(run), tmp_path, f"--screenshot={shot}", "--window-size=900,1200")
    with Image.open(shot) as picture:
        colors = picture.convert("RGB").getcolors(2**20)
    assert picture.size == (900, 1200) and len(colors) > 50
