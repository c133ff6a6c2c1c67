"""Predicts images and writes the results of each, for `limner predict`."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limner.core.errors import DataError, describe
from limner.core.label_map import LabelMap
from limner.core.picture import Picture
from limner.core.prediction import SemanticPrediction
from limner.core.sample import Sample
from limner.drawing.animation import animation_frames, encode_gif
from limner.images.read_image import at_full_size
from limner.inference.image_paths import ImagePath
from limner.inference.open_predictor import AnyPredictor
from limner.storage.json_files import write_json
from limner.storage.unfinished import UNFINISHED
from limner.storage.user_paths import user_path
from limner.storage.whole_files import remove_file, write_whole
from limner.tasks.prediction_folder import ANIMATIONS, COMPARISONS, PredictionFolder, PredictionWriter
from limner.transforms.fit_values import trained_values
from limner.transforms.orthogonal_views import RADIOLOGICAL
from limner.transforms.turn import turn_to

if TYPE_CHECKING:
    from limner.api.label_next import LabelNext
    from limner.inference.truth import Truth
    from limner.inference.uncertain_images import UncertaintyProbe

RANGE_FILE = "value_range.json"
"""Name of the file with the stated range of the images' values, which exists only if one was stated."""

DESCRIBED = "described"
"""Key of the prediction, as JSON-ready values, in the entry of an image."""


