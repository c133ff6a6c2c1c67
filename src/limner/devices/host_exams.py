"""Checks of `limner doctor` on the host: processor, memory, disk, and downloaded pretrained weights."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

from limner.devices.exam import Exam
from limner.devices.host import core_quota, num_cores
from limner.devices.machine import Memory, cpu_has_bfloat16, cpu_name, host_memory

GIB = 2**30

LITTLE_MEMORY, LITTLE_DISK = 2 * GIB, 5 * GIB
"""Free bytes below which a run is likely to fail."""


def host_exams() -> Iterator[Exam]:
    """Yield the processor and its cores, memory, disk, and pretrained weights."""
    yield from _processor()
    yield from _memory()
    yield from _disk()
    yield _weight_cache()


def _processor() -> Iterator[Exam]:
    cores, threads = num_cores(), torch.get_num_threads()
    bfloat16 = "native bfloat16" if cpu_has_bfloat16() else "no native bfloat16, so float32 is used"
    yield Exam("processor", "CPU", f"{cpu_name()}; {bfloat16}")
    asked = os.environ.get("OMP_NUM_THREADS")
    quota = core_quota()
    limit = "" if quota is None else f" (the container's quota is {quota:g})"
    found = f"{cores} usable{limit}, PyTorch uses {threads}"
    if asked and threads * 2 <= cores:
        fix = f"Unset OMP_NUM_THREADS to use all {cores}."
        yield Exam("processor", "cores", f"{found} because OMP_NUM_THREADS={asked}", "warning", fix)
    else:
        yield Exam("processor", "cores", found)


def _memory() -> Iterator[Exam]:
    memory = host_memory()
    found = memory_words(memory)
    if memory.available < LITTLE_MEMORY:
        yield Exam("memory", "memory", found, "warning", "Close other programs, or use smaller crops.")
    else:
        yield Exam("memory", "memory", found)
    shared = Path("/dev/shm")  # noqa: S108 - only its size is read
    if shared.exists():
        size = shutil.disk_usage(shared).total / GIB
        yield Exam("memory", "/dev/shm", f"{size:.2f} GiB; not needed, since limner loads data with threads")


def _disk() -> Iterator[Exam]:
    for name, folder in (("current folder", Path.cwd()), ("home", Path.home())):
        free = shutil.disk_usage(folder).free
        found = f"{free / GIB:.0f} GiB free at {folder}"
        if free < LITTLE_DISK:
            yield Exam("disk", name, found, "warning", "Free some space: a run keeps three checkpoints.")
        else:
            yield Exam("disk", name, found)
        if not os.access(folder, os.W_OK):
            fix = "Start limner in a writable folder, or pass --out."
            yield Exam("disk", f"{name} is read-only", str(folder), "warning", fix)


def _weight_cache() -> Exam:
    """Return the cache folder of pretrained encoder weights, and which are in it."""
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    hub = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    found = sorted(p.name.removeprefix("models--").replace("--", "/") for p in hub.glob("models--*"))
    listed = f"{len(found)} at {hub}" + (f": {', '.join(found[:5])}" if found else "")
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        listed += "; HF_HUB_OFFLINE is set, so no others are downloaded"
    return Exam("weights", "pretrained weights", listed, "good" if found else "note")


def memory_words(memory: Memory) -> str:
    """Return free and total memory in words."""
    return f"{memory.available / GIB:.1f} GiB free of {memory.total / GIB:.1f} GiB"
