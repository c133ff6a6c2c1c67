"""What `limner check` prints: the dataset, the table of mask values, the findings, and what to do next."""

import shlex
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import yaml
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from limner.api.check import CheckResult
from limner.checks.class_findings import percent
from limner.checks.label_questions import number_list
from limner.checks.label_rows import LabelRow, without_absent
from limner.cli.console import console, mark, table
from limner.core.dataset_file import FILE_NAME
from limner.core.finding import Finding, Severity
from limner.formats.shapes.object_source import BOXES

MOST_ALIKE = 5
"""Findings of one code that are shown in full; the others are counted."""

MOST_FILES = 3
MOST_YAML_LINES = 30


def show(result: CheckResult, data: Path) -> None:
    """Print the whole page.

    Args:
        result: What the check found.
        data: The folder as the user wrote it, for the commands at the end.
    """
    _show_dataset(result)
    _show_labels(result)
    _show_objects(result)
    for finding, hidden in _shortened(result.findings):
        _show_finding(finding)
        if hidden:
            console().print(
                Padding(f"and {hidden} more like this; --json lists all", (0, 0, 1, 2)), style="muted"
            )
    if result.accepted:
        console().print(f"Written to {result.source.root / FILE_NAME}:", style="good")
        _show_yaml(result.accepted)
    _show_next(result, shlex.quote(str(data)))


def _show_dataset(result: CheckResult) -> None:
    labelled = sum(image.is_labelled for image in result.facts.images)
    splits = ", ".join(f"{name} {len(records)}" for name, records in result.splits.items())
    grid = Table.grid(padding=(0, 2))
    grid.add_row(Text("data", style="muted"), str(result.source.root))
    grid.add_row(Text("format", style="muted"), f"{result.source.name}: {result.source.title}")
    kind = "boxes" if result.source.tasks == BOXES else "masks"
    kind = "classes" if result.facts.are_classes else kind
    grid.add_row(Text("images", style="muted"), f"{len(result.facts.images)}, {labelled} with {kind}")
    if splits:
        grid.add_row(Text("splits", style="muted"), splits)
    console().print(grid)
    console().print()


def _show_labels(result: CheckResult) -> None:
    if not result.rows:
        return
    splits = list(result.rows[0].splits)
    if result.facts.are_classes:
        _show_classes(result.rows, splits)
        return
    settled = result.labels is not None or result.proposed_labels == result.source.declared_labels()
    if result.source.tasks == BOXES:
        title = "What the boxes are called, and the pixels under them"
    else:
        title = "What the mask values mean" if settled else "What the mask values would mean (proposed)"
    rows, absent = without_absent(result.rows)
    values = [_values(row, result) for row in rows]
    needed = max(map(len, values)) + max(len(row.name) for row in rows) + 22 + 19 * len(splits)
    # In a narrow window each split gets a table of its own.
    groups = [splits] if needed <= console().width else [[split] for split in splits]
    for number, group in enumerate(groups):
        console().print(_labels_table(rows, values, group, "" if number else title))
    if absent:
        more = f"and {len(absent)} classes in no mask; --json lists all"
        console().print(Padding(more, (0, 0, 1, 2), expand=False), style="muted")


def _show_classes(rows: Sequence[LabelRow], splits: list[str]) -> None:
    swatches = [""] if console().color_system else []
    numbers = ["trained\nas", *splits]
    shown = table(*swatches, "class", *numbers, numbers=numbers, title="Images of each class")
    for row in rows:
        counts = [str(row.splits[split].images) for split in splits]
        shown.add_row(*([_swatch(row)] if swatches else []), _name(row), _role(row), *counts)
    console().print(shown)


def _show_objects(result: CheckResult) -> None:
    if not result.objects:
        return
    kind = "boxes" if result.source.tasks == BOXES else "objects"
    splits = list(result.objects[0].counts)
    sizes = ("smallest", "median", "largest")
    crowds = ["crowds"] if any(row.crowds for row in result.objects) else []
    numbers = [*splits, "images", *sizes, *crowds]
    shown = table("name", *numbers, numbers=numbers, title=f"How many {kind}, and how many pixels in one")
    for row in result.objects:
        cells = [*(row.counts[split] for split in splits), row.images]
        areas = [f"{area:,.0f}" for area in (row.smallest, row.median, row.largest)]
        shown.add_row(row.name, *map(str, cells), *areas, *([str(row.crowds)] if crowds else []))
    console().print(shown)


