"""Text detection: the outline of every word."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from limner.core.labels import LabelTable
from limner.core.picture import Image
from limner.core.plan import Decision
from limner.core.prediction import WordPrediction
from limner.core.sample import Sample
from limner.core.words import Words
from limner.drawing.display import RGBImage
from limner.drawing.word_outcomes import WordOutcomes, word_comparison
from limner.evaluation.scorer import USUAL, Extent
from limner.formats.source import TEXT_TASK
from limner.tasks.allowed import Allowed
from limner.tasks.prediction_folder import PredictionFolder
from limner.tasks.prediction_json import words_json
from limner.tasks.presets import UNLIMITED, SizePreset, find_size
from limner.tasks.situation import Situation
from limner.tasks.task import Task
from limner.tasks.text_writer import CUTOUTS, TextWriter

if TYPE_CHECKING:
    from limner.core.outputs import OutputKind
    from limner.decoding.network_arrays import ArrayRuns
    from limner.decoding.network_runs import NetworkRuns
    from limner.decoding.text_maps import Map
    from limner.evaluation.word_scorer import WordScorer
    from limner.tasks.objective import Objective

TEXT_PRESETS = (
    SizePreset(
        True,
        20,
        {"backbone": "resnet18_width16", "channels": 64},
        "a narrow encoder gets many passes in that time",
    ),
    SizePreset(
        True,
        60,
        {"backbone": "resnet18_width32", "channels": 128},
        "a narrow encoder trains within an hour on a CPU",
    ),
    SizePreset(True, UNLIMITED, {"backbone": "resnet18"}, "the paper's small encoder, practical on a CPU"),
    SizePreset(False, 15, {"backbone": "resnet18"}, "the paper's small encoder gets many steps in that time"),
    SizePreset(False, UNLIMITED, {"backbone": "resnet50"}, "the paper's large encoder"),
)
"""Sizes of the network; the first row that applies is used."""


class TextDetectionTask(Task):
    """Trained on the legible words; illegible ones are neither text nor background."""

    name = TEXT_TASK
    title = "text detection"
    labels_of = TEXT_TASK
    targets = (Words,)
    allowed = Allowed(
        probabilities=False,
        why_not="averages the probability of text over windows and views, and finds words in it afterwards",
    )
    has_outlines = True
    array_kinds = ("TextMaps",)
    sought = 0.75
    rotation = 10.0  # as in the authors' code
    prediction_formats = (CUTOUTS,)
    shown_scores = ("hmean", "word_precision", "word_recall")

    @property
    def objectives(self) -> "Mapping[OutputKind, Objective]":
        """Maps of text."""
        from limner.core.outputs import TextMaps
        from limner.tasks.text_objective import TextObjective

        return {TextMaps: TextObjective()}

    def labels(self, table: LabelTable) -> LabelTable:
        """Return the class of text alone.

        Raises:
            ConfigError: No class is countable.
        """
        return table.things()

    def default_network(self, situation: Situation, settled: Mapping[str, Any]) -> Iterator[Decision]:
        """Choose DBNet, with an encoder for the machine and the time."""
        preset = find_size(TEXT_PRESETS, situation)
        yield Decision("network.name", "dbnet", "finds words of any orientation, even close together; fast")
        yield Decision("network.options", dict(preset.options), preset.why)

    def main_score(self, labels: LabelTable) -> str:
        """Return the h-mean of ICDAR 2015."""
        return "hmean"

    def scorer(self, labels: LabelTable, extent: Extent = USUAL) -> "WordScorer":
        """Return a scorer of words.

        Raises:
            ConfigError: Boundary or threshold scores are requested, which are for label maps.
        """
        from limner.evaluation.word_scorer import WordScorer

        self.refuse_extent(extent)
        return WordScorer(labels, uncertainty=extent.uncertainty)

    def predict(
        self, runs: "NetworkRuns", *, name: str, labels: LabelTable, probabilities: bool
    ) -> WordPrediction:
        """Return the words of an image, highest score first."""
        from limner.decoding.text_probabilities import mean_probabilities

        return _words_in(mean_probabilities(runs), runs, name)

    def predict_arrays(
        self, runs: "ArrayRuns", *, name: str, labels: LabelTable, probabilities: bool
    ) -> WordPrediction:
        """Return the same as `predict`, computed with NumPy."""
        from limner.decoding.text_maps import mean_probability_array

        return _words_in(mean_probability_array(runs), runs, name)

    def writer(self, folder: PredictionFolder, labels: LabelTable) -> TextWriter:
        """Return a writer of ICDAR's text files, MMOCR's JSON, and overlays."""
        return TextWriter(folder)

    def to_json(
        self, prediction: WordPrediction, labels: LabelTable, *, polygons: bool = False
    ) -> dict[str, Any]:
        """Return the words."""
        return {"words": words_json(prediction)}

    def draw(
        self,
        image: Image,
        prediction: WordPrediction,
        table: LabelTable,
        *,
        truth: Sample | None = None,
        title: str = "",
    ) -> RGBImage:
        """Draw the image, true words, found words, and the right, wrong and missed ones."""
        from limner.metrics.word_matches import match_words  # shapely takes a while to import

        true, outcomes = (None if truth is None else truth.get(Words)), None
        if true is not None:
            matches = match_words(true.polygons, true.is_ignored, prediction.polygons)
            outcomes = WordOutcomes(*matches.is_matched(), matches.is_counted_found)
        return word_comparison(image, prediction.polygons, truth=true, outcomes=outcomes, title=title)


def _words_in(probabilities: "Map", runs: "NetworkRuns | ArrayRuns", name: str) -> WordPrediction:
    """Return the words of an image, whose pixels are in a core with these probabilities (H, W)."""
    from limner.decoding.text_maps import find_words

    settings = runs.settings
    return find_words(
        probabilities,
        runs.size,
        name=name,
        outlines=settings.outlines,
        least_score=settings.word_score,
    )
