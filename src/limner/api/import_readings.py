"""Predictions of one image under each reading of a checkpoint, drawn on one sheet."""

from pathlib import Path

from limner.core.picture import Picture
from limner.drawing.display import RGBImage
from limner.drawing.grid import Row, sheet
from limner.drawing.panels import Panel
from limner.drawing.png import encode_png
from limner.inference.predictor import Predictor
from limner.storage.own_outputs import write_own_file
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.importing import Imported
from limner.weights.model import Model

IMPORT = "import"
"""The command, which replaces only sheets of its own."""

PER_LINE = 2
"""Pictures beside one another, each of which is at least an image and its prediction."""


def readings_path(out: Path) -> Path:
    """Return the file of the sheet, beside the model folder."""
    return out.with_name(f"{out.name}_readings.png")


def draw_readings(imported: Imported, checkpoint: Checkpoint, picture: Picture, path: Path) -> Path | None:
    """Predict an image under each reading that is possible, and draw the predictions.

    Args:
        imported: The import, which has taken one reading.
        checkpoint: Content of the checkpoint.
        picture: The image.
        path: The file to write.

    Returns:
        The file, or None if only one reading is possible.

    Raises:
        DataError: The image does not match the model's input.
        ConfigError: limner did not write the file that is there.
        WriteError: The file cannot be written.
    """
    rows = []
    for choice in imported.open_choices:
        panels = [Panel(f"as imported: {choice.taken}", _drawn(imported.model, picture))]
        for reading in choice.others:
            other = imported.reread(reading, checkpoint).model
            panels.append(Panel(f"{reading.words}: {reading.command}", _drawn(other, picture)))
        rows.append(Row(choice.topic, tuple(panels)))
    if not rows:
        return None
    side = max(panel.picture.shape[1] for row in rows for panel in row.panels)
    title = f"{picture.files[0].name}: each reading of {imported.path.name}"
    drawn = sheet(rows, columns=PER_LINE, side=side, title=title)
    return write_own_file(path, encode_png(drawn), by=IMPORT)


def _drawn(model: Model, picture: Picture) -> RGBImage:
    predictor = Predictor(model, device="cpu", precision="float32")
    found = predictor.predict(picture, name=picture.files[0].stem)
    return predictor.task.draw(picture.array, found, predictor.labels)
