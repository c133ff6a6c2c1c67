"""The trial of compiling, on steps whose times are made up."""

import pytest
import torch

from limner.core.watchers import Watcher
from limner.training import compile_trial
from limner.training.compile_trial import TIMED, WARM_UP, CompileTrial
from limner.training.learner import Learner

FIRST = 20.0
"""Seconds of a first step, in which kernels are compiled or chosen."""


class Run:
    """A run with `left` steps whose network takes other times when it is compiled."""

    def __init__(self, *, plain, compiled, left, agree=lambda value: value):
        self.seconds = {False: plain, True: compiled}
        self.is_compiled, self.is_first = False, True
        self.left = left
        self.said = []
        self.trial = CompileTrial(
            switch=self.switch, seconds_left=lambda seconds: self.left * seconds, agree=agree
        )

    def switch(self, wanted):
        self.is_compiled, self.is_first = wanted, True

    def step(self):
        seconds = FIRST if self.is_first else self.seconds[self.is_compiled]
        self.is_first = False
        self.left -= 1
        said = self.trial.add(seconds)
        if said is not None:
            self.said.append(said)

    def until_decided(self, most=100):
        for _ in range(most):
            if self.trial.decision is not None:
                return self
            self.step()
        raise AssertionError("the trial does not end")


def test_a_faster_network_stays_compiled():
    run = Run(plain=0.2, compiled=0.15, left=100_000).until_decided()
    assert run.is_compiled and run.trial.decision
    assert run.said == [
        "The network is compiled: a step takes 0.15 s compiled and 0.2 s otherwise; compiling took 20 s."
    ]


@pytest.mark.parametrize("compiled", [0.199, 0.3])
def test_a_network_that_gains_nothing_is_not(compiled):
    run = Run(plain=0.2, compiled=compiled, left=100_000).until_decided()
    assert not run.is_compiled and run.trial.decision is False
    assert run.said[0].startswith("The network is not compiled: a step takes")


def test_a_short_run_is_not_tried():
    run = Run(plain=0.2, compiled=0.1, left=1000).until_decided(WARM_UP + TIMED + 1)
    assert not run.is_compiled and run.trial.decision is False
    assert run.said == ["The network is not compiled: the run takes only 3 min more."]


def test_one_slow_step_decides_nothing():
    run = Run(plain=0.2, compiled=0.15, left=100_000)
    run.step()
    run.trial.add(30.0)
    assert run.until_decided().trial.decision


def test_all_processes_follow_the_main_one():
    numbers = iter([0.2, 10_000.0, 0.1])  # the main process's step, time left, and compiled step
    run = Run(plain=0.2, compiled=0.9, left=10, agree=lambda _: next(numbers)).until_decided()
    assert run.is_compiled


class Listener(Watcher):
    """Collects messages, and interrupts the run after a step."""

    def __init__(self, *, stop_after=None):
        self.said, self.stop_after = [], stop_after

    def say(self, message):
        self.said.append(message)

    def step(self, moment):
        if moment.step == self.stop_after:
            raise InterruptedError


def test_a_resumed_run_remembers_the_trial(tmp_path, tiny, monkeypatch):
    switched = []
    monkeypatch.setattr(Learner, "device", property(lambda _: torch.device("meta")))  # not the CPU
    monkeypatch.setattr(Learner, "compile", lambda _, wanted: switched.append(wanted))
    monkeypatch.setattr("limner.training.loop.synchronize", lambda _: None)
    for name, value in {"WARM_UP": 1, "TIMED": 1, "SHORTEST_RUN": 0.0, "LEAST_GAIN": 1e9}.items():
        monkeypatch.setattr(compile_trial, name, value)
    plan = tiny.tiny_plan(train={"steps": 6, "save_every": 4, "validate_every": 6, "compile": None})
    listener = Listener(stop_after=5)
    with pytest.raises(InterruptedError):
        tiny.run_tiny(tmp_path, plan, watchers=[listener])
    assert switched == [True]  # after two steps without compiling
    assert [message[:23] for message in listener.said] == ["The network is compiled"]  # after two more
    listener = Listener()
    tiny.run_tiny(tmp_path, plan, watchers=[listener], resume=True)
    assert switched == [True, True, False]  # at once, and for validation at the end no longer
    assert listener.said == []


def test_a_cpu_is_not_tried(tmp_path, tiny, monkeypatch):
    monkeypatch.setattr(compile_trial, "SHORTEST_RUN", 0.0)
    monkeypatch.setattr(compile_trial, "TIMED", 0)
    listener = Listener()
    tiny.run_tiny(tmp_path, tiny.tiny_plan(train={"steps": 2, "compile": None}), watchers=[listener])
    assert listener.said == []
