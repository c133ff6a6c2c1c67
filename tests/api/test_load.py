import shutil

import numpy as np
import pytest

import limner
from limner.core.errors import ModelError


def test_a_model_folder_and_its_run_are_the_same(run):
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    one, other = (limner.load(path, device="cpu") for path in (run.root, str(run.model)))
    np.testing.assert_array_equal(one.predict(image).semantic, other.predict(image).semantic)
    assert one.labels.names == ("background", "cell")


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(ModelError, match="not a complete model folder"):
        limner.load(tmp_path)


def test_a_run_that_was_stopped_says_how_to_go_on(run):
    shutil.rmtree(run.model)
    with pytest.raises(ModelError, match=r"(?s)no model yet.*limner train --resume .*one"):
        limner.load(run.root)
