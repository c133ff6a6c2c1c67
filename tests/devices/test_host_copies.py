"""Copies to a device: when they run on a stream of their own, seen by what they ask of PyTorch."""

import pytest
import torch

from limner.core.batch import Batch
from limner.core.boxes import Boxes, boxes_of
from limner.core.label_map import LabelMap
from limner.devices import host_copies
from limner.devices.host_copies import HostCopies, bandwidth, pins_memory

HAS_GPU = torch.cuda.is_available()


class Stream:
    """A stream that writes down what waits for what."""

    def __init__(self, name, done):
        self.name, self.done = name, done

    def wait_stream(self, other):
        self.done.append(f"{self.name} waits for {other.name}")


class Pinned:
    """A batch in page-locked memory, with a tensor that stays on the host."""

    device = torch.device("xpu")

    def __init__(self, done, *, is_pinned=True):
        self.done, self.images = done, self
        self.is_pinned = lambda: is_pinned

    def to(self, device):
        self.done.append("copy")
        return self

    def tensors(self):
        return [self, torch.zeros(1)]

    def record_stream(self, stream):
        self.done.append(f"kept for {stream.name}")


@pytest.fixture
def done(monkeypatch):
    """What is asked of PyTorch, on a machine with an accelerator that copies while it computes."""
    done = []
    monkeypatch.setattr(host_copies, "pins_memory", lambda _: True)
    monkeypatch.setattr(torch, "Stream", lambda _: Stream("copies", done))
    monkeypatch.setattr(torch.accelerator, "current_stream", lambda _: Stream("computation", done))
    monkeypatch.setattr(torch.accelerator, "set_stream", lambda stream: done.append(f"on {stream.name}"))
    return done


def test_page_locked_batches_are_copied_on_a_second_stream(done):
    HostCopies(torch.device("xpu"))(Pinned(done))
    assert done == [
        "on copies",
        "copy",
        "on computation",
        "computation waits for copies",
        "kept for computation",
    ]


def test_other_batches_are_copied_where_the_device_computes(done):
    HostCopies(torch.device("xpu"))(Pinned(done, is_pinned=False))
    assert done == ["copy"]


def test_the_stream_of_the_computation_is_back_after_an_error(done, monkeypatch):
    def fail(self, device):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Pinned, "to", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        HostCopies(torch.device("xpu"))(Pinned(done))
    assert done == ["on copies", "on computation"]


def test_a_cpu_needs_no_copies():
    assert not pins_memory(torch.device("cpu"))
    batch = Batch(torch.zeros(1, 3, 4, 4), ("a",))
    assert HostCopies(torch.device("cpu"))(batch).images is batch.images


def test_memory_is_locked_only_for_the_accelerator_that_asks(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("xpu"))
    asked = []

    def empty(*size, pin_memory):
        asked.append(size)
        raise RuntimeError("no allocator of page-locked memory")

    monkeypatch.setattr(torch, "empty", empty)
    pins_memory.cache_clear()
    assert not pins_memory(torch.device("cuda")) and not asked
    assert not pins_memory(torch.device("xpu")) and asked == [(1,)]
    pins_memory.cache_clear()


def test_every_tensor_of_a_batch_is_named():
    boxes = Boxes.stack([boxes_of([[0, 0, 2, 2]], [0], shape=(4, 4))])
    labels = torch.zeros(1, 4, 4, dtype=torch.uint8)
    batch = Batch(torch.zeros(1, 3, 4, 4), ("a",), {LabelMap: labels, Boxes: boxes})
    found = [id(tensor) for tensor in batch.tensors()]
    (own,) = boxes
    assert found[:2] == [id(batch.images), id(labels)]
    assert {id(own.xyxy), id(own.labels)} <= set(found)


@pytest.mark.skipif(not HAS_GPU, reason="needs a GPU")
def test_copies_of_a_gpu_are_equal_and_fast():
    device = torch.device("cuda")
    assert pins_memory(device)
    batch = Batch(torch.rand(4, 3, 64, 64).pin_memory(), tuple("abcd"))
    copied = HostCopies(device)(batch)
    assert copied.images.is_cuda
    assert torch.equal(copied.images.cpu(), batch.images)
    assert bandwidth(device, pinned=True) > 0
