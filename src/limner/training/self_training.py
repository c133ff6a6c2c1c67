"""Self-training: a run that also learns its initial weights' confident predictions of unlabelled images."""

import json
from collections.abc import Sequence
from pathlib import Path

from limner.checks.measuring import digest
from limner.core.errors import ConfigError, DataError, describe
from limner.core.execution import Execution
from limner.core.plan import Plan
from limner.core.sample import Record
from limner.core.watchers import Watchers
from limner.devices.processes import num_processes
from limner.inference.image_paths import ImagePath, list_images
from limner.inference.predictor import Predictor
from limner.inference.pseudo_labels import (
    LABELS,
    PseudoSummary,
    from_json,
    to_json,
    write_pseudo_labels,
)
from limner.loading.dataset import Dataset
from limner.loading.pseudo_labelled import PREFIX, JoinedDataset, PseudoLabelled
from limner.planning.decisions import YOU_SET_IT
from limner.preparation.data_state import noted_digests
from limner.preparation.prepared_run import PreparedRun
from limner.storage.file_states import state_of
from limner.storage.json_files import write_json
from limner.weights.starting import read_start

KEY = "train.unlabelled"
SUMMARY = "summary.json"
"""File in the folder of pseudo-labels; it is written last, so that an interrupted labelling starts again."""


def with_pseudo_labels(prepared: PreparedRun, train: Dataset, execution: Execution) -> tuple[Plan, Dataset]:
    """Return the plan with the number of labelled pixels, and the training images with `train.unlabelled`.

    The pseudo-labels are predicted once, before the first step, and kept in the run's folder, where a resumed
    run finds them.

    Args:
        prepared: The run.
        train: Its labelled training samples.
        execution: Device and observers.

    Raises:
        ConfigError: The plan does not fit, or there are several processes.
        DataError: There is no image, one cannot be read, or images differ from those at the beginning.
    """
    plan = prepared.plan
    unlabelled = plan.train.unlabelled
    if unlabelled is None:
        return plan, train
    if num_processes() > 1:
        raise ConfigError(
            f"{KEY} needs a single process, which predicts the images before the first step. Train on one "
            "device, or without it."
        )
    images = list_images([unlabelled])
    folder = prepared.folder.pseudo_labels
    state = state_of((image.path for image in images), f"{plan.train.unlabelled_share}")
    summary = _read_summary(folder, state)
    if summary is None:
        summary = write_pseudo_labels(
            _predictor(plan, execution),
            images,
            folder,
            train.labels,
            share=plan.train.unlabelled_share,
            known=_digests(prepared),
            track=execution.track,
        )
        if not summary.images:
            raise _all_known(images, unlabelled)
        write_json(folder / SUMMARY, {"state": state, **to_json(summary)})
    paths = {image.output: image.path for image in images}
    records = [
        Record(f"{PREFIX}{name}", paths[name], (folder / LABELS / f"{name}.png",)) for name in summary.images
    ]
    pseudo = PseudoLabelled(train.source, records, train.labels)
    Watchers(execution.watchers).say(f"{summary.words}.")
    reason = plan.reasons.get(KEY, YOU_SET_IT)
    if summary.words not in reason:  # as in the plan of a run that is resumed
        reason = f"{reason}; {summary.words}"
    reasons = plan.reasons | {KEY: reason}
    return plan.model_copy(update={"reasons": reasons}), JoinedDataset(train, pseudo)


def _read_summary(folder: Path, state: str) -> PseudoSummary | None:
    """Return the summary of pseudo-labels that are complete; None if there are none, or it is damaged.

    Raises:
        DataError: They are of other images.
    """
    try:
        values = json.loads((folder / SUMMARY).read_bytes())
        kept_state, summary = values["state"], from_json(values)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # the images are labelled again, with the same result
    if kept_state != state:
        raise DataError(
            describe(
                "The unlabelled images have changed since the run began",
                where=folder,
                found="other images, or images that changed",
                expected="those whose pseudo-labels are in the folder",
                fix="Restore the images, or start a new run.",
            )
        )
    return summary


def _predictor(plan: Plan, execution: Execution) -> Predictor:
    """Return the initial weights as a predictor, which averages mirrored views where it can."""
    assert plan.network.weights is not None, "planning refuses runs without"
    model = read_start(Path(plan.network.weights), task=plan.task).model
    predictor = Predictor(model, device=execution.device)
    if predictor.task.allowed_with(predictor.plan.loss).views:
        predictor.settings = predictor.settings.model_copy(update={"flips": True})
    return predictor


def _digests(prepared: PreparedRun) -> set[str]:
    """Return the digests of the images of all splits, which must not be learned from as unlabelled ones.

    The check of the data has computed them; only images without one are read.

    Raises:
        DataError: An image cannot be read.
    """
    noted = noted_digests(prepared.folder)
    records = [record for members in prepared.splits.values() for record in members]
    return {noted.get(one.name) or digest(prepared.source.read_image(one).array) for one in records}


def _all_known(images: Sequence[ImagePath], unlabelled: str) -> DataError:
    return DataError(
        describe(
            "Every unlabelled image is in the dataset already",
            where=unlabelled,
            found=f"{len(images)} images",
            expected="images that are in no split",
            fix="Name a folder with other images.",
        )
    )
