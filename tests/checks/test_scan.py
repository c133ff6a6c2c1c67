from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as PillowImage

from limner.checks.facts import Components
from limner.checks.scan import scan


def picture(rng, height=40, width=48, channels=3):
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)


def test_what_one_image_tells(make_source, rng):
    image = picture(rng)
    mask = np.zeros((40, 48), np.uint8)
    mask[0:10, 0:6] = 1  # 60 pixels
    mask[20:40, 40:48] = 1  # 160 pixels
    (facts,) = scan(make_source({"a": (image, mask)})).images
    assert (facts.shape, facts.channels, facts.dtype) == ((40, 48), 3, "uint8")
    assert facts.value_counts == {0: 40 * 48 - 220, 1: 220}
    assert facts.components[1] == Components(2, 110.0)  # the median of 60 and 160
    assert facts.intensities[1].mean == pytest.approx(image[..., 1].mean())
    assert facts.intensities[1].std == pytest.approx(image[..., 1].std())
    assert facts.intensities[1].maximum == image[..., 1].max()
    assert facts.intensities[1].low == pytest.approx(np.percentile(image[..., 1], 0.5), abs=1)
    assert facts.intensities[1].high == pytest.approx(np.percentile(image[..., 1], 99.5), abs=1)


def test_occupancy_is_the_share_of_other_pixels_in_each_cell(make_source, rng):
    mask = np.zeros((40, 48), np.uint8)  # cells of 5 x 6 pixels
    mask[0:5, 0:3] = 7  # half of the first cell
    mask[35:40, 42:48] = 7  # the whole last one
    (facts,) = scan(make_source({"a": (picture(rng), mask)})).images
    expected = np.zeros((8, 8))
    expected[0, 0], expected[7, 7] = 0.5, 1.0
    np.testing.assert_allclose(facts.occupancy, expected, atol=1e-6)


def test_the_commonest_value_is_that_of_the_dataset_not_of_the_image(make_source, rng):
    mostly_one = np.ones((40, 48), np.uint8)
    zeros = np.zeros((40, 48), np.uint8)
    source = make_source(
        {"a": (picture(rng), mostly_one), "b": (picture(rng), zeros), "c": (picture(rng), zeros)}
    )
    first, second, _ = scan(source).images
    assert (first.occupancy == 1).all()
    assert (second.occupancy == 0).all()


def test_thumbnail_means_are_the_mean_grey_of_each_cell(make_source):
    image = np.zeros((64, 64, 3), np.uint8)
    image[:8, :8] = 255  # the first cell white
    image[8:16, :8, 0] = 255  # the one below red: a third of white
    (facts,) = scan(make_source({"a": (image, None)})).images
    expected = np.zeros((8, 8))
    expected[0, 0], expected[1, 0] = 1, 1 / 3
    np.testing.assert_allclose(facts.thumbnail_means, expected, atol=1e-5)


def test_the_cells_of_a_large_image_are_those_of_its_pixels(make_source, rng):
    image = rng.integers(256, size=(1040, 1300, 3), dtype=np.uint8)  # halved once on the way
    image[:, :650] //= 4
    (facts,) = scan(make_source({"a": (image, None)})).images
    columns = np.linspace(0, 1300, 9)
    for x in (0, 2, 5, 7):  # cells of 162.5 columns: their inner pixels are nearly all of them
        cell = image[130:260, int(np.ceil(columns[x])) : int(columns[x + 1])]
        assert abs(facts.thumbnail_means[1, x] * 255 - cell.mean()) < 1


def test_thumbnail_means_of_sixteen_bits_are_stretched(make_source):
    image = np.full((64, 64), 1000, np.uint16)
    image[:, 32:] = 3000
    (facts,) = scan(make_source({"a": (image, None)})).images
    np.testing.assert_allclose(facts.thumbnail_means[:, :4], 0, atol=1e-6)
    np.testing.assert_allclose(facts.thumbnail_means[:, 4:], 1, atol=1e-6)


def test_a_broken_file_is_a_fact_and_the_others_are_read(make_source, rng):
    mask = np.zeros((40, 48), np.uint8)
    source = make_source({"a": (b"not a picture", mask), "b": (picture(rng), mask), "c": (picture(rng), b"")})
    broken, good, no_mask = scan(source).images
    assert "images/a.png" in broken.image_error and broken.label_error is None
    assert good.is_usable
    assert no_mask.label_error and not no_mask.is_usable


