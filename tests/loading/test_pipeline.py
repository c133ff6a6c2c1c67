import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.core.augment_plan import AugmentPlan
from limner.core.errors import ConfigError, DataError
from limner.core.label_map import LabelMap
from limner.core.plan import InputPlan
from limner.core.randomness import generator
from limner.core.sample import Sample
from limner.loading.pipeline import build_pipeline
from limner.transforms.fit_channels import FitChannels
from limner.transforms.flip import Flip
from limner.transforms.jpeg_compression import JpegCompression
from limner.transforms.keep_zeros import KeepZeros
from limner.transforms.photometric import Photometric
from limner.transforms.quarter_turn import QuarterTurn
from limner.transforms.random_changes import RandomChanges
from limner.transforms.rotate import Rotate
from limner.transforms.scale_crop import ScaleCrop
from limner.transforms.value_changes import ValueChanges


def input_plan(channels, crop_size):
    return InputPlan(
        spatial_dims=len(crop_size),
        channels=channels,
        crop_size=crop_size,
        mean=tuple(range(10, 10 + channels)),
        std=(1,) * channels,
    )


def sample_of(shape, channels, dtype=np.uint8, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*shape, channels)).astype(dtype)
    return Sample("x", image, (LabelMap(rng.integers(0, 3, shape, dtype=np.uint8)),))


@settings(max_examples=60, deadline=None)
@given(
    channels=st.sampled_from([1, 3, 5, 12]),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float32]),
    volume=st.booleans(),
    square=st.booleans(),
    seed=st.integers(0, 9999),
)
def test_what_was_recorded_replays_byte_for_byte(channels, dtype, volume, square, seed):
    crop = ((8,) if volume else ()) + (20, 20 if square else 24)
    augment = AugmentPlan(
        scale=(0.5, 2.0),
        flip_axes=tuple(range(len(crop))),
        quarter_turns=True,
        category_max_ratio=1.0 if volume else 0.5,
        foreground_probability=0.5,
        rotation=30,
        affine_probability=0.5,
        jpeg=30 if dtype == np.uint8 and channels in (1, 3) and not volume else None,
        **{"gamma": (0.7, 1.5), "noise": 0.1, "blur": 1, "low_resolution": 0.5},
    )
    plan = input_plan(channels, crop)
    pipeline = build_pipeline(augment, plan, _labels())
    sample = sample_of((10, 30, 40) if volume else (30, 40), channels, dtype, seed)
    before = sample.image.copy(), sample.get(LabelMap).labels.copy()
    out, params = pipeline.record(sample, generator(seed, "augment"))
    again = pipeline.steps(sample, params)[-1]
    assert np.array_equal(out.image, again.image)
    assert np.array_equal(out.get(LabelMap).labels, again.get(LabelMap).labels)
    called = pipeline(sample, generator(seed, "augment"))
    assert np.array_equal(out.image, called.image)
    assert out.image.shape == (*crop, channels)
    assert out.image.dtype == dtype
    assert set(np.unique(out.get(LabelMap).labels)) <= {0, 1, 2, 255}
    assert np.array_equal(before[0], sample.image)
    assert np.array_equal(before[1], sample.get(LabelMap).labels)


def _labels():
    from limner.core.labels import LabelClass, LabelTable

    return LabelTable(tuple(LabelClass(n, (i,), (0, 0, i)) for i, n in enumerate(["Background", "a", "b"])))


def test_the_plan_is_followed():
    augment = AugmentPlan(
        scale=(0.8, 1.2),
        flip_axes=(0,),
        quarter_turns=True,
        brightness=0.1,
        contrast=0.2,
        saturation=0.3,
        hue=0.04,
        category_max_ratio=0.7,
        foreground_probability=0.6,
    )
    wanted = input_plan(3, (16, 16))
    pipeline = build_pipeline(augment, wanted, _labels())
    assert pipeline.transforms == (
        FitChannels(wanted),
        ScaleCrop((16, 16), (0.8, 1.2), (10, 11, 12), 0.7, 0.6, background=0),
        Flip((0,)),
        QuarterTurn(),
        Photometric(0.1, 0.2, 0.3, 0.04),
    )


def test_settings_of_images_are_refused_for_volumes():
    values = {
        "category_max_ratio": 0.75,
        "random_changes": 2,
        "scale_of": "fit",
        "jpeg": 30,
        "cut_first": 0.5,
    }
    for key, value in values.items():
        with pytest.raises(ConfigError, match=f"augment.{key} is for 2D images; set it to"):
            build_pipeline(AugmentPlan(**{key: value}), input_plan(1, (8, 8, 8)), _labels())


