"""Reading of a run folder's files; if one is missing or damaged, only its section is lost."""

import csv
import json
import math
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from limner.core.errors import ConfigError, DataError, describe
from limner.core.finding import Finding
from limner.core.labels import background_among
from limner.core.plan import Plan
from limner.core.plan_text import plan_from_yaml
from limner.core.run_folder import RunFolder
from limner.core.score_names import SCORES
from limner.evaluation.scores_file import read_scores
from limner.metrics.case_scores import AVERAGES
from limner.preparation.folds import read_folds
from limner.preparation.run_splits import unscored_splits
from limner.reporting.run_facts import Evaluation, RunFacts, ScoredImage, Series
from limner.storage.table_cells import text_of
from limner.storage.unfinished import is_unfinished
from limner.storage.usable_numbers import is_number

T = TypeVar("T")

DAMAGED = (
    *(OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError),
    *(RecursionError, csv.Error),
)
"""Errors of reading a file whose bytes were changed."""

SPLIT_ORDER = {"test": 0, "val": 1}
"""Test first, because validation images were used to select the weights; other splits follow by name."""


def gather(run: RunFolder) -> RunFacts:
    """Read all available files of a run, and of a cross-validation those of its folds.

    Raises:
        DataError: The folder is missing, or contains no files of a run.
    """
    _refuse_other_folders(run)
    unreadable: dict[str, str] = {}

    def attempt(path: Path, read: Callable[[Path], T], otherwise: T) -> T:
        if not path.exists():
            return otherwise
        try:
            return read(path)
        except DAMAGED as error:
            name = path.relative_to(run.root).as_posix()
            unreadable[name] = f"{type(error).__name__}: {error}"
            return otherwise

    evaluations = [
        found
        for folder in _split_folders(run)
        if (found := attempt(folder / "scores.json", _read_evaluation, None)) is not None
    ]
    plan: Plan | None = attempt(run.plan, _read_plan, None)
    series: dict[str, Series] = attempt(run.metrics, _read_series, {})
    if plan is not None and plan.data.label_table.background_index is None:
        series.pop("val/foreground_dice", None)  # as in `read_scores`
    folds: tuple[RunFacts, ...] = attempt(run.folds, lambda _: _gather_folds(run), ())
    facts = RunFacts(
        root=run.root.resolve(),
        plan=plan,
        findings=attempt(run.findings, _read_findings, None),
        series=series,
        evaluations=tuple(_with_images(e, run.evaluation(e.split), attempt) for e in evaluations),
        data_changes=attempt(run.data_changes, _read_sentences, ()),
        environment=attempt(run.environment, _read_mapping, {}),
        model=attempt(run.model / "model.json", _read_mapping, {}),
        unscored=attempt(run.splits, lambda _: unscored_splits(run), ()),
        unreadable=unreadable,
        folds=folds,
    )
    return _with_first_fold(facts) if folds else facts


def _gather_folds(run: RunFolder) -> tuple[RunFacts, ...]:
    """Read the runs of a cross-validation that have begun."""
    file = read_folds(run)
    begun = [] if file is None else [run.fold(index) for index in range(len(file.folds))]
    return tuple(gather(fold) for fold in begun if fold.plan.is_file())


def _with_first_fold(facts: RunFacts) -> RunFacts:
    """Return a cross-validation with what is the same in all its folds, and what is damaged in any."""
    first = facts.folds[0]
    damaged = {
        f"{fold.root.name}/{name}": why for fold in facts.folds for name, why in fold.unreadable.items()
    }
    return replace(
        facts,
        plan=first.plan,
        findings=first.findings,
        environment=first.environment,
        data_changes=tuple(dict.fromkeys(change for fold in facts.folds for change in fold.data_changes)),
        unreadable=facts.unreadable | damaged,
    )


def _refuse_other_folders(run: RunFolder) -> None:
    expected = "the folder that `limner train` wrote, with plan.yaml, metrics.csv or evaluation/ in it"
    if not run.root.is_dir():
        found = "a file" if run.root.exists() else "nothing"
        raise DataError(describe("There is no run folder", where=run.root, found=found, expected=expected))
    parts = (run.plan, run.folds, run.metrics, run.findings, run.root / "evaluation", run.model)
    if any(part.exists() for part in parts):
        return
    inside = sorted(child.name for child in run.root.iterdir())[:8]
    nested = sorted(p.parent.name for p in run.root.glob("*/plan.yaml"))[:8]
    fix = f"Name one of the runs inside it: {', '.join(nested)}." if nested else ""
    raise DataError(
        describe(
            "This is not a run folder",
            where=run.root,
            found=", ".join(inside) or "an empty folder",
            expected=expected,
            fix=fix,
        )
    )


