import pytest

from limner.cli.inference_options import InferenceOptions
from limner.core.augment_plan import AugmentPlan
from limner.core.errors import ConfigError


def test_flips_that_would_mirror_nothing_are_refused(tiny_plan):
    plan = tiny_plan()
    assert InferenceOptions(flips=True).settings(plan).flips
    unmirrored = plan.model_copy(update={"augment": AugmentPlan(flip_axes=())})
    with pytest.raises(ConfigError, match=r"mirrored none(.|\n)*Omit --flips"):
        InferenceOptions(flips=True).settings(unmirrored)
    assert not InferenceOptions(flips=False).settings(unmirrored).flips
