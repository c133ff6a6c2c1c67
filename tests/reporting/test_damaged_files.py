"""Whatever is in the files of a run, each costs its own section of the page, and is named there."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from limner.api.compare import compare
from limner.cli.run_page import show_run
from limner.core.errors import DataError
from limner.core.run_folder import RunFolder
from limner.reporting.gather import gather
from limner.reporting.page import render_page
from limner.reporting.run_logs import read_run
from limner.tracking.trackers import TensorBoardTracker
from limner.training.metrics_file import MetricsFile

PARTS = (
    *(
        "plan.yaml",
        "findings.json",
        "metrics.csv",
        "environment.json",
        "model/model.json",
        "data_changes.json",
    ),
    *(f"evaluation/val/{name}" for name in ("scores.json", "per_image.csv", "speed.json", "thresholds.csv")),
)


def bits(content, draw):
    """Ten flipped bits."""
    flipped = bytearray(content)
    for bit in draw.integers(0, 8 * len(flipped), 10):
        flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)


def cut(content, draw):
    return content[: draw.integers(0, len(content))]


def zeros(content, draw):
    """A block that the disk lost."""
    at = int(draw.integers(0, len(content)))
    return content[:at] + bytes(len(content[at : at + 64])) + content[at + 64 :]


def types(content, draw):
    """Another type or an extreme number in one place of the JSON, or one cell of a table."""
    odd = [None, [], {}, "x", -1, 1e308, 10**30, True, float("nan"), [[1]], {"a": 1}]
    value = odd[draw.integers(len(odd))]
    try:
        whole = json.loads(content)
    except ValueError:
        cells = content.decode("utf-8", "replace").split(",")
        cells[draw.integers(len(cells))] = str(value)
        return ",".join(cells).encode()
    place = whole
    while isinstance(place, dict | list) and place:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = keys[draw.integers(len(keys))]
        if not isinstance(place[key], dict | list) or draw.random() < 0.3:
            place[key] = value
            break
        place = place[key]
    return json.dumps(whole).encode()


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("damage", [bits, cut, zeros, types])
def test_damage_costs_at_most_its_section(run, part, damage):
    path, draw = run.root / part, np.random.default_rng(0)
    path.parent.mkdir(exist_ok=True)
    if not path.is_file():
        path.write_text(json.dumps(["a change", "another"]))
    whole = path.read_bytes()
    for _ in range(8):
        path.write_bytes(damage(whole, draw))
        page = render_page(gather(run))
        assert page.count("<section") > 8
        show_run(run)


@pytest.mark.parametrize("part", ["per_image.csv", "scores.json"])
@pytest.mark.parametrize("damage", [bits, types])
def test_a_comparison_loses_only_what_is_damaged(make_run, part, damage, tmp_path):
    runs = [make_run("one"), make_run("two")]
    path, draw = runs[1].evaluation("val") / part, np.random.default_rng(1)
    whole = path.read_bytes()
    for number in range(3):
        path.write_bytes(damage(whole, draw))
        result = compare([run.root for run in runs], out=tmp_path / f"out-{number}")
        assert all(file.is_file() for file in result.files)


def test_a_comparison_names_damaged_files(make_run, tmp_path):
    one, two = make_run("one"), make_run("two")
    compared = compare([one.root, two.root], out=tmp_path / "whole")
    assert "could not be read" not in compared.files[0].read_text("utf-8")
    (two.evaluation("val") / "per_image.csv").write_bytes(b"name,mean_iou\nx,y\n")
    two.plan.write_bytes(b"{")
    page = compare([one.root, two.root], out=tmp_path / "damaged").files[0].read_text("utf-8")
    assert "two: plan.yaml could not be read" in page
    assert "two: evaluation/val/per_image.csv could not be read" in page and "one: " not in page


@pytest.mark.parametrize("damage", [bits, cut, zeros])
def test_damaged_event_files_are_one_sentence(run, damage, tmp_path):
    log = tmp_path / "tb"
    tracker = TensorBoardTracker(RunFolder(tmp_path), "")
    tracker.start(SimpleNamespace(step=0), {"a": 1})
    for step in range(50):
        tracker.log(step, 0.0, {"train/loss": 1.0 / (step + 1)})
    tracker.close()
    (file,) = log.iterdir()
    whole, draw = file.read_bytes(), np.random.default_rng(2)
    for _ in range(10):
        file.write_bytes(damage(whole, draw))
        try:
            read_run(log)
        except DataError as error:
            assert str(log) in str(error)


def test_a_damaged_metrics_file_does_not_stop_a_resumed_run(run):
    whole = run.metrics.read_bytes()
    run.metrics.write_bytes(whole[:300] + b"\0\0\xff\xfe\n" + whole[300:] + b"\0\0\0")
    file = MetricsFile(run)
    file.start(SimpleNamespace(step=100), {})
    file.log(105, 1.0, {"train/loss": 0.5})
    file.close()
    series = gather(run).series["train/loss"]
    assert series.steps[-1] == 105 and len(series.steps) > 15
