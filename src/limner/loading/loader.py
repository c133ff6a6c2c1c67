"""Endless training batches from a pool of threads, independent of the number of threads.

Threads instead of processes: decoding and OpenCV release the GIL, nothing is pickled, shared memory cannot
run out, and exceptions keep their traceback.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
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
from limner.loading.sampler import training_order

Augment = Callable[[Sample, np.random.Generator], Sample]
"""Random augmentation of a sample, such as a `Pipeline`."""

Mix = Callable[[Batch, np.random.Generator], Batch]
"""Random mixture of the images of a batch, such as a `Mixing`."""


class BatchStream(Iterator[Batch]):
    """Endless batches; stops its threads when closed, garbage-collected or exited as a context manager.

    Attributes:
        step: Step of the next batch.
        wait_seconds: Time that the last `next` took, for which training waited.
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
            # Threads refer only to `make_batch`, so the stream can be garbage-collected, which stops them.
            self._finalizer = finalize(self, self._pool.shutdown, wait=False, cancel_futures=True)

    def __next__(self) -> Batch:
        """Return the next batch.

        Raises:
            DataError: A file cannot be used; the message names it.
            RuntimeError: Another error occurred while preparing a sample; the message names the sample, and
                the original exception is its cause.
        """
        started = perf_counter()
        batch = self._make_batch(self.step) if self._pool is None else self._next_from(self._pool)
        self.step += 1
        self.wait_seconds = perf_counter() - started
        return batch

    def _next_from(self, pool: ThreadPoolExecutor) -> Batch:
        # Submit one more than `_ahead`, since one is taken below; so the threads are busy while this waits.
        while len(self._pending) <= self._ahead:
            self._pending.append(pool.submit(self._make_batch, self.step + len(self._pending)))
        try:
            return self._pending.popleft().result()
        except BaseException:
            self._pending.clear()  # the caller may retry the same step
            raise

    def close(self) -> None:
        """Stop the threads after their current batches; pending batches are discarded."""
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
    balanced: bool = False,
    mix: Mix | None = None,
) -> BatchStream:
    """Return the endless batches of a run.

    Batch number `step` is a function of the dataset, the pipeline, `batch_size`, `seed` and the replica. It
    does not depend on the number of workers, and ``first_step=n`` is equivalent to skipping n batches.

    Args:
        dataset: The training images.
        pipeline: Augments a sample, given its random generator.
        batch_size: Number of samples per batch, of all processes together.
        seed: The run's seed.
        first_step: First step, for resuming.
        workers: Number of threads that prepare batches; 0 prepares each on request. At most
            ``workers + 2`` batches exist at once.
        replica: Rank of this process among those that train together; each gets its part of every batch,
            whose sizes differ by one at most.
        num_replicas: Number of processes that train together.
        pin_memory: Whether to put images in page-locked memory, from which accelerators copy while they
            compute.
        balanced: Whether each class of whole images is used equally often, instead of each image.
        mix: Mixes the images of a batch.

    Raises:
        DataError: The dataset is empty.
        ConfigError: Classes are to be balanced, and an image has none.
    """
    if len(dataset) == 0:
        raise DataError("The training split is empty: there are no images to draw batches from.")
    order = training_order(dataset.classes, seed=seed, balanced=balanced)

    def make_batch(step: int) -> Batch:
        first, end = (batch_size * rank // num_replicas for rank in (replica, replica + 1))
        slots = range(step * batch_size + first, step * batch_size + end)
        samples = [_augmented(dataset, order.index_of(slot), pipeline, seed, slot) for slot in slots]
        if mix is None:
            return collate(samples, pin_memory=pin_memory)
        mixed = mix(collate(samples), generator(seed, "mix", step, replica))
        return replace(mixed, images=mixed.images.pin_memory()) if pin_memory else mixed

    if workers:
        # Otherwise each thread would start OpenCV's own pool: more threads than cores, and slower.
        cv2.setNumThreads(1)
    return BatchStream(make_batch, first_step=first_step, workers=workers)


def _augmented(dataset: Dataset, index: int, pipeline: Augment, seed: int, slot: int) -> Sample:
    """Return one augmented sample.

    Raises:
        LimnerError: A file cannot be used.
        RuntimeError: Anything else went wrong; the message names the sample.
    """
    try:
        return pipeline(dataset[index], generator(seed, "augment", slot))
    except LimnerError:
        raise
    except Exception as error:
        name = dataset.name_of(index)
        raise RuntimeError(f"Preparing {name!r} failed with {type(error).__name__}: {error}") from error