def _split_folders(run: RunFolder) -> list[Path]:
    folders = [f for f in (run.root / "evaluation").glob("*") if f.is_dir() and not is_unfinished(f)]
    return sorted(folders, key=lambda f: (SPLIT_ORDER.get(f.name, 2), f.name))


def _read_plan(path: Path) -> Plan:
    plan = plan_from_yaml(path.read_text("utf-8"), where=path.name)
    try:
        _ = plan.data.label_table
    except (KeyError, TypeError) as error:
        raise ConfigError(
            f"{path.name}: the label table under data.labels is incomplete ({error!r})"
        ) from None
    return plan


def _read_mapping(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text("utf-8")))


def _read_sentences(path: Path) -> tuple[str, ...]:
    return tuple(map(str, json.loads(path.read_text("utf-8"))))


def _read_findings(path: Path) -> tuple[Finding, ...]:
    # Runs of version 0.1 say "mend".
    rows = [{"fix": row.get("mend", ""), **row} for row in json.loads(path.read_text("utf-8"))]
    try:
        return TypeAdapter(tuple[Finding, ...]).validate_python(rows)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place}: {first['msg']}; found {first['input']!r}") from None


def _read_series(path: Path) -> dict[str, Series]:
    columns: dict[str, tuple[list[float], list[float], list[float]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                numbers = float(row["step"]), float(row["seconds"]), float(row["value"])
            except (TypeError, ValueError):
                continue  # the last line of a killed run may be incomplete
            if not (is_number(numbers[0]) and is_number(numbers[1])):
                continue  # damaged
            lists = columns.setdefault(row["name"], ([], [], []))
            for column, number in zip(lists, numbers, strict=True):
                column.append(number)
    return {name: Series(*map(tuple, lists)) for name, lists in columns.items()}


def _read_evaluation(path: Path) -> Evaluation:
    return Evaluation(path.parent.name, read_scores(path))


def _with_images(evaluation: Evaluation, folder: Path, attempt: Callable[..., Any]) -> Evaluation:
    """Add the content of the split's other files."""
    no_foreground = background_among(evaluation.file.class_names) is None
    left_out = {"foreground_dice"} if no_foreground else set()  # as in `read_scores`
    case_scores = AVERAGES if evaluation.file.length_unit else ()
    read_images = partial(_read_images, left_out=left_out, by_class=case_scores)
    return replace(
        evaluation,
        images=attempt(folder / "per_image.csv", read_images, ()),
        pictures=tuple(sorted((folder / "pictures").glob("*.png"))),
        curves=attempt(folder / "thresholds.csv", _read_columns, {}),
        class_curves=attempt(folder / "class_curves.csv", _read_class_curves, {}),
        speed=attempt(folder / "speed.json", _read_mapping, {}),
    )


def _read_columns(path: Path) -> dict[str, tuple[float, ...]]:
    """Return the columns of a numeric table; empty cells become NaN."""
    with path.open(newline="", encoding="utf-8") as file:
        heads, *rows = csv.reader(file)
    columns = zip(*([float(cell or "nan") for cell in row] for row in rows), strict=True)
    return dict(zip(heads, columns, strict=True))


def _read_class_curves(path: Path) -> dict[str, dict[str, tuple[float, ...]]]:
    """Return class -> column -> values."""
    rows: dict[str, list[dict[str, float]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            name = text_of(row.pop("class"))
            rows.setdefault(name, []).append({key: float(value or "nan") for key, value in row.items()})
    return {
        name: {key: tuple(point[key] for point in points) for key in points[0]}
        for name, points in rows.items()
    }


def _read_images(
    path: Path, *, left_out: AbstractSet[str], by_class: Sequence[str]
) -> tuple[ScoredImage, ...]:
    """Return the images with their scores over all classes, and per class only those in `by_class`."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [
            ScoredImage(
                text_of(row["name"]),
                {name: _number(row[name]) for name in row if _is_score(name) and name not in left_out},
                {score: _of_classes(row, score) for score in by_class},
            )
            for row in csv.DictReader(file)
        ]
    return tuple(sorted(rows, key=lambda r: (r.rank is None, r.rank or 0.0, r.name)))


def _of_classes(row: Mapping[str, str], score: str) -> dict[str, float | None]:
    """Return class -> value of the columns ``SCORE/CLASS``."""
    first = f"{score}/"
    return {text_of(c.removeprefix(first)): _number(v) for c, v in row.items() if c.startswith(first)}


def _is_score(column: str) -> bool:
    return column in SCORES and not SCORES[column].unit


def _number(value: object) -> float | None:
    """Return a finite number, or None for null, an empty cell or NaN."""
    if value is None or value == "":
        return None
    number = float(str(value))
    if math.isfinite(number) and not is_number(number):
        raise ValueError(f"{number:g} is no score")
    return number if math.isfinite(number) else None
