"""Curves of a run of limner or of another program, under the same names.

Supported are run folders of limner; `scalars.json` of mmengine, `*.log.json` of mmcv and `metrics.json` of
Detectron2 (one JSON object per line); the text logs `*.log` of mmengine and mmcv; `metrics.csv` of Lightning
(one column per value); and event files of TensorBoard.
"""

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from limner.core.errors import DataError, describe
from limner.core.run_folder import RunFolder
from limner.reporting.gather import DAMAGED, gather
from limner.reporting.logged_facts import logged_facts
from limner.reporting.run_facts import RunFacts, Series
from limner.reporting.step_lines import read_step_lines

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
    "segm_mAP": "val/ap",
    "segm_mAP_50": "val/ap50",
    "segm_mAP_75": "val/ap75",
    "bbox_mAP": "val/box_ap",
    "total_loss": "train/loss",
    "segm/AP": "val/ap",
    "segm/AP50": "val/ap50",
    "segm/AP75": "val/ap75",
    "bbox/AP": "val/box_ap",
    "bbox/AP50": "val/box_ap50",
    "sem_seg/mIoU": "val/mean_iou",
    "sem_seg/mACC": "val/mean_recall",
    "sem_seg/pACC": "val/pixel_accuracy",
    "panoptic_seg/PQ": "val/pq",
}
"""Names in other programs -> limner's names; other names stay unchanged."""

PERCENT = (
    *("mIoU", "mDice", "mAcc", "aAcc", "coco_panoptic/PQ"),
    *("segm/AP", "segm/AP50", "segm/AP75", "bbox/AP", "bbox/AP50"),
    *("sem_seg/mIoU", "sem_seg/mACC", "sem_seg/pACC", "panoptic_seg/PQ"),
)
"""Scores that mmengine's projects and Detectron2 write from 0 to 100; mmcv wrote them from 0 to 1."""

LIGHTNING_RATE = "lr-"
"""Prefix of the optimizer's name in Lightning's learning-rate monitor."""

LOGS = ("scalars.json", "*.log.json", "metrics.json", "metrics.csv", "events.out.tfevents*", "*.log")
"""Patterns of log files; the first that is found in a folder is read."""

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
                expected="a run folder of limner, scalars.json, *.log.json or *.log (mmengine, mmcv), "
                "metrics.json (Detectron2), metrics.csv (Lightning), or events.out.tfevents* (TensorBoard)",
            )
        )
    try:
        series = _series(_rows(log, whole_folder=path.is_dir()))
    except DAMAGED as error:
        found = f"{type(error).__name__}: {error}"
        raise DataError(describe("The log cannot be read", where=log, found=found)) from error
    if not series:
        raise DataError(describe("The log contains no values", where=log))
    return RunFacts(root=path.resolve(), series=series, is_foreign=True, logged=logged_facts(log))


def is_foreign(path: Path) -> bool:
    """Return whether a path is a log of another program or a folder with one, rather than a run of limner."""
    log = _find_log(path)
    if log is None or path.is_file():
        return path.is_file()
    return not any(_is_ours(folder) for folder in log.parents if folder.is_relative_to(path))


def _is_ours(folder: Path) -> bool:
    metrics = folder / "metrics.csv"
    if (folder / "plan.yaml").is_file() or (folder / "evaluation").is_dir():
        return True
    return metrics.is_file() and metrics.read_bytes()[:23] == b"step,seconds,name,value"


def _find_log(path: Path) -> Path | None:
    if path.is_file():
        return path
    for pattern in LOGS:
        found = sorted(path.rglob(pattern))
        if found:
            return found[-1]  # names contain the date, so the last is the newest
    return None


def _rows(log: Path, *, whole_folder: bool) -> Iterator[Row]:
    if "tfevents" in log.name:
        return _tensorboard(log.parent if whole_folder else log)  # a resumed run has several files
    return _wide_csv(log) if log.suffix == ".csv" else _step_lines(log)


def _step_lines(log: Path) -> Iterator[Row]:
    """Yield the rows of mmengine, mmcv or Detectron2."""
    for line in read_step_lines(log):
        for name, value in line.values.items():
            yield from _row(line.step, line.seconds, name, value, percent=line.is_percent)


def _wide_csv(log: Path) -> Iterator[Row]:
    with log.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for name, value in row.items():
                if name not in NOT_VALUES and value not in ("", None):
                    yield from _row(float(row["step"]), math.nan, name, value)


def _tensorboard(log: Path) -> Iterator[Row]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(log), size_guidance={"scalars": 0})
    try:
        events.Reload()
    except Exception as error:  # parsing damaged bytes can raise almost any error
        raise ValueError(f"a damaged event file: {error}") from error
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
