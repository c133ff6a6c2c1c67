"""Three processes, one after the other in this one: the first two send, the last one, of rank 0, receives."""

from collections import deque
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from limner.core.errors import DataError, WriteError
from limner.core.prediction import SemanticPrediction
from limner.inference.distributed_prediction import IMAGES_AT_ONCE, DistributedPredictions

PROCESSES = 3
NAMES = [f"image {n}" for n in range(PROCESSES * IMAGES_AT_ONCE + 5)]  # two rounds, the second one short
BROKEN, UNREADABLE = 4, 7


def sample(index):
    return SimpleNamespace(name=NAMES[index])


class Exchange:
    """What the other processes have sent, round by round."""

    def __init__(self):
        self.sent = {rank: deque() for rank in range(1, PROCESSES)}

    def send_of(self, rank):
        return lambda parts: self.sent[rank].append(parts) or []

    def receive(self, parts):
        return [parts, *(rounds.popleft() for rounds in self.sent.values())]


@pytest.fixture
def first():
    """The first process, when the others have sent everything, and the images that each has predicted."""
    exchange, predicted = Exchange(), {rank: [] for rank in range(PROCESSES)}

    def predict_in(rank):
        def predict(sample):
            index = NAMES.index(sample.name)
            predicted[rank].append(index)
            if index == BROKEN:
                raise DataError("too small for this network")
            return SemanticPrediction(sample.name, np.full((2, 3), index, np.uint8))

        return predict

    for rank in range(1, PROCESSES):
        other = DistributedPredictions(
            NAMES, predict_in(rank), rank=rank, num_processes=PROCESSES, gather=exchange.send_of(rank)
        )
        other.help_first(sample)
    made = DistributedPredictions(
        NAMES, predict_in(0), rank=0, num_processes=PROCESSES, gather=exchange.receive
    )
    return made, predicted, exchange


def test_each_image_is_predicted_once_and_comes_in_order(first):
    made, predicted, exchange = first
    with made:
        for index in range(len(NAMES)):
            if index == BROKEN:
                with pytest.raises(DataError, match="too small"):
                    made(sample(index))
            elif index != UNREADABLE:  # of which the first process asks for no prediction
                found = made(sample(index))
                assert found.name == NAMES[index] and (found.semantic == index).all()
    assert sorted(sum(predicted.values(), [])) == list(range(len(NAMES)))
    assert {index % PROCESSES for index in predicted[2]} == {2}
    assert not any(exchange.sent.values())


def test_the_others_are_not_left_waiting(first):
    made, _, exchange = first
    with pytest.raises(WriteError), made:
        raise WriteError(Path("scores.json"), "no space left on the disk")
    assert not any(exchange.sent.values())


def test_a_process_alone_exchanges_nothing():
    alone = DistributedPredictions(NAMES, lambda sample: sample.name, rank=0, num_processes=1, gather=None)
    with alone:
        assert [alone(sample(index)) for index in range(len(NAMES))] == NAMES
