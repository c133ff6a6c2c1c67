import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import limner
from limner.api.explain import explain_classes, explain_layers
from limner.cli.app import app
from limner.core.errors import ConfigError, UnknownNameError
from limner.inference.predictor import Predictor


def test_overlays_of_a_point_and_of_a_region(run, cells, tmp_path):
    image = cells / "images" / "cell_0.png"
    found = limner.explain(
        run.root, image, class_name="cell", point=(3, 7), out=tmp_path / "out", device="cpu"
    )
    names = [path.name for path in found.pictures]
    assert names == [f"cell_0_cell_{name}.png" for name in ("gradcam", "hirescam", "layercam", "all")]
    assert cv2.imread(str(found.pictures[0])).shape == (40, 50, 3)
    assert found.heats["gradcam"].shape == (40, 50) and found.layer in explain_layers(run.root, image)
    other = limner.explain(run.root, image, class_name="cell", region=(0, 0, 50, 40), device="cpu")
    assert not other.pictures and (other.heats["layercam"] != found.heats["layercam"]).any()


def test_what_cannot_be_explained_is_said(run, cells):
    image = cells / "images" / "cell_0.png"
    with pytest.raises(UnknownNameError, match=r"'cel' \(did you mean 'cell'\?\)"):
        limner.explain(run.root, image, class_name="cel", device="cpu")
    with pytest.raises(ConfigError, match=r"x in 0\.\.49 and y in 0\.\.39"):
        limner.explain(run.root, image, class_name="cell", point=(50, 0), device="cpu")
    with pytest.raises(ConfigError, match=r"--class \(background, cell\)"):
        explain_classes(run.root, image, device="cpu")
    with pytest.raises(ConfigError, match="not both"):
        limner.explain(run.root, image, class_name="cell", point=(0, 0), region=(0, 0, 1, 1), device="cpu")


def test_the_verb(run, cells, tmp_path):
    base = ["explain", str(run.root), str(cells / "images" / "cell_0.png"), "--device", "cpu"]
    listed = CliRunner().invoke(app, [*base, "--layers"])
    assert listed.exit_code == 0 and "40 x 50" in listed.output
    out = ["--class", "cell", "--region", "0,0,9,9", "--out", str(tmp_path / "o")]
    drawn = CliRunner().invoke(app, [*base, *out])
    assert drawn.exit_code == 0, drawn.output
    assert len(list((tmp_path / "o").glob("*.png"))) == 4
    wrong = CliRunner().invoke(app, [*base, "--class", "cell", "--point", "1"])
    assert isinstance(wrong.exception, ConfigError) and "2 whole numbers" in str(wrong.exception)


def test_several_classes_are_drawn_together(run, cells, tmp_path):
    image, out = cells / "images" / "cell_3.png", tmp_path / "out"
    names = ["cell", "background"]
    cell, background = explain_classes(
        run.root, image, class_names=names, region=(0, 0, 9, 9), out=out, device="cpu"
    )
    alone = limner.explain(run.root, image, class_name="cell", region=(0, 0, 9, 9), device="cpu")
    assert (cell.class_name, background.class_name) == ("cell", "background")
    np.testing.assert_array_equal(cell.heats["hirescam"], alone.heats["hirescam"])
    together = background.pictures[-1]
    assert together == out / "cell_3_cell_background.png" and together.is_file()
    assert len(cell.pictures) == len(background.pictures) - 1 == 4


def test_evidence_of_a_model_that_resizes_has_the_size_of_the_image(tiny_model, cells):
    image = cells / "images" / "cell_0.png"
    predictor = Predictor(tiny_model(data=cells, resize={"size": (96, 128)}), device="cpu")
    assert {shape[1:] for shape in explain_layers(predictor, image).values()} <= {(96, 128), (48, 64)}
    found = limner.explain(predictor, image, class_name="cell", point=(49, 39))
    assert {heat.shape for heat in found.heats.values()} == {(40, 50)}
    # The point is at the corner, and so is its evidence: the tiny network sees few pixels.
    row, column = np.unravel_index(found.heats["hirescam"].argmax(), (40, 50))
    assert row >= 30 and column >= 38
    shrunk = Predictor(tiny_model(data=cells, resize={"shortest": 34}), device="cpu")
    assert limner.explain(shrunk, image, class_name="cell", point=(1, 1)).heats["gradcam"].max() > 0
