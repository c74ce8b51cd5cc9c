"""One worker process as its parent sees it: start, run a task within limits, end."""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from typing import Any

from ._worker import HEAD, write_frame
from .isolation_errors import CannotPickle, IsolationError, TimeLimit, WorkerDied

START_LIMIT = 120.0  #: seconds that a worker may take to start or to load a task
_TAIL = 8192  #: bytes kept of what user code prints

# One thread each: sums are taken in one order, and jobs workers do not fight for jobs cores.
_ENVIRONMENT = {
    **dict.fromkeys(
        (
            "OMP_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "MKL_NUM_THREADS",
            "VECLIB_MAXIMUM_THREADS",
            "NUMEXPR_NUM_THREADS",
        ),
        "1",
    ),
    "MPLBACKEND": "Agg",
    "PYTHONFAULTHANDLER": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
}
LIVE: weakref.WeakSet[Worker] = weakref.WeakSet()


class Worker:
    """One worker process and the pipes to it."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self.gone = False
        self._ready = False
        self._buffer = bytearray()
        self._tail = b""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "scoreproof.validation._worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            env={**os.environ, **_ENVIRONMENT},
        )
        stdin, stdout, stderr = self._process.stdin, self._process.stdout, self._process.stderr
        assert stdin and stdout and stderr  # all three are pipes
        self._stdin, self._stdout, self._stderr = stdin, stdout, stderr
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()
        LIVE.add(self)

    @property
    def pid(self) -> int:
        """Process id, which is that of the group too."""
        return self._process.pid

    def _drain(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(self._stderr.fileno(), 65536):
                self._tail = (self._tail + chunk)[-_TAIL:]

    def _said(self) -> str:
        """The telling line of what the process printed last."""
        lines = self._tail.decode(errors="replace").splitlines()
        lines = [line.strip() for line in lines if line.strip()]
        fatal = [line for line in lines if line.startswith("Fatal Python error")]
        return (fatal or lines or [""])[-1][:200]

    def _ended(self) -> bool:
        """Whether the process has ended; it is not reaped, so that its group id stays taken."""
        if self.gone:
            return True
        if hasattr(os, "waitid"):
            try:
                return bool(os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))
            except ChildProcessError:
                return True
        return self._process.poll() is not None

    def _wait_for_end(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._ended() and time.monotonic() < until:
            time.sleep(0.005)

    def kill(self) -> None:
        """Ends the process and everything that it started."""
        with self._lock:
            if self.gone or self._owner != os.getpid():
                return
            self.gone = True
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
        self._reader.join(0.5)
        for pipe in (self._stdin, self._stdout):
            with contextlib.suppress(OSError):
                pipe.close()
        if not self._reader.is_alive():
            self._stderr.close()

    def hang_up(self) -> None:
        """Closes the input of the process, on which it ends itself."""
        with self._lock, contextlib.suppress(OSError):
            self._stdin.close()

    def close(self) -> None:
        """Ends an idle or busy process by closing its input; kills it if it does not listen."""
        if self._owner != os.getpid():
            return
        self.hang_up()
        self._wait_for_end(1.0)
        self.kill()

    def _death(self) -> WorkerDied:
        self._wait_for_end(1.0)
        self.kill()
        code = self._process.returncode
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                name = signal.Signals(-code).name
                how = f"was ended by {name}"
                if name == "SIGKILL":
                    how += " from outside, perhaps for want of memory"
                return WorkerDied(self._with_tail(f"the worker process {how}"))
        return WorkerDied(self._with_tail(f"the worker process ended with exit status {code}"))

    def _with_tail(self, message: str) -> str:
        said = self._said()
        return f"{message}; it last said: {said}" if said else message

    def _receive(self, until: float, late: str) -> bytes:
        """The next frame.

        Raises:
            TimeLimit: it did not come in time; the process is gone.
            WorkerDied: the process ended.
        """
        try:
            descriptor = self._stdout.fileno()
        except ValueError:
            raise self._death() from None
        poll = select.poll()
        poll.register(descriptor, select.POLLIN | select.POLLHUP)
        while True:
            if len(self._buffer) >= HEAD.size:
                size = HEAD.size + HEAD.unpack_from(self._buffer)[0]
                if len(self._buffer) >= size:
                    frame = bytes(self._buffer[HEAD.size : size])
                    del self._buffer[:size]
                    return frame
            left = until - time.monotonic()
            if left <= 0:
                self.kill()
                raise TimeLimit(late)
            if poll.poll(min(left, 0.5) * 1000):
                try:
                    chunk = os.read(descriptor, 1 << 20)
                except OSError:
                    chunk = b""
                if not chunk:
                    raise self._death()
                self._buffer += chunk
            elif self._ended():  # a grandchild may hold the pipe open
                raise self._death()

    def run(self, payload: bytes, *, timeout: float | None, memory: int | None) -> Any:
        """Runs a pickled ``(function, arguments)`` and returns what it returns.

        Raises:
            TimeLimit: it took more than ``timeout`` seconds, loading not counted.
            WorkerDied: the process ended in the middle.
            CannotPickle: the process could not load the task, or its result could not be sent.
            Exception: what the function raised, with the traceback of the worker as a note.
        """
        try:
            slow = f"the worker did not start in {START_LIMIT:g} s"
            if not self._ready:
                self._receive(time.monotonic() + START_LIMIT, slow)
                self._ready = True
            self._tail = b""
            request = pickle.dumps((sys.path, memory, payload))
            try:
                write_frame(self._stdin.fileno(), request)
            except (OSError, ValueError):
                raise self._death() from None
            reply = self._receive(time.monotonic() + START_LIMIT, slow)
            if reply[:1] == b"S":
                until = float("inf") if timeout is None else time.monotonic() + timeout
                late = (
                    f"time limit of {timeout or 0:g} s exceeded; raise the limit, or ask for less"
                )
                reply = self._receive(until, late)
        except IsolationError:
            raise
        except BaseException:  # Ctrl-C: the worker is in an unknown state
            self.kill()
            raise
        if reply[:1] == b"D":
            return pickle.loads(reply[1:])
        raise _raised(reply)


def _raised(reply: bytes) -> Exception:
    whole, said, trace = pickle.loads(reply[1:])
    if reply[:1] == b"L":
        return CannotPickle(f"the worker could not load the task ({said})")
    error: Exception | None = None
    if whole is not None:
        with contextlib.suppress(Exception):
            error = pickle.loads(whole)
    if not isinstance(error, Exception):
        error = RuntimeError(said)
    error.add_note(f"in the worker:\n{trace}")
    return error
