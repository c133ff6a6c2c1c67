"""Settings of a probe: the last layer, fitted to the features of a frozen encoder."""

from collections.abc import Iterator, Mapping
from typing import Any

from limner.core.plan import Decision, ResizePlan
from limner.networks import NETWORKS
from limner.planning.decisions import Case

SIDE = 224
"""Side of the images that most encoders were pretrained with, in pixels."""

MOST_STEPS = 200
"""Maximum number of steps of L-BFGS, which usually stops after some dozens."""


def choose_probe(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Freeze the encoder, show it whole images, and fit the last layer to all of them at once."""
    entry = NETWORKS.get(settled["network.name"])
    if entry is None or not entry.is_probe:
        return
    yield Decision(
        "network.freeze", ("backbone",), "only the last layer is fitted, to the encoder's features"
    )
    dims = case.spatial_dims
    yield Decision("input.crop_size", (SIDE,) * dims, "the size that most encoders were pretrained with")
    reason = "the size that most encoders were pretrained with; long images are shown as a whole too"
    yield Decision("inference.resize", ResizePlan(shortest=SIDE, longest=2 * SIDE), reason)
    reason = "most steps of L-BFGS with all images at once; the encoder looks at each image only once"
    yield Decision("train.steps", MOST_STEPS, reason)
    yield Decision("train.validate_every", MOST_STEPS, "once, at the end")
    yield Decision("train.save_every", MOST_STEPS, "nothing to save before the end: it takes seconds")
    yield Decision("train.ema_decay", None, "L-BFGS ends in the optimum, so there is nothing to average")
    seen_once = "not used: features are computed once for each image, and for its mirror image"
    yield Decision("augment.crop_area", None, seen_once)
    yield Decision("augment.quarter_turns", False, seen_once)
    for key in ("brightness", "contrast", "saturation", "hue"):
        yield Decision(f"augment.{key}", 0.0, seen_once)
