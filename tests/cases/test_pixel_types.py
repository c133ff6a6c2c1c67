"""Images of another pixel type or range than the training's never enter a model unnoticed."""

import cv2
import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

import limner
from limner.cli.app import app
from limner.core.errors import ConfigError, DataError
from limner.core.plan import Plan
from limner.core.plan_text import plan_to_yaml
from limner.planning.rules.input import range_of_type
from limner.transforms.fit_values import fit_values, trained_values
from limner.weights.bundle import save_model
from limner.weights.model import Model

EIGHT = np.random.default_rng(0).integers(0, 256, (40, 50, 1), dtype=np.uint8)
OTHERS = {
    "g16.png": (EIGHT.astype(np.uint16) * 257, 65535),
    "g12.png": (EIGHT.astype(np.uint16) * 16, 4080),
    "float.tif": (EIGHT.astype(np.float32) / 255, 1),
}


def plan_of(tiny_plan, *, mean=100.0, std=50.0, reason="", **values):
    made = tiny_plan(channels=1).model_dump()
    made["input"] |= {"mean": (mean,), "std": (std,)} | values
    made["reasons"] = {"input.mean": reason} if reason else {}
    return Plan(**made)


@pytest.fixture
def model(tiny_plan, tmp_path):
    plan = plan_of(tiny_plan, dtype="uint8", value_range=(0.0, 255.0))
    save_model(tmp_path / "model", Model.from_plan(plan).eval(), origin={})
    return tmp_path / "model"


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    cv2.imwrite(str(folder / "g8.png"), EIGHT)
    for name, (pixels, _) in OTHERS.items():
        cv2.imwrite(str(folder / name), pixels)
    return folder


def test_other_pixel_types_are_refused_by_file(model, pictures, tmp_path):
    result = limner.predict(model, pictures, out=tmp_path / "out", device="cpu")
    assert [path.name for path in result.masks] == ["g8.png"]
    assert {failure.path.name for failure in result.failures} == set(OTHERS)
    for failure in result.failures:
        assert str(failure.path) in failure.reason
        assert "--range LOW HIGH" in failure.reason and "0 to 255" in failure.reason
    reasons = {failure.path.name: failure.reason for failure in result.failures}
    assert "found:    uint16 with values from 0 to 65535" in reasons["g16.png"]
    assert "expected: uint8 with values from 0 to 255" in reasons["g12.png"]


@pytest.mark.parametrize("name", OTHERS)
def test_a_stated_range_gives_the_prediction_of_8_bits(model, pictures, name):
    expected = limner.load(model, device="cpu").predict(pictures / "g8.png", probabilities=True)
    scaled = limner.load(model, device="cpu", value_range=(0, OTHERS[name][1]))
    found = scaled.predict(pictures / name, probabilities=True)
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-4)


def test_evaluate_and_explain_refuse_other_types(tiny_model, cells, tmp_path):
    save_model(tmp_path / "model", tiny_model(data=cells), origin={})
    deep = tmp_path / "deep"
    for kind in ("images", "masks"):
        (deep / kind).mkdir(parents=True)
    (deep / "dataset.yaml").write_bytes((cells / "dataset.yaml").read_bytes())
    for mask in (cells / "masks").iterdir():
        pixels = cv2.imread(str(cells / "images" / mask.name)).astype(np.uint16) * 257
        cv2.imwrite(str(deep / "images" / mask.name), pixels)
        (deep / "masks" / mask.name).write_bytes(mask.read_bytes())
    with pytest.raises(DataError, match="pixel type"):
        limner.evaluate(tmp_path / "model", data=deep, out=tmp_path / "scores", device="cpu")
    same = limner.evaluate(tmp_path / "model", data=cells, out=tmp_path / "a", device="cpu")
    scaled = limner.evaluate(
        tmp_path / "model", data=deep, out=tmp_path / "b", device="cpu", value_range=(0, 65535)
    )
    assert not scaled.skipped and scaled.scores.confusion.tolist() == same.scores.confusion.tolist()
    image = deep / "images" / "cell_0.png"
    with pytest.raises(DataError, match="pixel type"):
        limner.explain(tmp_path / "model", image, class_name="cell", device="cpu")
    region = (0, 0, 9, 9)
    limner.explain(
        tmp_path / "model", image, class_name="cell", region=region, value_range=(0, 65535), device="cpu"
    )


