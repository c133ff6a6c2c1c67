"""Whole samples in the dataset's order, for validation and evaluation."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from limner.core.sample import Sample
from limner.loading.dataset import Dataset


def samples_in_order(dataset: Dataset, *, workers: int = 2) -> Iterator[Sample]:
    """Yield every sample once at full size, decoded ahead by threads.

    At most ``workers + 1`` samples exist at once, however large the dataset is. A file that cannot be read
    raises when its turn comes.

    Args:
        dataset: What to read.
        workers: Threads that decode; 0 decodes each sample when it is asked for.
    """
    if not workers:
        yield from (dataset[i] for i in range(len(dataset)))
        return
    pool = ThreadPoolExecutor(workers, "limner-reading")
    try:
        pending: deque[Future[Sample]] = deque()
        for index in range(len(dataset)):
            pending.append(pool.submit(dataset.__getitem__, index))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
