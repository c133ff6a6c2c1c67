"""Evidence for classes in volumes, of networks in three dimensions and of slices."""

import cv2
import numpy as np
import pytest

import limner
from limner.api.explain import explain_layers
from limner.core.errors import ConfigError
from limner.core.picture import Geometry
from limner.core.plan import InferencePlan
from limner.images.volumes.volume_writing import write_volume
from limner.inference.predictor import Predictor

SIZE = (36, 44, 40)
SPACING = (2.0, 1.0, 1.0)


@pytest.fixture
def volume(tmp_path):
    """A volume, and the same one stored with other axes."""
    folder = tmp_path / "images"
    folder.mkdir()
    array = np.random.default_rng(0).normal(100, 50, (*SIZE, 1)).astype(np.float32)
    affine = np.array([[0, 0, 1.0, 5], [0, 1, 0, 7], [2, 0, 0, 9], [0, 0, 0, 1]])
    write_volume(folder / "v.nii.gz", array, Geometry(SPACING, affine))
    turn = np.array([[0, 1.0, 0, 0], [1, 0, 0, 0], [0, 0, -1, SIZE[2] - 1], [0, 0, 0, 1]])
    turned = np.ascontiguousarray(array.transpose(1, 0, 2, 3)[:, :, ::-1])
    write_volume(folder / "turned.nii.gz", turned, Geometry((1.0, 2.0, 1.0), affine @ turn))
    return folder / "v.nii.gz", folder / "turned.nii.gz"


@pytest.fixture
def predictor(tiny_model):
    """A model in one orientation that sees a third of the volume at once."""

    def make(dims=3, **values):
        model = tiny_model(channels=1, spatial_dims=dims)
        values = {"orientation": "RAS", **values}
        model.plan = model.plan.model_copy(update={"input": model.plan.input.model_copy(update=values)})
        window = (33, 33, 33) if dims == 3 else None
        return Predictor(model, device="cpu", precision="float32", settings=InferencePlan(window=window))

    return make


def test_a_window_around_a_voxel_is_explained_in_three_views(predictor, volume, tmp_path):
    image, name = volume[0], predictor().labels.names[1]
    found = limner.explain(predictor(), image, class_name=name, point=(3, 4, 5), out=tmp_path / "out")
    heat = found.heats["gradcam"]
    assert heat.shape == SIZE and heat.min() >= 0 and heat.max() > 0.9
    assert not heat[34:].any() and not heat[:, 34:].any() and not heat[:, :, 34:].any(), "outside the window"
    assert [path.name for path in found.pictures] == [
        f"v_{name}_{method}.png" for method in ("gradcam", "hirescam", "layercam", "all")
    ]
    # Axial 44 x 40, coronal and sagittal with slices 2 mm apart: 72 high, 40 and 44 wide; all enlarged.
    assert cv2.imread(str(found.pictures[0])).shape == (4 * 72, 4 * (40 + 40 + 44), 3)
    assert len(explain_layers(predictor(), image)[found.layer]) == 4


def test_orientation_changes_nothing(predictor, volume):
    model = predictor()
    name = model.labels.names[0]
    straight, turned = (limner.explain(model, image, class_name=name).heats["layercam"] for image in volume)
    np.testing.assert_allclose(turned[:, :, ::-1].transpose(1, 0, 2), straight, atol=1e-4)


def test_a_network_of_slices_explains_the_slice_of_the_voxel(predictor, volume, tmp_path):
    model = predictor(dims=2, slice_axis=0)
    name = model.labels.names[1]
    found = limner.explain(model, volume[0], class_name=name, point=(3, 4, 5), out=tmp_path / "out")
    assert found.heats["gradcam"].shape == SIZE[1:]
    other = limner.explain(model, volume[0], class_name=name, point=(3, 4, 6))
    assert (found.heats["gradcam"] != other.heats["gradcam"]).any()
    everywhere = limner.explain(model, volume[1], class_name=name)
    assert everywhere.heats["gradcam"].shape == SIZE[1:]


def test_what_cannot_be_explained_is_said(predictor, volume):
    model = predictor()
    name = model.labels.names[1]
    with pytest.raises(ConfigError, match=r"x in 0\.\.39, y in 0\.\.43, z in 0\.\.35; found 40,0,0"):
        limner.explain(model, volume[0], class_name=name, point=(40, 0, 0))
    with pytest.raises(ConfigError, match=r"is x,y,z.*found 1,2"):
        limner.explain(model, volume[0], class_name=name, point=(1, 2))
    with pytest.raises(ConfigError, match="--point X,Y,Z"):
        limner.explain(model, volume[0], class_name=name, region=(0, 0, 9, 9))