def _labels_table(rows: Sequence[LabelRow], values: Sequence[str], splits: list[str], title: str) -> Table:
    # Pixels and images of a split share a column, under the name of the split.
    columns = [f"{split}\n{'pixels':>9}{'images':>8}" for split in splits]
    numbers = ["trained\nas", *columns]
    # A terminal without colours has no use for the swatches.
    swatches = [""] if console().color_system else []
    shown = table("mask\nvalue", *swatches, "name", *numbers, numbers=numbers, title=title)
    for row, value in zip(rows, values, strict=True):
        counts = [row.splits[split] for split in splits]
        cells = [f"{percent(count.share):>9}{count.images:>8}" for count in counts]
        swatch = [_swatch(row)] if swatches else []
        shown.add_row(value, *swatch, _name(row), _role(row), *cells)
    return shown


def _values(row: LabelRow, result: CheckResult) -> str:
    labels = result.proposed_labels
    if labels is not None and labels.encoding.kind == "color":
        shown = ", ".join(f"#{value:06x}" for value in row.values[:4])
        return shown + (", ..." if len(row.values) > 4 else "")
    threshold = labels.encoding.threshold if labels is not None else None
    if threshold is not None and row.trained_as in (0, 1):
        return f"> {threshold}" if row.trained_as else f"0-{threshold}"
    return number_list(list(row.values))


def _swatch(row: LabelRow) -> Text:
    return Text("  ", style="on rgb({},{},{})".format(*row.color)) if row.color else Text("")


def _name(row: LabelRow) -> Text:
    if row.trained_as is None:
        return Text("not named", style="error")
    return Text(row.name, style="muted" if row.is_ignored else "")


def _role(row: LabelRow) -> Text:
    if row.trained_as is None:
        return Text("?", style="error")
    return Text("ignored", style="muted") if row.is_ignored else Text(str(row.trained_as))


def _shortened(findings: tuple[Finding, ...]) -> Iterator[tuple[Finding, int]]:
    """Yield the findings to show, each with the number of findings hidden behind it."""
    for _, alike in groupby(findings, key=lambda finding: finding.code):
        same = list(alike)
        for position, finding in enumerate(same[:MOST_ALIKE]):
            is_last = position == MOST_ALIKE - 1
            yield finding, len(same) - MOST_ALIKE if is_last else 0


def _show_finding(finding: Finding) -> None:
    line = Text.assemble(
        mark(finding.severity),
        " ",
        (finding.severity.value, finding.severity.value),
        " ",
        (finding.code, "heading"),
        "  ",
        (finding.where, "path"),
    )
    console().print(line)
    grid = Table.grid(padding=(0, 2))
    for label, text in (("found", finding.found), ("expected", finding.expected), ("fix", finding.fix)):
        if text:
            grid.add_row(Text(label, style="muted"), Text(text))
    if finding.files and (finding.count > 1 or finding.files[0] not in finding.where):
        more = f" and {finding.count - MOST_FILES} more" if finding.count > MOST_FILES else ""
        grid.add_row(
            Text("files", style="muted"), Text(", ".join(finding.files[:MOST_FILES]) + more, style="muted")
        )
    console().print(Padding(grid, (0, 0, 0, 2), expand=False))
    if finding.proposal:
        console().print(Padding(Text(f"proposal for {FILE_NAME}", style="muted"), (0, 0, 0, 2), expand=False))
        _show_yaml(finding.proposal)
    console().print()


def _show_yaml(values: dict[str, object]) -> None:
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100)
    lines = text.rstrip().splitlines()
    if len(lines) > MOST_YAML_LINES:
        lines = [*lines[:MOST_YAML_LINES], f"... {len(lines) - MOST_YAML_LINES} more lines"]
    console().print(Padding(Text("\n".join(lines)), (0, 0, 0, 4), expand=False))


def _show_next(result: CheckResult, data: str) -> None:
    counts = {s: sum(f.severity is s for f in result.findings) for s in Severity}
    words = [f"{n} {s.value}{'' if n == 1 else 's'}" for s, n in counts.items() if n]
    console().print(", ".join(words) if words else "nothing to report", style="heading")
    unsettled = [finding for finding in result.errors if not finding.proposal]
    if not result.errors and result.source.tasks == BOXES:
        console().print(f"Next: limner browse {data} (training needs masks)", style="good")
    elif not result.errors:
        verb = "browse" if result.facts.are_classes else "train"
        console().print(f"Next: limner {verb} {data}", style="good")
    elif unsettled:
        first = f"Mend {'this error' if len(unsettled) == 1 else f'these {len(unsettled)} errors'}, then run"
        console().print(
            f"{first}: limner check {data}{' --accept' if result.proposal else ''}", style="error"
        )
    else:
        console().print(f"Next: limner check {data} --accept", style="warning")
