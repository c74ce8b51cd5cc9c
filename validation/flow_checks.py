"""Maps along the probability flow: consistency and distilled models against the exact map, inversion of samplers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..numerics.rng import substream
from ..theory._checks import bad, positive
from ..theory.mixtures import GaussianMixture
from ..theory.protocols import Vector
from ..theory.schedules import count
from ._score_ratio import Seen, mutant, ratio
from ._user_code import UserCodeError, as_draws, call_user
from .evidence import Allowed, Evidence, Measured, Outcome
from .problems import Problem
from .sampler_checks.behaviour import started
from .sampler_checks.calls import Caller, Sampler, backend_of
from .user_fields import UserField
from .verdict import Diagnosis, Mutant, Verdict

_LEVELS = 5
_DRAWS, _SLOW_DRAWS = 4000, 512  #: a pair of times; fewer where the map is integrated


def check_flow_map(
    model: Callable[..., Any],
    problem: Problem,
    *,
    times: Sequence[float] | None = None,
    ends: Sequence[float] | None = None,
    tolerance: float = 0.01,
    budget: int | None = None,
    false_alarm: float = 1e-6,
    seed: int = 0,
    timeout: float | None = None,
    backend: str | None = None,
    device: str | None = None,
    dtype: str = "float64",
) -> Verdict:
    """Holds a consistency or distilled model against the exact probability-flow map; claim id ``flow-map``.

    With ``Phi`` the exact map from t to s and x drawn from ``p_t``,

        E|f(x, t, s) - Phi(x)|^2 <= tolerance * E|Phi(x) - E Phi(x)|^2   at every pair of times.

    Args:
        model: ``(x, t) -> x at t_min`` (a consistency model), or with ``ends`` ``(x, t, s) -> x at s`` (a flow map).
            A torch module gets tensors and times of shape ``(n,)``.
        problem: law, diffusion and times.
        times: starts; five between ``t_min`` and ``t_max`` by default, the first of which is ``t_min``, where a
            consistency model must be the identity.
        ends: ends; every one is combined with every start that is not earlier.
        tolerance: largest relative *squared* error; its root is printed too.
        budget: draws a pair of times.
        false_alarm: rate for the whole call, split over pairs and mutants.
        seed: entropy of the draws.
        timeout: seconds a call of ``model``.
        backend: ``"numpy"`` or ``"torch"``; torch for a torch module, else numpy.
        device: torch device.
        dtype: dtype of ``x`` as ``model`` sees it.

    Raises:
        ValueError: no problem, or times, tolerance, budget, backend or dtype out of range.
    """
    if not isinstance(problem, Problem):
        kind = type(problem).__name__
        raise bad("problem", kind, "a Problem", 'pass e.g. PROBLEMS["gaussian-2d"]')
    limit, rate = positive(tolerance, "tolerance"), positive(false_alarm, "false_alarm")
    quick = problem.dim == 1 or _gaussian(problem)
    n = count(budget, "budget") if budget is not None else (_DRAWS if quick else _SLOW_DRAWS)
    if n < 64:
        raise bad("budget", n, "at least 64 draws", "allow more draws")
    pairs = _pairs(problem, times, ends)
    field = UserField.of(model, backend=backend, device=device, dtype=dtype, timeout=timeout)
    level = rate / (2 * len(pairs))
    evidence, mutants = [], []
    for t, s in pairs:
        check = f"t={t:.6g}" if ends is None else f"t={t:.6g}, s={s:.6g}"
        try:
            seen = _seen(field, problem, t, s, ends is not None, n, seed)
            piece = ratio(check, seen, limit, level, seed)
            wrong = mutant(seen, piece, limit, level, seed)
            mutants.append(replace(wrong, name=wrong.name.replace("score", "map")))
        except UserCodeError as error:
            piece = Evidence.error(check, str(error), kind="confidence")
        evidence.append(piece)
    return Verdict(
        claim="flow-map",
        statement=r"$\mathbb{E}|f(x_t, t) - \Phi(x_t)|^2 \le \tau\,\mathbb{E}|\Phi(x_t) - \mathbb{E}\Phi|^2$, $\tau = "
        rf"{limit:g}$",
        assumptions=(
            "draws of x_t are exact; the mean of the squared error assumes a bound on the kurtosis",
            "the exact map: closed forms, or an equation solved to 1e-11",
        ),
        subject={"problem": problem.name, "target": field.name},
        evidence=tuple(evidence),
        mutants=tuple(mutants),
        samples_used=sum(e.n for e in evidence),
        diagnosis=_worst(evidence),
        finding=_finding(evidence),
    )


def _gaussian(problem: Problem) -> bool:
    return isinstance(problem.law, GaussianMixture) and problem.law.components == 1


def _pairs(
    problem: Problem, times: Sequence[float] | None, ends: Sequence[float] | None
) -> list[tuple[float, float]]:
    if times is None:
        times = [float(t) for t in problem.times(_LEVELS - 1)[::-1]]
    last = [problem.t_min] if ends is None else [float(s) for s in ends]
    starts = [float(t) for t in times]
    for name, values in (("times", starts), ("ends", last)):
        for t in values:
            if not 0 < t <= problem.sde.t_max * (1 + 1e-12):
                top = problem.sde.t_max
                raise bad(name, f"{t:g}", f"times in (0, {top:g}]", "correct the list")
    pairs = [(t, s) for t in starts for s in last if s <= t]
    if not pairs:
        raise bad("times", "no start after an end", "at least one pair", "sort the two lists")
    return pairs


def _seen(
    field: UserField, problem: Problem, t: float, s: float, three: bool, n: int, seed: int
) -> Seen:
    rng = substream(seed, "flow-map", problem.name, f"{t:.6g}", f"{s:.6g}")
    x = problem.data(n, t=t, rng=rng)
    truth = np.asarray(problem.flow_map(x, t, s)).reshape(n, -1)
    spread = truth - problem.marginal(s).mean if hasattr(problem.marginal(s), "mean") else truth
    off = (field(x, t, s) if three else field(x, t)) - truth
    return Seen(t, (off**2).sum(1), (spread**2).sum(1), (off * spread).sum(1))


def _worst(evidence: Sequence[Evidence]) -> Diagnosis | None:
    wrong = [e for e in evidence if e.outcome in (Outcome.REFUTED, Outcome.ERROR)]
    if not wrong:
        return None
    worst = max(wrong, key=lambda e: (e.outcome.severity, e.value if e.measured else 0.0))
    text = f"{len(wrong)} of {len(evidence)} pairs of times; the worst, {worst.check}: {worst.message}"
    return Diagnosis(text=text, cause="flow-map")


def _finding(evidence: Sequence[Evidence]) -> str:
    fine = [e for e in evidence if math.isfinite(e.value)]
    if not fine:
        return ""
    worst = max(fine, key=lambda e: e.value)
    return f"Largest over {len(fine)} pairs of times: {worst.message}."


def check_inverse(
    sampler: Sampler,
    inverse: Callable[..., Any],
    problem: Problem,
    *,
    steps: Sequence[int] = (16, 64),
    tolerance: float = 0.05,
    order: float = 1.0,
    budget: int = 512,
    seed: int = 0,
    timeout: float | None = None,
    backend: str | None = None,
    device: str | None = None,
) -> Verdict:
    """Checks that an inverse sampler finds the starting points again; claim id ``inverse``.

    Args:
        sampler: deterministic, as for :func:`check_sampler`; it starts from ``problem.prior``.
        inverse: ``(problem, x, *, steps) -> x_T``, from outputs ``(n, *shape)`` back to starting points.
        problem: the problem.
        steps: step counts.
        tolerance: at the largest step count, of the root mean square distance in units of that of the starts; at n
            steps it is ``tolerance (N/n)^order``. An inverse that is exact to rounding is asked for by ``1e-9``.
        order: how fast the round trip converges.
        budget: starting points.
        seed: entropy.
        timeout: seconds a call.
        backend: ``"numpy"`` or ``"torch"``.
        device: torch device.

    Raises:
        ValueError: arguments out of range.
    """
    if not callable(inverse):
        raise bad(
            "inverse", type(inverse).__name__, "a function (problem, x, *, steps)", "pass one"
        )
    counts = sorted({count(k, "steps") for k in steps})
    limit, p, n = (
        positive(tolerance, "tolerance"),
        positive(order, "order"),
        count(budget, "budget"),
    )
    if not counts:
        raise bad("steps", "none", "positive integers", "pass e.g. steps=(16, 64)")
    if n < 2:
        raise bad("budget", n, "two starting points at least", "allow more")
    caller = Caller(sampler, backend_of(backend, sampler, device), device, timeout, seed)
    start = problem.prior(n, rng=substream(seed, "inverse", problem.name)).reshape(n, -1)
    evidence, mutants = [], []
    for k in counts:
        check, share = f"steps={k}", limit * (counts[-1] / k) ** p
        try:
            back = _round_trip(caller, inverse, problem, start, k, timeout)
        except UserCodeError as error:
            evidence.append(Evidence.error(check, str(error)))
            continue
        found = _distance(check, start, back, share, seed)
        evidence.append(found)
        # Away from the start by more than is allowed, whatever the distance was.
        unit = (start - start.mean(axis=0)) / _size(start)
        worse = _distance(
            check, start, start + (2 * share + 1e-12) * _size(start) * unit, share, seed
        )
        mutants.append(
            Mutant(name="start-widened", outcome=worse.outcome, check=check, message=worse.message)
        )
    wrong = [e for e in evidence if e.outcome is Outcome.REFUTED]
    return Verdict(
        claim="inverse",
        statement="the inverse of the sampler finds the starting points again",
        assumptions=(f"on {n:,} starting points, root mean square",),
        subject={"problem": problem.name, "target": caller.name, "steps": counts},
        evidence=tuple(evidence),
        mutants=tuple(mutants),
        samples_used=n * len(counts),
        diagnosis=Diagnosis(text=wrong[-1].message, cause="inverse") if wrong else None,
        finding="; ".join(f"{e.check}: {e.message}" for e in evidence) + ".",
    )


def _round_trip(
    caller: Caller,
    inverse: Callable[..., Any],
    problem: Problem,
    start: Vector,
    steps: int,
    timeout: float | None,
) -> Vector:
    n = len(start)
    begun = started(problem, start, caller)
    out = caller.run(begun, n, steps, caller.generator("inverse")).draws
    # The same library and shape as the sampler got.
    given = started(problem, out, caller).prior(n, rng=None)
    answer = call_user(
        inverse, problem.fresh(), given, name="the inverse", timeout=timeout, steps=steps
    )
    return as_draws(answer, n, problem.dim, name="the inverse")[0]


def _size(x: Vector) -> float:
    return float(np.sqrt(((x - x.mean(axis=0)) ** 2).sum(axis=1).mean()))


def _distance(check: str, start: Vector, back: Vector, share: float, seed: int) -> Evidence:
    gap = float(np.sqrt(((back - start) ** 2).sum(axis=1).mean())) / _size(start)
    return Evidence(
        check=check,
        kind="exact",
        measured=Measured(gap, gap, gap),
        allowed=Allowed(0.0, share),
        n=len(start),
        seed=seed,
        message=f"the way back ends {gap:.3g} of the spread from the start, allowed {share:.3g}",
    )
