import platform
import resource

import pytest
import torch

from limner.training.kept_memory import freed_memory_kept

SIZE = 64 * 2**20


def page_faults_of(times: int) -> int:
    """Page faults of asking for 64 MiB twice and freeing both, several times."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        _pair = [torch.ones(SIZE, dtype=torch.uint8) for _ in range(2)]
        del _pair
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives large blocks back at once")
def test_memory_asked_for_again_is_not_fetched_from_the_kernel_again():
    # Each pair is 2 x 16384 pages of 4 KiB. Alignment lets the heap grow a few times before it is at rest.
    with freed_memory_kept():
        page_faults_of(12)
        kept = page_faults_of(8)
    given_back = page_faults_of(8)
    assert given_back > 4 * max(kept, 1)
