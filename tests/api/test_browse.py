import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import limner
from limner.api.browse_augmented import browse_augmented
from limner.cli.app import app
from limner.core.errors import ConfigError, DataError
from limner.core.randomness import generator
from limner.loading.dataset import Dataset
from limner.loading.loader import training_batches
from limner.loading.pipeline import build_pipeline


def test_random_images_are_the_same_for_a_seed(cells, tmp_path):
    one, two = (limner.browse(cells, images=3, seed=1, side=64) for _ in range(2))
    assert one.images == two.images
    assert len(one.images) == 3
    np.testing.assert_array_equal(one.picture, two.picture)
    assert {limner.browse(cells, images=3, seed=s, side=32).images for s in range(5)} != {one.images}


def test_a_row_for_each_split_and_class(cells):
    by_split = limner.browse(cells, by="split", images=2, side=32)
    splits = {r.name: s for s, rows in limner.check(cells).splits.items() for r in rows}
    assert [splits.get(name, "none") for name in by_split.images] == ["train", "train", "val", "none"]
    only = limner.browse(cells, by="class", classes=["cell"], images=9, side=32)
    assert sorted(only.images) == [f"cell_{n}" for n in range(5)]  # cell_5 has no mask


def test_the_worst_are_those_that_findings_name(cells):
    (cells / "masks" / "cell_2.png").write_bytes(b"no image")
    cv2.imwrite(str(cells / "masks" / "cell_3.png"), np.zeros((9, 9), np.uint8))
    shown = limner.browse(cells, by="worst", images=2, side=64)
    assert {*shown.images} == {"cell_2", "cell_3"}


def test_where_nothing_stands_out_there_is_no_worst(cells):
    (cells / "images" / "cell_5.png").unlink()  # it has no mask
    with pytest.raises(DataError, match=r"no finding concerns an image(.|\n)*--by random"):
        limner.browse(cells, by="worst", side=32)


def test_what_is_only_proposed_is_shown_as_proposed(cells):
    (cells / "dataset.yaml").unlink()
    assert limner.check(cells).labels is None
    proposed = limner.browse(cells, images=5, side=64)
    limner.check(cells, accept=True)
    np.testing.assert_array_equal(limner.browse(cells, images=5, side=64).picture, proposed.picture)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"classes": ["cel"]}, "did you mean 'cell'"),
        ({"split": "test"}, "Known: train, val"),
        ({"palette": "nice"}, "Known: own, distinct"),
    ],
)
def test_unknown_words_are_refused(cells, options, words):
    with pytest.raises(ConfigError, match=words):
        limner.browse(cells, **options)


def test_a_class_that_no_image_holds(cells):
    (cells / "dataset.yaml").write_text("classes: [{name: dark, value: 0}, {name: light, value: 255}, x]\n")
    with pytest.raises(DataError, match="no image to show"):
        limner.browse(cells, classes=["x"])


SMALL = {
    "input": {"crop_size": [32, 32]},
    "network": {"name": "unet", "options": {"widths": [4, 6]}},
    "train": {"batch_size": 2},
}


def test_augmented_images_are_those_that_training_takes(cells, monkeypatch):
    drawn = []
    real = limner.datasets.augmented_images.labelled
    monkeypatch.setattr(
        "limner.datasets.augmented_images.labelled",
        lambda image, *a, **k: drawn.append(image) or real(image, *a, **k),
    )
    shown = browse_augmented(cells, mode="final", images=3, side=32, settings=SMALL)
    plan = limner.plan(cells, settings=SMALL)
    checked = limner.check(cells)
    dataset = Dataset(checked.source, checked.splits["train"], plan.data.label_table)
    pipeline = build_pipeline(plan.augment, plan.input, plan.data.label_table)
    seen = []

    def remember(sample, rng):
        seen.append(pipeline(sample, rng))
        return seen[-1]

    with training_batches(dataset, remember, batch_size=3, seed=plan.train.seed, workers=0) as batches:
        next(batches)
    assert shown.images == tuple(sample.name for sample in seen)
    for image, sample in zip(drawn, seen, strict=True):
        np.testing.assert_array_equal(image, sample.image)


def test_steps_end_where_the_pipeline_ends(cells):
    plan = limner.plan(cells, settings=SMALL)
    checked = limner.check(cells)
    pipeline = build_pipeline(plan.augment, plan.input, plan.data.label_table)
    sample = Dataset(checked.source, checked.splits["train"], plan.data.label_table)[0]
    end, params = pipeline.record(sample, generator(3, "augment", 0))
    steps = pipeline.steps(sample, params)
    assert len(steps) == 1 + len(pipeline.transforms)
    assert steps[0] is sample
    np.testing.assert_array_equal(steps[-1].image, end.image)


@pytest.mark.parametrize(("mode", "pictures"), [("steps", 2), ("side-by-side", 2), ("original", 1)])
def test_modes(cells, mode, pictures):
    shown = browse_augmented(cells, mode=mode, images=2, side=64, settings=SMALL)
    assert shown.picture.shape[1] >= 64 * pictures
    assert len(shown.images) == 2


def test_on_the_command_line(cells, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["browse", str(cells), "--images", "2", "--side", "64"])
    assert done.exit_code == 0, done.output
    assert cv2.imread(str(tmp_path / "data-browse.png")) is not None
    more = ["--augment", "--mode", "side-by-side", "--images", "1", "--set", "input.crop_size=[32, 32]"]
    more += ["--set", "network.name=unet", "--set", "network.options.widths=[4, 6]"]
    done = CliRunner().invoke(app, ["browse", str(cells), *more, "--out", "pictures/a.png"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "pictures" / "a.png").is_file()
