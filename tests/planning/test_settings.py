"""User settings: every problem at once, the nearest key named."""

import pytest

from limner.core.errors import ConfigError
from limner.planning.settings import default_values, nest, read_settings, settable_fields


def refusal(settings):
    with pytest.raises(ConfigError) as caught:
        read_settings(settings)
    return str(caught.value)


def test_auto_is_left_out_and_the_rest_flattened():
    settings = {
        "network": {"name": "unet", "options": {"widths": [4, 8]}},
        "train": {"steps": "auto"},
        "loss": "auto",
    }
    assert read_settings(settings) == {"network.name": "unet", "network.options": {"widths": [4, 8]}}


def test_nest_undoes_flattening():
    settings = {"train": {"steps": 5, "seed": 1}, "optimizer": {"name": "sgd"}}
    assert nest(read_settings(settings)) == settings


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"train": {"stepz": 5}}, "train.stepz: unknown key (did you mean 'train.steps'?)"),
        ({"trian": {"steps": 5}}, "trian"),
        ({"steps": 5}, "steps: unknown key (did you mean 'train.steps'?)"),
        ({"learning_rat": 5}, "(did you mean 'optimizer.learning_rate'?)"),
        (
            {"optimizer": {"learning_rate": -0.1}},
            "optimizer.learning_rate: should be greater than 0; found -0.1",
        ),
        ({"train": {"steps": "many"}}, "train.steps: should be a whole number"),
        ({"optimizer": {"name": "adamv"}}, "(did you mean 'adam"),
        ({"train": 5}, "train: this is a section"),
        ({"data": {"path": "x"}}, "data: this comes from the dataset"),
        ({"input": {"crop_size": [0, 5]}}, "input.crop_size[0]: should be greater than 0; found 0"),
        ({"loss": {"terms": [{"name": "dise"}]}}, "loss.terms[0]"),
        ({"train": {"minutes": -1}}, "train.minutes: should be greater than 0; found -1"),
    ],
)
def test_what_cannot_be_used_is_named(settings, said):
    assert said in refusal(settings)


def test_all_problems_come_at_once():
    message = refusal({"train": {"stepz": 5, "seed": -1}, "optimizer": {"learning_rate": -0.1}})
    assert message.count("\n") == 3
    assert all(key in message for key in ("train.stepz", "train.seed", "optimizer.learning_rate"))


def test_one_number_stands_for_a_size():
    assert read_settings({"input": {"crop_size": 96}}) == {"input.crop_size": (96,)}


def test_an_unquoted_yes_or_no_of_yaml_is_a_word():
    assert read_settings({"network": {"pretrained": False}}) == {"network.pretrained": "no"}


def test_every_default_is_settable():
    assert default_values().keys() < settable_fields().keys()
    assert read_settings(nest(default_values()))["schedule.power"] == 0.9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"input": {"resize": {"shortst": 5}}},
            r"input\.resize\.shortst: unknown key \(did you mean 'shortest'",
        ),
        (
            {"loss": {"terms": [{"name": "dice", "wieght": 2}]}},
            r"loss\.terms\[0\]\.wieght: unknown key \(did you mean 'weight'",
        ),
        ({"loss": {"terms": [{"weight": 2}]}}, r"loss\.terms\[0\]\.name: required key is missing"),
    ],
)
def test_unknown_keys_inside_a_value_are_named_with_the_nearest(settings, message):
    with pytest.raises(ConfigError, match=message):
        read_settings(settings)
