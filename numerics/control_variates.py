"""Means with control variates whose own mean is exactly known.

``E f(x) = E [f(x) - beta' h(x)]`` for any ``beta`` when ``E h = 0``; ``beta`` comes from an independent
pilot, so the residual on the remaining draws is an unbiased estimate whatever ``beta`` is. Which family
of features is used, and with how much ridge, is decided on the pilot by two-fold cross-validation of
the width that the interval will have (variance and kurtosis of the residual); "none" is a candidate.
The pilot is drawn from a wider law where there is one, see :mod:`proposals`.

Reference:
    Owen 2013, Monte Carlo theory, methods and examples, Section 8.9.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..theory._checks import bad
from ..theory.protocols import Vector
from .estimate import Estimate, kept_variance, mean_estimate
from .features import Features, default_features
from .proposals import Sampling, law_sampling

_ROWS = 8192
_EPS = float(np.finfo(np.float64).eps)
_RIDGES = (1e-12, 1e-9, 1e-6, 1e-4, 1e-2, 1e-1)
_SHARES = (0.8, 0.1, 0.1)  #: of the level: bold, cautious, no control variates
_GENEROUS = 0.02  #: of the plain deviation: least scale of the cautious interval
_JUDGES = ((1.0, 0.0), (0.4, 0.0))  #: of the bold and the cautious choice
_TEMPERS = (
    1.0,
    0.4,
)  #: powers of the weights: below one the tails are fitted as well as the middle
_GRID = tuple((temper, ridge) for temper in _TEMPERS for ridge in _RIDGES)

#: ``(draws) -> values (n,)`` or ``(values, bound on the error of each)``
Values = Callable[..., Any]


@dataclass(frozen=True)
class Control:
    """The regression found on a pilot: ``f - beta' h`` replaces ``f``.

    Attributes:
        features: the family chosen, None for none.
        beta: ``(m,)``.
        scale: standard deviation of the residual, held out.
        plain: standard deviation of the values on the pilot.
    """

    features: Features | None
    beta: Vector
    scale: float
    plain: float

    @property
    def bias(self) -> float:
        """Bound on ``|beta' E h|``: errors of the known means and rounding of the residual."""
        if self.features is None:
            return 0.0
        known = (
            0.0 if self.features.error is None else float(np.abs(self.beta) @ self.features.error)
        )
        return known + 8 * _EPS * float(np.abs(self.beta).sum())

    def residual(self, values: Vector, draws: tuple[Vector, ...]) -> Vector:
        """``f - beta' h``, shape ``(n,)``."""
        if self.features is None:
            return values
        return values - self.features.evaluate(*draws) @ self.beta


