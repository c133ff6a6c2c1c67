import numpy as np
import pytest

from limner.core.boxes import Boxes
from limner.core.plan import ResizePlan
from limner.core.sample import Sample
from limner.transforms.part_cut import PartCut
from limner.transforms.scale_crop import CropParams, ScaleCrop


def sample_of(height, width, boxes=()):
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    nothing = np.zeros(len(xyxy), bool)
    target = Boxes(xyxy, np.zeros(len(xyxy), np.int64), nothing, nothing, (height, width))
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows % 256, columns % 256, rows // 256], -1).astype(np.uint8)
    return Sample("a", image, (target,))


@pytest.mark.parametrize(
    ("shape", "heights", "widths"),
    [
        # Measured with a height of 400, 500 or 600, at zooms of 0.5 to 0.75; the width is then 600 to 900.
        # The smallest part is 384 / 0.75 = 512 pixels of the file, the largest 600 / 0.5 = 1200, if there.
        ((800, 1200), (512, 800), (512, 1200)),
        # A small image is measured enlarged, by 4 to 6: parts of 384 / 6 = 64 to 100 of 100 pixels.
        ((100, 100), (64, 100), (64, 100)),
    ],
)
def test_parts_are_as_large_as_in_the_paper(shape, heights, widths):
    sample, rng = sample_of(*shape), np.random.default_rng(0)
    drawn = [PartCut(1.0).draw(rng, sample) for _ in range(3000)]
    found = np.array([params.window for params in drawn])
    for sides, (low, high) in zip(found.T, (heights, widths), strict=True):
        assert low <= sides.min() <= 1.02 * low and 0.98 * high <= sides.max() <= high
    ends = found + [params.start for params in drawn]
    assert (np.array([params.start for params in drawn]) >= 0).all() and (ends <= shape).all()


def test_a_fraction_of_the_images_is_cut_and_the_others_stay_as_they_are():
    sample, rng = sample_of(800, 1200), np.random.default_rng(0)
    drawn = [PartCut(0.5).draw(rng, sample) for _ in range(1000)]
    whole = [params for params in drawn if params.window == (800, 1200)]
    assert 450 < len(whole) < 550
    assert PartCut(0.5).apply(sample, whole[0]) is sample


def test_pixels_and_boxes_of_the_part_are_those_of_the_image():
    boxes = [(30, 40, 50, 60), (90, 40, 110, 60), (0, 0, 9, 9), (99, 40, 119, 60)]
    sample = sample_of(120, 160, boxes)
    cut = PartCut(1.0).apply(sample, CropParams((20, 10), (80, 90)))  # rows 20 to 100, columns 10 to 100
    np.testing.assert_array_equal(cut.image, sample.image[20:100, 10:100])
    found = cut.get(Boxes)
    # Half of the second is inside, nothing of the third, and a twentieth of the last, which is ignored.
    np.testing.assert_array_equal(found.xyxy, [(20, 20, 40, 40), (80, 20, 90, 40), (89, 20, 90, 40)])
    assert found.is_ignored.tolist() == [False, False, True]


def test_the_policy_of_two_branches_shows_shorter_sides_of_480_to_800_pixels():
    """Whole images and parts both: the boxes around all of what is shown say how large it became."""
    crop = ScaleCrop(size=(1344, 1344), scale=(0.6, 1.0), resize=ResizePlan(shortest=800, longest=1333))
    cut, rng, shorter = PartCut(0.5), np.random.default_rng(0), []
    sample = sample_of(480, 640, [(0, 0, 640, 480)])
    for _ in range(40):
        part = cut.apply(sample, cut.draw(rng, sample))
        shown = crop.apply(part, crop.draw(rng, part)).get(Boxes).xyxy[0]
        height, width = shown[3] - shown[1], shown[2] - shown[0]
        shorter.append(min(height, width))
        assert max(height, width) <= 1334
        ratios = width / height, part.image.shape[1] / part.image.shape[0]
        assert ratios[0] == pytest.approx(ratios[1], abs=0.01)
    assert 475 < min(shorter) < 560 and 720 < max(shorter) <= 801
