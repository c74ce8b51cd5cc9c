"""What a run will do: claims by id, group or object, each with its share of the false-alarm budget."""

from __future__ import annotations

import contextlib
import difflib
import json
import math
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..theory._checks import bad
from .claim import BUDGETS, Claim, decide
from .evidence import Evidence, plain
from .verdict import Verdict

#: Names under which the command line selects claims.
GROUPS = ("ledger", "digits", "laws", "network")
#: Part of a time limit after which checks are asked to give up of their own accord.
_SOFT = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One claim to decide; ``claim`` is None where the worker finds it in the ledger by ``id``."""

    id: str
    claim: Claim | None
    level: float
    seed: int
    profile: str
    timeout: float | None = None


def select(only: Any, ledger: Mapping[str, Claim]) -> list[Claim]:
    """Claims named by ids, groups, parents of ids (``S4`` for ``S4.density``) or given as objects.

    The order is that of the ledger, then that of the objects; a claim named twice is taken once.

    Raises:
        ValueError: an unknown name, something else than a name or a claim, or nothing selected.
    """
    if only is None:
        wanted: list[Any] = list(ledger)
    elif isinstance(only, str | Claim):
        wanted = [only]
    elif isinstance(only, Iterable):
        wanted = list(only)
    else:
        raise bad("only", type(only).__name__, "ids, group names or claims", "pass a list of them")
    chosen: set[str] = set()
    objects: dict[str, Claim] = {}
    for item in wanted:
        if isinstance(item, Claim):
            if objects.setdefault(item.id, item) is not item:
                raise bad("only", f"two claims with id {item.id!r}", "each id once", "rename one")
        elif isinstance(item, str):
            chosen |= _named(item, ledger)
        else:
            raise bad(
                "only", f"{item!r:.60}", "an id, a group name or a Claim", "correct the entry"
            )
    own = [objects.pop(id, claim) for id, claim in ledger.items() if id in chosen or id in objects]
    claims = own + list(objects.values())
    if not claims:
        raise bad("only", "no claim", "at least one", "name an id, a group or a claim")
    return claims


def _named(name: str, ledger: Mapping[str, Claim]) -> set[str]:
    if name in ledger:
        return {name}
    found = {id for id, c in ledger.items() if c.group == name or id.startswith(f"{name}.")}
    if found:
        return found
    groups = sorted({c.group for c in ledger.values() if c.group})
    if name in GROUPS:
        raise bad(
            "only",
            f"group {name!r}, which holds no claim",
            f"one of the groups {', '.join(groups) or '(none)'}",
            "name another group",
        )
    known = {key.lower(): key for key in (*ledger, *GROUPS, *groups)}
    close = difflib.get_close_matches(name.lower(), known, n=3)
    hint = (
        f"did you mean {' or '.join(known[c] for c in close)}?"
        if close
        else "`scoreproof claims` lists the ids"
    )
    raise bad("only", repr(name), f"the id of a claim or a group ({', '.join(GROUPS)})", hint)


def plan(
    claims: Iterable[Claim],
    ledger: Mapping[str, Claim],
    *,
    by_id: bool,
    profile: str,
    seed: int,
    false_alarm: float,
    timeout: float | None,
) -> list[Job]:
    """Jobs whose levels sum to ``false_alarm``, in proportion to the number of pieces of each claim.

    Args:
        claims: what to decide.
        ledger: claims that a worker can find by id.
        by_id: whether the workers have that ledger.
        profile: ``quick``, ``standard`` or ``deep``.
        seed: entropy of the run; a claim's own stream depends on it and on the id only.
        false_alarm: rate for the whole run.
        timeout: seconds a claim.

    Raises:
        ValueError: a parameter out of range.
    """
    if profile not in BUDGETS:
        raise bad("profile", repr(profile), f"one of {', '.join(BUDGETS)}", "correct it")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise bad("seed", repr(seed), "an integer, zero or more", "pass e.g. 0")
    if not isinstance(false_alarm, float | int) or not 0 < false_alarm < 1:
        raise bad("false_alarm", repr(false_alarm), "a rate between 0 and 1", "pass e.g. 1e-6")
    if timeout is not None and (
        not isinstance(timeout, float | int) or not 0 < timeout < math.inf
    ):
        raise bad("timeout", repr(timeout), "a positive number of seconds", "pass e.g. 60")
    claims = list(claims)
    total = sum(c.pieces for c in claims)
    return [
        Job(
            id=c.id,
            claim=None if by_id and ledger.get(c.id) is c else c,
            level=false_alarm * c.pieces / total,
            seed=seed,
            profile=profile,
            timeout=timeout,
        )
        for c in claims
    ]


_LOCK = threading.Lock()
_inside = 0
_undo: list[Any] = []


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One BLAS, OpenMP and torch thread: sums are taken in one order on any number of cores.

    Entered from several threads at once, it is left when the last of them leaves.
    """
    global _inside
    import threadpoolctl

    with _LOCK:
        if _inside == 0:
            limits = threadpoolctl.threadpool_limits(limits=1)
            _undo.append(limits.restore_original_limits)
            torch = sys.modules.get("torch")
            if torch is not None and hasattr(torch, "set_num_threads"):
                count = torch.get_num_threads()
                torch.set_num_threads(1)
                _undo.append(lambda: torch.set_num_threads(count))
        _inside += 1
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            while _inside == 0 and _undo:
                _undo.pop()()


def failed(claim: Claim, message: str, *, seconds: float = 0.0) -> Verdict:
    """The verdict on a claim whose code did not come to an end of its own: ERROR."""
    return Verdict(
        claim=claim.id,
        statement=claim.statement,
        role=claim.role,
        source=claim.source,
        assumptions=claim.assumptions,
        subject=dict(claim.parts.subject or {}),
        evidence=(Evidence.error("run", " ".join(message.split())[:400], seconds=seconds),),
    )


def _jsonable(value: Any) -> Any:
    return plain(value.tolist()) if hasattr(value, "tolist") else str(value)


def encode(verdict: Verdict) -> str:
    """One line of JSON; arrays become lists, and other objects the text that they print."""
    data = plain(verdict.to_dict())
    return json.dumps(data, ensure_ascii=True, allow_nan=False, default=_jsonable)


def decode(text: str) -> Verdict:
    """Inverse of :func:`encode`.

    Raises:
        ValueError: not JSON, or an outcome that the evidence does not give.
    """
    return Verdict.from_dict(json.loads(text))


def execute(job: Job) -> str:
    """Decides one claim, wherever it is called, and returns the verdict as JSON."""
    claim = job.claim
    if claim is None:
        from .claims import CLAIMS

        claim = CLAIMS[job.id]
    start = time.perf_counter()
    soft = None if job.timeout is None else time.monotonic() + _SOFT * job.timeout
    with one_thread():
        try:
            verdict = decide(
                claim, level=job.level, seed=job.seed, profile=job.profile, deadline=soft
            )
            return encode(verdict)
        except (Exception, SystemExit) as error:
            said = f"{type(error).__name__}: {error}"
            return encode(failed(claim, said, seconds=time.perf_counter() - start))


def execute_packed(payload: bytes, timeout: float | None, memory: int | None) -> str:
    """As :func:`execute` for a pickled job, in a worker of its own where there is a time limit."""
    import pickle

    if timeout is None:
        return execute(pickle.loads(payload))
    from .isolation import call_isolated

    return call_isolated(execute_packed, payload, None, None, timeout=timeout, memory=memory)
