"""Gaussian mixtures on the line with exact parameters, and what lies beyond a box under them.

    int_{|x|>R} p(x) |x|^k dx <= sum_i w_i c_k (|m_i|^k T(0) + s_i^k T(k)),   c_k = 2^{k-1} (1 for k = 0),
    T(k) = E |y|^k 1{|y| > a} = 2^{k/2} Gamma((k+1)/2, a^2/2) / sqrt(pi),   a = (R - |m_i|) / s_i,  y ~ N(0, 1),

since ``x = m + s y`` with ``|x| > R`` has ``|y| > a``, and ``|m + s y|^k <= c_k (|m|^k + s^k |y|^k)``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

from ..theory._checks import bad
from .enclosure import exact, library, rational

#: coefficients of 1, |x|, |x|^2, ...: an upper bound of a function where |x| is large
Majorant = list[Any]


def majorant_sum(*parts: Majorant) -> Majorant:
    """Bound of a sum."""
    arb = library().arb
    size = max(len(p) for p in parts)
    return [sum((p[k] for p in parts if k < len(p)), arb(0)) for k in range(size)]


def majorant_product(a: Majorant, b: Majorant) -> Majorant:
    """Bound of a product."""
    arb = library().arb
    out = [arb(0)] * (len(a) + len(b) - 1)
    for i, u in enumerate(a):
        for j, v in enumerate(b):
            out[i + j] = out[i + j] + u * v
    return out


@dataclass(frozen=True)
class ExactMixture:
    """``p = sum_i w_i N(m_i, v_i)`` on the line.

    Attributes:
        weights: positive fractions with sum one.
        means: fractions.
        variances: positive fractions.
    """

    weights: tuple[Fraction, ...]
    means: tuple[Fraction, ...]
    variances: tuple[Fraction, ...]

    def __post_init__(self) -> None:
        for name in ("weights", "means", "variances"):
            part = getattr(self, name)
            if not (isinstance(part, tuple) and all(isinstance(v, Fraction) for v in part)):
                raise bad(name, f"{part!r}"[:60], "a tuple of fractions", "use ExactMixture.make")

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Once: integrands look up constants by the law, and fractions are slow to hash."""
        return hash((self.weights, self.means, self.variances))

    @classmethod
    def make(
        cls, weights: Sequence[Any], means: Sequence[Any], variances: Sequence[Any]
    ) -> ExactMixture:
        """From integers, fractions, decimals as text, or binary floats, which are taken as they are.

        Weights are divided by their exact sum.

        Raises:
            ValueError: lengths that differ, weights or variances that are not positive, or a sum of weights
                that is not one within 1e-6.
        """
        w = [rational(v, "weights") for v in weights]
        m = [rational(v, "means") for v in means]
        s = [rational(v, "variances") for v in variances]
        if not len(w) == len(m) == len(s) > 0:
            got = f"{len(w)} weights, {len(m)} means, {len(s)} variances"
            raise bad("weights", got, "as many of each", "match the lengths")
        for name, values in (("weights", w), ("variances", s)):
            if min(values) <= 0:
                raise bad(name, f"{min(values)}", "positive numbers", "drop what does not decay")
        total = sum(w, Fraction(0))
        if abs(total - 1) > Fraction(1, 10**6):
            raise bad("weights", f"sum {float(total):.10g}", "sum 1", "divide them by their sum")
        return cls(tuple(v / total for v in w), tuple(m), tuple(s))

    @property
    def mean(self) -> Fraction:
        """``E x``, exactly."""
        return self.moment(1)

    @property
    def variance(self) -> Fraction:
        """``Var x``, exactly."""
        return self.moment(2) - self.moment(1) ** 2

    def moment(self, k: int) -> Fraction:
        """``E x^k``, exactly: ``M_k = m M_{k-1} + (k-1) v M_{k-2}`` for every component."""
        total = Fraction(0)
        for w, m, v in zip(self.weights, self.means, self.variances, strict=True):
            before, now = Fraction(0), Fraction(1)
            for j in range(1, k + 1):
                before, now = now, m * now + (j - 1) * v * before
            total += w * now
        return total

    def diffuse(self, scale: Any, variance: Any) -> ExactMixture:
        """Law of ``scale x + sqrt(variance) z``.

        Raises:
            ValueError: a negative variance, or both zero.
        """
        a, u = rational(scale, "scale"), rational(variance, "variance")
        if u < 0 or (u == 0 and a == 0):
            raise bad("variance", f"{u}", "a positive number", "check the sign")
        means = tuple(a * m for m in self.means)
        return ExactMixture(self.weights, means, tuple(a * a * v + u for v in self.variances))

    def joint(self, z: Any) -> list[Any]:
        """``w_i N(z; m_i, v_i)`` for complex z."""
        return [
            ((z - m) ** 2 * half).exp() * norm
            for norm, m, half, _ in _constants(self, library().ctx.prec)
        ]

    def density_and_slope(self, z: Any) -> tuple[Any, Any]:
        """``p(z)`` and ``p'(z)``, for integrands without division by p."""
        p = slope = library().acb(0)
        for norm, m, half, inverse in _constants(self, library().ctx.prec):
            off = z - m
            e = (off * off * half).exp() * norm
            p, slope = p + e, slope - off * e * inverse
        return p, slope

    def ratios(self, z: Any) -> tuple[int, Any, list[Any]]:
        """The index of the component that leads at the middle of z, its density, and all densities over it.

        Far out all of them turn many times within a ball, so that their sum cannot be told from zero; the ratios
        do not. The function is the same whichever component leads.
        """
        x = float(z.real.mid())
        guides = _guides(self)
        lead = max(
            range(len(guides)), key=lambda k: guides[k][0] + guides[k][2] * (x - guides[k][1]) ** 2
        )
        norm, m, half, _ = _constants(self, library().ctx.prec)[lead]
        found = []
        for entry in _quotients(self, lead, library().ctx.prec):
            if entry is None:
                found.append(library().acb(1))
                continue
            factor, rate, centre, power = entry
            off = z - centre
            found.append(((off * off if power == 2 else off) * rate).exp() * factor)
        off = z - m
        return lead, (off * off * half).exp() * norm, found

    def relative(self, z: Any) -> tuple[Any, Any, Any]:
        """``(e, R, G)`` with ``p = e R`` and ``p' = e G``: the score is ``G / R``."""
        acb = library().acb
        _, e, ratios = self.ratios(z)
        total, slope = acb(0), acb(0)
        for rho, (_, m, _, inverse) in zip(
            ratios, _constants(self, library().ctx.prec), strict=True
        ):
            total, slope = total + rho, slope + (m - z) * inverse * rho
        return e, total, slope

    def relative_curvature(self, z: Any) -> tuple[Any, Any, Any, Any]:
        """``(e, R, G, H)``: besides those of :meth:`relative`, ``p'' = e H``."""
        _, e, ratios = self.ratios(z)
        total = slope = curvature = library().acb(0)
        constants = _constants(self, library().ctx.prec)
        for rho, (_, m, _, inverse) in zip(ratios, constants, strict=True):
            pull = (m - z) * inverse
            total, slope = total + rho, slope + pull * rho
            curvature = curvature + (pull * pull - inverse) * rho
        return e, total, slope, curvature

    def logarithm(self, z: Any, analytic: bool) -> tuple[Any, Any]:
        """``p(z)`` and ``log p(z)``; ``analytic`` as in :meth:`Work.integral`."""
        lead, e, ratios = self.ratios(z)
        norm, m, half, _ = _constants(self, library().ctx.prec)[lead]
        total = library().acb(0)
        for rho in ratios:
            total += rho
        return e * total, (z - m) ** 2 * half + norm.log() + total.log(analytic=analytic)

    def box(self, digits: int, degree: int = 4) -> int:
        """A half-width R beyond which polynomials of that degree count for less than ``10^-digits``, about."""
        sigmas = math.sqrt(2 * math.log(10) * (digits + 1) + 6 * degree)
        reach = [
            abs(float(m)) + math.sqrt(float(v)) * sigmas
            for m, v in zip(self.means, self.variances, strict=True)
        ]
        return math.ceil(max(reach) + 1)

    def tail(self, reach: int, bound: Majorant) -> Any:
        """Upper bound of ``int_{|x|>R} p f`` for ``|f| <= sum_k bound_k |x|^k`` there, as an ``arb``.

        Raises:
            ValueError: R is not beyond all means.
        """
        flint = library()
        arb, total = flint.arb, flint.arb(0)
        if reach <= max(abs(m) for m in self.means):
            raise bad("reach", f"{reach}", "a box that holds all means", "take a larger box")
        half, root_pi = arb(1) / 2, arb.pi().sqrt()
        for w, m, v in zip(self.weights, self.means, self.variances, strict=True):
            size, s = arb(exact(abs(m))), arb(exact(v)).sqrt()
            u = arb(exact((reach - abs(m)) ** 2 / (2 * v)))
            beyond = u.gamma_upper(half) / root_pi
            for k, c in enumerate(bound):
                far = arb(2) ** (half * k) * u.gamma_upper(half * (k + 1)) / root_pi
                split = 1 if k == 0 else arb(2) ** (k - 1)
                both = beyond if k == 0 else size**k * beyond + s**k * far
                total += arb(exact(w)) * c * split * both
        return total.upper()

    def score_growth(self) -> Majorant:
        """``|p'/p| <= (|x| + max |m|) / min v``, everywhere."""
        least = min(self.variances)
        top = max(abs(m) for m in self.means)
        arb = library().arb
        return [arb(exact(top / least)), arb(exact(1 / least))]

    def log_growth(self) -> Majorant:
        """A bound of ``|log p|``: p is at most its value with all means at x, at least any of its components."""
        arb = library().arb
        above = arb(0)
        for norm, *_ in _constants(self, library().ctx.prec):
            above += norm
        norm, m, half, _ = _constants(self, library().ctx.prec)[0]
        below = [abs(norm.log()) + abs(half) * abs(m) ** 2, abs(half) * 2 * abs(m), abs(half)]
        return majorant_sum([abs(above.log())], below)


