"""Write Label Studio's JSON: images/, tasks.json and label_config.xml, the project's labelling interface."""

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from limner.core.labels import LabelTable
from limner.formats.dataset_yaml import write_dataset_file
from limner.formats.tools.label_studio import LabelStudio
from limner.formats.tools.label_studio_results import (
    BRUSH,
    ELLIPSE,
    KEYPOINT,
    POLYGON,
    RECTANGLE,
    result_of,
)
from limner.formats.writers import (
    Entry,
    Outgoing,
    Writer,
    lists_of,
    member,
    numbered_from_1,
    settings_of,
    write_stem_lists,
)
from limner.storage.whole_files import GrowingFile, write_whole

TASKS = "tasks.json"
CONFIG = "label_config.xml"
IMAGE = "image"
"""Name of the image's tag, and of the key of its address in the tasks."""

CONTROLS: Mapping[str, str] = {
    POLYGON: "PolygonLabels",
    RECTANGLE: "RectangleLabels",
    ELLIPSE: "EllipseLabels",
    BRUSH: "BrushLabels",
    KEYPOINT: "KeyPointLabels",
}
"""Type of a result -> control tag of the labelling interface."""

MODEL_VERSION = "limner"


class WriteLabelStudio(Writer):
    """One task per image: what a person drew as its annotation, what a model found as its prediction."""

    name = LabelStudio.name
    takes_objects: ClassVar[bool] = True
    cannot_hold: ClassVar[Mapping[str, str]] = {
        "crowd": "become objects",
        "difficult": "the mark is dropped",
        "ignored": "become background",
        "field-of-view": "are kept, without its border",
        "unreadable": "left out",
        "transcriptions": "are dropped",
    }

    def write_image(self, root: Path, image: Outgoing, labels: LabelTable) -> Entry:
        """Write the image, and return its task."""
        name = image.copy_into(root / "images")
        objects = [one for one in image.objects or () if one.value != labels.ignore_index]
        results = [
            result_of(one, labels.names[one.value], image.size, number=number)
            for number, one in enumerate(objects)
        ]
        scores = [one.score for one in objects if one.score is not None]
        drawn: dict[str, Any] = {"result": results}
        if scores:
            drawn |= {"model_version": MODEL_VERSION, "score": round(sum(scores) / len(scores), 5)}
        kind = "predictions" if image.is_predicted else "annotations"
        task = {
            "data": {IMAGE: f"/data/local-files/?d=images/{quote(name)}"},
            kind: [] if image.objects is None else [drawn],
        }
        return member(image) | {"task": task}

    def finish(self, root: Path, entries: Iterable[Entry], labels: LabelTable) -> None:
        """Write tasks, labelling interface, lists of the splits and settings."""
        found = {row["type"] for entry in entries for row in _rows(entry)}
        names = tag_names(found or {POLYGON})
        with GrowingFile(root / TASKS) as file:
            file.write("[")
            for number, entry in enumerate(entries):
                for row in _rows(entry):
                    row |= {"from_name": names[row["type"]], "to_name": IMAGE}
                file.write(f"{',' if number else ''}\n{json.dumps(entry['task'], ensure_ascii=False)}")
            file.write("\n]\n")
        write_whole(root / CONFIG, label_config(names, labels))
        lists = lists_of(entries)
        write_stem_lists(root, lists)
        splits = {split: f"{split}.txt" for split in lists}
        write_dataset_file(root, settings_of(numbered_from_1(labels), name=self.name, splits=splits))


def _rows(entry: Entry) -> Iterable[dict[str, Any]]:
    """Yield the results of a task."""
    task = entry["task"]
    for drawn in (*task.get("predictions", ()), *task.get("annotations", ())):
        yield from drawn["result"]


def tag_names(kinds: Collection[str]) -> dict[str, str]:
    """Return the name of the control tag for each type of result: ``label`` if there is one, as is usual."""
    ordered = [kind for kind in CONTROLS if kind in kinds]
    return {kind: "label" if len(ordered) == 1 else kind.removesuffix("labels") for kind in ordered}


def label_config(names: Mapping[str, str], labels: LabelTable) -> str:
    """Return the labelling interface of a project.

    Args:
        names: Type of a result -> name of its control tag.
        labels: The classes; the background is no label.
    """
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", {"name": IMAGE, "value": f"${IMAGE}"})
    for kind, name in names.items():
        control = ElementTree.SubElement(view, CONTROLS[kind], {"name": name, "toName": IMAGE})
        for one in labels.foreground:
            ElementTree.SubElement(control, "Label", {"value": one.name, "background": one.hex_color})
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"
