"""Processes are objects here, with a board in memory and a clock that the test moves."""

import json

import pytest

from limner.core.errors import DataError, StoppedBySignal, TrainingError, describe
from limner.training.process_watch import EXIT_CODE, Pace, ProcessWatch, is_exchange_error, watched

PACE = Pace(beat=0.02, silence=20.0, stall=40.0, first_stall=600.0, grace=0.0)
GLOO = "[../third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:3912"


class MemoryBoard:
    def __init__(self):
        self.texts = {}

    def write(self, key, text):
        self.texts[key] = text

    def write_first(self, key, text):
        self.texts.setdefault(key, text)

    def read(self, keys):
        return {key: self.texts[key] for key in keys if key in self.texts}

    @property
    def failure(self):
        return json.loads(self.texts.get("failed", "{}"))


class Together:
    """Some watches with one board and one clock, none of which runs by itself."""

    def __init__(self, tmp_path, count):
        self.now, self.board = 0.0, MemoryBoard()
        self.left = []
        self.watches = [
            ProcessWatch(
                tmp_path / "run", self.board, rank=rank, num_processes=count, pace=PACE,
                clock=lambda: self.now, leave=self.left.append,
            )
            for rank in range(count)
        ]  # fmt: skip

    def steps(self, first, last):
        for step in range(first, last + 1):
            for watch in self.watches:
                watch.at_batch_of(step)
                watch.at_step(step)
            self.wait(1)

    def wait(self, seconds, *, silent=()):
        beat = 1 if seconds < 100 else 5
        for _ in range(0, seconds, beat):
            self.now += beat
            for rank, watch in enumerate(self.watches):
                if rank not in silent:
                    watch.look()


@pytest.fixture
def three(tmp_path):
    return Together(tmp_path, 3)


def test_a_process_that_is_behind_and_does_not_move_hangs(three):
    three.steps(1, 4)
    for rank in (0, 2):
        three.watches[rank].at_batch_of(5)
        three.watches[rank].at_step(5)
    three.watches[1].at_batch_of(5)
    three.wait(40)
    assert not three.board.failure
    three.wait(2)
    failure = three.board.failure
    assert failure["rank"] == 1
    assert "it hangs: at step 5, waiting for its batch for 4" in failure["reason"]
    assert "process_watch.py:" in failure["reason"]  # the line at which its main thread is


def test_all_that_wait_for_each_other_are_named(three):
    three.steps(1, 4)
    three.wait(43)
    assert three.board.failure["reason"].count("process ") == 3


def test_slow_steps_give_more_time(three):
    for step in range(1, 6):
        for watch in three.watches:
            watch.at_batch_of(step)
            watch.at_step(step)
        three.wait(30)
    three.wait(250)  # of the 300 s that follow from steps of 30 s
    assert not three.board.failure
    three.wait(60)
    assert three.board.failure


def test_the_first_step_and_the_work_of_the_first_process_may_take_long(three):
    for watch in three.watches:
        watch.at_batch_of(1)
    three.wait(590)
    assert not three.board.failure
    three.steps(1, 4)
    for watch in three.watches:
        watch.at("writing the model", allowed=float("inf"))
    for watch in three.watches[1:]:
        watch.at("the end", allowed=float("inf"))
    three.wait(700)
    assert not three.board.failure


def test_compiling_may_take_as_long_as_the_first_steps(three):
    three.steps(1, 6)
    for watch in three.watches:
        watch.expect_slow_steps()
        watch.at_batch_of(7)
        watch.at_step(7)
    three.wait(590)
    assert not three.board.failure
    three.wait(20)
    assert three.board.failure


def test_images_of_a_validation_are_signs_of_life(three):
    three.steps(1, 4)
    for watch in three.watches:
        watch.at("validation", allowed=100.0)
    three.watches[0].at("the scores", allowed=100.0)
    for _ in range(3):
        three.wait(500)
        for watch in three.watches[1:]:
            watch.move()
    assert not three.board.failure


def test_a_process_that_no_longer_writes_is_dead(three):
    three.steps(1, 4)
    three.wait(19, silent={2})
    assert not three.board.failure
    three.wait(3, silent={2})
    assert three.board.failure["rank"] == 2
    assert "has not answered for 2" in three.board.failure["reason"]


def test_a_process_that_has_ended_is_not_missed(three):
    three.steps(1, 4)
    for watch in three.watches:
        watch.at("scoring", allowed=float("inf"))
    with watched(three.watches[2]):
        pass
    three.wait(100, silent={2})
    assert not three.board.failure


def test_another_s_failure_is_raised_where_the_exchange_broke(three):
    out_of_memory = TrainingError(describe("Training stopped at step 7", found="CUDA out of memory"))
    with pytest.raises(TrainingError, match="step 7"), watched(three.watches[1]):
        raise out_of_memory
    three.wait(1)
    with pytest.raises(TrainingError) as raised, watched(three.watches[0]):
        raise RuntimeError(GLOO)
    message = str(raised.value)
    assert "process 1 of 3 (counted from 0) on " in message
    assert "Training stopped at step 7: CUDA out of memory" in message
    assert "limner train --resume " in message


def test_own_errors_stay_as_they_are(three):
    with pytest.raises(DataError, match="no such image"), watched(three.watches[0]):
        raise DataError("no such image")
    assert three.board.failure["reason"] == "DataError: no such image"
    with pytest.raises(ValueError, match="not ours"), watched(three.watches[2]):
        raise ValueError("not ours")
    assert three.board.failure["rank"] == 0  # the first one counts


def test_a_stop_of_all_is_no_failure(three):
    with pytest.raises(StoppedBySignal), watched(three.watches[0]):
        raise StoppedBySignal(15)
    assert not three.board.failure


def test_a_main_thread_that_waits_for_ever_is_ended(tmp_path, capsys):
    two = Together(tmp_path, 2)
    two.board.write_first("failed", json.dumps({"rank": 1, "host": "node7", "reason": "MemoryError"}))
    two.watches[0]._pace = Pace(beat=0.01, grace=0.01)
    two.watches[0]._watch()
    assert two.left == [EXIT_CODE]
    assert "process 1 of 2 (counted from 0) on node7" in capsys.readouterr().err


def test_a_board_that_is_gone_was_kept_by_the_first_process(tmp_path, capsys):
    two = Together(tmp_path, 2)

    def gone(*_):
        two.now += 5.0
        raise ConnectionResetError

    two.board.write = gone
    two.watches[1]._pace = Pace(beat=0.01, silence=20.0, grace=0.01)
    two.watches[1]._watch()
    assert two.left == [EXIT_CODE]
    assert "process 0 of 2" in capsys.readouterr().err


def test_a_process_alone_needs_no_board(tmp_path):
    watch = ProcessWatch(tmp_path)
    with pytest.raises(RuntimeError, match="gloo"), watched(watch):
        watch.at_step(1)
        raise RuntimeError(GLOO)


def test_errors_of_an_exchange_are_told_from_others():
    assert is_exchange_error(RuntimeError(GLOO))
    assert not is_exchange_error(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_exchange_error(TrainingError("gloo"))
    assert not is_exchange_error(OSError("Connection reset by peer"))  # of a file server, perhaps
