"""`dataset.yaml`: the one thing a user may have to write, beside the images.

Every key is optional; what is missing is found by looking at the data.
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, model_validator

from limner.core.config import Config
from limner.core.config_problems import union_tag
from limner.core.labels import LabelClass, LabelTable, MaskEncoding, distinct_color, pack_rgb

FILE_NAME = "dataset.yaml"

MaskValue = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Byte = Annotated[int, Field(ge=0, le=255)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class ClassSettings(Config):
    """One class of `dataset.yaml`."""

    name: str = Field(min_length=1)
    """What people call the class."""
    value: MaskValue | None = None
    """The mask value that means it."""
    values: tuple[MaskValue, ...] = ()
    """Several mask values that all mean it; the first is written back."""
    color: tuple[Byte, Byte, Byte] | None = None
    """RGB for drawing; with `mask_encoding: color` also the colour in the masks."""
    is_thing: bool | None = None
    """True for countable objects, false for stuff."""

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, given: object) -> object:
        """A class that is only a name has its position as its value: ``classes: [background, polyp]``."""
        return {"name": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _one_way_to_say_the_value(self) -> "ClassSettings":
        if self.value is not None and self.values:
            raise ValueError("give either `value` or `values`, not both")
        return self

    def label_class(self, index: int, encoding: MaskEncoding) -> LabelClass:
        """Return the class at position `index`, with what was left out filled in."""
        color = self.color or distinct_color(index)
        values = self.values or (() if self.value is None else (self.value,))
        if not values:
            values = (pack_rgb(color),) if encoding.kind == "color" else (index,)
        return LabelClass(self.name, values, color, self.is_thing)


class ThresholdSettings(Config):
    """Masks stored with compression noise: pixels above the threshold are 1, the others 0."""

    threshold: int = Field(ge=0, le=65534)
    """Pixels greater than this are 1."""


class SplitFractions(Config):
    """Splits drawn at random, the same for the same seed and file names."""

    train: Fraction | None = None
    """Fraction of the images for training; left out, it is what the others leave."""
    val: Fraction = 0.2
    """Fraction of the images for validation."""
    test: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Fraction of the images kept for testing."""
    seed: int = Field(default=0, ge=0)
    """Seed of the draw."""

    @model_validator(mode="after")
    def _something_left_to_train_on(self) -> "SplitFractions":
        if self.val + self.test >= 1:
            raise ValueError("val and test together must leave images to train on")
        if self.train is not None and abs(self.train + self.val + self.test - 1) > 1e-6:
            raise ValueError(
                f"train {self.train:g}, val {self.val:g} and test {self.test:g} must add up to 1; "
                "train may be left out"
            )
        return self


class SplitLists(Config):
    """Splits named one by one: a list file (one image name a line) or a subfolder each."""

    train: str
    """List file or folder of the training images, relative to the dataset folder."""
    val: str | None = None
    """List file or folder of the validation images."""
    test: str | None = None
    """List file or folder of the test images."""


def _kind_of_splits(value: object) -> str:
    """Return the tag of fractions or of lists: names are text, fractions are numbers."""
    values = value.values() if isinstance(value, dict) else ()
    named = isinstance(value, SplitLists) or any(isinstance(v, str) for v in values)
    return "<lists>" if named else "<fractions>"


def _kind_of_encoding(value: object) -> str:
    return "<threshold>" if isinstance(value, dict | ThresholdSettings) else "<name>"


def _kind_of_ignored(value: object) -> str:
    return "<color>" if isinstance(value, list | tuple) else "<value>"


Splits = Annotated[
    Annotated[SplitFractions, union_tag("fractions")] | Annotated[SplitLists, union_tag("lists")],
    Discriminator(_kind_of_splits),
]
Encoding = Annotated[
    Annotated[Literal["index", "color"], union_tag("name")]
    | Annotated[ThresholdSettings, union_tag("threshold")],
    Discriminator(_kind_of_encoding),
]
IgnoredValue = Annotated[
    Annotated[MaskValue, union_tag("value")] | Annotated[tuple[Byte, Byte, Byte], union_tag("color")],
    Discriminator(_kind_of_ignored),
]


class DatasetFile(Config):
    """The whole of `dataset.yaml`."""

    format: str | None = None
    """Name of the format, where looking is not enough; `limner check` prints what it recognised."""
    images: str | None = None
    """Pattern of the images relative to this file, such as `images/*.png`."""
    masks: str | None = None
    """Pattern of the masks, `{stem}` standing for the image's own: `masks/{stem}_mask.png`."""
    valid_region: str | None = None
    """Pattern of masks whose zero pixels are ignored, such as a camera's field of view."""
    mask_encoding: Encoding = "index"
    """How mask pixels become values: as they are, by colour, or by threshold."""
    classes: tuple[ClassSettings, ...] = ()
    """The classes in trained order."""
    ignored: tuple[IgnoredValue, ...] = ()
    """Mask values (or RGB colours) that no loss and no metric looks at."""
    splits: Splits | None = None
    """Fractions with a seed, or list files or folders."""

    @model_validator(mode="after")
    def _labels_make_a_table(self) -> "DatasetFile":
        self.label_table()
        return self

    @property
    def encoding(self) -> MaskEncoding:
        """How mask pixels become values."""
        if isinstance(self.mask_encoding, ThresholdSettings):
            return MaskEncoding("threshold", self.mask_encoding.threshold)
        return MaskEncoding(self.mask_encoding)

    @property
    def ignored_values(self) -> tuple[int, ...]:
        """The ignored mask values, colours packed."""
        return tuple(v if isinstance(v, int) else pack_rgb(v) for v in self.ignored)

    def label_table(self) -> LabelTable | None:
        """Return the label table that the classes spell out, or None where none are named.

        Raises:
            ConfigError: A name or value stands twice.
        """
        if not self.classes:
            return None
        classes = tuple(c.label_class(i, self.encoding) for i, c in enumerate(self.classes))
        return LabelTable(classes, self.ignored_values, self.encoding)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of `dataset.yaml`, for editors."""
    schema = DatasetFile.model_json_schema()
    classes = schema["properties"]["classes"]
    classes["items"] = {"anyOf": [classes["items"], {"type": "string"}]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": FILE_NAME, **schema}
