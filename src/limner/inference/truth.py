"""True labels of image files, looked up in a labelled dataset."""

from pathlib import Path

from limner.checks.facts import DatasetFacts
from limner.core.errors import DataError, describe
from limner.core.labels import LabelTable
from limner.core.sample import Sample
from limner.datasets.checked import CheckResult, check_opened
from limner.evaluation.label_match import match_by_position, match_labels, position_advice
from limner.evaluation.scores_file import some_names
from limner.formats import open_source
from limner.formats.source import Source
from limner.inference.open_predictor import AnyPredictor
from limner.loading.dataset import Dataset
from limner.planning.task_choice import check_labels

MOST_VALUES = 8
"""Maximum number of mask values that a message lists."""

MOST_UNKNOWN = 0.5
"""If a larger fraction of masks has values of no class, the classes are wrong rather than the masks."""


def labels_for(source: Source, predictor: AnyPredictor, *, by_position: bool = False) -> LabelTable:
    """Return the data's mask values in the model's class order.

    The data is checked first, which reads every file once. Without named classes, masks with values of the
    training's masks only mean the same.

    Args:
        source: The labelled data.
        predictor: The model.
        by_position: Match classes by their order instead of their names.

    Raises:
        ConfigError: The data's format does not have labels for the model's task.
        DataError: The data has a class that the model does not have; most of its masks, or without named
            classes any, have values of no class; or by position there are more classes or fewer.
    """
    check_labels(source, predictor.task.name)
    where, model, declared = str(source.root), predictor.labels, source.declared_labels()
    match = match_by_position if by_position else match_labels
    checked = check_opened(source)
    if declared is not None:
        if _share_of_unknown(declared, checked.facts) > MOST_UNKNOWN:
            raise _other_values(declared, checked, "named in dataset.yaml")
        return match(model, predictor.task.labels(declared), where=where)
    if by_position:
        labels = checked.settled_labels("its classes have no order")
        return match(model, predictor.task.labels(labels), where=where)
    if _share_of_unknown(model, checked.facts) > 0 or not _has_threshold_of(model, checked):
        raise _other_values(model, checked, "that the model was trained on")
    return model


def _share_of_unknown(labels: LabelTable, facts: DatasetFacts) -> float:
    """Return the fraction of masks with values that are in no class and not ignored."""
    kind = labels.encoding.kind
    if kind in ("objects", "threshold") or not facts.labelled:
        return 0.0  # every value has a class
    facts = facts.by_palette() if kind == "color" else facts
    unknown = [not image.value_counts.keys() <= labels.trained_as.keys() for image in facts.labelled]
    return sum(unknown) / len(unknown)


def _has_threshold_of(model: LabelTable, checked: CheckResult) -> bool:
    """Return whether masks are black and white if the model's threshold is to divide their values."""
    if model.encoding.threshold is None:
        return True
    settled = checked.labels or checked.proposed_labels
    two_levels = settled is not None and settled.encoding.kind == "threshold"
    return two_levels or checked.facts.value_counts.keys() <= {0, 255}


def _other_values(labels: LabelTable, checked: CheckResult, which: str) -> DataError:
    """Return the error for masks of other values than those of a table, with what `limner check` offers."""
    root, values = checked.source.root, sorted(checked.facts.value_counts)
    found = f"values {', '.join(map(str, values[:MOST_VALUES]))}{', ...' * (len(values) > MOST_VALUES)}"
    names = some_names(labels.names)
    if checked.labels is None and checked.errors:
        found, fix = checked.errors[0].found, checked.errors[0].fix
        if checked.proposal:
            fix += f" `limner check {root} --accept` does so; in its dataset.yaml, name the classes {names}."
    else:
        fix = f"Name the classes in dataset.yaml like the model's: {names}."
        fix += "" if checked.labels is None else position_advice(labels, checked.labels)
    known = some_names([f"{c.values[0]} {c.name}" for c in labels.classes])
    return DataError(
        describe(
            f"The masks have values other than those {which}",
            where=root,
            found=found,
            expected=known,
            fix=fix,
        )
    )


class Truth:
    """Finds the labels of images by their files.

    Args:
        data: The labelled dataset folder.
        predictor: The model, which determines classes and task.

    Raises:
        ConfigError: The data's format does not have labels for the model's task.
        DataError: The folder cannot be opened, or its classes do not match the model's.
    """

    def __init__(self, data: Path | str, predictor: AnyPredictor) -> None:
        source = open_source(data)
        records = [record for record in source.records if record.labels]
        self._dataset = Dataset(
            source,
            records,
            labels_for(source, predictor),
            targets=predictor.task.targets,
            cache=None,
        )
        self._places = {record.image.resolve(): place for place, record in enumerate(records)}

    def of(self, image: Path) -> Sample | None:
        """Return an image file with its trained labels, or None if the folder has no labels for it.

        Raises:
            DataError: The labels cannot be read, or do not match the image.
        """
        place = self._places.get(image.resolve())
        return None if place is None else self._dataset[place]
