import pytest

from limner.core.plan import InputPlan, ResizePlan
from limner.transforms.reduced_size import ReducedSize, reduced_size


@pytest.mark.parametrize(
    ("shape", "resize", "factor"),
    [
        ((3000, 4000), {"shortest": 512}, 2),  # 1500 >= 2 * 512, but 750 is not
        ((3000, 4000), {"shortest": 256}, 4),  # 750 >= 2 * 256, but 375 is not
        ((3000, 4000), {"shortest": 128}, 8),
        ((3000, 4000), {"shortest": 750}, 2),  # 1500 is twice 750, exactly
        ((3000, 4000), {"shortest": 751}, 1),
        ((3000, 4000), {"size": (128, 1500)}, 1),  # the width is what needs more
        ((3000, 4000), {"zoom": 0.1}, 4),  # to 300 x 400, of which 375 x 500 is not twice
        ((3001, 4000), {"shortest": 128}, 1),  # rows would be left over
        ((3002, 4000), {"shortest": 128}, 2),
        ((3000, 4004), {"shortest": 128}, 4),
    ],
)
def test_the_decoded_image_is_at_least_twice_what_is_needed(shape, resize, factor):
    assert ReducedSize(ResizePlan(**resize))(*shape) == factor


def test_models_without_the_setting_see_every_pixel():
    plan = InputPlan(channels=3, crop_size=(64, 64), mean=(0.0,) * 3, std=(1.0,) * 3)
    assert "reduced_decoding" not in plan.model_dump()
    reduced = plan.model_copy(update={"reduced_decoding": True})
    small = ResizePlan(shortest=64)
    assert reduced_size(plan, small) is None
    assert reduced_size(reduced, small) == ReducedSize(small)
    assert reduced_size(reduced, None) is None and reduced_size(reduced, ResizePlan()) is None


def test_images_that_are_changed_before_they_are_resized_are_refused():
    values = {"channels": 1, "crop_size": (64, 64), "mean": (0.0,), "std": (1.0,), "reduced_decoding": True}
    for other in ({"normalize_each": True}, {"clip": ((0.0, 1.0),)}, {"slice_axis": 0}):
        with pytest.raises(ValueError, match="reduced_decoding is for 2D images"):
            InputPlan(**values, **other)
