import json

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import limner
from limner.cli.app import app
from limner.core.errors import DataError


def test_numbers_of_the_training_images(cells):
    found = limner.stats(cells)
    train = limner.check(cells).splits["train"]
    assert found.num_images == {"train": 4, "val": 1}
    images = [cv2.imread(str(r.image))[..., ::-1].reshape(-1, 3) for r in train]
    masks = [cv2.imread(str(r.labels[0]), cv2.IMREAD_GRAYSCALE) for r in train]
    np.testing.assert_allclose(found.mean, np.concatenate(images).mean(0), rtol=1e-4)
    np.testing.assert_allclose(found.std, np.concatenate(images).std(0), rtol=1e-4)
    share = np.concatenate([m.ravel() for m in masks]) == 255
    assert [c.name for c in found.classes] == ["background", "cell"]
    assert found.classes[1].pixel_share == pytest.approx(share.mean())


def test_open_questions_come_first(cells):
    (cells / "dataset.yaml").unlink()
    with pytest.raises(DataError, match=r"mask values is unclear(.|\n)*limner check"):
        limner.stats(cells)


def test_on_the_command_line(cells):
    done = CliRunner().invoke(app, ["stats", str(cells)])
    assert done.exit_code == 0, done.output
    assert "cell" in done.output
    assert "too few images to decide" in done.output
    told = json.loads(CliRunner().invoke(app, ["stats", str(cells), "--json"]).stdout)
    assert told == json.loads(json.dumps(limner.stats(cells).to_dict()))
