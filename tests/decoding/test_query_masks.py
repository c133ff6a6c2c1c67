import numpy as np
import pytest
import torch
import torch.nn.functional as F

from limner.core.outputs import QueryMasks
from limner.decoding import query_masks
from limner.decoding.label_maps import semantic_labels, semantic_logits, semantic_probabilities
from limner.decoding.query_masks import find_objects, find_segments

QUERIES, CLASSES, CHANNELS = 9, 3, 4


def outputs(*, batch=1, size=(6, 5), seed=0, sure=1.0):
    draws = torch.Generator().manual_seed(seed)
    return QueryMasks(
        sure * torch.randn(batch, QUERIES, CLASSES + 1, generator=draws),
        2 * torch.randn(batch, QUERIES, CHANNELS, generator=draws),
        torch.randn(batch, CHANNELS, *size, generator=draws),
    )


def every_mask(found, size, image=0):
    """(Q, *S) probabilities, all at once."""
    return F.interpolate(found.mask_logits, size, mode="bilinear", align_corners=False)[image].sigmoid()


def by_hand(classes, masks):
    """Queries of one-hot classes (the last is none) and masks of -20 and 20 at the network's resolution."""
    class_logits = 20.0 * F.one_hot(torch.tensor(classes), CLASSES + 1)
    masks = torch.tensor(masks, dtype=torch.float32) * 40 - 20
    return QueryMasks(class_logits[None], torch.eye(len(masks))[None], masks[None])


@pytest.fixture(params=[2**22, 100])
def chunk(request, monkeypatch):
    monkeypatch.setattr(query_masks, "MASK_ELEMENTS", request.param)


def test_semantic_probabilities_are_the_queries_votes():
    found = outputs(batch=2)
    votes = torch.stack(
        [
            torch.einsum("qk,qhw->khw", logits.softmax(-1)[:, :-1], every_mask(found, (13, 11), image))
            for image, logits in enumerate(found.class_logits)
        ]
    )
    probabilities = semantic_probabilities(found, (13, 11))
    torch.testing.assert_close(probabilities, votes / votes.sum(1, keepdim=True))
    assert torch.equal(semantic_labels(found, (13, 11)), votes.argmax(1).to(torch.uint8))
    torch.testing.assert_close(semantic_logits(found, (13, 11)).softmax(1), probabilities)


def test_a_pixel_that_no_query_wants_has_a_class_all_the_same():
    nobody = QueryMasks(torch.zeros(1, 2, 4), torch.full((1, 2, 1), -1e4), torch.ones(1, 1, 3, 3))
    torch.testing.assert_close(semantic_probabilities(nobody, (3, 3)), torch.full((1, 3, 3, 3), 1 / 3))


def test_objects_are_the_best_pairs_of_query_and_class(chunk):
    found, size = outputs(), (20, 17)
    chances, masks = found.class_logits[0].softmax(-1), every_mask(found, size)
    candidates = []
    for query in range(QUERIES):
        inside = masks[query] > 0.5
        quality = masks[query][inside].mean() if inside.any() else torch.tensor(0.0)
        candidates += [(chances[query, label].item(), quality, query, label) for label in range(CLASSES)]
    best = sorted(candidates, key=lambda candidate: -candidate[0])[:5]
    expected = sorted(((c * q.item(), query, label) for c, q, query, label in best), reverse=True)

    objects = find_objects(found, size, name="x", limit=5)
    np.testing.assert_allclose(objects.scores, [score for score, *_ in expected], rtol=1e-5)
    assert objects.labels.tolist() == [label for *_, label in expected]
    for mask, (_, query, _) in zip(objects.masks, expected, strict=True):
        assert np.array_equal(mask, (masks[query] > 0.5).numpy())


def test_an_empty_mask_is_no_object():
    objects = find_objects(by_hand([0, 1], [[[0, 0]], [[0, 1]]]), (1, 2), name="x", limit=2)
    assert objects.masks.tolist() == [[[False, True]]]
    assert objects.labels.tolist() == [1]
    np.testing.assert_allclose(objects.scores, [1.0], rtol=1e-5)


