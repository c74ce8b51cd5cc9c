"""Score models that know themselves exactly: values and slopes on complex balls, and bounds far out.

Parameters are rational numbers; binary floats are taken as they are. What is enclosed is the real function with
these parameters, not its rounded evaluation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from ..theory._checks import bad
from ..theory.protocols import Vector
from .enclosure import exact, library, rational
from .enclosure_laws import ExactMixture, Majorant, majorant_product, majorant_sum
from .score_models import ScoreModel


class Growth(NamedTuple):
    """Bounds of ``|s|`` and ``|s'|`` for real ``|x| >= reach``."""

    value: Majorant
    slope: Majorant


class ExactScore(ABC):
    """A score model on the line; ``analytic`` is the flag of :meth:`Work.integral`.

    Attributes:
        breaks: points where the model is not analytic; integrals are split there.
    """

    breaks: tuple[Fraction, ...] = ()

    @abstractmethod
    def value(self, z: Any, analytic: bool) -> Any:
        """``s(z)`` on a complex ball."""

    @abstractmethod
    def slope(self, z: Any, analytic: bool) -> Any:
        """``s'(z)``, almost everywhere: jumps have no part in it."""

    @abstractmethod
    def growth(self, reach: int) -> Growth:
        """Bounds far out.

        Raises:
            ValueError: none is known.
        """

    @abstractmethod
    def floating(self) -> ScoreModel:
        """The same model on numpy float64."""

    def between(self, low: Fraction | None, high: Fraction | None) -> ExactScore:
        """The analytic function that the model is between two neighbouring breaks (None: no end)."""
        return self

    def values(self, z: Any, analytic: bool) -> tuple[Any, Any]:
        """Value and slope together."""
        return self.value(z, analytic), self.slope(z, analytic)


def _on_points(f: Any, df: Any) -> ScoreModel:
    def value(x: Vector) -> Vector:
        return np.asarray(f(x[:, 0]), dtype=np.float64)[:, None]

    def divergence(x: Vector) -> Vector:
        return np.asarray(df(x[:, 0]), dtype=np.float64)

    return ScoreModel(value, divergence, lambda x, v: divergence(x)[:, None] * v)


def _polynomial(coefficients: Sequence[Fraction], z: Any) -> Any:
    """Horner's scheme."""
    flint = library()
    total = flint.acb(0)
    for c in reversed(coefficients):
        total = total * z + exact(c)
    return total


def _derivative(coefficients: Sequence[Fraction]) -> tuple[Fraction, ...]:
    return tuple(k * c for k, c in enumerate(coefficients))[1:]


def _sizes(coefficients: Sequence[Fraction]) -> Majorant:
    arb = library().arb
    return [arb(exact(abs(c))) for c in coefficients] or [arb(0)]


def _floats(coefficients: Sequence[Fraction]) -> Vector:
    return np.array([float(c) for c in coefficients] or [0.0])


class PolynomialScore(ExactScore):
    """``s(x) = sum_k c_k x^k``; linear for two coefficients.

    Args:
        coefficients: ``c_0, c_1, ...``.
    """

    def __init__(self, coefficients: Sequence[Any]) -> None:
        self.coefficients = tuple(rational(c, "coefficients") for c in coefficients)
        self._slope = _derivative(self.coefficients)

    def value(self, z: Any, analytic: bool) -> Any:
        """See :class:`ExactScore`."""
        return _polynomial(self.coefficients, z)

    def slope(self, z: Any, analytic: bool) -> Any:
        """See :class:`ExactScore`."""
        return _polynomial(self._slope, z)

    def growth(self, reach: int) -> Growth:
        """See :class:`ExactScore`."""
        return Growth(_sizes(self.coefficients), _sizes(self._slope))

    def floating(self) -> ScoreModel:
        """See :class:`ExactScore`."""
        c, d = _floats(self.coefficients), _floats(self._slope)
        return _on_points(
            lambda x: np.polynomial.polynomial.polyval(x, c),
            lambda x: np.polynomial.polynomial.polyval(x, d),
        )


