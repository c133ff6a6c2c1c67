"""Device, progress display and watchers of a command, passed to all its steps."""

from collections.abc import Sequence
from dataclasses import dataclass

from limner.core.progress import Track, silent
from limner.core.watchers import Watcher


@dataclass(frozen=True)
class Execution:
    """Device, progress display and watchers of a command.

    Attributes:
        device: ``auto``, or the name of a PyTorch device.
        track: Progress display for the preparation and the evaluation.
        watchers: Observers of the training.
    """

    device: str = "auto"
    track: Track = silent
    watchers: Sequence[Watcher] = ()
