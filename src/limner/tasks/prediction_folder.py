"""The output folder of predictions, with a subfolder for each kind of result and one file per image."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from limner.core.picture import Picture
from limner.storage.whole_files import write_whole

MASKS, OVERLAYS, PROBABILITIES, COMPARISONS = "masks", "overlays", "probabilities", "comparisons"
ANIMATIONS = "animations"
INSTANCES, PANOPTIC, BOXES = "instances", "panoptic", "boxes"


@dataclass(frozen=True)
class PredictionFolder:
    """Output folder of predictions, and which results to write.

    Attributes:
        root: The folder.
        overlay: Whether to draw predictions on their images.
        probabilities: Whether to write probabilities.
        formats: Further formats of the results, of `Task.prediction_formats`.
        sorting: Whether to copy the images into a folder for each class.
        sizes: Whether to write the sizes of the classes in volumes.
    """

    root: Path
    overlay: bool = True
    probabilities: bool = False
    formats: tuple[str, ...] = ()
    sorting: bool = False
    sizes: bool = False

    def place(self, kind: str, name: str) -> Path:
        """Return the path of a file of one kind of result."""
        return self.root / kind / name

    def files(self, output: str, kinds: Sequence[str]) -> tuple[Path, ...]:
        """Return the PNG files of an image, of some kinds and the overlay if requested."""
        return tuple(
            self.place(kind, f"{output}.png") for kind in (*kinds, *([OVERLAYS] if self.overlay else []))
        )

    def write_picture(self, kind: str, output: str, picture: Any) -> None:  # noqa: ANN401 - an RGB image
        """Write a picture as PNG."""
        from limner.drawing.png import encode_png

        write_whole(self.place(kind, f"{output}.png"), encode_png(picture))


class PredictionWriter(Protocol):
    """Writes the predictions of one task, image by image, so that it can be interrupted."""

    def files(self, output: str, image: Path) -> tuple[Path, ...]:
        """Return the files that `write` writes for an image file, the index mask first."""
        ...

    def write(
        self,
        prediction: Any,  # noqa: ANN401 - of the task
        picture: Picture,
        *,
        output: str,
        file_name: str,
    ) -> dict[str, Any]:
        """Write the requested results of one image.

        Args:
            prediction: Prediction of the writer's task.
            picture: The image; masks get its geometry.
            output: Name of the output files, without suffix.
            file_name: Name of the image in the results of all images.

        Returns:
            What `finish` needs to know about the image, as JSON-ready values.
        """
        ...

    def finish(self, entries: Iterable[dict[str, Any]]) -> Path | None:
        """Write the results of all images to one file, and return its path; None if there is none."""
        ...
