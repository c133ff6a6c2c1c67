"""`limner plan` from a folder of images to settings with reasons."""

import json

import cv2
import numpy as np
import pytest

from limner.api.plan import plan
from limner.core.errors import ConfigError, DataError, UnknownNameError
from limner.core.execution import Execution
from limner.core.plan import Plan
from limner.preparation.planned import plan_data


@pytest.fixture
def cells(tmp_path):
    """Twelve images of one bright square each, with index masks."""
    folder = tmp_path / "cells"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(12):
        image = rng.integers(0, 60, (64, 96, 3), np.uint8)
        mask = np.zeros((64, 96), np.uint8)
        top, left = rng.integers(0, 44), rng.integers(0, 76)
        image[top : top + 20, left : left + 20] += 120
        mask[top : top + 20, left : left + 20] = 1
        cv2.imwrite(str(folder / "images" / f"{i}.png"), image)
        cv2.imwrite(str(folder / "masks" / f"{i}.png"), mask)
    return folder


TINY = {"network": {"name": "unet", "options": {"widths": [4, 8]}}}


def test_every_setting_is_decided_and_explained(cells):
    made = plan(cells, settings=TINY, minutes=2, device="cpu")
    assert isinstance(made, Plan)
    assert made.train.minutes == 2
    assert made.network.options["widths"] == [4, 8]
    assert made.reasons["network.name"] == "you set it"
    assert "64x96" in made.reasons["input.crop_size"]
    assert made.data.num_images["train"] + made.data.num_images["val"] == 12


def test_auto_means_decide(cells):
    settings = {"input": {"crop_size": "auto"}, "train": {"batch_size": "auto"}, "loss": "auto"}
    made = plan(cells, settings=settings, minutes=2, device="cpu")
    assert made.reasons["train.batch_size"] != "you set it"


def test_a_recipe_and_the_words_beside_it(cells, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"data: {cells}\n"
        "network: {name: unet, options: {widths: [4, 8]}}\ntrain:\n  # short\n  steps: 7\n"
    )
    made = plan(recipe, settings={"train": {"seed": 3}}, device="cpu")
    assert (made.train.steps, made.train.seed) == (7, 3)
    assert made.reasons["train.steps"] == "you set it: short"


def test_a_recipe_whose_data_is_elsewhere_says_where_to_write_it(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("data: gone\n")
    with pytest.raises(
        ConfigError, match="(?s)dataset folder in this file does not exist.*no gone.*after `data:`"
    ):
        plan_data(recipe, {}, Execution("cpu"))


def test_a_plan_written_and_read_again_is_the_same(cells, tmp_path):
    from limner.planning.plan_files import write_plan

    made = plan(cells, settings=TINY, minutes=2, device="cpu")
    write_plan(tmp_path / "plan.yaml", made)
    again = plan_data(tmp_path / "plan.yaml", {}, Execution("cpu")).plan
    assert again.model_dump(exclude={"reasons"}) == made.model_dump(exclude={"reasons"})
    assert {k: again.reasons[k] for k in made.reasons} == made.reasons


def test_another_network_than_the_plans_takes_none_of_its_options(cells, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"data: {cells}\nnetwork: {{name: pspnet, options: {{bins: [1]}}}}\n")
    made = plan(recipe, network="unet", settings={"network": {"options": {"widths": [4, 8]}}}, device="cpu")
    assert made.network.options == {"widths": [4, 8]}


def test_an_unknown_network_names_the_nearest(cells):
    with pytest.raises(UnknownNameError, match="did you mean 'unet'"):
        plan(cells, network="unett")


def test_an_unknown_option_of_the_network_names_the_nearest(cells):
    with pytest.raises(ConfigError, match="widths"):
        plan(cells, network="unet", settings={"network": {"options": {"width": [4, 8]}}}, device="cpu")


def test_settings_are_refused_before_the_data_is_read(tmp_path):
    with pytest.raises(ConfigError, match=r"train\.steps"):
        plan(tmp_path / "there is no such folder", settings={"train": {"stepz": 1}})


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "unett"},
        {"name": "unet", "options": {"width": [4, 8]}},
        {"name": "pspnet", "options": {"bins": []}},
    ],
)
def test_a_network_that_cannot_be_is_refused_before_the_data_is_read(tmp_path, settings):
    with pytest.raises(ConfigError, match=r"unet|bins"):
        plan(tmp_path / "there is no such folder", settings={"network": settings})


def test_settings_that_contradict_each_other_are_named(cells):
    settings = TINY | {"train": {"batch_size": 4, "accumulate": 3}}
    with pytest.raises(ConfigError, match="accumulate 3 must divide batch_size 4"):
        plan(cells, settings=settings, device="cpu")


def test_data_with_errors_is_not_planned(cells):
    for mask in (cells / "masks").iterdir():
        values = cv2.imread(str(mask), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(mask), values * 255)
    with pytest.raises(DataError, match=r"limner check .* --accept"):
        plan(cells)


def test_the_command_prints_json_and_writes_the_plan(cells, tmp_path, command_line):
    options = ["--minutes", "1", "--set", "network.options.widths=[4, 8]", "--json", "--device", "cpu"]
    done = command_line("plan", cells, *options, "--out", tmp_path / "plan.yaml")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["plan"]["network"]["options"]["widths"] == [4, 8]
    assert said["fingerprint"]["median"] == [64, 96]
    assert "# you set it" in (tmp_path / "plan.yaml").read_text()
