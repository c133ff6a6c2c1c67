"""Predictions of a dataset that the processes of a training share; the first one receives all, in order."""

import pickle
import zlib
from collections.abc import Callable, Sequence
from types import TracebackType

from torch import distributed

from limner.core.errors import DataError, LimnerError
from limner.core.prediction import Prediction
from limner.core.sample import Sample

IMAGES_AT_ONCE = 4
"""Number of images of each process whose predictions are sent together."""

Parts = dict[int, bytes]
"""Index of an image -> its prediction, or its error, compressed: masks of many objects are mostly zeros."""

Gather = Callable[[Parts], Sequence[Parts]]
"""Sends the parts of this process; in the first process, returns those of all."""


def gather_in_first(own: Parts) -> Sequence[Parts]:
    """Send parts to the first process of PyTorch's group, and return there those of all."""
    is_first = distributed.get_rank() == 0
    found: list[Parts] | None = [{} for _ in range(distributed.get_world_size())] if is_first else None
    distributed.gather_object(own, found, dst=0)
    return found or []


class DistributedPredictions:
    """Predicts every n-th image in each of n processes.

    The first process calls this object for its samples in order, inside of a `with` block of it, at whose end
    nothing is left to receive; the others call `help_first`.

    Args:
        names: Names of all images, in order.
        predict: Predicts a sample.
        rank: Rank of this process.
        num_processes: Number of processes.
        gather: Exchange between the processes; replaced in tests.
    """

    def __init__(
        self,
        names: Sequence[str],
        predict: Callable[[Sample], Prediction],
        *,
        rank: int,
        num_processes: int,
        gather: Gather = gather_in_first,
    ) -> None:
        self._predict, self._gather = predict, gather
        self._rank, self._processes = rank, num_processes
        self._index = {name: index for index, name in enumerate(names)}
        self._received: Parts = {}
        step = num_processes * IMAGES_AT_ONCE
        self._rounds = [] if num_processes == 1 else list(range(0, len(names), step))

    def __call__(self, sample: Sample) -> Prediction:
        """Return the prediction of a sample, wherever it was made.

        Raises:
            DataError: The image cannot be predicted.
        """
        index = self._index[sample.name]
        if index % self._processes == self._rank:
            return self._predict(sample)
        while index not in self._received:
            self._receive()
        found: Prediction | DataError = pickle.loads(zlib.decompress(self._received.pop(index)))
        if isinstance(found, DataError):
            raise found
        return found

    def __enter__(self) -> "DistributedPredictions":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The others wait until all is received, also of images that were not requested.
        while self._rounds and (error is None or isinstance(error, LimnerError)):
            self._receive()

    def help_first(self, read: Callable[[int], Sample]) -> None:
        """Predict the images of this process, for the first one.

        Args:
            read: Returns the sample of an index.
        """
        for first in self._rounds:
            end = min(first + self._processes * IMAGES_AT_ONCE, len(self._index))
            indices = range(first + self._rank, end, self._processes)
            self._gather({index: self._packed(read, index) for index in indices})

    def _packed(self, read: Callable[[int], Sample], index: int) -> bytes:
        made: Prediction | DataError
        try:
            made = self._predict(read(index))
        except DataError as error:  # the first process says so, and goes on with the others
            made = DataError(str(error))
        return zlib.compress(pickle.dumps(made), 1)

    def _receive(self) -> None:
        del self._rounds[0]
        for parts in self._gather({}):
            self._received |= parts
