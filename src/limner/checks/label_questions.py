"""The open question about label values, if there is one, and the proposed answer."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from limner.checks.class_findings import percentage
from limner.checks.codes import make, place
from limner.checks.facts import DatasetFacts, ImageFacts
from limner.checks.naming import color_proposal, two_classes
from limner.checks.object_numbers import object_numbers
from limner.checks.two_levels import MIN_WHITE, is_two_levels, middle_level, threshold_between
from limner.core.dataset_file import DatasetFile
from limner.core.finding import Finding, Severity
from limner.core.labels import LabelTable, pack_rgb, unpack_rgb
from limner.formats.terms import MASKS, Terms

VOID = 255

MOST_UNNAMED = 255
"""More unnamed values than this are numbers of objects, depths or a photograph, rather than classes."""

SPECK_AREA = 3.0
"""Colours whose pieces have fewer pixels than this on average are caused by smoothing, not classes."""

SPECK_SHARE = 0.005

SAME_COLOR = 8
"""Difference in a channel up to which two colours of palettes are the same."""


@dataclass(frozen=True)
class _Case:
    """What the questions look at.

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

    def files(self, wanted: Callable[[ImageFacts], bool]) -> list[str]:
        """Return the label files of the images that `wanted` picks."""
        return [image.label_file for image in self.facts.labelled if wanted(image)]


def open_question(
    settings: DatasetFile,
    declared: LabelTable | None,
    facts: DatasetFacts,
    *,
    ignored: tuple[int, ...] = (),
    terms: Terms = MASKS,
) -> Finding | None:
    """Return the open question about the label values, or None.

    Args:
        settings: `dataset.yaml`, or its defaults.
        declared: The table that it or the format defines.
        facts: The result of `scan`, with at least one mask.
        ignored: Values that the format ignores.
        terms: The words of the format.
    """
    case = _Case(settings, declared, facts, ignored, terms)
    if nothing := _single(case):
        return nothing
    if "mask_encoding" not in settings.model_fields_set and (asked := _meaning(case)):
        return asked
    if declared is not None and not declared.unknown_values(case.values) and not _are_misread(case):
        return None
    questions = (_colors, _negative, _noise, _large_value, _void, _outside, _too_many)
    return next((finding for ask in questions if (finding := ask(case))), None)


_AS_STORED = "If the numbers are right as they are, write `mask_encoding: index` into dataset.yaml."


def _meaning(case: _Case) -> Finding | None:
    """Return the question about the encoding of masks, which `mask_encoding` in dataset.yaml answers."""
    may_number = case.declared is None and not _are_misread(case)
    objects = object_numbers(case.facts) if may_number else None
    is_open = objects is not None and objects.severity is Severity.ERROR
    return _palettes(case) or _inverted(case) or _no_data(case) or (objects if is_open else None)


def _palettes(case: _Case) -> Finding | None:
    """Report palettes that show one number in different colours: their order differs from mask to mask."""
    first: dict[int, tuple[int, str]] = {}
    unlike: dict[str, int] = {}
    for image in case.facts.labelled:
        for value, color in image.palette.items():
            shown, _ = first.setdefault(value, (color, image.label_file))
            if _distance(shown, color) > SAME_COLOR:
                unlike.setdefault(image.label_file, value)
    if not unlike:
        return None
    file, value = next(iter(unlike.items()))
    colors = next(image.palette for image in case.facts.labelled if image.label_file == file)
    shown, other = first[value]
    counts = Counter[int]()
    for image in case.facts.labelled:
        for number, pixels in image.value_counts.items():
            counts[image.palette.get(number, -1)] += pixels
    proposal = color_proposal(counts) if -1 not in counts and len(counts) <= MOST_UNNAMED else None
    return make(
        "palettes-differ",
        place(list(unlike)),
        f"{value} is #{colors[value]:06x} here and #{shown:06x} in {other}: palettes differ in {len(unlike)} "
        f"masks; by colour there are {len(counts)} classes, {color_list(counts)}",
        expected="one colour for each number in all masks",
        fix=("Accept that each colour is a class. " if proposal else "Save all masks with one palette. ")
        + _AS_STORED,
        files=list(unlike),
        proposal=proposal,
    )


def _distance(color: int, other: int) -> int:
    return max(abs(a - b) for a, b in zip(unpack_rgb(color), unpack_rgb(other), strict=True))


