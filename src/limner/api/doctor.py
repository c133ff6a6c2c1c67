"""`limner.doctor()`: what this machine and this installation can do, and a verdict."""

import importlib
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import limner

if TYPE_CHECKING:
    from limner.devices.machine import Machine, Memory

State = Literal["good", "note", "warning", "broken"]

GIB = 2**30

OLDEST_PYTHON, NEWEST_TESTED_PYTHON = (3, 10), (3, 13)

IMPORTED_AS = {"opencv-python-headless": "cv2", "pillow": "PIL", "pyyaml": "yaml"}
"""Distributions whose module has another name."""

OPTIONAL_PARTS = (
    ("wandb", "wandb", "follow runs on Weights & Biases"),
    ("mlflow", "mlflow", "follow runs in MLflow"),
)
"""Module, distribution, what limner does with it; a library that it does not use yet has no row."""

SCRIPTS = {"accents": "é", "Greek": "α", "Cyrillic": "ж", "Chinese": "细", "Japanese": "の", "Korean": "한"}
"""A letter of each script that class names are often written in."""

LITTLE_MEMORY, LITTLE_DISK = 2 * GIB, 5 * GIB
"""Free bytes below which a run may well fail."""


@dataclass(frozen=True)
class Exam:
    """One thing that was looked at.

    Attributes:
        group: The heading it stands under, such as ``accelerator``.
        name: What was looked at.
        found: What is there.
        state: ``good``; ``note`` for what is absent and not needed; ``warning`` for what will slow or
            limit a run; ``broken`` for what will stop it.
        fix: What to do about it; empty where nothing needs doing.
    """

    group: str
    name: str
    found: str
    state: State = "good"
    fix: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """All that was looked at, and what follows from it."""

    exams: tuple[Exam, ...]
    verdict: str

    @property
    def is_healthy(self) -> bool:
        """Nothing is broken."""
        return all(exam.state != "broken" for exam in self.exams)

    def to_dict(self) -> dict[str, Any]:
        """Return the diagnosis as plain JSON-ready values."""
        return {
            "healthy": self.is_healthy,
            "verdict": self.verdict,
            "exams": [asdict(exam) for exam in self.exams],
        }


def doctor() -> Diagnosis:
    """Look at Python, limner's parts, the accelerator, memory, disk and optional parts.

    Nothing is downloaded and nothing is written. A part that is broken is reported, never raised.
    """
    exams = [_python(), Exam("limner", "limner", limner.__version__), *_required_parts()]
    if any(exam.state == "broken" for exam in exams):
        return Diagnosis(tuple(exams), _broken_verdict(exams))
    exams += [
        *_accelerator(), *_processor(), *_memory(), *_disk(), *_weight_caches(), _fonts(),
        *_optional_parts(),
    ]  # fmt: skip
    return Diagnosis(tuple(exams), _verdict(exams))


def _python() -> Exam:
    found = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        fix = "Install Python 3.10 or newer and make a new environment with it."
        return Exam("python", "Python", found, "broken", fix)
    if sys.version_info[:2] > NEWEST_TESTED_PYTHON:
        return Exam("python", "Python", f"{found}; limner is tested on 3.10 to 3.13", "warning")
    return Exam("python", "Python", found)


def _required_parts() -> Iterator[Exam]:
    """Check the version of every library that limner requires, and import it: that is what breaks."""
    try:
        requirements = metadata.requires("limner") or []
    except metadata.PackageNotFoundError:
        fix = "Install it: pip install limner"
        yield Exam("limner", "installation", "limner is not installed, only importable", "warning", fix)
        return
    for requirement in requirements:
        if ";" not in requirement:
            yield _required_part(requirement)


