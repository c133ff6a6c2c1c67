"""Keep freed memory in the process while a CPU trains.

A training step frees and allocates hundreds of large tensors. glibc, the C library of most Linux systems,
returns each to the kernel, which must zero new pages the next time; this takes a fifth of a step's time.
Accelerators have their own allocators and do not benefit.
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
def retain_freed_memory() -> Iterator[None]:
    """Let glibc keep freed memory until the end of the block; does nothing with other C libraries."""
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
