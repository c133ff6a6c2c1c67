"""Folds of a cross-validation: each image is in the validation of one of them, and folds.json says which."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from limner.core.config import Config
from limner.core.dataset_file import SplitFractions
from limner.core.errors import ConfigError, DataError, ModelError, describe
from limner.core.run_folder import RunFolder
from limner.core.sample import Record
from limner.datasets.checked import CheckResult
from limner.datasets.image_division import Divisible, divide_units, split_fractions
from limner.loading.splits import Splits
from limner.planning.plan_files import read_plan
from limner.preparation.run_splits import is_scored, unscored_splits
from limner.storage.json_files import write_json
from limner.storage.whole_files import remove_leftovers_of
from limner.tasks import find_task

MOST_LISTED = 4
"""Maximum number of differences, and of images, that a message lists."""


class FoldsFile(Config):
    """folds.json: what was asked for, and which images each fold validates on."""

    version: Literal[1] = 1
    """Version of the file format."""
    data: str
    """The dataset folder, or the file of settings that names it."""
    group: str | None = None
    """Regular expression of the images that stay together."""
    seed: int = 0
    """Random seed of the division."""
    settings: dict[str, Any] = {}
    """Settings of every fold, nested as in plan.yaml."""
    folds: list[list[str]]
    """Names of the images that each fold validates on."""
    test: list[str] = []
    """Names of the images that no fold is trained on, which all models predict together."""

    @property
    def fold_of(self) -> dict[str, int]:
        """Image -> index of the fold that validates on it."""
        return {name: index for index, names in enumerate(self.folds) for name in names}


@dataclass(frozen=True)
class FoldsRequest:
    """The request of a cross-validation, which is continued only with the same one.

    Attributes:
        data: The dataset folder, or the file of settings that names it.
        num_folds: Number of folds.
        group: Regular expression of the images that stay together, or None.
        seed: Random seed of the division.
        settings: Settings of every fold, nested as in plan.yaml.
    """

    data: str
    num_folds: int
    group: str | None
    seed: int
    settings: dict[str, Any]

    def differences(self, file: FoldsFile) -> list[str]:
        """Return how the request differs from that of a folder, in words; empty if it is the same."""
        pairs = {
            "data": (file.data, self.data),
            "--folds": (len(file.folds), self.num_folds),
            "--group": (file.group, self.group),
            "the seed": (file.seed, self.seed),
            "the settings": (file.settings, dict(self.settings)),
        }
        return [f"{name}: {old}, now {new}" for name, (old, new) in pairs.items() if old != new]


def request_for(
    data: Path, num_folds: int, group: str | None, seed: int, settings: Mapping[str, Any]
) -> FoldsRequest:
    """Return a request with a complete path, and with settings as JSON has them."""
    return FoldsRequest(
        str(data.resolve()), num_folds, group, seed, json.loads(json.dumps(settings, default=str))
    )


def divide_into_folds(checked: CheckResult, request: FoldsRequest) -> FoldsFile:
    """Divide the training and validation images of a dataset into folds, spreading the classes evenly.

    Raises:
        ConfigError: There are fewer than two folds, or `group` is not a regular expression.
        DataError: There are too few images or groups, or an image is in no group.
    """
    if request.num_folds < 2:
        raise ConfigError(f"--folds must be 2 or more; found {request.num_folds}.")
    labels = checked.settled_labels("there is nothing to train on")
    kept = {r.name for split in ("train", "val") for r in checked.splits.get(split, ())}
    units = Divisible.of(checked, labels, only=kept).units(request.group)
    fractions: SplitFractions = split_fractions(0.5, 0.0, request.seed, request.num_folds)
    folds = divide_units(units, fractions, request.num_folds)
    return FoldsFile(
        data=request.data,
        group=request.group,
        seed=request.seed,
        settings=dict(request.settings),
        folds=[sorted(fold["val"]) for fold in folds],
        test=sorted(record.name for record in checked.splits.get("test", ())),
    )


def splits_of_fold(file: FoldsFile, index: int, records: Mapping[str, Record]) -> Splits:
    """Return the training and validation images of a fold, and the test images, which all folds share.

    Args:
        file: The folds.
        index: Index of the fold, from 0.
        records: The images by name.
    """
    val = set(file.folds[index])
    train = sorted(name for names in file.folds for name in names if name not in val)
    names = {"train": train, "val": sorted(val), "test": file.test}
    return {split: tuple(records[name] for name in members) for split, members in names.items() if members}


def refuse_other_images(file: FoldsFile, checked: CheckResult, run: RunFolder) -> None:
    """Check that the dataset has exactly the images of the folds.

    Raises:
        DataError: Images are missing, or others are there.
    """
    known = {*file.fold_of, *file.test}
    found = {record.name for records in checked.splits.values() for record in records}
    if known == found:
        return
    parts = [
        f"{len(names)} {what}"
        for names, what in ((known - found, "missing"), (found - known, "new"))
        if names
    ]
    names = sorted(known ^ found)[:MOST_LISTED]
    raise DataError(
        describe(
            "The images have changed since they were divided into folds",
            where=run.folds,
            found=f"{' and '.join(parts)}, such as {', '.join(names)}",
            expected=f"the {len(known)} images of the folds",
            fix="Restore the images, or start a new cross-validation with another --run.",
        )
    )


def write_folds(run: RunFolder, file: FoldsFile) -> None:
    """Write folds.json, and splits.json, in which all images of the folds are for validation."""
    write_json(run.folds, file.model_dump(mode="json"))
    names = {"val": sorted(file.fold_of), "test": file.test}
    write_json(run.splits, {split: members for split, members in names.items() if members})
    for path in (run.folds, run.splits):
        remove_leftovers_of(path)


def read_folds(run: RunFolder) -> FoldsFile | None:
    """Read folds.json, or return None if the folder has none.

    Raises:
        DataError: It is damaged.
    """
    if not run.folds.is_file():
        return None
    try:
        file = FoldsFile.model_validate_json(run.folds.read_bytes())
    except (OSError, ValueError) as error:
        raise _damaged(run, str(error).splitlines()[0]) from None
    counts = Counter(name for names in (*file.folds, file.test) for name in names)
    twice = [name for name, count in counts.items() if count > 1]
    if twice or len(file.folds) < 2 or not all(file.folds):
        found = f"{twice[0]} in several folds" if twice else "fewer than two folds, or an empty one"
        raise _damaged(run, found)
    return file


def _damaged(run: RunFolder, found: str) -> DataError:
    return DataError(
        describe(
            "The list of the folds cannot be read",
            where=run.folds,
            found=found,
            expected="folds.json as `limner train --folds` wrote it, with each image in one fold",
            fix="Copy the file again from the original run, or start a new cross-validation.",
        )
    )


def is_trained(run: RunFolder) -> bool:
    """Tell whether a fold is trained and scored, and its report is written."""
    return run.model.is_dir() and not unscored_splits(run) and run.report.is_file()


def scored_splits(run: RunFolder, file: FoldsFile) -> tuple[str, ...]:
    """Return the splits that are scored for all folds together.

    Test images are, if the task averages predictions; every fold has scores of them as well.
    """
    task = find_task(read_plan(run.fold(0).plan).task)
    return ("val", "test") if file.test and task.averages else ("val",)


def is_finished(run: RunFolder, file: FoldsFile) -> bool:
    """Tell whether all folds are trained and scored, and the report of all is written."""
    folds = [run.fold(index) for index in range(len(file.folds))]
    return (
        all(map(is_trained, folds))
        and all(is_scored(run, split) for split in scored_splits(run, file))
        and run.report.is_file()
    )


def trained_folds(run: RunFolder, file: FoldsFile) -> tuple[RunFolder, ...]:
    """Return the runs of all folds.

    Raises:
        ModelError: Some have no model yet.
    """
    folds = tuple(run.fold(index) for index in range(len(file.folds)))
    done = [fold for fold in folds if fold.model.is_dir()]
    if len(done) < len(folds):
        raise ModelError(
            describe(
                "This cross-validation is not finished",
                where=run.root,
                found=f"{len(done)} of {len(folds)} folds with a model",
                fix=f"Finish it: limner train --resume {run.root}; or name one of its folds.",
            )
        )
    return folds


def records_of(checked: CheckResult) -> dict[str, Record]:
    """Return the labelled images of a dataset by name."""
    return {record.name: record for record in checked.source.records if record.labels}
