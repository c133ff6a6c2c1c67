"""Writing the page of `limner check --report`."""

from pathlib import Path

from limner.core.errors import DataError
from limner.core.randomness import generator
from limner.core.sample import Record
from limner.datasets.checked import CheckResult
from limner.datasets.gallery import Gallery, gallery_of
from limner.drawing.colors import class_colors
from limner.drawing.display import RGBImage
from limner.reporting.check_page import CheckedData, Picture, render_check_page
from limner.storage.own_outputs import write_own_file

NUM_SAMPLES = 12
MOST_NAMED = 30
"""Maximum number of findings with pictures; errors come first."""

PER_FINDING = 4
SAMPLE_SIDE, NAMED_SIDE = 420, 240


def write_check_report(checked: CheckResult, out: Path | str) -> Path:
    """Write a self-contained page about a checked dataset.

    Args:
        checked: Result of `limner.check`.
        out: The HTML file.

    Returns:
        The file written.

    Raises:
        WriteError: The file cannot be written.
        ConfigError: limner did not write the file that is there.
    """
    return write_own_file(out, render_check_page(_gathered(checked)), by="check")


def _gathered(checked: CheckResult) -> CheckedData:
    table = checked.labels or checked.proposed_labels
    return CheckedData(
        name=checked.source.root.resolve().name,
        path=str(checked.source.root),
        format=checked.source.name,
        facts=checked.facts,
        splits={name: len(records) for name, records in checked.splits.items()},
        split_origins=checked.split_origins,
        labels=table,
        is_settled=checked.labels is not None,
        rows=checked.rows,
        colors=class_colors(table) if table else {},
        findings=checked.findings,
        terms=checked.source.terms,
        samples=_samples(checked),
        named=_named(checked),
    )


def _gallery(checked: CheckResult, side: int) -> Gallery | None:
    try:
        return gallery_of(checked, side=side)
    except DataError:  # the meaning of the values is unknown, which is reported as a finding
        return None


def _samples(checked: CheckResult) -> tuple[Picture, ...]:
    gallery = _gallery(checked, SAMPLE_SIDE)
    usable = {image.name for image in checked.facts.usable}
    records = [r for r in gallery.dataset.records if r.name in usable] if gallery else []
    if gallery is None or not records:
        return ()
    order = generator(0, "report samples").permutation(len(records))[:NUM_SAMPLES]
    return tuple(_picture(gallery, records[i]) for i in sorted(order))


def _named(checked: CheckResult) -> tuple[tuple[Picture, ...], ...]:
    """Return pictures of some of the images of each finding."""
    gallery = _gallery(checked, NAMED_SIDE)
    if gallery is None:
        return ()
    by_file, drawn = gallery.by_file, 0
    named: list[tuple[Picture, ...]] = []
    for finding in checked.findings:
        records = list(dict.fromkeys(by_file[file] for file in finding.files if file in by_file))
        shown = records[:PER_FINDING] if drawn < MOST_NAMED else []
        named.append(tuple(_picture(gallery, record) for record in shown))
        drawn += bool(shown)
    return tuple(named)


def _picture(gallery: Gallery, record: Record) -> tuple[str, RGBImage]:
    panel, _ = gallery.panel(record)
    return panel.title, panel.picture
