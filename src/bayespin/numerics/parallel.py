"""Independent pieces of work on several threads, their results in order."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    one: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    stop: threading.Event | None = None,
) -> Iterator[Result]:
    """Yield one result per item, in order, from this thread or from a pool of `workers`.

    When anything goes wrong, Ctrl-C included, `stop` is set before the pool is waited for, so that
    long work which looks at it ends early.
    """
    if workers == 1:
        yield from map(one, items)
        return
    threads = torch.get_num_threads()
    # torch counts threads per calling thread: inside the pool each item gets one, so that two
    # workers on two cores do not wait for each other; the caller's own count stays as it is.
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield from pool.map(one, items)
    except BaseException:
        if stop is not None:
            stop.set()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
