"""splits.json: the images of each split of a run."""

from pydantic import TypeAdapter, ValidationError

from limner.core.errors import DataError, describe
from limner.core.run_folder import RunFolder
from limner.core.sample import Record
from limner.evaluation.write_scores import SCORES_FILE
from limner.formats.source import Source
from limner.loading.splits import Splits
from limner.storage.json_files import write_json
from limner.storage.unfinished import is_unfinished

SCORED = ("val", "test")
"""Splits that every training scores at its end."""


def write_splits(run: RunFolder, splits: Splits) -> None:
    """Write the image names of each split to the run's splits.json."""
    names = {split: [record.name for record in records] for split, records in splits.items()}
    write_json(run.splits, names)


def read_splits(run: RunFolder, source: Source) -> Splits:
    """Look up the run's images in its data; empty splits are omitted.

    Raises:
        DataError: Images are missing, or splits.json is damaged.
    """
    names = _names(run)
    by_name: dict[str, Record] = {record.name: record for record in source.records}
    missing = sorted({name for members in names.values() for name in members} - by_name.keys())
    if missing:
        raise DataError(
            describe(
                "Images of this run are no longer in its data",
                where=source.root,
                found=f"{len(missing)} missing, such as {missing[0]}",
                expected=f"all {sum(map(len, names.values()))} images in {run.splits}",
                fix="Restore the data, or start a new run. To evaluate on other data: limner evaluate --data",
            )
        )
    return {split: tuple(by_name[name] for name in members) for split, members in names.items() if members}


def is_scored(run: RunFolder, split: str) -> bool:
    """Tell whether a split of a run has scores, whose evaluation was not interrupted."""
    folder = run.evaluation(split)
    return (folder / SCORES_FILE).is_file() and not is_unfinished(folder)


def unscored_splits(run: RunFolder) -> tuple[str, ...]:
    """Return the splits of a trained run whose scores are missing, or whose evaluation was interrupted.

    Raises:
        DataError: splits.json is damaged.
    """
    if not run.model.is_dir() or not run.splits.is_file():
        return ()
    names = _names(run)
    return tuple(split for split in SCORED if names.get(split) and not is_scored(run, split))


def _names(run: RunFolder) -> dict[str, list[str]]:
    """Return the image names of each split."""
    try:
        return TypeAdapter(dict[str, list[str]]).validate_json(run.splits.read_bytes(), strict=True)
    except (OSError, ValidationError) as error:
        detail = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise DataError(
            describe(
                "The list of the run's images cannot be read",
                where=run.splits,
                found=detail,
                expected='JSON such as {"train": ["one", "two"], "val": ["three"]}',
                fix="Copy the file again from the original run, or start a new run.",
            )
        ) from None