def test_the_command_line_maps_a_range(model, pictures, tmp_path):
    arguments = ["predict", str(model), str(pictures / "g16.png"), "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(app, [*arguments, "--device", "cpu"]).exit_code == 1
    mapped = CliRunner().invoke(app, [*arguments, "--device", "cpu", "--range", "0", "65535"])
    assert mapped.exit_code == 0
    assert (tmp_path / "out" / "masks" / "g16.png").is_file()


def refused(plan, pixels, **options):
    try:
        fit_values(pixels, plan, where="a.png", **options)
    except DataError as error:
        return "pixel type" if "pixel type" in str(error) else "range"
    return None


def test_another_range_of_the_same_type_is_refused(tiny_plan):
    twelve = plan_of(tiny_plan, dtype="uint16", value_range=(0.0, 4095.0), smallest_maximum=2000.0)
    sixteen = plan_of(tiny_plan, dtype="uint16", value_range=(0.0, 65535.0), smallest_maximum=60000.0)
    unit = plan_of(tiny_plan, dtype="float32", value_range=(0.0, 1.0), smallest_maximum=0.9)
    bytes_ = plan_of(tiny_plan, dtype="float32", value_range=(0.0, 255.0), smallest_maximum=200.0)
    g16, g12 = EIGHT.astype(np.uint16) * 257, EIGHT.astype(np.uint16) * 16
    assert refused(twelve, g16) == "range" and refused(twelve, g12) is None
    assert refused(sixteen, g12) == "range" and refused(sixteen, g16) is None
    assert refused(sixteen, g16.astype(np.int32)) is None
    assert refused(unit, EIGHT.astype(np.float64)) == "range"
    assert refused(bytes_, EIGHT.astype(np.float64) / 255) == "range"
    assert refused(sixteen, np.zeros((4, 4, 1), np.uint16)) is None  # a black image has no scale
    assert refused(sixteen, EIGHT) == "pixel type"


def test_models_without_the_information(tiny_plan):
    reason = "measured over all pixels of 9 training images (uint16)"
    assert trained_values(plan_of(tiny_plan, mean=90.0, reason=reason)).dtype == "uint16"
    assert trained_values(plan_of(tiny_plan, mean=120.0)).dtype == "uint8"
    assert trained_values(plan_of(tiny_plan, mean=120.0)).value_range == (0, 255)
    assert trained_values(plan_of(tiny_plan, mean=0.4, std=0.2)).dtype == "float32"
    assert trained_values(plan_of(tiny_plan, mean=9000.0)).dtype == "uint16"
    assert trained_values(plan_of(tiny_plan, mean=-300.0)).dtype is None
    with pytest.raises(ConfigError, match="does not state the training's range"):
        fit_values(EIGHT, plan_of(tiny_plan, mean=9000.0), where="a.png", value_range=(0, 255))


def test_ranges_that_cannot_be_mapped(tiny_plan):
    plan = plan_of(tiny_plan, dtype="uint8")
    with pytest.raises(ConfigError, match="the smaller one first; found 9 to 9"):
        fit_values(EIGHT, plan, where="a.png", value_range=(9, 9))
    with pytest.raises(DataError, match="outside the stated range"):
        fit_values(EIGHT.astype(np.uint16) * 257, plan, where="a.png", value_range=(0, 4095))


@pytest.mark.parametrize(
    ("dtype", "low", "high", "expected"),
    [
        ("uint8", 3, 90, (0, 255)),
        ("uint16", 0, 4080, (0, 4095)),
        ("uint16", 12, 65535, (0, 65535)),
        ("int16", -1000, 3000, (-1000, 3000)),
        ("float32", 0.1, 0.9, (0, 1)),
        ("float32", 0, 255, (0, 255)),
    ],
)
def test_range_of_a_pixel_type(dtype, low, high, expected):
    assert range_of_type(dtype, low, high) == expected


def test_training_writes_type_and_range(cells, tmp_path):
    plan = limner.plan(cells, device="cpu")
    assert plan.input.dtype == "uint8" and plan.input.value_range == (0, 255)
    assert "uint8" in plan_to_yaml(plan)


def test_a_derived_type_is_refused_only_on_another_scale(tiny_plan):
    old = plan_of(tiny_plan, mean=120.0)  # likely 8 bits, but no file says so
    assert refused(old, EIGHT.astype(np.uint16)) is None
    assert refused(old, EIGHT.astype(np.uint16) * 16) == "pixel type"
    assert refused(old, EIGHT.astype(np.uint16) * 257) == "pixel type"
    assert refused(old, EIGHT.astype(np.float32) / 255) == "pixel type"


def test_messages_name_the_type_in_the_file(model, tmp_path):
    values = (EIGHT.astype(np.int16) - 100) * 100
    folder = tmp_path / "pictures"
    folder.mkdir()
    tifffile.imwrite(folder / "a.tif", values[..., 0])
    low, high = values.min(), values.max()
    found = f"found:    int16, read as float32, with values from {low} to {high}"
    (failure,) = limner.predict(model, folder, out=tmp_path / "out", device="cpu").failures
    assert found in failure.reason
    with pytest.raises(DataError, match=r"int16, read as float32, with"):
        limner.load(model, device="cpu").predict(folder / "a.tif")
    with pytest.raises(DataError, match=r"int16, read as float32, .*outside"):
        limner.load(model, device="cpu", value_range=(0, 100)).predict(folder / "a.tif")


def test_another_range_is_told_without_the_type_as_which_volumes_are_read(tiny_plan):
    plan = plan_of(tiny_plan, mean=120.0, dtype="float32", value_range=(0.0, 100.0))
    image = EIGHT.astype(np.float32) * 100
    with pytest.raises(DataError) as refusal:
        fit_values(image, plan, where="a.nii", stored_dtype="int16")
    assert "expected: values from 0 to 100\n" in str(refusal.value)


def test_scoring_names_the_type_in_the_file(tiny_model, cells, tmp_path):
    save_model(tmp_path / "model", tiny_model(data=cells), origin={})
    for path in (cells / "images").iterdir():
        pixels = cv2.imread(str(path))[..., ::-1].astype(np.int16) * 100
        path.unlink()
        tifffile.imwrite(path.with_suffix(".tif"), pixels, photometric="rgb")
    with pytest.raises(DataError, match="int16, read as float32, with values from 0 to 25500"):
        limner.evaluate(tmp_path / "model", data=cells, out=tmp_path / "scores", device="cpu")
