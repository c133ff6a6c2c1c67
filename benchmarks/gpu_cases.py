"""What `gpu_check.py` trains: plans, steps and batches of every task, and drawn images."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

CLASSES = [
    {"name": "ground", "values": [0], "color": [0, 0, 0], "is_thing": False},
    {"name": "cell", "values": [1], "color": [255, 0, 0], "is_thing": True},
    {"name": "leaf", "values": [2], "color": [0, 255, 0], "is_thing": True},
]

SMALL_ENCODER = {"backbone": "resnet18_width16"}

DENSE = (
    ("semantic", "unet", {}, ("cross_entropy", "dice")),
    ("classification", "classifier", {"backbone": "resnet18"}, ("cross_entropy",)),
    ("multilabel", "classifier", {"backbone": "resnet18"}, ("binary_cross_entropy",)),
    ("instance", "unet-centres", {}, ("centre_offset",)),
    ("panoptic", "panoptic-deeplab", {"backbone": "resnet18"}, ("centre_offset",)),
    ("detection", "fcos", SMALL_ENCODER, ("point_boxes",)),
    ("text-detection", "dbnet", {}, ("differentiable_binarization",)),
)
"""Task, network, options and losses whose step never waits for the device."""

MATCHED = (
    ("semantic", "mask2former", {"backbone": "resnet18"}, ("segment_set",)),
    ("detection", "rtdetr", SMALL_ENCODER | {"num_queries": 100}, ("box_set",)),
    ("detection", "deformable-detr", SMALL_ENCODER, ("box_set",)),
)
"""The same for steps that match queries with objects on the host, for which they wait."""


@dataclass(frozen=True)
class Setting:
    """Where and how large."""

    device: str
    is_dry: bool

    @property
    def side(self) -> int:
        """Side of the crops in pixels."""
        return 64 if self.is_dry else 512

    @property
    def batch(self) -> int:
        """Number of crops in a batch."""
        return 2 if self.is_dry else 16

    @property
    def timed_steps(self) -> int:
        """Steps in a timed round."""
        return 2 if self.is_dry else 20

    @property
    def is_accelerator(self) -> bool:
        """Whether the device is not the CPU."""
        return self.device != "cpu"


def plan_of(case: tuple, setting: Setting, *, precision: str = "float32"):
    """Return a plan of one of `DENSE` or `MATCHED`."""
    from limner.core.plan import Plan

    task, network, options, losses = case
    classes = {"semantic": CLASSES, "panoptic": CLASSES, "text-detection": CLASSES[1:2]}.get(
        task, CLASSES[1:]
    )
    if network.startswith("unet") and setting.is_dry:
        options = {"widths": (8, 16)}
    every = 1000  # nothing is validated or saved
    return Plan.model_validate(
        {
            "task": task,
            "data": {"path": ".", "format": "none", "num_images": {}, "labels": {"classes": classes}},
            "network": {"name": network, "options": options},
            "loss": {"terms": [{"name": name} for name in losses]},
            "input": {
                "channels": 3,
                "crop_size": (setting.side, setting.side),
                "mean": (124.0, 116.0, 104.0),
                "std": (58.0, 57.0, 57.0),
            },
            "optimizer": {"learning_rate": 1e-4},
            "train": {
                "steps": every,
                "batch_size": setting.batch,
                "validate_every": every,
                "save_every": every,
                "precision": precision,
                "gradient_clip": 5.0,
            },
        }
    )


def fast_format(setting: Setting) -> str:
    """Return the precision that a plan for this device has."""
    from limner.devices.accelerator_exams import number_format
    from limner.devices.machine import examine

    return number_format(examine(setting.device))


def learner_of(plan, setting: Setting):
    """Return what `limner train` trains with, with the same weights each time."""
    import torch

    from limner.tasks import find_task
    from limner.training.accelerator import build_accelerator
    from limner.training.learner import Learner
    from limner.weights.model import Model

    accelerator = build_accelerator(setting.device, precision=plan.train.precision)
    torch.manual_seed(0)
    return Learner(
        Model.from_plan(plan),
        plan=plan,
        criterion=find_task(plan.task).criterion(plan).to(accelerator.device),
        accelerator=accelerator,
        say=print,
    )


def batch_of(plan, *, pinned: bool = False):
    """Return a batch on the host, as the loader makes it: channels-last uint8, and typical targets."""
    import torch

    from limner.tasks import find_task

    shape = (plan.train.batch_size, *plan.input.crop_size, plan.input.channels)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images = (images.pin_memory() if pinned else images).movedim(-1, 1)
    batch = find_task(plan.task).objective(plan.loss).example(images)
    return replace(batch, names=tuple(str(number) for number in range(len(images))))


class Step:
    """A training step, as `limner train` takes it, on the same batch each time."""

    def __init__(self, plan, setting: Setting, *, pinned: bool = False) -> None:
        self.learner = learner_of(plan, setting)
        self._batch = batch_of(plan, pinned=pinned)
        self._number = 0

    def __call__(self):
        """Take it, and return its losses and gradient norm, which are on the device."""
        self._number += 1
        result = self.learner.gradients(self._batch, step=self._number, factor=1.0)
        self.learner.apply(step=self._number)
        return result


@contextmanager
def without(*choices: str) -> Iterator[None]:
    """Train without some of what limner chooses on an accelerator."""
    import torch

    contiguous: dict[str, object] = {"return_value": torch.contiguous_format}
    patches: dict[str, Callable] = {
        "channels-last": lambda: patch("limner.training.learner.choose_memory_format", **contiguous),
        "fused optimizer": lambda: patch(
            "limner.training.optimizers.has_fused_optimizers", return_value=False
        ),
    }
    with ExitStack() as stack:
        for choice in choices:
            stack.enter_context(patches[choice]())
        yield


def draw_images(folder: Path, *, side: int, count: int) -> Path:
    """Draw discs on noise, with their masks."""
    import cv2
    import numpy as np

    draw = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for number in range(count):
        image = draw.integers(0, 90, (side, side, 3), dtype=np.uint8)
        mask = np.zeros((side, side), np.uint8)
        for _ in range(3):
            centre = tuple(int(x) for x in draw.integers(side // 6, side - side // 6, 2))
            cv2.circle(mask, centre, side // 8, 255, -1)
        image[mask > 0] += 120
        cv2.imwrite(str(folder / "images" / f"{number}.png"), image)
        cv2.imwrite(str(folder / "masks" / f"{number}.png"), mask)
    (folder / "dataset.yaml").write_text(
        "classes:\n- {name: background, value: 0}\n- {name: disc, value: 255}\n", "utf-8"
    )
    return folder
