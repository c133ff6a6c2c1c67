"""What a run does on a GPU by default; skipped where there is none. benchmarks/gpu_check.py measures it."""

import pytest
import torch

from limner.core.batch import Batch
from limner.core.label_map import LabelMap
from limner.devices.host_copies import pins_memory
from limner.tasks import find_task
from limner.training.accelerator import build_accelerator
from limner.training.learner import Learner
from limner.weights.model import Model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture
def learner(tiny_plan):
    plan = tiny_plan()
    accelerator = build_accelerator("cuda", precision="bfloat16")
    criterion = find_task(plan.task).criterion(plan).to(accelerator.device)
    return Learner(Model.from_plan(plan), plan=plan, criterion=criterion, accelerator=accelerator, say=print)


@pytest.fixture
def batch():
    images = torch.zeros(2, 64, 64, 3, dtype=torch.uint8).pin_memory().movedim(-1, 1)
    labels = torch.ones(2, 64, 64, dtype=torch.uint8)
    labels[0, :9] = 255  # ignored
    return Batch(images, ("a", "b"), {LabelMap: labels.pin_memory()})


def test_a_step_queues_its_work_without_waiting(learner, batch):
    learner.gradients(batch, step=1, factor=1.0)
    learner.apply(step=1)
    torch.cuda.set_sync_debug_mode("error")
    try:
        learner.gradients(batch, step=2, factor=1.0)
        learner.apply(step=2)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_weights_are_channels_last_and_updated_by_a_fused_kernel(learner):
    kernels = [p for p in learner.model.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[2] > 1]
    assert kernels and all(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)
    assert learner._optimizer.param_groups[0]["fused"]


def test_batches_come_from_page_locked_memory(learner):
    assert pins_memory(learner.device)
    assert learner._copies._stream is not None
