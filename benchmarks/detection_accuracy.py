"""Boxes from scratch in a time budget, against the smallest detector of ultralytics.

    python benchmarks/detection_accuracy.py [--minutes 10] [--seeds 0 1 2] [--data FOLDER] [--no-ultralytics]

Both train on the images that limner trains on, from random weights, for the same minutes and with the same
number of threads; ultralytics reads a copy in YOLO's format. Both are scored by limner on the same validation
images, at the images' own size. ultralytics (AGPL-3.0) is run as a program of its own where it is installed
in `--python`, and is no part of limner.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import limner
from limner.core.run_folder import RunFolder
from limner.formats import open_source
from limner.preparation.run_splits import read_splits

SHOWN = ("box_ap", "box_ap50", "box_ap75", "f1")

ULTRALYTICS = """
import json, sys
from ultralytics import YOLO
from ultralytics.utils import torch_utils
data, minutes, seed, threads, out, *images = sys.argv[1:]
torch_utils.NUM_THREADS = int(threads)  # by itself it leaves one core idle
model = YOLO("yolo11n.yaml")
model.train(data=data, time=float(minutes) / 60, epochs=10000, imgsz=640, batch=8, device="cpu",
            seed=int(seed), pretrained=False, plots=False, val=False, workers=1, project=out, name="run",
            exist_ok=True)
model = YOLO(out + "/run/weights/last.pt")
rows = []
for number, path in enumerate(images, start=1):
    found = model.predict(path, imgsz=640, conf=0.001, device="cpu", verbose=False)[0].boxes
    for (left, top, right, bottom), label, score in zip(
        found.xyxy.tolist(), found.cls.tolist(), found.conf.tolist()
    ):
        rows.append({"image_id": number, "category_id": int(label), "score": score,
                     "bbox": [left, top, right - left, bottom - top]})
content = {"images": [{"id": n, "file_name": p} for n, p in enumerate(images, start=1)], "annotations": rows,
           "categories": [{"id": n, "name": name} for n, name in model.names.items()]}
json.dump(content, open(out + "/boxes.json", "w"))
"""
"""Trains and predicts with ultralytics; run by another Python, since its licence is not limner's."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shared = Path(os.environ.get("LIMNER_SHARED_DATA", "data"))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--data", type=Path, default=shared / "blood_cells")
    parser.add_argument("--set", nargs="*", default=[], help="settings of limner's runs")
    parser.add_argument("--no-ultralytics", action="store_true")
    parser.add_argument("--python", default=sys.executable, help="Python in which ultralytics is installed")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        rows = list(compare(arguments, Path(folder)))
    print(f"\n{arguments.data.name}: {arguments.minutes:g} minutes each, {arguments.threads} threads\n")
    print("| detector | seed | " + " | ".join(SHOWN) + " |")
    print("| --- " * (2 + len(SHOWN)) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


def compare(arguments, work: Path):
    """Yield a row of the table for each detector and seed."""
    for seed in arguments.seeds:
        run = train(arguments, work / f"limner-{seed}", seed)
        scores = json.loads((run.evaluation("val") / "scores.json").read_text(encoding="utf-8"))
        yield row_of("limner", seed, scores)
        if not arguments.no_ultralytics:
            scores = train_ultralytics(arguments, run, work / f"ultralytics-{seed}", seed)
            yield row_of("yolo11n", seed, scores)


def train(arguments, run: Path, seed: int) -> RunFolder:
    """Train limner as a user does."""
    command = [sys.executable, "-m", "limner", "train", str(arguments.data), "--task", "detection"]
    command += ["--run", str(run), "--minutes", str(arguments.minutes), "--device", "cpu"]
    for setting in (f"train.seed={seed}", *arguments.set):
        command += ["--set", setting]
    subprocess.run(command, check=True)
    return RunFolder(run)


def train_ultralytics(arguments, run: RunFolder, out: Path, seed: int) -> dict[str, object]:
    """Train ultralytics on the images of a run, and score it on its validation images."""
    data = write_yolo(arguments.data, run, out / "data")
    validation = sorted(str(path) for path in (out / "data" / "images" / "val").iterdir())
    script = out / "train.py"
    script.write_text(ULTRALYTICS)
    settings = [str(arguments.minutes), str(seed), str(arguments.threads), str(out)]
    subprocess.run([arguments.python, str(script), str(data), *settings, *validation], check=True)
    found = limner.evaluate(
        predictions=out / "boxes.json", data=out / "data", split="val", out=out / "scores"
    )
    assert found.scores.to_dict()["num_images"] == len(validation)
    return dict(found.scores.items())


def write_yolo(data: Path, run: RunFolder, out: Path) -> Path:
    """Write the images of a run in YOLO's format, and return data.yaml."""
    source, labels = open_source(data), limner.load(run.root, device="cpu").labels
    for split, records in read_splits(run, source).items():
        for folder in ("images", "labels"):
            (out / folder / split).mkdir(parents=True, exist_ok=True)
        for record in records:
            boxes = labels.encode_boxes(source.read_boxes(record)).clipped()
            height, width = boxes.shape
            lines = []
            for (left, top, right, bottom), label in zip(
                boxes.xyxy.tolist(), boxes.labels.tolist(), strict=True
            ):
                numbers = (left + right) / 2 / width, (top + bottom) / 2 / height
                numbers += (right - left) / width, (bottom - top) / height
                lines.append(" ".join([str(label), *(f"{number:.6f}" for number in numbers)]))
            image = Path(record.image)
            (out / "images" / split / image.name).symlink_to((source.root / image).resolve())
            (out / "labels" / split / f"{image.stem}.txt").write_text("\n".join(lines) + "\n")
    names = "".join(f"  {i}: {name}\n" for i, name in enumerate(labels.names))
    content = f"path: {out.resolve()}\ntrain: images/train\nval: images/val\nnames:\n{names}"
    (out / "data.yaml").write_text(content)
    return out / "data.yaml"


def row_of(detector: str, seed: int, scores: dict[str, object]) -> tuple[str, ...]:
    return (detector, str(seed), *(f"{scores[name]:.3f}" for name in SHOWN))


if __name__ == "__main__":
    main()
