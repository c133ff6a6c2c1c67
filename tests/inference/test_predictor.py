import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from limner.core.errors import ConfigError, DataError
from limner.core.plan import InferencePlan, LossPlan, LossTerm, ResizePlan
from limner.devices.threads import ThreadCount
from limner.inference import view_rules
from limner.inference.predictor import Predictor
from limner.weights.model import Model


def image(height, width, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def predictor(model, **settings):
    plan = InferencePlan(**settings) if settings else None
    return Predictor(model, device="cpu", precision="float32", settings=plan)


def whole(model, picture):
    """The model on the whole image in plain torch: probabilities (K, H, W)."""
    with torch.no_grad():
        logits = model(torch.from_numpy(picture).movedim(-1, 0)[None]).logits
        size = picture.shape[:-1]
        mode = "bilinear" if len(size) == 2 else "trilinear"
        return F.interpolate(logits, size=size, mode=mode, align_corners=False).softmax(1)[0].numpy()


@pytest.mark.parametrize("size", [(64, 48), (33, 101), (90, 35)])
def test_whole_image_equals_plain_torch(tiny_model, size):
    model, picture = tiny_model(), image(*size)
    expected = whole(model, picture)
    found = predictor(model).predict(picture, name="p", probabilities=True)
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)
    assert found.name == "p" and found.semantic.dtype == np.uint8
    without = predictor(model).predict(picture)
    assert without.probabilities is None
    sure = np.abs(expected[0] - expected[1]) > 1e-4
    np.testing.assert_array_equal(without.semantic[sure], expected.argmax(0)[sure])


def test_a_window_as_large_as_the_image_changes_nothing(tiny_model):
    model, picture = tiny_model(), image(70, 50)
    one = predictor(model, window=(70, 50)).predict(picture, probabilities=True)
    np.testing.assert_allclose(one.probabilities, whole(model, picture), atol=1e-5)


def test_windows_agree_with_the_whole_away_from_their_edges(tiny_model):
    """The tiny U-Net sees 9 pixels around each; windows of 64 that overlap by half agree but for blending."""
    model, picture = tiny_model(), image(160, 130)
    found = predictor(model, window=(64, 64), overlap=0.5).predict(picture, probabilities=True)
    np.testing.assert_allclose(found.probabilities.sum(0), 1, atol=1e-5)
    assert np.abs(found.probabilities - whole(model, picture)).mean() < 0.01
    streamed = predictor(model, window=(64, 64), overlap=0.5).predict(picture)
    sure = np.abs(found.probabilities[0] - 0.5) > 1e-4
    np.testing.assert_array_equal(streamed.semantic[sure], found.probabilities.argmax(0)[sure])


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (20, 7), (32, 33)])
def test_images_smaller_than_networks_take(tiny_model, size):
    found = predictor(tiny_model()).predict(image(*size), probabilities=True)
    assert found.semantic.shape == size and found.probabilities.shape == (2, *size)
    assert predictor(tiny_model(), window=(64, 64)).predict(image(*size)).semantic.shape == size


def test_flips_average_the_probabilities_of_each_view(tiny_model):
    model, picture = tiny_model(), image(40, 50)
    flipped = whole(model, np.ascontiguousarray(picture[:, ::-1]))[..., ::-1]
    expected = (whole(model, picture) + flipped) / 2
    found = predictor(model, flips=True).predict(picture, probabilities=True)  # the plan mirrors axis 1 only
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)


def test_scales_average_the_probabilities_of_each_view(tiny_model):
    model, picture = tiny_model(), image(60, 80)
    found = predictor(model, scales=(0.75, 1.0, 1.25), flips=True).predict(picture, probabilities=True)
    np.testing.assert_allclose(found.probabilities.sum(0), 1, atol=1e-5)
    assert found.probabilities.shape == (2, 60, 80)
    only = predictor(model, scales=(0.75,)).predict(picture, probabilities=True).probabilities
    small = F.interpolate(
        torch.from_numpy(picture).movedim(-1, 0)[None].float(),
        size=(45, 60),
        mode="bilinear",
        antialias=True,
    )
    with torch.no_grad():
        logits = F.interpolate(model(small).logits, size=(60, 80), mode="bilinear")
    np.testing.assert_allclose(only, logits.softmax(1)[0].numpy(), atol=1e-5)


