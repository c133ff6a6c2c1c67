"""What the questions about label values look at, and how they list values."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from limner.checks.class_findings import percentage
from limner.checks.facts import DatasetFacts, ImageFacts
from limner.core.dataset_file import DatasetFile
from limner.core.labels import LabelTable
from limner.formats.terms import MASKS, Terms

MOST_UNNAMED = 255
"""More unnamed values than this are numbers of objects, depths or a photograph, rather than classes."""


@dataclass(frozen=True)
class LabelCase:
    """The label values of a dataset, and what is known about them.

    Attributes:
        settings: `dataset.yaml`.
        declared: The table that it or the format spells out, or None.
        facts: Every mask, read as the settings say.
        ignored: Values that the format ignores whatever the settings say.
        terms: The words of the format.
    """

    settings: DatasetFile
    declared: LabelTable | None
    facts: DatasetFacts
    ignored: tuple[int, ...] = ()
    terms: Terms = MASKS

    @property
    def elements(self) -> str:
        """What masks consist of: ``pixels`` or ``voxels``."""
        return f"{self.facts.element}s"

    @cached_property
    def counts(self) -> Counter[int]:
        """Value -> pixels, without the values that are ignored."""
        ignored = {*self.settings.ignored_values, *self.ignored}
        ignored |= set(self.declared.ignored_values) if self.declared else set()
        # What the settings name as a class is one, even where the format would ignore it.
        ignored -= {v for c in self.declared.classes for v in c.values} if self.declared else set()
        return Counter({v: n for v, n in self.facts.value_counts.items() if v not in ignored})

    @cached_property
    def values(self) -> list[int]:
        """The values found, sorted."""
        return sorted(self.counts)

    @cached_property
    def num_values(self) -> int:
        """How many values there are; of a photograph the facts keep only some."""
        return max(len(self.values), max((i.num_values for i in self.facts.labelled), default=0))

    @property
    def is_misread(self) -> bool:
        """Whether masks are coloured although the settings read them as numbers."""
        return self.settings.encoding.kind != "color" and any(
            i.label_kind == "color" for i in self.facts.labelled
        )

    def files(self, wanted: Callable[[ImageFacts], bool]) -> list[str]:
        """Return the label files of the images that `wanted` picks."""
        return [image.label_file for image in self.facts.labelled if wanted(image)]

    def share(self, values: Iterable[int]) -> str:
        """Return the share of the pixels that have one of these values, as a percentage."""
        return percentage(sum(self.counts[value] for value in values) / sum(self.counts.values()))

    def ignoring(self, values: Iterable[int]) -> dict[str, Any]:
        """Return the proposal to ignore further values."""
        return {"ignored": [*self.settings.model_dump(mode="json")["ignored"], *values]}


def color_list(counts: Mapping[int, int]) -> str:
    """Return the most common colours as #rrggbb with their share."""
    total = sum(counts.values()) or 1
    commonest = sorted(counts.items(), key=lambda item: -item[1])[:12]
    shown = ", ".join(f"#{v:06x} {percentage(n / total)}" for v, n in commonest)
    return shown + (", ..." if len(counts) > 12 else "")


def number_list(values: list[int]) -> str:
    """Return sorted numbers as ranges: ``0-10, 255``."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    shown = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs[:12])
    return shown + (", ..." if len(runs) > 12 else "")
