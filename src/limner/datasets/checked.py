"""Checking a dataset: reads every file once, and returns facts, findings and splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from limner.checks.codes import make
from limner.checks.facts import DatasetFacts
from limner.checks.label_rows import LabelRow
from limner.checks.object_counts import ObjectRow
from limner.checks.outcome import run_checks
from limner.checks.scan import scan
from limner.core.config import merge
from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, LimnerError, describe
from limner.core.finding import MOST_FILES, Finding, Severity
from limner.core.labels import LabelTable
from limner.core.notebook import IGNORED, ColoredName, notebook_table
from limner.core.progress import Track, silent
from limner.core.sample import Record
from limner.core.wording import count_words
from limner.formats import open_source
from limner.formats.dataset_yaml import read_dataset_file, write_dataset_file
from limner.formats.source import Source
from limner.formats.terms import MASKS
from limner.loading.split_origins import split_origins
from limner.loading.splits import assign_splits

IN_NO_SPLIT = "image-in-no-split"


@dataclass(frozen=True)
class CheckResult:
    """Facts and findings about a dataset.

    Attributes:
        source: The opened dataset.
        facts: Facts from reading every file, with the splits below.
        labels: The label table, or None while the meaning of mask values is unclear.
        findings: The findings, errors first.
        splits: Split -> records; empty if the splits cannot be used.
        rows: Mask value -> name -> trained as -> pixels -> images, per split; according to the proposal while
            the meaning of mask values is unclear.
        objects: Number and size of the objects of each countable class; empty for label maps.
        proposed_labels: The label table of `rows`, or None if there is no proposal.
        proposal: What `accept` would write into dataset.yaml, or None.
        accepted: What this check wrote into dataset.yaml, or None.
    """

    source: Source
    facts: DatasetFacts
    labels: LabelTable | None
    findings: tuple[Finding, ...]
    splits: dict[str, tuple[Record, ...]]
    rows: tuple[LabelRow, ...] = ()
    objects: tuple[ObjectRow, ...] = ()
    proposed_labels: LabelTable | None = None
    proposal: dict[str, Any] | None = None
    accepted: dict[str, Any] | None = None

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop training."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)

    @property
    def split_origins(self) -> dict[str, str]:
        """Split -> where it comes from: list files, folders, label files, or a share drawn with a seed."""
        return split_origins(self.splits, self.source.settings, self.source.root)

    def _repr_html_(self) -> str:
        """Return the classes and the findings as tables, for notebooks."""
        classes = [
            (
                ", ".join(map(str, row.values)),
                ColoredName(row.name, row.color or IGNORED),
                row.pixels,
                row.images,
            )
            for row in self.rows
        ]
        title = f"{self.source.root}: {self.source.name}, {len(self.source.records)} images"
        shown = notebook_table(title, ("value", "name", f"{self.facts.element}s", "images"), classes)
        found = [(f.severity.value, f.code, f.where, f.found, f.fix) for f in self.findings]
        count = f"{len(self.errors)} errors, {len(self.findings) - len(self.errors)} other findings"
        return shown + notebook_table(count, ("severity", "finding", "where", "found", "fix"), found)

    def settled_labels(self, otherwise: str) -> LabelTable:
        """Return the label table.

        Args:
            otherwise: What is impossible without it, to complete the error message.

        Raises:
            DataError: The meaning of the mask values is unclear.
        """
        if self.labels is not None:
            return self.labels
        root, terms = self.source.root, self.source.terms
        what = "mask values" if terms == MASKS else "labels"
        raise DataError(
            describe(
                f"The meaning of the {what} is unclear, so {otherwise}",
                where=root,
                found=self.errors[0].found if self.errors else f"no image with {terms.labels}",
                fix=f"Run `limner check {root}`, which says how to define it.",
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready values."""
        return {
            "dataset": str(self.source.root),
            "format": self.source.name,
            "num_images": len(self.facts.images),
            "num_labelled": sum(image.is_labelled for image in self.facts.images),
            "splits": {name: [r.name for r in records] for name, records in self.splits.items()},
            "split_origins": self.split_origins,
            "labels": self.labels.to_dict() if self.labels else None,
            "rows": [row.to_dict() for row in self.rows],
            "objects": [row.to_dict() for row in self.objects],
            "findings": [finding.to_dict() for finding in self.findings],
            "proposal": self.proposal,
            "accepted": self.accepted,
        }


