"""The labelling interface of a Label Studio project, and a model's prediction as results for it."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limner.core.boxes import Boxes
from limner.core.errors import ConfigError, describe
from limner.core.labels import LabelTable
from limner.formats.drawn import Drawn, Shape, runs_of_mask
from limner.formats.pre_annotations import Candidate, pre_annotations
from limner.formats.tools.label_studio_results import BRUSH, POLYGON, RECTANGLE, result_of
from limner.formats.tools.write_label_studio import CONTROLS
from limner.inference.tool_drafts import TOLERANCE
from limner.serving.image_results import ImageResult
from limner.storage.xml_files import parse_xml
from limner.tasks.task import Task

CHOICES = "choices"
_TAGS: Mapping[str, str] = {**CONTROLS, CHOICES: "Choices"}


@dataclass(frozen=True)
class Control:
    """A control tag of the interface.

    Attributes:
        kind: Type of its results, such as ``polygonlabels``.
        name: Its name.
        to_name: Name of the image that it labels.
        labels: Name of a class in lower case -> its label.
    """

    kind: str
    name: str
    to_name: str
    labels: Mapping[str, str]

    def label_of(self, class_name: str) -> str | None:
        """Return the label of a class; None if the project has none of its name."""
        return self.labels.get(class_name.casefold())

    def finished(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return a result with the names of the tags."""
        return result | {"from_name": self.name, "to_name": self.to_name}


@dataclass(frozen=True)
class LabellingInterface:
    """What a project shows and asks.

    Attributes:
        image_key: Key of the image's address in the data of a task.
        controls: Type of results -> the first control tag of it for the image.
    """

    image_key: str
    controls: Mapping[str, Control]

    def unused_classes(self, task: Task, labels: LabelTable) -> tuple[str, ...]:
        """Return the classes of a model that the project has no label for.

        Raises:
            ConfigError: There is no control tag for what the model predicts, or no class of it has a label.
        """
        control = self.control_for(task)
        named = [one.name for one in labels.foreground]
        unused = tuple(name for name in named if control.label_of(name) is None)
        if len(unused) == len(named):
            raise ConfigError(
                describe(
                    "No label of the project is a class of the model",
                    found=", ".join(control.labels.values()) or f"no label in <{_TAGS[control.kind]}>",
                    expected=", ".join(named),
                    fix="Name the labels in Label Studio like the classes.",
                )
            )
        return unused

    def control_for(self, task: Task) -> Control:
        """Return the control tag for the predictions of a task.

        Raises:
            ConfigError: There is none.
        """
        kinds = kinds_for(task)
        if found := next((self.controls[kind] for kind in kinds if kind in self.controls), None):
            return found
        raise ConfigError(
            describe(
                f"The project has no control tag for {task.title}",
                found=", ".join(f"<{_TAGS[kind]}>" for kind in self.controls) or "no control tag of an image",
                expected=" or ".join(f"<{_TAGS[kind]}>" for kind in kinds) or "a model of another task",
                fix='Add one in Settings > Labeling Interface > Code, with toName="the name of the image".',
            )
        )

    def results(self, result: ImageResult, task: Task, labels: LabelTable) -> list[dict[str, Any]]:
        """Return the results for a prediction; classes without a label are left out.

        Args:
            result: The prediction.
            task: Its task.
            labels: The classes of the model.
        """
        control = self.control_for(task)
        prediction = result.prediction
        if task.sees_whole_images:
            return _choices(control, task.to_json(prediction, labels)["probabilities"])
        size = (result.picture.size[0], result.picture.size[1])
        found: list[dict[str, Any]] = []
        for one in task.candidates(prediction, labels):
            label = control.label_of(labels.names[one.label])
            for drawn in _shapes(one, control.kind, size) if label is not None else ():
                assert label is not None
                found.append(control.finished(result_of(drawn, label, size, number=len(found))))
        return found


def kinds_for(task: Task) -> tuple[str, ...]:
    """Return the types of results that predictions of a task can be, the best first, or none."""
    if task.sees_whole_images:
        return (CHOICES,)
    if not task.has_candidates:
        return ()
    return (RECTANGLE,) if Boxes in task.targets else (POLYGON, BRUSH, RECTANGLE)


def read_interface(text: str) -> LabellingInterface:
    """Read the interface from its XML, as Label Studio sends it.

    Raises:
        ConfigError: It is no XML, or shows no image.
    """
    try:
        root = parse_xml(text)
    except ValueError as error:
        raise ConfigError(f"The labelling interface of the project is no XML: {error}.") from None
    image = next((tag for tag in root.iter("Image") if tag.get("value", "").startswith("$")), None)
    if image is None:
        raise ConfigError(
            describe(
                "The labelling interface shows no image",
                found=", ".join(dict.fromkeys(f"<{tag.tag}>" for tag in root.iter())),
                expected='a tag such as <Image name="image" value="$image"/>',
                fix="Connect limner to a project of images.",
            )
        )
    found: dict[str, Control] = {}
    for kind, tag in _TAGS.items():
        for item in root.iter(tag):
            if image.get("name") in item.get("toName", "").split(","):
                labels = {name.casefold(): value for name, value in _labels(item)}
                control = Control(kind, item.get("name", ""), image.get("name", ""), labels)
                found.setdefault(kind, control)
    return LabellingInterface(image.get("value", "")[1:], found)


def _labels(control: ElementTree.Element) -> Iterator[tuple[str, str]]:
    """Yield the name by which a class is found, and the label in a result: its alias, if it has one."""
    for item in control.iter():
        value, alias = item.get("value"), item.get("alias")
        if item.tag in ("Label", "Choice") and value:
            yield value, alias or value
            if alias:
                yield alias, alias


def _shapes(one: Candidate, kind: str, size: tuple[int, int]) -> Sequence[Drawn]:
    """Return an object as shapes of one type: of polygons one for each part, whose holes are filled."""
    left, top, right, bottom = one.box
    if kind == RECTANGLE or one.mask is None:
        return [Drawn(one.label, (Shape("box", one.box),), score=one.score)]
    if kind == BRUSH:
        whole = np.zeros(size, bool)
        whole[int(top) : int(bottom), int(left) : int(right)] = one.mask
        return [Drawn(one.label, (Shape("runs", runs_of_mask(whole)),), score=one.score)]
    (traced,) = pre_annotations([one], tolerance=TOLERANCE, holes=False)
    return [Drawn(one.label, (shape,), score=one.score) for shape in traced.drawn.shapes]


def _choices(control: Control, classes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the predicted classes of a whole image as one result, or none if they have no label.

    Args:
        control: The tag.
        classes: Each class with `name`, `probability` and `is_predicted`.
    """
    predicted = [row for row in classes if row["is_predicted"]]
    chosen = [(label, row["probability"]) for row in predicted if (label := control.label_of(row["name"]))]
    if not chosen:
        return []
    result = {
        "id": "limner0",
        "type": CHOICES,
        "value": {CHOICES: [label for label, _ in chosen]},
        "score": round(min(score for _, score in chosen), 5),
    }
    return [control.finished(result)]
