"""Recipes and plans on disk."""

import pytest

from limner.core.errors import ConfigError
from limner.core.plan_text import plan_to_yaml
from limner.planning.plan_files import read_experiment, read_plan, write_plan


def write(folder, text):
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def test_a_recipe_has_data_settings_and_its_own_reasons(tmp_path):
    text = "data: here\ntrain:\n  # short on purpose\n  steps: 5\n  seed: 1\n"
    recipe = read_experiment(write(tmp_path, text))
    assert str(recipe.data) == "here"
    assert recipe.settings == {"train": {"steps": 5, "seed": 1}}
    assert recipe.reasons == {"train.steps": "you set it: short on purpose"}


def test_data_is_found_beside_the_recipe_too(tmp_path):
    (tmp_path / "images").mkdir()
    assert read_experiment(write(tmp_path, "data: images\n")).data == tmp_path / "images"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train: {steps: 5}\n", "data: path/to/my_images"),
        ("- a\n- b\n", "found:    list"),
        ("data: 5\n", "expected the path of the dataset folder, found 5"),
        ("data: x\ntrain: {stepz: 5}\n", "did you mean 'train.steps'?"),
        ("data: x\ntrain: {steps: [}\n", "line 2"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_said(tmp_path, text, said):
    with pytest.raises(ConfigError) as caught:
        read_experiment(write(tmp_path, text))
    assert said in str(caught.value)
    assert "recipe.yaml" in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        read_experiment(tmp_path / "nowhere.yaml")


def test_a_plan_is_a_recipe_that_leaves_nothing_open(tmp_path, tiny_plan):
    plan = tiny_plan().model_copy(update={"reasons": {"train.steps": "why not"}})
    write_plan(tmp_path / "plan.yaml", plan)
    recipe = read_experiment(tmp_path / "plan.yaml")
    assert recipe.settings["train"]["steps"] == plan.train.steps
    assert recipe.reasons == {"train.steps": "why not"}
    assert read_plan(tmp_path / "plan.yaml") == plan


def test_writing_replaces_the_file_and_leaves_nothing_beside_it(tmp_path, tiny_plan):
    path = tmp_path / "plan.yaml"
    path.write_text("old")
    write_plan(path, tiny_plan())
    assert path.read_text() == plan_to_yaml(tiny_plan())
    assert [p.name for p in tmp_path.iterdir()] == ["plan.yaml"]
