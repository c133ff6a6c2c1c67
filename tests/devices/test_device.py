import pytest
import torch

from limner.devices import device as module
from limner.devices.device import choose_memory_format, choose_precision, is_out_of_memory
from limner.devices.machine import Machine, Memory


@pytest.mark.parametrize(
    ("trained", "bfloat16", "chosen"),
    [
        ("float32", True, "float32"),
        ("bfloat16", True, "bfloat16"),
        ("bfloat16", False, "float32"),
        ("float16", True, "float32"),
    ],
)
def test_the_trained_precision_where_it_is_fast(monkeypatch, trained, bfloat16, chosen):
    machine = Machine("cpu", "a processor", Memory(1, 1), 2, bfloat16)
    monkeypatch.setattr(module, "examine", lambda _: machine)
    assert choose_precision(torch.device("cpu"), trained) == chosen


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 7.10 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    ],
)
def test_what_allocators_say_is_recognised(error):
    assert is_out_of_memory(error)


def test_this_pytorchs_own_words_are_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**62, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def test_other_errors_are_not():
    assert not is_out_of_memory(RuntimeError("shape mismatch"))
    assert not is_out_of_memory(ValueError("out of memory of a user's own"))


@pytest.mark.parametrize(
    ("device", "capability", "training", "layout"),
    [
        ("cpu", "AVX2", True, torch.contiguous_format),
        ("cpu", "AVX2", False, torch.channels_last),
        ("cpu", "AVX512", True, torch.channels_last),
        ("cuda", "AVX2", True, torch.channels_last),
    ],
)
def test_only_training_on_older_cpus_keeps_channels_apart(device, capability, training, layout, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert choose_memory_format(torch.device(device), spatial_dims=2, training=training) == layout


def test_volumes_have_a_layout_of_their_own():
    assert choose_memory_format(torch.device("cpu"), spatial_dims=3) == torch.channels_last_3d
