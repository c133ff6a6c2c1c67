"""Validation in several processes, which take turns in this one."""

from types import SimpleNamespace

import pytest

from limner.training import validation
from limner.training.validation import Validation

NUM_IMAGES = 67  # two rounds of two processes, the last one short and odd


class SumScorer:
    """Adds numbers whose floating-point sum depends on the order."""

    def __init__(self):
        self.total, self.seen = 0.0, []

    def score(self, prediction, sample):
        self.total += prediction
        self.seen.append(sample.name)

    def merge(self, other):
        self.total += other.total
        self.seen += other.seen

    def compute(self):
        return {"sum": self.total}


@pytest.fixture
def dataset():
    target = SimpleNamespace(is_scored=True)
    names = [f"image {n}" for n in range(NUM_IMAGES)]
    return [SimpleNamespace(name=n, image=len(n) / 3, geometry=None, targets=[target]) for n in names]


@pytest.fixture
def predictor():
    task = SimpleNamespace(scorer=lambda labels: SumScorer())
    return SimpleNamespace(task=task, labels=None, predict_sample=lambda sample: int(sample.name[6:]) / 7)


def rank_of(dataset, predictor, rank, processes):
    accelerator = SimpleNamespace(num_processes=processes, process_index=rank)
    made = Validation(dataset, accelerator=accelerator)
    made._predictor = lambda model: predictor
    return made


def test_sums_are_those_of_one_process_to_the_last_digit(dataset, predictor, monkeypatch):
    model = SimpleNamespace(buffers=lambda: ())
    alone = rank_of(dataset, predictor, 0, 1).scores(model)
    monkeypatch.setattr(validation, "broadcast", lambda tensors, from_process: tensors)
    sent = {}

    def gather_in(rank):
        """Keep what a process sends; the last one receives all, in the order of ranks."""

        def gather(objects):
            sent.setdefault(rank, []).append(objects[0])
            number = len(sent[rank]) - 1
            return [sent[other][number] if other in sent else objects[0] for other in range(2)]

        return gather

    seen = []
    for rank in (0, 1):
        monkeypatch.setattr(validation, "gather_object", gather_in(rank))
        together = rank_of(dataset, predictor, rank, 2)._share(predictor)
        seen.append(together)
    assert [len(parts) for parts in sent[0]] == [16, 16, 2]
    assert [len(parts) for parts in sent[1]] == [16, 16, 1]
    assert seen[1].seen == [sample.name for sample in dataset]  # each once, in order
    assert {"sum": seen[1].total} == alone
    assert sum(sorted((int(s.name[6:]) / 7 for s in dataset), reverse=True)) != alone["sum"]
