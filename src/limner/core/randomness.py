"""Randomness without state: every draw is a function of (seed, purpose, step, position).

The same run gives the same numbers whatever the number of workers, and after kill and resume.
"""

from zlib import crc32

import numpy as np


def generator(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """Return the random generator of one draw.

    Args:
        seed: The run's seed.
        purpose: What is drawn, such as ``"augment"``: two purposes never share numbers.
        counters: Where in the run: step, position in the batch, epoch, ...

    Returns:
        A generator whose numbers depend on nothing but the arguments.
    """
    # The number of counters is part of it, since SeedSequence takes no notice of zeros at the end.
    entropy = [seed, crc32(purpose.encode()), len(counters), *counters]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def torch_seed(seed: int, purpose: str, *counters: int) -> int:
    """Return a 63-bit seed for ``torch.manual_seed``, from the same arguments as `generator`."""
    return int(generator(seed, purpose, *counters).integers(2**63 - 1))
