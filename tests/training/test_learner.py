"""What a learner does as one of several processes, which a stand-in for accelerate claims to be."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from limner.core.errors import ConfigError
from limner.training.learner import Learner, _with_shared_statistics
from limner.weights.model import Model


def one_of(count, device="meta"):  # an accelerator without one
    return SimpleNamespace(num_processes=count, process_index=0, device=torch.device(device))


@pytest.mark.parametrize(
    ("norm", "samples", "processes", "is_synchronised"),
    [
        (None, 7, 2, True),
        (None, 8, 2, False),  # enough for statistics of its own
        ("sync", 8, 2, True),
        ("batch", 1, 2, False),
        (None, 1, 1, False),
    ],
)
def test_few_samples_share_the_statistics_of_batch_norm(tiny, norm, samples, processes, is_synchronised):
    plan = tiny.tiny_plan(network={"norm": norm})
    model = Model.from_plan(plan, tiny.TinyNetwork())
    model = _with_shared_statistics(model, one_of(processes), samples=samples)
    assert any(isinstance(layer, nn.SyncBatchNorm) for layer in model.modules()) is is_synchronised


def test_more_processes_than_samples_are_refused(tiny):
    plan = tiny.tiny_plan(train={"batch_size": 4})
    model = Model.from_plan(plan, tiny.TinyNetwork())
    with pytest.raises(ConfigError, match="A batch of 4 cannot be shared by 5 processes"):
        Learner(model, plan=plan, criterion=nn.Identity(), accelerator=one_of(5, "cpu"), say=print)
