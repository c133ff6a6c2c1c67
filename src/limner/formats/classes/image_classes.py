"""Base of the formats that give a class for the whole image."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from limner.core.errors import ConfigError, DataError, describe
from limner.core.labels import LabelClass, LabelTable, ValueMap, distinct_color
from limner.core.sample import Record
from limner.formats.named_classes import refuse_names, with_values_if_named
from limner.formats.source import Source
from limner.formats.terms import IMAGE_CLASSES, Terms


class ImageClasses(Source):
    """Images with one class each; `index` numbers the classes from 0 and names them in `class_names`."""

    terms: ClassVar[Terms] = IMAGE_CLASSES
    tasks = ("classification",)
    class_names: Sequence[str] = ()

    def read_class(self, record: Record) -> int:
        """Return the number of the image's class, from 0."""
        if record.label is None:
            return super().read_class(record)
        return record.label

    def read_values(self, record: Record) -> ValueMap:
        """Raise an error, since there is no class for each pixel."""
        raise DataError(
            describe(
                f"The format {self.name} gives a class for each image, not for each pixel",
                where=record.image,
                expected="masks, polygons or boxes",
            )
        )

    def declared_labels(self) -> LabelTable:
        """Return the classes as `dataset.yaml` orders them, or renames them all, else as they are numbered.

        Raises:
            ConfigError: `dataset.yaml` names another number of classes.
            DataError: No image has a class.
        """
        if not self.class_names:
            raise DataError(describe("No image has a class", where=self.root, expected=self.title))
        names = self.class_names
        known = tuple(LabelClass(name, (i,), distinct_color(i)) for i, name in enumerate(names))
        if not self.settings.classes:
            return LabelTable(known)
        settings = with_values_if_named(self.settings, known, where=self.root)
        refuse_names(settings, self.root)
        table = settings.label_table()
        assert table is not None
        values = sorted(value for c in table.classes for value in c.values)
        if len(values) != len(names):
            raise ConfigError(
                f"dataset.yaml names {len(values)} classes, and the images have {len(names)}: "
                f"{', '.join(names[:5])}{', ...' if len(names) > 5 else ''}."
            )
        if values != list(range(len(names))):
            raise ConfigError(
                f"dataset.yaml gives the classes values other than 0 to {len(names) - 1}, the numbers of the "
                f"classes of the images: {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}. "
                "Remove the values."
            )
        return LabelTable(table.classes)

    def cache_state(self) -> dict[str, npt.NDArray[Any]] | None:
        """Return the names of the classes."""
        return {"class_names": np.array(list(self.class_names), np.str_)}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take the names back."""
        self.class_names = tuple(state["class_names"].tolist())
