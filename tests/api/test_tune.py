import csv
import json
from dataclasses import replace
from functools import partial

import pytest
import yaml

import limner.api.tune as module
from limner.api.plan import plan as make_plan
from limner.api.tune import tune
from limner.core.errors import ConfigError, TrainingError, WriteError
from limner.core.tuning import Tuning
from limner.planning.search import rounds
from limner.planning.search.proposals import SpreadEvenly
from limner.storage.folder_lock import this_process
from limner.storage.shard_ledger import LEDGER
from limner.training import fit_run as training
from limner.training import rate_test

SMALL = {
    "network": {"name": "unet", "options": {"widths": [4, 8]}},
    "train": {"batch_size": 2, "trackers": []},
    "input": {"crop_size": [33, 33]},
}
OVER = ["optimizer.learning_rate=1e-4..1e-2", "augment.quarter_turns"]


@pytest.fixture
def search(cells, tmp_path, monkeypatch):
    monkeypatch.setattr(rounds, "SHORTEST", 0.0)

    def run(over=OVER, **named):
        named = {"trials": 4, "minutes": 0.02, "settings": SMALL, "proposer": SpreadEvenly()} | named
        return tune(cells, over, out=tmp_path / "tuned", device="cpu", **named)

    return run


@pytest.fixture
def trained(monkeypatch):
    """The folders of runs that were trained, in order."""
    folders = []
    fit_run = training.fit_run

    def spy(prepared, *args, **named):
        folders.append(prepared.folder.root.name)
        return fit_run(prepared, *args, **named)

    monkeypatch.setattr(training, "fit_run", spy)
    return folders


def test_a_search_trains_round_by_round(search, trained, cells):
    found = search()
    assert trained == ["1-1", "1-2", "1-3", "1-4", "2-1", "2-2"]
    assert all(trial.score is not None and trial.steps > 0 for trial in found.trials)
    first, second = found.trials[:4], found.trials[4:]
    ranked = sorted(first, key=lambda trial: -trial.score)
    assert [t.candidate for t in second] == [t.candidate for t in ranked[:2]]
    assert second[0].minutes == pytest.approx(2 * first[0].minutes)
    assert found.best in second
    with found.table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["foreground_dice"]) for row in rows] == [t.score for t in found.trials]
    recipe = yaml.safe_load(found.recipe.read_text())
    assert recipe["data"] == str(cells)
    assert recipe["network"] == SMALL["network"]
    assert recipe["optimizer"]["learning_rate"] == found.best.settings["optimizer.learning_rate"]
    page = found.page.read_text()
    assert "Candidates are spread evenly" in page and "Score by setting" in page
    again = make_plan(found.recipe, device="cpu")
    assert again.optimizer.learning_rate == found.best.settings["optimizer.learning_rate"]
    own = make_plan(cells, settings=SMALL, device="cpu")
    assert found.trials[0].settings["optimizer.learning_rate"] == own.optimizer.learning_rate
    run = found.run_of(found.best)
    assert (run / "model" / "weights.safetensors").is_file()
    assert not any((run / "checkpoints").glob("*"))


