"""Models of the service: loaded once, refused as soon as their files change on disk."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner.core.errors import ConfigError, ModelError, UnknownNameError, describe
from limner.core.label_map import LabelMap
from limner.core.labels import IGNORE_INDEX
from limner.core.prediction import SCORE_THRESHOLD
from limner.drawing.colors import class_colors
from limner.inference.ensemble import model_paths
from limner.inference.open_predictor import AnyPredictor, open_predictor
from limner.storage.file_states import State, file_state
from limner.storage.user_paths import user_path
from limner.transforms.fit_values import ValueRange
from limner.weights.card import file_sha256, model_folder

MODEL_FOLDER = "model"
"""Name of the model's folder in a run, which says less than the run's own."""


@dataclass
class ServedFile:
    """A file of a model folder, as it was when the model was loaded.

    Attributes:
        state: Size and time of the last change.
        sha256: Hash of its content.
    """

    state: State | None
    sha256: str


@dataclass(frozen=True)
class ServedModel:
    """A model of the service.

    Attributes:
        name: Name in requests.
        predictor: The loaded model, or those of a cross-validation, whose predictions are averaged.
        files: Its files, as they were when it was loaded.
    """

    name: str
    predictor: AnyPredictor
    files: dict[Path, ServedFile]

    def refuse_changed(self) -> None:
        """Refuse to predict with a model whose files are no longer those that were loaded.

        Raises:
            ModelError: A file changed, is missing or cannot be read.
        """
        for path, loaded in self.files.items():
            state = file_state(path)
            if state is not None and state == loaded.state:
                continue
            if state is None or file_sha256(path) != loaded.sha256:
                raise ModelError(
                    describe(
                        "The model changed on disk after the server loaded it",
                        where=path,
                        found="no such file" if state is None else "another content",
                        expected=f"the file that was loaded as {self.name!r}",
                        fix="Restart the server, which loads and verifies the model again.",
                    )
                )
            loaded.state = state  # only touched

    @property
    def is_correctable(self) -> bool:
        """Whether predictions can be corrected with a brush: label maps of images, in 8 bits."""
        task, plan = self.predictor.task, self.predictor.plan
        is_small = self.predictor.labels.ignore_index == IGNORE_INDEX
        return LabelMap in task.targets and not plan.input.takes_volumes and is_small

    def to_json(self) -> dict[str, Any]:
        """Return what `GET /models` says about the model."""
        labels, plan = self.predictor.labels, self.predictor.plan
        colors = class_colors(labels)
        return {
            "name": self.name,
            "task": plan.task,
            "title": self.predictor.task.title,
            "network": plan.network.name,
            "channels": plan.input.channels,
            "spatial_dims": 3 if plan.input.takes_volumes else 2,
            "device": str(self.predictor.device),
            "is_correctable": self.is_correctable,
            "score_threshold": SCORE_THRESHOLD,
            "classes": [
                {
                    "index": index,
                    "name": one.name,
                    "value": one.values[0],
                    "color": list(colors[one.name]),
                    "is_background": index == labels.background_index,
                }
                for index, one in enumerate(labels.classes)
            ],
        }


class ServedModels:
    """The models of the service by name; the first is the default.

    Args:
        models: At least one.
    """

    def __init__(self, models: Sequence[ServedModel]) -> None:
        self._by_name = {model.name: model for model in models}

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._by_name.values())

    def find(self, name: str | None) -> ServedModel:
        """Return a model by name, or the first.

        Raises:
            UnknownNameError: There is none of this name.
        """
        if name is None:
            return next(iter(self._by_name.values()))
        if name not in self._by_name:
            raise UnknownNameError("model", name, self._by_name)
        return self._by_name[name]


def load_served_models(
    paths: Sequence[Path | str],
    *,
    device: str = "auto",
    precision: str | None = None,
    value_range: ValueRange | None = None,
) -> ServedModels:
    """Load models.

    Args:
        paths: Model folders, runs or cross-validations; each is named after its folder, or after the run that
            contains it.
        device: As in `limner.load`.
        precision: As in `limner.load`.
        value_range: As in `limner.load`.

    Raises:
        ModelError: One cannot be loaded.
        ConfigError: There is none, or the same one twice.
    """
    if not paths:
        raise ConfigError("There is nothing to serve: no model was named.")
    places = [user_path(path).resolve() for path in paths]
    folders = [tuple(model_folder(each).resolve() for each in model_paths(place)) for place in places]
    if len(set(folders)) < len(folders):
        raise ConfigError(f"A model is named twice: {', '.join(map(str, places))}.")
    named = [each[0] if len(each) == 1 else place for place, each in zip(places, folders, strict=True)]
    found = []
    for place, each, name in zip(places, folders, model_names(named), strict=True):
        # The states are taken first: a file that changes while it is loaded is then seen as changed.
        states = {path: file_state(path) for path in _files_in(each)}
        predictor = open_predictor(place, device=device, precision=precision, value_range=value_range)
        predictor.share_cores()
        files = {path: ServedFile(state, file_sha256(path)) for path, state in states.items()}
        found.append(ServedModel(name, predictor, files))
    return ServedModels(found)


def model_names(folders: Sequence[Path]) -> list[str]:
    """Return a name for each folder: its own, or that of the run; repeated ones are numbered."""
    names: list[str] = []
    for folder in folders:
        own = folder.parent.name if folder.name == MODEL_FOLDER and folder.parent.name else folder.name
        number, name = 1, own
        while name in names:
            number += 1
            name = f"{own}-{number}"
        names.append(name)
    return names


def _files_in(folders: Sequence[Path]) -> list[Path]:
    return [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
