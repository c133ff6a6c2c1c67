"""Prediction by several models: their probabilities are averaged."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from limner.core.errors import ConfigError, describe
from limner.core.labels import LabelTable
from limner.core.picture import PLAIN, Geometry, Image, Picture
from limner.core.plan import InferencePlan, Plan
from limner.core.prediction import Prediction
from limner.core.run_folder import RunFolder
from limner.inference.load_predictor import load_predictor
from limner.inference.open_predictor import Settings
from limner.inference.predictor import Predictor
from limner.inference.seen_image import input_of_images
from limner.preparation.folds import read_folds, trained_folds
from limner.storage.user_paths import user_path
from limner.tasks.task import Task
from limner.transforms.fit_values import ValueRange
from limner.transforms.reduced_size import ReducedSize

if TYPE_CHECKING:
    from torch import nn


class Ensemble:
    """Predicts images with several models of the same classes, and averages their probabilities.

    The models may differ in everything else: network, size, spacing, slices or volumes.

    Args:
        members: Two models or more.

    Raises:
        ConfigError: Their tasks, classes or inputs differ, or predictions of the task cannot be averaged.
    """

    def __init__(self, members: Sequence[Predictor]) -> None:
        assert len(members) > 1, "one model is no ensemble"
        self.members = tuple(members)
        first, *others = self.members
        for number, member in enumerate(others, start=2):
            _refuse_difference(first, member, number)
        if not self.task.averages:
            raise ConfigError(
                f"Predictions of the task {self.task.name!r} cannot be averaged: the objects of several "
                "models do not correspond. Predict with one of the models."
            )

    @property
    def labels(self) -> LabelTable:
        """The classes; their mask values are those of the first model."""
        return self.members[0].labels

    @property
    def task(self) -> Task:
        """The task of all models."""
        return self.members[0].task

    @property
    def plan(self) -> Plan:
        """The plan of the first model."""
        return self.members[0].plan

    @property
    def settings(self) -> InferencePlan:
        """Settings of the first model; small parts are removed of the classes where all models do so."""
        found = [member.settings.largest_component for member in self.members]
        common = tuple(name for name in found[0] or () if all(name in (names or ()) for names in found))
        return self.members[0].settings.model_copy(update={"largest_component": common or None})

    @property
    def value_range(self) -> ValueRange | None:
        """The stated range of the images' values."""
        return self.members[0].value_range

    @property
    def device(self) -> torch.device:
        """The device of all models."""
        return self.members[0].device

    @property
    def precision(self) -> str:
        """The precision of the first model."""
        return self.members[0].precision

    @property
    def reduce(self) -> ReducedSize | None:
        """How much smaller JPEGs are decoded, if all models agree; None decodes them at full size."""
        first, *others = (member.reduce for member in self.members)
        return first if all(other == first for other in others) else None

    @cached_property
    def weights_hash(self) -> str:
        """A hash of all weights and settings, in the order of the models."""
        parts = [f"{m.weights_hash} {m.precision} {m.settings.model_dump_json()}" for m in self.members]
        return sha256("\n".join(parts).encode()).hexdigest()

    def share_cores(self, processes: int = 1) -> None:
        """Compute with as many threads as other programs leave cores free, see `Predictor`."""
        for member in self.members:
            member.share_cores(processes)

    def predict(
        self,
        image: Image | Picture | Path | str,
        *,
        name: str | None = None,
        probabilities: bool = False,
        geometry: Geometry = PLAIN,
        stored_dtype: str = "",
    ) -> Any:  # noqa: ANN401 - the prediction of the models' task
        """Predict one image; for the arguments and errors, see `Predictor.predict`."""

        def predictions() -> Iterator[Prediction]:
            for member in self.members:  # one at a time: each may hold the probabilities of a volume
                yield member.predict(
                    image, name=name, probabilities=True, geometry=geometry, stored_dtype=stored_dtype
                )

        return self.task.averaged(
            predictions(), labels=self.labels, settings=self.settings, probabilities=probabilities
        )


def joined_predictor(members: Sequence[Predictor]) -> Predictor | Ensemble:
    """Return the only model, or an ensemble of several.

    Raises:
        ConfigError: They cannot be averaged.
    """
    return members[0] if len(members) == 1 else Ensemble(members)


def open_members(
    models: Path | str | Sequence[Path | str],
    *,
    device: str = "auto",
    precision: str | None = None,
    settings: Settings | None = None,
    value_range: ValueRange | None = None,
    network: "nn.Module | None" = None,
) -> list[Predictor]:
    """Load a model, those of a cross-validation in the order of its folds, or all that are named.

    Args:
        models: A model folder, a run, a cross-validation, or several of them.
        device: As in `limner.load`, like the following.
        precision: Defaults to that of each model's training.
        settings: Defaults to the plan of each model.
        value_range: The range of the images' values.
        network: A custom network, for a single model.

    Raises:
        ModelError: One cannot be loaded, or a cross-validation is not finished.
        ConfigError: One is named twice, or there are several for one custom network.
    """
    paths = [models] if isinstance(models, str | Path) else list(models)
    folders = list(dict.fromkeys(folder for path in paths for folder in model_paths(user_path(path))))
    if len(folders) < len(paths):
        raise ConfigError(f"A model is named twice: {', '.join(map(str, paths))}.")
    if network is not None and len(folders) > 1:
        raise ConfigError(f"A custom network is for one model only; found {len(folders)}. Name one of them.")
    members = []
    for folder in folders:
        member = load_predictor(
            folder,
            device=device,
            precision=precision,
            settings=settings if isinstance(settings, InferencePlan) else None,
            value_range=value_range,
            network=network,
        )
        if settings is not None and not isinstance(settings, InferencePlan):
            member.settings = settings(member.plan)
        members.append(member)
    return members


def model_paths(path: Path) -> Iterable[Path]:
    """Return the model or run itself, or the runs of a cross-validation."""
    run = RunFolder(path)
    folds = read_folds(run)
    return [path] if folds is None else [fold.root for fold in trained_folds(run, folds)]


def _refuse_difference(first: Predictor, other: Predictor, number: int) -> None:
    """Refuse models whose probabilities are not about the same.

    Raises:
        ConfigError: Task, classes or input differ.
    """
    seen, others = (input_of_images(p.plan.input) for p in (first, other))
    pairs = {
        "tasks": (first.task.name, other.task.name),
        "classes": (_listed(first), _listed(other)),
        "inputs": (
            f"{seen.spatial_dims} dimensions with {seen.channels} channels",
            f"{others.spatial_dims} dimensions with {others.channels} channels",
        ),
    }
    for what, (one, two) in pairs.items():
        if one != two:
            raise ConfigError(
                describe(
                    f"These models have different {what}, so they cannot be averaged",
                    found=f"{two}, in model {number}",
                    expected=f"{one}, as in the first model",
                    fix="Predict with each of them on its own.",
                )
            )


def _listed(predictor: Predictor) -> str:
    return ", ".join(predictor.labels.names)
