"""The output folder of predictions, with a subfolder for each kind of result and one file per image."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from limner.core.picture import Picture
from limner.storage.whole_files import write_whole

MASKS, OVERLAYS, PROBABILITIES, COMPARISONS = "masks", "overlays", "probabilities", "comparisons"
INSTANCES, PANOPTIC = "instances", "panoptic"


@dataclass(frozen=True)
class PredictionFolder:
    """Output folder of predictions, and which results to write.

    Attributes:
        root: The folder.
        overlay: Whether to draw predictions on their images.
        probabilities: Whether to write probabilities.
    """

    root: Path
    overlay: bool = True
    probabilities: bool = False

    def place(self, kind: str, name: str) -> Path:
        """Return the path of a file of one kind of result."""
        return self.root / kind / name

    def write_picture(self, kind: str, output: str, picture: Any) -> None:  # noqa: ANN401 - an RGB image
        """Write a picture as PNG."""
        from limner.drawing.png import encode_png

        write_whole(self.place(kind, f"{output}.png"), encode_png(picture))


class PredictionWriter(Protocol):
    """Writes the predictions of one task, one image at a time."""

    @property
    def path(self) -> Path | None:
        """The file with the results of all images, or None if there is none."""
        ...

    def write(self, prediction: Any, picture: Picture, *, output: str, file_name: str) -> Path:  # noqa: ANN401
        """Write the requested results of one image.

        Args:
            prediction: Prediction of the writer's task.
            picture: The image; masks get its geometry.
            output: Name of the output files, without suffix.
            file_name: Name of the image in the results of all images.

        Returns:
            The index mask's path.
        """
        ...
