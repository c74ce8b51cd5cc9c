"""What a sampler does, apart from the law of its output: finite, reproducible, rows independent."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from ...theory.arrays import namespace
from ...theory.protocols import Array, Vector
from .._user_code import UserCodeError
from ..evidence import Allowed, Evidence, Measured, Outcome
from ..problems import Problem
from ..verdict import Mutant, NotChecked, Verdict
from .calls import Caller

ROWS = 32


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


def _gap(a: Vector, b: Vector) -> float:
    return float(np.abs(a - b).max())


def _mutant(name: str, evidence: Evidence) -> Mutant:
    return Mutant(
        name=name, outcome=evidence.outcome, check=evidence.check, message=evidence.message
    )


def finite(caller: Caller, problem: Problem, steps: tuple[int, ...]) -> Verdict:
    """The output has the shape ``(n, *shape)`` and every number is finite, at every step count."""
    evidence, mutants, used = [], [], []
    for k in steps:
        check = f"steps={k}"
        try:
            call = caller.run(problem, ROWS, k, caller.generator("finite", problem.name, k))
        except UserCodeError as error:
            evidence.append(Evidence.error(check, str(error)))
            continue
        used.append(call.evaluations)
        evidence.append(_not_finite(call.draws, check, caller.seed))
        broken = call.draws.copy()
        broken[0, 0] = np.inf
        mutants.append(_mutant("one-infinite-number", _not_finite(broken, check, caller.seed)))
    return Verdict(
        claim="finite",
        statement="the sampler returns finite numbers of shape (n, *shape)",
        subject={"problem": problem.name, "target": caller.name, "steps": list(steps)},
        evidence=tuple(evidence),
        mutants=tuple(mutants),
        samples_used=ROWS * len(steps),
        finding=f"Score evaluations at {_listed(steps)} steps: {_listed(used)}." if used else "",
    )


def _not_finite(draws: Vector, check: str, seed: int) -> Evidence:
    count = float((~np.isfinite(draws)).sum())
    return _size(count, 0.0, check, draws.size, seed, f"{count:.0f} numbers are not finite")


def _listed(numbers: Any) -> str:
    return ", ".join(str(v) for v in numbers)


def reproducible(caller: Caller, problem: Problem, steps: int) -> Verdict:
    """The same generator state gives the same bits, and another state gives other draws.

    Where the same state gives other draws, but does so no longer once the global generators are seeded, the
    sampler honours a global generator only: that is said, and the verdict is informative.
    """

    def run(state: int) -> Vector:
        generator = caller.generator("reproducible", problem.name, state)
        return caller.run(problem, ROWS, steps, generator).draws

    subject = {"problem": problem.name, "target": caller.name, "steps": steps}
    statement = "the same generator gives the same draws, another one gives others"
    try:
        first, again, other = run(0), run(0), run(1)
        only_global = _gap(first, again) > 0 and _gap(*_seeded(run)) == 0
    except UserCodeError as error:
        failed = Evidence.error("same-state", str(error))
        return Verdict(
            claim="reproducible", statement=statement, subject=subject, evidence=(failed,)
        )
    pieces = _same(first, again, caller.seed), _different(first, other, caller.seed)
    nudged = again.copy()
    nudged[0, 0] = np.nextafter(nudged[0, 0], np.inf)
    mutants = (
        _mutant(
            "last-bit-of-one-number",
            _same(first, nudged, caller.seed)
            if _gap(first, again) == 0
            else _same(first, again, caller.seed),
        ),
        _mutant("the-same-draws-again", _different(first, first, caller.seed)),
    )
    finding = (
        "The sampler draws from a global generator and ignores the one it is given."
        if only_global
        else ""
    )
    return Verdict(
        claim="reproducible",
        statement=statement,
        role="informative" if only_global else "required",
        subject=subject,
        evidence=pieces,
        mutants=mutants,
        samples_used=3 * ROWS,
        finding=finding,
    )


def _seeded(run: Any) -> tuple[Vector, Vector]:
    """Two runs with the global generators put into the same state before each."""
    import random
    import sys

    from ...numerics.rng import kept_random_state

    results = []
    with kept_random_state():
        for _ in range(2):
            np.random.seed(0)  # noqa: NPY002 (restored on leaving)
            random.seed(0)
            torch = sys.modules.get("torch")
            if torch is not None:
                torch.manual_seed(0)
            results.append(run(0))
    return results[0], results[1]


def _same(first: Vector, again: Vector, seed: int) -> Evidence:
    gap = _gap(first, again)
    return _size(gap, 0.0, "same-state", first.size, seed, f"largest difference {gap:.3g}")


def _different(first: Vector, other: Vector, seed: int) -> Evidence:
    equal = float((first == other).all(axis=1).sum())
    message = f"{equal:.0f} of {len(first)} rows are the same under another state"
    return _size(equal, 0.0, "other-state", first.size, seed, message)


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


def rows_independent(caller: Caller, problem: Problem, steps: int) -> Verdict | NotChecked:
    """The first half of the starting points is moved; the second half of the output must not change."""
    subject = {"problem": problem.name, "target": caller.name, "steps": steps}
    try:
        still = caller.run(problem, ROWS, steps, caller.generator("rows", problem.name)).draws
        again = caller.run(problem, ROWS, steps, caller.generator("rows", problem.name)).draws
        moved = caller.run(
            _Moved.of(problem), ROWS, steps, caller.generator("rows", problem.name)
        ).draws
    except UserCodeError as error:
        failed = Evidence.error("untouched-rows", str(error))
        return Verdict(claim="rows-independent", subject=subject, evidence=(failed,))
    half = ROWS // 2
    if _gap(still, again) > 0:
        return NotChecked(
            claim="rows-independent",
            subject=subject,
            reason="the same generator gives other draws",
        )
    if _gap(still[:half], moved[:half]) == 0:
        return NotChecked(
            claim="rows-independent",
            subject=subject,
            reason="the sampler does not start from problem.prior, or forgets its start",
        )
    size = float(np.abs(still).max())
    # Reductions may be summed in another order, by a handful of ulps a step.
    limit = 256 * np.finfo(np.float64).eps * steps * size
    piece = _untouched(still[half:], moved[half:], limit, caller.seed)
    shift = (
        moved[half:] + 1e-3 * (moved[:half].mean(axis=0) - still[:half].mean(axis=0)) + 1e-6 * size
    )
    return Verdict(
        claim="rows-independent",
        statement="what a row becomes does not depend on the other rows of the batch",
        role="informative",
        subject=subject,
        evidence=(piece,),
        mutants=(
            _mutant(
                "a-share-of-the-batch-mean", _untouched(still[half:], shift, limit, caller.seed)
            ),
        ),
        samples_used=3 * ROWS,
        finding="" if piece.outcome is Outcome.SUPPORTED else piece.message,
    )


def _untouched(still: Vector, moved: Vector, limit: float, seed: int) -> Evidence:
    gap = _gap(still, moved)
    return _size(
        gap,
        limit,
        "untouched-rows",
        still.size,
        seed,
        f"rows that were not moved changed by {gap:.3g}",
    )
