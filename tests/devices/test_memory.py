import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from limner.devices.memory import is_out_of_memory, more_parts


@given(batch_size=st.integers(1, 200), data=st.data())
def test_more_parts_divide_the_batch_and_at_least_double(batch_size, data):
    divisors = [d for d in range(1, batch_size + 1) if batch_size % d == 0]
    now = data.draw(st.sampled_from(divisors))
    then = more_parts(now, batch_size)
    if now == batch_size:
        assert then is None
    else:
        assert then in divisors
        assert then >= min(2 * now, batch_size)


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
