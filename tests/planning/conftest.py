"""A dataset as checks describe it, without any file."""

import numpy as np
import pytest

from limner.checks.facts import Components, DatasetFacts, ImageFacts, Intensity
from limner.core.labels import LabelClass, LabelTable, distinct_color
from limner.devices.machine import Machine, Memory
from limner.planning.cost import Cost
from limner.planning.decisions import Case
from limner.planning.fingerprint import take_fingerprint

GIB = 2**30


@pytest.fixture
def make_facts():
    """Makes the facts of images that differ only in what is asked for."""

    def make(
        count=20, *, shape=(256, 320), channels=3, dtype="uint8", counts=None, grey=False, grids="random"
    ):
        rng = np.random.default_rng(0)
        pixels = int(np.prod(shape))
        counts = counts or {0: pixels * 8 // 10, 1: pixels - pixels * 8 // 10}
        images = []
        for i in range(count):
            grid = rng.random((8, 8), dtype=np.float32)
            if grids == "sky":  # bright above, labelled below, in every image
                grid = (
                    np.linspace(1, 0, 8, dtype=np.float32)[:, None] * np.ones((8, 8), np.float32) + grid / 10
                )
            images.append(
                ImageFacts(
                    name=f"image{i}",
                    label_file="mask.png",
                    shape=shape,
                    label_shape=shape,
                    channels=channels,
                    dtype=dtype,
                    value_counts=dict(counts),
                    is_grey=grey,
                    intensities=(Intensity(0, 255, 100, 50, 5, 250),) * channels,
                    components={v: Components(4, 120.0) for v in counts},
                    occupancy=grid,
                    thumbnail_means=grid,
                )
            )
        return DatasetFacts(tuple(images))

    return make


@pytest.fixture
def make_labels():
    """Makes a table of so many classes, valued 0, 1, 2, ..."""

    def make(count=2):
        names = ["background", *(f"class {i}" for i in range(1, count))]
        return LabelTable(tuple(LabelClass(n, (i,), distinct_color(i)) for i, n in enumerate(names)))

    return make


@pytest.fixture
def cpu():
    return Machine("cpu", "a test CPU", Memory(16 * GIB, 8 * GIB), num_cores=8, fast_bfloat16=False)


@pytest.fixture
def gpu():
    return Machine("cuda", "a test GPU", Memory(24 * GIB, 20 * GIB), num_cores=16, fast_bfloat16=True)


@pytest.fixture
def make_case(make_facts, make_labels, cpu):
    """Makes a case for the rules, with a cost that is easy to reckon with: 1000 bytes and 1 us a pixel."""

    def make(facts=None, *, num_classes=2, machine=cpu, minutes=None, cost=None):
        facts = facts or make_facts()
        labels = make_labels(num_classes)
        cost = cost or Cost(1_000_000, 0.0, 1000.0, 0.0, 1e-6, 300.0)
        names = [image.name for image in facts.images]
        splits = {"train": names, "val": []}
        return Case(take_fingerprint(facts, labels, splits), labels, machine, minutes, lambda settled: cost)

    return make
