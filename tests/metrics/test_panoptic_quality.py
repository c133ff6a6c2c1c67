import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.core.prediction import PanopticPrediction
from limner.core.segments import segments_of_index
from limner.formats import open_source
from limner.metrics.panoptic_quality import PanopticQuality

THINGS = np.array([True, True, False])


def predicted(ids: np.ndarray, labels: list[int]) -> PanopticPrediction:
    count = len(labels)
    return PanopticPrediction(
        "a", ids.astype(np.int32), np.array(labels, np.int64), np.ones(count, np.float32), THINGS[labels]
    )


def strip(*runs: tuple[int, int]) -> np.ndarray:
    """Return a map of one row: (number, length), ..."""
    return np.repeat([n for n, _ in runs], [length for _, length in runs])[None]


def test_the_arithmetic_by_hand() -> None:
    # Truth: object 1 (class 0) of 10, object 2 (class 0) of 4, sky 3 (class 2) of 6, then 4 void pixels.
    truth = segments_of_index(strip((1, 10), (2, 4), (3, 6), (0, 4)), [0, 0, 2])
    # Found: 8 of object 1; 2 + 4 pixels over object 2 called class 1; the sky and 3 void ones.
    found = predicted(strip((1, 8), (2, 6), (3, 9), (0, 1)), [0, 1, 2])
    scores = PanopticQuality(THINGS).update(truth, found).compute()
    # Class 0: one pair, IoU 8 / 10; object 2 missed. RQ = 1 / 1.5. Class 1: one false positive. Class 2: the
    # union leaves void out, so IoU 6 / 6.
    np.testing.assert_allclose(scores.sq, [0.8, 0, 1])
    np.testing.assert_allclose(scores.rq, [2 / 3, 0, 1])
    np.testing.assert_allclose(scores.pq, [0.8 * 2 / 3, 0, 1])
    assert (scores.true_positives.tolist(), scores.false_positives.tolist()) == ([1, 0, 1], [0, 1, 0])
    assert scores.false_negatives.tolist() == [1, 0, 0]
    assert scores.mean("pq", things=True) == pytest.approx(0.8 / 3)
    assert scores.mean("pq", things=False) == 1


def test_crowds_and_void_excuse_what_is_predicted_on_them() -> None:
    # A crowd of class 0 on 10 pixels, 10 void pixels, then an object of class 1.
    truth = segments_of_index(strip((1, 10), (0, 10), (2, 10)), [0, 1], [True, False])
    # Found: 6 pixels on the crowd, which is excused; all of the object as another class, which is not.
    found = predicted(strip((1, 6), (0, 4), (0, 4), (2, 10), (3, 6)), [0, 0, 0])
    scores = PanopticQuality(THINGS).update(truth, found).compute()
    assert scores.false_positives.tolist() == [1, 0, 0]
    assert scores.false_negatives.tolist() == [0, 1, 0]


def test_sums_over_images_are_not_means_of_images() -> None:
    quality, other = PanopticQuality(THINGS), PanopticQuality(THINGS)
    quality.update(segments_of_index(strip((1, 4)), [0]), predicted(strip((1, 4)), [0]))
    two = segments_of_index(strip((1, 2), (2, 2)), [0, 0])
    other.update(two, predicted(strip((0, 4)), []))
    quality.merge(other)
    assert quality.compute().pq[0] == 1 / (1 + 2 / 2)
    assert np.isnan(quality.compute().pq[1])


def reference(pairs: list[tuple[np.ndarray, dict, np.ndarray, dict]], num_classes: int) -> list[list[float]]:
    """PQ straight from the paper: loops over segments, sets of pixels; pixels 0 are void."""
    iou_sum, tp, fp, fn = (np.zeros(num_classes) for _ in range(4))
    for true_map, true_of, found_map, found_of in pairs:
        found_left = set(found_of)
        for t, label in true_of.items():
            partner = None
            for f in found_of:
                if found_of[f] != label:
                    continue
                here = (found_map == f) & (true_map != 0)
                both = (here & (true_map == t)).sum()
                iou = both / (here | (true_map == t)).sum()
                if iou > 0.5:
                    partner = f
                    iou_sum[label] += iou
            if partner is None:
                fn[label] += 1
            else:
                tp[label] += 1
                found_left.discard(partner)
        for f in found_left:
            area = (found_map == f).sum()
            if ((found_map == f) & (true_map == 0)).sum() <= area / 2:
                fp[found_of[f]] += 1
    rows = []
    for k in range(num_classes):
        total = tp[k] + fp[k] / 2 + fn[k] / 2
        rows.append([iou_sum[k] / total if total else np.nan, tp[k], fp[k], fn[k]])
    return rows


DATA = Path(__file__).parents[3] / "shared" / "data" / "coco_panoptic"


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the shared data folder")
def test_real_images_against_loops_over_sets() -> None:
    source = open_source(DATA)
    table = source.declared_labels()
    assert table is not None
    quality = PanopticQuality(table.is_thing)
    whole = json.loads((DATA / "panoptic_examples.json").read_text())
    place = {row["id"]: i for i, row in enumerate(sorted(whole["categories"], key=lambda c: c["id"]))}
    pairs = []
    for record in source.records:
        truth = table.encode_segments(source.read_segments(record))
        # The truth shifted by 12 pixels, and one segment in five taken for another class.
        ids = np.roll(truth.flat(), 12, axis=1).astype(np.int32)
        labels = truth.labels.copy()
        labels[::5] = (labels[::5] + 1) % len(place)
        truth_alone = truth.select(~truth.is_crowd)
        quality.update(
            truth_alone,
            PanopticPrediction("a", ids, labels, np.ones(len(labels), np.float32), table.is_thing[labels]),
        )
        png = np.asarray(Image.open(record.labels[0]).convert("RGB")).astype(np.int64) @ [1, 256, 65536]
        infos = next(
            a["segments_info"] for a in whole["annotations"] if f"#{a['image_id']}" in str(record.entry)
        )
        single = {s["id"]: place[s["category_id"]] for s in infos if not s["iscrowd"]}
        png[~np.isin(png, list(single))] = 0
        pairs.append((png, single, ids, {i + 1: int(k) for i, k in enumerate(labels)}))
    scores = quality.compute()
    expected = np.array(reference(pairs, len(place)))
    np.testing.assert_allclose(scores.pq, expected[:, 0])
    np.testing.assert_array_equal(scores.true_positives, expected[:, 1])
    np.testing.assert_array_equal(scores.false_positives, expected[:, 2])
    np.testing.assert_array_equal(scores.false_negatives, expected[:, 3])
    assert 0 < scores.mean("pq") < 0.9
