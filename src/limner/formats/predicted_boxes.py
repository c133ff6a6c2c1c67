"""Predicted boxes as one file per image, in formats of labelling tools and of other detectors.

YOLO's text files have every box with its score, so that other programs can score them too. VOC's XML and
labelme's JSON have those above the score threshold, to be corrected and used as labels.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from limner.core.labels import LabelTable
from limner.core.prediction import SCORE_THRESHOLD, BoxPrediction
from limner.formats.drawn import Drawn, Shape
from limner.formats.tools.write_labelme import labelme_content
from limner.formats.tools.write_voc_boxes import voc_xml
from limner.formats.tools.write_yolo import yolo_line
from limner.formats.writers import Outgoing


@dataclass(frozen=True)
class BoxFiles:
    """One format of predicted boxes.

    Attributes:
        folder: Folder of the files.
        suffix: Suffix of the files.
        content: Prediction, classes and name of the image -> content of its file.
    """

    folder: str
    suffix: str
    content: Callable[[BoxPrediction, LabelTable, str], bytes]


def yolo_text(prediction: BoxPrediction, labels: LabelTable, file_name: str) -> bytes:
    """Return a line for each box: number of the class, middle, width and height as fractions, score."""
    lines = []
    for (left, top, right, bottom), label, score in zip(
        prediction.xyxy.tolist(), prediction.labels.tolist(), prediction.scores.tolist(), strict=True
    ):
        middle_and_sides = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
        line = yolo_line(label, middle_and_sides, (prediction.shape[0], prediction.shape[1]))
        lines.append(f"{line.rstrip()} {score:.5f}\n")
    return "".join(lines).encode()


def voc_text(prediction: BoxPrediction, labels: LabelTable, file_name: str) -> bytes:
    """Return the XML of the boxes above the score threshold."""
    return voc_xml(_outgoing(prediction, file_name), PurePath(file_name).name, labels)


def labelme_text(prediction: BoxPrediction, labels: LabelTable, file_name: str) -> bytes:
    """Return the JSON of the boxes above the score threshold, with the score as description."""
    path = str(Path(file_name).resolve())  # the image is in another folder
    content = labelme_content(_outgoing(prediction, file_name), path, labels)
    return json.dumps(content, indent=2, ensure_ascii=False).encode()


def _outgoing(prediction: BoxPrediction, file_name: str) -> Outgoing:
    boxes = prediction.boxes(SCORE_THRESHOLD)
    drawn = [
        Drawn(label, (Shape("box", xyxy),), score=score)
        for xyxy, label, score in zip(
            boxes.xyxy.tolist(), boxes.labels.tolist(), prediction.scores.tolist(), strict=False
        )
    ]
    size = (prediction.shape[0], prediction.shape[1])
    path = Path(file_name)
    return Outgoing(path.stem, path, None, None, objects=drawn, size=size)


BOX_FILES: Mapping[str, BoxFiles] = {
    "yolo": BoxFiles("labels", ".txt", yolo_text),
    "voc": BoxFiles("voc", ".xml", voc_text),
    "labelme": BoxFiles("labelme", ".json", labelme_text),
}
"""Name of a format -> its files."""
