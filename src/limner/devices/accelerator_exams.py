"""Checks of `limner doctor`: whether there is an accelerator that this PyTorch can use."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

from limner.devices.exam import Exam
from limner.devices.host_exams import memory_words
from limner.devices.machine import Machine, examine, runs_on


def accelerator_exams() -> Iterator[Exam]:
    """Yield the accelerator, and whether driver, PyTorch build and device are compatible."""
    machine = examine("auto")
    if machine.is_cpu:
        yield _no_accelerator()
        return
    kind = machine.device.upper()
    yield Exam(
        "accelerator",
        kind,
        f"{machine.name}, {memory_words(machine.memory)}, fast in {number_format(machine)}",
    )
    if machine.device == "cuda":
        yield _cuda_build()
    yield _trial(machine)


def _no_accelerator() -> Exam:
    """Distinguish a machine without an accelerator from one whose accelerator PyTorch cannot use."""
    built_for = torch.version.cuda or torch.version.hip
    if not (Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi")):
        return Exam("accelerator", "accelerator", "none; training and prediction use the CPU", "note")
    if built_for:
        found = f"an NVIDIA GPU, which PyTorch {torch.__version__} (built for CUDA {built_for}) cannot use"
        fix = "Update the NVIDIA driver, or install PyTorch for the CUDA version that nvidia-smi shows."
    else:
        found = f"an NVIDIA GPU, but this PyTorch ({torch.__version__}) is built for the CPU only"
        fix = "Install a CUDA build of PyTorch: https://pytorch.org/get-started/locally"
    return Exam("accelerator", "accelerator", found, "warning", fix)


def _cuda_build() -> Exam:
    """Check that PyTorch has compiled code for this GPU, which old builds lack for new GPUs."""
    if torch.version.hip:
        return Exam("accelerator", "ROCm", str(torch.version.hip))
    capability = torch.cuda.get_device_capability()
    archs = torch.cuda.get_arch_list()
    found = f"{torch.version.cuda}; this GPU has compute capability {capability[0]}.{capability[1]}"
    if runs_on(capability, archs):
        return Exam("accelerator", "CUDA", found)
    fix = "Install a PyTorch built for this GPU: https://pytorch.org/get-started/locally"
    return Exam("accelerator", "CUDA", f"{found}; PyTorch supports {' '.join(archs)}", "broken", fix)


def _trial(machine: Machine) -> Exam:
    """Run a small convolution on the device, as a test of driver and build."""
    try:
        images = torch.ones(1, 3, 8, 8, device=machine.device)
        kernel = torch.ones(1, 3, 3, 3, device=machine.device)
        total = float(torch.nn.functional.conv2d(images, kernel).sum().cpu())
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        fix = "Update the driver, or install a PyTorch built for this device: https://pytorch.org"
        return Exam("accelerator", "trial", f"a test convolution fails: {reason}", "broken", fix)
    if total != 3 * 3 * 3 * 6 * 6:
        return Exam(
            "accelerator", "trial", "a test convolution gives a wrong result", "broken", "Update the driver."
        )
    return Exam("accelerator", "trial", "a test convolution gives the right result")


def number_format(machine: Machine) -> str:
    """Return the shortest number format that a machine is fast in, such as ``bfloat16``."""
    if machine.fast_bfloat16:
        return "bfloat16"
    return "float16" if machine.fast_float16 else "float32"
