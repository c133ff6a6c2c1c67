"""What depends on the type of an accelerator, on machines that have none."""

from types import SimpleNamespace

import pytest
import torch

from limner.devices import backends
from limner.devices.backends import (
    driver,
    has_fused_optimizers,
    missing_kernels,
    native_formats,
    runs_on,
    toolkit,
    unreachable_pairs,
    unused_accelerator,
)

CUDA, XPU = torch.device("cuda"), torch.device("xpu")


@pytest.mark.parametrize(
    ("capability", "archs", "expected"),
    [
        ((8, 6), ["sm_80", "sm_90"], True),  # binaries run on a higher minor of the same major
        ((8, 0), ["sm_86"], False),  # and not on a lower one
        ((12, 0), ["sm_80", "sm_90"], False),  # a new card on an old build
        ((12, 0), ["sm_80", "compute_90"], True),  # unless the build carries intermediate code
        ((6, 1), ["sm_75", "compute_75"], False),  # an old card on a new build
        ((9, 0), ["sm_90a"], True),
    ],
)
def test_which_builds_run_on_which_gpu(capability, archs, expected):
    assert runs_on(capability, archs) is expected


@pytest.fixture
def gpu(monkeypatch):
    """Pretend that there is an NVIDIA GPU of a capability, and a build of PyTorch for CUDA."""

    def make(capability=(8, 0), archs=("sm_80",)):
        monkeypatch.setattr(torch.version, "hip", None)
        monkeypatch.setattr(torch.version, "cuda", "12.6")
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: list(archs))

    return make


@pytest.mark.parametrize(
    ("capability", "formats"),
    [((6, 1), (False, False)), ((7, 5), (False, True)), ((8, 0), (True, True)), ((12, 0), (True, True))],
)
def test_nvidia_gpus_are_fast_in_the_formats_of_their_tensor_cores(gpu, capability, formats):
    gpu(capability)
    assert native_formats(CUDA) == formats


def test_other_accelerators_say_whether_they_compute_in_bfloat16(monkeypatch):
    monkeypatch.setattr(torch.version, "hip", "6.3")
    assert native_formats(CUDA) == (True, True)  # ROCm
    for answer in (True, False):
        monkeypatch.setattr(torch, "xpu", SimpleNamespace(is_bf16_supported=lambda a=answer: a))
        assert native_formats(XPU) == (answer, False)
    monkeypatch.setattr(torch, "xpu", SimpleNamespace())  # a plug-in that does not say
    assert native_formats(XPU) == (False, False)
    assert native_formats(torch.device("mps")) == (False, False)


def test_a_gpu_that_the_build_has_no_code_for_is_found(gpu):
    gpu((9, 0), ("sm_80", "sm_90"))
    assert missing_kernels(CUDA) is None
    gpu((12, 0), ("sm_80", "sm_90"))
    assert missing_kernels(CUDA) == "this GPU has compute capability 12.0; PyTorch supports sm_80 sm_90"
    assert missing_kernels(XPU) is None


@pytest.mark.parametrize(
    ("hip", "file", "text", "found"),
    [
        (
            None,
            "NVIDIA",
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Thu Jan 23 2025\n"
            "GCC version:  gcc version 12.2.0 (Debian)\n",
            "NVIDIA 570.86.15",
        ),
        ("6.3", "AMD", "6.10.5\n", "AMD 6.10.5"),
        (None, "NVIDIA", "no version here\n", None),
    ],
)
def test_the_driver_is_read_from_its_file(monkeypatch, tmp_path, hip, file, text, found):
    (tmp_path / "version").write_text(text, "utf-8")
    monkeypatch.setattr(torch.version, "hip", hip)
    monkeypatch.setattr(backends.shutil, "which", lambda _: None)
    monkeypatch.setitem(backends.DRIVERS, file, tmp_path / "version")
    assert driver(CUDA) == found


def test_the_driver_of_other_accelerators_is_a_property(monkeypatch):
    properties = SimpleNamespace(driver_version="1.6.31294")
    monkeypatch.setattr(torch, "xpu", SimpleNamespace(get_device_properties=lambda _: properties))
    assert driver(XPU) == "1.6.31294"
    monkeypatch.setattr(torch, "xpu", SimpleNamespace())
    assert driver(XPU) is None


@pytest.mark.parametrize(
    ("versions", "found"),
    [
        ({"cuda": "12.6"}, ("CUDA", "12.6")),
        ({"hip": "6.3", "cuda": None}, ("ROCm", "6.3")),
        ({"xpu": "20250101"}, ("oneAPI", "20250101")),
        ({}, None),
    ],
)
def test_the_toolkit_is_that_of_the_build(monkeypatch, versions, found):
    for name in ("cuda", "hip", "xpu"):
        monkeypatch.setattr(torch.version, name, versions.get(name), raising=False)
    assert toolkit() == found


@pytest.mark.parametrize(
    ("device", "is_there", "built", "state", "said"),
    [
        ("/dev/nvidia0", True, None, "warning", "built for the CPU only"),
        ("/dev/nvidia0", True, ("CUDA", "12.6"), "warning", "built for CUDA 12.6) cannot use"),
        ("/dev/nvidia0", True, ("ROCm", "6.3"), "warning", "Install a CUDA build"),
        ("/dev/kfd", True, None, "note", "Install a ROCm build"),
        ("/dev/kfd", False, None, None, ""),
    ],
)
def test_a_gpu_that_pytorch_cannot_use_is_named(monkeypatch, device, is_there, built, state, said):
    monkeypatch.setattr(backends.shutil, "which", lambda _: None)
    monkeypatch.setattr(backends.Path, "exists", lambda path: is_there and str(path) == device)
    monkeypatch.setattr(backends, "toolkit", lambda: built)
    exam = unused_accelerator()
    if state is None:
        assert exam is None
    else:
        assert exam.state == state
        assert said in f"{exam.found} {exam.fix}"


@pytest.mark.parametrize(
    ("count", "apart", "found"),
    [(1, set(), None), (2, set(), []), (3, {(0, 2), (2, 0)}, [(0, 2), (2, 0)])],
)
def test_which_accelerators_exchange_data_directly(monkeypatch, count, apart, found):
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)
    module = SimpleNamespace(can_device_access_peer=lambda a, b: (a, b) not in apart)
    monkeypatch.setattr(torch, "xpu", module)
    assert unreachable_pairs(XPU) == found


def test_only_types_whose_kernels_are_known_have_fused_optimizers():
    assert has_fused_optimizers(torch.device("cpu")) and has_fused_optimizers(CUDA)
    assert not has_fused_optimizers(torch.device("mps"))
