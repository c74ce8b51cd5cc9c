"""Enclosures at a point: scores, log-densities, and conditional means given a noised point, on the line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from ..theory._checks import bad
from .enclosure import Enclosed, enclosed, exact, library, rational
from .enclosure_laws import Majorant, exact_law, majorant_product
from .enclosure_models import ExactScore, PolynomialScore
from .enclosure_objectives import expectation_ball

_DOUBLINGS = 5  #: of the digits, until the likelihood of a far point is seen to be positive


def enclose_score(law: Any, at: Any, *, digits: int = 30) -> Enclosed:
    """``p'(x) / p(x)``.

    Args:
        law: p, a mixture of Gaussians on the line.
        at: x.
        digits: wanted after the point.
    """
    p, x = exact_law(law), exact(rational(at, "at"))

    def compute(_: Any) -> Any:
        _, total, slope = p.relative(library().acb(x))
        return (slope / total).real

    return enclosed(compute, digits=digits)


def enclose_log_density(law: Any, at: Any, *, digits: int = 30) -> Enclosed:
    """``log p(x)``.

    Args:
        law: p.
        at: x.
        digits: wanted after the point.
    """
    p, x = exact_law(law), exact(rational(at, "at"))
    return enclosed(lambda _: p.logarithm(library().acb(x), False)[1].real, digits=digits)


def enclose_posterior_mean(
    base: Any,
    at: Any,
    *,
    scale: Any = 1,
    variance: Any = 1,
    coefficients: Sequence[Any] = (0, 1),
    digits: int = 30,
) -> Enclosed:
    """``E[f(x_0) | x_t = x]`` with ``x_t = a x_0 + sqrt(v) eps`` and a polynomial f, by Bayes' rule.

    Two integrals over x_0, of ``p(x_0) exp(-(x - a x_0)^2 / (2v))`` with f and without: neither the law of ``x_t`` nor
    its score enters.

    Args:
        base: p.
        at: x.
        scale: a.
        variance: v.
        coefficients: of f, lowest first.
        digits: wanted after the point.

    Raises:
        ValueError: a variance that is not positive, or a law that is no mixture of Gaussians on the line.
    """
    p, x, a = exact_law(base), rational(at, "at"), rational(scale, "scale")
    v = rational(variance, "variance")
    if v <= 0:
        raise bad("variance", f"{v}", "a positive number", "check the sign")
    half = exact(Fraction(-1, 2) / v)

    def integral(f: PolynomialScore, wanted: int) -> Enclosed:
        def density(s: ExactScore, z: Any, analytic: bool) -> Any:
            off = z * exact(a) - exact(x)
            return p.density_and_slope(z)[0] * (off * off * half).exp() * s.value(z, analytic)

        def bound(growth: Any) -> Majorant:
            return majorant_product(growth.value, [library().arb(1)])

        return expectation_ball(p, f, density, bound, digits=wanted)

    one, wanted = PolynomialScore([1]), digits + 2
    mass = integral(one, wanted)
    for _ in range(_DOUBLINGS):
        if mass.low > 0:
            break
        wanted *= 2
        mass = integral(one, wanted)
    if mass.low <= 0:
        nothing = library().arb("nan")
        return Enclosed(nothing, digits, mass.bits, mass.evaluations)
    # A small likelihood takes its digits away from both parts.
    wanted = digits + 2 + math.ceil(max(0.0, -2 * math.log10(mass.low)))
    top = integral(PolynomialScore(coefficients), wanted)
    return replace(top / integral(one, wanted), asked=digits)