def fit_control(
    values: Vector,
    draws: tuple[Vector, ...],
    features: Sequence[Features],
    *,
    weights: Vector | None = None,
    n: int = 100_000,
    level: float = 1e-6,
    judges: Sequence[tuple[float, float]] = _JUDGES,
) -> tuple[Control, ...]:
    """Chooses family and ridge by cross-validation and fits the coefficients, once for each judge.

    The bold choice has the least width held out; the cautious one is judged with tempered weights, so
    that wild residuals in the tails count, which a small pilot hardly sees.

    Args:
        values: ``(rows,)`` of the pilot.
        draws: the arrays of the pilot.
        features: candidates; those with more than a third as many members as rows are passed over.
        weights: ``(rows,)``, density of the law over that of the pilot; None: all one.
        n: draws to come, and ``level`` of their interval: they set the price of a kurtosis.
        level: see ``n``.
        judges: a power of the weights, and a share of the plain deviation below which a deviation counts as that.
    """
    w = np.ones(values.size) if weights is None else weights
    share = w / w.sum()
    rest = values - share @ values
    plain = math.sqrt(share @ rest**2)
    none = Control(None, np.zeros(0), plain, plain)
    if not np.isfinite(values).all() or plain == 0 or values.size < 24:
        return (none,) * len(judges)
    rate = math.log(10 / level) / max(1, n // 2)
    best = [none] * len(judges)
    least = [float(_width(rest[:, None], share**power, rate)[0]) for power, _ in judges]
    for family in features:
        if family.size > values.size // 3:
            continue
        h = _blocks(family.evaluate, draws)
        if not np.isfinite(h).all():
            continue
        held = _held_out(h, values, share)
        for j, (power, floor) in enumerate(judges):
            widths = _width(held, share**power, rate, floor * plain)
            i = int(np.argmin(widths))
            # A larger family has to pay: a gain of a few per cent is noise.
            if widths[i] < 0.97 * least[j]:
                temper, ridge = _GRID[i]
                beta = _ridge(h, values, share**temper, (ridge,))[0]
                scale = math.sqrt(share @ held[:, i] ** 2)
                least[j], best[j] = float(widths[i]), Control(family, beta, scale, plain)
    return tuple(best)


@dataclass(frozen=True)
class Part:
    """One expectation ``E values(draw)`` with its features, entering a sum with a weight.

    Attributes:
        values: ``(*arrays) -> (n,)``, or ``((n,), (n,))`` with a bound on the error of each value.
        sampling: the law of the arrays.
        features: candidate families on the same arrays; empty for plain Monte Carlo.
        weight: factor of this part in the sum.
    """

    values: Values
    sampling: Sampling
    features: Sequence[Features] = ()
    weight: float = 1.0


def controlled_sum(
    parts: Sequence[Part],
    *,
    n: int,
    rng: np.random.Generator,
    level: float,
    pilot: int | None = None,
) -> Estimate:
    """Estimate of ``sum_i w_i E f_i`` from independent draws for each part, with one interval.

    Each part has a pilot with draws of its own (spawned streams), subtracted from its share ``n / parts``
    of the budget. Rows of the parts are added up, so that their errors add in square. The level is split
    over the bold and the cautious regression and plain Monte Carlo; the shortest interval is returned.

    Args:
        parts: the expectations.
        n: draws in all.
        rng: generator.
        level: false-alarm rate of the interval.
        pilot: draws of each pilot; None: :func:`pilot_size`.

    Raises:
        ValueError: fewer than 32 draws a part, or values of a wrong shape.
    """
    share = n // len(parts)
    if int(n) != n or share < 32:
        raise bad("n", n, f"at least {32 * len(parts)} draws", "raise the budget")
    first = int(pilot) if pilot is not None else share // 20 + 16
    if pilot is None and any(p.features for p in parts):
        first = pilot_size(share)
    streams = rng.spawn(len(parts))
    runs = [_run(p, first, share - first, g, level) for p, g in zip(parts, streams, strict=True)]
    weights = np.array([p.weight for p in parts])
    used = [k for k in range(2) if any(r[k].control.features is not None for r in runs)]
    found = []
    for k in (*used, 2):
        rest = weights @ np.stack([r[k].rest for r in runs])
        scale = float(np.linalg.norm(weights * [r[k].control.scale for r in runs]))
        if k == 1:
            generous = float(np.linalg.norm(weights * [r[k].control.plain for r in runs]))
            scale = max(scale, _GENEROUS * generous)
        error = float(np.abs(weights) @ [r[k].error for r in runs])
        found.append(Candidate(rest, scale, error, _SHARES[k] if used else 1.0))
    return shortest(found, level=level, spent=n - found[-1].rest.size)


@dataclass(frozen=True)
class Candidate:
    """Values with the same mean as others, their standard deviation as known from a pilot, and a share of the level.

    Attributes:
        rest: residuals.
        scale: least scale of the interval.
        error: bound on what is added to the mean.
        share: of the level.
    """

    rest: Vector
    scale: float
    error: float
    share: float


def shortest(candidates: Sequence[Candidate], *, level: float, spent: int) -> Estimate:
    """The shortest interval of one mean; the last candidate is the one without control variates.

    Args:
        candidates: with shares of at most one together.
        level: false-alarm rate.
        spent: draws used up before.
    """
    plain = float(candidates[-1].rest.var())
    found = []
    for c in candidates:
        variance = float(c.rest.var())
        one = mean_estimate(
            c.rest,
            level=level * c.share,
            scale=c.scale or None,
            spent=spent,
            reduction=plain / variance if variance > 0 else 1.0,
        )
        found.append(one.widened(c.error))
    # NaN is not a width: a run with values that are not finite has no finite candidate at all.
    return replace(min(found, key=_finite_width), level=level)


def _finite_width(e: Estimate) -> float:
    return math.inf if math.isnan(e.half_width) else e.half_width


@dataclass(frozen=True)
class _Run:
    """Residuals of one part under one control, and a bound on their common error."""

    control: Control
    rest: Vector
    error: float


def _run(part: Part, first: int, total: int, rng: np.random.Generator, level: float) -> list[_Run]:
    """Pilot and main run of one part: bold, cautious, plain."""
    pilot_rng, main_rng = rng.spawn(2)
    draws, weights = part.sampling.pilot(first, pilot_rng)
    pilot = _values(part.values, draws)[0]
    bold, cautious = fit_control(
        pilot, draws, part.features, weights=weights, n=total, level=level
    )
    controls = (bold, cautious, Control(None, np.zeros(0), bold.plain, bold.plain))
    rests: tuple[list[Vector], ...] = ([], [], [])
    error, size = 0.0, 0.0
    for start in range(0, total, _ROWS):
        draws = part.sampling.draw(min(_ROWS, total - start), main_rng)
        f, bound = _values(part.values, draws)
        error, size = error + float(bound.sum()), size + float(np.abs(f).sum())
        for k, control in enumerate(controls):
            same = k == 1 and control is bold
            rests[k].append(rests[0][-1] if same else control.residual(f, draws))
    common = (error + 8 * _EPS * size) / total
    return [
        _Run(control, np.concatenate(rest), common + control.bias)
        for rest, control in zip(rests, controls, strict=True)
    ]


def pilot_size(n: int) -> int:
    """Half of a small budget, a quarter of a larger one, never more than 12,000 draws."""
    return min(max(n // 4, min(n // 2, 2_000)), 12_000)


def controlled_mean(
    values: Values,
    law: Any,
    *,
    n: int,
    rng: np.random.Generator,
    level: float,
    features: Sequence[Features] | None = None,
) -> Estimate:
    """``E_p f(x)`` for ``x ~ law`` with control variates of exactly known mean.

    Args:
        values: f, ``(n, d) -> (n,)``; its code must not enter the features.
        law: p, a law with exact draws.
        n: draws in all, a quarter of them for the pilot.
        rng: generator.
        level: false-alarm rate of the interval.
        features: candidate families; None: :func:`default_features`; empty: plain Monte Carlo.
    """
    families = default_features(law) if features is None else features
    part = Part(values, law_sampling(law), families)
    return controlled_sum([part], n=n, rng=rng, level=level)


def _values(values: Values, draws: tuple[Vector, ...]) -> tuple[Vector, Vector]:
    rows = draws[0].shape[0]
    found = values(*draws)
    pair = found if isinstance(found, tuple) else (found, np.zeros(rows))
    f, bound = (np.asarray(v, dtype=np.float64) for v in pair)
    if f.shape != (rows,):
        raise bad("values", f"shape {f.shape}", f"({rows},)", "return one number a draw")
    return f, np.broadcast_to(bound, f.shape)


def _blocks(evaluate: Callable[..., Vector], draws: tuple[Vector, ...]) -> Vector:
    rows = draws[0].shape[0]
    return np.concatenate(
        [evaluate(*(a[i : i + _ROWS] for a in draws)) for i in range(0, rows, _ROWS)]
    )


def _ridge(h: Vector, y: Vector, w: Vector, ridges: Sequence[float]) -> list[Vector]:
    """Coefficients of weighted least squares with intercept on standardised columns, one a ridge."""
    share = w / w.sum()
    g = h - share @ h
    sd = np.sqrt(share @ (g * g))
    sd = np.where(sd > 0, sd, 1.0)
    g /= sd
    lam, u = np.linalg.eigh(g.T @ (share[:, None] * g))
    # Below rounding of the Gram matrix an eigenvalue says nothing.
    floor = max(float(lam[-1]), 0.0) * 1e-14
    moved = u.T @ (g.T @ (share * (y - share @ y)))
    return [(u @ (moved / (np.maximum(lam, 0) + r + floor))) / sd for r in ridges]


def _width(rest: Vector, weights: Vector, rate: float, floor: float = 0.0) -> Vector:
    """Widths of the intervals up to a factor: standard deviation, inflated by what the kurtosis costs.

    Args:
        rest: residuals, one column a candidate.
        weights: of the rows.
        rate: logarithm of the inverse level a pair of draws.
        floor: least scale of the interval.
    """
    w = weights / weights.sum()
    second, fourth = np.maximum(w @ rest**2, floor**2), w @ rest**4
    kurtosis = np.maximum(10.0, 3 * fourth / np.where(second > 0, second, 1.0) ** 2)
    kept = np.array([kept_variance(rate, 0.5 * (k + 3)) for k in kurtosis])
    return np.sqrt(second / np.maximum(kept, 1e-4))


def _held_out(h: Vector, y: Vector, share: Vector) -> Vector:
    """Residuals of every row from coefficients fitted without it, one column a temper and ridge."""
    folds = 4 if len(y) <= 2_000 else 2
    fold = np.arange(len(y)) % folds
    rest = np.empty((len(y), len(_GRID)))
    for k in range(folds):
        fit, test = fold != k, fold == k
        betas = [b for t in _TEMPERS for b in _ridge(h[fit], y[fit], share[fit] ** t, _RIDGES)]
        off = y[test, None] - h[test] @ np.stack(betas, axis=1)
        rest[test] = off - share[test] @ off / share[test].sum()
    return rest
