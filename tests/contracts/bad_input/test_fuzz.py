"""Files with a few bytes changed at random: they are read, or refused with a message, and nothing else."""

import importlib.util
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from limner.core.errors import LimnerError
from limner.core.plan_text import plan_from_yaml
from limner.formats.dataset_yaml import read_dataset_file
from limner.images.masks import read_values
from limner.images.read_image import read_image
from limner.planning.plan_files import read_experiment
from limner.training.checkpoints import read_run_checkpoint
from limner.weights.bundle import load_model

ROUNDS = 150

_PATH = Path(__file__).parents[2] / "formats" / "mutations.py"
_SPEC = importlib.util.spec_from_file_location("mutations", _PATH)
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)
mutated = _MODULE.mutated


def spoil(path, read, *, rounds=ROUNDS):
    """Read a file that was spoilt in many ways; return how many of them were refused."""
    good, refused = path.read_bytes(), 0
    for seed in range(rounds):
        path.write_bytes(mutated(good, np.random.default_rng(seed)))
        try:
            read(path)
        except LimnerError as error:
            refused += 1
            assert str(error)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error
    path.write_bytes(good)
    return refused


PIXELS = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".tif", ".npy", ".gif"])
def test_images_and_masks(tmp_path, suffix):
    path = tmp_path / f"image{suffix}"
    if suffix == ".npy":
        np.save(path, PIXELS)
    elif suffix == ".tif":
        tifffile.imwrite(path, PIXELS, photometric="rgb", compression="zlib")
    elif suffix == ".gif":
        from PIL import Image

        Image.fromarray(PIXELS).save(path)
    else:
        path.write_bytes(cv2.imencode(suffix, PIXELS)[1].tobytes())
    refused = spoil(path, read_image)
    spoil(path, read_values, rounds=ROUNDS // 3)
    # A PNG has checksums, so hardly a change goes unseen; the others store less to check themselves by.
    assert refused > (0.9 * ROUNDS if suffix == ".png" else 0)


def test_dataset_yaml(cells):
    (cells / "dataset.yaml").write_text(
        "images: images/*.png\nmasks: 'masks/{stem}.png'\nmask_encoding: {threshold: 127}\n"
        "classes:\n- {name: background, value: 0, color: [0, 0, 0]}\n- {name: cell, values: [1, 2]}\n"
        "ignored: [9]\nsplits: {val: 0.2, test: 0.1, seed: 0}\n",
        "utf-8",
    )
    assert spoil(cells / "dataset.yaml", lambda path: read_dataset_file(path.parent)) > 0


def test_a_plan(finished):
    assert spoil(finished / "plan.yaml", read_experiment, rounds=60) > 0
    text = (finished / "plan.yaml").read_text("utf-8")
    assert plan_from_yaml(text).train.steps == 4


@pytest.mark.parametrize("name", ["model.json", "plan.yaml", "labels.yaml", "weights.safetensors"])
def test_a_model_folder(finished, tmp_path, name):
    shutil.copytree(finished / "model", tmp_path / "model")
    refused = spoil(tmp_path / "model" / name, lambda _: load_model(tmp_path / "model"), rounds=40)
    # Of the card, only what it says about the model's origin may change unseen.
    assert refused >= (20 if name == "model.json" else 40)


def test_a_checkpoint(finished):
    assert spoil(finished / "checkpoints/last.safetensors", read_run_checkpoint, rounds=60) > 0


def test_whole_commands_on_spoilt_data(limner, cells):
    draw = np.random.default_rng(0)
    for path in sorted((*(cells / "images").iterdir(), *(cells / "masks").iterdir()))[::3]:
        path.write_bytes(mutated(path.read_bytes(), draw))
    answer = limner("check", "data")
    assert answer.code == 1
    answer.says("image-unreadable", "mask-unreadable", "images 12, 12 with masks")
