"""Objects for the same minutes: `limner train --task instance` against components of the semantic model.

limner runs twice as a user would run it, with no option but --task and --minutes, each in a process of its
own: once for objects, once for classes. Connected components of each countable class that the semantic model
predicts are then taken as objects, with the mean probability of the class as their score. Both are scored on
the same validation images by COCO's average precision of masks.

Two sets of images: cell nuclei with a mask for each (BBBC038 / DSB 2018), and blood cells with boxes (BCCD),
in which an ellipse is drawn into each box as its mask.

    python benchmarks/instance_accuracy.py --minutes 8
    python benchmarks/instance_accuracy.py --minutes 8 --data my_objects    # any other data with objects
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

import limner
from limner.core.boxes import Boxes
from limner.core.labels import LabelTable
from limner.core.prediction import SegmentPrediction
from limner.core.run_folder import RunFolder
from limner.core.sample import Sample
from limner.core.segments import Segments
from limner.evaluation.instance_scorer import InstanceScorer
from limner.formats import open_source
from limner.loading.target_readers import READERS
from limner.preparation.run_splits import read_splits

CORNERS = 32
"""Corners of the polygon of an ellipse."""

SHOWN = ("ap", "ap50", "ap75", "f1")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shared = Path(os.environ.get("LIMNER_SHARED_DATA", "data"))
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--data", type=Path, nargs="+", default=[shared / "nuclei", shared / "blood_cells"],
        help="folders of objects; those with boxes get ellipses as masks",
    )  # fmt: skip
    parser.add_argument("--network", help="another network for objects, such as mask2former")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for data in arguments.data:
            work = Path(folder) / data.name
            rows += compare(
                with_masks(data, work / "data"), work, arguments.minutes, network=arguments.network
            )
    print(f"\n{arguments.minutes:g} minutes of training each, {arguments.threads} threads\n")
    print("| data | objects from | network | steps | images | " + " | ".join(SHOWN) + " |")
    print("| --- " * (5 + len(SHOWN)) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


def with_masks(data: Path, made: Path) -> Path:
    """Return a folder of the data with masks: a copy by links, or COCO of an ellipse for each box."""
    source = open_source(data)
    if "instance" in source.tasks:
        made.parent.mkdir(parents=True, exist_ok=True)
        made.symlink_to(data.resolve(), target_is_directory=True)
        return made
    (made / "images").mkdir(parents=True)
    table = source.declared_labels() or LabelTable.from_dict(limner.check(data).labels.to_dict())
    images, annotations = [], []
    for number, record in enumerate(source.records, start=1):
        boxes = READERS[Boxes](source, record, table)
        height, width = source.read_image(record).array.shape[:2]
        name = Path(record.image).name
        (made / "images" / name).symlink_to((source.root / record.image).resolve())
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        for corners, label in zip(boxes.xyxy.tolist(), boxes.labels.tolist(), strict=True):
            annotations.append(ellipse(corners, label, image=number, number=len(annotations) + 1))
    categories = [{"id": index + 1, "name": name} for index, name in enumerate(table.names)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (made / "annotations.json").write_text(json.dumps(content), encoding="utf-8")
    return made


def ellipse(corners: list[float], label: int, *, image: int, number: int) -> dict[str, object]:
    """Return a COCO annotation of the ellipse in a box (left, top, right, bottom)."""
    left, top, right, bottom = corners
    angles = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    x = (left + right) / 2 + (right - left) / 2 * np.cos(angles)
    y = (top + bottom) / 2 + (bottom - top) / 2 * np.sin(angles)
    return {
        "id": number,
        "image_id": image,
        "category_id": label + 1,
        "iscrowd": 0,
        "segmentation": [np.stack([x, y], 1).ravel().round(2).tolist()],
        "bbox": [left, top, right - left, bottom - top],
        "area": float(np.pi / 4 * (right - left) * (bottom - top)),
    }


def compare(data: Path, work: Path, minutes: float, *, network: str | None) -> list[tuple[str, ...]]:
    """Train both, and return a row of the table for each."""
    objects = train(data, work / "objects", "instance", minutes, network)
    classes = train(data, work / "classes", "semantic", minutes, None)
    scores = json.loads((objects.evaluation("val") / "scores.json").read_text(encoding="utf-8"))
    components = score_components(objects, classes)
    return [
        _row(work.name, objects, "grouped pixels" if network is None else network, scores),
        _row(work.name, classes, "connected components", components),
    ]


def train(data: Path, run: Path, task: str, minutes: float, network: str | None) -> RunFolder:
    command = [sys.executable, "-m", "limner", "train", str(data), "--task", task, "--run", str(run)]
    command += ["--minutes", str(minutes), "--device", "cpu"] + (["--network", network] if network else [])
    subprocess.run(command, check=True)
    return RunFolder(run)


def score_components(objects: RunFolder, classes: RunFolder) -> dict[str, object]:
    """Score the connected components of the semantic model on the validation images of both runs."""
    predictor = limner.load(classes.root, device="cpu")
    things = limner.load(objects.root, device="cpu").labels
    source = open_source(Path(predictor.plan.data.path))
    records = read_splits(classes, source)["val"]
    assert records == read_splits(objects, source)["val"], "both runs hold out the same images"
    scorer = InstanceScorer(things)
    for record in records:
        image = source.read_image(record).array
        truth = READERS[Segments](source, record, things)
        found = predictor.predict(image, name=record.name, probabilities=True)
        named = components(found.semantic, found.probabilities, predictor.labels.names, things)
        scorer.score(
            SegmentPrediction(record.name, *named), Sample(image=image, name=record.name, targets=(truth,))
        )
    return scorer.compute().to_dict()


def components(
    semantic: np.ndarray, probabilities: np.ndarray, names: tuple[str, ...], things: LabelTable
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return masks (N, H, W), labels and scores (N,) of the components of countable classes."""
    masks, labels, scores = [], [], []
    for label, name in enumerate(things.names):
        index = names.index(name)
        count, numbers = cv2.connectedComponents((semantic == index).astype(np.uint8))
        for number in range(1, count):
            masks.append(numbers == number)
            labels.append(label)
            scores.append(float(probabilities[index][masks[-1]].mean()))
    order = np.argsort(-np.array(scores, np.float32), kind="stable")
    stacked = np.array(masks, bool).reshape(-1, *semantic.shape)
    return stacked[order], np.array(labels, np.int64)[order], np.array(scores, np.float32)[order]


def _row(data: str, run: RunFolder, way: str, scores: dict[str, object]) -> tuple[str, ...]:
    plan = limner.load(run.root, device="cpu").plan
    shown = [f"{scores[name]:.3f}" for name in SHOWN]
    return (data, way, plan.network.name, str(plan.train.steps), str(scores["num_images"]), *shown)


if __name__ == "__main__":
    main()
