"""The fingerprint sums up training images; the numbers are worked out by hand."""

import json
from dataclasses import replace

import pytest

from limner.checks.facts import DatasetFacts, Intensity
from limner.core.errors import DataError
from limner.planning.fingerprint import take_fingerprint


def test_only_training_images_are_looked_at(make_facts, make_labels):
    facts = make_facts(4)
    odd = replace(facts.images[3], shape=(900, 900), label_shape=(900, 900))
    facts = DatasetFacts((*facts.images[:3], odd))
    splits = {"train": ["image0", "image1", "image2"], "val": ["image3"]}
    found = take_fingerprint(facts, make_labels(), splits)
    assert found.largest == (256, 320)
    assert found.num_images == {"train": 3, "val": 1}


def test_statistics_are_pooled_over_pixels(make_facts, make_labels):
    # 100 pixels of mean 10, std 2 and 300 pixels of mean 30, std 4:
    # mean = (100 * 10 + 300 * 30) / 400 = 25
    # variance = within (0.25 * 4 + 0.75 * 16) + between (0.25 * 15^2 + 0.75 * 5^2) = 13 + 75 = 88
    facts = make_facts(2, channels=1)
    small = replace(
        facts.images[0], shape=(10, 10), label_shape=(10, 10), intensities=(Intensity(0, 20, 10, 2, 1, 19),)
    )
    large = replace(
        facts.images[1], shape=(10, 30), label_shape=(10, 30), intensities=(Intensity(0, 60, 30, 4, 3, 41),)
    )
    found = take_fingerprint(
        DatasetFacts((small, large)), make_labels(), {"train": ["image0", "image1"]}
    )
    assert found.mean == (25.0,)
    assert found.std == pytest.approx((88**0.5,), rel=1e-4)
    assert found.low == (2.0,)
    assert found.high == (30.0,)
    assert (found.smallest, found.median, found.largest) == ((10, 10), (10, 20), (10, 30))


def test_classes_have_shares_of_the_labelled_pixels(make_facts, make_labels):
    # 60 background, 20 of class 1, 20 ignored (255 is not in the table): shares of 80 labelled pixels.
    facts = make_facts(3, shape=(10, 10), counts={0: 60, 1: 20, 255: 20})
    found = take_fingerprint(facts, make_labels(), {"train": [i.name for i in facts.images]})
    assert [c.pixel_share for c in found.classes] == [0.75, 0.25]
    assert found.ignored_share == 0.2
    assert found.imbalance == 3.0
    assert (found.classes[1].num_images, found.classes[1].component_area) == (3, 120.0)


def test_grey_images_among_colour_ones_are_trained_as_colour(make_facts, make_labels):
    colour, grey = make_facts(2), make_facts(3, channels=1, grey=True)
    images = (*colour.images, *(replace(i, name=f"grey{i.name}") for i in grey.images))
    found = take_fingerprint(DatasetFacts(images), make_labels(), {"train": [i.name for i in images]})
    assert found.channels == 3
    assert found.channel_counts == {1: 3, 3: 2}
    assert len(found.mean) == 3


def test_a_flat_channel_can_still_be_divided_by(make_facts, make_labels):
    facts = make_facts(1, channels=1)
    flat = replace(facts.images[0], intensities=(Intensity(7, 7, 7, 0, 7, 7),))
    found = take_fingerprint(DatasetFacts((flat,)), make_labels(), {"train": ["image0"]})
    assert found.std == (1.0,)


def test_nothing_to_train_on_is_said(make_facts, make_labels):
    with pytest.raises(DataError, match="No training image has readable labels"):
        take_fingerprint(make_facts(2), make_labels(), {"train": []})


def test_it_is_json(make_facts, make_labels):
    facts = make_facts(9)
    found = take_fingerprint(facts, make_labels(), {"train": [i.name for i in facts.images]})
    assert json.loads(json.dumps(found.to_dict()))["channels"] == 3
