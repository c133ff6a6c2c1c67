"""Keep freed memory in the process while a CPU trains.

A training step frees and asks again for hundreds of large tensors. The C library of most Linuxes (glibc)
gives each of them back to the kernel, which hands out fresh zeroed pages the next time: a fifth of a step's
time goes into that. Accelerators have allocators of their own and gain nothing.
"""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

# mallopt(3): parameter numbers, and the defaults they are set back to.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_DEFAULT = 128 * 1024
_LARGEST_BLOCK = 2**30
_NEVER = 2**31 - 1


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Let glibc keep what is freed until the end of the block; elsewhere do nothing."""
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK)
    libc.mallopt(_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        libc.mallopt(_MMAP_THRESHOLD, _DEFAULT)
        libc.mallopt(_TRIM_THRESHOLD, _DEFAULT)
        libc.malloc_trim(0)
