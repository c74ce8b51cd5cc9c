"""User code in worker processes: reused, in process groups of their own, stopped only on a limit."""

from __future__ import annotations

import atexit
import functools
import os
import queue
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from .isolation_errors import CannotPickle, TimeLimit, WorkerDied
from .pickling import dumps
from .workers import LIVE, Worker

__all__ = ["CannotPickle", "Pool", "TimeLimit", "WorkerDied", "call_isolated"]

T = TypeVar("T")


class Crew:
    """Workers that are lent out and taken back; a new one starts when none is idle."""

    def __init__(self) -> None:
        self._idle: list[Worker] = []
        self._all: list[Worker] = []
        self._lock = threading.Lock()
        self._closed = False

    def run(self, payload: bytes, *, timeout: float | None, memory: int | None) -> Any:
        """As :meth:`Worker.run`, on an idle worker."""
        with self._lock:
            if self._closed:
                raise WorkerDied("the workers were closed")
            worker = self._idle.pop() if self._idle else Worker()
            if worker not in self._all:
                self._all.append(worker)
        try:
            return worker.run(payload, timeout=timeout, memory=memory)
        finally:
            with self._lock:
                self._all = [w for w in self._all if not w.gone]
                if not worker.gone and not self._closed:
                    self._idle.append(worker)

    def close(self) -> None:
        """Ends all workers, busy ones too."""
        with self._lock:
            self._closed = True
            workers, self._all, self._idle = self._all, [], []
        for worker in workers:
            worker.hang_up()  # all of them at once, then each in turn
        for worker in workers:
            worker.close()


_crew = Crew()


def _after_fork() -> None:
    """A forked child has no workers: those of its parent are not its own."""
    global _crew
    _crew = Crew()


os.register_at_fork(after_in_child=_after_fork)


@atexit.register
def _end_all() -> None:
    for worker in list(LIVE):
        worker.kill()


def call_isolated(
    f: Callable[..., T], *args: Any, timeout: float | None = None, memory: int | None = None
) -> T:
    """``f(*args)`` in a worker process.

    Args:
        f: any function that cloudpickle can carry; others run in process, with a warning.
        args: its arguments.
        timeout: seconds, loading of the task not counted; None without limit.
        memory: bytes by which the address space may grow (Linux, no CUDA device); None without limit.

    Returns:
        What ``f`` returns.

    Raises:
        TimeLimit: ``f`` took longer; its process was stopped.
        WorkerDied: the process ended in the middle.
        Exception: what ``f`` raised.
    """
    try:
        payload = dumps((f, args))
        return _crew.run(payload, timeout=timeout, memory=memory)
    except CannotPickle as error:
        warnings.warn(
            f"runs in process, without limits, since it cannot be pickled ({error})", stacklevel=2
        )
        return f(*args)


class Pool(Executor):
    """An executor whose tasks run in isolated workers; the death of one is the loss of its task only.

    Args:
        jobs: number of workers.
        timeout: seconds a task; None without limit.
        memory: bytes by which a worker's address space may grow in a task; None without limit.
    """

    def __init__(
        self, jobs: int, *, timeout: float | None = None, memory: int | None = None
    ) -> None:
        self._crew = Crew()
        self._limits = (timeout, memory)
        self._queue: queue.SimpleQueue[tuple[Future[Any], bytes] | None] = queue.SimpleQueue()
        # Daemon threads: a task that hangs must not keep the interpreter from ending.
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(jobs)]
        self._closed = self._cancel = False
        for thread in self._threads:
            thread.start()

    def _serve(self) -> None:
        timeout, memory = self._limits
        while (item := self._queue.get()) is not None:
            future, payload = item
            if self._cancel:
                future.cancel()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(self._crew.run(payload, timeout=timeout, memory=memory))
            except BaseException as error:
                future.set_exception(error)

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Queues ``fn(*args, **kwargs)``.

        Raises:
            CannotPickle: the task has no form as bytes.
            RuntimeError: the pool was shut down.
        """
        if self._closed:
            raise RuntimeError("the pool was shut down; make a new one")
        payload = dumps((functools.partial(fn, **kwargs) if kwargs else fn, args))
        future: Future[T] = Future()
        self._queue.put((future, payload))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more tasks and ends the workers.

        Args:
            wait: let tasks come to their end; False stops those that run and cancels the rest.
            cancel_futures: cancel what has not begun.
        """
        self._closed = True
        self._cancel = self._cancel or cancel_futures or not wait
        for _ in self._threads:
            self._queue.put(None)
        if wait:
            for thread in self._threads:
                thread.join()
        self._crew.close()
