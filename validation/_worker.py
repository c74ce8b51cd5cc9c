"""The process in which user code runs: ``python -m scoreproof.validation._worker``.

It reads tasks from standard input and writes replies to standard output, each a frame of eight bytes
of length and the message. Both descriptors are moved away before user code sees them: what that code
prints goes to standard error, which the parent keeps the tail of, and what it reads is empty.

Replies are one letter and a body: ``R`` ready, ``S`` task loaded, ``D`` done, ``E`` raised,
``L`` the task could not be loaded here.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import struct
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Any, BinaryIO

HEAD = struct.Struct(">Q")


def write_frame(descriptor: int, message: bytes) -> None:
    """Writes one message with its length before it, whole.

    Raises:
        OSError: the other end is gone.
    """
    rest = memoryview(HEAD.pack(len(message)) + message)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _listen(requests: BinaryIO, inbox: queue.SimpleQueue[bytes]) -> None:
    """Passes frames on; when the parent is gone, ends this process and all that it started."""
    while True:
        head = requests.read(HEAD.size)
        if len(head) < HEAD.size:
            break
        inbox.put(requests.read(HEAD.unpack(head)[0]))
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


def address_space() -> int:
    """Bytes of address space that this process has now; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as stream:
            return int(stream.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


@contextlib.contextmanager
def capped(memory: int | None) -> Iterator[None]:
    """Lets the address space grow by at most ``memory`` bytes; no cap where there is a CUDA device.

    A CUDA context reserves address space by the terabyte without using it.
    """
    used = address_space()
    if memory is None or not used or os.path.exists("/dev/nvidiactl"):
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    cap = used + memory if hard == resource.RLIM_INFINITY else min(used + memory, hard)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (cap, hard))
    except (OSError, ValueError):
        yield
        return
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _failure(error: BaseException) -> bytes:
    import cloudpickle

    try:
        whole = cloudpickle.dumps(error) if isinstance(error, Exception) else None
    except Exception:
        whole = None
    said = f"{type(error).__name__}: {error}"
    return pickle.dumps((whole, said, "".join(traceback.format_exception(error))))


def _answer(request: bytes, replies: int) -> None:
    import cloudpickle

    path, memory, payload = pickle.loads(request)
    sys.path[:] = path
    try:
        task, arguments = pickle.loads(payload)
    except BaseException as error:
        write_frame(replies, b"L" + _failure(error))
        return
    write_frame(replies, b"S")
    owner = os.getpid()
    reply: bytes
    try:
        with capped(memory):
            result: Any = task(*arguments)
        reply = b"D" + cloudpickle.dumps(result)
    except BaseException as error:
        reply = b"E" + _failure(error)
    if os.getpid() != owner:
        os._exit(0)  # a fork of user code came back; only the original answers
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    write_frame(replies, reply)


def main() -> None:
    """Answers tasks until the parent closes the pipe."""
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.dup(1)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests, inbox), daemon=True).start()
    write_frame(replies, b"R")
    while True:
        try:
            _answer(inbox.get(), replies)
        except BrokenPipeError:
            os._exit(0)


if __name__ == "__main__":
    main()