@pytest.mark.parametrize("shape", [(1, 1), (3, 900), (33, 31)])
def test_odd_sizes(make_source, rng, shape):
    (facts,) = scan(make_source({"a": (picture(rng, *shape), np.ones(shape, np.uint8))})).images
    assert facts.is_usable and facts.thumbnail_means.shape == (8, 8)
    assert facts.value_counts == {1: shape[0] * shape[1]}


def test_workers_do_not_change_the_facts(make_source, rng):
    pairs = {f"i{n}": (picture(rng), rng.integers(0, 3, (40, 48), dtype=np.uint8)) for n in range(20)}
    source = make_source(pairs)
    one, four = (scan(source, workers=w, cache=False) for w in (1, 4))
    assert one == four
    for a, b in zip(one.images, four.images, strict=True):
        np.testing.assert_array_equal(a.occupancy, b.occupancy)


def test_a_second_scan_reads_nothing_and_says_the_same(make_source, rng, monkeypatch):
    source = make_source({f"i{n}": (picture(rng), np.eye(40, 48, dtype=np.uint8)) for n in range(4)})
    first = scan(source)
    monkeypatch.setattr(type(source), "read_image", lambda *_: pytest.fail("read again"))
    second = scan(source)
    assert first == second
    for a, b in zip(first.images, second.images, strict=True):
        np.testing.assert_array_equal(a.occupancy, b.occupancy)
        np.testing.assert_array_equal(a.thumbnail, b.thumbnail)
        np.testing.assert_array_equal(a.thumbnail_means, b.thumbnail_means)


def test_a_changed_file_is_read_again(make_source, rng):
    source = make_source({"a": (picture(rng), np.zeros((40, 48), np.uint8))})
    assert scan(source).value_counts == {0: 1920}
    source = make_source({"a": (picture(rng), np.full((40, 48), 5, np.uint8))})
    assert scan(source).value_counts == {5: 1920}


def test_a_damaged_cache_only_costs_a_fresh_reading(make_source, rng, tmp_path, monkeypatch):
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    source = make_source({"a": (picture(rng), np.zeros((40, 48), np.uint8))})
    first = scan(source)
    (file,) = (tmp_path / "cache" / "facts").iterdir()
    file.write_bytes(file.read_bytes()[:-9])
    assert scan(source) == first


def test_progress_tells_every_file(make_source, rng):
    source = make_source({f"i{n}": (picture(rng), None) for n in range(5)})
    told = []

    def track(items, what, total):
        told.append(total)
        yield from items

    assert len(scan(source, track=track).images) == 5
    assert told == [5]


def test_the_same_pixels_have_the_same_digest_whatever_the_file(make_source, rng, tmp_path):
    image = picture(rng)
    source = make_source({"a": (image, None), "b": (image.copy(), None), "c": (image[::-1].copy(), None)})
    a, b, c = scan(source).images
    assert a.content_hash == b.content_hash != c.content_hash


def test_coloured_masks_are_read_by_colour_and_black_ones_with_them(make_source, rng):
    red = np.zeros((40, 48, 3), np.uint8)
    red[:10, :, 0] = 255
    black = np.zeros((40, 48, 3), np.uint8)
    first, second = scan(make_source({"a": (picture(rng), red), "b": (picture(rng), black)})).images
    assert first.label_kind == second.label_kind == "color"
    assert first.value_counts == {0: 30 * 48, 0xFF0000: 480}
    assert second.value_counts == {0: 1920}


def test_pixels_outside_the_field_of_view_are_not_counted(make_source, rng, tmp_path):
    mask = np.zeros((40, 48), np.uint8)
    mask[:, :24] = 1
    region = np.zeros((40, 48), np.uint8)
    region[:10, :30] = 255  # 10 x 24 of value 1 and 10 x 6 of value 0 lie inside
    source = make_source({"a": (picture(rng), mask)})
    PillowImage.fromarray(region).save(tmp_path / "region.png")
    source.records = (replace(source.records[0], valid_region=tmp_path / "region.png"),)
    assert scan(source).value_counts == {0: 60, 1: 240}
    PillowImage.fromarray(region[:5]).save(tmp_path / "region.png")
    assert "differ in size" in scan(source).images[0].label_error


def test_a_lossy_field_of_view_is_read_as_training_reads_it(make_source, rng, tmp_path):
    source = make_source({"a": (picture(rng), np.ones((40, 48), np.uint8))})
    region = np.full((40, 48), 20, np.uint8)  # a grey that compression may leave where nothing was drawn
    region[:, :24] = 255
    PillowImage.fromarray(region).save(tmp_path / "region.jpg", quality=95)
    source.records = (replace(source.records[0], valid_region=tmp_path / "region.jpg"),)
    assert scan(source).value_counts == {1: 40 * 24}
