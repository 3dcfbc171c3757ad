"""Independent searches on several threads, each of them serial inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(
    task: Callable[[Item], Result], items: Sequence[Item], device: torch.device
) -> list[Result]:
    """*task* of each of *items*, in their order, on as many threads as torch would use.

    Inside a task torch works on one thread. A search is a long run of short operations, on
    which torch's own threads would mostly wait for each other; and a sum that is split over
    threads depends on their number in its last digits, but no result of a task does. Elsewhere
    than on the CPU the tasks simply run in turn.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        return [task(item) for item in items]
    workers = max(1, min(threads, len(items)))
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(task, items))
    finally:
        # The number is each thread's own, save for the matrix library and for later threads.
        torch.set_num_threads(threads)
