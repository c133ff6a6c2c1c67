"""Settings under the names of other programs are refused with limner's name."""

import pytest

from limner.core.errors import ConfigError
from limner.planning.settings import OTHER_NAMES, read_settings, settable_fields


@pytest.mark.parametrize("settings", [{"lr": 0.1}, {"optimizer": {"lr": 0.1}}, {"train": {"lr": 0.1}}])
def test_lr_is_the_learning_rate(settings):
    with pytest.raises(ConfigError, match=r"did you mean 'optimizer\.learning_rate'"):
        read_settings(settings)


def test_every_hint_names_a_key():
    assert set(OTHER_NAMES.values()) <= set(settable_fields())


@pytest.mark.parametrize("key", ["dtype", "value_range", "smallest_maximum"])
def test_what_comes_from_the_dataset_cannot_be_set(key):
    with pytest.raises(ConfigError, match="comes from the dataset and cannot be set"):
        read_settings({"input": {key: "uint8"}})
