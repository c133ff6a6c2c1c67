"""The page of `limner check --report`: classes, sizes, samples and findings."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import floor, log2, prod
from statistics import median

from limner.checks.class_table import ClassTable, ClassTableRow, class_table
from limner.checks.facts import DatasetFacts
from limner.checks.label_rows import LabelRow
from limner.core.finding import Finding, Severity
from limner.core.labels import RGB, LabelTable
from limner.drawing.display import RGBImage
from limner.formats.terms import MASKS, Terms
from limner.reporting.document import Part, render_document
from limner.reporting.embedded_pictures import BUDGET_BYTES, Embedded, embed_pictures
from limner.reporting.histogram import histogram, legible_bars
from limner.reporting.markup import Child, Html, tag
from limner.reporting.numbers import a, compact, count, in_percent, percent, plural
from limner.reporting.sections.audit import finding_list

Picture = tuple[str, RGBImage]
"""Caption and picture."""

MANY_CLASSES = 8
_WITHOUT_FOLDERS = re.compile(r"\S*/(?=\S)")
"""Folders of a path, left out of captions to save space."""


@dataclass(frozen=True)
class CheckedData:
    """Content of the page.

    Attributes:
        name: Name of the dataset folder.
        path: Full path.
        format: Name of the format.
        facts: Facts about every file.
        splits: Split -> number of images.
        split_origins: Split -> where it comes from.
        labels: The declared or proposed classes; None if unknown.
        is_settled: Whether the classes are declared, not only proposed.
        rows: Pixels and images of each class in each split.
        colors: Class -> colour in the samples.
        findings: Errors first.
        terms: The words of the format.
        samples: Some images with their labels.
        named: For each finding, in the same order, pictures of some of its images; empty draws none.
    """

    name: str
    path: str
    format: str
    facts: DatasetFacts
    splits: Mapping[str, int]
    split_origins: Mapping[str, str]
    labels: LabelTable | None
    is_settled: bool
    rows: Sequence[LabelRow]
    colors: Mapping[str, RGB]
    findings: Sequence[Finding]
    terms: Terms = MASKS
    samples: Sequence[Picture] = ()
    named: Sequence[Sequence[Picture]] = ()

    @cached_property
    def table(self) -> ClassTable:
        """The rows in display form."""
        return class_table(self.rows, self.labels)


def render_check_page(data: CheckedData) -> str:
    """Return the page as text; it is self-contained."""
    return render_document(
        title=f"{data.name} – check – limner",
        heading=data.name,
        subtitle=f"{data.format}; {data.path}",
        parts=[
            Part("summary", "Summary", _summary(data)),
            Part("classes", "Classes", _classes(data)),
            Part("sizes", "Sizes", _sizes(data)),
            Part("samples", "Samples", _samples(data)),
            Part("findings", "Findings", _findings(data)),
        ],
        footer=f"Written by limner check from the files in {data.path}.",
    )


def _summary(data: CheckedData) -> Html:
    tallies = {s: sum(f.severity is s for f in data.findings) for s in Severity}
    errors, warnings = tallies[Severity.ERROR], tallies[Severity.WARNING]
    verdict = "Ready to train."
    if errors:
        verdict = f"{plural(errors, 'error')} must be fixed before training."
    elif warnings:
        verdict = f"Ready to train; {plural(warnings, 'warning')} to review first."
    images, labelled = len(data.facts.images), sum(i.is_labelled for i in data.facts.images)
    tiles = [
        ("Images", count(images), "#samples"),
        ("With labels", count(labelled), "#samples"),
        ("Classes", str(data.labels.num_classes) if data.labels else "?", "#classes"),
        ("Errors", str(errors), "#findings"),
        ("Warnings", str(warnings), "#findings"),
    ]
    splits = [
        (tag("dt", name), tag("dd", f"{plural(n, 'image')}: {data.split_origins[name]}"))
        for name, n in data.splits.items()
    ]
    return tag(
        "div",
        tag("p", verdict, class_="verdict"),
        tag(
            "div",
            [
                tag("a", tag("span", k, class_="label"), tag("b", v), class_="tile", href=a)
                for k, v, a in tiles
            ],
            class_="tiles",
        ),
        tag("dl", [tag("div", pair) for pair in splits], class_="main-facts") if splits else None,
    )


def _classes(data: CheckedData) -> Html:
    found = data.table
    if not found.rows:
        what = "mask values" if data.terms == MASKS else "labels"
        return tag("p", f"The meaning of the {what} is unknown; see the findings.", class_="empty")
    of_images = data.facts.are_classes
    counted = "" if of_images else f" {data.facts.element}s"
    head = tag(
        "tr",
        tag("th", "Class", scope="col"),
        None if of_images else tag("th", "Mask value" if data.terms == MASKS else "Value", scope="col"),
        tag("th", "Trained as", scope="col", class_="num"),
        [
            (
                tag("th", f"{split}{counted}", scope="col", class_="num"),
                tag("th", "images", scope="col", class_="num"),
            )
            for split in found.splits
        ],
    )
    many = " many" if len(found.rows) > MANY_CLASSES else ""
    table = tag(
        "table",
        tag("thead", head),
        tag("tbody", [_class_row(data, row) for row in found.rows]),
        class_=f"sortable scores{many}",
    )
    note = None if data.is_settled else "These classes are proposed; they take effect when you accept them."
    return tag(
        "div",
        tag("div", table, class_="scroll"),
        _absent(found.absent, data.terms.holder) if found.absent else None,
        tag("p", note, class_="muted") if note else None,
    )


def _absent(rows: Sequence[ClassTableRow], holder: str) -> Html:
    """List the classes that are in no mask, collapsed."""
    named = ", ".join(f"{row.name} ({row.values})" for row in rows)
    return tag("details", tag("summary", f"{len(rows)} more classes are in no {holder}"), tag("p", named))


def _class_row(data: CheckedData, row: ClassTableRow) -> Html:
    color = data.colors.get(row.name)
    swatch = tag("i", class_="swatch", style=f"background:rgb{color}") if color else None
    cells: list[Child] = []
    for tally in row.found.splits.values():
        bar = tag("span", class_="bar", style=f"--part:{tally.share:.4f}")
        cells.append(tag("td", percent(tally.share), bar, class_="num score", data_sort=tally.pixels))
        cells.append(tag("td", count(tally.images), class_="num"))
    return tag(
        "tr",
        tag("th", swatch, row.name, scope="row"),
        None if data.facts.are_classes else tag("td", row.values),
        tag("td", row.trained_as, class_="num"),
        cells,
        class_=None if row.is_class else "muted",
    )


def _sizes(data: CheckedData) -> Html:
    sizes = [prod(image.shape) for image in data.facts.images if image.shape]
    what = "volume" if data.facts.volumes else "image"
    pictures = [
        _log_histogram(f"{what.capitalize()} sizes", sizes, what, f"{data.facts.element}s in {a(what)}"),
        _log_histogram(
            "Object sizes",
            _object_areas(data),
            "object",
            "pixels in an object (or connected component), as the median of its class and image",
        ),
        _class_histogram(data),
    ]
    drawn = [picture for picture in pictures if picture]
    if not drawn:
        return tag("p", "No image could be measured.", class_="empty")
    return tag("div", drawn, class_="charts")


def _object_areas(data: CheckedData) -> list[int]:
    """Return the median area of each class and image once per object (or component), without background."""
    if data.labels is None:
        return []
    silent = {data.labels.ignore_index, data.labels.background_index, None}
    areas: list[int] = []
    for image in data.facts.labelled:
        sizes = {value: (drawn.count, drawn.median) for value, drawn in image.objects.items()}
        pieces = {value: (found.count, found.median_area) for value, found in image.components.items()}
        for value, (number, area) in (sizes or pieces).items():
            if data.labels.trained_as.get(value) not in silent:
                areas += [max(1, round(area))] * number
    return areas


def _log_histogram(heading: str, values: Sequence[int], noun: str, unit: str) -> Html | None:
    """Draw a histogram of sizes with bars a factor of 2 wide, or 2^0.25 if the range is small."""
    if not values:
        return None
    low, high = min(values), max(values)
    middle = compact(median(values))
    if low == high:
        text = f"All {plural(len(values), noun)} have {count(low)} {unit.split(' in ')[0]}."
        return tag("figure", tag("h3", heading), tag("p", text, class_="muted"))
    step = 1.0 if log2(high / low) > 6 else 0.25
    first, last = floor(log2(low) / step), floor(log2(high) / step)
    tallies = [0] * (last - first + 1)
    for value in values:
        tallies[floor(log2(value) / step) - first] += 1
    edges = [2 ** (step * (first + i)) for i in range(len(tallies) + 1)]
    bins = [(f"{compact(edges[i])} to {compact(edges[i + 1])}", n) for i, n in enumerate(tallies)]
    text = (
        f"{unit.capitalize()}: from {compact(low)} to {compact(high)}, median {middle}; "
        f"each range is {2**step:.3g} times the previous one."
    )
    marks = [edges[round(i * (len(edges) - 1) / 4)] for i in range(5)] if len(edges) > 4 else edges
    return histogram(heading, text, bins, noun, [compact(mark) for mark in marks])


def _class_histogram(data: CheckedData) -> Html | None:
    """Draw the pixels of each class on a logarithmic scale, so that rare classes are visible."""
    rows = [row.found for row in data.table.rows if row.is_class and row.found.pixels]
    if len(rows) < 2:
        return None
    total = sum(row.pixels for row in rows)
    smallest = log2(min(row.pixels for row in rows)) - 1
    span = log2(max(row.pixels for row in rows)) - smallest
    heights = [(log2(row.pixels) - smallest) / span for row in rows]
    texts = [in_percent(row.pixels / total) for row in rows]
    legible = legible_bars(texts, heights)
    bars = [
        tag(
            "span",
            style=f"--part:{heights[place]:.3f}",
            data_tally=texts[place] if place in legible else "",
            title=f"{row.name}: {percent(row.pixels / total)}",
        )
        for place, row in enumerate(rows)
    ]
    rarest = min(rows, key=lambda row: row.pixels)
    what = "images" if data.facts.are_classes else f"{data.facts.element}s"
    text = (
        f"Percentage of all labelled {what}, on a logarithmic scale, in class order; "
        f"the rarest class is {rarest.name}."
    )
    marks = [rows[0].name, rows[-1].name]
    return tag(
        "figure",
        tag(
            "figcaption",
            tag("h3", "Classes" if data.facts.are_classes else f"Class {what}"),
            tag("p", text, class_="muted"),
        ),
        tag("div", bars, class_="histogram"),
        tag("div", [tag("span", mark) for mark in marks], class_="scale"),
    )


def _samples(data: CheckedData) -> Html:
    if not data.samples:
        return tag("p", "No image could be drawn with its labels; see the findings.", class_="empty")
    absent = {row.name for row in data.table.absent}
    legend = [
        tag("li", tag("i", class_="swatch", style=f"background:rgb{color}"), name)
        for name, color in data.colors.items()
        if name not in absent
    ]
    return tag(
        "div",
        tag("ul", legend, class_="legend") if len(legend) <= 3 * MANY_CLASSES else None,
        _cards(data.samples, BUDGET_BYTES // 2),
    )


def _cards(pictures: Sequence[Picture], budget: int) -> Html:
    embedded = embed_pictures([picture for _, picture in pictures], budget=budget)
    names = [name for name, _ in pictures]
    short = [_WITHOUT_FOLDERS.sub("", name, count=1) for name in names]
    shown = short if len({*short}) == len(short) else names
    cards = [_card(*row) for row in zip(names, shown, embedded, strict=True)]
    return tag("div", cards, class_="cards")


def _card(name: str, shown: str, picture: Embedded) -> Html:
    image = tag("img", src=picture.uri, width=picture.width, height=picture.height, alt=f"Picture of {name}")
    return tag("figure", image, tag("figcaption", tag("span", shown, title=name, class_="name")))


def _findings(data: CheckedData) -> Html:
    if not data.findings:
        return tag("p", "Every image and its labels were read; no problems were found.", class_="good")
    share = BUDGET_BYTES // 2 // max(1, sum(bool(named) for named in data.named))
    pictures = [_cards(named, share) if named else None for named in data.named]
    return finding_list(data.findings, rest="in `limner check --json`", pictures=pictures)