def check_dataset(
    path: Path, *, accept: bool = False, workers: int | None = None, track: Track = silent
) -> CheckResult:
    """Open a dataset, read every file once, and run all checks over it.

    Args:
        path: The dataset folder.
        accept: Whether to write the proposal into `dataset.yaml`, and check again.
        workers: Number of reading threads; defaults to the number of cores.
        track: Progress display.

    Raises:
        DataError: The folder does not exist, or its layout is unknown.
        ConfigError: `dataset.yaml` is invalid.
    """
    checked = check_opened(open_source(path), workers=workers, track=track)
    if not accept or not checked.proposal:
        return checked
    write_dataset_file(checked.source.root, checked.proposal)
    again = check_opened(open_source(path), workers=workers, track=track)
    return replace(again, accepted=checked.proposal)


def check_opened(source: Source, *, workers: int | None = None, track: Track = silent) -> CheckResult:
    """Read every file of an opened dataset once, and run all checks over it; see `check_dataset`."""
    splits, found = _splits(source)
    facts = scan(source, workers=workers, track=track)
    facts = facts.with_splits({r.name: split for split, records in splits.items() for r in records})
    outcome = run_checks(source, facts)
    errors = [finding for finding in found if finding.severity is Severity.ERROR]
    notes = [finding for finding in found if finding not in errors]
    return CheckResult(
        source=source,
        facts=facts,
        labels=outcome.labels,
        findings=(*errors, *outcome.findings, *notes),
        splits=splits,
        rows=outcome.rows,
        objects=outcome.objects,
        proposed_labels=outcome.proposed_labels,
        proposal=outcome.proposal,
    )


def with_other_splits(checked: CheckResult, splits: dict[str, tuple[Record, ...]]) -> CheckResult:
    """Return the results for other splits of the same images; findings about splits are made again.

    Args:
        checked: Results of the checks.
        splits: Split -> records.
    """
    facts = checked.facts.with_splits({r.name: split for split, rows in splits.items() for r in rows})
    outcome = run_checks(checked.source, facts)
    return replace(
        checked,
        facts=facts,
        findings=outcome.findings,
        splits=splits,
        rows=outcome.rows,
        objects=outcome.objects,
    )


def _splits(source: Source) -> tuple[dict[str, tuple[Record, ...]], tuple[Finding, ...]]:
    """Return the splits, and a finding if they cannot be used or leave labelled images out."""
    if not any(record.labels for record in source.records):
        return {}, ()  # another check reports this
    try:
        splits = assign_splits(source.records, source.settings, cases=source.case_of)
    except LimnerError as error:
        return {}, (make("splits-unusable", "the splits", str(error)),)
    return splits, _left_out(source, splits)


def _left_out(source: Source, splits: Mapping[str, Sequence[Record]]) -> tuple[Finding, ...]:
    """Return a finding on labelled images that are in no split, unless the source has one already."""
    used = {record.name for records in splits.values() for record in records}
    left = [record for record in source.records if record.labels and record.name not in used]
    if not left or any(finding.code == IN_NO_SPLIT for finding in source.findings):
        return ()
    files = [record.image.relative_to(source.root).as_posix() for record in left[:MOST_FILES]]
    found = f"{count_words(len(left), 'labelled image')} in no split, though others are in folders of splits"
    return (
        make(
            IN_NO_SPLIT,
            files[0],
            f"{found}; left out.",
            fix="Move them to the folder of a split, or write `splits: {val: 0.2}` into dataset.yaml to draw "
            "the splits from all images.",
            files=files,
            count=len(left),
        ),
    )


def as_proposed(checked: CheckResult) -> Source:
    """Open the dataset as if the proposal of its check were accepted."""
    root = checked.source.root
    wanted = merge(
        read_dataset_file(root).model_dump(mode="json", exclude_unset=True), checked.proposal or {}
    )
    return open_source(root, DatasetFile.model_validate({**wanted, "format": checked.source.name}))