def _required_part(requirement: str) -> Exam:
    from packaging.requirements import Requirement

    wanted = Requirement(requirement)
    name = "PyTorch" if wanted.name == "torch" else wanted.name
    fix = f"pip install '{requirement}'"
    try:
        version = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        return Exam("limner", name, "not installed", "broken", fix)
    if not wanted.specifier.contains(version, prereleases=True):
        return Exam("limner", name, f"{version}; limner needs {wanted.specifier}", "broken", fix)
    try:
        importlib.import_module(IMPORTED_AS.get(wanted.name, wanted.name))
    except Exception as error:  # noqa: BLE001 - a broken binary raises anything: OSError, RuntimeError, ...
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        fix = f"pip install --force-reinstall '{requirement}'"
        return Exam("limner", name, f"{version}, but importing it fails: {reason}", "broken", fix)
    return Exam("limner", name, version)


def _accelerator() -> Iterator[Exam]:
    from limner.devices.machine import examine

    machine = examine("auto")
    if machine.is_cpu:
        yield _no_accelerator()
        return
    kind = machine.device.upper()
    yield Exam("accelerator", kind, f"{machine.name}, {_memory_words(machine.memory)}, {_formats(machine)}")
    if machine.device == "cuda":
        yield _cuda_build()
    yield _trial(machine)


