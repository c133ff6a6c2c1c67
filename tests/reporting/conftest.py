"""Runs as training and evaluation leave them, made up but consistent: scores follow from the matrix."""

import csv
import io
import json
import math
import shutil
from functools import cache

import numpy as np
import pytest
import yaml
from PIL import Image

from limner.core.finding import Finding, Severity
from limner.core.labels import distinct_color
from limner.core.run_folder import RunFolder

STREET = tuple(
    "road sidewalk building wall fence pole light sign vegetation terrain "  # noqa: SIM905
    "sky person rider car truck bus train motorcycle bicycle animal".split()
)


def scores_from(names, matrix, num_images, split="val"):
    """scores.json of a confusion matrix, by the textbook formulas."""
    matrix = np.asarray(matrix)
    classes = []
    for i, name in enumerate(names):
        right, truth, predicted = int(matrix[i, i]), int(matrix[i].sum()), int(matrix[:, i].sum())
        either = truth + predicted - right
        classes.append(
            {
                "name": name,
                "iou": right / either if either else None,
                "dice": 2 * right / (truth + predicted) if truth + predicted else None,
                "precision": right / predicted if predicted else None,
                "recall": right / truth if truth else None,
                "pixels": truth,
                "predicted_pixels": predicted,
            }
        )
    inside = [i for i, n in enumerate(names) if n != "background"]
    right = matrix[inside, inside].sum()
    both = matrix[inside].sum() + matrix[:, inside].sum()
    ious = [c["iou"] for c in classes if c["iou"] is not None]
    return {
        "task": "semantic",
        "split": split,
        "num_images": num_images,
        "classes": classes,
        "mean_iou": float(np.mean(ious)),
        "mean_dice": float(np.mean([c["dice"] for c in classes if c["dice"] is not None])),
        "foreground_dice": float(2 * right / both),
        "pixel_accuracy": float(np.trace(matrix) / matrix.sum()),
        "frequency_weighted_iou": float(
            sum(c["pixels"] * c["iou"] for c in classes if c["iou"] is not None) / matrix.sum()
        ),
        "confusion_matrix": matrix.tolist(),
        "definitions": {"mean_iou": "Mean of IoU over the classes that occur; a rare class counts as much."},
    }


def plan_values(names, num_images, path="/data/nuclei"):
    return {
        "version": 1,
        "task": "semantic",
        "data": {
            "path": path,
            "format": "instance folders",
            "num_images": num_images,
            "labels": {
                "mask_encoding": "index",
                "classes": [
                    {
                        "name": n,
                        "values": [i * 255 if len(names) == 2 else i],
                        "color": list(distinct_color(i)),
                    }
                    for i, n in enumerate(names)
                ],
                "ignored": [] if len(names) == 2 else [254],
            },
        },
        "network": {"name": "unet_resnet18", "options": {"decoder_channels": [256, 128, 64, 32, 16]}},
        "input": {
            "channels": 3,
            "crop_size": [256, 256],
            "mean": [42.1, 40.3, 47.9],
            "std": [51.0, 48.8, 54.2],
        },
        "augment": {"quarter_turns": True, "flip_axes": [0, 1], "saturation": 0.0, "hue": 0.0},
        "loss": {"terms": [{"name": "cross_entropy"}, {"name": "dice", "weight": 1.0}]},
        "optimizer": {"learning_rate": 0.001},
        "schedule": {"name": "poly", "warmup_steps": 40},
        "train": {"steps": 620, "minutes": 3, "batch_size": 8, "validate_every": 40, "save_every": 40},
        "reasons": {
            "network.name": "142 images are few: a small encoder learns them in 3 minutes and overfits less.",
            "input.crop_size": "The median image is 256 by 256; a crop of the whole image keeps its context.",
            "augment.quarter_turns": "Nothing in these images points up: nuclei are seen from any side.",
            "loss.terms": "Foreground fills 14 % of the pixels; Dice keeps it from being drowned.",
            "train.batch_size": "8 crops take about 1.9 of the 8.0 GB that are free.",
            "train.steps": "An estimate for 3 minutes; training measures its own speed.",
        },
    }


def write_metrics(path, names, steps=620, every=5, validate=40, seed=0):
    random = np.random.default_rng(seed)
    rows = []
    for step in range(every, steps + 1, every):
        t = step / steps
        loss = 1.1 * math.exp(-4 * t) + 0.17 + random.normal(0, 0.05) * (1 - 0.5 * t)
        rate = 1e-3 * min(step / 40, 1) * (1 - t) ** 0.9
        second = step * 0.285
        rows += [
            (step, second, "train/loss", loss),
            (step, second, "train/loss/cross_entropy", loss * 0.45),
            (step, second, "train/loss/dice", loss * 0.55),
            (step, second, "train/learning_rate", rate),
            (step, second, "train/data_seconds", 0.012 + 0.05 * math.exp(-12 * t) + random.uniform(0, 0.01)),
            (step, second, "train/step_seconds", 0.27 + random.uniform(0, 0.02)),
        ]
        if step % validate == 0 or step == steps:
            good = 0.905 * (1 - math.exp(-5 * t)) + random.normal(0, 0.006)
            rows += [
                (step, second, f"val/{n}", good + d)
                for n, d in (
                    ("mean_iou", -0.03),
                    ("mean_dice", 0.02),
                    ("foreground_dice", 0.0),
                    ("pixel_accuracy", 0.06),
                )
            ]
            rows += [(step, second, f"val/iou/{n}", max(good - 0.02 * i, 0.0)) for i, n in enumerate(names)]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("step", "seconds", "name", "value"), *rows])


