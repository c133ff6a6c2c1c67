"""The folder that predictions are written to, one file an image in a folder for each kind of result."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from limner.core.picture import Picture
from limner.storage.whole_files import write_whole

MASKS, OVERLAYS, PROBABILITIES, COMPARISONS = "masks", "overlays", "probabilities", "comparisons"
INSTANCES, PANOPTIC = "instances", "panoptic"


@dataclass(frozen=True)
class PredictionFolder:
    """Where predictions go, and what is wanted of each.

    Attributes:
        root: The folder.
        overlay: Whether to draw predictions on their images.
        probabilities: Whether to write probabilities.
    """

    root: Path
    overlay: bool = True
    probabilities: bool = False

    def place(self, kind: str, name: str) -> Path:
        """Return the path of one file of a kind."""
        return self.root / kind / name

    def write_picture(self, kind: str, output: str, picture: Any) -> None:  # noqa: ANN401 - an RGB image
        """Write a picture as PNG."""
        from limner.drawing.png import encode_png

        write_whole(self.place(kind, f"{output}.png"), encode_png(picture))


class PredictionWriter(Protocol):
    """Writes the predictions of one task, one image at a time."""

    @property
    def path(self) -> Path | None:
        """The file that holds the results of all images, or None where there is none."""
        ...

    def write(self, prediction: Any, picture: Picture, *, output: str, file_name: str) -> Path:  # noqa: ANN401
        """Write everything that is wanted of one image.

        Args:
            prediction: Of the writer's task.
            picture: The image, whose geometry its masks share.
            output: The name of its files, without suffix.
            file_name: The image's file, as results of all images name it.

        Returns:
            The index mask's path.
        """
        ...