def _no_accelerator() -> Exam:
    """Tell a machine without an accelerator from one whose accelerator PyTorch cannot use."""
    import torch

    built_for = torch.version.cuda or torch.version.hip
    if not (Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi")):
        return Exam("accelerator", "accelerator", "none; training and prediction run on the CPU", "note")
    if built_for:
        found = f"an NVIDIA GPU, which PyTorch {torch.__version__} (built for CUDA {built_for}) cannot use"
        fix = "Update the NVIDIA driver, or install PyTorch for the CUDA version that nvidia-smi shows."
    else:
        found = f"an NVIDIA GPU, but this PyTorch ({torch.__version__}) is built for the CPU only"
        fix = "Install a CUDA build of PyTorch: https://pytorch.org/get-started/locally"
    return Exam("accelerator", "accelerator", found, "warning", fix)


def _cuda_build() -> Exam:
    """Check that PyTorch holds compiled code for this GPU: a new card on an old build has none."""
    import torch

    from limner.devices.machine import runs_on

    if torch.version.hip:
        return Exam("accelerator", "ROCm", str(torch.version.hip))
    capability = torch.cuda.get_device_capability()
    archs = torch.cuda.get_arch_list()
    found = f"{torch.version.cuda}; this GPU has compute capability {capability[0]}.{capability[1]}"
    if runs_on(capability, archs):
        return Exam("accelerator", "CUDA", found)
    fix = "Install a PyTorch built for this GPU: https://pytorch.org/get-started/locally"
    return Exam("accelerator", "CUDA", f"{found}, PyTorch has code for {' '.join(archs)}", "broken", fix)


def _trial(machine: "Machine") -> Exam:
    """Convolve something small on the device: the proof that driver and build agree."""
    import torch

    try:
        images = torch.ones(1, 3, 8, 8, device=machine.device)
        kernel = torch.ones(1, 3, 3, 3, device=machine.device)
        total = float(torch.nn.functional.conv2d(images, kernel).sum().cpu())
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        fix = "Update the driver, or install a PyTorch built for this device: https://pytorch.org"
        return Exam("accelerator", "trial", f"a convolution fails: {reason}", "broken", fix)
    if total != 3 * 3 * 3 * 6 * 6:
        return Exam(
            "accelerator", "trial", "a convolution gives a wrong result", "broken", "Update the driver."
        )
    return Exam("accelerator", "trial", "a convolution runs and gives the right result")


def _processor() -> Iterator[Exam]:
    import torch

    from limner.devices.host import num_cores
    from limner.devices.machine import cpu_has_bfloat16, cpu_name

    cores, threads = num_cores(), torch.get_num_threads()
    bfloat16 = "bfloat16 built in" if cpu_has_bfloat16() else "no bfloat16, so float32 is used"
    yield Exam("processor", "CPU", f"{cpu_name()}; {bfloat16}")
    asked = os.environ.get("OMP_NUM_THREADS")
    found = f"{cores} usable, PyTorch uses {threads}"
    if asked and threads * 2 <= cores:
        fix = f"Unset OMP_NUM_THREADS to use all {cores}."
        yield Exam("processor", "cores", f"{found} because OMP_NUM_THREADS={asked}", "warning", fix)
    else:
        yield Exam("processor", "cores", found)


def _memory() -> Iterator[Exam]:
    from limner.devices.machine import host_memory

    memory = host_memory()
    found = _memory_words(memory)
    if memory.available < LITTLE_MEMORY:
        yield Exam("memory", "memory", found, "warning", "Close other programs, or use smaller crops.")
    else:
        yield Exam("memory", "memory", found)
    shared = Path("/dev/shm")  # noqa: S108 - only its size is read
    if shared.exists():
        size = shutil.disk_usage(shared).total / GIB
        yield Exam("memory", "/dev/shm", f"{size:.2f} GiB; limner loads with threads and does not need it")


def _disk() -> Iterator[Exam]:
    for name, folder in (("current folder", Path.cwd()), ("home", Path.home())):
        free = shutil.disk_usage(folder).free
        found = f"{free / GIB:.0f} GiB free at {folder}"
        if free < LITTLE_DISK:
            yield Exam("disk", name, found, "warning", "Free some space: a run keeps two checkpoints.")
        else:
            yield Exam("disk", name, found)
        if not os.access(folder, os.W_OK):
            fix = "Start limner in a folder you may write to, or give --out."
            yield Exam("disk", f"{name} is read-only", str(folder), "warning", fix)


def _weight_caches() -> Iterator[Exam]:
    """Say where pretrained encoder weights are looked for, and which are there already."""
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    hub = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    found = sorted(p.name.removeprefix("models--").replace("--", "/") for p in hub.glob("models--*"))
    listed = f"{len(found)} at {hub}" + (f": {', '.join(found[:5])}" if found else "")
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        listed += "; HF_HUB_OFFLINE is set, so no others are fetched"
    yield Exam("weights", "pretrained weights", listed, "good" if found else "note")


def _fonts() -> Exam:
    """Say whether pictures can show class names that are not Latin."""
    from limner.drawing.fonts import can_write

    lacking = [script for script, letter in SCRIPTS.items() if not can_write(letter)]
    if not lacking:
        return Exam("pictures", "fonts", f"for Latin, {', '.join(SCRIPTS)}")
    found = f"none for {', '.join(lacking)}: pictures show such class names as numbers"
    fix = "Install a font such as Noto Sans CJK (Debian, Ubuntu: apt install fonts-noto-cjk)."
    return Exam("pictures", "fonts", found, "note", fix)


def _optional_parts() -> Iterator[Exam]:
    for module, distribution, purpose in OPTIONAL_PARTS:
        if importlib.util.find_spec(module) is None:
            yield Exam("optional", distribution, f"absent: {purpose}", "note", f"pip install {distribution}")
            continue
        try:
            version = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            version = "present"
        yield Exam("optional", distribution, f"{version}: {purpose}")


def _memory_words(memory: "Memory") -> str:
    return f"{memory.available / GIB:.1f} GiB free of {memory.total / GIB:.1f} GiB"


def _formats(machine: "Machine") -> str:
    if machine.fast_bfloat16:
        return "bfloat16 built in"
    return "float16 built in" if machine.fast_float16 else "float32"


def _broken_verdict(exams: list[Exam]) -> str:
    broken = [exam.name for exam in exams if exam.state == "broken"]
    return f"Broken: {', '.join(broken)}. limner cannot run until this is fixed."


def _verdict(exams: list[Exam]) -> str:
    from limner.devices.machine import examine

    if any(exam.state == "broken" for exam in exams):
        return _broken_verdict(exams)
    machine = examine("auto")
    place = f"the CPU ({machine.num_cores} cores)" if machine.is_cpu else machine.name
    verdict = f"Ready: limner trains on {place} in {_formats(machine).removesuffix(' built in')}."
    num_warnings = sum(exam.state == "warning" for exam in exams)
    if num_warnings:
        verdict += f" {num_warnings} warning{'s' if num_warnings > 1 else ''} above."
    return verdict
