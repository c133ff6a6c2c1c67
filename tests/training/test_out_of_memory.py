"""Memory that runs out is simulated: the model refuses parts of more than a few samples."""

import pytest
import torch
import yaml

from limner.core.errors import TrainingError
from limner.core.watchers import Watcher


class Listener(Watcher):
    def __init__(self):
        self.said = []

    def say(self, message):
        self.said.append(message)


def greedy(tiny, most, *, after=0):
    """A network for which no more than `most` samples at once fit, from its pass number `after` on."""

    class Greedy(tiny.TinyNetwork):
        passes = 0

        def forward(self, images):
            self.passes += self.training
            if self.training and self.passes > after and len(images) > most:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return super().forward(images)

    torch.manual_seed(1)
    return Greedy()


def test_memory_that_runs_out_halves_the_parts_and_goes_on(tmp_path, tiny):
    listener = Listener()
    plan = tiny.tiny_plan(train={"steps": 4})
    result = tiny.run_tiny(tmp_path, plan, network=greedy(tiny, 1, after=2), watchers=[listener])
    assert result.steps == 4
    assert [("in 2 parts of 2" in s, "in 4 parts of 1" in s, "step 3" in s) for s in listener.said] == [
        (True, False, True),
        (False, True, True),
    ]
    for path in (tmp_path / "plan.yaml", tmp_path / "model" / "plan.yaml"):
        written = yaml.safe_load(path.read_text())
        assert written["train"]["accumulate"] == 4
        assert written["train"]["batch_size"] == 4
        assert "more parts than planned, because memory ran out\n" in path.read_text()


def test_the_step_is_done_again_with_the_same_numbers(tmp_path, tiny):
    # Out of memory at the very first pass: from then on it is a run planned with two parts.
    tiny.run_tiny(tmp_path / "a", tiny.tiny_plan(train={"steps": 4}), network=greedy(tiny, 2))
    tiny.run_tiny(tmp_path / "b", tiny.tiny_plan(train={"steps": 4, "accumulate": 2}))
    weights = [(tmp_path / name / "model" / "weights.safetensors").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]


def test_a_resumed_run_remembers_the_parts(tmp_path, tiny):
    class StopAt(Watcher):
        def step(self, moment):
            if moment.step == 5:
                raise InterruptedError

    plan = tiny.tiny_plan(train={"steps": 8})
    with pytest.raises(InterruptedError):
        tiny.run_tiny(tmp_path, plan, network=greedy(tiny, 2), watchers=[StopAt()])
    listener = Listener()
    tiny.run_tiny(tmp_path, plan, network=greedy(tiny, 2), watchers=[listener], resume=True)
    assert listener.said == []  # nothing ran out again


def test_single_samples_that_do_not_fit_stop_with_advice(tmp_path, tiny):
    with pytest.raises(TrainingError, match=r"step 1, because memory ran out(.|\n)*smaller crops"):
        tiny.run_tiny(tmp_path, tiny.tiny_plan(), network=greedy(tiny, 0))
