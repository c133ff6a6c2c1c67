"""What `limner.predict()` returns."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limner.api.label_next import LabelNext
    from limner.inference.tool_drafts import OutlineFidelity


@dataclass(frozen=True)
class Failure:
    """An image that could not be predicted, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class PredictResult:
    """Result of a prediction.

    Attributes:
        out: The output folder.
        masks: First file of each image, in their order: index masks of classes or of object ids, text files
            of boxes, or overlays for classes of whole images; empty with a tool, and if processes shared the
            work.
        failures: Images that could not be predicted.
        json: Predictions of all images as COCO JSON; None for tasks that write none.
        csv: Predictions of all images as a table: classes of whole images; None for other tasks.
        num_predicted: Number of predicted images.
        fidelity: How well outlines for a labelling tool keep the masks; None without a tool.
        label_next: Which images to label next; None if not requested.
        num_lost: Number of processes that were started and ended early; the others finished their work.
    """

    out: Path
    masks: tuple[Path, ...]
    failures: tuple[Failure, ...]
    json: Path | None = None
    csv: Path | None = None
    num_predicted: int = 0
    fidelity: "OutlineFidelity | None" = None
    label_next: "LabelNext | None" = None
    num_lost: int = 0


def json_and_csv(written: Path | None) -> tuple[Path | None, Path | None]:
    """Return the file with the results of all images as `PredictResult.json` and `PredictResult.csv`."""
    suffix = "" if written is None else written.suffix
    return (written if suffix == ".json" else None, written if suffix == ".csv" else None)
