"""Endless training batches from a pool of threads, the same ones whatever the number of threads.

Threads, not processes: decoding and OpenCV release the GIL, nothing is pickled, no shared memory can run out,
and an exception keeps its own traceback.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from time import perf_counter
from weakref import finalize

import cv2
import numpy as np

from limner.core.batch import Batch
from limner.core.errors import DataError, LimnerError
from limner.core.randomness import generator
from limner.core.sample import Sample
from limner.loading.collate import collate
from limner.loading.dataset import Dataset
from limner.loading.sampler import ShuffledOrder

Augment = Callable[[Sample, np.random.Generator], Sample]
"""Draws a variant of a sample; `Pipeline` is one."""


class BatchStream(Iterator[Batch]):
    """Endless batches; closes its threads when closed, dropped or left as a context.

    Attributes:
        step: The step of the next batch.
        wait_seconds: How long the last `next` waited: what loading costs the training loop.
    """

    def __init__(
        self,
        make_batch: Callable[[int], Batch],
        *,
        first_step: int,
        workers: int,
    ) -> None:
        self.step = first_step
        self.wait_seconds = 0.0
        self._make_batch = make_batch
        self._ahead = workers + 1
        self._pending: deque[Future[Batch]] = deque()
        self._pool = ThreadPoolExecutor(workers, "limner-loading") if workers else None
        if self._pool is not None:
            # The pool's threads know `make_batch` only, so that dropping the stream ends them.
            self._finalizer = finalize(self, self._pool.shutdown, wait=False, cancel_futures=True)

    def __next__(self) -> Batch:
        """Return the next batch.

        Raises:
            DataError: A file cannot be used; the message names it.
            RuntimeError: Anything else that went wrong while a sample was prepared; the message names the
                sample, and the cause with its own traceback hangs below.
        """
        started = perf_counter()
        batch = self._make_batch(self.step) if self._pool is None else self._next_from(self._pool)
        self.step += 1
        self.wait_seconds = perf_counter() - started
        return batch

    def _next_from(self, pool: ThreadPoolExecutor) -> Batch:
        # One more than the threads, counting the batch that is taken: its place is refilled before waiting.
        while len(self._pending) <= self._ahead:
            self._pending.append(pool.submit(self._make_batch, self.step + len(self._pending)))
        try:
            return self._pending.popleft().result()
        except BaseException:
            self._pending.clear()  # the same step may be asked for again
            raise

    def close(self) -> None:
        """Stop the threads after the batch each is at; waiting batches are dropped."""
        self._pending.clear()
        if self._pool is not None:
            self._finalizer.detach()
            self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> "BatchStream":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def training_batches(
    dataset: Dataset,
    pipeline: Augment,
    *,
    batch_size: int,
    seed: int,
    first_step: int = 0,
    workers: int = 2,
    replica: int = 0,
    num_replicas: int = 1,
    pin_memory: bool = False,
) -> BatchStream:
    """Return the endless batches of a run.

    Batch number `step` is a function of the dataset, the pipeline, `batch_size`, `seed` and the replica: the
    number of workers changes nothing, and ``first_step=n`` gives what skipping n batches gives.

    Args:
        dataset: What to draw from.
        pipeline: Makes a variant of a sample from its own random generator.
        batch_size: Samples in a batch.
        seed: The run's seed.
        first_step: The step to begin with, for resuming.
        workers: Threads that prepare batches; 0 prepares each when it is asked for. At most
            ``workers + 2`` batches exist at once.
        replica: Number of this process among those that train together; each gets other samples.
        num_replicas: Processes that train together.
        pin_memory: Put batches in page-locked memory, for CUDA.

    Raises:
        DataError: The dataset is empty.
    """
    if len(dataset) == 0:
        raise DataError("The training split is empty: there are no images to draw batches from.")
    order = ShuffledOrder(len(dataset), seed)

    def make_sample(slot: int) -> Sample:
        index = order.index_of(slot)
        try:
            return pipeline(dataset[index], generator(seed, "augment", slot))
        except LimnerError:
            raise
        except Exception as error:
            name = dataset.records[index].name
            raise RuntimeError(f"Preparing {name!r} failed with {type(error).__name__}: {error}") from error

    def make_batch(step: int) -> Batch:
        first = (step * num_replicas + replica) * batch_size
        return collate([make_sample(first + i) for i in range(batch_size)], pin_memory=pin_memory)

    if workers:
        # Each of our threads would start OpenCV's own pool on top: more threads than cores, and slower.
        cv2.setNumThreads(1)
    return BatchStream(make_batch, first_step=first_step, workers=workers)
