"""Finished verdicts on disk, one JSON line each: what a killed run leaves for the next to go on with."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from ..theory._checks import bad
from .plan import decode, encode
from .report.files import folder
from .verdict import Verdict

SCHEMA = "scoreproof.journal/1"
NAME = "journal.jsonl"


class Journal:
    """An append-only file in the output folder, held by one run at a time.

    The first line is the key of the run: version, seed, profile, false-alarm rate and plan. A line
    that was torn by a kill, and whatever follows it, is dropped when the journal is taken up again.

    Args:
        out: output folder, made if it does not exist.
        key: what must agree for verdicts to be taken over.
        started: when this run starts.
        resume: take over the verdicts of a run with the same key.

    Raises:
        ValueError: the folder cannot be made, another run holds it, or the key does not agree.
    """

    def __init__(
        self, out: str | Path, *, key: Mapping[str, Any], started: str, resume: bool
    ) -> None:
        self.path = folder(out) / NAME
        self.started = started
        self.elapsed = 0.0
        self.verdicts: dict[str, Verdict] = {}
        key = json.loads(json.dumps(dict(key)))
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            self._lock()
            kept = self._take_over(key) if resume else 0
            os.ftruncate(self._file, kept)
            os.lseek(self._file, 0, os.SEEK_END)
            if not kept:
                self._append({"schema": SCHEMA, "key": key, "started": started})
        except BaseException:
            self.close()
            raise

    def _unwritable(self, error: OSError) -> ValueError:
        return bad(
            "out",
            f"{str(self.path)!r} ({error.strerror or error})",
            "a file that can be written",
            "free some space, or name another folder",
        )

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise bad(
                "out",
                f"{str(self.path.parent)!r}, which another run is writing",
                "a folder of its own for each run",
                "wait for that run, or name another folder",
            ) from None
        except OSError:
            pass  # a file system without locks

    def _take_over(self, key: Mapping[str, Any]) -> int:
        """Reads what an earlier run left; returns the number of bytes that are whole."""
        lines = self.path.read_bytes().splitlines(keepends=True)
        head = _line(lines[0]) if lines else None
        if head is None:
            return 0
        found = head.get("key")
        if head.get("schema") != SCHEMA or not isinstance(found, dict):
            raise bad(
                "resume",
                f"{str(self.path)!r} with schema {head.get('schema')!r}",
                repr(SCHEMA),
                "run without resume",
            )
        for name, wanted in key.items():
            if found.get(name) != wanted:
                raise _disagreement(name, found.get(name), wanted)
        self.started = str(head.get("started", self.started))
        kept = len(lines[0])
        for line in lines[1:]:
            entry = _line(line)
            try:
                assert entry is not None
                verdict = decode(json.dumps(entry["verdict"]))
                self.elapsed = float(entry["elapsed"])
            except (AssertionError, KeyError, TypeError, ValueError):
                break
            if not entry.get("cut"):
                self.verdicts[verdict.claim] = verdict
            kept += len(line)
        return kept

    def add(self, verdict: Verdict, *, elapsed: float, cut: bool = False) -> None:
        """Writes a finished verdict through to the disk.

        Args:
            verdict: what was found.
            elapsed: seconds since the run started, interruptions not counted.
            cut: the claim was stopped by a limit or lost its worker; a resumed run tries it again.

        Raises:
            ValueError: the disk does not take it.
        """
        entry = {"verdict": json.loads(encode(verdict)), "elapsed": round(elapsed, 3)}
        self._append({**entry, "cut": True} if cut else entry)
        self.verdicts[verdict.claim] = verdict

    def _append(self, entry: Mapping[str, Any]) -> None:
        rest = memoryview(json.dumps(entry, ensure_ascii=True, allow_nan=False).encode() + b"\n")
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        except OSError as error:
            raise self._unwritable(error) from error

    def close(self) -> None:
        """Lets go of the file, so that another run may have it."""
        if self._file < 0:
            return
        with contextlib.suppress(OSError):  # a fork may hold a copy of the descriptor
            fcntl.flock(self._file, fcntl.LOCK_UN)
        os.close(self._file)
        self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _line(line: bytes) -> dict[str, Any] | None:
    """A whole line of the journal, or None where it was torn."""
    if not line.endswith(b"\n"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _disagreement(name: str, found: Any, wanted: Any) -> ValueError:
    if name == "plan":
        found_ids = [str(p[0]) for p in found or ()]
        wanted_ids = [str(p[0]) for p in wanted]
        if found_ids != wanted_ids:
            odd = sorted(set(found_ids) ^ set(wanted_ids))[:3]
            return bad(
                "resume",
                f"a journal of {len(found_ids)} claims",
                f"one of the same {len(wanted_ids)} claims (they differ in {', '.join(odd)})",
                "name the same claims, or run without resume",
            )
        return bad(
            "resume",
            "a journal of claims with other checks",
            "the same checks",
            "run without resume",
        )
    return bad(
        "resume",
        f"a journal with {name} {found!r}",
        f"{name} {wanted!r}",
        f"set {name} to that of the journal, or run without resume",
    )