def _inverted(case: _Case) -> Finding | None:
    """Report masks of which some are stored inverted, which programs read in two ways."""
    files = case.files(lambda image: image.label_is_inverted)
    if not files or len(files) == len(case.facts.labelled):
        return None
    return make(
        "masks-partly-inverted",
        place(files),
        f"{len(files)} of {len(case.facts.labelled)} masks are TIFF files tagged WhiteIsZero, whose numbers "
        "some programs show inverted and others do not; here they are inverted",
        expected="all masks stored alike",
        fix="Compare one of these masks with its image, and save all masks as PNG. If they are right "
        "inverted, write `mask_encoding: index` into dataset.yaml.",
        files=files,
    )


def _no_data(case: _Case) -> Finding | None:
    """Report a no-data value by GDAL's tag: pixels to ignore, or the background, as QGIS writes it."""
    named = set(case.declared.trained_as) if case.declared else set()
    tagged = {image.label_no_data for image in case.facts.labelled} - {None} - named
    values = [value for value in case.values if value in tagged]
    if not values:
        return None
    (value, *_), others = values, [v for v in case.values if v not in tagged]
    files = case.files(lambda image: image.label_no_data == value)
    share = percentage(case.counts[value] / sum(case.counts.values()))
    found = f"{value} is the no-data value by the GDAL tag of {len(files)} masks, on {share} of the pixels"
    if len(others) == 1:
        return make(
            "mask-has-no-data",
            place(files),
            f"{found}; besides it there is only {others[0]}",
            expected="background and foreground",
            fix=f"Accept {value} as the background. If these pixels are unknown instead, the masks have only "
            "one class.",
            files=files,
            proposal={"classes": two_classes(case.settings, (value,), (others[0],))},
        )
    return make(
        "mask-has-no-data",
        place(files),
        found,
        expected="to know whether these pixels are unknown, or a class such as the background",
        fix="Accept that they are ignored: losses and scores skip them. " + _AS_STORED,
        files=files,
        proposal={"ignored": [*case.settings.model_dump(mode="json")["ignored"], *values]},
    )


def _are_misread(case: _Case) -> bool:
    """Tell whether masks are coloured although the settings read them as numbers."""
    return case.settings.encoding.kind != "color" and any(
        i.label_kind == "color" for i in case.facts.labelled
    )


def _colors(case: _Case) -> Finding | None:
    files = case.files(lambda image: image.label_kind == "color")
    if not files or (case.declared is not None and case.declared.encoding.kind == "color"):
        return None
    specks = _specks(case)
    lossy = any(image.label_is_lossy for image in case.facts.labelled)
    if specks or lossy or case.num_values > MOST_UNNAMED:
        cause = "JPEG compression" if lossy else "smoothed (anti-aliased) edges or a photograph"
        return make(
            "mask-colours-unclear",
            place(files),
            f"{case.num_values} colours, {len(specks)} of them only in specks; {color_list(case.counts)}",
            expected="one exact colour for each class",
            fix=f"The cause is probably {cause}: export the masks again as PNG without smoothing.",
            files=files,
        )
    if mixed := _mixed_kinds(case, files):
        return mixed
    named = {pack_rgb(c.color): c.name for c in case.settings.classes if c.color}
    proposal = {"mask_encoding": "color"} if set(case.values) <= named.keys() else color_proposal(case.counts)
    return make(
        "mask-is-coloured",
        place(files),
        f"masks show classes as {len(case.values)} colours: {color_list(case.counts)}",
        expected="class numbers, or a table of colours in dataset.yaml",
        fix="Accept one class for each colour, then name the classes in dataset.yaml.",
        files=files,
        proposal=proposal,
    )


def _mixed_kinds(case: _Case, coloured: list[str]) -> Finding | None:
    """Report masks of one channel beside coloured ones, whose numbers would be mistaken for colours."""
    grey = case.files(lambda image: image.label_kind == "index" and image.value_counts.keys() - {0} != set())
    if not grey:
        return None
    odd, others, kind = (
        (coloured, grey, "in colour") if len(coloured) <= len(grey) else (grey, coloured, "grey")
    )
    return make(
        "mask-kinds-mixed",
        place(odd),
        f"{len(odd)} of {len(odd) + len(others)} masks {'is' if len(odd) == 1 else 'are'} {kind}, unlike "
        f"{place(others)}",
        expected="all masks with one channel of class numbers, or all in the same colours",
        fix=f"Save {place(odd)} like the others.",
        files=odd,
    )