def test_each_pixel_belongs_to_its_best_segment(chunk):
    # Query 0: thing 0 on the left two; 1: thing 0 on the right; 2: stuff 2 in the middle; 3: nothing.
    masks = [[[1, 1, 0, 0, 0, 0]], [[0, 0, 0, 0, 1, 1]], [[0, 0, 1, 1, 0, 0]], [[1, 1, 1, 1, 1, 1]]]
    found = find_segments(by_hand([0, 0, 2, 3], masks), (1, 6), is_thing=[True, True, False], name="x")
    assert found.segment_ids.tolist() == [[1, 1, 3, 3, 2, 2]]
    assert found.segment_ids.dtype == np.int32
    assert found.labels.tolist() == [0, 0, 2]
    assert found.is_thing.tolist() == [True, True, False]


def test_stuff_of_one_class_is_one_segment_and_things_are_not():
    masks = [[[1, 1, 0, 0]], [[0, 0, 1, 1]]]
    stuff = find_segments(by_hand([2, 2], masks), (1, 4), is_thing=[True, True, False], name="x")
    assert stuff.segment_ids.tolist() == [[1, 1, 1, 1]]
    things = find_segments(by_hand([2, 2], masks), (1, 4), is_thing=[True, True, True], name="x")
    assert things.segment_ids.tolist() == [[1, 1, 2, 2]]


def test_a_segment_that_loses_most_of_its_mask_is_left_out():
    # The second query has 4 pixels of which the first, surer one takes 2: half is less than 0.8.
    found = by_hand([0, 1], [[[1, 1, 0, 0]], [[1, 1, 1, 1]]])
    found.class_logits[0, 1, 1] = 4.0
    things = [True] * 3
    assert find_segments(found, (1, 4), is_thing=things, name="x").segment_ids.tolist() == [[1, 1, 0, 0]]
    lenient = find_segments(found, (1, 4), is_thing=things, name="x", overlap_threshold=0.5)
    assert lenient.segment_ids.tolist() == [[1, 1, 2, 2]]


def test_an_unsure_class_is_no_segment():
    found = by_hand([0], [[[1, 1]]])
    found.class_logits[0, 0, 0] = 1.0  # e / (e + 3) = 0.48
    for threshold, expected in ((0.8, 0), (0.4, 1)):
        segments = find_segments(found, (1, 2), is_thing=[True] * 3, name="x", object_threshold=threshold)
        assert len(segments.labels) == expected
        assert segments.segment_ids.max() == expected


def test_panoptic_equals_the_papers_way_of_all_masks_at_once(chunk):
    found, size, is_thing = outputs(sure=6.0, seed=3), (20, 17), [True, False, True]
    chances, labels = found.class_logits[0].softmax(-1).max(-1)
    kept = (labels < CLASSES) & (chances > 0.5)
    masks = every_mask(found, size)[kept]
    owner = (masks * chances[kept][:, None, None]).argmax(0)
    expected, stuff, count = torch.zeros(size, dtype=torch.int32), {}, 0
    for query, label in enumerate(labels[kept].tolist()):
        won, whole = (owner == query).sum(), (masks[query] >= 0.5).sum()
        mine = (owner == query) & (masks[query] >= 0.5)
        if not mine.any() or won / whole < 0.3:
            continue
        if label in stuff:
            expected[mine] = stuff[label]
            continue
        count += 1
        expected[mine] = count
        if not is_thing[label]:
            stuff[label] = count
    segments = find_segments(
        found, size, is_thing=is_thing, name="x", object_threshold=0.5, overlap_threshold=0.3
    )
    assert count >= 2
    assert np.array_equal(segments.segment_ids, expected.numpy())
    assert len(segments.labels) == count


def test_nothing_found():
    segments = find_segments(by_hand([3], [[[1, 1]]]), (2, 4), is_thing=[True] * 3, name="x")
    assert segments.segment_ids.shape == (2, 4)
    assert not segments.segment_ids.any()
    assert len(segments.labels) == 0
