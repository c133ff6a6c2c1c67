import pytest
import torch

from limner.core.errors import ModelError
from limner.core.run_folder import RunFolder
from limner.weights import starting
from limner.weights.bundle import save_model
from limner.weights.checkpoint_files import read_checkpoint
from limner.weights.model import Model
from limner.weights.starting import read_start, read_starting_plan, start_from


def test_a_model_folder_and_its_run_are_the_same_start(tiny_model, tmp_path):
    model = tiny_model()
    run = RunFolder(tmp_path / "run")
    save_model(run.model, model, origin={}, licence="CC0-1.0")
    for path in (run.model, run.root):
        start = read_start(path, task="semantic")
        assert start.licence == "CC0-1.0" and read_starting_plan(path, task="semantic") == model.plan
        pairs = zip(start.model.parameters(), model.parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_a_checkpoint_needs_no_task_to_start_from(authors_file):
    path = authors_file("model_final_500878.pkl", 150)
    assert read_start(path, task="instance").licence == "CC-BY-NC-4.0"
    other = authors_file("other.pkl", 150)
    plan = read_starting_plan(other, task="semantic")
    assert plan.data.label_table.names[0] == "wall"
    assert read_start(authors_file("mine.pkl"), task="semantic").licence is None


def test_the_file_is_read_once_for_the_plan_and_once_for_the_weights(authors_file, monkeypatch):
    path, reads = authors_file("other.pkl", 150), []  # without its task, so that it is tried twice

    def counted(*arguments, **options):
        reads.append(arguments)
        return read_checkpoint(*arguments, **options)

    monkeypatch.setattr(starting, "read_checkpoint", counted)
    plan = read_starting_plan(path, task="semantic")
    assert len(reads) == 1
    done, _ = start_from(path, Model.from_plan(plan))
    assert len(reads) == 2 and done.loaded and not done.new


def test_what_is_neither_is_refused(tmp_path):
    with pytest.raises(ModelError, match="no such checkpoint.*nowhere"):
        read_start(tmp_path / "nowhere", task="semantic")
