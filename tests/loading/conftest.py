"""A source without a disk: images and values come from functions of the record's name."""

from pathlib import Path

import numpy as np
import pytest

from limner.core.dataset_file import DatasetFile
from limner.core.labels import LabelClass, LabelTable
from limner.core.picture import Picture
from limner.core.sample import Record
from limner.formats.source import Source


class MemorySource(Source):
    """Twelve small images whose values tell which image it is, and how often each was read."""

    name = "memory"
    title = "Arrays made on the fly."

    def __init__(self, num_images=12, size=(40, 50), channels=3):
        self.num_images, self.size, self.channels = num_images, size, channels
        self.reads: list[str] = []
        super().__init__(Path("memory"), DatasetFile())

    @classmethod
    def recognise(cls, root, settings):
        return None

    def index(self):
        names = [f"image {i:03}" for i in range(self.num_images)]
        return tuple(Record(n, Path(n), (Path(n),)) for n in names), ()

    def read_image(self, record):
        self.reads.append(record.name)
        rng = np.random.default_rng(int(record.name[-3:]))
        return Picture(rng.integers(0, 256, (*self.size, self.channels), dtype=np.uint8))

    def read_values(self, record):
        rng = np.random.default_rng(1000 + int(record.name[-3:]))
        return rng.choice(np.array([0, 7, 9], np.uint8), self.size)


@pytest.fixture
def memory_source():
    return MemorySource()


@pytest.fixture
def make_source():
    return MemorySource


@pytest.fixture
def labels():
    """Values 0, 7 and 9 are trained as 0, 1 and 2."""
    return LabelTable(
        (
            LabelClass("background", (0,), (0, 0, 0)),
            LabelClass("cell", (7,), (255, 0, 0)),
            LabelClass("gap", (9,), (0, 255, 0)),
        )
    )
