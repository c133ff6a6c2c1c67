"""A plan as YAML: reads well, and comes back the same."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from limner.core.config import parse_config
from limner.core.errors import ConfigError
from limner.core.plan import Plan, ResizePlan
from limner.core.plan_text import plan_from_yaml, plan_to_yaml, reasons_in_comments

REASONS = {
    "network.name": "a small U-Net: it fits",
    "input.crop_size": "the median image is 256x320 and " + "a very long story follows " * 12 + "# end",
    "loss.terms": "Dice helps",
    "train.steps": "'quoted' and ünïcode: yes",
}


def test_a_plan_comes_back_with_its_reasons(tiny_plan):
    plan = tiny_plan().model_copy(update={"reasons": REASONS})
    assert plan_from_yaml(plan_to_yaml(plan)) == plan


def test_spacing_is_written_where_it_is_known(tiny_plan):
    plan = tiny_plan()
    assert "spacing" not in plan_to_yaml(plan)
    known = plan.model_copy(update={"input": plan.input.model_copy(update={"spacing_mm": (0.5, 0.25)})})
    assert "  spacing_mm: [0.5, 0.25]" in plan_to_yaml(known)
    assert plan_from_yaml(plan_to_yaml(known)) == known
    with pytest.raises(ConfigError, match="spacing_mm needs 2 numbers, found 3"):
        plan_from_yaml(plan_to_yaml(known).replace("[0.5, 0.25]", "[0.5, 0.25, 1]"))


def test_the_reason_stands_above_its_key(tiny_plan):
    lines = plan_to_yaml(tiny_plan().model_copy(update={"reasons": REASONS})).splitlines()
    assert lines[lines.index("  # a small U-Net: it fits") + 1] == "  name: unet"
    assert all(len(line) <= 101 for line in lines)


def test_it_is_plain_yaml(tiny_plan):
    plan = tiny_plan()
    assert yaml.safe_load(plan_to_yaml(plan)) == plan.model_dump(mode="json", exclude={"reasons"})


def test_a_plan_with_its_reasons_in_a_mapping_is_read_too(tiny_plan):
    plan = tiny_plan().model_copy(update={"reasons": REASONS})
    assert plan_from_yaml(yaml.safe_dump(plan.model_dump(mode="json"))) == plan


@given(reason=st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=300))
def test_any_reason_comes_back(reason):
    text = f"network:\n  # {reason}\n  name: unet\n"
    assert reasons_in_comments(text) == {"network.name": reason.strip()}


def test_a_blank_line_parts_a_comment_from_the_key():
    assert reasons_in_comments("# a header\n\nversion: 1\n") == {}


def test_keys_inside_braces_have_no_comment_of_their_own():
    assert reasons_in_comments("# why\ntrain: {steps: 1, seed: 2}\n") == {"train": "why"}


def test_what_is_wrong_in_a_plan_is_named_with_the_nearest_key(tiny_plan):
    text = plan_to_yaml(tiny_plan()).replace("  steps: 1", "  stepz: 1")
    with pytest.raises(ConfigError, match="stepz.*did you mean"):
        plan_from_yaml(text, where="plan.yaml")


def test_text_that_is_no_mapping_is_refused():
    with pytest.raises(ConfigError, match=r"plan\.yaml"):
        plan_from_yaml("just words", where="plan.yaml")


def test_sizes_of_images_come_back(tiny_plan):
    plan = tiny_plan(resize={"size": (320, 240)}, window=(64, 64))
    shortest = plan.input.model_copy(update={"resize": ResizePlan(shortest=512, longest=2048)})
    plan = plan.model_copy(update={"input": shortest})
    assert plan_from_yaml(plan_to_yaml(plan)) == plan


def test_a_plan_of_an_older_version_has_images_at_their_own_size(tiny_plan):
    text = plan_to_yaml(tiny_plan())
    old = text.replace("  resize: null\n", "").replace("  scale_of: image\n", "")
    none = "inference:\n  resize:\n    shortest: null\n    longest: null\n    size: null\n    multiple: 1\n"
    plan = plan_from_yaml(old.replace("inference:\n", none))
    assert old.count("resize") == 0 and plan.augment.scale_of == "image"
    assert plan.resize_for(plan.inference).is_noop


@pytest.mark.parametrize("section", ["input", "inference"])
def test_volumes_are_not_resized(tiny_plan, section):
    values = tiny_plan(spatial_dims=3).model_dump(mode="json")
    values[section]["resize"] = {"shortest": 64}
    with pytest.raises(ConfigError, match=f"{section}.resize is for images in 2 dimensions"):
        parse_config(Plan, values, where="The plan")