def _specks(case: _Case) -> list[int]:
    pieces, pixels = Counter[int](), Counter[int]()
    for image in case.facts.labelled:
        for value, part in image.components.items():
            pieces[value] += part.count
            pixels[value] += image.value_counts[value]
    total = sum(case.counts.values())
    return [
        v for v in case.values if pieces[v] and pixels[v] < min(SPECK_AREA * pieces[v], SPECK_SHARE * total)
    ]


def _negative(case: _Case) -> Finding | None:
    """Report numbers below 0, which labelme's NPY files hold where its PNG files hold 255."""
    below = [v for v in case.values if v < 0]
    if not below or len(below) == len(case.values):
        return None
    files = case.files(lambda image: not image.value_counts.keys().isdisjoint(below))
    share = percentage(sum(case.counts[v] for v in below) / sum(case.counts.values()))
    return make(
        "mask-has-negative",
        place(files),
        f"{number_list(below)} on {share} of the {case.elements}; masks that hold it: {len(files)}",
        expected="class numbers from 0 on",
        fix=f"Accept that negative {case.elements} are ignored: losses and scores skip them.",
        files=files,
        proposal={"ignored": [*case.settings.model_dump(mode="json")["ignored"], *below]},
    )


def _noise(case: _Case) -> Finding | None:
    lossy = case.files(lambda image: image.label_is_lossy)
    if case.settings.encoding.kind != "index" or not (lossy or len(case.values) > 3):
        return None
    threshold = threshold_between(case.counts)
    if not lossy and (threshold is None or not is_two_levels(case.values)):
        return None
    found = f"{len(case.values)} values between {case.values[0]} and {case.values[-1]}"
    if threshold is None:
        return make(
            "mask-is-jpeg",
            place(lossy),
            f"{found}, without two distinct levels",
            expected="the class numbers that were drawn",
            fix="JPEG has changed the numbers beyond repair: export the masks again as PNG.",
            files=lossy,
        )
    if (level := middle_level(case.counts)) is not None:
        return _three_levels(case, level, lossy)
    above = sum(n for v, n in case.counts.items() if v > threshold)
    ends = {case.values[0], case.values[-1]}
    files = lossy or case.files(lambda image: not image.value_counts.keys() <= ends)
    share = percentage(above / sum(case.counts.values()))
    return make(
        "mask-is-jpeg" if lossy else "mask-has-soft-edges",
        place(files),
        f"{found}: black and white, with {'compression noise' if lossy else 'soft edges or variants'}",
        expected="two values, background and foreground",
        fix=f"Accept the threshold: {case.elements} greater than {threshold} become foreground, {share} of "
        "all.",
        files=files,
        proposal={
            "mask_encoding": {"threshold": threshold},
            "classes": two_classes(case.settings, (0,), (1,)),
        },
    )


def _three_levels(case: _Case, level: int, lossy: list[str]) -> Finding:
    """Report masks of three levels or more with greys between them, which no threshold can separate."""
    low, high = case.values[0], case.values[-1]
    files = case.files(lambda image: not image.value_counts.keys() <= {low, level, high})
    return make(
        "mask-is-jpeg" if lossy else "mask-has-soft-edges",
        place(lossy or files),
        f"{len(case.values)} values between {low} and {high}, most of them {low}, about {level}, or {high}: "
        "three classes, with greys between them",
        expected="one value for each class",
        fix="Export the masks again as PNG without smoothing; resize them without interpolation (nearest).",
        files=lossy or files,
    )


