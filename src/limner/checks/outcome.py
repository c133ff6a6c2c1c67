"""Run all families of checks on one dataset."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from limner.checks.class_findings import class_findings
from limner.checks.facts import DatasetFacts
from limner.checks.file_findings import file_findings
from limner.checks.label_findings import judge_labels
from limner.checks.label_rows import LabelRow
from limner.checks.name_findings import name_findings
from limner.checks.object_counts import ObjectRow, object_rows
from limner.checks.outlier_findings import outlier_findings
from limner.checks.slice_findings import slice_findings
from limner.checks.spelling_findings import spelling_findings
from limner.checks.split_findings import split_findings
from limner.checks.volume_findings import volume_findings
from limner.core.config import merge
from limner.core.finding import Finding, Severity
from limner.core.labels import LabelTable
from limner.formats.dataset_yaml import read_dataset_file
from limner.formats.problems import Problems
from limner.formats.shapes.object_source import ObjectSource
from limner.formats.source import Source

_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


@dataclass(frozen=True)
class CheckOutcome:
    """Result of the checks.

    Attributes:
        findings: Errors first.
        labels: The final label table, or None if a question about it is open.
        proposal: The part of `dataset.yaml` that would answer the open questions, or None.
        proposed_labels: The table as it would be with the proposal accepted, or `labels` if that is set.
        rows: Mask value -> name -> trained as -> pixels -> images by `proposed_labels`.
        objects: Objects of each countable class; empty for label maps.
    """

    findings: tuple[Finding, ...]
    labels: LabelTable | None
    proposal: dict[str, Any] | None
    proposed_labels: LabelTable | None
    rows: tuple[LabelRow, ...]
    objects: tuple[ObjectRow, ...] = ()


def run_checks(source: Source, facts: DatasetFacts) -> CheckOutcome:
    """Run every family of checks.

    Args:
        source: The opened dataset; its findings are included.
        facts: The result of `scan`. Its splits are the layout's; pass ``facts.with_splits(...)`` for others.
    """
    verdict = judge_labels(source, facts)
    drawn = _drawn_splits(source, facts)
    is_named = bool(read_dataset_file(source.root).classes)  # by the user, not by a table beside the masks
    findings = [
        *source.findings,
        *_of_annotations(facts, source),
        *file_findings(facts, source.terms, drawn=isinstance(source, ObjectSource)),
        *verdict.findings,
        *class_findings(
            verdict.rows,
            source.terms,
            drawn=drawn,
            of_images=facts.are_classes,
            element=facts.element,
        ),
        *(() if is_named else spelling_findings(source.declared_labels(), verdict.rows)),
        *split_findings(facts, drawn=drawn),
        *name_findings(facts),
        *slice_findings(source, facts),
        *outlier_findings(facts, verdict.proposed),
        *volume_findings(facts),
    ]
    findings.sort(key=lambda finding: _ORDER[finding.severity])
    proposal: dict[str, Any] = {}
    for finding in findings:
        proposal = merge(proposal, finding.proposal or {})
    table = verdict.proposed
    objects = object_rows(facts, table) if table else ()
    return CheckOutcome(tuple(findings), verdict.labels, proposal or None, table, verdict.rows, objects)


def _drawn_splits(source: Source, facts: DatasetFacts) -> bool:
    """Tell whether limner drew splits, rather than that folders or lists give them all."""
    laid_out = {record.name: record.split for record in source.records}
    return any(image.split is not None and image.split != laid_out[image.name] for image in facts.images)


def _of_annotations(facts: DatasetFacts, source: Source) -> tuple[Finding, ...]:
    """Return the problems of single annotations found while reading, one finding per code."""
    problems = Problems()
    for image in facts.images:
        problems.add_cases(image.label_problems, file=image.image_file)
    objects = Counter[int]()
    for image in facts.labelled:
        objects.update({value: one.count for value, one in image.objects.items()})
    number = objects.total() - objects[source.uncovered]
    return tuple(_below_a_pixel(finding, number) for finding in problems.findings(source.terms))


def _below_a_pixel(finding: Finding, number: int) -> Finding:
    """Return an error if most objects are less than a pixel, since their coordinates are no pixels then."""
    if finding.code != "object-below-a-pixel" or 2 * (finding.cases or 0) <= number:
        return finding
    return replace(finding, severity=Severity.ERROR)
