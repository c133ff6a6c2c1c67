"""Where a verb runs, and who looks on: handed whole to every step of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from limner.core.progress import Track, silent
from limner.core.watchers import Watcher


@dataclass(frozen=True)
class Execution:
    """Where a verb runs, and who looks on.

    Attributes:
        device: ``auto``, or a device as PyTorch names it.
        track: Progress display for the preparation and the evaluation.
        watchers: Look on during the training.
    """

    device: str = "auto"
    track: Track = silent
    watchers: Sequence[Watcher] = ()
