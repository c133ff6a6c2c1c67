"""Curves of a run of limner or of another program, under the same names.

Supported are run folders of limner; `scalars.json` of mmengine and `*.log.json` of mmcv (one JSON object per
line); `metrics.csv` of Lightning (one column per value); and event files of TensorBoard.
"""

import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from limner.core.errors import DataError, describe
from limner.core.run_folder import RunFolder
from limner.reporting.gather import gather
from limner.reporting.run_facts import RunFacts, Series

Row = tuple[float, float, str, float]
"""Step, seconds since the start (NaN if unknown), name, value."""

OUR_NAMES = {
    "loss": "train/loss",
    "train_loss": "train/loss",
    "lr": "train/learning_rate",
    "base_lr": "train/learning_rate",
    "time": "train/step_seconds",
    "data_time": "train/data_seconds",
    "val_loss": "val/loss",
    "mIoU": "val/mean_iou",
    "mDice": "val/mean_dice",
    "mAcc": "val/mean_recall",
    "aAcc": "val/pixel_accuracy",
    "train_loss_step": "train/loss",
    "coco/segm_mAP": "val/ap",
    "coco/segm_mAP_50": "val/ap50",
    "coco/segm_mAP_75": "val/ap75",
    "coco/bbox_mAP": "val/box_ap",
    "coco_panoptic/PQ": "val/pq",
}
"""Names in other programs -> limner's names; other names stay unchanged."""

PERCENT = ("mIoU", "mDice", "mAcc", "aAcc", "coco_panoptic/PQ")
"""Scores that mmengine's projects write from 0 to 100; mmcv wrote them from 0 to 1."""

LIGHTNING_RATE = "lr-"
"""Prefix of the optimizer's name in Lightning's learning-rate monitor."""

NOT_VALUES = {"step", "iter", "epoch", "mode", "seed", "seconds"}


def read_run(path: Path) -> RunFacts:
    """Read the logged values of a run.

    Args:
        path: A run folder of limner, a log file of another program, or a folder with one.

    Raises:
        DataError: There is no readable log.
    """
    if path.is_dir() and _is_ours(path):
        return gather(RunFolder(path))
    log = _find_log(path)
    if log is None:
        raise DataError(
            describe(
                "No training log was found",
                where=path,
                found="nothing" if not path.exists() else "no log in a known format",
                expected="a run folder of limner, scalars.json or *.log.json (mmengine, mmcv), metrics.csv "
                "(Lightning), or events.out.tfevents* (TensorBoard)",
            )
        )
    try:
        series = _series(_rows(log, whole_folder=path.is_dir()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        found = f"{type(error).__name__}: {error}"
        raise DataError(describe("The log cannot be read", where=log, found=found)) from error
    if not series:
        raise DataError(describe("The log contains no values", where=log))
    return RunFacts(root=path.resolve(), series=series)


def _is_ours(folder: Path) -> bool:
    metrics = folder / "metrics.csv"
    if (folder / "plan.yaml").is_file() or (folder / "evaluation").is_dir():
        return True
    return metrics.is_file() and metrics.read_text("utf-8")[:23] == "step,seconds,name,value"


def _find_log(path: Path) -> Path | None:
    if path.is_file():
        return path
    for pattern in ("scalars.json", "*.log.json", "metrics.csv", "events.out.tfevents*"):
        found = sorted(path.rglob(pattern))
        if found:
            return found[-1]  # names contain the date, so the last is the newest
    return None


def _rows(log: Path, *, whole_folder: bool) -> Iterator[Row]:
    if "tfevents" in log.name:
        return _tensorboard(log.parent if whole_folder else log)  # a resumed run has several files
    return _wide_csv(log) if log.suffix == ".csv" else _json_lines(log)


def _json_lines(log: Path) -> Iterator[Row]:
    """Yield the rows of mmengine or mmcv; validation lines count from the last training step."""
    seconds, step = 0.0, 0.0
    for line in log.read_text("utf-8").splitlines():
        try:
            values = json.loads(line)
        except json.JSONDecodeError:
            continue  # the incomplete last line of a killed run
        is_mmcv = "mode" in values
        # Some projects count validations in epochs and write no mode: only training has a learning rate.
        is_validation = values["mode"] == "val" if is_mmcv else "lr" not in values and "loss" not in values
        now = values.get("step", values.get("iter"))
        if now is None:
            continue  # the settings in the first line of mmcv
        if not is_validation:
            seconds += max(0.0, float(now) - step) * float(values.get("time", math.nan))
            step = float(now)
        for name, value in values.items():
            if name not in NOT_VALUES and not (is_validation and name in ("lr", "time", "data_time")):
                yield from _row(step, seconds, name, value, percent=not is_mmcv)


def _wide_csv(log: Path) -> Iterator[Row]:
    with log.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for name, value in row.items():
                if name not in NOT_VALUES and value not in ("", None):
                    yield from _row(float(row["step"]), math.nan, name, value)


def _tensorboard(log: Path) -> Iterator[Row]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(log), size_guidance={"scalars": 0})
    events.Reload()
    first = math.inf
    for name in events.Tags()["scalars"]:
        for event in events.Scalars(name):
            first = min(first, event.wall_time)
    for name in events.Tags()["scalars"]:
        for event in events.Scalars(name):
            yield from _row(float(event.step), event.wall_time - first, name, event.value)


def _row(step: float, seconds: float, name: str, value: object, *, percent: bool = False) -> Iterator[Row]:
    """Yield a number under limner's name; with `percent`, scores in `PERCENT` are divided by 100."""
    try:
        number = float(str(value))
    except ValueError:
        return
    ours = "train/learning_rate" if name.startswith(LIGHTNING_RATE) else OUR_NAMES.get(name, name)
    yield step, seconds, ours, number / 100 if percent and name in PERCENT else number


def _series(rows: Iterable[Row]) -> dict[str, Series]:
    columns: dict[str, dict[float, tuple[float, float]]] = defaultdict(dict)
    for step, seconds, name, value in rows:
        columns[name][step] = seconds, value  # if a step was repeated, the last value counts
    return {
        name: Series(tuple(steps), tuple(steps[s][0] for s in steps), tuple(steps[s][1] for s in steps))
        for name, steps in ((name, dict(sorted(found.items()))) for name, found in columns.items())
    }
