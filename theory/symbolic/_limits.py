"""Work in a subprocess that is ended at a time limit; what it answered until then is kept."""

from __future__ import annotations

import base64
import pickle
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

_CHILD = """
import base64, importlib, pickle, sys
module, function, arguments = pickle.loads(base64.b64decode(sys.stdin.read()))
for answer in getattr(importlib.import_module(module), function)(*arguments):
    print(base64.b64encode(pickle.dumps(answer)).decode(), flush=True)
"""


@dataclass(frozen=True)
class Answers:
    """What a subprocess gave.

    Attributes:
        answers: in order.
        why: reason if it did not come to its end, else empty.
    """

    answers: tuple[Any, ...]
    why: str = ""


def within(limit: float, module: str, function: str, arguments: tuple[Any, ...]) -> Answers:
    """Runs a generator function of a module in a fresh interpreter for at most ``limit`` seconds."""
    import cloudpickle

    sent = base64.b64encode(cloudpickle.dumps((module, function, arguments)))
    why = ""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _CHILD], input=sent, capture_output=True, timeout=limit
        )
        output = done.stdout
        if done.returncode:
            said = (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[
                -1
            ]
            why = f"the subprocess failed: {said[:80]}"
    except subprocess.TimeoutExpired as late:
        output, why = late.stdout or b"", f"time limit of {limit:g} s"
    whole = output[: output.rfind(b"\n") + 1].split()
    return Answers(tuple(pickle.loads(base64.b64decode(line)) for line in whole), why)
