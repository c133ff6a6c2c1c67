"""Public datasets of published checkpoints, recognised by the number of classes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

from limner.core.labels import LabelTable
from limner.core.plan import ResizePlan
from limner.formats.public import class_tables

ADE20K_STUFF = frozenset(
    (1, 2, 3, 4, 5, 6, 7, 10, 12, 14, 17, 18, 22, 26, 27, 29, 30, 35, 41, 47, 49, 52, 53, 55, 60)
    + (61, 62, 64, 69, 78, 80, 85, 92, 95, 97, 100, 101, 102, 106, 107, 110, 114, 115, 118, 123, 129, 132)
    + (141, 142, 146)
)
"""Values of stuff classes; the other 100 are those of the instance challenge."""

SMALLEST = 32
"""Sides are rounded up to multiples of this, the stride of the coarsest feature map."""


@dataclass(frozen=True)
class KnownData:
    """One dataset for one task.

    Attributes:
        name: Usual name.
        task: A row of `TASKS`.
        labels: Its classes in trained order.
        shortest: Shorter side to which the authors resize images for prediction.
        longest: Maximum of the longer side.
    """

    name: str
    task: str
    labels: Callable[[], LabelTable]
    shortest: int
    longest: int

    def resize(self, *, backbone: str) -> ResizePlan:
        """Return how the authors resize images; on ADE20K, larger Swins use larger images."""
        scale = 1.25 if self.shortest == 512 and backbone.startswith(("swin_base", "swin_large")) else 1
        return ResizePlan(
            shortest=int(self.shortest * scale), longest=int(self.longest * scale), multiple=SMALLEST
        )


@cache
def _ade20k() -> LabelTable:
    table = class_tables.ade20k()
    classes = tuple(replace(c, is_thing=c.values[0] not in ADE20K_STUFF) for c in table.classes)
    return replace(table, classes=classes)


KNOWN_DATA: Mapping[int, tuple[KnownData, ...]] = {
    80: (KnownData("COCO", "instance", lambda: class_tables.coco_panoptic().things(), 800, 1333),),
    133: (KnownData("COCO panoptic", "panoptic", class_tables.coco_panoptic, 800, 1333),),
    150: (
        KnownData("ADE20K", "semantic", _ade20k, 512, 2048),
        KnownData("ADE20K", "panoptic", _ade20k, 640, 2560),
    ),
    100: (KnownData("ADE20K", "instance", lambda: _ade20k().things(), 640, 2560),),
    19: (
        KnownData("Cityscapes", "semantic", class_tables.cityscapes, 1024, 2048),
        KnownData("Cityscapes", "panoptic", class_tables.cityscapes, 1024, 2048),
    ),
    8: (KnownData("Cityscapes", "instance", lambda: class_tables.cityscapes().things(), 1024, 2048),),
}
"""Number of classes -> datasets. The sizes are from the authors' configuration files."""

AUTHORS_LICENCE = "CC-BY-NC-4.0"
"""Licence of all weights in the authors' MODEL_ZOO.md."""

_FILES = {
    ("instance", 100): "67e945 92dae9",
    ("panoptic", 150): "5c90d4 e0c58e",
    ("semantic", 150): "0d68be 500878 503e96 7e47bf 6b4a3a 011c6d 5274a6",
    ("instance", 8): "c2b8c8 01a8ed 7a3b6d dfa862 974824 6a63f8",
    ("panoptic", 19): "04d286 4ab90c fa840f 064788 23efb7 ceba0f",
    ("semantic", 19): "257ce8 cc1b1f 1c6b65 17c1ee fa26ae 2d58d4",
    ("instance", 80): "eba159 3c8ec9 f6e0f6 83d103 e5f453 1e7f22 86143f",
    ("panoptic", 133): "b807bd 94dc52 9d7f02 54b88a f07440 a407fd 9fd0ae",
}

AUTHORS_FILES = {
    f"model_final_{end}.pkl": (task, classes)
    for (task, classes), ends in _FILES.items()
    for end in ends.split()
}
"""File name -> (task, number of classes) of the weights in the authors' MODEL_ZOO.md; each name is unique."""
