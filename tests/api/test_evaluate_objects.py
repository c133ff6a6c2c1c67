"""Objects from files, against pycocotools on COCO's own images and against arithmetic by hand."""

import contextlib
import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest

import limner

pytest.importorskip("pycocotools")
SHARED = Path(os.environ.get("LIMNER_SHARED_DATA", "/nowhere"))
COCO = SHARED / "coco_instances"


def quietly(work, *arguments):
    with contextlib.redirect_stdout(io.StringIO()):
        return work(*arguments)


def moved(annotations, rng):
    """COCO's polygons moved a little, some left out, some of another class, some twice."""
    for row in annotations:
        if row["iscrowd"] or rng.random() < 0.15:
            continue
        for _ in range(1 + int(rng.random() < 0.2)):
            shift = rng.normal(0, 4, 2)
            polygons = [(np.reshape(p, (-1, 2)) + shift).ravel().tolist() for p in row["segmentation"]]
            category = row["category_id"] if rng.random() < 0.9 else 1
            yield {
                "image_id": row["image_id"],
                "category_id": category,
                "segmentation": polygons,
                "score": float(rng.random()),
            }


@pytest.mark.skipif(not COCO.is_dir(), reason="needs the folder coco_instances in LIMNER_SHARED_DATA")
def test_the_ap_of_a_results_file_is_pycocotools(tmp_path):
    from pycocotools import coco
    from pycocotools import mask as coco_mask
    from pycocotools.cocoeval import COCOeval

    labels = COCO / "annotations.json"
    truth = quietly(coco.COCO, str(labels))
    rows = list(moved(truth.dataset["annotations"], np.random.default_rng(0)))
    for row in rows:  # polygons may be moved out of the image, which COCO's loader does not cut
        size = truth.imgs[row["image_id"]]
        parts = coco_mask.frPyObjects(row["segmentation"], size["height"], size["width"])
        runs = coco_mask.merge(parts)
        row["segmentation"] = {"size": runs["size"], "counts": runs["counts"].decode()}
    results = tmp_path / "results.json"
    results.write_text(json.dumps(rows), "utf-8")
    found = limner.evaluate(predictions=results, data=COCO, out=tmp_path / "out")
    judge = COCOeval(truth, quietly(truth.loadRes, str(results)), "segm")
    for work in (judge.evaluate, judge.accumulate, judge.summarize):
        quietly(work)
    scores = json.loads((found.out / "scores.json").read_text())
    names = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
    assert [scores[name] for name in names] == pytest.approx(judge.stats[:6].tolist(), abs=1e-9)
    assert 0 < scores["ap"] < 1
    low, high = scores["intervals"]["ap"]
    assert low <= scores["ap"] <= high
    assert {path.suffix for path in found.pictures} == {".png"}
    with (found.out / "per_image.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == scores["num_images"]


PANOPTIC = SHARED / "coco_panoptic"


@pytest.mark.skipif(not PANOPTIC.is_dir(), reason="needs the folder coco_panoptic in LIMNER_SHARED_DATA")
def test_the_labels_themselves_have_a_quality_of_one(tmp_path):
    whole = json.loads((PANOPTIC / "panoptic_examples.json").read_text())
    file = tmp_path / "panoptic_examples.json"
    file.write_text(json.dumps({"annotations": whole["annotations"]}), "utf-8")
    (tmp_path / "panoptic_examples").symlink_to(PANOPTIC / "panoptic_examples")
    found = limner.evaluate(predictions=file, data=PANOPTIC, out=tmp_path / "out")
    scores = json.loads((found.out / "scores.json").read_text())
    assert (scores["pq"], scores["sq"], scores["rq"], scores["f1_75"]) == (1, 1, 1, 1)
    assert scores["count_error"] == 0
    # One segment is said to be of a class that is nowhere: its own class misses one of n.
    infos = [info for row in whole["annotations"] for info in row["segments_info"]]
    gone = max(infos, key=lambda info: sum(i["category_id"] == info["category_id"] for i in infos))
    own = gone["category_id"]
    total = sum(info["category_id"] == own and not info["iscrowd"] for info in infos)
    absent = next(row for row in whole["categories"] if row["id"] not in {i["category_id"] for i in infos})
    gone["category_id"] = absent["id"]
    file.write_text(json.dumps({"annotations": whole["annotations"]}), "utf-8")
    found = limner.evaluate(predictions=file, data=PANOPTIC, out=tmp_path / "out")
    rows = {row["name"]: row for row in json.loads((found.out / "scores.json").read_text())["classes"]}
    name = next(row["name"] for row in whole["categories"] if row["id"] == own)
    assert rows[name]["rq"] == pytest.approx((total - 1) / (total - 1 + 0.5))
    assert rows[name]["sq"] == 1
    assert rows[absent["name"]]["pq"] == 0
