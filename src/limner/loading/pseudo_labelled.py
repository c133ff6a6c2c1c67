"""Training on labelled images together with images that have pseudo-labels.

Weak and strong views as in FixMatch (Sohn et al., NeurIPS 2020): the labels were predicted for the images as
they are, and are learned from strongly changed ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limner.core.augment_plan import AugmentPlan
from limner.core.label_map import LabelMap
from limner.core.labels import LabelTable
from limner.core.plan import InputPlan
from limner.core.sample import Record, Sample
from limner.formats.source import Source
from limner.images.masks import read_values
from limner.images.read_image import read_image
from limner.loading.dataset import Dataset
from limner.loading.pipeline import Pipeline, build_pipeline

PREFIX = "unlabelled images/"
"""First part of the names of images with pseudo-labels; no record of a dataset begins with it by chance."""

CHANGES, STRENGTH, ERASED = 2, 0.5, 0.5
"""Strong views: number and strength of random changes, and the fraction with an erased rectangle."""


class PseudoLabelled(Dataset):
    """Images whose label files hold trained labels: 0 to K-1, and the ignored value where nothing is learned.

    Args:
        source: The labelled dataset, which has no part in reading.
        records: Images, each with one label file; their names begin with `PREFIX`.
        labels: The classes.
    """

    def __init__(self, source: Source, records: Sequence[Record], labels: LabelTable) -> None:
        super().__init__(source, records, labels, targets=(LabelMap,))

    def _decode(self, record: Record) -> Sample:
        picture = read_image(record.image)
        labels = LabelMap(read_values(record.labels[0]).astype(self.labels.label_dtype))
        sample = Sample(record.name, picture.array, (labels,), picture.geometry.spacing_mm, picture.geometry)
        for array in sample.arrays():
            array.flags.writeable = False
        return sample


class JoinedDataset(Dataset):
    """The samples of one dataset, then those of another.

    Args:
        labelled: Images that people labelled.
        pseudo: Images with pseudo-labels.
    """

    def __init__(self, labelled: Dataset, pseudo: PseudoLabelled) -> None:
        super().__init__(labelled.source, labelled.records, labelled.labels, targets=labelled.targets)
        self.records = (*labelled.records, *pseudo.records)
        self._labelled = labelled
        self._pseudo = pseudo

    def __len__(self) -> int:
        return len(self._labelled) + len(self._pseudo)

    def __getitem__(self, index: int) -> Sample:
        """Return a sample of the first or the second dataset."""
        own = index - len(self._labelled)
        return self._labelled[index] if own < 0 else self._pseudo[own]

    @property
    def classes(self) -> list[int | None]:
        """The class of each sample as a whole, or None."""
        return [*self._labelled.classes, *self._pseudo.classes]

    def name_of(self, index: int) -> str:
        """Return the name of a sample without reading it."""
        own = index - len(self._labelled)
        return self._labelled.name_of(index) if own < 0 else self._pseudo.name_of(own)


@dataclass(frozen=True)
class WeakAndStrongViews:
    """Changes images with pseudo-labels more than others.

    Attributes:
        weak: The augmentation of the plan.
        strong: That of images with pseudo-labels.
    """

    weak: Pipeline
    strong: Pipeline

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Return a random augmentation of `sample`."""
        return (self.strong if sample.name.startswith(PREFIX) else self.weak)(sample, rng)


def build_views(augment: AugmentPlan, input_plan: InputPlan, labels: LabelTable) -> WeakAndStrongViews:
    """Build both augmentations of a plan."""
    changes = {
        "random_changes": max(augment.random_changes, CHANGES),
        "change_strength": max(augment.change_strength, STRENGTH),
        "erasing": max(augment.erasing, ERASED),
    }
    strong = augment.model_copy(update=changes)
    return WeakAndStrongViews(
        build_pipeline(augment, input_plan, labels), build_pipeline(strong, input_plan, labels)
    )
