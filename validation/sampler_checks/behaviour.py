"""What a sampler does, apart from the law of its output: finite, reproducible, rows independent."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ...numerics.noise_log import NoiseLog
from ...theory.arrays import like, namespace
from ...theory.protocols import Array, Vector
from .._user_code import UserCodeError
from ..evidence import Allowed, Evidence, Measured, Outcome
from ..problems import Problem
from ..verdict import Mutant, NotChecked, Verdict
from .calls import Call, Caller

ROWS = 37  #: no step count and no usual dimension, so that the axis of the rows is known


def finite(
    caller: Caller, problem: Problem, steps: Sequence[int]
) -> tuple[Verdict, dict[int, Call]]:
    """The output has the shape ``(n, *shape)`` and every number is finite, at every step count.

    Returns:
        The verdict, and the call of each step count that did not fail.
    """
    evidence, mutants = [], []
    calls: dict[int, Call] = {}
    for k in steps:
        check = f"steps={k}"
        try:
            calls[k] = _start(caller, problem, k, log=NoiseLog(ROWS))
        except UserCodeError as error:
            evidence.append(Evidence.error(check, str(error)))
            continue
        evidence.append(_not_finite(calls[k].draws, check, caller.seed))
        broken = calls[k].draws.copy()
        broken[0, 0] = np.inf
        mutants.append(_mutant("one-infinite-number", _not_finite(broken, check, caller.seed)))
    used = [call.evaluations for call in calls.values()]
    return Verdict(
        claim="finite",
        statement="the sampler returns finite numbers of shape (n, *shape)",
        subject={**_subject(caller, problem), "steps": list(steps), "evaluations": used},
        evidence=tuple(evidence),
        mutants=tuple(mutants),
        samples_used=ROWS * len(calls),
        finding=_evaluations(calls, used),
    ), calls


def reproducible(
    caller: Caller, problem: Problem, steps: int, first: Call, *, deterministic: bool | None
) -> tuple[Verdict, bool]:
    """The same generator state gives the same bits, and another state gives other draws.

    Where the draws depend on the state of the global generators too, but on nothing else, the sampler honours
    a global generator: that is said, and the verdict is informative. A sampler that is declared deterministic
    must also give the same draws from the same starting points whatever the generator, and one that
    is declared random must not.

    Returns:
        The verdict, and whether generator and global states together fix the draws.
    """
    bare: dict[str, Any] = {
        "claim": "reproducible",
        "statement": "the same generator gives the same draws, another one gives others",
        "subject": {**_subject(caller, problem), "steps": steps},
    }
    pieces, mutants = [], []
    try:
        draws, extra = first.draws, 0
        again = _start(caller, problem, steps, state=1).draws
        if first.log is not None and _gap(draws, again) > 0:
            # The first call was listened to: what is compared must not have been.
            draws, extra = _start(caller, problem, steps).draws, 1
        steady = _gap(draws, again) == 0
        only_global = not steady and (_gap(draws, _start(caller, problem, steps).draws) == 0)
        other = caller.run(problem, ROWS, steps, _generator(caller, problem, "other")).draws
        if deterministic is not None:
            pieces.append(_declared(caller, problem, steps, deterministic))
    except UserCodeError as error:
        return Verdict(**bare, evidence=(Evidence.error("same-state", str(error)),)), False
    pieces[:0] = [
        _same(draws, again, "same-state", caller.seed),
        _different(draws, other, "other-state", caller.seed),
    ]
    nudged = draws.copy()
    nudged[0, 0] = np.nextafter(nudged[0, 0], np.inf)
    for piece in pieces:
        moves = piece.check in ("same-state", "declared-deterministic")
        wrong = _same if moves else _different
        mutants.append(
            _mutant(
                "last-bit-of-one-number" if moves else "the-same-draws-again",
                wrong(draws, nudged if moves else draws, piece.check, caller.seed),
            )
        )
    finding = ""
    if only_global:
        ignored = _gap(draws, other) == 0
        finding = "The sampler draws from a global generator" + (
            " and ignores the one it is given." if ignored else " besides the one it is given."
        )
    return Verdict(
        **bare,
        role="informative" if only_global else "required",
        evidence=tuple(pieces),
        mutants=tuple(mutants),
        samples_used=ROWS * (3 + extra + only_global + 2 * (deterministic is not None)),
        finding=finding,
    ), steady or only_global


def rows_independent(
    caller: Caller, problem: Problem, steps: int, first: Call
) -> Verdict | NotChecked:
    """The first half of the starting points is moved; the second half of the output must not change."""
    bare: dict[str, Any] = {
        "claim": "rows-independent",
        "subject": {**_subject(caller, problem), "steps": steps},
    }
    still, half = first.draws, ROWS // 2
    try:
        moved = _start(caller, _Moved.of(problem), steps).draws
    except UserCodeError as error:
        failed = Evidence.error("untouched-rows", str(error))
        return Verdict(**bare, role="informative", evidence=(failed,))
    if _gap(still[:half], moved[:half]) == 0:
        reason = "the sampler does not start from problem.prior, or forgets its start"
        return NotChecked(**bare, reason=reason)
    size = float(np.abs(still).max())
    # Reductions may be summed in another order, by a handful of ulps a step.
    limit = 256 * float(np.finfo(np.float32 if first.single else np.float64).eps) * steps * size
    piece = _untouched(still[half:], moved[half:], limit, caller.seed)
    shift = 1e-3 * (moved[:half].mean(axis=0) - still[:half].mean(axis=0))
    shared = still[half:] + shift + 4 * limit
    return Verdict(
        **bare,
        statement="what a row becomes does not depend on the other rows of the batch",
        role="informative",
        evidence=(piece,),
        mutants=(
            _mutant(
                "a-share-of-the-batch-mean", _untouched(still[half:], shared, limit, caller.seed)
            ),
        ),
        samples_used=ROWS,
        finding="" if piece.outcome is Outcome.SUPPORTED else piece.message,
    )


class _Moved(Problem):
    """A problem whose starting points are shifted in the first half of the batch."""

    @classmethod
    def of(cls, problem: Problem) -> _Moved:
        moved = copy.copy(problem)
        moved.__class__ = cls
        return moved  # type: ignore[return-value]

    def prior(self, n: int, *, rng: Any) -> Array:
        """Starting points, the first half of them moved by a tenth of a standard deviation."""
        x = super().prior(n, rng=rng)
        xp = namespace(x)
        half = xp.zeros_like(x)
        half[: n // 2] = 0.1 * float(xp.std(x))
        return x + half


class _Started(Problem):
    """A problem whose starting points are given."""

    _start: Array

    @classmethod
    def of(cls, problem: Problem, start: Array) -> _Started:
        started: Any = copy.copy(problem)
        started.__class__ = cls
        started._start = start
        return started

    def prior(self, n: int, *, rng: Any) -> Array:
        """The first ``n`` of the given points, whatever the generator."""
        return self._start[:n] * 1.0  # a copy: samplers may write into it


def _declared(caller: Caller, problem: Problem, steps: int, deterministic: bool) -> Evidence:
    start = problem.prior(ROWS, rng=_generator(caller, problem, "declared"))
    started = _Started.of(problem, start)
    one, two = (
        caller.run(started, ROWS, steps, _generator(caller, problem, name)).draws
        for name in ("declared-1", "declared-2")
    )
    if deterministic:
        return _same(one, two, "declared-deterministic", caller.seed)
    return _different(one, two, "declared-random", caller.seed)


def _evaluations(calls: dict[int, Call], used: list[int]) -> str:
    if not used:
        return ""
    text = f"Score evaluations at {_listed(calls)} steps: {_listed(used)}"
    if len(used) > 1 and len(set(used)) == 1:
        text += "; they do not depend on steps, which the sampler may ignore"
    return text + "."


def started(problem: Problem, start: Vector, caller: Caller) -> Problem:
    """The problem with given starting points ``(n, d)``, in the library that the sampler wants."""
    shaped: Array = start.reshape((-1, *problem.shape))
    if caller.backend == "torch":
        shaped = like(shaped, problem.prior(1, rng=_generator(caller, problem, "like")))
    return _Started.of(problem, shaped)


def _start(
    caller: Caller, problem: Problem, steps: int, *, state: int = 0, log: NoiseLog | None = None
) -> Call:
    rng = _generator(caller, problem, "start")
    return caller.run(problem, ROWS, steps, rng, state=state, log=log)


def _generator(caller: Caller, problem: Problem, part: str) -> Any:
    return caller.generator(part, problem.name)


def _subject(caller: Caller, problem: Problem) -> dict[str, Any]:
    return {"problem": problem.name, "target": caller.name}


def _size(value: float, limit: float, check: str, n: int, seed: int, message: str) -> Evidence:
    return Evidence(
        check=check,
        kind="exact",
        measured=Measured(value, value, value),
        allowed=Allowed(0.0, limit),
        n=n,
        seed=seed,
        message=message,
    )


def _not_finite(draws: Vector, check: str, seed: int) -> Evidence:
    count = float((~np.isfinite(draws)).sum())
    return _size(count, 0.0, check, draws.size, seed, f"{count:.0f} numbers are not finite")


def _same(first: Vector, again: Vector, check: str, seed: int) -> Evidence:
    gap = _gap(first, again)
    return _size(gap, 0.0, check, first.size, seed, f"largest difference {gap:.3g}")


def _different(first: Vector, other: Vector, check: str, seed: int) -> Evidence:
    equal = float((first == other).all(axis=1).sum())
    message = f"{equal:.0f} of {len(first)} rows are the same under another state"
    return _size(equal, 0.0, check, first.size, seed, message)


def _untouched(still: Vector, moved: Vector, limit: float, seed: int) -> Evidence:
    gap = _gap(still, moved)
    message = f"rows that were not moved changed by {gap:.3g}"
    return _size(gap, limit, "untouched-rows", still.size, seed, message)


def _gap(a: Vector, b: Vector) -> float:
    return float(np.abs(a - b).max())


def _mutant(name: str, evidence: Evidence) -> Mutant:
    return Mutant(
        name=name, outcome=evidence.outcome, check=evidence.check, message=evidence.message
    )


def _listed(numbers: Iterable[Any]) -> str:
    return ", ".join(str(v) for v in numbers)