@lru_cache(maxsize=256)
def _constants(law: ExactMixture, bits: int) -> tuple[tuple[Any, Any, Any, Any], ...]:
    """``w / sqrt(2 pi v)``, ``m``, ``-1/(2v)``, ``1/v`` in the precision of ``bits``."""
    flint = library()
    arb = flint.arb
    found = []
    for w, m, v in zip(law.weights, law.means, law.variances, strict=True):
        norm = arb(exact(w)) / (2 * arb.pi() * exact(v)).sqrt()
        found.append((norm, arb(exact(m)), arb(exact(-1 / (2 * v))), arb(exact(1 / v))))
    return tuple(found)


@lru_cache(maxsize=256)
def _guides(law: ExactMixture) -> list[tuple[float, float, float]]:
    """Log-densities of the components in float64, which only say which one to divide by."""
    return [
        (math.log(float(w)) - 0.5 * math.log(float(v)), float(m), -0.5 / float(v))
        for w, m, v in zip(law.weights, law.means, law.variances, strict=True)
    ]


@lru_cache(maxsize=512)
def _quotients(law: ExactMixture, lead: int, bits: int) -> list[tuple[Any, Any, Any, int] | None]:
    """Every component over the leading one as ``factor exp(rate (z - centre)^power)``; None for itself."""
    arb = library().arb
    w0, m0, v0 = (part[lead] for part in (law.weights, law.means, law.variances))
    found: list[tuple[Any, Any, Any, int] | None] = []
    for k, (w, m, v) in enumerate(zip(law.weights, law.means, law.variances, strict=True)):
        # The exponent is a z^2 + b z + c.
        a, b = 1 / (2 * v0) - 1 / (2 * v), m / v - m0 / v0
        c = m0 * m0 / (2 * v0) - m * m / (2 * v)
        factor = arb(exact(w / w0)) * arb(exact(v0 / v)).sqrt()
        if k == lead:
            found.append(None)
        elif a:
            factor *= arb(exact(c - b * b / (4 * a))).exp()
            found.append((factor, arb(exact(a)), arb(exact(-b / (2 * a))), 2))
        else:
            found.append((factor * arb(exact(c)).exp(), arb(exact(b)), arb(0), 1))
    return found


def exact_law(law: Any) -> ExactMixture:
    """The law with the binary parameters that it holds, taken exactly.

    Raises:
        ValueError: no mixture of Gaussians on the line: what lies beyond a box could not be bounded.
    """
    if isinstance(law, ExactMixture):
        return law
    if not hasattr(law, "basis") or not hasattr(law, "weights"):
        raise bad(
            "law",
            type(law).__name__,
            "a Gaussian or a Gaussian mixture on the line, whose decay bounds what lies beyond a box",
            "pass an ExactMixture, or decide by quadrature",
        )
    if law.dim != 1:
        raise bad("law", f"dimension {law.dim}", "dimension 1", "use project(direction) first")
    return ExactMixture.make(law.weights, law.means[:, 0], law.covariances[:, 0, 0])
