"""The true labels of an image file, where a labelled folder holds it."""

from pathlib import Path

from limner.core.labels import LabelTable
from limner.core.sample import LabelMap
from limner.evaluation.label_match import match_labels
from limner.formats import open_source
from limner.formats.source import Source
from limner.loading.dataset import Dataset


def labels_for(source: Source, trained: LabelTable) -> LabelTable:
    """Return the data's values in the model's order; data that names no class has the model's own.

    Raises:
        DataError: The data names a class that the model does not know.
    """
    declared = source.declared_labels()
    return trained if declared is None else match_labels(trained, declared, where=str(source.root))


class Truth:
    """Finds the labels of images by their files.

    Args:
        data: The labelled folder.
        trained: The model's classes.

    Raises:
        DataError: The folder cannot be opened, or its classes are not the model's.
    """

    def __init__(self, data: Path | str, trained: LabelTable) -> None:
        source = open_source(data)
        records = [record for record in source.records if record.labels]
        self._dataset = Dataset(source, records, labels_for(source, trained), cache=None)
        self._places = {record.image.resolve(): place for place, record in enumerate(records)}

    def of(self, image: Path) -> LabelMap | None:
        """Return the trained labels of an image file, or None where the folder has none for it.

        Raises:
            DataError: They cannot be read, or do not fit the image.
        """
        place = self._places.get(image.resolve())
        return None if place is None else self._dataset[place].semantic