def test_volumes(tiny_model):
    model = tiny_model(channels=1, spatial_dims=3)
    volume = np.random.default_rng(0).normal(100, 50, (34, 40, 36, 1)).astype(np.float32)
    found = predictor(model).predict(volume, probabilities=True)
    np.testing.assert_allclose(found.probabilities, whole(model, volume), atol=1e-5)
    settings = {"window": (33, 33, 33), "overlap": 0.25, "scales": (1.0, 0.9)}
    assert predictor(model, **settings).predict(volume[..., 0]).semantic.shape == (34, 40, 36)


def test_files_and_arrays_give_the_same(tiny_model, tmp_path):
    picture = image(40, 44)
    path = tmp_path / "ein Bild ü.png"
    path.write_bytes(cv2.imencode(".png", picture[..., ::-1])[1].tobytes())
    model = predictor(tiny_model())
    found = model.predict(path)
    assert found.name == "ein Bild ü"
    np.testing.assert_array_equal(found.semantic, model.predict(picture).semantic)
    np.testing.assert_array_equal(found.semantic, model.predict(str(path)).semantic)


def test_unusual_arrays_are_taken(tiny_model):
    model, picture = predictor(tiny_model()), image(40, 44)
    expected = model.predict(picture).semantic
    locked = picture.copy()
    locked.flags.writeable = False
    for given in (locked, picture[..., ::-1][..., ::-1], picture.astype(">u2"), picture.astype(np.float64)):
        np.testing.assert_array_equal(model.predict(given).semantic, expected)


def test_the_models_mode_is_left_as_it_was(tiny_model):
    model = tiny_model().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    predictor(model).predict(image(40, 40))
    assert model.training and model.network.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_huge_image_slides_by_itself(tiny_model, monkeypatch):
    monkeypatch.setattr(view_rules, "WHOLE_IMAGE_PIXELS", 64 * 64)
    sizes = []
    model = tiny_model()
    model.network.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].shape[2:]))
    assert predictor(model).predict(image(1100, 80)).semantic.shape == (1100, 80)
    assert set(sizes) == {torch.Size((1024, 1024))} and len(sizes) == 2


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        ),
        MemoryError(),
    ],
)
def test_memory_that_runs_out_is_a_message(tiny_model, monkeypatch, error):
    model = predictor(tiny_model())

    def run_out(*_):
        raise error

    monkeypatch.setattr(model.model, "forward", run_out)
    with pytest.raises(DataError, match=r"(?s)does not fit.*40 x 40.*--window"):
        model.predict(image(40, 40))


def test_an_error_of_the_network_is_not_hidden(tiny_model, monkeypatch):
    model = predictor(tiny_model())

    def fail(*_):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(model.model, "forward", fail)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        model.predict(image(40, 40))


def test_settings_that_cannot_be(tiny_model):
    with pytest.raises(ConfigError, match="window needs 2 sizes"):
        predictor(tiny_model(), window=(64,))
    with pytest.raises(ConfigError, match="'cuda:77'|'nowhere'"):
        Predictor(tiny_model(), device="nowhere")
    with pytest.raises(ConfigError, match="no precision named 'int4'"):
        Predictor(tiny_model(), device="cpu", precision="int4").predict(image(40, 40))


def test_bfloat16_is_close_to_float32(tiny_model):
    model, picture = tiny_model(), image(64, 64)
    found = Predictor(model, device="cpu", precision="bfloat16").predict(picture, probabilities=True)
    assert found.probabilities.dtype == np.float32
    np.testing.assert_allclose(found.probabilities, whole(model, picture), atol=0.05)


def test_a_resized_image_gives_results_of_its_own_size(tiny_model):
    image = np.random.default_rng(3).integers(0, 256, (60, 91, 3), dtype=np.uint8)
    model = tiny_model(resize={"shortest": 120, "multiple": 32})
    prediction = Predictor(model, device="cpu").predict(image, probabilities=True)
    assert prediction.semantic.shape == (60, 91) and prediction.probabilities.shape == (2, 60, 91)
    # By hand: 120 / 60 = 2, so 120 x 182, stretched to 128 x 192.
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    seen = torch.nn.functional.interpolate(pixels, (128, 192), mode="bilinear", antialias=True)
    with torch.no_grad():
        logits = model(seen).logits
    back = torch.nn.functional.interpolate(logits, (60, 91), mode="bilinear")[0].softmax(0).numpy()
    np.testing.assert_allclose(prediction.probabilities, back, atol=1e-5)
    plain = Predictor(model, device="cpu").predict(image)
    np.testing.assert_array_equal(plain.semantic, back.argmax(0))


