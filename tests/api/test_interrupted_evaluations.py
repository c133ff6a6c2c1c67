"""An evaluation inside a run that is interrupted is marked, not shown, and made by the next report."""

import json

import pytest

import limner
from limner.core.errors import WriteError
from limner.evaluation import write_scores
from limner.reporting.gather import gather
from limner.storage.unfinished import UNFINISHED


def interrupted_evaluation(run):
    """Evaluate on a disk that is full when the scores are to be written."""

    def fail(path, values):
        raise WriteError(path, "no space left on the disk")

    with pytest.MonkeyPatch.context() as patch, pytest.raises(WriteError):
        patch.setattr(write_scores, "write_json", fail)
        limner.evaluate(run.root, device="cpu")


def test_an_interrupted_evaluation_is_marked_and_not_shown(run):
    folder = limner.evaluate(run.root, device="cpu").out
    interrupted_evaluation(run)
    assert json.loads((folder / UNFINISHED).read_text("utf-8"))["command"] == "evaluate"
    assert (folder / "scores.json").is_file()  # of the evaluation before, beside the table of the second one
    facts = gather(run)
    assert facts.evaluations == () and facts.unscored == ("val",)
    limner.evaluate(run.root, device="cpu")
    assert not (folder / UNFINISHED).exists() and gather(run).unscored == ()


def test_a_report_makes_the_scores_that_are_missing(run):
    folder = limner.evaluate(run.root, device="cpu").out
    expected = (folder / "scores.json").read_bytes()
    (folder / "scores.json").unlink()
    interrupted_evaluation(run)
    page = limner.report(run.root, device="cpu").read_text("utf-8")
    assert (folder / "scores.json").read_bytes() == expected
    assert "are missing" not in page and not (folder / UNFINISHED).exists()


def test_a_report_without_the_data_names_what_is_missing(run, cells):
    cells.rename(cells.with_name("gone"))
    page = limner.report(run.root, device="cpu").read_text("utf-8")
    assert "The scores of val are missing" in page and "--split val" in page


def test_a_report_computes_nothing_that_is_there(run, monkeypatch):
    scores = limner.evaluate(run.root, device="cpu").out / "scores.json"
    before, computed = scores.stat(), []
    monkeypatch.setattr("limner.api.evaluate.evaluate", lambda *_, **options: computed.append(options))
    assert limner.report(run.root).is_file()
    assert computed == [] and scores.stat() == before
