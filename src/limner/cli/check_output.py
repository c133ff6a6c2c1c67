"""Output of `limner check`: dataset, table of mask values, findings, and the next command."""

import shlex
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from limner.checks.class_findings import percentage
from limner.checks.class_table import ClassTable, ClassTableRow, class_table
from limner.checks.spelling_findings import unambiguous
from limner.cli.console import console, mark, table
from limner.core.dataset_file import FILE_NAME
from limner.core.finding import Finding, Severity
from limner.core.printable import printable_line
from limner.core.yaml_text import dump_yaml
from limner.datasets.checked import CheckResult
from limner.formats.shapes.object_source import BOXES
from limner.formats.terms import MASKS

MOST_ALIKE = 5
"""Maximum number of findings per code shown in full; the others are counted."""

MOST_FILES = 3
MOST_YAML_LINES = 30


def show(result: CheckResult, data: Path) -> None:
    """Print the result of a check.

    Args:
        result: The result.
        data: The folder as the user specified it, for the command at the end.
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
    origins = result.split_origins
    grid = Table.grid(padding=(0, 2))
    grid.add_row(Text("data", style="muted"), str(result.source.root))
    grid.add_row(Text("format", style="muted"), f"{result.source.name}: {result.source.title}")
    kind = "boxes" if result.source.tasks == BOXES else result.source.terms.labels
    grid.add_row(Text("images", style="muted"), f"{len(result.facts.images)}, {labelled} with {kind}")
    for position, (name, records) in enumerate(result.splits.items()):
        label = Text("" if position else "splits", style="muted")
        grid.add_row(label, f"{name} {len(records)}: {origins[name]}")
    console().print(grid)
    console().print()


def _show_labels(result: CheckResult) -> None:
    if not result.rows:
        return
    found = class_table(result.rows, result.proposed_labels)
    if result.facts.are_classes:
        console().print(_counts_table(found))
        return
    names = max(len(row.values) for row in found.rows) + max(len(row.name) for row in found.rows)
    # In a narrow window each split gets its own table.
    fits = names + 22 + 19 * len(found.splits) <= console().width
    groups = [found.splits] if fits else [(split,) for split in found.splits]
    for number, group in enumerate(groups):
        value = "mask\nvalue" if result.source.terms == MASKS else "value"
        title = "" if number else _title(result)
        console().print(_labels_table(found.rows, group, value, f"{result.facts.element}s", title))
    if found.absent:
        more = f"and {len(found.absent)} classes in no {result.source.terms.holder}; --json lists all"
        console().print(Padding(more, (0, 0, 1, 2), expand=False), style="muted")


def _title(result: CheckResult) -> str:
    if result.source.tasks == BOXES:
        return "Names of the boxes, and the pixels inside them"
    if result.source.terms != MASKS:
        return f"The classes, and the {result.facts.element}s they cover"
    settled = result.labels is not None or result.proposed_labels == result.source.declared_labels()
    return "Meaning of the mask values" if settled else "Proposed meaning of the mask values"


def _counts_table(found: ClassTable) -> Table:
    numbers = ["trained\nas", *found.splits]
    shown = table(*_swatch_column(), "class", *numbers, numbers=numbers, title="Images of each class")
    for row in found.rows:
        counts = [str(row.found.splits[split].images) for split in found.splits]
        shown.add_row(*_swatch(row), _name(row), _role(row), *counts)
    return shown


def _show_objects(result: CheckResult) -> None:
    if not result.objects:
        return
    kind = "boxes" if result.source.tasks == BOXES else "objects"
    splits = list(result.objects[0].counts)
    sizes = ("smallest", "median", "largest")
    crowds = ["crowds"] if any(row.crowds for row in result.objects) else []
    numbers = [*splits, "images", *sizes, *crowds]
    shown = table("name", *numbers, numbers=numbers, title=f"Number of {kind}, and their sizes in pixels")
    for row in result.objects:
        cells = [*(row.counts[split] for split in splits), row.images]
        areas = [f"{area:,.0f}" for area in (row.smallest, row.median, row.largest)]
        shown.add_row(
            printable_line(unambiguous(row.name)),
            *map(str, cells),
            *areas,
            *([str(row.crowds)] if crowds else []),
        )
    console().print(shown)


def _labels_table(
    rows: Sequence[ClassTableRow], splits: Sequence[str], value: str, elements: str, title: str
) -> Table:
    # Pixels and images of a split share a column with the name of the split.
    columns = [f"{split}\n{elements:>9}{'images':>8}" for split in splits]
    numbers = ["trained\nas", *columns]
    shown = table(value, *_swatch_column(), "name", *numbers, numbers=numbers, title=title)
    for row in rows:
        counts = [row.found.splits[split] for split in splits]
        cells = [f"{percentage(count.share):>9}{count.images:>8}" for count in counts]
        shown.add_row(row.values, *_swatch(row), _name(row), _role(row), *cells)
    return shown


def _swatch_column() -> list[str]:
    """Return the heading of the swatches, or none in a terminal without colours."""
    return [""] if console().color_system else []


def _swatch(row: ClassTableRow) -> list[Text]:
    color = Text("  ", style="on rgb({},{},{})".format(*row.found.color)) if row.found.color else Text("")
    return [color for _ in _swatch_column()]


def _name(row: ClassTableRow) -> Text:
    return Text(
        printable_line(unambiguous(row.name)),
        style="" if row.is_class else "muted" if row.is_named else "error",
    )


def _role(row: ClassTableRow) -> Text:
    return Text(row.trained_as, style="" if row.is_class else "muted" if row.is_named else "error")


def _shortened(findings: tuple[Finding, ...]) -> Iterator[tuple[Finding, int]]:
    """Yield the findings to show, each with the number of similar ones that are hidden after it."""
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
        (printable_line(finding.where), "path"),
    )
    console().print(line)
    grid = Table.grid(padding=(0, 2))
    for label, text in (("found", finding.found), ("expected", finding.expected), ("fix", finding.fix)):
        if text:
            grid.add_row(Text(label, style="muted"), Text(text))
    if finding.files and (finding.count > 1 or finding.files[0] not in finding.where):
        more = f" and {finding.count - MOST_FILES} more" if finding.count > MOST_FILES else ""
        grid.add_row(
            Text("files", style="muted"),
            Text(printable_line(", ".join(finding.files[:MOST_FILES])) + more, style="muted"),
        )
    console().print(Padding(grid, (0, 0, 0, 2), expand=False))
    if finding.proposal:
        console().print(Padding(Text(f"proposal for {FILE_NAME}", style="muted"), (0, 0, 0, 2), expand=False))
        _show_yaml(finding.proposal)
    console().print()


def _show_yaml(values: dict[str, object]) -> None:
    text = dump_yaml(values, flow=None, width=100)
    lines = text.rstrip().splitlines()
    if len(lines) > MOST_YAML_LINES:
        lines = [*lines[:MOST_YAML_LINES], f"... {len(lines) - MOST_YAML_LINES} more lines"]
    console().print(Padding(Text("\n".join(lines)), (0, 0, 0, 4), expand=False))


def _show_next(result: CheckResult, data: str) -> None:
    counts = {s: sum(f.severity is s for f in result.findings) for s in Severity}
    words = [f"{n} {s.value}{'' if n == 1 else 's'}" for s, n in counts.items() if n]
    console().print(", ".join(words) if words else "nothing to report", style="heading")
    unsettled = [finding for finding in result.errors if not finding.proposal]
    if not result.errors:
        console().print(f"Next: limner train {data}", style="good")
    elif unsettled:
        first = f"Fix {'this error' if len(unsettled) == 1 else f'these {len(unsettled)} errors'}, then run"
        console().print(
            f"{first}: limner check {data}{' --accept' if result.proposal else ''}", style="error"
        )
    else:
        console().print(f"Next: limner check {data} --accept", style="warning")
