"""The samples that a plan trains on: images as they are, volumes prepared once, or their slices."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from limner.core.label_map import LabelMap
from limner.core.labels import LabelTable
from limner.core.picture import Image
from limner.core.plan import InputPlan
from limner.core.sample import Record, Sample
from limner.core.targets import Array, Move, Target
from limner.formats.source import Source
from limner.loading.dataset import Dataset
from limner.loading.image_cache import MemoryCache
from limner.storage.array_cache import ArrayCache
from limner.storage.file_states import state_of
from limner.transforms.clip_values import clip_values
from limner.transforms.normalize_each import normalize_each
from limner.transforms.reduced_size import reduced_size
from limner.transforms.resample_volume import resample_as_seen, resample_labels
from limner.transforms.slices import slice_of
from limner.transforms.turn import turn_to

VERSION = 2
"""Raise it whenever the preparation changes: older files in the cache are then ignored."""


def training_dataset(
    source: Source,
    records: Sequence[Record],
    labels: LabelTable,
    plan: InputPlan,
    *,
    targets: tuple[type[Target[Any]], ...],
) -> Dataset:
    """Return the samples of some images that a network is trained on.

    Args:
        source: Reads the files.
        records: The images.
        labels: The classes.
        plan: The input of the network.
        targets: Kinds of targets.
    """
    if plan.slice_axis is not None:
        return SliceDataset(source, records, labels, plan, targets=targets)
    if plan.normalize_each or plan.orientation or plan.resample or plan.clip:
        return PreparedDataset(source, records, labels, plan, targets=targets)
    reduce = reduced_size(plan, plan.resize)
    return Dataset(source, records, labels, targets=targets, reduce=reduce)


class PreparedDataset(Dataset):
    """Volumes that are turned, normalised by themselves or clipped, and resampled, as the plan says, once.

    Where patches are drawn from them, some voxels of each class are found once, too. Volumes that do not fit
    in memory are written to the cache folder and mapped from there. Their keys tell the state of the files
    and how they are prepared, so a later run finds them, also after an interruption.

    Args:
        source: Reads the files.
        records: The images.
        labels: The classes.
        plan: The input of the network.
        targets: Kinds of targets.
        cache: As of `Dataset`.
    """

    def __init__(
        self,
        source: Source,
        records: Sequence[Record],
        labels: LabelTable,
        plan: InputPlan,
        *,
        targets: tuple[type[Target[Any]], ...],
        cache: MemoryCache | Literal["memory"] | None = "memory",
    ) -> None:
        super().__init__(source, records, labels, targets=targets, cache=cache)
        self.plan = plan
        self._files = ArrayCache("volumes", source.root)
        self._prepared = f"{VERSION} {_preparation(plan)} {labels.to_dict()}"
        self._files.keep_only({key for record in self.records for key in self._keys(record)})

    def __getitem__(self, index: int) -> Sample:
        """Return image `index` with its labels, at full size; the arrays are read-only.

        Raises:
            DataError: As `Dataset`.
        """
        record = self.records[index]
        if self.cache is not None and (known := self.cache.get(record.name)) is not None:
            return known
        if self.targets != (LabelMap,):  # objects have no single array
            return super().__getitem__(index)
        if (stored := self._load(record)) is not None:
            return stored
        sample = super().__getitem__(index)
        if self.cache is None or self.cache.get(record.name) is None:
            self._save(record, sample)
        return sample

    def _keys(self, record: Record) -> list[str]:
        """Return the keys of image, labels, places of the foreground, and spacing."""
        told = f"{record.name} {self._prepared} {self.source.reading_state(record)}"
        key = state_of(record.files, told, here=True)
        return [f"{key}-{part}" for part in ("image", "labels", "places", "spacing")]

    def _load(self, record: Record) -> Sample | None:
        image, labels, places, spacing = map(self._files.load, self._keys(record))
        if image is None or labels is None or places is None or spacing is None:
            return None
        steps = tuple(float(step) for step in spacing)
        target = LabelMap(labels, places if self._has_places else None)
        return Sample(record.name, image, (target,), steps or None)

    def _save(self, record: Record, sample: Sample) -> None:
        target = sample.get(LabelMap)
        assert target is not None, "label maps were read"
        places = np.empty((0, 2), np.int64) if target.places is None else target.places
        arrays = (sample.image, target.labels, places, np.array(sample.spacing_mm or ()))
        for key, array in zip(self._keys(record), arrays, strict=True):
            self._files.save(key, array)

    @property
    def _has_places(self) -> bool:
        """Whether patches are drawn from the volumes, rather than slices."""
        return self.plan.spatial_dims == 3

    def _decode(self, record: Record) -> Sample:
        sample, plan = super()._decode(record), self.plan
        if sample.image.ndim == 3:  # a photograph has one orientation and no spacing
            return replace(sample, image=_normalized(sample.image, plan))
        turn = turn_to(plan.orientation, sample.geometry.affine)
        image = _normalized(np.ascontiguousarray(turn.apply(sample.image)), plan)
        spacing = sample.spacing_mm and tuple(sample.spacing_mm[axis] for axis in turn.order)
        image, spacing, thick = resample_as_seen(image, spacing, plan, where=str(record.image))
        seen = tuple(image.shape[:-1])

        def labels(array: Array, outside: int) -> Array:
            return resample_labels(turn.apply(array), seen, thick=thick)

        move = Move(seen, labels, points=lambda points: points)
        targets = tuple(self._with_places(target.moved(move)) for target in sample.targets)
        prepared = Sample(record.name, image, targets, spacing)
        for array in prepared.arrays():
            array.flags.writeable = False
        return prepared

    def _with_places(self, target: Target[Any]) -> Target[Any]:
        if self._has_places and isinstance(target, LabelMap):
            return target.with_places(self.labels.background_index)
        return target


def _normalized(image: Image, plan: InputPlan) -> Image:
    """Return an image (*spatial, C) normalised by itself, or clipped."""
    if plan.normalize_each:
        return normalize_each(image, plan.normalize_over)
    return clip_values(image, plan.clip)


def _preparation(plan: InputPlan) -> dict[str, Any]:
    """Return the settings that determine how volumes are prepared."""
    keys = {"orientation", "normalize_each", "normalize_over", "clip", "resample", "spacing_mm", "slice_axis"}
    return plan.model_dump(include=keys)


class SliceDataset(Dataset):
    """Slices of volumes along one axis, drawn from volumes that are prepared once.

    Of the slices without foreground, an evenly spaced part is used if the plan limits their share.

    Args:
        source: Reads the files.
        records: The volumes.
        labels: The classes.
        plan: The input of the network, with a `slice_axis`.
        targets: Kinds of targets.

    Raises:
        DataError: A file cannot be read; every volume is read once to find its slices.
    """

    def __init__(
        self,
        source: Source,
        records: Sequence[Record],
        labels: LabelTable,
        plan: InputPlan,
        *,
        targets: tuple[type[Target[Any]], ...],
    ) -> None:
        super().__init__(source, records, labels, targets=targets, cache=None)
        self.plan = plan
        self.volumes = PreparedDataset(source, records, labels, plan, targets=targets)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Sample:
        """Return a slice with its labels.

        Raises:
            DataError: A file cannot be read.
        """
        volume, place = self._places[index]
        return sliced(self.volumes[volume], self.plan, place)

    @property
    def classes(self) -> list[int | None]:
        """The class of each slice's volume, or None."""
        return [self.records[volume].label for volume, _ in self._places]

    def name_of(self, index: int) -> str:
        """Return the name of a slice."""
        volume, place = self._places[index]
        return f"{self.records[volume].name}, slice {place}"

    @cached_property
    def _places(self) -> list[tuple[int, int]]:
        """(Volume, place on the axis) of each slice that is trained on."""
        shown: list[tuple[int, int]] = []
        empty: list[tuple[int, int]] = []
        for number in range(len(self.volumes)):
            has_foreground = self._has_foreground(self.volumes[number])
            for place, shows in enumerate(has_foreground):
                (shown if shows else empty).append((number, place))
        share = self.plan.empty_slices
        if share is None or not shown:
            return sorted(shown + empty)
        most = min(len(empty), round(share / (1 - share) * len(shown)))
        chosen = np.linspace(0, len(empty) - 1, most).round().astype(int) if most else []
        return sorted(shown + [empty[place] for place in chosen])

    def _has_foreground(self, sample: Sample) -> npt.NDArray[np.bool_]:
        """Return for each slice of a volume whether it shows a class other than the background."""
        axis = self.plan.slice_axis
        assert axis is not None, "slices are cut along an axis"
        others = tuple(a for a in range(3) if a != axis)
        background, shown = self.labels.background_index, np.zeros(sample.spatial_shape[axis], bool)
        for target in sample.targets:
            for array in target.arrays():
                is_class = (array != self.labels.ignore_index) & (array != background)
                shown |= is_class.any(axis=others)
        return shown


def sliced(sample: Sample, plan: InputPlan, place: int) -> Sample:
    """Return one slice of a volume as an image with its targets.

    Args:
        sample: The volume, in the plan's orientation.
        plan: The input of the network, with a `slice_axis`.
        place: Position on that axis.
    """
    axis = plan.slice_axis
    assert axis is not None, "slices are cut along an axis"
    image = slice_of(sample.image, axis, place, plan.slice_neighbours or 0)
    move = Move(
        image.shape[:-1],
        lambda array, outside: np.ascontiguousarray(array.take(place, axis)),
        points=lambda points: points,
    )
    spacing = sample.spacing_mm and tuple(step for a, step in enumerate(sample.spacing_mm) if a != axis)
    targets = tuple(target.moved(move) for target in sample.targets)
    return Sample(f"{sample.name}, slice {place}", image, targets, spacing)
