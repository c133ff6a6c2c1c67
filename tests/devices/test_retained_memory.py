import platform
import subprocess
import sys

import pytest

MEASURE = """
import resource
import torch
from limner.devices.retained_memory import retain_freed_memory

def page_faults_of(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        _pair = [torch.ones(64 * 2**20, dtype=torch.uint8) for _ in range(2)]
        del _pair
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

with retain_freed_memory():
    page_faults_of(12)
    kept = page_faults_of(8)
print(kept, page_faults_of(8))
"""
"""Page faults of asking for 64 MiB twice and freeing both, several times.

Each pair is 2 x 16384 pages of 4 KiB. Alignment lets the heap grow a few times before it is at rest.
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives large blocks back at once")
def test_memory_asked_for_again_is_not_fetched_from_the_kernel_again():
    # A process of its own: the heap that earlier tests leave behind decides where large blocks go.
    command = [sys.executable, "-c", MEASURE]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    kept, given_back = map(int, done.stdout.split())
    assert given_back > 4 * max(kept, 1)
