"""Stateless random numbers: every draw is a function of (seed, purpose, step, position).

A run draws the same numbers with any number of workers, and after an interruption and resume.
"""

from zlib import crc32

import numpy as np


def generator(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """Return the random generator for one draw.

    Args:
        seed: The run's seed.
        purpose: What is drawn, such as ``"augment"``; different purposes have independent numbers.
        counters: Position in the run: step, position in the batch, epoch, ...

    Returns:
        A generator whose numbers depend only on the arguments.
    """
    # The number of counters is included, since SeedSequence ignores trailing zeros.
    entropy = [seed, crc32(purpose.encode()), len(counters), *counters]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def torch_seed(seed: int, purpose: str, *counters: int) -> int:
    """Return a 63-bit seed for ``torch.manual_seed``, from the same arguments as `generator`."""
    return int(generator(seed, purpose, *counters).integers(2**63 - 1))
