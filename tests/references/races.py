"""Attempts of several threads at the same moment."""

import threading
from concurrent.futures import ThreadPoolExecutor


def winners(count, attempt):
    """Call `attempt` with each number in a thread of its own, all at once; return those it succeeded for."""
    start = threading.Barrier(count)

    def run(number):
        start.wait()
        return attempt(number)

    with ThreadPoolExecutor(count) as pool:
        return [number for number, has_won in enumerate(pool.map(run, range(count))) if has_won]