def _large_value(case: _Case) -> Finding | None:
    """Report masks of 0 and 255, or of 0, 1 and 255 if no mask holds both 1 and 255."""
    if case.settings.encoding.kind != "index" or case.values[-1] < MIN_WHITE:
        return None
    files = case.files(lambda image: case.values[-1] in image.value_counts)
    white = case.values[-1]
    if len(case.values) == 2:
        low, share = case.values[0], percentage(case.counts[white] / sum(case.counts.values()))
        return make(
            "mask-is-0-255",
            place(files),
            f"masks hold {low} and {white}; {white} covers {share} of the {case.elements}",
            expected=f"0 and 1; elsewhere {white} often means: ignore this {case.facts.element}",
            fix=f"Accept {white} as the foreground, trained as 1.",
            files=files,
            proposal={"classes": two_classes(case.settings, (low,), (white,))},
        )
    if case.values == [0, 1, VOID] and not case.files(lambda i: {1, VOID} <= i.value_counts.keys()):
        return make(
            "mask-encodings-mixed",
            place(files),
            f"{len(files)} masks mark the foreground with 255, the others with 1, and none holds both",
            expected="one value for the foreground",
            fix="Accept both values as the foreground.",
            files=files,
            proposal={"classes": two_classes(case.settings, (0,), (1, VOID))},
        )
    return None


def _void(case: _Case) -> Finding | None:
    """Report class numbers with 255 far above them."""
    others = [v for v in case.values if v != VOID]
    if case.settings.encoding.kind != "index" or VOID not in case.values or len(others) == 0:
        return None
    if case.declared is not None and case.declared.unknown_values(others):
        return None
    if others[-1] >= MIN_WHITE or case.num_values > MOST_UNNAMED:
        return None
    files = case.files(lambda image: VOID in image.value_counts)
    share = percentage(case.counts[VOID] / sum(case.counts.values()))
    return make(
        "mask-ignores-255",
        place(files),
        f"class numbers {number_list(others)}, and 255 on {share} of the {case.elements}, in {len(files)} "
        "masks",
        expected="to know whether 255 is a class",
        fix=f"Accept that {case.elements} of value 255 are ignored: losses and scores skip them.",
        files=files,
        proposal={"ignored": [*case.settings.model_dump(mode="json")["ignored"], VOID]},
    )


def _outside(case: _Case) -> Finding | None:
    if case.declared is None:
        return None
    unknown = case.declared.unknown_values(case.values)
    if not unknown:
        return None
    files = case.files(lambda image: not image.value_counts.keys().isdisjoint(unknown))
    is_color = case.declared.encoding.kind == "color"
    listed = color_list({v: case.counts[v] for v in unknown}) if is_color else number_list(unknown)
    known = ", ".join(
        f"{f'#{v:06x}' if is_color else v} ({c.name})"
        for c in case.declared.classes[:12]
        for v in c.values[:3]
    )
    short = len(case.values) > len(case.declared.trained_as)
    return make(
        "class-list-too-short" if short else "values-not-named",
        place(files),
        f"the {case.terms.labels} have {len(case.values)} values; not named: {listed}",
        expected=f"only the {case.declared.num_classes} named classes: {known}",
        fix="Add the missing ones under `classes` in dataset.yaml, or under `ignored`.",
        files=files,
    )


def _too_many(case: _Case) -> Finding | None:
    if case.num_values <= MOST_UNNAMED:
        return None
    files = case.files(lambda image: image.num_values > MOST_UNNAMED) or case.files(lambda _: True)
    return make(
        "too-many-values",
        place(files),
        f"{case.num_values} values between {case.values[0]} and {case.values[-1]}",
        expected=f"at most {MOST_UNNAMED} classes, or a name for each",
        fix="Are these the images instead of the masks, or numbers of objects? "
        "Set the pattern `masks` in dataset.yaml. If they are classes, name them all under `classes` there.",
        files=files,
    )


def _single(case: _Case) -> Finding | None:
    trained = case.declared.trained_as if case.declared else {}
    if len({trained.get(value, -1 - value) for value in case.values}) > 1:
        return None
    terms, ignored = case.terms, f"ignored {case.elements}"
    names = {v: c.name for c in case.declared.classes for v in c.values} if case.declared else {}
    held = f"the value {number_list(case.values)}" if case.values else ignored
    if terms != MASKS:
        held = ", ".join(dict.fromkeys(names[v] for v in case.values if v in names)) or ignored
    right = "the right files are used as masks, and whether " if terms == MASKS else ""
    return make(
        "one-value-only",
        f"the {terms.labels}",
        f"all {len(case.facts.labelled)} {terms.holder}s {terms.hold} nothing but {held}",
        expected="at least two classes",
        fix=f"Check whether {right}the export wrote the labels.",
        files=case.files(lambda _: True),
    )


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
