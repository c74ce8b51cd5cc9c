"""Enclosures of ``E_p sum_k c_k(x) p^a (log p)^b (p'/p)^c ((log p)'')^e`` for mixtures on the line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .enclosure import Enclosed, exact, library
from .enclosure_expressions import compile_ball
from .enclosure_growth import majorant
from .enclosure_laws import ExactMixture, Majorant, exact_law, majorant_product, majorant_sum
from .enclosure_models import ExactScore, Growth, MixtureScore, PolynomialScore
from .enclosure_objectives import expectation_ball

#: powers of p, log p, the score and its slope -> coefficient, a sympy expression in x
Terms = Mapping[tuple[int, ...], Any]


def enclose_jets(
    law: Any, terms: Terms, x: Any, *, digits: int = 30, seconds: float | None = None
) -> Enclosed:
    """The mean of a polynomial in ``p, log p, (log p)', (log p)''`` whose coefficients are functions of x.

    Args:
        law: p.
        terms: powers -> coefficient, smooth on the line, see :func:`compile_ball`.
        x: the real symbol of the coefficients.
        digits: wanted after the point.
        seconds: after which the best ball so far is returned, however wide.

    Raises:
        ValueError: a law without Gaussian decay, or a coefficient that is not known or of which no polynomial
            bound is known far out.
    """
    p = exact_law(law)
    parts = [(powers, compile_ball(c, x)) for powers, c in terms.items()]
    bound_terms(p, terms, x, p.box(digits))

    def density(_: ExactScore, z: Any, analytic: bool) -> Any:
        e, total, slope, curvature = p.relative_curvature(z)
        mass, s = e * total, slope / total
        log = p.logarithm(z, analytic)[1] if any(powers[1] for powers in terms) else mass
        known = (mass, log, s, curvature / total - s * s)
        value = library().acb(0)
        for powers, coefficient in parts:
            one = coefficient(z, analytic)
            for k, n in zip(known, powers, strict=True):
                for _power in range(n):
                    one = one * k
            value += one
        return mass * value

    def bound(_: Growth) -> Majorant:
        return bound_terms(p, terms, x, p.box(digits))

    return expectation_ball(
        p, PolynomialScore([0]), density, bound, digits=digits, seconds=seconds
    )


def bound_terms(p: ExactMixture, terms: Terms, x: Any, reach: int) -> Majorant:
    """A bound of the polynomial for ``|x| >= reach``.

    Raises:
        ValueError: none is known.
    """
    arb = library().arb
    growth = MixtureScore(p).growth(reach)
    top = sum((1 / (2 * arb.pi() * exact(v)).sqrt() for v in p.variances), arb(0))
    known: tuple[Majorant, ...] = ([top], p.log_growth(), growth.value, growth.slope)
    found: Majorant = [arb(0)]
    for powers, c in terms.items():
        one = majorant(c, x, reach)
        for k, n in zip(known, powers, strict=True):
            for _ in range(n):
                one = majorant_product(one, k)
        found = majorant_sum(found, one)
    return found
