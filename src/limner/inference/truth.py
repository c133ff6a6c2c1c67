"""The true labels of an image file, where a labelled folder holds it."""

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
    """Return the data's values in the model's order; data that names no class has the model's own.

    Raises:
        ConfigError: The data's format does not hold what the model's task predicts.
        DataError: The data names a class that the model does not know.
    """
    check_labels(source, predictor.task.name)
    declared = source.declared_labels()
    if declared is None:
        return predictor.labels
    return match_labels(predictor.labels, predictor.task.labels(declared), where=str(source.root))


class Truth:
    """Finds the labels of images by their files.

    Args:
        data: The labelled folder.
        predictor: The model, whose classes and task the labels are read for.

    Raises:
        ConfigError: The data's format does not hold what the model's task predicts.
        DataError: The folder cannot be opened, or its classes are not the model's.
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
        """Return an image file with its trained labels, or None where the folder has none for it.

        Raises:
            DataError: They cannot be read, or do not fit the image.
        """
        place = self._places.get(image.resolve())
        return None if place is None else self._dataset[place]
