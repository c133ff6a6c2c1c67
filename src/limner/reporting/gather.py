"""Reads the files of a run folder; a file that is missing or damaged costs its section, not the page."""

import csv
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from limner.core.errors import ConfigError, DataError, describe
from limner.core.finding import Finding, Severity
from limner.core.plan import Plan
from limner.core.plan_text import plan_from_yaml
from limner.core.run_folder import RunFolder
from limner.reporting.run_facts import (
    OVERALL_NAMES,
    ClassScores,
    Evaluation,
    ImageScores,
    Matches,
    RunFacts,
    Series,
    Spread,
    Thresholds,
)

T = TypeVar("T")

SPLIT_ORDER = {"test": 0, "val": 1}
"""Test images decide, validation images helped to choose; other splits follow by name."""


def gather(run: RunFolder) -> RunFacts:
    """Read what there is of a run.

    Raises:
        DataError: The folder is missing, or holds nothing that a run has.
    """
    _refuse_other_folders(run)
    unreadable: dict[str, str] = {}

    def attempt(path: Path, read: Callable[[Path], T], otherwise: T) -> T:
        if not path.exists():
            return otherwise
        try:
            return read(path)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            name = path.relative_to(run.root).as_posix()
            unreadable[name] = f"{type(error).__name__}: {error}"
            return otherwise

    evaluations = [
        found
        for folder in _split_folders(run)
        if (found := attempt(folder / "scores.json", _read_evaluation, None)) is not None
    ]
    return RunFacts(
        root=run.root.resolve(),
        plan=attempt(run.plan, _read_plan, None),
        findings=attempt(run.findings, _read_findings, None),
        series=attempt(run.metrics, _read_series, {}),
        evaluations=tuple(_with_images(e, run.evaluation(e.split), attempt) for e in evaluations),
        environment=attempt(run.environment, _read_mapping, {}),
        model=attempt(run.model / "model.json", _read_mapping, {}),
        unreadable=unreadable,
    )


def _refuse_other_folders(run: RunFolder) -> None:
    expected = "the folder that `limner train` wrote, with plan.yaml, metrics.csv or evaluation/ in it"
    if not run.root.is_dir():
        found = "a file" if run.root.exists() else "nothing"
        raise DataError(describe("There is no run folder", where=run.root, found=found, expected=expected))
    parts = (run.plan, run.metrics, run.findings, run.root / "evaluation", run.model)
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
    folders = [f for f in (run.root / "evaluation").glob("*") if f.is_dir()]
    return sorted(folders, key=lambda f: (SPLIT_ORDER.get(f.name, 2), f.name))


def _read_plan(path: Path) -> Plan:
    plan = plan_from_yaml(path.read_text("utf-8"), where=path.name)
    try:
        _ = plan.data.label_table
    except (KeyError, TypeError) as error:
        raise ConfigError(
            f"{path.name}: the label table under data.labels is not whole ({error!r})"
        ) from None
    return plan


def _read_mapping(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text("utf-8")))


def _read_findings(path: Path) -> tuple[Finding, ...]:
    rows = json.loads(path.read_text("utf-8"))
    known = Finding.__dataclass_fields__.keys()
    return tuple(
        Finding(
            # Runs of version 0.1 say "mend".
            **{k: v for k, v in {"fix": row.get("mend", ""), **row}.items() if k in known}
            | {"severity": Severity(row["severity"]), "files": tuple(row.get("files", ()))}
        )
        for row in rows
    )


