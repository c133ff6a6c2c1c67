"""A source made of arrays on disk, so that checks are tested without the formats around them."""

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError
from limner.core.picture import Picture
from limner.core.sample import Record
from limner.formats.source import Source
from limner.images.masks import ColouredMaskError


class FakeSource(Source):
    """`images/*` with `masks/*` of the same stem; an optional first folder is the split."""

    name = "fake"
    title = "For tests."

    @classmethod
    def recognise(cls, root, settings):
        return None

    def index(self):
        records = []
        for image in sorted(self.root.rglob("images/*")):
            base = image.parent.parent
            labels = tuple(sorted((base / "masks").glob(image.stem + ".*")))
            split = base.name if base != self.root else None
            records.append(Record(f"{split or ''}{'/' if split else ''}{image.stem}", image, labels, split))
        return tuple(records), ()

    def read_image(self, record):
        if record.image.suffix == ".npy":
            return Picture(np.load(record.image))
        image = cv2.imread(str(record.image), cv2.IMREAD_UNCHANGED)
        if image is None:
            raise DataError(f"{record.image} cannot be read.")
        return Picture(image[..., None] if image.ndim == 2 else image[..., 2::-1])

    def read_values(self, record):
        with PillowImage.open(record.labels[0]) as picture:
            values = np.asarray(picture)
        encoding = self.settings.encoding
        if values.ndim == 3:
            if encoding.kind == "color":
                return values[..., :3].astype(np.int32) @ np.array([65536, 256, 1], np.int32)
            if not (values == values[..., :1]).all():
                raise ColouredMaskError(f"{record.labels[0]} is coloured.", values[..., :3])
            values = values[..., 0]
        if encoding.kind == "threshold":
            return (values > encoding.threshold).astype(np.uint8)
        return values


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def make_source(tmp_path):
    """Write (image, mask) arrays as PNG and open them; keys are `stem` or `split/stem`."""

    def make(pairs, settings=None, mask_suffix=".png"):
        for key, (image, mask) in pairs.items():
            folder, _, stem = key.rpartition("/")
            _write(tmp_path / folder / "images" / f"{stem}.png", image)
            if mask is not None:
                _write(tmp_path / folder / "masks" / f"{stem}{mask_suffix}", mask)
        return FakeSource(tmp_path, DatasetFile.model_validate(settings or {}))

    return make


def _write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(array, bytes):
        path.write_bytes(array)
    else:
        PillowImage.fromarray(array).save(path)
