"""The open question about label values, if there is one, and the proposed answer."""

from limner.checks.codes import make, place
from limner.checks.encoding_questions import (
    ask_colors,
    ask_inverted,
    ask_names,
    ask_no_data,
    ask_noise,
    ask_palettes,
)
from limner.checks.facts import DatasetFacts
from limner.checks.label_case import MOST_UNNAMED, LabelCase, color_list, number_list
from limner.checks.naming import two_classes
from limner.checks.object_numbers import object_numbers
from limner.checks.two_levels import MIN_WHITE
from limner.core.dataset_file import DatasetFile
from limner.core.finding import Finding, Severity
from limner.core.labels import LabelTable
from limner.formats.terms import MASKS, Terms

VOID = 255


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
    case = LabelCase(settings, declared, facts, ignored, terms)
    if nothing := _single(case):
        return nothing
    if "mask_encoding" not in settings.model_fields_set and (asked := _meaning(case)):
        return asked
    if declared is not None and not declared.unknown_values(case.values) and not case.is_misread:
        return None
    questions = (ask_colors, _negative, ask_noise, _large_value, _void, _outside, _too_many)
    return next((finding for ask in questions if (finding := ask(case))), None)


def _meaning(case: LabelCase) -> Finding | None:
    """Return the question about the encoding of masks, which `mask_encoding` in dataset.yaml answers."""
    may_number = case.declared is None and not case.is_misread
    objects = object_numbers(case.facts) if may_number else None
    is_open = objects is not None and objects.severity is Severity.ERROR
    ways = (ask_palettes, ask_names, ask_inverted, ask_no_data)
    asked = next((finding for ask in ways if (finding := ask(case))), None)
    return asked or (objects if is_open else None)


def _negative(case: LabelCase) -> Finding | None:
    """Report numbers below 0, which labelme's NPY files hold where its PNG files hold 255."""
    below = [v for v in case.values if v < 0]
    if not below or len(below) == len(case.values):
        return None
    files = case.files(lambda image: not image.value_counts.keys().isdisjoint(below))
    share = case.share(below)
    return make(
        "mask-has-negative",
        place(files),
        f"{number_list(below)} on {share} of the {case.elements}; masks that hold it: {len(files)}",
        expected="class numbers from 0 on",
        fix=f"Accept that negative {case.elements} are ignored: losses and scores skip them.",
        files=files,
        proposal=case.ignoring(below),
    )


def _large_value(case: LabelCase) -> Finding | None:
    """Report masks of 0 and 255, or of 0, 1 and 255 if no mask holds both 1 and 255."""
    if case.settings.encoding.kind != "index" or case.values[-1] < MIN_WHITE:
        return None
    files = case.files(lambda image: case.values[-1] in image.value_counts)
    white = case.values[-1]
    if len(case.values) == 2:
        low, share = case.values[0], case.share([white])
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


def _void(case: LabelCase) -> Finding | None:
    """Report class numbers with 255 far above them."""
    others = [v for v in case.values if v != VOID]
    if case.settings.encoding.kind != "index" or VOID not in case.values or len(others) == 0:
        return None
    if case.declared is not None and case.declared.unknown_values(others):
        return None
    if others[-1] >= MIN_WHITE or case.num_values > MOST_UNNAMED:
        return None
    files = case.files(lambda image: VOID in image.value_counts)
    share = case.share([VOID])
    return make(
        "mask-ignores-255",
        place(files),
        f"class numbers {number_list(others)}, and 255 on {share} of the {case.elements}, in {len(files)} "
        "masks",
        expected="to know whether 255 is a class",
        fix=f"Accept that {case.elements} of value 255 are ignored: losses and scores skip them.",
        files=files,
        proposal=case.ignoring([VOID]),
    )


def _outside(case: LabelCase) -> Finding | None:
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


def _too_many(case: LabelCase) -> Finding | None:
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


def _single(case: LabelCase) -> Finding | None:
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
