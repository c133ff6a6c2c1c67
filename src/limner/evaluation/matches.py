"""The scores of matched segments by name, as scores.json, intervals and validation have them."""

from typing import Any

from limner.metrics.segment_matches import IOUS, MatchScores

STRICT = IOUS.index(0.75)
"""The second IoU at which F1 is named: the segment is not only found but outlined well."""


def named_matches(found: MatchScores) -> dict[str, float]:
    """Return score name -> value."""
    return {
        "f1": float(found.f1[0]),
        "f1_75": float(found.f1[STRICT]),
        "precision": float(found.precision[0]),
        "recall": float(found.recall[0]),
        "count_error": found.count_error,
        "count_bias": found.count_bias,
    }


def match_rows(found: MatchScores) -> dict[str, Any]:
    """Return the F1 at each IoU, and the histogram of the matched IoUs."""
    ends = (*IOUS[1:], 1.0)
    return {
        "f1_by_iou": [
            {"iou": iou, "f1": float(f1), "precision": float(precision), "recall": float(recall)}
            for iou, f1, precision, recall in zip(IOUS, found.f1, found.precision, found.recall, strict=True)
        ],
        "matched_iou": [
            {"low": low, "high": high, "pairs": int(pairs)}
            for low, high, pairs in zip(IOUS, ends, found.pairs, strict=True)
        ],
    }
