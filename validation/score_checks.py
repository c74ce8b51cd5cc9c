"""Score networks against the exact score, noise level by noise level.

With ``x_t`` drawn from the exact marginal and ``s*`` its exact score, claim ``esm`` says

    E|s(x_t, t) - s*(x_t, t)|^2 <= tolerance * E|s*(x_t, t)|^2   at each level t.

The ratio ``R`` is measured by inverting the test of ``E[|s - s*|^2 - r |s*|^2] = 0`` for every r (Fieller
1954), with an interval for the mean that assumes a bound on the kurtosis and nothing else.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..numerics.rng import substream
from ..theory._checks import bad, positive
from ._score_ratio import Seen, mutant, ratio
from ._user_code import UserCodeError, as_draws
from .evidence import Evidence, Outcome
from .problems import Problem
from .provenance import now, provenance
from .user_fields import UserField
from .verdict import Diagnosis, NotChecked, Report, Verdict

CLAIMS = (
    "esm",
    "dsm-constant",
    "ism-constant",
    "conservative",
    "fokker-planck",
    "calibration",
    "memorisation",
    "likelihood",
    "kl-bound",
    "samples",
)
_LEVELS = 5
_LEAST = 64
#: Draws in all at the looks of a default budget, and the share of the level that each look spends.
_LOOKS = ((4_000, 0.6), (16_000, 0.2), (64_000, 0.2))
_MOST = 20_000_000  #: numbers drawn for one level by default
_LATER = "this release measures the distance to the exact score only"


def check_score(
    score: Callable[[Any, Any], Any],
    problem: Problem,
    *,
    times: Sequence[float] | None = None,
    tolerance: float = 0.05,
    data: Any = None,
    only: Sequence[str] | None = None,
    budget: int | None = None,
    false_alarm: float = 1e-6,
    seed: int = 0,
    timeout: float | None = None,
    backend: str | None = None,
    device: str | None = None,
    dtype: str = "float64",
) -> Report:
    """Holds a score model against the exact score of a problem.

    Args:
        score: ``(x, t) -> like x`` with ``x`` of shape ``(n, *problem.shape)``. A torch module gets tensors and
            ``t`` of shape ``(n,)``, in eval mode and without gradients; a numpy function gets ``t`` as a number.
        problem: law, diffusion and times.
        times: noise levels; five between ``t_min`` and ``t_max``, even in the seventh root of the
            noise-to-signal ratio, by default.
        tolerance: largest relative *squared* error; its square root is printed too.
        data: rows of a data set (for claims of a later release).
        only: claim ids to check.
        budget: draws a level; by default 4,000, and up to 64,000 at levels that these leave undecided.
        false_alarm: rate for the whole call, split over levels and mutants.
        seed: entropy of the draws.
        timeout: seconds a call of ``score``; then it runs in a process of its own.
        backend: ``"numpy"`` or ``"torch"``; torch for a torch module, else numpy.
        device: torch device.
        dtype: dtype of ``x`` as ``score`` sees it.

    Returns:
        A report with one verdict, claim ``esm``, whose evidence has a piece a level.

    Raises:
        ValueError: no problem, or bad times, tolerance, data, claim id, backend, device or dtype.
    """
    wanted = _wanted(only)
    if not isinstance(problem, Problem):
        kind = type(problem).__name__
        raise bad("problem", kind, "a Problem", 'pass e.g. PROBLEMS["digits"] or Problem(...)')
    if data is not None:
        _refuse_unusable(data, problem)
    limit = positive(tolerance, "tolerance")
    rate = positive(false_alarm, "false_alarm")
    if budget is not None and budget < _LEAST:
        raise bad("budget", budget, f"at least {_LEAST} draws a level", "allow more draws")
    looks = _LOOKS if budget is None else ((int(budget), 1.0),)
    if timeout is not None:
        positive(timeout, "timeout")
    levels = _levels(problem, times)
    started, clock = now(), time.perf_counter()
    verdicts = []
    if "esm" in wanted:
        field = UserField.of(score, backend=backend, device=device, dtype=dtype, timeout=timeout)
        verdicts.append(_esm(field, problem.fresh(), levels, limit, looks, rate, seed))
    subject = {"problem": problem.name, "target": getattr(score, "__name__", type(score).__name__)}
    missing = [NotChecked(claim=c, subject=subject, reason=_LATER) for c in wanted if c != "esm"]
    return Report(
        verdicts=tuple(verdicts),
        not_checked=tuple(missing),
        provenance=provenance(seed=seed, started=started, seconds=time.perf_counter() - clock),
        profile="custom",
        false_alarm=rate,
    )


def _wanted(only: Sequence[str] | None) -> tuple[str, ...]:
    if only is None:
        return CLAIMS
    names = (only,) if isinstance(only, str) else tuple(only)
    unknown = [c for c in names if c not in CLAIMS]
    if unknown:
        raise bad(
            "only", repr(unknown[0]), f"claim ids among {', '.join(CLAIMS)}", "correct the id"
        )
    return names


def _refuse_unusable(data: Any, problem: Problem) -> None:
    try:
        rows, _ = as_draws(data, None, problem.dim, name="data")
    except UserCodeError as error:
        raise ValueError(str(error)) from error
    if len(rows) == 0:
        raise bad("data", "no rows", "at least one", "pass data, or leave the argument out")


def _levels(problem: Problem, times: Sequence[float] | None) -> list[float]:
    if times is None:
        return [float(t) for t in problem.times(_LEVELS - 1)[::-1]]
    levels = [float(t) for t in times]
    if not levels:
        raise bad("times", "none", "at least one time", "pass a list of times")
    for t in levels:
        if not 0 < t <= problem.sde.t_max * (1 + 1e-12):
            raise bad(
                "times", f"{t:g}", f"times in (0, {problem.sde.t_max:g}]", "correct the list"
            )
    return levels


def _esm(
    field: UserField,
    problem: Problem,
    levels: Sequence[float],
    tolerance: float,
    looks: Sequence[tuple[int, float]],
    false_alarm: float,
    seed: int,
) -> Verdict:
    share = false_alarm / (2 * len(levels))
    evidence, mutants = [], []
    for t in levels:
        check = f"t={t:.6g}"
        rng = substream(seed, "esm", problem.name, check)
        seen, piece, level = Seen.nothing(t), None, share
        try:
            for n, part in looks:
                if piece is not None and (
                    piece.outcome is not Outcome.UNDECIDED or n * problem.dim > _MOST
                ):
                    break
                seen = seen + _look(field, problem, t, n - seen.n, rng)
                level = share * part
                piece = ratio(check, seen, tolerance, level, seed)
        except UserCodeError as error:
            piece = Evidence.error(check, str(error), kind="confidence")
        assert piece is not None  # there is one look at least
        evidence.append(piece)
        if piece.outcome is not Outcome.ERROR:
            mutants.append(mutant(seen, piece, tolerance, level, seed))
    return Verdict(
        claim="esm",
        statement=r"$\mathbb{E}|s - s^*|^2 \le \tau\,\mathbb{E}|s^*|^2$ at each noise level, $\tau = "
        rf"{tolerance:g}$",
        subject={"problem": problem.name, "target": field.name},
        assumptions=(
            "draws of x_t are exact; the mean of the squared error assumes a bound on the kurtosis",
            f"tolerance {tolerance:g} on the squared error is {math.sqrt(tolerance):.3g} on the error itself",
        ),
        evidence=tuple(evidence),
        mutants=tuple(mutants),
        diagnosis=_diagnosis(evidence, tolerance),
        samples_used=sum(e.n for e in evidence),
        finding=_finding(evidence),
        figure=_figure(levels, evidence, tolerance),
    )


def _look(field: UserField, problem: Problem, t: float, n: int, rng: np.random.Generator) -> Seen:
    """Calls the model once at level ``t``."""
    x = problem.data(n, t=t, rng=rng)
    truth = problem.score(x, t).reshape(n, -1)
    off = field(x, t) - truth
    return Seen(t, (off**2).sum(1), (truth**2).sum(1), (off * truth).sum(1))


def _decided(evidence: Sequence[Evidence], outcome: Outcome) -> list[Evidence]:
    return [e for e in evidence if e.outcome is outcome]


def _diagnosis(evidence: Sequence[Evidence], tolerance: float) -> Diagnosis | None:
    failed, refuted = _decided(evidence, Outcome.ERROR), _decided(evidence, Outcome.REFUTED)
    if failed:
        return Diagnosis(text=f"the score failed at {failed[0].check}: {failed[0].message}")
    if refuted:
        worst = max(refuted, key=lambda e: e.measured.value if e.measured else 0.0)
        return Diagnosis(
            text=f"{len(refuted)} of {len(evidence)} noise levels are beyond the tolerance {tolerance:g}; the "
            f"worst: {worst.message}"
        )
    return None


def _finding(evidence: Sequence[Evidence]) -> str:
    seen = [e for e in evidence if e.outcome is not Outcome.ERROR and e.measured]
    if not seen:
        return ""
    worst = max(seen, key=lambda e: e.measured.value if e.measured else 0.0)
    return f"Largest over {len(seen)} noise levels: {worst.message}."


def _figure(
    levels: Sequence[float], evidence: Sequence[Evidence], tolerance: float
) -> dict[str, Any] | None:
    kept = [
        (t, e.measured)
        for t, e in zip(levels, evidence, strict=True)
        if e.measured and e.outcome is not Outcome.ERROR and math.isfinite(e.measured.high)
    ]
    if len(kept) < 2:
        return None
    x = [t for t, _ in kept]
    floor = 1e-16
    return {
        "kind": "lines",
        "title": "Relative squared error of the score",
        "alt": "Relative squared error of the score at each noise level, with the tolerance as a line",
        "xlabel": "t",
        "ylabel": "E|s - s*|^2 / E|s*|^2",
        "xscale": "log",
        "yscale": "log",
        "series": [
            {
                "label": "measured",
                "x": x,
                "y": [max(m.value, floor) for _, m in kept],
                "low": [max(m.low, floor) for _, m in kept],
                "high": [max(m.high, floor) for _, m in kept],
            },
            {"label": "tolerance", "x": x, "y": [tolerance] * len(x), "style": "dashed"},
        ],
    }
