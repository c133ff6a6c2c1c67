"""True labels of image files, looked up in a labelled dataset."""

from pathlib import Path

from limner.core.labels import LabelTable
from limner.core.sample import Sample
from limner.evaluation.label_match import match_labels
from limner.formats import open_source
from limner.formats.source import Source
from limner.inference.predictor import Predictor
from limner.loading.dataset import Dataset
from limner.planning.task_choice import check_labels


def labels_for(source: Source, predictor: Predictor) -> LabelTable:
    """Return the data's mask values in the model's class order; without named classes, the model's own.

    Raises:
        ConfigError: The data's format does not have labels for the model's task.
        DataError: The data has a class that the model does not have.
    """
    check_labels(source, predictor.task.name)
    declared = source.declared_labels()
    if declared is None:
        return predictor.labels
    return match_labels(predictor.labels, predictor.task.labels(declared), where=str(source.root))


class Truth:
    """Finds the labels of images by their files.

    Args:
        data: The labelled dataset folder.
        predictor: The model, which determines classes and task.

    Raises:
        ConfigError: The data's format does not have labels for the model's task.
        DataError: The folder cannot be opened, or its classes do not match the model's.
    """

    def __init__(self, data: Path | str, predictor: Predictor) -> None:
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
