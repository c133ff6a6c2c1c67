"""Scoring of predictions on labelled images, one image at a time, and the files that this writes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from limner.core.errors import ConfigError, DataError
from limner.core.labels import LabelTable
from limner.core.prediction import Prediction
from limner.core.progress import Track
from limner.core.sample import Record, Sample
from limner.evaluation.error_maps import earlier_maps, write_error_map
from limner.evaluation.image_class_scores import ClassScores
from limner.evaluation.pictures import WorstAndBest, write_matrix
from limner.evaluation.scorer import Extent, Scores
from limner.evaluation.semantic_scores import SemanticScores
from limner.evaluation.write_scores import PICTURES, PerImageFile, Skipped, write_scores
from limner.formats.source import Source
from limner.images.pixels import Reduce
from limner.inference.reading_ahead import peek_readable, read_ahead
from limner.loading.dataset import Dataset
from limner.storage.output_folder import make_output_folder
from limner.storage.whole_files import remove_file
from limner.tasks.task import Task
from limner.transforms.fit_values import ValueRange

Predict = Callable[[Sample], Prediction]
"""Prediction of a sample, by a model or from the files of another program."""

NUM_PICTURES = 12
"""Number of images of each group to draw, such as the worst."""


@dataclass(frozen=True)
class ScoredSplit:
    """Result of a measurement.

    Attributes:
        scores: Scores over all readable images.
        skipped: Images that could not be scored.
        pictures: The worst images, then the best; or the other groups of the task.
    """

    scores: Scores
    skipped: tuple[Skipped, ...]
    pictures: tuple[Path, ...]


@dataclass(frozen=True)
class Measurement:
    """What to score, and how.

    Attributes:
        task: Task of the predictions.
        source: The dataset.
        records: Its images to score.
        labels: The classes, with the mask values of the dataset.
        extent: Which scores to compute.
        value_range: The images' range of values if one was stated, for the record.
        remarks: What a reader of the scores should know, such as how classes were matched.
        reduce: How much smaller JPEGs are decoded for the model; None decodes them at full size.
    """

    task: Task
    source: Source
    records: Sequence[Record]
    labels: LabelTable
    extent: Extent
    value_range: ValueRange | None = None
    remarks: tuple[str, ...] = ()
    reduce: Reduce | None = None

    def dataset(self) -> Dataset:
        """Return the images to score, with their labels."""
        targets = self.task.targets
        return Dataset(
            self.source, self.records, self.labels, targets=targets, cache=None, reduce=self.reduce
        )

    def run(self, predict: Predict, *, split: str, out: Path, track: Track) -> ScoredSplit:
        """Score every image, and write scores.json, per_image.csv, per_case.csv, pictures/ and maps/.

        Args:
            predict: Prediction of a sample.
            split: Name of the split, for the files.
            out: Output folder.
            track: Shows progress.

        Raises:
            ConfigError: The task does not support the requested scores.
            DataError: No image could be scored.
        """
        dataset = self.dataset()
        example, samples = peek_readable(read_ahead(range(len(dataset)), dataset.__getitem__), DataError)
        extent = replace(self._full_extent(example), case_of=self.source.case_of)
        scorer = self.task.scorer(self.labels, extent)
        del example
        make_output_folder(out)
        draw, title = self.task.draw, scorer.rank_title
        pictures = WorstAndBest(
            out / PICTURES,
            self.labels,
            draw=draw,
            rank_title=title,
            count=NUM_PICTURES,
            groups=self.task.picture_groups,
        )
        for path in earlier_maps(out) if self.extent.maps else ():
            remove_file(path)
        skipped: list[Skipped] = []
        with PerImageFile(out, scorer.columns) as rows:
            for index, read in track(samples, "Evaluating", len(dataset)):
                try:
                    sample = read()
                    prediction = predict(sample)
                    scores = scorer.score(prediction, sample)
                except DataError as error:
                    skipped.append(Skipped(dataset.records[index].name, str(error)))
                    continue
                rows.write(scores)
                pictures.offer(scores, sample, prediction)
                self._write_map(out, prediction, sample)
        if scorer.num_images == 0:
            first = skipped[0].reason
            raise DataError(f"None of the {len(dataset)} images could be scored. The first problem:\n{first}")
        found = scorer.compute()
        self._write(out, found, skipped, split)
        return ScoredSplit(found, tuple(skipped), pictures.finish())

    def _full_extent(self, example: Sample | None) -> Extent:
        """Return the extent; volumes, and images with known spacing, are measured in any case.

        Args:
            example: The first image that can be read; None if there is none.

        Raises:
            ConfigError: A tolerance is stated for images without distances.
        """
        if example is None or self.extent.cases or not self.task.has_label_maps:
            return self.extent
        if self.source.case_of and example.image.ndim == 3:
            return self.extent  # distances in slices are not those of a case
        has_lengths = example.image.ndim == 4 or example.spacing_mm is not None
        if self.extent.tolerance is not None and not has_lengths:
            raise ConfigError(
                "--tolerance is for distances between surfaces, and the spacing of these images is "
                "unknown. Add --distances to measure in pixels, or omit --tolerance."
            )
        return replace(self.extent, cases=has_lengths)

    def _write_map(self, out: Path, prediction: Prediction, sample: Sample) -> None:
        if self.extent.maps:
            write_error_map(out, sample.name, self.task.error_map(prediction, sample, self.labels))

    def _write(self, out: Path, scores: Scores, skipped: Sequence[Skipped], split: str) -> None:
        write_scores(
            out,
            scores,
            split=split,
            skipped=skipped,
            value_range=self.value_range,
            remarks=self.remarks,
        )
        if isinstance(scores, SemanticScores | ClassScores):
            write_matrix(out, scores, split=split)