def test_settings_of_volumes_are_refused_for_images():
    with pytest.raises(ConfigError, match="augment.thick_axis is for volumes in 3D; set it to null"):
        build_pipeline(AugmentPlan(thick_axis=0), input_plan(3, (8, 8)), _labels())


@pytest.mark.parametrize(("key", "value"), [("rotation", 10), ("elastic", 4.0)])
def test_whole_volumes_are_neither_rotated_nor_deformed(key, value):
    augment = AugmentPlan(crop_area=(0.5, 1.0), **{key: value})
    with pytest.raises(ConfigError, match=f"augment.{key} is for images and patches.*0.0 for whole volumes"):
        build_pipeline(augment, input_plan(1, (8, 8, 8)), _labels())


@pytest.mark.parametrize("axes", [(2,), (1, 1)])
def test_axes_that_an_image_lacks_are_not_mirrored(axes):
    with pytest.raises(
        ConfigError, match=r"flip_axes are 0 \(up-down\) and 1 \(left-right\), each once; found"
    ):
        build_pipeline(AugmentPlan(flip_axes=axes), input_plan(3, (8, 8)), _labels())


def test_what_is_switched_off_is_left_out():
    augment = AugmentPlan(flip_axes=(), brightness=0, contrast=0, saturation=0, hue=0)
    pipeline = build_pipeline(augment, input_plan(3, (16, 16)), _labels())
    assert [type(t) for t in pipeline.transforms] == [FitChannels, ScaleCrop]


def test_grey_images_are_given_the_channels_of_colour_ones_and_others_are_named():
    pipeline = build_pipeline(AugmentPlan(saturation=0, hue=0), input_plan(3, (16, 16)), _labels())
    image = pipeline(sample_of((20, 20), 1), generator(0, "a")).image
    assert image.shape == (16, 16, 3)
    assert (image == image[..., :1]).all()
    with pytest.raises(DataError, match="does not have the channels that the network expects: x"):
        pipeline(sample_of((20, 20), 5), generator(0, "a"))


VALUES = {"gamma": (0.7, 1.5), "noise": 0.1, "blur": 1.0, "low_resolution": 0.5}


def test_slices_are_rotated_before_the_crop_and_changed_as_patches_are():
    augment = AugmentPlan(
        **{"rotation": 30, "affine_probability": 0.2, "scale": (0.7, 1.4), "flip_axes": ()},
        **{"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0},
        **VALUES,
    )
    wanted = input_plan(1, (16, 16)).model_copy(update={"slice_axis": 0})
    changes = ValueChanges(**VALUES, mean=(10,), std=(1,))
    assert build_pipeline(augment, wanted, _labels()).transforms == (
        FitChannels(wanted),
        Rotate(30, (10,), 0.2, in_space=True),
        ScaleCrop((16, 16), (0.7, 1.4), (10,), background=0, probability=0.2),
        changes,
    )
    patches = build_pipeline(augment, input_plan(1, (16, 16, 16)), _labels())
    assert patches.transforms[-1] == changes


@pytest.mark.parametrize(
    ("channels", "more", "by_channel"),
    [
        (3, {}, False),
        (1, {}, True),
        (5, {}, True),
        (3, {"slice_axis": 0}, True),
        (3, {"slice_axis": 0, "slice_neighbours": 1}, False),
    ],
)
def test_colours_and_neighbouring_slices_are_blurred_alike(channels, more, by_channel):
    wanted = input_plan(channels, (16, 16)).model_copy(update=more)
    changes = build_pipeline(AugmentPlan(blur=1.0), wanted, _labels()).transforms[-1]
    assert changes == ValueChanges(blur=1.0, mean=wanted.mean, std=wanted.std, by_channel=by_channel)


def test_zeros_around_a_body_stay_in_slices_too():
    wanted = input_plan(1, (16, 16)).model_copy(update={"normalize_over": "nonzero", "slice_axis": 0})
    changes = build_pipeline(AugmentPlan(noise=0.1), wanted, _labels()).transforms[-1]
    assert isinstance(changes, KeepZeros) and isinstance(changes.changes, ValueChanges)


def test_jpeg_comes_last():
    augment = AugmentPlan(noise=0.1, random_changes=1, jpeg=40)
    kinds = build_pipeline(augment, input_plan(3, (16, 16)), _labels()).transforms[-4:]
    assert [type(kind) for kind in kinds] == [Photometric, ValueChanges, RandomChanges, JpegCompression]
