"""Every recipe is a set of settings that limner knows, for a network it can build."""

from pathlib import Path

import pytest
import torch

from limner.networks import build_network
from limner.planning.files import read_experiment
from limner.planning.pairing import check_pairing
from limner.planning.settings import read_settings

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


def test_there_are_recipes():
    assert len(RECIPES) >= 3


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_names_data_and_settings_that_exist(path):
    recipe = read_experiment(path)
    flat = read_settings(recipe.settings)
    assert recipe.data.parts
    check_pairing(flat["network.name"], "semantic")
    with torch.device("meta"):
        build_network(flat["network.name"], num_classes=3, **flat.get("network.options", {}))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_short(path):
    lines = [
        line for line in path.read_text().splitlines() if line.strip() and not line.strip().startswith("#")
    ]
    assert len(lines) <= 35
