"""Decoding of queries to the objects or segments of one image at its original size.

Paper: Mask2Former (Cheng et al., CVPR 2022), https://arxiv.org/abs/2112.01527; thresholds as in the paper.
Masks are resized to the image a few at a time, and only those of queries that can contribute.

Shape legend: Q queries, K classes, C channels, N segments, n some of them, *s network resolution, *S the
image's.
"""

from collections.abc import Iterator, Sequence
from math import prod

import torch

from limner.core.outputs import Outputs, QueryMasks, resize_logits
from limner.core.prediction import PanopticPrediction, SegmentPrediction
from limner.decoding.numbered_segments import NumberedSegments
from limner.decoding.query_arrays import MASK_ELEMENTS, MOST_OBJECTS, OBJECT_THRESHOLD, OVERLAP_THRESHOLD

_MASK_ELEMENTS_ACCELERATOR = 2**27


def as_queries(outputs: Outputs) -> QueryMasks:
    """Return outputs that are queries, as planning has made sure they are."""
    assert isinstance(outputs, QueryMasks), f"no queries: {type(outputs).__name__}"
    return outputs


def find_objects(
    outputs: QueryMasks, size: Sequence[int], *, name: str, image: int = 0, limit: int = MOST_OBJECTS
) -> SegmentPrediction:
    """Return the objects of one image; each pair of query and class is a candidate.

    The score is the probability of the class times the mean mask probability inside the mask (where it
    is above 0.5). Candidates with empty masks are omitted.

    Args:
        outputs: Network outputs.
        size: *S, the image's size.
        name: Name of the image.
        image: Index in the batch.
        limit: Maximum number of candidates.
    """
    chances = outputs.class_logits[image].float().softmax(-1)[:, :-1]  # (Q, K)
    best = chances.flatten().topk(min(limit, chances.numel()))
    queries = best.indices // chances.shape[1]
    labels = best.indices % chances.shape[1]
    used, place = torch.unique(queries, return_inverse=True)  # a query may be a candidate for several classes
    masks = torch.empty((len(used), *size), dtype=torch.bool, device=chances.device)
    quality = torch.empty(len(used), device=chances.device)
    for rows, scores in _masks_in_chunks(outputs, image, used, size):
        masks[rows] = inside = scores > 0
        area = inside.flatten(1).sum(1)
        covered = (scores.sigmoid_() * inside).flatten(1).sum(1)
        quality[rows] = covered / area.clamp(min=1)
    scores = best.values * quality[place]
    order = scores.argsort(descending=True, stable=True)
    order = order[scores[order] > 0]
    return SegmentPrediction(
        name,
        masks[place[order]].cpu().numpy(),
        labels[order].cpu().numpy(),
        scores[order].cpu().numpy(),
    )


def find_segments(
    outputs: QueryMasks,
    size: Sequence[int],
    *,
    is_thing: Sequence[bool],
    name: str,
    image: int = 0,
    object_threshold: float = OBJECT_THRESHOLD,
    overlap_threshold: float = OVERLAP_THRESHOLD,
) -> PanopticPrediction:
    """Return the segments of one image; each pixel is in at most one, that of its best query.

    Regions of the same stuff class become one segment with the highest of their scores.

    Args:
        outputs: Network outputs.
        size: *S, the image's size.
        is_thing: Whether each of the K classes is countable.
        name: Name of the image.
        image: Index in the batch.
        object_threshold: Queries with a lower class probability are omitted.
        overlap_threshold: Queries that keep a smaller fraction of their mask's area are omitted.
    """
    chances, labels = outputs.class_logits[image].float().softmax(-1).max(-1)  # (Q,)
    kept = ((labels < len(is_thing)) & (chances > object_threshold)).nonzero().flatten()
    winner = torch.full(tuple(size), -1, device=chances.device)
    best = torch.zeros(tuple(size), device=chances.device)
    sure = torch.zeros(tuple(size), dtype=torch.bool, device=chances.device)
    areas = []
    for rows, scores in _masks_in_chunks(outputs, image, kept, size):
        probabilities = scores.sigmoid_()
        areas.append((probabilities >= 0.5).flatten(1).sum(1))
        weighted, place = (probabilities * chances[kept[rows]].view(-1, *[1] * len(size))).max(0)
        better = weighted > best
        best = torch.where(better, weighted, best)
        winner = torch.where(better, place + rows.start, winner)
        sure = torch.where(better, probabilities.gather(0, place.unsqueeze(0))[0] >= 0.5, sure)
    count = len(kept)
    won = torch.bincount(winner.flatten() + 1, minlength=count + 1)[1:]
    visible = torch.bincount(torch.where(sure, winner, -1).flatten() + 1, minlength=count + 1)[1:]
    area = torch.cat(areas) if areas else won
    accepted = (visible > 0) & (area > 0) & (won >= overlap_threshold * area)
    segments = NumberedSegments(is_thing)
    ids = torch.zeros(count + 1, dtype=torch.int32)
    rows_of = zip(accepted.tolist(), labels[kept].tolist(), chances[kept].tolist(), strict=True)
    for query, (is_accepted, label, score) in enumerate(rows_of):
        if is_accepted:
            ids[query] = segments.add(label, score)
    winner = torch.where(sure, winner, count)
    return segments.prediction(name, ids.to(winner.device)[winner].cpu().numpy())


def _masks_in_chunks(
    outputs: QueryMasks, image: int, queries: torch.Tensor, size: Sequence[int]
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield slices of `queries`, and their mask logits (n, *S) float32."""
    features = outputs.features[image].float()
    limit = MASK_ELEMENTS if features.device.type == "cpu" else _MASK_ELEMENTS_ACCELERATOR
    step = max(1, limit // prod(size))
    for start in range(0, len(queries), step):
        rows = slice(start, min(start + step, len(queries)))
        scores = outputs.embeddings[image, queries[rows]].float() @ features.flatten(1)
        # Even without resizing the caller may overwrite the result: it is a fresh tensor.
        yield rows, resize_logits(scores.view(1, -1, *features.shape[1:]), size)[0]
