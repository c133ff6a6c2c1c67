"""Every kind of target: moved by every transform as its picture is, stacked, cut, sent to a device and saved.

The kinds are those of `READERS`, the transforms all those in `limner.transforms`. A new kind needs a row in
`EXAMPLES`, a new transform one in `TRANSFORMS`.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

import limner.transforms
from limner.core.boxes import Boxes, boxes_of
from limner.core.dataset_file import DatasetFile
from limner.core.image_class import ClassShares, ImageClass
from limner.core.label_map import LabelMap
from limner.core.labels import IGNORE_INDEX, LabelClass, LabelTable
from limner.core.picture import Geometry, Picture
from limner.core.plan import InputPlan
from limner.core.sample import Record, Sample
from limner.core.segments import Segments, segments_of
from limner.core.targets import Target
from limner.core.words import Words
from limner.formats.source import Source
from limner.loading.collate import collate
from limner.loading.dataset import Dataset
from limner.loading.target_readers import READERS
from limner.training.finite import save_batch
from limner.transforms.add_low_resolution import AddLowResolution
from limner.transforms.area_crop import AreaCrop
from limner.transforms.elastic import Bend, Elastic
from limner.transforms.erasing import Erasing, ErasingParams
from limner.transforms.fit_channels import FitChannels
from limner.transforms.flip import Flip, FlipParams
from limner.transforms.jpeg_compression import JpegCompression, JpegParams
from limner.transforms.keep_zeros import KeepZeros
from limner.transforms.part_cut import PartCut
from limner.transforms.photometric import Photometric, PhotometricParams
from limner.transforms.quarter_turn import QuarterTurn, QuarterTurnParams
from limner.transforms.random_changes import ChangesParams, RandomChanges
from limner.transforms.rotate import Rotate, RotateParams
from limner.transforms.scale_crop import CropParams, ScaleCrop
from limner.transforms.value_changes import ValueChanges, ValueChangesParams
from limner.transforms.volume_patch import VolumePatch, VolumePatchParams

Rectangle = tuple[slice, ...]
"""Pixels along each axis; rectangle number i shows label i + 1, and 0 is nothing."""


@dataclass(frozen=True)
class Example:
    """One kind.

    Attributes:
        make: Rectangles and the shape of the image (*S) -> the target.
        draw: The target and the shape of the image (*S) -> (*S) uint8, the label of each pixel.
        dims: Numbers of axes that images of the kind have.
    """

    make: Callable[[list[Rectangle], tuple[int, ...]], Target]
    draw: Callable[[Target, tuple[int, ...]], np.ndarray]
    dims: tuple[int, ...] = (2, 3)


def painted(rectangles: list[Rectangle], shape: tuple[int, ...]) -> np.ndarray:
    labels = np.zeros(shape, np.uint8)
    for number, rectangle in enumerate(rectangles):
        labels[rectangle] = number + 1
    return labels


def _segments(rectangles, shape):
    numbers = range(1, len(rectangles) + 1)
    masks = [painted(rectangles, shape) == number for number in numbers]
    return segments_of(masks, list(numbers), shape=shape)


def _boxes(rectangles, shape):
    corners = [[x.start, y.start, x.stop, y.stop] for y, x in rectangles]
    return boxes_of(corners, range(1, len(rectangles) + 1), shape=shape)


def _words(rectangles, shape):
    corners = [
        np.array([[x.start, y.start], [x.stop, y.start], [x.stop, y.stop], [x.start, y.stop]], np.float64)
        for y, x in rectangles
    ]
    texts = tuple(str(number + 1) for number in range(len(rectangles)))
    return Words(tuple(corners), texts, np.zeros(len(rectangles), bool))


def _draw_boxes(boxes, shape):
    drawn = np.zeros(shape, np.uint8)
    y, x = (np.arange(side) + 0.5 for side in shape)
    for (left, top, right, bottom), label in zip(boxes.xyxy, boxes.labels, strict=True):
        drawn[np.ix_((top <= y) & (y < bottom), (left <= x) & (x < right))] = label
    return drawn


def _draw_words(words, shape):
    """A pixel is in an outline where a ray from its middle to the right crosses it an odd number of times."""
    drawn = np.zeros(shape, np.uint8)
    y, x = np.meshgrid(*(np.arange(side) + 0.5 for side in shape), indexing="ij")
    for polygon, text in zip(words.polygons, words.texts, strict=True):
        is_inside = np.zeros(shape, bool)
        for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, 0), strict=True):
            crosses = (y0 <= y) != (y1 <= y)
            at = x0 + (y - y0) * (x1 - x0) / (y1 - y0) if y0 != y1 else x0
            is_inside ^= crosses & (x < at)
        drawn[is_inside] = int(text)
    return drawn


EXAMPLES: dict[type[Target], Example] = {
    LabelMap: Example(lambda r, s: LabelMap(painted(r, s)), lambda target, _: target.labels),
    Segments: Example(_segments, lambda target, _: target.painted(0)),
    Boxes: Example(_boxes, _draw_boxes, dims=(2,)),
    Words: Example(_words, _draw_words, dims=(2,)),
    ImageClass: Example(
        lambda r, _: ImageClass(len(r)), lambda target, s: np.full(s, target.label, np.uint8)
    ),
    ClassShares: Example(
        lambda r, _: ClassShares(np.eye(10, dtype=np.float32)[len(r)]),
        lambda target, s: np.full(s, target.shares.argmax(), np.uint8),
    ),
}


SHAPES = {2: (36, 48), 3: (12, 36, 48)}


def crops(size, *windows):
    """Crops whose last two axes are of `size`, of windows (start, window) of the last two axes.

    The windows are such that no pixel of a crop has its middle on the border of two of the image, where
    OpenCV takes now the one and now the other.
    """
    cases = []
    for start, window in windows:
        cases.append((ScaleCrop(size), CropParams(start, window)))
        cases.append((ScaleCrop((9, *size)), CropParams((-2, *start), (11, *window))))
    return cases


TRANSFORMS = [
    *((Flip(axes), FlipParams(axes)) for axes in [(), (0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)]),
    *((QuarterTurn(), QuarterTurnParams(quarters)) for quarters in range(4)),
    *crops(
        (24, 32),
        ((5, 7), (24, 32)),  # cut alone
        ((-6, 30), (24, 32)),  # over the edge
        ((3, 2), (30, 41)),  # made smaller, not alike along both axes
        ((9, 11), (13, 21)),  # made larger
        ((-9, -24), (54, 96)),  # the whole image and more
    ),
    (FitChannels(InputPlan(channels=3, crop_size=(8, 8), mean=(0,) * 3, std=(1,) * 3)), None),
    (
        FitChannels(InputPlan(spatial_dims=3, channels=3, crop_size=(8,) * 3, mean=(0,) * 3, std=(1,) * 3)),
        None,
    ),
    (Photometric(brightness=0.2), PhotometricParams(shift=9.0)),
    (KeepZeros(Photometric(brightness=0.2)), PhotometricParams(shift=9.0)),
    (AreaCrop((24, 32)), CropParams((3, 2), (30, 41))),
    (PartCut(1.0), CropParams((3, 2), (30, 41))),
    (RandomChanges(2, 0.5), ChangesParams((("shift x", 0.2), ("brightness", 0.5)))),
    (Erasing(0.5), ErasingParams((slice(3, 9), slice(2, 20)))),
    (Rotate(30), RotateParams(11.0)),
    (Rotate(30), RotateParams(-23.0)),
    (Rotate(30, in_space=True), RotateParams(11.0)),
    (JpegCompression(30), JpegParams(40)),
    (VolumePatch((12, 20, 16)), VolumePatchParams((3, -2, 9))),
    (VolumePatch((12, 20, 16)), VolumePatchParams((3, 4, 5), (11.0, -23.0, 5.0), 1.2)),
    (VolumePatch((12, 20, 16)), VolumePatchParams((3, 4, 5), bend=Bend(1, 4.0, 12))),
    (Elastic(4.0, 12), Bend(1, 4.0, 12)),
    (ValueChanges(noise=0.1), ValueChangesParams(variance=0.1, brightness=1.2)),
]
"""Transforms, with drawn parameters."""


def dims_of(transform, params) -> tuple[int, ...]:
    """Return for images of how many axes a case is meant."""
    if isinstance(transform, ScaleCrop | AreaCrop):
        return (len(transform.size),)
    if isinstance(transform, RandomChanges | Erasing | PartCut):
        return (2,)
    if isinstance(transform, FitChannels):
        return (transform.plan.spatial_dims,)
    if isinstance(transform, VolumePatch):
        return (3,)
    if isinstance(transform, Rotate | Elastic | JpegCompression):
        return (2,)
    return (3,) if isinstance(params, FlipParams) and 2 in params.axes else (2, 3)


NOT_DRAWN_ALIKE = {Boxes: (Rotate, Elastic), Words: (Elastic,)}
"""A box that is rotated is none, and sides that are deformed are not straight."""

CASES = [
    pytest.param(kind, dims, transform, params, id=f"{kind.key} {dims}D {type(transform).__name__} {params}")
    for kind in READERS
    for transform, params in TRANSFORMS
    for dims in dims_of(transform, params)
    if dims in EXAMPLES[kind].dims and not isinstance(transform, NOT_DRAWN_ALIKE.get(kind, ()))
]


def rectangles_of(seed: int, shape: tuple[int, ...]) -> list[Rectangle]:
    """Return nine rectangles, none of which touches another."""
    rng = np.random.default_rng(seed)
    found = []
    for row in range(3):
        for column in range(3):
            cells = [(0, shape[0])] * (len(shape) - 2) + [(12 * row, 12), (16 * column, 16)]
            rectangle = []
            for first, size in cells:
                low, high = np.sort(rng.choice(size, 2, replace=False))
                rectangle.append(slice(int(first + low), int(first + high)))
            found.append(tuple(rectangle))
    return found


def sample_of(kinds, seed: int = 0, dims: int = 2) -> Sample:
    shape = SHAPES[dims]
    rectangles = rectangles_of(seed, shape)[: 9 - seed]
    targets = tuple(EXAMPLES[kind].make(rectangles, shape) for kind in kinds)
    image = np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)
    return Sample(f"image {seed}", image, targets, (3.0, 2.0, 1.0)[-dims:])


def test_every_kind_has_an_example_and_a_word_of_its_own():
    assert EXAMPLES.keys() == READERS.keys()
    assert len({kind.key for kind in READERS}) == len(READERS)
    for kind in READERS:
        assert is_dataclass(kind)


def test_every_transform_has_a_case():
    found = set()
    for module in pkgutil.iter_modules(limner.transforms.__path__, "limner.transforms."):
        for _, each in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if hasattr(each, "draw") and hasattr(each, "apply") and is_dataclass(each):
                found.add(each)
    # This one moves nothing, but makes channels of a target: tests/transforms/test_add_low_resolution.py.
    assert {type(transform) for transform, _ in TRANSFORMS} == found - {AddLowResolution}


@pytest.mark.parametrize(("kind", "dims", "transform", "params"), CASES)
def test_moving_and_then_drawing_is_drawing_and_then_moving(kind, dims, transform, params):
    sample, example = sample_of([kind], dims=dims), EXAMPLES[kind]
    drawn = example.draw(sample.get(kind), sample.spatial_shape)
    expected = transform.apply(Sample("x", sample.image, (LabelMap(drawn),), sample.spacing_mm), params)
    moved = transform.apply(sample, params)
    assert np.array_equal(moved.image, expected.image)
    assert moved.name == sample.name
    assert len(moved.spacing_mm) == dims
    target, picture = moved.get(kind), expected.get(LabelMap).labels
    assert target.spatial_shape in (None, moved.spatial_shape)
    assert len(np.unique(picture)) > 1 or kind in (ImageClass, ClassShares)  # the case shows something
    inside = picture != IGNORE_INDEX
    assert np.array_equal(example.draw(target, moved.spatial_shape)[inside], picture[inside])


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("kind", READERS)
def test_a_crop_seeks_what_there_is_to_see(kind, dims):
    if dims not in EXAMPLES[kind].dims:
        return
    sample = sample_of([kind], seed=8, dims=dims)  # a single rectangle
    crop = ScaleCrop((3,) * dims, foreground_probability=1.0, category_max_ratio=0.99)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        pixel = sample.get(kind).foreground_pixel(rng, 0)
        if pixel is not None:
            assert EXAMPLES[kind].draw(sample.get(kind), sample.spatial_shape)[pixel] == 1
        cut = crop.apply(sample, crop.draw(rng, sample))
        assert cut.spatial_shape == (3,) * dims
        assert EXAMPLES[kind].draw(cut.get(kind), cut.spatial_shape).any()


STAYING = (Boxes, Words)
"""Kinds of which a part, or all, stays on the host when a batch is sent to a device."""


def arrays_of(form) -> list[torch.Tensor]:
    """Return the tensors that a batch holds of a kind."""
    if isinstance(form, torch.Tensor):
        return [form]
    values = [getattr(each, field.name) for each in form for field in fields(each)]
    return [value for value in values if isinstance(value, torch.Tensor)]


@pytest.mark.parametrize(
    "kinds", [*([kind] for kind in READERS), list(READERS)], ids=lambda k: f"{len(k)}{k[0].key}"
)
def test_batches_are_cut_sent_and_saved(kinds, tmp_path):
    samples = [sample_of(kinds, seed) for seed in range(3)]
    batch = collate(samples)
    for kind in kinds:
        assert len(batch.get(kind)) == 3

    part, alone = batch.part(1, 3), collate(samples[1:])
    assert part.names == ("image 1", "image 2")
    assert part.arrays().keys() == alone.arrays().keys()
    for name, array in alone.arrays().items():
        assert np.array_equal(part.arrays()[name], array)
    assert any(
        not np.array_equal(array, batch.part(0, 2).arrays()[name]) for name, array in alone.arrays().items()
    )

    sent = batch.to(torch.device("meta"))
    assert sent.names == batch.names
    for kind in kinds:
        before, after = arrays_of(batch.get(kind)), arrays_of(sent.get(kind))
        assert [tensor.shape for tensor in after] == [tensor.shape for tensor in before]
        # What the host must know stays there, see `ImageTargets.to`.
        assert all(tensor.device.type == "meta" for tensor in after) or kind in STAYING
        assert any(tensor.device.type == "meta" for tensor in after) or kind is Words

    save_batch(tmp_path / "kept" / "batch.npz", batch)
    with np.load(tmp_path / "kept" / "batch.npz") as saved:  # no pickle inside
        assert saved["names"].tolist() == list(batch.names)
        assert np.array_equal(saved["images"], batch.images.numpy())
        for kind in kinds:
            assert any(name.startswith(kind.key) for name in saved.files)
        values = [saved[name] for name in saved.files]
    for tensor in (tensor for kind in kinds for tensor in arrays_of(batch.get(kind))):
        assert any(np.array_equal(tensor.numpy(), value) for value in values)


class EveryKind(Source):
    """Two images of which all is known."""

    name = "every-kind"
    title = "Everything at once."
    shape = SHAPES[2]

    @classmethod
    def recognise(cls, root, settings):
        return None

    def index(self):
        return tuple(Record(name, Path(name), (Path(name),), label=7) for name in "ab"), ()

    def _rectangles(self, record):
        return rectangles_of(ord(record.name), self.shape)

    def read_image(self, record):
        return Picture(np.zeros((*self.shape, 3), np.uint8), Geometry(spacing_mm=(2.0, 1.0)))

    def read_values(self, record):
        return painted(self._rectangles(record), self.shape)

    def read_segments(self, record):
        return _segments(self._rectangles(record), self.shape)

    def read_words(self, record):
        return _words(self._rectangles(record), self.shape)

    def read_class(self, record):
        return record.label

    def read_tags(self, record):
        return (record.label, 3)


def test_every_kind_is_read_with_trained_labels_and_reaches_the_batch():
    values = (0, 1, 2, 3, 5, 4, 6, 7, 8, 9)
    table = LabelTable(tuple(LabelClass(f"class {v}", (v,), (v, v, v)) for v in values))
    source = EveryKind(Path("nowhere"), DatasetFile())
    dataset = Dataset(source, source.records, table, targets=tuple(READERS))
    samples = [dataset[0], dataset[1]]
    for sample in samples:
        assert sample.spacing_mm == (2.0, 1.0)
        assert [type(target) for target in sample.targets] == list(READERS)
        for array in sample.arrays():
            assert not array.flags.writeable
    assert samples[0].get(ImageClass).label == 7
    assert samples[0].get(Boxes).labels.tolist() == samples[0].get(Segments).labels.tolist()
    assert samples[0].get(Boxes).labels.tolist()[3:5] == [5, 4]  # values 4 and 5, trained as 5 and 4
    batch = collate(samples)
    assert batch.get(ImageClass).tolist() == [7, 7]
    assert batch.get(ClassShares).nonzero()[:, 1].tolist() == [3, 7, 3, 7]
    for kind in READERS:
        assert batch.get(kind) is not None


@pytest.mark.parametrize(("transform", "params"), TRANSFORMS, ids=str)
def test_the_classes_of_which_all_objects_are_drawn_travel_with_objects(transform, params):
    searched = frozenset({1, 3})
    for dims in dims_of(transform, params):
        kinds = [kind for kind in (Boxes, Segments) if dims in EXAMPLES[kind].dims]
        sample = sample_of(kinds, dims=dims)
        targets = tuple(replace(target, complete=searched) for target in sample.targets)
        moved = transform.apply(replace(sample, targets=targets), params)
        assert all(moved.get(kind).complete == searched for kind in kinds)
        all_drawn = tuple(replace(target, complete=None) for target in moved.targets)
        batch = collate([moved, replace(moved, targets=all_drawn)])
        for kind in kinds:
            known, every = batch.to(torch.device("cpu")).part(0, 2).get(kind)
            assert known.complete.tolist() == [1, 3]
            assert every.complete is None
        assert not any(name.endswith("complete_1") for name in batch.arrays())