class RationalScore(ExactScore):
    """``s(x) = N(x) / D(x)`` with a denominator that has no zero on the line.

    Args:
        numerator: coefficients of N, lowest first.
        denominator: coefficients of D.

    Raises:
        ValueError: D vanishes at a real point, or cannot be shown not to.
    """

    def __init__(self, numerator: Sequence[Any], denominator: Sequence[Any]) -> None:
        top = [rational(c, "numerator") for c in numerator]
        bottom = [rational(c, "denominator") for c in denominator]
        while bottom and bottom[-1] == 0:
            bottom.pop()
        if not bottom:
            raise bad("denominator", "zero", "a polynomial that is not zero", "correct it")
        flint = library()
        if len(bottom) > 1:
            roots = flint.fmpq_poly([exact(c) for c in bottom]).complex_roots()
            poles = [root.real.str(6) for root, _ in roots if root.imag.contains(0)]
            if poles:
                raise bad(
                    "denominator", f"a zero near x = {poles[0]}", "none on the line", "move it"
                )
        self.numerator, self.denominator = tuple(top), tuple(bottom)
        self._slopes = _derivative(self.numerator), _derivative(self.denominator)

    def value(self, z: Any, analytic: bool) -> Any:
        """See :class:`ExactScore`; a pole gives a ball that is not finite."""
        return _polynomial(self.numerator, z) / _polynomial(self.denominator, z)

    def slope(self, z: Any, analytic: bool) -> Any:
        """``(N' - s D') / D``."""
        bottom = _polynomial(self.denominator, z)
        s = _polynomial(self.numerator, z) / bottom
        top, down = self._slopes
        return (_polynomial(top, z) - s * _polynomial(down, z)) / bottom

    def growth(self, reach: int) -> Growth:
        """``|D| >= |x|^n (|d_n| - sum_k<n |d_k| R^(k-n))``, and at least R^n times that."""
        degree = len(self.denominator) - 1
        least = abs(self.denominator[-1]) - sum(
            (
                abs(c) * Fraction(reach) ** (k - degree)
                for k, c in enumerate(self.denominator[:-1])
            ),
            Fraction(0),
        )
        if least <= 0:
            raise bad("reach", f"{reach}", "a box that holds all poles", "take a larger box")
        inverse = [library().arb(exact(1 / (least * Fraction(reach) ** degree)))]
        top, down = self._slopes
        s = majorant_product(_sizes(self.numerator), inverse)
        rest = majorant_sum(_sizes(top), majorant_product(s, _sizes(down)))
        return Growth(s, majorant_product(rest, inverse))

    def floating(self) -> ScoreModel:
        """See :class:`ExactScore`."""
        value = np.polynomial.polynomial.polyval
        n, d = _floats(self.numerator), _floats(self.denominator)
        dn, dd = (_floats(c) for c in self._slopes)

        def slope(x: Vector) -> Vector:
            bottom = value(x, d)
            return (value(x, dn) - value(x, n) / bottom * value(x, dd)) / bottom

        return _on_points(lambda x: value(x, n) / value(x, d), slope)


class MixtureScore(ExactScore):
    """``factor`` times the score of a mixture, ``p'/p``.

    Args:
        law: p.
        factor: a rational number.
    """

    def __init__(self, law: ExactMixture, factor: Any = 1) -> None:
        self.law, self.factor = law, rational(factor, "factor")

    def value(self, z: Any, analytic: bool) -> Any:
        """See :class:`ExactScore`; a zero of p gives a ball that is not finite."""
        _, total, slope = self.law.relative(z)
        return slope / total * exact(self.factor)

    def slope(self, z: Any, analytic: bool) -> Any:
        """``s' = p''/p - (p'/p)^2``."""
        return self.values(z, analytic)[1]

    def values(self, z: Any, analytic: bool) -> tuple[Any, Any]:
        """See :class:`ExactScore`."""
        _, total, slope, curvature = self.law.relative_curvature(z)
        s, c = slope / total, exact(self.factor)
        return s * c, (curvature / total - s * s) * c

    def growth(self, reach: int) -> Growth:
        """``s' = Var(s_k) - E 1/v_k`` over the posterior of the component, and ``|s_k|`` is bounded like ``|s|``."""
        arb = library().arb
        size = [arb(exact(abs(self.factor)))]
        s = self.law.score_growth()
        inverse = [arb(exact(1 / min(self.law.variances)))]
        slope = majorant_sum(inverse, majorant_product(s, s))
        return Growth(majorant_product(size, s), majorant_product(size, slope))

    def floating(self) -> ScoreModel:
        """See :class:`ExactScore`."""
        from ..theory.mixtures import GaussianMixture

        means = [[float(m)] for m in self.law.means]
        law = GaussianMixture(
            [float(w) for w in self.law.weights], means, [float(v) for v in self.law.variances]
        )
        c = float(self.factor)
        return ScoreModel(
            lambda x: c * np.asarray(law.score(x)), lambda x: c * np.asarray(law.divergence(x))
        )
