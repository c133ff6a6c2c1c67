"""Films through volumes: which slices in which order, and files that other programs read."""

import io

import numpy as np
from PIL import Image, ImageSequence

from limner.core.labels import LabelClass, LabelTable, distinct_color
from limner.drawing.animation import MOST_FRAMES, animation_frames, encode_gif
from limner.drawing.colors import class_colors

TABLE = LabelTable((LabelClass("background", (0,), (0, 0, 0)), LabelClass("organ", (1,), (255, 0, 0))))


def frames(volume, **options):
    labels = (volume[..., 0] > 250).astype(np.uint8)
    return [*animation_frames(volume, labels, TABLE, **options)]


def rising(depth):
    """A volume whose slices are brighter the later they are stored."""
    volume = np.zeros((depth, 12, 16, 1), np.float32)
    volume[:] = np.linspace(0, 200, depth)[:, None, None, None]
    return volume


def test_slices_follow_each_other():
    shown = frames(rising(5))
    assert len(shown) == 5 and len({frame.shape for frame in shown}) == 1
    brightness = [float(frame.mean()) for frame in shown]
    assert brightness == sorted(brightness)


def test_pixels_are_square():
    """Rows 3 mm apart are drawn three times as high as they are stored."""
    shown = [frames(rising(2), spacing_mm=(1.0, step, 1.0))[0] for step in (1.0, 3.0)]
    heights = [picture.shape[0] for picture in shown]
    widths = [picture.shape[1] for picture in shown]
    assert heights[0] < heights[1] and widths[0] > widths[1]


def test_truth_is_beside_the_prediction_and_long_volumes_are_thinned():
    volume = rising(3 * MOST_FRAMES)
    plain = frames(volume)
    assert len(plain) == MOST_FRAMES
    with_truth = frames(volume[:2], truth=np.zeros((2, 12, 16), np.uint8))
    assert with_truth[0].shape[1] > 1.4 * plain[0].shape[1]


def test_a_gif_has_all_frames_and_repeats():
    shown = frames(rising(4))
    gif = Image.open(io.BytesIO(encode_gif(iter(shown), TABLE)))
    assert gif.n_frames == 4 and gif.info["loop"] == 0 and gif.info["duration"] == 120
    for frame, picture in zip(ImageSequence.Iterator(gif), shown, strict=True):
        difference = np.abs(np.asarray(frame.convert("RGB")).astype(int) - picture)
        assert np.percentile(difference, 99) <= 8  # 256 colours


def test_classes_keep_their_colours_in_a_gif():
    """Twenty colours beside greys and blends: the legend has told two classes by one colour."""
    colors = [(0, 0, 0), *(distinct_color(index) for index in range(1, 20))]
    table = LabelTable(tuple(LabelClass(f"class {i}", (i,), color) for i, color in enumerate(colors)))
    volume = np.random.default_rng(0).normal(100, 30, (6, 40, 40, 1)).astype(np.float32)
    labels = np.zeros((6, 40, 40), np.uint8)
    for index in range(20):
        labels[:, 2 * index : 2 * index + 2] = index
    shown = [*animation_frames(volume, labels, table)]
    gif = Image.open(io.BytesIO(encode_gif(iter(shown), table)))
    found = {tuple(color) for color in np.asarray(gif.convert("RGB")).reshape(-1, 3).tolist()}
    drawn = {tuple(color) for color in shown[0].reshape(-1, 3).tolist()}
    assert len(drawn & {*colors}) > 15
    assert drawn & {*class_colors(table).values()} <= found
