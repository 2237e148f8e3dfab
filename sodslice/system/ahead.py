"""`made_ahead`: what is made of each item in threads, a few items ahead of whom it is for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")

THREADS = 2


def made_ahead(make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """What is made of each item, in order; of one alone here, of more in threads.

    Args:
        make: called from threads, each time with another item.
        items: as they come; they are asked for here.
    """
    coming = iter(items)
    first = list(islice(coming, 2))
    if len(first) < 2:
        yield from map(make, first)
        return
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="sodslice-ahead")
    try:
        waiting: deque[Future[Made]] = deque(pool.submit(make, item) for item in first)
        while waiting:
            made = waiting.popleft().result()
            waiting.extend(pool.submit(make, item) for item in islice(coming, 1))
            yield made
    finally:
        pool.shutdown(cancel_futures=True)
