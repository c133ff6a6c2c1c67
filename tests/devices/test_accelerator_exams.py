"""What `limner doctor` says of accelerators, on fakes of them."""

import pytest
import torch

from limner.devices import accelerator_exams as module
from limner.devices.accelerator_exams import accelerator_exams
from limner.devices.exam import Exam
from limner.devices.machine import Machine, Memory

CARD = Machine("cuda", "a card", Memory(8 * 2**30, 4 * 2**30), 8, fast_bfloat16=True)


@pytest.fixture
def card(monkeypatch):
    """Pretend that a card is there, whose trial succeeds."""
    answers = {
        "examine": CARD,
        "driver": "NVIDIA 570.86.15",
        "toolkit": ("CUDA", "12.6"),
        "missing_kernels": None,
        "unreachable_pairs": None,
        "pins_memory": True,
        "_trial": Exam("accelerator", "trial", "right"),
    }
    for name, answer in answers.items():
        monkeypatch.setattr(module, name, lambda *_, answer=answer: answer)
    monkeypatch.setattr(module, "bandwidth", lambda _, *, pinned: 25e9 if pinned else 6e9)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 4)
    return monkeypatch


def exams_by_name():
    return {exam.name: exam for exam in accelerator_exams()}


def test_a_card_is_named_with_driver_toolkit_and_speed_of_copies(card):
    found = exams_by_name()
    assert list(found) == ["CUDA", "driver", "toolkit", "trial", "copies"]
    assert found["CUDA"].found == "a card, 4.0 GiB free of 8.0 GiB, fast in bfloat16"
    assert found["driver"].found == "NVIDIA 570.86.15"
    assert found["toolkit"].found == f"PyTorch {torch.__version__} for CUDA 12.6"
    assert found["copies"].found == "25.0 GB/s from page-locked memory of the host, 6.0 GB/s from other"
    assert {exam.state for exam in found.values()} == {"good"}


def test_slow_copies_are_a_warning(card):
    card.setattr(module, "bandwidth", lambda _, *, pinned: 1.2e9)
    assert exams_by_name()["copies"].state == "warning"


@pytest.mark.parametrize(
    ("pairs", "state", "said"),
    [
        ([], "good", "4 accelerators exchange data directly"),
        ([(0, 1), (1, 0), (2, 3)], "note", "0 and 1, 2 and 3"),
    ],
)
def test_accelerators_without_direct_access_are_named(card, pairs, state, said):
    card.setattr(module, "unreachable_pairs", lambda _: pairs)
    exam = exams_by_name()["peer access"]
    assert exam.state == state
    assert said in exam.found


def test_a_build_without_code_for_the_card_is_broken(card):
    card.setattr(module, "missing_kernels", lambda _: "this GPU has compute capability 12.0")
    exam = exams_by_name()["toolkit"]
    assert exam.state == "broken"
    assert "Install a PyTorch built for this GPU" in exam.fix


def test_after_a_trial_that_fails_nothing_is_measured(card):
    card.setattr(module, "_trial", lambda _: Exam("accelerator", "trial", "fails", "broken", "Update."))
    assert "copies" not in exams_by_name()