def confusion_of(num_classes, seed=0):
    """Mostly right, with a few favourite mistakes; integers."""
    random = np.random.default_rng(seed)
    pixels = (10 ** random.uniform(4.5, 7, num_classes)).astype(int)
    matrix = np.zeros((num_classes, num_classes), np.int64)
    for i, total in enumerate(pixels):
        good = random.uniform(0.55, 0.98)
        wrong = random.dirichlet(np.full(num_classes, 0.15))
        wrong[i] = 0
        matrix[i] = (total * (1 - good) * wrong / max(wrong.sum(), 1e-9)).astype(int)
        matrix[i, i] = int(total * good)
    return matrix


@cache
def drawn_picture(seed, size):
    """A strip with noise in it, as hard to compress as a photograph; a PNG."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 255, (size[0] // 8, size[1] // 8, 3), np.uint8)
    smooth = np.asarray(
        Image.fromarray(coarse).resize((size[1], size[0]), Image.Resampling.BICUBIC), np.int16
    )
    noisy = np.clip(smooth + random.integers(-20, 20, smooth.shape), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, "PNG", compress_level=0)
    return file.getvalue()


def write_evaluation(
    run, names, matrix, num_images, *, split="val", pictures=4, seed=0, picture_size=(64, 256)
):
    folder = run.evaluation(split)
    (folder / "pictures").mkdir(parents=True)
    scores = scores_from(names, matrix, num_images, split)
    (folder / "scores.json").write_text(json.dumps(scores))
    random = np.random.default_rng(seed)
    ranks = np.clip(random.beta(14, 2, num_images), 0, 1)
    with (folder / "per_image.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "foreground_dice", "mean_iou", *(f"iou/{n}" for n in names)])
        for i, rank in enumerate(ranks):
            writer.writerow([f"img_{i:04d}.png", f"{rank:.6f}", f"{rank * 0.95:.6f}", *([""] * len(names))])
    order = np.argsort(ranks)
    for i in {*order[: pictures // 2].tolist(), *order[len(order) - pictures + pictures // 2 :].tolist()}:
        (folder / "pictures" / f"img_{i:04d}.png").write_bytes(drawn_picture(i % 4, picture_size))
    return scores


FINDINGS = (
    Finding(
        "near-duplicate-across-splits", Severity.WARNING, "images/img_0007.png",
        "2 images of train look the same as images of val", "each scene in one split only",
        "Put both into the same split with `splits` in dataset.yaml.",
        files=("images/img_0007.png", "images/img_0009.png"), count=2,
    ),
    Finding("alpha-channel", Severity.NOTE, "images", "142 images have an opaque alpha channel",
            files=tuple(f"images/img_{i:04d}.png" for i in range(20)), count=142),
)  # fmt: skip


def write_run(
    root, names=("background", "nucleus"), matrix=((9_000, 500), (300, 4_200)), num_images=28, **pictures
):
    run = RunFolder(root)
    root.mkdir(parents=True)
    run.plan.write_text(
        yaml.safe_dump(plan_values(names, {"train": 114, "val": num_images}), sort_keys=False)
    )
    run.findings.write_text(json.dumps([f.to_dict() for f in FINDINGS]))
    write_metrics(run.metrics, names)
    run.environment.write_text(
        json.dumps(
            {
                "limner": "0.1.0",
                "torch": "2.9.0",
                "python": "3.12.3",
                "device": "cpu",
                "device_name": "AMD EPYC",
                "cores": 4,
                "threads": 2,
                "processes": 1,
                "command": "limner train /data/nuclei --minutes 3",
            }
        )
    )
    run.model.mkdir()
    origin = {"data": "/data/nuclei", "pretrained": None, "date": "2026-01-31"}
    (run.model / "model.json").write_text(json.dumps({"licence": "Apache-2.0 (weights)", "origin": origin}))
    write_evaluation(run, names, matrix, num_images, **pictures)
    return run


@pytest.fixture
def make_run(tmp_path):
    """Writes a run: make_run(folder name, class names, confusion matrix, number of images, ...)."""

    def make(name="nuclei-1", *arguments, **options):
        return write_run(tmp_path / name, *arguments, **options)

    return make


@pytest.fixture
def add_evaluation():
    """Writes a further evaluation into a run."""
    return write_evaluation


@pytest.fixture
def matrix_of():
    """Makes a confusion matrix of so many classes."""
    return confusion_of


@pytest.fixture(scope="session")
def _written(tmp_path_factory):
    """The runs below, of which each test has a copy."""
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "nuclei-1")
    write_run(folder / "street-1", STREET, confusion_of(len(STREET)), 500)
    return folder


@pytest.fixture
def run(_written, tmp_path):
    """A whole run with two classes."""
    return RunFolder(shutil.copytree(_written / "nuclei-1", tmp_path / "nuclei-1"))


@pytest.fixture
def street():
    """Names of twenty classes."""
    return STREET


@pytest.fixture
def street_run(_written, tmp_path):
    """A whole run with twenty classes and 500 images."""
    return RunFolder(shutil.copytree(_written / "street-1", tmp_path / "street-1"))
