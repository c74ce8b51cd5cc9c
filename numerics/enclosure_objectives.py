"""Enclosures of the objectives and of the constants between them, for mixtures on the line.

Integrals run over a box and what lies beyond it is bounded and put into the ball. The objects are those of
:mod:`objectives`: ``enclose(ESM(law), score)``, ``enclose(ISM(law), score)``, ``enclose(DSM(base), score)``.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

from ..theory._checks import bad
from .enclosure import Enclosed, Work, enclosed, exact, library, rational
from .enclosure_laws import (
    ExactMixture,
    Majorant,
    exact_law,
    majorant_product,
    majorant_sum,
)
from .enclosure_models import ExactScore, Growth, PolynomialScore
from .objectives import ESM, ISM
from .objectives_denoising import DSM

#: from the model between two breaks, z and the flag to the integrand with its density
Density = Callable[[ExactScore, Any, bool], Any]


def enclose(
    objective: ESM | ISM | DSM,
    score: Any,
    *,
    digits: int = 30,
    rounds: int = 3,
    limit: int | None = None,
    seconds: float | None = None,
) -> Enclosed:
    """The objective of ``score``, rigorously.

    Args:
        objective: of a mixture of Gaussians on the line; its numbers are taken as they are.
        score: an :class:`ExactScore`, or what :func:`exact_score` makes one of.
        digits: wanted after the point.
        rounds: most attempts, each with more digits.
        limit: evaluations of one integral in the first attempt.
        seconds: after which the best ball so far is returned, however wide.

    Raises:
        ValueError: a law without Gaussian decay, a score of which nothing is known far out, an objective of
            another kind.
    """
    model = exact_score(score)
    options: dict[str, Any] = {
        "digits": digits,
        "rounds": rounds,
        "limit": limit,
        "seconds": seconds,
    }
    if isinstance(objective, DSM):
        from .enclosure_noise import enclose_dsm

        if objective.target is not None or objective.at_clean:
            raise bad("objective", "DSM of another target", "the plain one", "use enclose_dsm")
        return enclose_dsm(
            objective.base,
            model,
            scale=objective.scale,
            variance=objective.variance,
            factor=objective.factor,
            **options,
        )
    if isinstance(objective, ESM):
        found = enclose_mean(objective.law, model, "explicit", **options)
    elif isinstance(objective, ISM):
        trace = rational(objective.trace, "trace")
        found = enclose_mean(objective.law, model, "implicit", trace=trace, **options)
    else:
        wanted = "ESM, ISM or DSM"
        raise bad("objective", type(objective).__name__, wanted, "pass one of these")
    return found * rational(objective.factor, "factor")


def enclose_mean(
    law: Any,
    score: Any,
    what: str,
    *,
    trace: Fraction | int = 2,
    digits: int = 30,
    rounds: int = 3,
    limit: int | None = None,
    seconds: float | None = None,
) -> Enclosed:
    """``E_p`` of one term of the objectives.

    Args:
        law: p.
        score: s.
        what: ``explicit`` ``(s - p'/p)^2``, ``implicit`` ``s^2 + trace s'``, ``square`` ``s^2``, ``slope`` ``s'``,
            ``value`` ``s``, or ``product`` ``s p'/p``.
        trace: weight of the slope.
        digits: wanted after the point.
        rounds: most attempts.
        limit: evaluations of one integral in the first attempt.
        seconds: after which the best ball so far is returned, however wide.

    Raises:
        ValueError: another name, or see :func:`enclose`.
    """
    p, model = exact_law(law), exact_score(score)
    weight = rational(trace, "trace")
    rules: dict[str, tuple[Density, Callable[[Growth], Majorant]]] = {
        "explicit": (
            lambda s, z, a: _explicit(p, s, z, a),
            lambda g: _squared(majorant_sum(g.value, p.score_growth())),
        ),
        "implicit": (
            lambda s, z, a: _implicit(p, s, z, a, weight),
            lambda g: majorant_sum(
                _squared(g.value), majorant_product(g.slope, [library().arb(exact(abs(weight)))])
            ),
        ),
        "square": (
            lambda s, z, a: p.density_and_slope(z)[0] * s.value(z, a) ** 2,
            lambda g: _squared(g.value),
        ),
        "value": (lambda s, z, a: p.density_and_slope(z)[0] * s.value(z, a), lambda g: g.value),
        "slope": (lambda s, z, a: p.density_and_slope(z)[0] * s.slope(z, a), lambda g: g.slope),
        "product": (
            lambda s, z, a: p.density_and_slope(z)[1] * s.value(z, a),
            lambda g: majorant_product(g.value, p.score_growth()),
        ),
    }
    if what not in rules:
        raise bad("what", repr(what), ", ".join(rules), "correct it")
    density, bound = rules[what]
    return expectation_ball(
        p, model, density, bound, digits=digits, rounds=rounds, limit=limit, seconds=seconds
    )


def expectation_ball(
    law: ExactMixture,
    model: ExactScore,
    density: Density,
    bound: Callable[[Growth], Majorant],
    *,
    digits: int,
    rounds: int = 3,
    limit: int | None = None,
    seconds: float | None = None,
) -> Enclosed:
    """``int density(s, x) dx``, where ``|density| <= p(x) bound(|x|)`` beyond the box."""

    def compute(work: Work) -> Any:
        reach = law.box(work.digits)
        reach = max(reach, *(int(abs(b)) + 2 for b in model.breaks)) if model.breaks else reach
        # First, since it may refuse.
        beyond = law.tail(reach, bound(model.growth(reach)))
        edges = [None, *sorted(model.breaks), None]
        total = library().arb(0)
        for low, high in pairwise(edges):
            piece = model.between(low, high)
            ends = [-reach if low is None else exact(low), reach if high is None else exact(high)]
            total += work.integral(lambda z, a, piece=piece: density(piece, z, a), ends)
        return total + library().arb(0, beyond)

    return enclosed(compute, digits=digits, rounds=rounds, limit=limit, seconds=seconds)


def _squared(a: Majorant) -> Majorant:
    return majorant_product(a, a)


def _explicit(p: ExactMixture, s: ExactScore, z: Any, analytic: bool) -> Any:
    e, total, slope = p.relative(z)
    return e * (s.value(z, analytic) * total - slope) ** 2 / total


def _implicit(p: ExactMixture, s: ExactScore, z: Any, analytic: bool, trace: Fraction) -> Any:
    value, slope = s.values(z, analytic)
    return p.density_and_slope(z)[0] * (value * value + slope * exact(trace))


def exact_score(score: Any) -> ExactScore:
    """An :class:`ExactScore` from itself, a sympy expression in one symbol, or a torch network of Linear and Tanh.

    Raises:
        ValueError: a plain function: nothing says where it is analytic, nor how it grows.
    """
    if isinstance(score, ExactScore):
        return score
    if hasattr(score, "free_symbols"):
        from .enclosure_expressions import ExpressionScore

        return ExpressionScore(score)
    if hasattr(score, "named_parameters"):
        from .enclosure_torch import exact_network

        return exact_network(score)
    raise bad(
        "score",
        type(score).__name__,
        "an ExactScore, a sympy expression in x, or a torch network of Linear and Tanh",
        "a plain function cannot say where it is analytic",
    )


def enclose_information(law: Any, *, digits: int = 30) -> Enclosed:
    """Fisher information ``E (p'/p)^2 = int p'^2 / p``.

    Args:
        law: p.
        digits: wanted after the point.
    """
    p = exact_law(law)

    def density(_: ExactScore, z: Any, analytic: bool) -> Any:
        e, total, slope = p.relative(z)
        return e * slope * slope / total

    return expectation_ball(
        p, PolynomialScore([0]), density, lambda g: _squared(p.score_growth()), digits=digits
    )


def enclose_entropy(law: Any, *, digits: int = 30) -> Enclosed:
    """``H = -int p log p``.

    Args:
        law: p.
        digits: wanted after the point.
    """
    p = exact_law(law)

    def density(_: ExactScore, z: Any, analytic: bool) -> Any:
        mass, log = p.logarithm(z, analytic)
        return -mass * log

    return expectation_ball(
        p, PolynomialScore([0]), density, lambda g: p.log_growth(), digits=digits
    )


def enclose_entropy_rate(law: Any, *, digits: int = 30) -> Enclosed:
    """``dH/d sigma^2`` at sigma = 0 of the law of ``x + sigma eps``; by de Bruijn's identity half the information.

    ``-int (d p / d sigma^2) log p`` with ``d N(x; m, v) / dv = N ((x-m)^2 / v^2 - 1/v) / 2``, component by component;
    the information does not enter.

    Args:
        law: p.
        digits: wanted after the point.
    """
    p = exact_law(law)

    def density(_: ExactScore, z: Any, analytic: bool) -> Any:
        e, _, _, curvature = p.relative_curvature(z)
        return -e * curvature / 2 * p.logarithm(z, analytic)[1]

    def bound(_: Growth) -> Majorant:
        s, arb = p.score_growth(), library().arb
        inverse = [arb(exact(1 / min(p.variances)))]
        rate = majorant_sum(_squared(s), inverse)
        return majorant_product(p.log_growth(), majorant_product(rate, [arb(1) / 2]))

    return expectation_ball(p, PolynomialScore([0]), density, bound, digits=digits)
