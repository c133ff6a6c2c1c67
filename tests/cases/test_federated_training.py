"""LVIS: an image is searched for some classes, and training takes no other for background there."""

import json

import numpy as np
import pytest
import torch

import limner
from limner.core.boxes import Boxes
from limner.core.outputs import PointBoxes, QueryMasks
from limner.core.plan import LossPlan, LossTerm
from limner.core.segments import Segments
from limner.formats import open_source
from limner.loading.collate import collate
from limner.loading.dataset import Dataset
from limner.tasks import find_task

SIDE, KINDS = 64, 4


@pytest.fixture
def lvis(tree):
    """Images with an object of kind 1, searched for kind 2; of kind 3, of which there is one, in part."""
    images, rows = [], []
    for number in range(6):
        lists = {"neg_category_ids": [2], "not_exhaustive_category_ids": [3]}
        images.append({"id": number, "file_name": f"{number}.png", "height": SIDE, "width": SIDE, **lists})
        for kind, left in ((1, 4), (3, 36)):
            corners = [left, 4, left + 20, 4, left + 20, 30, left, 30]
            row = {"id": len(rows), "image_id": number, "category_id": kind, "iscrowd": 0, "area": 520}
            rows.append(row | {"segmentation": [corners], "bbox": [left, 4, 20, 26]})
    categories = [{"id": kind, "name": f"kind {kind}"} for kind in range(1, KINDS + 1)]
    content = {"images": images, "annotations": rows, "categories": categories}
    rng = np.random.default_rng(0)
    pictures = {f"{n}.png": rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8) for n in range(6)}
    return tree(pictures | {"lvis_v1_train.json": json.dumps(content)})


def batch_of(root, kind, task):
    source = open_source(root)
    table = find_task(task).labels(source.declared_labels())
    dataset = Dataset(source, source.records, table, targets=(kind,))
    return collate([dataset[0]]), table


def test_a_detector_learns_the_classes_that_an_image_was_searched_for(lvis):
    batch, table = batch_of(lvis, Boxes, "detection")
    y, x = np.divmod(np.arange(64), 8)
    points = torch.tensor(np.stack([8 * x + 4, 8 * y + 4, np.full(64, 8)], 1), dtype=torch.float32)
    boxes = torch.cat((points[:, :2] - 10, points[:, :2] + 10), 1)[None]
    logits = torch.full((1, 64, KINDS), -2.0, requires_grad=True)
    plan = LossPlan(terms=(LossTerm(name="point_boxes"),))
    criterion = find_task("detection").build_criterion(plan, labels=table)
    criterion.loss(PointBoxes(logits, boxes, points), batch).total.backward()
    learned = logits.grad[0] != 0
    assert table.names == ("kind 1", "kind 2", "kind 3", "kind 4")
    assert learned[:, 0].all() and learned[:, 1].all()
    inside = (points[:, 0] > 36) & (points[:, 0] < 56) & (points[:, 1] > 4) & (points[:, 1] < 30)
    assert learned[:, 2].any() and not learned[~inside, 2].any()
    assert not learned[:, 3].any()


def test_unmatched_queries_may_have_found_what_was_not_drawn(lvis):
    batch, table = batch_of(lvis, Segments, "instance")
    logits = torch.zeros(1, 9, KINDS + 1, requires_grad=True)
    found = QueryMasks(logits, torch.zeros(1, 9, 4), torch.zeros(1, 4, 16, 16))
    plan = LossPlan(terms=(LossTerm(name="segment_set", options={"num_points": 64}),))
    criterion = find_task("instance").build_criterion(plan, labels=table)
    criterion.loss(found, batch).total.backward()
    downwards = (logits.grad[0] > 0).sum(0).tolist()
    # Kinds 1 and 2 are learned to be absent by all 9 queries but the one that is matched with kind 1; kinds 3
    # and 4 by the two matched queries alone, of which one is of kind 3.
    assert downwards == [8, 9, 1, 2, 2]


def test_the_plan_says_so(lvis):
    plan = limner.plan(lvis, task="detection", device="cpu")
    assert "what is not drawn of the others is not learned as background" in plan.reasons["loss.terms"]
