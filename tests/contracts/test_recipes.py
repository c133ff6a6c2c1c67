"""Every recipe is a set of settings that limner knows, for a network it can build."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from limner.api.plan import plan
from limner.formats.source import TEXT_TASK
from limner.networks import build_network
from limner.networks.weightless import weightless
from limner.planning.cost import Cost
from limner.planning.measurer import Measurer
from limner.planning.plan_files import read_experiment
from limner.planning.settings import flatten, read_settings
from limner.planning.task_choice import check_pairing
from limner.tasks import find_task

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


def test_there_are_recipes():
    assert len(RECIPES) >= 3


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_names_data_and_settings_that_exist(path):
    recipe = read_experiment(path)
    flat = read_settings(recipe.settings)
    assert recipe.data.parts
    check_pairing(flat["network.name"], flat.get("task", "semantic"))
    with weightless():
        build_network(flat["network.name"], num_classes=3, **flat.get("network.options", {}))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_short(path):
    lines = [
        line for line in path.read_text().splitlines() if line.strip() and not line.strip().startswith("#")
    ]
    assert len(lines) <= 35


def write_words(root, number, draw):
    """Write an image with a word, in ICDAR's format."""
    cv2.imwrite(str(root / f"img_{number}.png"), draw.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    (root / f"gt_img_{number}.txt").write_text("8,8,40,8,40,24,8,24,word\n", encoding="utf-8")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_plans_and_its_settings_stay(path, tmp_path, monkeypatch):
    cost = Cost(1_000_000, 0.0, 1000.0, 0.0, 1e-6, 300.0)  # measuring is tested elsewhere, and takes long
    monkeypatch.setattr(Measurer, "__call__", lambda self, settled: cost)
    wanted = read_experiment(path).settings
    draw = np.random.default_rng(0)
    for number in range(4):
        if find_task(wanted.get("task", "semantic")).labels_of == TEXT_TASK:
            write_words(tmp_path, number, draw)
            continue
        # One mask an object, which is good for every other task.
        for folder in ("images", "masks"):
            (tmp_path / str(number) / folder).mkdir(parents=True)
        image = draw.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / str(number) / f"images/{number}.png"), image)
        for each in range(2):
            object_mask = ((image[..., 0] >> 6) == each) * np.uint8(255)
            cv2.imwrite(str(tmp_path / str(number) / f"masks/object{each}.png"), object_mask)
    made = flatten(plan(tmp_path, settings=wanted, device="cpu"))
    for key, value in read_settings(wanted).items():
        if not isinstance(value, dict):  # of a mapping, limner may fill in the rest
            assert made[key] == json.loads(json.dumps(value, default=lambda term: term.model_dump())), key
