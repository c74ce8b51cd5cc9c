"""Work in several processes, one thread each; results in the order of the work, whatever the number of processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

T = TypeVar("T")


def in_order(work: Callable[..., T], calls: Sequence[tuple[Any, ...]], jobs: int) -> Iterator[T]:
    """Yields ``work(*call)`` of every call, as soon as it and all before it are done.

    Args:
        work: a function of a module, whose results depend on its arguments alone.
        calls: its arguments.
        jobs: processes; one works in this process.
    """
    if jobs <= 1:
        with threadpool_limits(limits=1):
            for call in calls:
                yield work(*call)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for future in [pool.submit(_alone, work, call) for call in calls]:
            yield future.result()


def _alone(work: Callable[..., T], call: tuple[Any, ...]) -> T:
    with threadpool_limits(limits=1):
        return work(*call)
