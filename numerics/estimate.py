"""A number with its interval and its error statement.

The interval of a sample mean is Catoni's (2012, Prop. 2.4), which needs no bound on the values, only on
their variance, and whose half-width at false-alarm level ``delta`` is that of the normal law with
``sqrt(2 log(2/delta))`` for the quantile. The variance is bounded from above by the sample variance:
among non-negative variables of given mean and second moment, that on two points has the heaviest lower
tail, so that for ``X = (Y - Y')^2 / 2``, whose second moment is ``c sigma^4`` with ``c = (kappa + 3)/2``,

    P(S^2 <= t sigma^2) <= exp(-floor(n/2) kl(t/c, 1/c)),   kl(a, b) = a log(a/b) + (1-a) log((1-a)/(1-b)),

first for the mean over disjoint pairs and then, by Hoeffding's averaging over permutations, for the
sample variance. The one assumption is a bound ``kappa`` on the kurtosis; nothing is asymptotic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..theory._checks import bad
from ..theory.protocols import Vector

_KINDS = ("proof", "enclosure", "exact", "quadrature", "confidence")
_EPS = float(np.finfo(np.float64).eps)
#: share of the level that pays for the bound on the variance
_VARIANCE_SHARE = 0.1
#: standard normal quantile of 1 - 1e-4
_POWER = 3.719016485455709


@dataclass(frozen=True)
class Estimate:
    """A number, an interval that holds the true value, and in which sense it does.

    Attributes:
        value: the estimate.
        low: lower end of the interval.
        high: upper end.
        level: false-alarm rate of the interval; 0 where nothing was drawn.
        n: draws, evaluations or nodes used, those of a pilot included.
        kind: ``exact``, ``quadrature`` or ``confidence``.
        detectable: smallest effect refuted with probability 1 - 1e-4 at this ``n``.
        assumption: what the error statement takes for granted.
        reduction: variance without control variates over variance with them.
    """

    value: float
    low: float
    high: float
    level: float
    n: int
    kind: str
    detectable: float
    assumption: str = ""
    reduction: float = 1.0

    @property
    def half_width(self) -> float:
        """Half the length of the interval."""
        return 0.5 * (self.high - self.low)

    def contains(self, value: float) -> bool:
        """Whether ``value`` lies in the interval."""
        return self.low <= value <= self.high

    def refutes(self, value: float, *, tolerance: float = 0.0) -> bool:
        """Whether the interval is disjoint from ``value`` +- ``tolerance``."""
        return self.high < value - tolerance or self.low > value + tolerance

    def widened(self, error: float) -> Estimate:
        """The same with ``error`` more on either side."""
        return replace(
            self,
            low=self.low - error,
            high=self.high + error,
            detectable=self.detectable + 2 * error,
        )

    def __neg__(self) -> Estimate:
        return replace(self, value=-self.value, low=-self.high, high=-self.low)

    def __add__(self, other: Estimate | float) -> Estimate:
        """Sum of intervals; levels add, whatever the dependence."""
        if not isinstance(other, Estimate):
            c = float(other)
            return replace(self, value=self.value + c, low=self.low + c, high=self.high + c)
        both = (self, other)
        assumptions = dict.fromkeys(e.assumption for e in both if e.assumption)
        return Estimate(
            self.value + other.value,
            self.low + other.low,
            self.high + other.high,
            level=self.level + other.level,
            n=self.n + other.n,
            kind=max((e.kind for e in both), key=_KINDS.index),
            detectable=self.detectable + other.detectable,
            assumption="; ".join(assumptions),
            reduction=min((e.reduction for e in both if e.kind == "confidence"), default=1.0),
        )

    __radd__ = __add__

    def __sub__(self, other: Estimate | float) -> Estimate:
        return self + (-other)

    def __rsub__(self, other: float) -> Estimate:
        return -self + other

    def __mul__(self, factor: float) -> Estimate:
        c = float(factor)
        ends = sorted((c * self.low, c * self.high))
        return replace(
            self,
            value=c * self.value,
            low=ends[0],
            high=ends[1],
            detectable=abs(c) * self.detectable,
        )

    __rmul__ = __mul__


def exact_estimate(value: float, *, rounding: float | None = None, n: int = 0) -> Estimate:
    """A closed form: its interval is a rounding bound (16 ulps unless ``rounding`` is given)."""
    error = 16 * _EPS * abs(value) if rounding is None else float(rounding)
    return Estimate(float(value), value - error, value + error, 0.0, n, "exact", 2 * error)


def quadrature_estimate(value: float, error: float, *, n: int) -> Estimate:
    """A deterministic value with an a-posteriori error estimate ``error``."""
    return Estimate(
        float(value),
        float(value - error),
        float(value + error),
        level=0.0,
        n=int(n),
        kind="quadrature",
        detectable=2 * float(error),
        assumption="the error estimate of the quadrature bounds its error",
    )


def mean_estimate(
    values: Any,
    *,
    level: float,
    kurtosis: float | None = None,
    scale: float | None = None,
    spent: int = 0,
    reduction: float = 1.0,
) -> Estimate:
    """Interval for ``E Y`` from independent ``values`` whose range is unbounded.

    With ``psi(x) = sign(x) log(1 + |x| + x^2/2)`` the value is the root of
    ``sum_i psi(alpha (Y_i - theta)) = 0``, and ``|theta - E Y| <= (1 - sqrt(1 - alpha^2 v - 2L/n)) / alpha``
    with ``L = log(2/delta)`` and ``v`` a bound on the variance (Catoni 2012, Prop. 2.4).

    Assumption: ``E (Y - EY)^4 <= kurtosis * max(sd, scale)^4``. If ``kurtosis`` is not given, it is taken as
    the larger of 10 and three times what the sample has, and the assumption is that this covers
    the true one. Where n is too small for the assumption to bound the variance, the interval is
    infinite. Values that are not finite make every number of the result NaN.

    Args:
        values: ``(n,)``.
        level: false-alarm rate of the interval, two-sided.
        kurtosis: bound on the kurtosis of ``Y``.
        scale: standard deviation of ``Y`` as known from *independent* draws. It sets ``alpha``, and the
            width is never less than it calls for; a generous one forgives rare wild values. The
            interval holds whatever it is. None: the first twentieth of the values is spent on it.
        spent: draws used up before (a pilot), added to ``n`` of the result.
        reduction: variance reduction factor to be carried along.

    Raises:
        ValueError: not one axis, no values, or a level outside (0, 1).

    Reference:
        Catoni 2012, Challenging the empirical mean and empirical variance; Hoeffding 1963, Sections 2 and 5.
    """
    y = np.asarray(values, dtype=np.float64)
    if y.ndim != 1 or y.size == 0:
        raise bad("values", f"shape {y.shape}", "(n,) with n >= 1", "pass one number a draw")
    if not 0 < level < 1:
        raise bad("level", level, "a rate in (0, 1)", "pass e.g. level=1e-6")
    n_total = y.size + spent
    if not np.isfinite(y).all():
        nan = math.nan
        return Estimate(nan, nan, nan, level, n_total, "confidence", nan, "values not finite")
    rounding = 8 * _EPS * float(np.abs(y).mean())
    if np.ptp(y) == 0:
        return _constant(y, level, kurtosis, n_total, rounding, reduction)
    if scale is None:
        first = max(16, y.size // 20)
        scale = float(y[:first].std(ddof=1)) if y.size > first else 0.0
        y = y[first:] if y.size > first else y
    bound, sample_sd, kappa = _variance_bound(y, scale, _VARIANCE_SHARE * level, kurtosis)
    log_term = math.log(2 / ((1 - _VARIANCE_SHARE) * level))
    value, half = _catoni(y, scale, bound, log_term)
    half += rounding
    detectable = half + _POWER * sample_sd / math.sqrt(y.size)
    note = f"fourth central moment at most {kappa:.3g} max(sd, {scale:.3g})^4"
    return Estimate(
        value,
        value - half,
        value + half,
        level,
        n_total,
        "confidence",
        detectable,
        note,
        reduction,
    )


def _constant(
    y: Vector, level: float, kurtosis: float | None, n: int, rounding: float, reduction: float
) -> Estimate:
    """Equal values: exact if the kurtosis leaves no room for a value that was never drawn."""
    pairs = y.size // 2
    rate = math.log(1 / level) / pairs if pairs else math.inf
    most = 2 / -math.expm1(-rate) - 3
    half = rounding if most >= (10.0 if kurtosis is None else kurtosis) else math.inf
    one = float(y[0])
    return Estimate(
        one,
        one - half,
        one + half,
        level,
        n,
        "confidence",
        2 * half,
        f"all values are equal, and their kurtosis is at most {most:.3g}",
        reduction,
    )


def _variance_bound(
    y: Vector, scale: float, level: float, kurtosis: float | None
) -> tuple[float, float, float]:
    """Upper bound on the variance at ``level``, sample standard deviation, kurtosis assumed."""
    off = y - y.mean()
    variance = float(off @ off) / max(1, y.size - 1)
    floor = scale**2
    if max(variance, floor) == 0 or y.size < 4:
        return math.inf, math.sqrt(variance), math.inf
    sample = float(np.mean((off / math.sqrt(max(variance, floor))) ** 4))
    kappa = max(10.0, 3.0 * sample) if kurtosis is None else float(kurtosis)
    kept = kept_variance(math.log(1 / level) / (y.size // 2), 0.5 * (kappa + 3))
    bound = variance / kept if kept > 0 else math.inf
    return max(floor, bound), math.sqrt(variance), kappa


def kept_variance(rate: float, c: float) -> float:
    """Smallest t in [0, 1] with ``kl(t/c, 1/c) <= rate``: ``S^2 >= t sigma^2`` up to ``exp(-rate n/2)``.

    Zero where even t = 0 is not excluded, so that nothing bounds the variance.
    """
    if -math.log1p(-1 / c) <= rate:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(60):
        t = 0.5 * (low + high)
        rest = (c - t) * math.log((c - t) / (c - 1))
        low, high = (t, high) if (t * math.log(t) + rest) / c > rate else (low, t)
    return low


def _catoni(y: Vector, scale: float, bound: float, log_term: float) -> tuple[float, float]:
    """Catoni's estimate and its half-width for a variance at most ``bound``."""
    n = y.size
    centre = float(y.mean())
    rest = n - 2 * log_term
    if not scale > 0 or not math.isfinite(scale) or rest <= 0:
        return centre, math.inf
    alpha = math.sqrt(2 * log_term / (n * (1 + 2 * log_term / rest))) / scale
    inside = 1 - alpha * alpha * bound - 2 * log_term / n
    theta = _root(y, alpha, centre)
    # 1 - sqrt(u) written without cancellation for u near one.
    half = (1 - inside) / (1 + math.sqrt(inside)) / alpha if inside >= 0 else math.inf
    return theta, half


def _root(y: Vector, alpha: float, start: float) -> float:
    """Root in theta of the decreasing ``sum psi(alpha (y - theta))``: Newton inside a bracket."""
    low, high = float(y.min()), float(y.max())
    theta = start
    for _ in range(80):
        u = alpha * (y - theta)
        a = np.abs(u)
        denominator = 1 + a + 0.5 * u * u
        total = float(np.sum(np.copysign(np.log(denominator), u)))
        low, high = (theta, high) if total > 0 else (low, theta)
        step = total / (alpha * float(np.sum((1 + a) / denominator)))
        new = theta + step
        if not low <= new <= high:
            new = 0.5 * (low + high)
        if abs(new - theta) <= 4 * _EPS * (abs(theta) + 1e-3 / alpha):
            return new
        theta = new
    return theta
