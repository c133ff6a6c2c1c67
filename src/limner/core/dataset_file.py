"""`dataset.yaml`, the only file besides the images that a user may have to write.

Every key is optional; missing ones are inferred from the data.
"""

import re
from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, field_validator, model_validator

from limner.core.config import Config
from limner.core.config_problems import union_tag
from limner.core.errors import ConfigError
from limner.core.labels import LabelClass, LabelTable, MaskEncoding, distinct_color, pack_rgb

FILE_NAME = "dataset.yaml"

MaskValue = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Byte = Annotated[int, Field(ge=0, le=255)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class ClassSettings(Config):
    """One class of `dataset.yaml`."""

    name: str = Field(min_length=1)
    """Name of the class."""
    names: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Names in the labels that mean this class, if they have several; the first is the class's own if `name`
    is missing."""
    value: MaskValue | None = None
    """Mask value of the class."""
    values: tuple[MaskValue, ...] = ()
    """Several mask values of the class; predictions are written with the first."""
    color: tuple[Byte, Byte, Byte] | None = None
    """RGB for drawing; with `mask_encoding: color` also the colour in the masks."""
    is_thing: bool | None = None
    """True for countable objects, false for stuff."""

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, given: object) -> object:
        """Accept a plain name, whose value is its position: ``classes: [background, polyp]``; or `names`."""
        if isinstance(given, dict) and "name" not in given and isinstance(given.get("names"), list | tuple):
            return {**given, "name": next(iter(given["names"]), "")}
        return {"name": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _check_value_or_values(self) -> "ClassSettings":
        if self.value is not None and self.values:
            raise ValueError("give either `value` or `values`, not both")
        if self.names and (self.value is not None or self.values):
            raise ValueError("give either `names` or the values in the labels, not both")
        return self

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names in the labels that mean this class: its own, and `names`."""
        return tuple(dict.fromkeys((self.name, *self.names)))

    def label_class(self, index: int, encoding: MaskEncoding) -> LabelClass:
        """Return the class at position `index`, with defaults for missing keys."""
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
    """Random splits, which depend only on the seed and the file names."""

    train: Fraction | None = None
    """Fraction of the images for training; defaults to the rest."""
    val: Fraction = 0.2
    """Fraction of the images for validation."""
    test: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Fraction of the images for testing."""
    seed: int = Field(default=0, ge=0)
    """Random seed."""

    @model_validator(mode="after")
    def _check_sum(self) -> "SplitFractions":
        if self.val + self.test >= 1:
            raise ValueError("val and test must leave images for training")
        if self.train is not None and abs(self.train + self.val + self.test - 1) > 1e-6:
            raise ValueError(
                f"train {self.train:g}, val {self.val:g} and test {self.test:g} must add up to 1; "
                "train may be omitted"
            )
        return self


class SplitLists(Config):
    """Explicit splits: a list file (one image name per line) or a subfolder for each."""

    train: str
    """List file or folder of the training images, relative to the dataset folder."""
    val: str | None = None
    """List file or folder of the validation images."""
    test: str | None = None
    """List file or folder of the test images."""


def _kind_of_splits(value: object) -> str:
    """Return the tag for lists if a value is text, else for fractions."""
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
    Annotated[Literal["index", "color", "objects"], union_tag("name")]
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
    """Name of the format, if it cannot be detected; `limner check` prints the detected one."""
    images: str | None = None
    """Pattern of the images relative to this file, such as `images/*.png`."""
    masks: str | None = None
    """Pattern of the masks, with `{stem}` for the image's stem: `masks/{stem}_mask.png`."""
    valid_region: str | None = None
    """Pattern of masks whose zero pixels are ignored, such as a camera's field of view."""
    mask_encoding: Encoding = "index"
    """Meaning of mask pixels: values (`index`), colours (`color`), a threshold, or numbers of the objects of
    one class (`objects`)."""
    classes: tuple[ClassSettings, ...] = ()
    """The classes in trained order."""
    ignored: tuple[IgnoredValue, ...] = ()
    """Mask values (or RGB colours) that losses and metrics ignore."""
    boxes: Literal["outline", "ignore"] | None = None
    """Objects with only a box, where others have masks: the box is the mask (`outline`), or losses and
    metrics ignore its pixels (`ignore`)."""
    images_resized: bool = False
    """Whether images were resized after their objects were drawn, so that labels are scaled to them."""
    class_attribute: str | None = None
    """VIA's attribute of regions that names their class, if they have several."""
    run_order: Literal["columns", "rows"] | None = None
    """Whether the run lengths of a CSV go down the columns or along the rows, if it cannot be told."""
    label_grid: Literal["image", "resample"] | None = None
    """Labels of volumes whose headers place them elsewhere than their image: they lie on the image voxel by
    voxel (`image`), or are moved to its grid by their headers (`resample`)."""
    cases: str | Literal[False] | None = None
    """Images that are slices of volumes: a regular expression, searched in their paths; images with the same
    match (its groups, or the whole) are one case, which stays in one split and is scored as one. `false` if
    images are no slices, whatever their names. If missing, names such as `case01_000` tell."""
    splits: Splits | None = None
    """Fractions with a seed, or list files or folders."""

    @field_validator("cases")
    @classmethod
    def _check_expression(cls, cases: str | Literal[False] | None) -> str | Literal[False] | None:
        if cases:
            try:
                re.compile(cases)
            except re.error as error:
                raise ValueError(f"should be a regular expression ({error}), or false") from None
        return cases

    @model_validator(mode="after")
    def _check_labels(self) -> "DatasetFile":
        counts = Counter(name for one in self.classes for name in one.label_names)
        repeated = [name for name, count in counts.items() if count > 1]
        if repeated and any(one.names for one in self.classes):
            raise ValueError(f"each name can mean one class; given to several: {', '.join(repeated)}")
        self.label_table()
        return self

    @property
    def encoding(self) -> MaskEncoding:
        """Encoding of the masks."""
        if isinstance(self.mask_encoding, ThresholdSettings):
            return MaskEncoding("threshold", self.mask_encoding.threshold)
        return MaskEncoding(self.mask_encoding)

    @property
    def ignored_values(self) -> tuple[int, ...]:
        """The ignored mask values; colours are packed into integers."""
        return tuple(v if isinstance(v, int) else pack_rgb(v) for v in self.ignored)

    def label_table(self) -> LabelTable | None:
        """Return the label table of `classes`, or None if there are none.

        Raises:
            ConfigError: There is a duplicate name or value.
        """
        if not self.classes:
            return None
        classes = tuple(c.label_class(i, self.encoding) for i, c in enumerate(self.classes))
        self._refuse_taken_positions()
        return LabelTable(classes, self.ignored_values, self.encoding)

    def _refuse_taken_positions(self) -> None:
        """Refuse a class without a value whose position is the value that another class states."""
        stated = {v: c.name for c in self.classes for v in (c.values or (c.value,)) if v is not None}
        for position, one in enumerate(self.classes):
            is_bare = one.value is None and not one.values
            if is_bare and position in stated and self.encoding.kind != "color":
                raise ConfigError(
                    f"The class {one.name!r} has no value, so it would take its position, {position}, which "
                    f"is the value of {stated[position]!r}. Give each class a value, or none of them."
                )


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of `dataset.yaml`, for editors."""
    schema = DatasetFile.model_json_schema()
    classes = schema["properties"]["classes"]
    classes["items"] = {"anyOf": [classes["items"], {"type": "string"}]}
    one = schema["$defs"]["ClassSettings"]
    one["anyOf"] = [{"required": one.pop("required")}, {"required": ["names"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": FILE_NAME}
