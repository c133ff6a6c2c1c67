import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.core.label_map import LabelMap
from limner.core.plan import ResizePlan
from limner.core.randomness import generator
from limner.core.sample import Sample
from limner.core.words import Words
from limner.transforms.scale_crop import CropParams, ScaleCrop


def smooth_sample(shape, channels=3, seed=0):
    """A blurred image, whose values change little from pixel to pixel, and blocky labels."""
    rng = np.random.default_rng(seed)
    image = cv2.GaussianBlur(rng.integers(0, 256, (*shape, min(channels, 4)), dtype=np.uint8), (0, 0), 3)
    image = image.reshape(*shape, -1)
    image = np.concatenate([image] * (channels // image.shape[-1] + 1), axis=-1)[..., :channels]
    labels = rng.integers(0, 4, (shape[0] // 8 + 1, shape[1] // 8 + 1), dtype=np.uint8)
    return Sample("x", image, (LabelMap(labels.repeat(8, 0).repeat(8, 1)[: shape[0], : shape[1]]),))


@pytest.mark.parametrize("channels", [1, 3, 5, 12])
@pytest.mark.parametrize("window", [(32, 48), (64, 96), (16, 24), (45, 67)])
def test_is_resizing_the_whole_image_and_then_cropping(window, channels):
    sample = smooth_sample((120, 160), channels)
    crop = ScaleCrop(size=(32, 48))
    start = (21, 30)
    ours = crop.apply(sample, CropParams(start, window))
    # The naive way, at the same zoom, cropped at the pixel where the window begins.
    zoom_y, zoom_x = 32 / window[0], 48 / window[1]
    whole = np.stack(
        [
            cv2.resize(sample.image[..., c], (round(160 * zoom_x), round(120 * zoom_y)))
            for c in range(channels)
        ],
        axis=-1,
    )
    y, x = round(start[0] * zoom_y), round(start[1] * zoom_x)
    naive = whole[y : y + 32, x : x + 48].astype(int)
    # The naive start is rounded to a whole output pixel, so compare up to half a pixel of a smooth image.
    assert np.abs(ours.image.astype(int) - naive).mean() < 2.5
    assert ours.image.shape == (32, 48, channels)


def test_no_zoom_is_a_plain_slice():
    sample = smooth_sample((60, 70))
    ours = ScaleCrop(size=(32, 48)).apply(sample, CropParams((7, 9), (32, 48)))
    assert np.array_equal(ours.image, sample.image[7:39, 9:57])
    assert np.array_equal(ours.get(LabelMap).labels, sample.get(LabelMap).labels[7:39, 9:57])


def test_image_and_labels_stay_together():
    # The image shows its own labels, 0 or 200: an interpolated pixel lies nearer to the label it shows most.
    labels = (smooth_sample((90, 110)).get(LabelMap).labels > 1).astype(np.uint8)
    sample = Sample("x", (labels * 200)[..., None], (LabelMap(labels),))
    crop = ScaleCrop(size=(40, 50), scale=(0.5, 2.0))
    for i in range(50):
        rng = generator(0, "crop", i)
        out = crop.apply(sample, crop.draw(rng, sample))
        inside = out.get(LabelMap).labels != 255
        agree = np.abs(out.image[..., 0].astype(int) - out.get(LabelMap).labels * 200.0) <= 101
        assert agree[inside].mean() > 0.99


def test_a_small_image_is_padded_with_fill_and_ignored():
    sample = Sample("x", np.full((4, 6, 3), 9, np.uint8), (LabelMap(np.ones((4, 6), np.uint8)),))
    crop = ScaleCrop(size=(8, 8), fill=(10.4, 20.6, 300))
    out = crop.apply(sample, CropParams((-1, -2), (8, 8)))
    inside = np.zeros((8, 8), bool)
    inside[1:5, 2:8] = True
    assert (out.get(LabelMap).labels[inside] == 1).all()
    assert (out.get(LabelMap).labels[~inside] == 255).all()
    assert (out.image[inside] == 9).all()
    # 10.4 and 20.6 rounded, 300 kept within uint8.
    assert (out.image[~inside] == [10, 21, 255]).all()


@settings(max_examples=150, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    scale=st.floats(0.2, 4),
    channels=st.sampled_from([1, 3, 5, 12]),
    seed=st.integers(0, 9999),
)
def test_any_size_gives_the_crop_and_invents_no_label(shape, size, scale, channels, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 200, (*shape, channels), dtype=np.uint8)
    sample = Sample("x", image, (LabelMap(rng.choice(np.array([0, 5, 255], np.uint8), shape)),))
    crop = ScaleCrop(size=size, scale=(scale, scale), fill=220.0, foreground_probability=0.3)
    params = crop.draw(rng, sample)
    out = crop.apply(sample, params)
    assert out.image.shape == (*size, channels)
    assert set(np.unique(out.get(LabelMap).labels)) <= set(np.unique(sample.get(LabelMap).labels)) | {255}
    again = crop.apply(sample, params)
    assert np.array_equal(out.image, again.image)
    assert np.array_equal(out.get(LabelMap).labels, again.get(LabelMap).labels)
    # Nothing is padded along an axis where the window fits.
    if all(w <= s for w, s in zip(params.window, shape, strict=True)):
        assert (out.image < 220).all()


def test_every_place_can_be_drawn_and_none_outside():
    sample = Sample("x", np.zeros((10, 12, 1), np.uint8), (LabelMap(np.zeros((10, 12), np.uint8)),))
    crop = ScaleCrop(size=(8, 8))
    starts = {crop.draw(generator(0, "c", i), sample).start for i in range(400)}
    assert starts == {(y, x) for y in range(3) for x in range(5)}


def test_zoom_is_even_between_its_bounds():
    sample = Sample("x", np.zeros((10, 10, 1), np.uint8))
    crop = ScaleCrop(size=(1000, 1000), scale=(0.5, 2.0))
    zooms = [1000 / crop.draw(generator(0, "c", i), sample).window[0] for i in range(3000)]
    assert 0.5 <= min(zooms) < 0.505
    assert 1.995 < max(zooms) <= 2.001
    # The mean of an even draw from 0.5 to 2 is 1.25; its standard error here is 0.008.
    assert np.mean(zooms) == pytest.approx(1.25, abs=0.04)


def test_largest_share_by_hand():
    labels = np.array([[0, 0, 0, 1], [0, 0, 1, 1], [255, 255, 2, 1]], np.uint8)
    # 10 labelled pixels: five 0, four 1, one 2.
    assert LabelMap(labels).largest_share((0, 0), (3, 4)) == pytest.approx(0.5)
    # Rows 1..2, columns 2..3: 1 1 / 2 1.
    assert LabelMap(labels).largest_share((1, 2), (2, 2)) == pytest.approx(0.75)
    assert LabelMap(labels).largest_share((2, 0), (1, 2)) == 1


def test_crops_of_one_class_are_avoided():
    # Class 1 fills a 20 x 20 corner of 100 x 100; a 40 x 40 crop avoids it in most places.
    labels = np.zeros((100, 100), np.uint8)
    labels[:20, :20] = 1
    sample = Sample("x", np.zeros((100, 100, 1), np.uint8), (LabelMap(labels),))

    def mixed(ratio):
        crop = ScaleCrop(size=(40, 40), category_max_ratio=ratio)
        draws = [crop.draw(generator(0, "c", i), sample) for i in range(400)]
        return np.mean([LabelMap(labels).largest_share(p.start, p.window) <= 0.95 for p in draws])

    # A start (y, x) in 0..60 shows at least 5 % = 80 of class 1 where (20 - y)(20 - x) >= 80: about 6 %.
    # Ten draws then find one with probability 1 - 0.94 ** 10 = 46 %.
    assert mixed(1.0) == pytest.approx(0.06, abs=0.04)
    assert mixed(0.95) == pytest.approx(0.46, abs=0.1)


def test_foreground_crops_hold_a_rare_class_drawn_evenly():
    # Background 0; class 1 is large; classes 2 and 3 are single pixels far apart.
    labels = np.zeros((200, 200), np.uint8)
    labels[50:150, 50:150] = 1
    labels[10, 20], labels[190, 170] = 2, 3
    sample = Sample("x", np.zeros((200, 200, 1), np.uint8), (LabelMap(labels),))
    crop = ScaleCrop(size=(32, 32), foreground_probability=1.0, background=0)
    shown = []
    for i in range(600):
        out = crop.apply(sample, crop.draw(generator(0, "c", i), sample))
        shown.append(tuple(np.intersect1d(out.get(LabelMap).labels, [2, 3])))
    # Mean count of the foreground classes is 3334: only 2 and 3 are rarer. 300 each, sd 12.
    assert set(shown) == {(2,), (3,)}
    assert shown.count((2,)) == pytest.approx(300, abs=60)


def test_foreground_probability_is_kept():
    labels = np.zeros((400, 400), np.uint8)
    labels[200, 200] = 1
    sample = Sample("x", np.zeros((400, 400, 1), np.uint8), (LabelMap(labels),))
    crop = ScaleCrop(size=(16, 16), foreground_probability=0.25, background=0)
    centred = [crop.draw(generator(0, "c", i), sample).start == (192, 192) for i in range(2000)]
    assert sum(centred) == pytest.approx(500, abs=100)


def test_the_pixel_of_a_class_is_drawn_evenly():
    labels = np.zeros((5, 5), np.uint8)
    labels[0, 1] = labels[2, 3] = labels[4, 4] = 1
    drawn = [LabelMap(labels).foreground_pixel(generator(0, "p", i), 0) for i in range(900)]
    for pixel in [(0, 1), (2, 3), (4, 4)]:
        assert drawn.count(pixel) == pytest.approx(300, abs=75)


def test_without_a_background_class_the_largest_counts_as_one():
    labels = np.full((5, 5), 3, np.uint8)
    labels[1, 2] = 0
    assert LabelMap(labels).foreground_pixel(generator(0, "p"), None) == (1, 2)
    assert LabelMap(np.full((5, 5), 3, np.uint8)).foreground_pixel(generator(0, "p"), None) is None
    assert LabelMap(np.full((5, 5), 255, np.uint8)).foreground_pixel(generator(0, "p"), 0) is None


def test_volumes_crop_zoom_and_pad():
    rng = np.random.default_rng(0)
    volume = Sample(
        "x",
        rng.normal(size=(12, 20, 20, 2)).astype(np.float32),
        (LabelMap(rng.integers(0, 3, (12, 20, 20), dtype=np.uint8)),),
        (3.0, 1.0, 1.0),
    )
    plain = ScaleCrop(size=(8, 16, 16)).apply(volume, CropParams((2, 1, 3), (8, 16, 16)))
    assert np.array_equal(plain.image, volume.image[2:10, 1:17, 3:19])
    assert plain.spacing_mm == (3.0, 1.0, 1.0)
    # Twice as large: 4 x 8 x 8 source voxels fill the crop, each half the spacing.
    zoomed = ScaleCrop(size=(8, 16, 16)).apply(volume, CropParams((0, 0, 0), (4, 8, 8)))
    assert zoomed.image.shape == (8, 16, 16, 2)
    assert np.array_equal(zoomed.get(LabelMap).labels[::2, ::2, ::2], volume.get(LabelMap).labels[:4, :8, :8])
    assert zoomed.spacing_mm == (1.5, 0.5, 0.5)
    crop = ScaleCrop(size=(16, 16, 16), foreground_probability=0.5, category_max_ratio=0.9)
    padded = crop.apply(volume, crop.draw(generator(0, "c"), volume))
    assert padded.image.shape == (16, 16, 16, 2)
    assert (padded.get(LabelMap).labels == 255).any()


def test_only_the_window_is_read():
    # An array that counts what is taken from it stands for a memory map.
    class Watched(np.ndarray):
        def __getitem__(self, key):
            part = super().__getitem__(key)
            if part.ndim == 3:
                taken.append(part.shape)
            return part

    taken = []
    sample = smooth_sample((400, 600))
    watched = Sample("x", sample.image.view(Watched), sample.targets)
    ScaleCrop(size=(32, 32)).apply(watched, CropParams((100, 200), (64, 64)))
    assert taken == [(64, 64, 3)]


def test_an_unlabelled_image_is_cropped_too():
    crop = ScaleCrop(size=(8, 8), foreground_probability=1.0, category_max_ratio=0.5)
    sample = Sample("x", np.zeros((20, 20, 3), np.uint8))
    assert crop.apply(sample, crop.draw(generator(0, "c"), sample)).get(LabelMap) is None


def test_crops_avoid_cutting_words():
    polygons = [np.array([[x, 4], [x + 20, 4], [x + 20, 12], [x, 12]], float) for x in (10, 50, 90)]
    words = Words(tuple(polygons), ("a", "b", "c"), np.zeros(3, bool))
    sample = Sample("a", np.zeros((16, 120, 1), np.uint8), (words,))
    cut = {True: 0, False: 0}
    for is_known in (True, False):
        for seed in range(100):
            crop = ScaleCrop((16, 48), foreground_probability=0.5)
            rng = np.random.default_rng(seed)
            drawn = crop.draw(rng, sample if is_known else Sample("a", sample.image))
            found = crop.apply(sample, drawn).get(Words)
            cut[is_known] += bool(found.is_ignored.any())
    assert cut[True] < 5 and cut[False] > 50


class _Fixed:
    """Draws the same number from every range: its start, or a given zoom."""

    def __init__(self, zoom):
        self.zoom = zoom

    def uniform(self, low, high):
        return self.zoom

    def integers(self, low, high):
        return low

    def random(self):
        return 1.0


@pytest.mark.parametrize(
    ("shape", "zoom", "options", "window"),
    [
        # 480 x 640 in a crop of 120 x 120: it fits at a zoom of 120 / 640, so the window at 1 is 640 x 640.
        ((480, 640), 1.0, {"scale_of": "fit"}, (640, 640)),
        ((480, 640), 2.0, {"scale_of": "fit"}, (320, 320)),
        ((480, 640), 0.1, {"scale_of": "fit"}, (6400, 6400)),
        # Shorter side 240: half, so 120 pixels of the crop are 240 of the file.
        ((480, 640), 1.0, {"resize": ResizePlan(shortest=240)}, (240, 240)),
        ((480, 640), 2.0, {"resize": ResizePlan(shortest=240)}, (120, 120)),
        # One size for all: 240 x 160 halves the height and quarters the width.
        ((480, 640), 1.0, {"resize": ResizePlan(size=(240, 160))}, (240, 480)),
        # 240 x 160 fits the crop at 1/2, so the whole height and 3/2 of the width.
        ((480, 640), 1.0, {"resize": ResizePlan(size=(240, 160)), "scale_of": "fit"}, (480, 960)),
        ((480, 640), 1.0, {"resize": ResizePlan()}, (120, 120)),
    ],
)
def test_what_a_zoom_of_one_is(shape, zoom, options, window):
    crop = ScaleCrop(size=(120, 120), scale=(0.1, 2.0), **options)
    assert crop.draw(_Fixed(zoom), smooth_sample(shape)).window == window


def test_a_resized_image_is_cropped_as_if_it_were_resized_first():
    sample = smooth_sample((120, 160))
    crop = ScaleCrop(size=(40, 50), resize=ResizePlan(shortest=60))
    out = crop.apply(sample, crop.draw(_Fixed(1.0), sample))
    small = cv2.resize(sample.image, (80, 60))[:40, :50]
    assert np.abs(out.image.astype(int) - small.astype(int)).mean() < 2


def test_an_image_that_fits_fills_the_crop_along_one_axis_and_is_padded_along_the_other():
    sample = Sample("x", np.full((50, 100, 1), 9, np.uint8), (LabelMap(np.ones((50, 100), np.uint8)),))
    crop = ScaleCrop(size=(32, 32), scale_of="fit")
    out = crop.apply(sample, crop.draw(np.random.default_rng(0), sample))
    inside = out.get(LabelMap).labels == 1
    assert inside.sum() == 16 * 32 and inside.any(0).all()


def test_a_volume_fits_a_crop_too():
    sample = Sample("x", np.zeros((10, 40, 20, 1), np.uint8))
    crop = ScaleCrop(size=(20, 20, 20), scale_of="fit")
    assert crop.draw(_Fixed(1.0), sample).window == (40, 40, 40)


def test_a_part_of_the_crops_is_zoomed():
    sample = smooth_sample((60, 70))
    crop, rng = ScaleCrop(size=(32, 48), scale=(0.7, 1.4), probability=0.2), np.random.default_rng(0)
    windows = [crop.draw(rng, sample).window for _ in range(1000)]
    zoomed = [window for window in windows if window != (32, 48)]
    # A zoom that is drawn, but too close to 1 to change the window, is rare.
    assert len(zoomed) == pytest.approx(200, abs=50)
    assert min(zoomed)[0] < 25 and max(zoomed)[0] > 42
    always, before = ScaleCrop(size=(32, 48), scale=(0.7, 1.4)), np.random.default_rng(5)
    after = np.random.default_rng(5)
    window = always.draw(before, sample).window
    assert window[0] == round(32 / after.uniform(0.7, 1.4))  # nothing is drawn before, so older runs resume
