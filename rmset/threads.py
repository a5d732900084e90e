"""Work done at the same time in threads of one process; the results do not depend on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

THREADS = 2
"""how many, whatever the number of cores: other videos may be at work on those"""


def at_once(tasks: Iterable[Callable[[], T]]) -> list[T]:
    """Run tasks in threads: worth it for those that release the GIL, as NumPy and OpenCV do on large arrays.

    Returns:
        Their results in the given order.

    Raises:
        Exception: that of the first task that failed.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        return [done.result() for done in [pool.submit(task) for task in tasks]]