@dataclass(frozen=True)
class ImageWriter:
    """Predicts images and writes the results of each.

    Attributes:
        predictor: The model, or what else predicts.
        folder: The output folder, and which results to write.
        truth: Labels of the images, to draw comparisons; None without.
        animation: Whether to write a film of each volume.
        probe: Measures how uncertain images are; None if not requested.
        num_next: Number of images to choose for labelling.
        describes: Whether entries have the prediction as JSON-ready values.
    """

    predictor: AnyPredictor
    folder: PredictionFolder
    truth: "Truth | None"
    animation: bool
    probe: "UncertaintyProbe | None" = None
    num_next: int = 0
    describes: bool = False

    @cached_property
    def writer(self) -> PredictionWriter:
        """Writes the results of the model's task."""
        return self.predictor.task.writer(self.folder, self.predictor.labels)

    def files(self, item: ImagePath) -> tuple[Path, ...]:
        """Return the files of an image, the index mask first."""
        drawn = [] if self.truth is None else [self.folder.place(COMPARISONS, f"{item.output}.png")]
        drawn += [self._animation(item)] if self.animation else []
        return (*self.writer.files(item.output, item.path), *drawn)

    def all_files(self, images: Iterable[ImagePath]) -> Iterator[Path]:
        """Yield the file of the value range, and the files of all images."""
        yield self.folder.root / RANGE_FILE
        if self.probe is not None:
            from limner.api.label_next import LABEL_NEXT_FILES

            yield from (self.folder.root / name for name in LABEL_NEXT_FILES)
        for item in images:
            yield from self.files(item)

    def finish(self, entries: Iterable[dict[str, Any]]) -> Path | None:
        """Write the files about all images, and return the one with their results, if there is one."""
        stated, trained = self.predictor.value_range, trained_values(self.predictor.plan).value_range
        record = self.folder.root / RANGE_FILE
        if stated is None:
            remove_file(record)  # of an earlier prediction
        else:
            write_json(record, {"value_range": stated, "mapped_to": trained})
        return self.writer.finish(entries)

    def resume(self, entries: Iterable[dict[str, Any]]) -> None:
        """Measure the other images by the same layer as those of an interrupted prediction, if there are any.

        Raises:
            DataError: Those were measured by an older version, so that the two cannot be compared.
        """
        entry = None if self.probe is None else next(iter(entries), None)
        if self.probe is None or entry is None:
            return
        from limner.api.label_next import MEASURED
        from limner.inference.uncertain_images import MeasuredImage

        try:
            measured = MeasuredImage.from_json(entry[MEASURED])
        except (KeyError, TypeError, ValueError):
            raise DataError(
                describe(
                    "An interrupted prediction with --uncertain was measured by another version of limner",
                    where=self.folder.root / UNFINISHED,
                    found="images without the name of the layer whose features were compared",
                    expected="the uncertainty, the features and the layer of each image",
                    fix="Delete the folder and predict again, or choose another folder with --out.",
                )
            ) from None
        self.probe.resume(measured)

    def choose_next(
        self, images: Sequence[ImagePath], entries: Iterable[dict[str, Any]]
    ) -> "LabelNext | None":
        """Choose the images to label next and write what shows them; None if not requested."""
        if self.probe is None:
            return None
        from limner.api.label_next import write_label_next

        return write_label_next(self.folder, images, entries, count=self.num_next, words=self.probe.words)

    def write(self, item: ImagePath, picture: Picture) -> dict[str, Any]:
        """Predict an image and write the results; return its entry, which `finish` needs.

        Raises:
            DataError: The image or its labels do not fit; nothing is written then.
            WriteError: A file cannot be written.
        """
        predictor, file_name = self.predictor, str(item.path)
        prediction, measured = self._predicted(picture, file_name)
        true = None if self.truth is None else self.truth.of(item.path)
        shown = at_full_size(picture) if self._draws else picture
        entry = self.writer.write(prediction, shown, output=item.output, file_name=file_name) | measured
        if self.truth is not None:
            drawn = predictor.task.draw(
                shown.array, prediction, predictor.labels, truth=true, title=item.path.name
            )
            self.folder.write_picture(COMPARISONS, item.output, drawn)
        if self.animation:
            self._write_animation(item, shown, prediction, true)
        return entry | self._described(prediction, picture)

    @property
    def _draws(self) -> bool:
        """Whether pixels of the images are shown in the results, which needs them at full size."""
        return self.folder.overlay or "cutouts" in self.folder.formats or self.truth is not None

    def _predicted(self, picture: Picture, name: str) -> tuple[Any, dict[str, Any]]:
        """Return the prediction of an image, and what is measured of it for its entry."""
        probabilities = self.folder.probabilities
        if self.probe is None:
            return self.predictor.predict(picture, name=name, probabilities=probabilities), {}
        from limner.api.label_next import MEASURED

        found, measured = self.probe.predict(picture, name=name, probabilities=probabilities)
        return found, {MEASURED: measured.to_json()}

    def _described(self, prediction: Any, picture: Picture) -> dict[str, Any]:  # noqa: ANN401 - of the task
        """Return what `limner serve` answers about an image, for its entry, if requested."""
        if not self.describes:
            return {}
        found = self.predictor.task.to_json(prediction, self.predictor.labels)
        return {DESCRIBED: {"size": list(picture.size), **found}}

    def _write_animation(
        self, item: ImagePath, picture: Picture, prediction: SemanticPrediction, true: Sample | None
    ) -> None:
        """Write axial slices from foot to head, the patient's left on the right, if that is known."""
        labels, geometry = None if true is None else true.get(LabelMap), picture.geometry
        turn = turn_to(RADIOLOGICAL, geometry.affine)
        spacing = geometry.spacing_mm
        frames = animation_frames(
            turn.apply(picture.array),
            turn.apply(prediction.semantic),
            self.predictor.labels,
            truth=None if labels is None else turn.apply(labels.labels),
            spacing_mm=spacing and [spacing[axis] for axis in turn.order],
            title=item.path.name,
        )
        write_whole(self._animation(item), encode_gif(frames, self.predictor.labels))

    def _animation(self, item: ImagePath) -> Path:
        return self.folder.place(ANIMATIONS, f"{item.output}.gif")

    def asked(self, images: str, compare: Path | str | None) -> dict[str, str]:
        """Return what must be equal to continue a prediction; the device may differ.

        Args:
            images: The images and their state, in words.
            compare: The labelled folder with their truth, or None.
        """
        predictor, folder = self.predictor, self.folder
        options = {
            **predictor.settings.model_dump(mode="json"),
            "overlay": folder.overlay,
            "probabilities": folder.probabilities,
            "sort": folder.sorting,
            "sizes": folder.sizes,
            "animation": self.animation,
            "formats": folder.formats,
            "compare": None if compare is None else str(user_path(compare).resolve()),
            "range": predictor.value_range,
            "precision": predictor.precision,
        } | ({} if self.probe is None else {"uncertain": self.num_next})
        return {
            "model": predictor.weights_hash,
            "images": images,
            "options": ", ".join(f"{name} {value}" for name, value in options.items()),
        }
