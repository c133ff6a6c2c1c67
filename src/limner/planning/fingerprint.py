"""The dataset fingerprint: statistics of the training images and labels that the rules use.

Shape legend: C channels. Sizes are (H, W) or (D, H, W) in pixels; intensities are file values.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import prod
from statistics import median
from typing import Any

import numpy as np

from limner.checks.facts import DatasetFacts, ImageFacts
from limner.core.errors import DataError
from limner.core.labels import LabelTable
from limner.core.plan import ResizePlan
from limner.images.file_names import is_jpeg_name
from limner.planning.orientation import Orientation, measure_orientation
from limner.planning.slicing import Slicing, common_codes, facts_of_slices
from limner.planning.volume_fingerprint import Spacing, VolumeFingerprint, take_volume_fingerprint
from limner.transforms.fitted_size import fitted_size

Size = tuple[int, ...]


@dataclass(frozen=True)
class ClassFingerprint:
    """One class in the training images.

    Attributes:
        name: Class name.
        pixel_share: Its fraction of all labelled pixels, 0 to 1.
        num_images: Number of images that contain it.
        num_components: Median number of connected components in an image that contains it, or None if
            unknown.
        component_area: Median area of a component in pixels, or None if unknown.
        num_objects: Number of its objects, or None if the labels do not separate objects.
        object_area: Median over the images of the median area of its objects (or boxes) in pixels, or None.
    """

    name: str
    pixel_share: float
    num_images: int
    num_components: float | None
    component_area: float | None
    num_objects: int | None = None
    object_area: float | None = None

    def scaled(self, factor: float) -> "ClassFingerprint":
        """Return the class with areas multiplied by a factor."""
        areas = (None if area is None else area * factor for area in (self.component_area, self.object_area))
        component_area, object_area = areas
        return replace(self, component_area=component_area, object_area=object_area)


@dataclass(frozen=True)
class Fingerprint:
    """Statistics of the training images and labels.

    Attributes:
        num_images: Number of images in each split.
        smallest: Size of the image with the fewest pixels.
        median: Median size, axis by axis.
        largest: Size of the image with the most pixels.
        channels: C, as used for training.
        channel_counts: Number of channels -> number of training images.
        dtype: numpy name of the most common pixel type.
        mean: C numbers: mean over all training pixels, in file values.
        std: C numbers: standard deviation over all training pixels.
        low: C numbers: median over the images of their 0.5th percentile.
        high: C numbers: median over the images of their 99.5th percentile.
        minimum: Smallest value of the training images.
        maximum: Largest value of the training images.
        smallest_maximum: Smallest maximum of a training image that has more than one value.
        grey_share: Fraction of the training images without colour.
        classes: In trained order.
        ignored_share: Fraction of all pixels that are ignored.
        orientation: Whether orientation matters in the images.
        slicing: How volumes are cut into slices; None for images, and for volumes as they are.
        axis_codes: Most common directions of the axes (x, y, z) of volumes; None for images or if unknown.
        volumes: The volumes before they are cut into slices or resampled; None for images.
        jpeg_share: Fraction of the training images whose file is a JPEG by its name.
        most_objects: Largest number of countable objects in a training image; 0 if labels do not separate
            them.
    """

    num_images: dict[str, int]
    smallest: Size
    median: Size
    largest: Size
    channels: int
    channel_counts: dict[int, int]
    dtype: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    minimum: float
    maximum: float
    smallest_maximum: float
    grey_share: float
    classes: tuple[ClassFingerprint, ...]
    ignored_share: float
    orientation: Orientation
    slicing: Slicing | None = None
    axis_codes: str | None = None
    volumes: VolumeFingerprint | None = None
    most_objects: int = 0
    jpeg_share: float = 0.0

    @property
    def num_training(self) -> int:
        """Number of training images."""
        return self.num_images["train"]

    @property
    def num_samples(self) -> int:
        """Number of training images, or of the slices of training volumes."""
        return self.num_training * (1 if self.slicing is None else self.slicing.depth)

    @property
    def sample_noun(self) -> str:
        """What `num_samples` counts, ``image`` or ``slice``."""
        return "image" if self.slicing is None else "slice"

    @property
    def spatial_dims(self) -> int:
        """2 for images, 3 for volumes."""
        return len(self.median)

    @property
    def are_volumes(self) -> bool:
        """Whether the images are volumes, in slices or as they are."""
        return self.spatial_dims == 3 or self.slicing is not None

    @property
    def imbalance(self) -> float:
        """Ratio of pixels of the most common class to those of the rarest class that occurs."""
        shares = [c.pixel_share for c in self.classes if c.pixel_share > 0]
        return max(shares) / min(shares) if shares else 1.0

    def resized(self, resize: ResizePlan | None) -> "Fingerprint":
        """Return the statistics of the images at the size to which they are resized.

        Areas of components and objects change as that of the median image.
        """
        if resize is None or resize.is_noop:
            return self
        sizes = (self.smallest, self.median, self.largest)
        smallest, median, largest = (fitted_size(of[0], of[1], resize) for of in sizes)
        zoom = prod(median) / prod(self.median)
        classes = tuple(each.scaled(zoom) for each in self.classes)
        return replace(self, smallest=smallest, median=median, largest=largest, classes=classes)

    def resampled(self, spacing_mm: Spacing | None) -> "Fingerprint":
        """Return the statistics of volumes at the spacing to which they are resampled.

        Args:
            spacing_mm: The spacing along the axes of the volumes, or of their slices; None keeps the voxels
                as they are.
        """
        if spacing_mm is None or self.volumes is None or not self.volumes.spacings_mm:
            return self
        cut, wanted = None if self.slicing is None else self.slicing.axis, list(spacing_mm)
        if cut is not None:
            wanted.insert(cut, self.volumes.median_spacing_mm[cut])
        sizes = sorted(
            (
                tuple(side for axis, side in enumerate(shape) if axis != cut)
                for shape in self.volumes.shapes_at(tuple(wanted))
            ),
            key=lambda size: (prod(size), size),
        )
        middle = tuple(int(median(axis)) for axis in zip(*sizes, strict=True))
        return replace(self, smallest=sizes[0], median=middle, largest=sizes[-1])

    def to_dict(self) -> dict[str, Any]:
        """Return the fingerprint as plain JSON-ready values."""
        return asdict(self)


def take_fingerprint(
    facts: DatasetFacts,
    labels: LabelTable,
    splits: Mapping[str, Iterable[str]],
    *,
    slicing: Slicing | None = None,
) -> Fingerprint:
    """Compute the fingerprint of the training images.

    Args:
        facts: Facts from reading every file once.
        labels: The label table for training.
        splits: Image names of each split; only ``train`` is analysed, the others are counted.
        slicing: How volumes are cut into slices; sizes and channels are those of the slices then.

    Raises:
        DataError: There are no usable training images.
    """
    names = {split: set(members) for split, members in splits.items()}
    codes = common_codes(facts)
    stored = _training_images(facts, names)
    training = _training_images(facts_of_slices(facts, slicing), names)
    counts = Counter(image.channels for image in training)
    channels = _trained_channels(counts)
    mean, std = _pooled(training, channels)
    volumes = take_volume_fingerprint(stored, codes)
    shapes = [image.shape for image in training] if slicing or volumes is None else volumes.shapes
    sizes = sorted(shapes, key=lambda s: (int(np.prod(s)), s))
    classes, ignored_share = _classes(training, labels)
    minimum, maximum, smallest_maximum = _extremes(training)
    return Fingerprint(
        num_images={split: len(members) for split, members in names.items()},
        smallest=sizes[0],
        median=tuple(int(median(axis)) for axis in zip(*sizes, strict=True)),
        largest=sizes[-1],
        channels=channels,
        channel_counts=dict(sorted(counts.items())),
        dtype=Counter(image.dtype for image in training).most_common(1)[0][0],
        mean=mean,
        std=std,
        low=_typical(training, channels, "low"),
        high=_typical(training, channels, "high"),
        minimum=minimum,
        maximum=maximum,
        smallest_maximum=smallest_maximum,
        grey_share=sum(image.is_grey for image in training) / len(training),
        classes=classes,
        ignored_share=ignored_share,
        orientation=_orientation(training if slicing is None else []),
        slicing=slicing,
        axis_codes=codes,
        volumes=volumes,
        most_objects=max(_num_objects(image, labels) for image in training),
        jpeg_share=_jpeg_share(training),
    )


def _training_images(facts: DatasetFacts, names: Mapping[str, set[str]]) -> list[ImageFacts]:
    """Return the images of ``train`` that can be trained on.

    Raises:
        DataError: There are none.
    """
    training = [image for image in facts.usable if image.name in names.get("train", ())]
    if not training:
        raise DataError(
            "No training image has readable labels of the same size, so there is nothing to plan. "
            "Run `limner check` on the folder: it lists each file and its problem."
        )
    return training


def _jpeg_share(training: Sequence[ImageFacts]) -> float:
    """Return the fraction of the images that are JPEGs."""
    return sum(is_jpeg_name(image.image_file) for image in training) / len(training)


def _trained_channels(counts: Counter[int]) -> int:
    """Return C: grey images among colour ones are trained as colour; else the most common count."""
    return 3 if set(counts) == {1, 3} else counts.most_common(1)[0][0]


def _channel(image: ImageFacts, index: int, channels: int, statistic: str) -> float:
    """Return one statistic of one channel; a grey image among colour ones has the same in all channels."""
    known = image.intensities
    return float(getattr(known[index if len(known) == channels else 0], statistic))


def _pooled(images: Sequence[ImageFacts], channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return (mean, std) of each channel over all pixels of all images."""
    pixels = np.array([float(np.prod(image.shape)) for image in images])
    weights = pixels / pixels.sum()
    means, stds = [], []
    for c in range(channels):
        mean = np.array([_channel(image, c, channels, "mean") for image in images])
        std = np.array([_channel(image, c, channels, "std") for image in images])
        pooled = float(weights @ mean)
        # Law of total variance: within images plus between them.
        variance = float(weights @ (std**2 + (mean - pooled) ** 2))
        means.append(_significant(pooled))
        stds.append(_significant(variance**0.5) or 1.0)
    return tuple(means), tuple(stds)


