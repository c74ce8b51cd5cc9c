"""``check_kernel``: does a reversible kernel leave a law invariant?

The rank test of Gandy and Scott (:func:`scoreproof.numerics.mcmc.kernel_ranks`) has an exact null, at any number of
draws and without burn-in.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import special

from ..numerics import confidence as ci
from ..numerics import e_processes as ep
from ..numerics.mcmc import kernel_ranks
from ..numerics.rng import substream
from ..theory._checks import bad, positive
from ..theory.protocols import Vector
from ..theory.schedules import count
from ._user_code import UserCodeError, as_draws, call_user, law_or_refuse
from .evidence import Allowed, Evidence, Measured, Outcome
from .verdict import Diagnosis, Mutant, Verdict

_POWER = -float(special.ndtri(1e-4))
_STATES = 6


def check_kernel(
    kernel: Callable[..., Any],
    target: Any,
    *,
    tolerance: float = 0.05,
    exact: bool = False,
    states: int = _STATES,
    budget: int = 40_000,
    statistics: Sequence[Callable[[Vector], Vector]] | None = None,
    false_alarm: float = 1e-6,
    seed: int = 0,
    timeout: float | None = None,
) -> Verdict:
    """Checks that a reversible kernel leaves a law invariant, by exact ranks; claim id ``kernel``.

    Args:
        kernel: ``(x, *, rng) -> x'`` on points ``(n, d)``, rows independent, reversible with respect to ``target``.
        target: a law with exact draws.
        tolerance: allowed distance of the distribution of ranks from the uniform one.
        exact: decide by an e-process on the ranks alone (REFUTED or UNDECIDED).
        states: length of each stretch of the chain.
        budget: independent stretches.
        statistics: functions ``(n, d) -> (n,)``; by default at most eight coordinates and the log-density.
        false_alarm: probability of a false REFUTED, and of a false SUPPORTED.
        seed: entropy.
        timeout: seconds for a call of ``kernel``.

    Raises:
        ValueError: arguments out of range, or a law that cannot be drawn.
    """
    if not callable(kernel):
        raise bad("kernel", type(kernel).__name__, "a function (x, *, rng) -> x'", "pass one")
    if not 0 < positive(tolerance, "tolerance") < 0.5:
        raise bad("tolerance", tolerance, "a number between 0 and 1/2", "pass e.g. 0.05")
    if not 0 < positive(false_alarm, "false_alarm") < 0.5:
        raise bad("false_alarm", false_alarm, "a probability below 1/2", "pass e.g. 1e-6")
    states, budget = count(states, "states"), count(budget, "budget")
    if states < 2:
        raise bad("states", states, "at least two states", "pass e.g. 6")
    law_or_refuse(target, "target")
    dim = int(target.dim)
    chosen = _statistics(target, dim) if statistics is None else list(statistics)
    bare = Verdict(
        claim="kernel",
        statement=f"The kernel is reversible with respect to {target!r}, and leaves it invariant.",
        assumptions=(
            "rows are moved independently of each other",
            "a kernel that leaves the law invariant without being reversible is refuted",
        ),
        subject={"target": repr(target)},
    )

    def step(x: Vector, *, rng: np.random.Generator) -> Vector:
        found = call_user(kernel, x.copy(), name="kernel", timeout=timeout, rng=rng)
        return as_draws(found, len(x), dim, name="kernel")[0]

    start = time.perf_counter()
    try:
        ranks = kernel_ranks(
            step,
            target,
            budget,
            length=states,
            statistics=chosen,
            rng=substream(seed, "kernel"),
        )
    except UserCodeError as error:
        return replace(bare, evidence=(Evidence.error("ranks", str(error), kind="confidence"),))
    counts = np.stack([np.bincount(r, minlength=states) for r in ranks.T]).astype(float)
    seconds = time.perf_counter() - start
    found = _rank_evidence(counts, tolerance, exact, false_alarm, seed, seconds)
    verdict = replace(
        bare,
        evidence=found,
        samples_used=budget,
        exact_refuted=found[1].outcome is Outcome.REFUTED,
        mutants=(_crowded(counts, tolerance, exact, false_alarm, seed, found[0]),),
    )
    if verdict.decided is Outcome.REFUTED or verdict.exact_refuted:
        worst = int(np.argmax(np.abs(np.cumsum(counts, axis=1) / budget - _even(states)).max(1)))
        shares = ", ".join(f"{c / budget:.3f}" for c in counts[worst])
        text = f"ranks of statistic {worst} among {states} states have shares {shares}, not {1 / states:.3f} each"
        verdict = replace(verdict, diagnosis=Diagnosis(text=text, cause="ranks"))
    return verdict


def _even(states: int) -> Vector:
    return np.arange(1, states + 1) / states


def _rank_evidence(
    counts: Vector, tolerance: float, exact: bool, level: float, seed: int, seconds: float
) -> tuple[Evidence, Evidence]:
    """Distance of the ranks' distribution functions from the uniform one, and their e-process."""
    members, states = counts.shape
    n = int(counts[0].sum())
    size = float(np.abs(np.cumsum(counts, axis=1) / n - _even(states)).max())
    strict, loose = ci.dkw_radius(n, level / members), ci.dkw_radius(n, level)
    distance = Evidence(
        check="ranks",
        kind="confidence",
        measured=Measured(size, max(0.0, size - strict), size + loose),
        allowed=Allowed(0.0, tolerance),
        deciding=not exact,
        level=level,
        n=n,
        detectable=strict + _POWER / (2 * math.sqrt(n)),
        seed=seed,
        seconds=seconds,
        message=f"largest distance of the distribution of ranks from the uniform one, {members} "
        f"statistics: {size:.3g}",
    )
    log_e = ep.log_mean(ep.labels(counts, np.full(states, 1 / states)))
    test = Evidence(
        check="exact",
        kind="test",
        deciding=exact,
        log10_e=log_e / math.log(10),
        level=level,
        n=n,
        detectable=distance.detectable,
        seed=seed,
        message=f"log10 e {log_e / math.log(10):.2f}, {-math.log10(level):.1f} refutes invariance",
    )
    return distance, test


def _crowded(
    counts: Vector, tolerance: float, exact: bool, level: float, seed: int, found: Evidence
) -> Mutant:
    """The ranks already obtained, a share of them moved to the lowest."""
    n = counts[0].sum()
    states = counts.shape[1]
    size = (0.0 if exact else tolerance) + 2 * (found.detectable or 0.0)
    share = size * states / (states - 1)
    wrong = np.full_like(counts, n / states) if found.outcome is Outcome.REFUTED else counts.copy()
    moved = np.floor(wrong[0] * min(share, 1.0))
    wrong[0] -= moved
    wrong[0, 0] += moved.sum()
    pieces = _rank_evidence(wrong, tolerance, exact, level, seed, 0.0)
    return Mutant(
        name="crowded-ranks",
        outcome=pieces[1 if exact else 0].outcome,
        check="exact" if exact else "ranks",
        underpowered=share > 1,
        message=f"a share {share:.3g} of the ranks of one statistic moved to the lowest",
    )


def _statistics(target: Any, dim: int) -> list[Callable[[Vector], Vector]]:
    out: list[Callable[[Vector], Vector]] = [lambda x, j=j: x[:, j] for j in range(min(dim, 8))]
    if hasattr(target, "log_prob"):
        out.append(lambda x: np.asarray(target.log_prob(x)).reshape(-1))
    return out
