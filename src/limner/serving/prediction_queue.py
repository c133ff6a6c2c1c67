"""The queue of predictions: bounded, one at a time on the device, with reading and writing beside it.

limner's predictor takes one image at a time, so concurrent requests are not stacked into batches: one thread
predicts, while other threads read the next images and write the results of the last ones.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from limner.serving.limits import Limits
from limner.serving.refusal import Refusal, gone

AHEAD = 3
"""Number of images in memory that are read or predicted; further ones wait on disk."""
HELPERS = 4
"""Threads that read images and write results."""
LONGEST_RETRY = 60
RECENT = 0.1
"""Weight of the last prediction in the running mean of their seconds."""

R = TypeVar("R")
S = TypeVar("S")


class PredictionQueue:
    """Accepts requests up to a number, and predicts their images one after the other.

    Attributes:
        num_accepted: Number of requests that are received, waiting or computed now.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._predicting = ThreadPoolExecutor(1, thread_name_prefix="limner-predict")
        self._helping = ThreadPoolExecutor(HELPERS, thread_name_prefix="limner-images")
        self._ahead = asyncio.Semaphore(AHEAD)
        self._mean_seconds = 1.0
        self.num_accepted = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take a place in the queue.

        Raises:
            Refusal: There is none; it says after how many seconds there may be one.
        """
        if self.num_accepted >= self._limits.queue:
            seconds = min(LONGEST_RETRY, max(1, math.ceil(self._mean_seconds * self.num_accepted)))
            raise Refusal(
                429,
                "The server has as many requests as it accepts",
                found=f"{self.num_accepted} requests",
                expected=f"at most {self._limits.queue} at the same time",
                fix=f"Send the request again in {seconds} s, or start the server with a larger --queue.",
                headers={"Retry-After": str(seconds)},
            )
        self.num_accepted += 1
        try:
            yield
        finally:
            self.num_accepted -= 1

    async def predict(
        self,
        read: Callable[[], S],
        predict: Callable[[S], R],
        *,
        is_gone: Callable[[], Awaitable[bool]],
    ) -> R:
        """Read an image in one thread and predict it in the thread of predictions.

        Args:
            read: Reads the image.
            predict: Predicts it.
            is_gone: Tells whether the client closed the connection, so that no prediction is needed.

        Raises:
            Refusal: It took longer than the limit, or the client is gone.
        """
        try:
            return await asyncio.wait_for(self._predict(read, predict, is_gone), self._limits.timeout)
        except (asyncio.TimeoutError, TimeoutError):
            raise Refusal(
                504,
                "The prediction took too long",
                found=f"no result after {self._limits.timeout:g} s of waiting and computing",
                expected=f"at most {self._limits.timeout:g} s",
                fix="Send smaller images or fewer at once, or start the server with a larger --timeout.",
            ) from None

    async def help(self, work: Callable[[], R]) -> R:
        """Run a function in a thread beside the predictions."""
        return await _run(self._helping, work)

    def close(self) -> None:
        """Finish the running predictions, and end the threads."""
        self._predicting.shutdown(wait=True, cancel_futures=True)
        self._helping.shutdown(wait=True, cancel_futures=True)

    async def _predict(
        self, read: Callable[[], S], predict: Callable[[S], R], is_gone: Callable[[], Awaitable[bool]]
    ) -> R:
        async with self._ahead:
            if await is_gone():
                raise gone()
            ready = await self.help(read)
            return await _run(self._predicting, lambda: self._timed(predict, ready))

    def _timed(self, predict: Callable[[S], R], ready: S) -> R:
        started = time.perf_counter()
        result = predict(ready)
        self._mean_seconds += RECENT * (time.perf_counter() - started - self._mean_seconds)
        return result


async def _run(executor: Executor, work: Callable[[], R]) -> R:
    return await asyncio.get_running_loop().run_in_executor(executor, work)