def test_an_interrupted_search_goes_on_where_it_was(search, trained, monkeypatch):
    whole = training.fit_run

    def stops(prepared, *args, **named):
        if prepared.folder.root.name == "1-2":
            raise KeyboardInterrupt
        return whole(prepared, *args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(training, "fit_run", stops)
        with pytest.raises(KeyboardInterrupt):
            search(trials=2)
    assert trained == ["1-1"]
    found = search(trials=2)
    assert trained == ["1-1", "1-2"]
    assert search(trials=2).trials == found.trials
    assert len(trained) == 2
    with pytest.raises(ConfigError, match="a different search"):
        search(trials=5)


def test_a_trial_that_fails_costs_no_other(search, monkeypatch):
    whole = training.fit_run

    def fails(prepared, *args, **named):
        if prepared.folder.root.name == "1-2":
            raise RuntimeError("the sky fell")
        return whole(prepared, *args, **named)

    monkeypatch.setattr(training, "fit_run", fails)
    found = search(trials=2)
    assert [t.problem for t in found.trials] == ["", "RuntimeError: the sky fell"]
    assert "the sky fell" in (found.run_of(found.trials[1]) / "problem.txt").read_text()
    assert "the sky fell" in found.page.read_text()


@pytest.mark.parametrize("is_direct", [True, False])
def test_a_full_disk_is_no_failure_of_a_trial(search, monkeypatch, is_direct):
    whole = training.fit_run

    def full(prepared, *args, **named):
        if prepared.folder.root.name == "1-2":
            error = WriteError(prepared.folder.metrics, "no space left on the disk")
            if is_direct:
                raise error
            raise TrainingError("training stopped") from error
        return whole(prepared, *args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(training, "fit_run", full)
        with pytest.raises((WriteError, TrainingError)):
            search(trials=2)
    found = search(trials=2)
    assert [trial.problem for trial in found.trials] == ["", ""]
    assert all(trial.score is not None for trial in found.trials)


def test_learning_rates_are_tested_and_drawn(cells, tmp_path, monkeypatch):
    short = partial(rate_test.run_rate_test, num_steps=12)
    monkeypatch.setattr(rate_test, "run_rate_test", short)
    found = tune(cells, out=tmp_path / "tuned", settings=SMALL, device="cpu")
    assert isinstance(found, Tuning)
    assert 0 < len(found.rate_test.rates) <= 12
    assert json.loads((tmp_path / "tuned" / "rates.json").read_text())["losses"] == list(
        found.rate_test.losses
    )
    assert "Loss by learning rate" in found.page.read_text()
    assert found.plot.read_bytes()[:4] == b"\x89PNG"


def test_what_makes_no_sense_is_refused(search, cells):
    with pytest.raises(ConfigError, match="--minutes 60"):
        search(minutes=None)
    with pytest.raises(ConfigError, match="specify what to search"):
        search(over=[])


@pytest.fixture
def scored(monkeypatch):
    """Trials that are not trained: their score is that of their learning rate. Their places, in order."""
    places = []

    def score(search, trial):
        places.append((trial.round, trial.number))
        return replace(trial, score=-abs(trial.settings["optimizer.learning_rate"] - 2e-3), steps=3)

    monkeypatch.setattr(module._Search, "_tried", score)
    return places


def test_processes_that_share_a_search_have_the_trials_of_one(search, scored, tmp_path):
    alone = search(trials=6)
    in_order = [*scored]
    (tmp_path / "tuned").rename(tmp_path / "alone")
    shared = search(trials=6, processes=1)
    assert shared.trials == alone.trials
    assert scored == 2 * in_order and len(in_order) == 8
    with shared.table.open(newline="") as file:
        assert [row["steps"] for row in csv.DictReader(file)] == ["3"] * 8
    assert search(trials=6, processes=1).trials == shared.trials  # a host that starts late
    assert len(scored) == 16
    with pytest.raises(ConfigError, match=r"(?s)a different search.*shared by processes"):
        search(trials=6)


def test_a_process_takes_over_the_trial_of_a_killed_one(search, scored, tmp_path, monkeypatch):
    real = module._Search._tried

    def stops(self, trial):
        if trial.number == 3:
            raise KeyboardInterrupt
        return real(self, trial)

    with monkeypatch.context() as patch:
        patch.setattr(module._Search, "_tried", stops)
        with pytest.raises(KeyboardInterrupt):
            search(processes=1)
    ledger = tmp_path / "tuned" / ".limner-work" / "1-1" / LEDGER
    assert sorted(path.name for path in (ledger / "done").iterdir()) == ["000000.jsonl", "000001.jsonl"]
    rows = json.loads((tmp_path / "tuned" / "trials.json").read_text())
    assert [row["number"] for row in rows] == [1, 2]
    (ledger / "claims" / "000002.0").write_text(json.dumps(this_process("") | {"started": "long ago"}))
    found = search(processes=1)
    # What no process has claimed comes first.
    assert scored == [(1, 1), (1, 2), (1, 4), (1, 3), (2, 1), (2, 2)]
    assert found.best.steps == 3


def test_what_proposals_know_does_not_depend_on_the_number_of_processes(search, scored):
    class Counting(SpreadEvenly):
        uses_scores = True

        def __init__(self):
            self.known = []

        def propose(self, space, number, done):
            self.known.append(len(done))
            return super().propose(space, number, done)

    proposer = Counting()
    search(trials=6, processes=1, proposer=proposer)
    assert proposer.known == [0, 0, 0, 4, 4]


def test_processes_that_share_nothing_are_refused(search, cells, tmp_path):
    with pytest.raises(ConfigError, match="1 or more; found 0"):
        search(processes=0)
    with pytest.raises(ConfigError, match="shares the trials of a search"):
        tune(cells, out=tmp_path / "tuned", processes=2, device="cpu")