def _read_series(path: Path) -> dict[str, Series]:
    columns: dict[str, tuple[list[float], list[float], list[float]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                numbers = float(row["step"]), float(row["seconds"]), float(row["value"])
            except (TypeError, ValueError):
                continue  # the last line of a run that was killed may be cut short
            lists = columns.setdefault(row["name"], ([], [], []))
            for column, number in zip(lists, numbers, strict=True):
                column.append(number)
    return {name: Series(*map(tuple, lists)) for name, lists in columns.items()}


def _read_evaluation(path: Path) -> Evaluation:
    scores = json.loads(path.read_text("utf-8"))
    confusion = scores.get("confusion_matrix")
    num_classes = len(scores["classes"])
    if confusion is not None and [len(row) for row in confusion] != [num_classes] * num_classes:
        raise ValueError(f"confusion_matrix is not {num_classes} by {num_classes}, one row a class")
    return Evaluation(
        split=path.parent.name,
        num_images=int(scores["num_images"]),
        classes=tuple(_class_scores(row) for row in scores["classes"]),
        overall={name: _number(scores.get(name)) for name in OVERALL_NAMES},
        confusion=None if confusion is None else tuple(tuple(int(n) for n in row) for row in confusion),
        definitions={str(k): str(v) for k, v in scores.get("definitions", {}).items()},
        intervals=_intervals(scores.get("intervals", {})),
        spreads={name: _spread(row) for name, row in scores.get("per_image", {}).items()},
        thresholds=_thresholds(scores.get("thresholds")),
        matches=_matches(scores),
    )


def _intervals(rows: dict[str, list[object]]) -> dict[str, tuple[float, float]]:
    """Return the intervals of which both ends are numbers."""
    ends = {name: (_number(low), _number(high)) for name, (low, high) in rows.items()}
    return {n: (low, high) for n, (low, high) in ends.items() if low is not None and high is not None}


def _spread(row: dict[str, Any]) -> Spread:
    mean, median, low_end = (_number(row.get(name)) for name in ("mean", "median", "percentile_5"))
    interval = _intervals(row.get("intervals", {})).get("mean")
    return Spread(int(row["num_images"]), mean, median, low_end, interval)


def _thresholds(row: dict[str, Any] | None) -> Thresholds | None:
    if row is None:
        return None
    numbers = {name: _number(row[name]) for name in row if name not in ("class_name", "reliability")}
    points = tuple((float(r["probability"]), float(r["fraction"])) for r in row["reliability"])
    return Thresholds(str(row["class_name"]), numbers, points, {})


def _matches(scores: dict[str, Any]) -> Matches | None:
    rows, bars = scores.get("f1_by_iou"), scores.get("matched_iou", ())
    if not rows:
        return None
    f1, precision, recall = (
        tuple(math.nan if (value := _number(row[name])) is None else value for row in rows)
        for name in ("f1", "precision", "recall")
    )
    return Matches(
        ious=tuple(float(row["iou"]) for row in rows),
        f1=f1,
        precision=precision,
        recall=recall,
        pairs=tuple((float(bar["low"]), float(bar["high"]), int(bar["pairs"])) for bar in bars),
        count_error=_number(scores.get("count_error")),
        count_bias=_number(scores.get("count_bias")),
    )


def _class_scores(row: dict[str, Any]) -> ClassScores:
    return ClassScores(
        name=str(row["name"]),
        iou=_number(row.get("iou")),
        dice=_number(row.get("dice")),
        precision=_number(row.get("precision")),
        recall=_number(row.get("recall")),
        pixels=int(row.get("pixels") or 0),
        predicted_pixels=int(row.get("predicted_pixels") or 0),
        boundary_iou=_number(row.get("boundary_iou")),
        boundary_f1=_number(row.get("boundary_f1")),
        own={} if "iou" in row else {k: _number(row[k]) for k in row if k not in ("name", "is_thing")},
    )


def _with_images(evaluation: Evaluation, folder: Path, attempt: Callable[..., Any]) -> Evaluation:
    """Add what stands in the other files of the split."""
    images = attempt(folder / "per_image.csv", _read_images, ())
    pictures = tuple(sorted((folder / "pictures").glob("*.png")))
    speed = attempt(folder / "speed.json", _read_mapping, {})
    thresholds = evaluation.thresholds
    if thresholds is not None:
        curves = attempt(folder / "thresholds.csv", _read_columns, {})
        thresholds = replace(thresholds, curves=curves)
    return replace(evaluation, images=images, pictures=pictures, speed=speed, thresholds=thresholds)


def _read_columns(path: Path) -> dict[str, tuple[float, ...]]:
    """Return the columns of a table of numbers; an empty cell is NaN."""
    with path.open(newline="", encoding="utf-8") as file:
        heads, *rows = csv.reader(file)
    columns = zip(*([float(cell or "nan") for cell in row] for row in rows), strict=True)
    return dict(zip(heads, columns, strict=True))


def _read_images(path: Path) -> tuple[ImageScores, ...]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = [
            ImageScores(
                row["name"],
                _number(row.get("foreground_dice")),
                _number(row.get("mean_iou")),
                None if "mean_iou" in row else _first_score(row),
            )
            for row in csv.DictReader(file)
        ]
    return tuple(sorted(rows, key=lambda r: (r.rank is None, r.rank or 0.0, r.name)))


def _first_score(row: dict[str, str]) -> tuple[str, float | None]:
    """Return the score that ranks an image of another task: the first column after the name."""
    name = next(column for column in row if column != "name")
    return name, _number(row[name])


def _number(value: object) -> float | None:
    """Return a finite number, or None for null, an empty cell and NaN."""
    if value is None or value == "":
        return None
    number = float(str(value))
    return number if math.isfinite(number) else None
