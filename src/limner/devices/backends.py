"""Facts about accelerators that depend on their type: the only file with the names of the types.

PyTorch answers most questions for any accelerator, including those of plug-ins (NPU, MLU, MUSA, SDAA, HPU):
`torch.accelerator`, and the functions of the device's own module, `torch.<type>`. This file has the rest.
"""

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import torch

from limner.devices.exam import Exam, State

FUSED = ("cpu", "cuda")
"""Types with fused optimizer kernels in every PyTorch since 2.6."""

WITH_TRITON = ("cuda", "xpu")
"""Types for which Triton compiles."""

FAST_BFLOAT16 = ("hpu",)
"""Types that compute fast in bfloat16, and whose module does not say so."""

SHARED_MEMORY = ("mps",)
"""Types that share the host's memory, so that nothing is copied to them."""

DRIVERS = {
    "NVIDIA": Path("/proc/driver/nvidia/version"),
    "AMD": Path("/sys/module/amdgpu/version"),
}
"""Files in which Linux drivers state their version."""

INSTALL = "https://pytorch.org/get-started/locally"


def module_of(device: torch.device) -> ModuleType | None:
    """Return PyTorch's module of a type of device, such as `torch.xpu`, or None if there is none."""
    module: ModuleType | None = getattr(torch, device.type, None)
    return module


def native_formats(device: torch.device) -> tuple[bool, bool]:
    """Return whether an accelerator is fast in (bfloat16, float16)."""
    if device.type == "cuda":
        if torch.version.hip:
            return True, True
        major, _ = torch.cuda.get_device_capability(device)
        return major >= 8, major >= 7  # tensor cores: float16 since Volta (7.0), bfloat16 since Ampere (8.0)
    if device.type == "mps":
        return False, False  # supported, but not faster than float32
    ask = getattr(module_of(device), "is_bf16_supported", None)
    return device.type in FAST_BFLOAT16 if ask is None else bool(ask()), False


def memory_limit(device: torch.device) -> int | None:
    """Return the bytes that the driver recommends to use, if the device shares the host's memory."""
    return int(torch.mps.recommended_max_memory()) if device.type == "mps" else None


def has_fused_optimizers(device: torch.device) -> bool:
    """Return whether PyTorch's optimizers update all weights of this device in one kernel."""
    return device.type in FUSED


def copies_from_host(device: torch.device) -> bool:
    """Return whether batches are copied to memory of the device's own."""
    return device.type not in ("cpu", *SHARED_MEMORY)


def compiles_triton(device: torch.device) -> bool:
    """Return whether Triton is installed, and compiles for this type of device."""
    return device.type in WITH_TRITON and find_spec("triton") is not None


def toolkit() -> tuple[str, str] | None:
    """Return name and version of the toolkit that PyTorch was built with; None for a build for CPUs."""
    if torch.version.hip:
        return "ROCm", str(torch.version.hip)
    if torch.version.cuda:
        return "CUDA", str(torch.version.cuda)
    version = getattr(torch.version, "xpu", None)
    return ("oneAPI", str(version)) if version else None


def driver(device: torch.device) -> str | None:
    """Return maker and version of the installed driver, or None if it cannot be found out."""
    if device.type == "cuda":
        maker = "AMD" if torch.version.hip else "NVIDIA"
        version = _version_in_file(DRIVERS[maker]) or (None if torch.version.hip else _nvidia_smi())
        return f"{maker} {version}" if version else None
    ask = getattr(module_of(device), "get_device_properties", None)
    stated = getattr(ask(device), "driver_version", None) if ask is not None else None
    return str(stated) if stated else None


def _version_in_file(path: Path) -> str | None:
    """Return the first version in a file, or None without one.

    NVIDIA's has "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Thu ...", AMD's only the version.
    """
    try:
        words = path.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return None
    return next((word for word in words if word[:1].isdigit() and "." in word), None)


def _nvidia_smi() -> str | None:
    """Return the driver's version as NVIDIA's program states it, as on Windows and in some containers."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    command = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return next(iter(done.stdout.split()), None)


def missing_kernels(device: torch.device) -> str | None:
    """Return the GPU's capability and those PyTorch was compiled for, if it has no code for this GPU."""
    if device.type != "cuda" or torch.version.hip:
        return None
    capability, archs = torch.cuda.get_device_capability(device), torch.cuda.get_arch_list()
    if runs_on(capability, archs):
        return None
    return (
        f"this GPU has compute capability {capability[0]}.{capability[1]}; PyTorch supports {' '.join(archs)}"
    )


def runs_on(capability: tuple[int, int], archs: list[str]) -> bool:
    """Return whether code built for `archs` runs on a GPU.

    Compiled code (``sm_86``) runs on the same major capability with an equal or higher minor one;
    intermediate code (``compute_90``) is compiled for any equal or higher capability.

    Args:
        capability: (major, minor) of the GPU.
        archs: As returned by `torch.cuda.get_arch_list`.
    """
    for arch in archs:
        kind, _, digits = arch.rstrip("af").partition("_")
        if not digits.isdigit():
            continue
        major, minor = divmod(int(digits), 10)
        if kind == "sm" and major == capability[0] and minor <= capability[1]:
            return True
        if kind == "compute" and (major, minor) <= capability:
            return True
    return False


def unreachable_pairs(device: torch.device) -> list[tuple[int, int]] | None:
    """Return pairs of accelerators that exchange data only through the host's memory.

    None if PyTorch cannot tell, or there is only one.
    """
    module = module_of(device)
    ask = getattr(module, "can_device_access_peer", None)
    count = torch.accelerator.device_count()
    if ask is None or count < 2:
        return None
    return [(a, b) for a in range(count) for b in range(count) if a != b and not ask(a, b)]


def unused_accelerator() -> Exam | None:
    """Return the exam of a GPU that is there and that this PyTorch cannot use, or None without such a GPU."""
    has_nvidia = Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi") is not None
    if not has_nvidia and not Path("/dev/kfd").exists():
        return None
    maker, wanted = ("NVIDIA", "CUDA") if has_nvidia else ("AMD", "ROCm")
    # ROCm does not support every GPU of a laptop's processor.
    state: State = "warning" if has_nvidia else "note"
    built = toolkit()
    if built is None or built[0] != wanted:
        made_for = "the CPU only" if built is None else " ".join(built)
        found = f"an {maker} GPU, but this PyTorch ({torch.__version__}) is built for {made_for}"
        return Exam(
            "accelerator", "accelerator", found, state, f"Install a {wanted} build of PyTorch: {INSTALL}"
        )
    found = f"an {maker} GPU, which PyTorch {torch.__version__} (built for {' '.join(built)}) cannot use"
    fix = f"Update the {maker} driver, or install PyTorch for the {wanted} version that the driver supports."
    return Exam("accelerator", "accelerator", found, state, fix)
