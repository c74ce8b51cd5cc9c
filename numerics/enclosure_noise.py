"""Enclosures of denoising score matching and of the constant that it adds to explicit score matching.

With ``x_t = a x_0 + sqrt(v) eps`` and x_0 of component ``N(m_k, V_k)``, ``S_k = a^2 V_k + v``, the joint density of
component and ``x_t`` is ``w_k N(x_t; a m_k, S_k)``, and given both

* x_0 is ``N(m_k + (a V_k / S_k)(x_t - a m_k), v V_k / S_k)``, and the target is ``-(x_t - a x_0) / v``;
* eps is ``N(sqrt(v) (x_t - a m_k) / S_k, a^2 V_k / S_k)``, and the target is ``-eps / sqrt(v)``.

Either route leaves one integral over ``x_t`` and never meets the score of ``x_t``.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

from ..theory._checks import bad
from .enclosure import Enclosed, exact, library, rational
from .enclosure_laws import ExactMixture, Majorant, exact_law, majorant_product, majorant_sum
from .enclosure_models import ExactScore, Growth, PolynomialScore
from .enclosure_objectives import enclose_information, exact_score, expectation_ball


class _Noised(NamedTuple):
    """``x_t`` and, for every component, the law of the target given ``x_t``: slope, intercept, variance."""

    law: ExactMixture
    targets: tuple[tuple[Fraction, Fraction, Fraction], ...]

    def target_growth(self) -> Majorant:
        """Bound of the mean of the target in every component."""
        arb = library().arb
        slope = max(abs(a) for a, _, _ in self.targets)
        return [arb(exact(max(abs(b) for _, b, _ in self.targets))), arb(exact(slope))]

    def spread(self) -> Any:
        """Bound of its variance."""
        return library().arb(exact(max(c for _, _, c in self.targets)))


def _noised(base: Any, scale: Any, variance: Any, route: str, target: Any) -> _Noised:
    law, a, v = exact_law(base), rational(scale, "scale"), rational(variance, "variance")
    if v <= 0:
        raise bad("variance", f"{v}", "a positive number", "check the sign")
    times = rational(target, "target")
    found = []
    for m, spread in zip(law.means, law.variances, strict=True):
        total = a * a * spread + v
        if route == "posterior":
            gain = a * spread / total
            slope, shift = -(1 - a * gain) / v, a * (m - gain * a * m) / v
            rest = a * a / v**2 * (v * spread / total)
        elif route == "noise":
            slope, shift = -1 / total, a * m / total
            rest = a * a * spread / total / v
        else:
            raise bad("route", repr(route), "posterior or noise", "correct it")
        found.append((times * slope, times * shift, times**2 * rest))
    return _Noised(law.diffuse(a, v), tuple(found))


def enclose_dsm(
    base: Any,
    score: Any,
    *,
    scale: Any = 1,
    variance: Any = 1,
    factor: Any = Fraction(1, 2),
    target: Any = 1,
    route: str = "posterior",
    digits: int = 30,
    rounds: int = 3,
    limit: int | None = None,
    seconds: float | None = None,
) -> Enclosed:
    """``c E |s(x_t) - tau grad log q(x_t | x_0)|^2``, rigorously.

    Args:
        base: law of x_0, a mixture of Gaussians on the line.
        score: s.
        scale: a.
        variance: v.
        factor: c.
        target: tau; one unless a wrong target is to be shown wrong.
        route: ``posterior`` (through the law of x_0 given x_t) or ``noise`` (through that of eps).
        digits: wanted after the point.
        rounds: most attempts.
        limit: evaluations of one integral in the first attempt.
        seconds: after which the best ball so far is returned, however wide.

    Raises:
        ValueError: parameters out of range, or see :func:`enclose`.
    """
    noised, model = _noised(base, scale, variance, route, target), exact_score(score)

    def density(s: ExactScore, z: Any, analytic: bool) -> Any:
        value, total = s.value(z, analytic), library().acb(0)
        for e, (slope, shift, rest) in zip(noised.law.joint(z), noised.targets, strict=True):
            total += e * ((value - z * exact(slope) - exact(shift)) ** 2 + exact(rest))
        return total

    def bound(growth: Growth) -> Majorant:
        off = majorant_sum(growth.value, noised.target_growth())
        return majorant_sum(majorant_product(off, off), [noised.spread()])

    found = expectation_ball(
        noised.law,
        model,
        density,
        bound,
        digits=digits,
        rounds=rounds,
        limit=limit,
        seconds=seconds,
    )
    return found * rational(factor, "factor")


def enclose_dsm_constant(
    base: Any,
    *,
    scale: Any = 1,
    variance: Any = 1,
    factor: Any = Fraction(1, 2),
    route: str = "posterior",
    digits: int = 30,
) -> Enclosed:
    """``DSM(s) - ESM(s; q_t) = c E Var[grad log q(x_t | x_0) | x_t]``, which no score enters.

    Args:
        base: law of x_0.
        scale: a.
        variance: v.
        factor: c.
        route: ``posterior``, that integral; ``fisher``, ``c (1/v - I(q_t))``.
        digits: wanted after the point.

    Raises:
        ValueError: another route, or see :func:`enclose_dsm`.
    """
    weight = rational(factor, "factor")
    if route == "fisher":
        law = exact_law(base).diffuse(scale, variance)
        information = enclose_information(law, digits=digits)
        return (1 / rational(variance, "variance") - information) * weight
    if route != "posterior":
        raise bad("route", repr(route), "posterior or fisher", "correct it")
    noised = _noised(base, scale, variance, "posterior", 1)

    def density(zero: ExactScore, z: Any, analytic: bool) -> Any:
        _, e, ratios = noised.law.ratios(z)
        mass = mean = square = library().acb(0)
        for rho, (slope, shift, rest) in zip(ratios, noised.targets, strict=True):
            t = z * exact(slope) + exact(shift)
            mass, mean = mass + rho, mean + rho * t
            square = square + rho * (t * t + exact(rest))
        return e * (square - mean * mean / mass)

    def bound(_: Growth) -> Majorant:
        t = noised.target_growth()
        return majorant_sum(majorant_product(t, t), [noised.spread()])

    found = expectation_ball(noised.law, PolynomialScore([0]), density, bound, digits=digits)
    return found * weight


def enclose_variation(
    base: Any,
    score: Any,
    direction: Any,
    *,
    scale: Any = 1,
    variance: Any = 1,
    digits: int = 30,
) -> Enclosed:
    """``E h(x_t) (s(x_t) - grad log q(x_t | x_0))``: half the derivative of ``E|s + theta h - target|^2`` at 0.

    It vanishes for every h exactly where s minimises denoising score matching.

    Args:
        base: law of x_0.
        score: s.
        direction: h, a score model as well; without breaks.
        scale: a.
        variance: v.
        digits: wanted after the point.
    """
    noised = _noised(base, scale, variance, "posterior", 1)
    model, h = exact_score(score), exact_score(direction)
    if h.breaks:
        raise bad("direction", "a model with breaks", "an analytic one", "choose another")

    def density(s: ExactScore, z: Any, analytic: bool) -> Any:
        _, e, ratios = noised.law.ratios(z)
        value, total = s.value(z, analytic), library().acb(0)
        for rho, (slope, shift, _) in zip(ratios, noised.targets, strict=True):
            total += rho * (value - z * exact(slope) - exact(shift))
        return e * total * h.value(z, analytic)

    def bound(growth: Growth) -> Majorant:
        reach = noised.law.box(digits)
        off = majorant_sum(growth.value, noised.target_growth())
        return majorant_product(off, h.growth(reach).value)

    return expectation_ball(noised.law, model, density, bound, digits=digits)
