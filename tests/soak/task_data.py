"""Small data of every task beside label maps, and settings with which its training takes seconds."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from limner.core.picture import Geometry
from limner.images.volumes.volume_writing import write_volume

SIZE = (40, 48)
TRAIN = {"steps": 4, "batch_size": 2, "save_every": 1, "validate_every": 2, "workers": 0, "trackers": []}


@dataclass(frozen=True)
class TaskData:
    """Data of one task.

    Attributes:
        write: Writes it to a folder.
        task: The task, if it is not the first that the labels are for.
        settings: Of the network and its input, beside `TRAIN`.
    """

    write: Callable[[Path], None]
    task: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)


def _picture(number: int) -> np.ndarray:
    noise = np.random.default_rng(number).integers(60, 130, (*SIZE, 3), dtype=np.uint8)
    return cv2.rectangle(noise, (8 + number, 10), (28 + number, 30), (250, 240, 230), -1)


def _save(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture)


def _split(number: int) -> str:
    return ("train", "train", "val", "test")[number % 4]


def _classes(folder: Path) -> None:
    for number in range(16):
        kind = ("ants", "bees")[number // 4 % 2]
        _save(folder / _split(number) / kind / f"{number}.png", _picture(number) // (1 + (kind == "bees")))


def _boxes(folder: Path) -> None:
    images, rows = [], []
    for number in range(8):
        name = f"{_split(number)}/{number:02}.png"
        _save(folder / name, _picture(number))
        images.append({"id": number + 1, "file_name": name, "height": SIZE[0], "width": SIZE[1]})
        box = {"bbox": [8 + number, 10, 21, 21], "area": 441, "iscrowd": 0, "segmentation": []}
        rows.append({"id": number + 1, "image_id": number + 1, "category_id": 1 + number // 4, **box})
    names = [{"id": 1, "name": "box"}, {"id": 2, "name": "late box"}]
    told = {"images": images, "annotations": rows, "categories": names}
    (folder / "annotations.json").write_text(json.dumps(told), "utf-8")


def _words(folder: Path) -> None:
    for number in range(8):
        place = folder / _split(number)
        _save(place / f"img_{number}.png", _picture(number))
        left, right = 8 + number, 29 + number
        line = f"{left},10,{right},10,{right},31,{left},31,word\n"
        (place / f"gt_img_{number}.txt").write_text(line, "utf-8")


def _volumes(folder: Path) -> None:
    place = Geometry((3.0, 1.0, 1.0), np.diag([1.0, 1.0, 3.0, 1.0])[:, [2, 1, 0, 3]])
    for number in range(8):
        labels = np.zeros((8, 16, 16), np.uint8)
        labels[2:6, 3 + number % 4 : 10, 4:12] = 1
        noise = np.random.default_rng(number).normal(0, 0.2, labels.shape)
        image = (labels + noise).astype(np.float32)
        for part, values in (("images", image), ("labels", labels)):
            there = folder / _split(number) / part
            there.mkdir(parents=True, exist_ok=True)
            write_volume(there / f"case{number}.nii.gz", values[..., None], place)


TASK_DATA = {
    "classification": TaskData(_classes, settings={"input": {"crop_size": [32, 32]}}),
    "detection": TaskData(
        _boxes,
        "detection",
        {
            "input": {"crop_size": [32, 32]},
            "network": {
                "pretrained": "no",
                "options": {"backbone": "resnet18_width16", "channels": 8, "head_convs": 1},
            },
        },
    ),
    "text-detection": TaskData(
        _words,
        "text-detection",
        {
            "input": {"crop_size": [32, 32]},
            "network": {"pretrained": "no", "options": {"backbone": "resnet18_width16", "channels": 16}},
        },
    ),
    "volumes": TaskData(
        _volumes,
        settings={
            "input": {"crop_size": [8, 16, 16]},
            "network": {"name": "unet", "pretrained": "no", "options": {"widths": [4, 6]}},
        },
    ),
}
"""Name -> data; `volumes` are label maps in three dimensions."""


def settings_of(name: str) -> dict[str, Any]:
    """Return the settings of the trainings on some data."""
    return {"network": {"pretrained": "no"}, "train": TRAIN} | TASK_DATA[name].settings
