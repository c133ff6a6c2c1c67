"""Checks of `limner doctor`: whether there is an accelerator that this PyTorch can use, and how well."""

from collections.abc import Iterator

import torch

from limner.devices.backends import (
    INSTALL,
    copies_from_host,
    driver,
    missing_kernels,
    toolkit,
    unreachable_pairs,
    unused_accelerator,
)
from limner.devices.exam import Exam
from limner.devices.host_copies import bandwidth, pins_memory
from limner.devices.host_exams import memory_words
from limner.devices.machine import Machine, examine

SLOWEST_COPIES = 2e9
"""Bytes per second below which copies from page-locked memory slow a run down: an eighth of PCIe 3.0 x16."""


def accelerator_exams() -> Iterator[Exam]:
    """Yield the accelerator, driver, toolkit, a trial, copies from the host, and access between devices."""
    machine = examine("auto")
    if machine.is_cpu:
        none = "none; training and prediction use the CPU"
        yield unused_accelerator() or Exam("accelerator", "accelerator", none, "note")
        return
    device = torch.device(machine.device)
    yield Exam(
        "accelerator",
        machine.device.upper(),
        f"{machine.name}, {memory_words(machine.memory)}, fast in {number_format(machine)}",
    )
    found = driver(device)
    yield Exam("accelerator", "driver", found or "unknown", "good" if found else "note")
    yield _toolkit(device)
    trial = _trial(device)
    yield trial
    if trial.state != "broken":
        yield from _copies(device)
        yield from _peers(device)


def _toolkit(device: torch.device) -> Exam:
    """Check that PyTorch has compiled code for this device, which old builds lack for new GPUs."""
    built = toolkit()
    found = f"PyTorch {torch.__version__}" + ("" if built is None else f" for {' '.join(built)}")
    missing = missing_kernels(device)
    if missing is None:
        return Exam("accelerator", "toolkit", found)
    fix = f"Install a PyTorch built for this GPU: {INSTALL}"
    return Exam("accelerator", "toolkit", f"{found}; {missing}", "broken", fix)


def _trial(device: torch.device) -> Exam:
    """Run a small convolution on the device, as a test of driver and build."""
    try:
        images = torch.ones(1, 3, 8, 8, device=device)
        kernel = torch.ones(1, 3, 3, 3, device=device)
        total = float(torch.nn.functional.conv2d(images, kernel).sum().cpu())
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        fix = f"Update the driver, or install a PyTorch built for this device: {INSTALL}"
        return Exam("accelerator", "trial", f"a test convolution fails: {reason}", "broken", fix)
    if total != 3 * 3 * 3 * 6 * 6:
        return Exam(
            "accelerator", "trial", "a test convolution gives a wrong result", "broken", "Update the driver."
        )
    return Exam("accelerator", "trial", "a test convolution gives the right result")


def _copies(device: torch.device) -> Iterator[Exam]:
    """Yield the speed of copies from the host, if the device has memory of its own."""
    if not copies_from_host(device):
        return
    plain = bandwidth(device, pinned=False)
    if not pins_memory(device):
        yield Exam("accelerator", "copies", f"{plain / 1e9:.1f} GB/s from the host")
        return
    pinned = bandwidth(device, pinned=True)
    found = f"{pinned / 1e9:.1f} GB/s from page-locked memory of the host, {plain / 1e9:.1f} GB/s from other"
    if pinned >= SLOWEST_COPIES:
        yield Exam("accelerator", "copies", found)
        return
    fix = "Check that no other program uses the bus, and that the card is in a slot with all of its lanes."
    yield Exam("accelerator", "copies", found, "warning", fix)


def _peers(device: torch.device) -> Iterator[Exam]:
    """Yield whether accelerators exchange data directly, if there are several."""
    pairs = unreachable_pairs(device)
    if pairs is None:
        return
    count = torch.accelerator.device_count()
    if not pairs:
        yield Exam("accelerator", "peer access", f"{count} accelerators exchange data directly")
        return
    listed = ", ".join(f"{a} and {b}" for a, b in pairs if a < b or (b, a) not in pairs)
    found = f"{count} accelerators; these exchange data through the host's memory: {listed}"
    fix = "Training on several of them is slower. Check their topology, and the IOMMU and ACS settings."
    yield Exam("accelerator", "peer access", found, "note", fix)


def number_format(machine: Machine) -> str:
    """Return the shortest number format that a machine is fast in, such as ``bfloat16``."""
    if machine.fast_bfloat16:
        return "bfloat16"
    return "float16" if machine.fast_float16 else "float32"