def _extremes(images: Sequence[ImageFacts]) -> tuple[float, float, float]:
    """Return smallest and largest value, and the smallest maximum of an image that is not constant."""
    ends = [
        (min(c.minimum for c in image.intensities), max(c.maximum for c in image.intensities))
        for image in images
    ]
    darkest = min((high for low, high in ends if low < high), default=ends[0][1])
    return min(low for low, _ in ends), max(high for _, high in ends), darkest


def _typical(images: Sequence[ImageFacts], channels: int, statistic: str) -> tuple[float, ...]:
    return tuple(
        _significant(median(_channel(image, c, channels, statistic) for image in images))
        for c in range(channels)
    )


def _classes(images: Sequence[ImageFacts], labels: LabelTable) -> tuple[tuple[ClassFingerprint, ...], float]:
    """Return each class in trained order, and the ignored fraction of all pixels."""
    pixels: Counter[int] = Counter()
    holders: Counter[int] = Counter()
    pieces: dict[int, list[tuple[int, float]]] = {}
    objects: dict[int, list[tuple[int, float]]] = {}
    ignored = labels.ignore_index
    for image in images:
        present = Counter[int]()
        for value, count in image.value_counts.items():
            present[labels.trained_as.get(value, ignored)] += count
        pixels.update(present)
        holders.update(trained for trained, count in present.items() if count)
        for value, found in image.components.items():
            trained = labels.trained_as.get(value, ignored)
            pieces.setdefault(trained, []).append((found.count, found.median_area))
        for value, drawn in image.objects.items():
            trained = labels.trained_as.get(value, ignored)
            if trained != ignored and labels.is_thing[trained]:
                objects.setdefault(trained, []).append((drawn.count, drawn.median))
    labelled = sum(count for trained, count in pixels.items() if trained != ignored)
    classes = tuple(
        ClassFingerprint(
            name,
            pixels[index] / max(labelled, 1),
            holders[index],
            float(median(n for n, _ in pieces[index])) if index in pieces else None,
            float(median(area for _, area in pieces[index])) if index in pieces else None,
            sum(n for n, _ in objects[index]) if index in objects else None,
            float(median(area for _, area in objects[index])) if index in objects else None,
        )
        for index, name in enumerate(labels.names)
    )
    return classes, pixels[ignored] / max(pixels.total(), 1)


def _num_objects(image: ImageFacts, labels: LabelTable) -> int:
    """Return the number of countable objects of an image, without crowds."""
    known = {value: labels.trained_as.get(value, labels.ignore_index) for value in image.objects}
    return sum(
        image.objects[value].count - image.objects[value].crowds
        for value, trained in known.items()
        if trained != labels.ignore_index and labels.is_thing[trained]
    )


def _orientation(images: Sequence[ImageFacts]) -> Orientation:
    flat = [image for image in images if len(image.shape) == 2]
    return measure_orientation(
        [np.asarray(i.occupancy, np.float64) for i in flat if i.occupancy is not None],
        [np.asarray(i.thumbnail_means, np.float64) for i in flat if i.thumbnail_means is not None],
    )


def _significant(value: float) -> float:
    """Round to 5 significant digits, which are meaningful for image files and readable."""
    return float(f"{value:.5g}")
