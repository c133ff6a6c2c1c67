"""Findings about label values: what they are, what they probably mean, and what is unclear.

Nothing is remapped silently: plain class numbers are shown in the table as they are, and any value that
could mean two things is an error with a proposal, until `dataset.yaml` says which.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from limner.checks.class_findings import listed
from limner.checks.codes import make, place
from limner.checks.facts import DatasetFacts
from limner.checks.label_case import number_list
from limner.checks.label_questions import open_question
from limner.checks.label_rows import LabelRow, label_rows, roles_of
from limner.checks.naming import plain_table
from limner.checks.object_numbers import object_numbers
from limner.checks.spelling_findings import spelled
from limner.core.config import merge
from limner.core.dataset_file import DatasetFile
from limner.core.errors import ConfigError
from limner.core.finding import Finding, Severity
from limner.core.labels import LabelTable
from limner.core.wording import count_words
from limner.formats.dataset_yaml import read_dataset_file
from limner.formats.source import Source
from limner.formats.terms import MASKS, Terms


@dataclass(frozen=True)
class LabelVerdict:
    """Verdict on the label values.

    Attributes:
        findings: The findings.
        labels: The final table, or None if a question is open.
        proposed: The table as it is, or as it would be with the proposals accepted; None if nothing can
            be proposed.
        rows: The counts of each class of `proposed`; empty without a table.
    """

    findings: tuple[Finding, ...]
    labels: LabelTable | None
    proposed: LabelTable | None
    rows: tuple[LabelRow, ...]


def judge_labels(source: Source, facts: DatasetFacts) -> LabelVerdict:
    """Determine the meaning of each mask value, or report the open question."""
    declared = source.declared_labels()
    if not facts.labelled:
        return LabelVerdict((), declared, declared, ())
    if facts.are_classes and declared is not None:
        rows = label_rows(facts, declared)
        return LabelVerdict(tuple(_absent(rows, source, facts)), declared, declared, rows)
    question = open_question(
        source.settings, declared, facts, ignored=source.ignored_by_format, terms=source.terms
    )
    findings = [question] if question else []
    if question is None:
        table: LabelTable | None = declared or plain_table(
            facts.value_counts,
            source.settings,
            ignored=source.ignored_by_format,
            of_volumes=bool(facts.volumes),
        )
    else:
        table = _with_proposal(source, declared, question.proposal, facts)
        if question.code == "palettes-differ" and question.proposal:
            facts = facts.by_palette()
        elif (question.proposal or {}).get("mask_encoding") == "objects":
            facts = facts.as_objects()
    rows = label_rows(facts, table) if table else ()
    if table:
        findings += [*_absent(rows, source, facts), *_one_value(facts, table, source.terms)]
        if declared is None and question is None and table.num_classes > 2:
            findings.append(_undeclared(source, facts) or _unnamed(table))
    blocked = any(finding.severity is Severity.ERROR for finding in findings)
    return LabelVerdict(tuple(findings), None if blocked else table, table, rows)


def _with_proposal(
    source: Source, declared: LabelTable | None, proposal: dict[str, Any] | None, facts: DatasetFacts
) -> LabelTable | None:
    """Return the table as it would be with the proposal accepted, or None if there is none."""
    if proposal is None:
        return declared
    wanted = merge(source.settings.model_dump(mode="json", exclude_unset=True), proposal)
    try:
        future = DatasetFile.model_validate(wanted)
        return future.label_table() or plain_table(
            facts.value_counts,
            future,
            ignored=source.ignored_by_format,
            of_volumes=bool(facts.volumes),
        )
    except (ConfigError, ValueError):
        return None


def _absent(rows: tuple[LabelRow, ...], source: Source, facts: DatasetFacts) -> Iterator[Finding]:
    """Yield the findings about classes without a pixel: all objects covered by others, or no label at all."""
    counts = Counter[int]()
    for image in facts.labelled:
        counts.update({value: objects.count for value, objects in image.objects.items()})
    empty = [(row, sum(counts[v] for v in row.values)) for row in rows if row.is_class and not row.images]
    if covered := [
        f"{spelled(row.name)} ({count_words(number, 'object')})" for row, number in empty if number
    ]:
        yield make(
            "class-covered",
            "the classes",
            f"all objects lie under objects of other classes: {listed(covered)}",
            expected="some pixels of each class in the label maps",
            fix="Correct the order of the objects in the tool that drew them, or unite the classes. Objects "
            "are complete for --task instance.",
        )
    if not (absent := [row for row, number in empty if not number]):
        return
    named = [f"{spelled(row.name)} ({_values(row.values)})" for row in absent]
    terms = source.terms
    fix = "No action needed if no image shows them. To leave them out, list `classes` in dataset.yaml."
    if read_dataset_file(source.root).classes:
        what = "values" if terms == MASKS else "names"
        fix = f"Correct the {what} under `classes` in dataset.yaml, or take these classes out."
    yield make(
        "class-never-occurs",
        "the classes",
        f"in no {terms.holder}: {listed(named)}",
        expected=f"each named class in some {terms.holder}s",
        fix=fix,
    )


def _one_value(facts: DatasetFacts, table: LabelTable, terms: Terms) -> list[Finding]:
    single: dict[object, list[str]] = {}
    for image in facts.labelled:
        roles = roles_of(image, table)
        if len(roles) == 1:
            single.setdefault(next(iter(roles)), []).append(image.label_file)
    findings = []
    for role, files in sorted(single.items(), key=lambda item: str(item[0])):
        name = f"ignored {facts.element}s" if role == table.ignore_index else ""
        hold = terms.hold + "s" * (len(files) == 1)
        name = name or (repr(table.names[role]) if isinstance(role, int) else f"value {role}")
        findings.append(
            make(
                "mask-is-one-value",
                place(files),
                f"{len(files)} of {len(facts.labelled)} {terms.holder}s {hold} nothing but {name}",
                fix="Correct if an image shows nothing else; otherwise "
                + ("the mask may be empty by mistake." if terms == MASKS else "its objects were not drawn."),
                files=files,
            )
        )
    return findings


def _undeclared(source: Source, facts: DatasetFacts) -> Finding | None:
    """Return the warning about values that could be objects, unless dataset.yaml says what they are."""
    return None if "mask_encoding" in source.settings.model_fields_set else object_numbers(facts)


def _unnamed(table: LabelTable) -> Finding:
    value = table.classes[-1].values[0]
    return make(
        "classes-unnamed",
        "the classes",
        f"{table.num_classes} classes without names; called {', '.join(table.names[:3])}, ... for now",
        fix="Name them in dataset.yaml: "
        f"`classes: [{{name: ..., value: 0}}, ..., {{name: ..., value: {value}}}]`. A value that "
        "means void or unlabelled goes under `ignored` instead.",
    )


def _values(values: tuple[int, ...]) -> str:
    return f"value {values[0]}" if len(values) == 1 else f"values {number_list(list(values))}"
