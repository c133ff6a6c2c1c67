"""Each way in which masks may say things, as arrays on disk, and the one thing check must say about it."""

import cv2
import numpy as np
import pytest

from limner.checks.label_findings import judge_labels
from limner.checks.scan import scan
from limner.core.config import merge
from limner.core.dataset_file import DatasetFile
from limner.core.labels import unpack_rgb

HEIGHT, WIDTH = 64, 96


@pytest.fixture
def judge(make_source, rng):
    def run(masks, settings=None, mask_suffix=".png"):
        pairs = {
            f"i{n:02}": (rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8), mask)
            for n, mask in enumerate(masks)
        }
        source = make_source(pairs, settings, mask_suffix)
        verdict = judge_labels(source, scan(source, cache=False))
        return verdict, {finding.code: finding for finding in verdict.findings}

    return run


def blobs(*values, count=4):
    """Masks with a rectangle for each value on a ground of the first one."""
    masks = []
    for n in range(count):
        mask = np.full((HEIGHT, WIDTH), values[0], np.uint8)
        for k, value in enumerate(values[1:]):
            left = (k * 12 + 2) % (WIDTH - 10)
            mask[4 + n : 44 + n, left : left + 8] = value
        masks.append(mask)
    return masks


def jpeg(mask, quality=75):
    return cv2.imencode(".jpg", mask, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def test_two_small_values_are_background_and_foreground(judge):
    verdict, findings = judge(blobs(0, 1))
    assert not findings
    assert verdict.labels.names == ("background", "foreground")
    assert verdict.labels.trained_as == {0: 0, 1: 1}


def test_small_values_with_gaps_are_mapped_in_the_table(judge):
    verdict, findings = judge(blobs(0, 3, 7))
    assert verdict.labels.trained_as == {0: 0, 3: 1, 7: 2}
    assert verdict.labels.names == ("class 0", "class 3", "class 7")
    assert set(findings) == {"classes-unnamed"}


def test_0_255_proposes_255_as_the_foreground_and_settles_nothing(judge):
    verdict, findings = judge(blobs(0, 255))
    assert verdict.labels is None
    assert findings["mask-is-0-255"].proposal == {
        "classes": [{"name": "background", "value": 0}, {"name": "foreground", "value": 255}]
    }
    assert verdict.proposed.trained_as == {0: 0, 255: 1}


def test_0_255_keeps_the_names_that_the_user_gave_without_values(judge):
    settings = {"classes": [{"name": "tissue"}, {"name": "polyp", "color": [255, 0, 0]}]}
    _, findings = judge(blobs(0, 255), settings)
    assert findings["mask-is-0-255"].proposal == {
        "classes": [{"name": "tissue", "value": 0}, {"name": "polyp", "color": [255, 0, 0], "value": 255}]
    }


def test_a_second_observer_with_3_and_253(judge):
    verdict, findings = judge(blobs(3, 253))
    assert "mask-is-0-255" in findings
    assert verdict.proposed.trained_as == {3: 0, 253: 1}


def test_observers_with_0_255_and_3_253_together_get_a_threshold(judge):
    _, findings = judge([*blobs(0, 255), *blobs(3, 253)])
    (finding,) = [f for f in findings.values() if f.severity.value == "error"]
    threshold = finding.proposal["mask_encoding"]["threshold"]
    assert 3 < threshold < 253


@pytest.mark.parametrize("quality", [40, 75, 95])
def test_jpeg_masks_get_the_threshold_in_the_valley(judge, quality):
    verdict, findings = judge([jpeg(m, quality) for m in blobs(0, 255)], mask_suffix=".jpg")
    assert verdict.labels is None
    proposal = findings["mask-is-jpeg"].proposal
    assert proposal["mask_encoding"]["threshold"] == pytest.approx(127, abs=3)
    # The table already counts by the threshold: one rectangle of 40 x 8 in each mask of 64 x 96.
    assert verdict.rows[1].splits["all"].share == pytest.approx(320 / 6144, rel=0.02)


def test_an_accepted_threshold_leaves_nothing_open(judge):
    masks = [jpeg(m) for m in blobs(0, 255)]
    verdict, findings = judge(masks, {"mask_encoding": {"threshold": 127}}, mask_suffix=".jpg")
    assert not findings
    assert verdict.labels.names == ("background", "foreground")


def test_class_numbers_as_jpeg_are_beyond_repair(judge):
    verdict, findings = judge([jpeg(m, 60) for m in blobs(0, 20, 40, 60)], mask_suffix=".jpg")
    assert verdict.labels is None
    assert findings["mask-is-jpeg"].proposal is None


def test_soft_edges_in_png_masks_get_a_threshold(judge):
    masks = [cv2.GaussianBlur(m, (5, 5), 0) for m in blobs(0, 255)]
    _, findings = judge(masks)
    assert findings["mask-has-soft-edges"].proposal["mask_encoding"]["threshold"] == 127


def test_class_numbers_beside_255_propose_to_ignore_it(judge):
    verdict, findings = judge(blobs(0, 1, 2, 255))
    assert findings["mask-ignores-255"].proposal == {"ignored": [255]}
    assert verdict.labels is None
    assert verdict.proposed.ignored_values == (255,)
    assert verdict.proposed.num_classes == 3


def test_numbers_below_0_propose_to_ignore_them(judge):
    masks = [mask.astype(np.int32) for mask in blobs(0, 5, 15)]
    for mask in masks:
        mask[-4:] = -1
    verdict, findings = judge(masks, mask_suffix=".tif")
    assert findings["mask-has-negative"].proposal == {"ignored": [-1]}
    assert "-1 on 6.2 %" in findings["mask-has-negative"].found  # 4 of 64 rows
    assert verdict.labels is None
    verdict, findings = judge(masks, {"ignored": [-1]}, ".tif")
    assert "mask-has-negative" not in findings
    assert verdict.labels.trained_as == {-1: 255, 0: 0, 5: 1, 15: 2}


def test_twenty_classes_beside_255_are_not_taken_for_soft_edges(judge):
    _, findings = judge(blobs(*range(21), 255))
    assert findings["mask-ignores-255"].proposal == {"ignored": [255]}


def test_named_classes_and_an_unnamed_255(judge):
    settings = {"classes": [{"name": "sky"}, {"name": "road"}, {"name": "car"}], "ignored": [9]}
    _, findings = judge(blobs(0, 1, 2, 9, 255), settings)
    assert findings["mask-ignores-255"].proposal == {"ignored": [9, 255]}


def test_what_the_format_ignores_is_no_question(make_source, rng, monkeypatch):
    source = make_source({f"i{n}": (m, m) for n, m in enumerate(blobs(0, 1, 2, 255))})
    monkeypatch.setattr(type(source), "ignored_by_format", (255,))
    verdict = judge_labels(source, scan(source, cache=False))
    assert verdict.labels.trained_as == {0: 0, 1: 1, 2: 2, 255: 255}


def test_masks_of_two_conventions(judge):
    verdict, findings = judge([*blobs(0, 1), *blobs(0, 255)])
    assert "mask-encodings-mixed" in findings
    assert verdict.proposed.trained_as == {0: 0, 1: 1, 255: 1}


def colour(masks, palette):
    table = np.zeros((256, 3), np.uint8)
    for value, rgb in palette.items():
        table[value] = rgb
    return [table[mask] for mask in masks]


def test_coloured_masks_propose_a_class_for_each_colour(judge):
    masks = colour(blobs(0, 1, 2), {1: (255, 0, 0), 2: (10, 200, 30)})
    verdict, findings = judge(masks)
    proposal = findings["mask-is-coloured"].proposal
    assert proposal["mask_encoding"] == "color"
    assert {tuple(c["color"]) for c in proposal["classes"]} == {(0, 0, 0), (255, 0, 0), (10, 200, 30)}
    assert proposal["classes"][0] == {"name": "background", "color": [0, 0, 0]}
    assert verdict.proposed.num_classes == 3 and verdict.labels is None


def test_the_accepted_colours_leave_nothing_open(judge):
    masks = colour(blobs(0, 1, 2), {1: (255, 0, 0), 2: (10, 200, 30)})
    _, findings = judge(masks)
    verdict, after = judge(masks, findings["mask-is-coloured"].proposal)
    assert not after
    assert {unpack_rgb(v) for v in verdict.labels.trained_as} == {(0, 0, 0), (255, 0, 0), (10, 200, 30)}


def test_the_voc_palette_keeps_its_order_and_its_border_is_ignored(judge):
    palette = {1: (128, 0, 0), 2: (0, 128, 0), 3: (192, 0, 0), 4: (224, 224, 192)}
    _, findings = judge(colour(blobs(0, 3, 2, 1, 4), palette))
    proposal = findings["mask-is-coloured"].proposal
    # (192, 0, 0) is number 9 of the palette
    assert [c["name"] for c in proposal["classes"]] == ["background", "class 1", "class 2", "class 9"]
    assert proposal["ignored"] == [[224, 224, 192]]


def test_colours_named_without_saying_that_masks_are_coloured(judge):
    settings = {"classes": [{"name": "x", "color": [0, 0, 0]}, {"name": "y", "color": [255, 0, 0]}]}
    _, findings = judge(colour(blobs(0, 1), {1: (255, 0, 0)}), settings)
    assert findings["mask-is-coloured"].proposal == {"mask_encoding": "color"}


def test_smoothed_colours_are_no_classes(judge):
    masks = [cv2.GaussianBlur(m, (5, 5), 0) for m in colour(blobs(0, 1), {1: (255, 40, 0)})]
    verdict, findings = judge(masks)
    assert findings["mask-colours-unclear"].proposal is None and verdict.labels is None


def test_values_outside_the_named_labels(judge):
    settings = {"classes": [{"name": "a", "value": 0}, {"name": "b", "value": 1}, {"name": "c", "value": 5}]}
    verdict, findings = judge(blobs(0, 1, 3), settings)
    finding = findings["values-not-named"]
    assert "3" in finding.found and "b" in finding.expected and finding.count == 4
    assert "class-never-occurs" in findings and verdict.labels is None
    assert [row.values for row in verdict.rows if row.trained_as is None] == [(3,)]


def test_a_class_list_shorter_than_the_values(judge):
    _, findings = judge(blobs(0, 1, 2, 3), {"classes": [{"name": "a"}, {"name": "b"}]})
    assert "2-3" in findings["class-list-too-short"].found


def test_named_classes_that_cover_all_values_are_settled(judge):
    settings = {"classes": [{"name": "a"}, {"name": "b", "values": [1, 2]}], "ignored": [255]}
    verdict, findings = judge(blobs(0, 1, 2, 255), settings)
    assert not findings
    assert verdict.labels.trained_as == {0: 0, 1: 1, 2: 1, 255: 255}


def test_a_named_class_that_is_nowhere_is_a_warning(judge):
    settings = {"classes": [{"name": "a"}, {"name": "b"}, {"name": "unicorn"}]}
    verdict, findings = judge(blobs(0, 1), settings)
    assert "'unicorn' (value 2)" in findings["class-never-occurs"].found
    assert verdict.labels is not None


@pytest.mark.parametrize("settings", [None, {"classes": [{"name": "a"}, {"name": "b"}]}])
def test_masks_of_one_single_value(judge, settings):
    verdict, findings = judge([np.zeros((HEIGHT, WIDTH), np.uint8)] * 3, settings)
    assert "one-value-only" in findings and verdict.labels is None


def test_some_empty_masks_are_a_note(judge):
    masks = blobs(0, 1)
    masks[2][:] = 0
    verdict, findings = judge(masks)
    finding = findings["mask-is-one-value"]
    assert finding.files == ("masks/i02.png",) and "'background'" in finding.found
    assert verdict.labels is not None


def test_photographs_instead_of_masks(judge, rng):
    photos = [rng.integers(0, 60000, (HEIGHT, WIDTH), dtype=np.uint16) for _ in range(3)]
    verdict, findings = judge(photos)
    assert "too-many-values" in findings and verdict.labels is None


def test_instance_numbers_are_noticed(judge):
    separate = []
    for n in (9, 10, 12):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        for k in range(n):
            mask[5:9, 8 * k : 8 * k + 5] = k + 1
        separate.append(mask)
    _, findings = judge(separate)
    assert "values-look-like-instances" in findings


def test_every_proposal_makes_a_valid_dataset_yaml(judge):
    cases = [blobs(0, 255), blobs(0, 1, 255), [*blobs(0, 1), *blobs(0, 255)]]
    for masks in cases:
        _, findings = judge(masks)
        proposals = [finding.proposal for finding in findings.values() if finding.proposal]
        files = [DatasetFile.model_validate(merge({}, proposal)) for proposal in proposals]
        assert files and all(file.model_fields_set for file in files)