def trained_at(model, resize):
    """The model, whose training images were resized."""
    plan = model.plan
    model.plan = plan.model_copy(update={"input": plan.input.model_copy(update={"resize": resize})})
    return model


def test_prediction_resizes_as_training_did_unless_it_is_told_otherwise(tiny_model):
    picture, half = image(80, 120), ResizePlan(shortest=40)
    expected = predictor(tiny_model(resize=half)).predict(picture, probabilities=True)
    model = trained_at(tiny_model(), half)
    found = predictor(model).predict(picture, probabilities=True)
    assert found.semantic.shape == (80, 120)
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)
    same_size = predictor(model, resize=ResizePlan()).predict(picture, probabilities=True)
    np.testing.assert_allclose(same_size.probabilities, whole(model, picture), atol=1e-5)


def test_windows_slide_over_the_resized_image(tiny_model):
    """In plain torch: resize to 60 x 90, the network on windows of 60 x 90 (one), back to 120 x 180."""
    model, picture, half = tiny_model(), image(120, 180), ResizePlan(shortest=60)
    one = predictor(model, resize=half).predict(picture, probabilities=True)
    exact = predictor(model, resize=half, window=(60, 90)).predict(picture, probabilities=True)
    np.testing.assert_allclose(exact.probabilities, one.probabilities, atol=1e-5)
    several = predictor(model, resize=half, window=(40, 40), overlap=0.5)
    found = several.predict(picture, probabilities=True)
    assert found.probabilities.shape == (2, 120, 180)
    np.testing.assert_allclose(found.probabilities.sum(0), 1, atol=1e-5)
    assert np.abs(found.probabilities - one.probabilities).mean() < 0.02
    labels = several.predict(picture).semantic
    sure = np.abs(found.probabilities[0] - 0.5) > 1e-4
    np.testing.assert_array_equal(labels[sure], found.probabilities.argmax(0)[sure])


def test_a_shared_machine_gets_fewer_threads(tiny_model, monkeypatch):
    asked = []
    monkeypatch.setattr(ThreadCount, "follow", lambda self: asked.append(self.count))
    alone, shared = predictor(tiny_model()), predictor(tiny_model())
    shared.share_cores()
    for one in (alone, shared):
        one.predict(image(40, 40))
    assert len(asked) == 1


def test_objects_of_queries_are_found_in_windows(tiny_plan):
    """A window of the whole image finds what the image as a whole has; smaller ones run."""
    options = {"backbone": "resnet18_width16", "channels": 16, "heads": 4, "num_queries": 5}
    options |= {"pixel_layers": 1, "pixel_feedforward": 16, "decoder_layers": 2, "decoder_feedforward": 16}
    plan = tiny_plan()
    network = plan.network.model_copy(update={"name": "mask2former", "options": options})
    loss = LossPlan(terms=(LossTerm(name="segment_set"),))
    plan = plan.model_copy(update={"task": "instance", "network": network, "loss": loss})
    torch.manual_seed(0)
    model = Model.from_plan(plan).eval()
    picture = image(96, 128)
    expected = predictor(model).predict(picture)
    one = predictor(model, window=(96, 128)).predict(picture)
    np.testing.assert_array_equal(one.masks, expected.masks)
    np.testing.assert_array_equal(one.scores, expected.scores)
    several = predictor(model, window=(64, 64)).predict(picture)
    assert several.masks.shape[1:] == (96, 128) and (np.diff(several.scores) <= 0).all()


def test_a_faster_copy_follows_the_weights(tiny_model):
    model, picture = tiny_model(), image(40, 50)
    plain, faster = predictor(model), predictor(model)
    faster.speed_up()

    def chances(of):
        return of.predict(picture, probabilities=True).probabilities

    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_()
    np.testing.assert_allclose(chances(faster), chances(plain), atol=1e-5)
    before = chances(plain)
    with torch.no_grad():
        next(model.network.parameters()).mul_(3)
    assert abs(chances(plain) - before).max() > 1e-3
    np.testing.assert_allclose(chances(faster), chances(plain), atol=1e-5)
    assert faster.weights_hash == plain.weights_hash
