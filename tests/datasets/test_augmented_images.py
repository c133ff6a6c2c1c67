import numpy as np

from limner.core.labels import LabelClass, LabelTable
from limner.core.sample import Sample
from limner.datasets.augmented_images import AugmentedImage
from limner.drawing.display import tones_of

LABELS = LabelTable((LabelClass("background", (0,), (0, 0, 0)), LabelClass("cell", (1,), (255, 0, 0))))


def test_the_steps_of_an_image_share_the_tones_of_the_original():
    ramp = np.repeat(np.linspace(0, 4000, 64 * 64).reshape(64, 64, 1), 3, -1).astype(np.uint16)
    darker = (ramp // 2).astype(np.uint16)
    steps = (("original", Sample("a", ramp)), ("darker", Sample("a", darker)))
    row = AugmentedImage(0, "a", steps, tones_of(ramp)).row(LABELS, side=64)
    first, second = (panel.picture.astype(int) for panel in row.panels)
    assert first.max() > 250
    np.testing.assert_allclose(second, first / 2, atol=2)


def test_a_dark_tile_of_a_bright_picture_stays_dark():
    bright = np.full((32, 32, 3), 200, np.uint8)
    dark = np.full((32, 32, 3), 20, np.uint8)
    dark[:16] = 30
    steps = (("original", Sample("a", bright)), ("as trained", Sample("a", dark)))
    _, second = AugmentedImage(0, "a", steps, tones_of(bright)).row(LABELS, side=32).panels
    np.testing.assert_array_equal(second.picture, dark)
