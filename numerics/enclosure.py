"""Rigorous numbers: balls of Arb (through python-flint) that hold the true value, with precision as asked for.

An :class:`Enclosed` is an interval with exact ends. What can be said of a claimed value is either that it lies
in the interval, which supports the claim only as far as the interval is narrow, or that it does not, which
refutes it. :func:`enclosed` repeats a computation with more digits until its ball is narrow enough.

References:
    Johansson 2017 (Arb), Johansson 2018 (rigorous integration of analytic functions, after Petras 2002).
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from ..theory._checks import bad

_BITS = math.log2(10)
_LARGEST = sys.float_info.max
_ROUNDS = 3  #: attempts of :func:`enclosed`, each with more digits
#: of an integrand that exponentials keep small: (x, whether it must be analytic there) -> value
Integrand = Callable[[Any, bool], Any]


def library() -> Any:
    """The module ``flint``.

    Raises:
        ImportError: python-flint is not installed.
    """
    try:
        import flint
    except ImportError as error:
        raise ImportError(
            "enclosures need the package python-flint, which is missing; run pip install python-flint"
        ) from error
    return flint


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Ball arithmetic to ``bits``; what was set before is restored."""
    context = library().ctx
    before = context.prec
    context.prec = bits
    try:
        yield
    finally:
        context.prec = before


def rational(value: Any, argument: str) -> Fraction:
    """An exact number: an integer, a fraction, a decimal as text, or a binary float taken as it is.

    Raises:
        ValueError: not finite, or no rational number.
    """
    wanted, remedy = "a finite rational number", 'pass an int, a Fraction, a text such as "0.3"'
    if getattr(value, "is_Float", False):
        raise bad(argument, f"the rounded number {value}", wanted, remedy)
    if hasattr(value, "p") and hasattr(value, "q"):  # sympy and flint
        return Fraction(int(value.p), int(value.q))
    if hasattr(value, "item"):  # one entry of an array
        value = value.item()
    try:
        return Fraction(value)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError) as error:
        raise bad(argument, repr(value)[:60], wanted, remedy) from error


def exact(value: Fraction) -> Any:
    """A fraction as ``flint.fmpq``."""
    return library().fmpq(value.numerator, value.denominator)


def _fraction(number: Any) -> Fraction:
    """An exact binary number of flint."""
    mantissa, exponent = (int(n) for n in number.man_exp())
    return Fraction(mantissa) * Fraction(2) ** exponent


def rounded_up(value: Fraction) -> float:
    """The least float64 that is not below ``value``."""
    near = _nearest(value)
    if math.isinf(near):
        return near if near > 0 else -_LARGEST
    return math.nextafter(near, math.inf) if Fraction(near) < value else near


def rounded_down(value: Fraction) -> float:
    """The greatest float64 that is not above ``value``."""
    return 0.0 - rounded_up(-value)


def _nearest(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


@dataclass(frozen=True, eq=False)
class Enclosed:
    """An interval that holds the true value; arithmetic keeps that so.

    Attributes:
        ball: midpoint and radius, ``flint.arb``.
        asked: decimal digits asked for: narrow means narrower than ``10^-asked``.
        bits: precision of the arithmetic that gave the ball.
        evaluations: calls of integrands.
    """

    ball: Any
    asked: int
    bits: int = 128
    evaluations: int = 0

    @property
    def finite(self) -> bool:
        """Whether the interval is bounded."""
        return bool(self.ball.is_finite())

    @property
    def ends(self) -> tuple[Fraction, Fraction]:
        """Both ends, exactly.

        Raises:
            ValueError: the interval is not bounded.
        """
        if not self.finite:
            raise bad("ends", "an unbounded interval", "a finite one", "ask for more digits")
        middle, radius = _fraction(self.ball.mid()), _fraction(self.ball.rad())
        return middle - radius, middle + radius

    @property
    def low(self) -> float:
        """Lower end in float64, rounded downward; minus infinity where nothing is known."""
        return rounded_down(self.ends[0]) if self.finite else -math.inf

    @property
    def high(self) -> float:
        """Upper end in float64, rounded upward."""
        return rounded_up(self.ends[1]) if self.finite else math.inf

    @property
    def value(self) -> float:
        """Midpoint in float64; NaN where nothing is known."""
        return _nearest(_fraction(self.ball.mid())) if self.finite else math.nan

    @property
    def width(self) -> Fraction | float:
        """Length of the interval, exactly, or infinity."""
        return Fraction(2) * _fraction(self.ball.rad()) if self.finite else math.inf

    @property
    def digits(self) -> int:
        """The largest n such that the interval is narrower than ``10^-n``."""
        width = self.width
        if not isinstance(width, Fraction):
            return -(10**9)
        if width == 0:
            return 10**9
        n = math.floor(-_log10(width))
        return n if width < Fraction(10) ** -n else n - 1

    @property
    def narrow(self) -> bool:
        """Whether the interval is narrower than asked."""
        return self.digits >= self.asked

    def contains(self, value: Any) -> bool:
        """Whether the claimed number, or all of another interval, lies in the interval."""
        if not self.finite:
            return True
        (low, high), (a, b) = self.ends, _pair(value)
        return low <= a and b <= high

    def excludes(self, value: Any) -> bool:
        """Whether the claimed number is certainly not the true value."""
        if not self.finite or (isinstance(value, Enclosed) and not value.finite):
            return False
        (low, high), (a, b) = self.ends, _pair(value)
        return b < low or a > high

    def text(self, digits: int | None = None) -> str:
        """Decimal digits that are certain, with the radius."""
        shown = self.asked + 1 if digits is None else digits
        with precision(self.bits):
            return self.ball.str(max(3, shown))

    def _with(self, other: Any, operation: Callable[[Any, Any], Any]) -> Enclosed:
        if isinstance(other, Enclosed):
            ball, bits, asked = other.ball, other.bits, other.asked
            count = self.evaluations + other.evaluations
        else:
            ball, bits, asked = exact(rational(other, "number")), self.bits, self.asked
            count = self.evaluations
        bits = max(bits, self.bits)
        with precision(bits):
            result = library().arb(operation(self.ball, ball))
        return Enclosed(result, min(self.asked, asked), bits, count)

    def __add__(self, other: Any) -> Enclosed:
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other: Any) -> Enclosed:
        return self._with(other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> Enclosed:
        return self._with(other, lambda a, b: b - a)

    def __mul__(self, other: Any) -> Enclosed:
        return self._with(other, lambda a, b: a * b)

    def __truediv__(self, other: Any) -> Enclosed:
        return self._with(other, lambda a, b: a / b)

    def __neg__(self) -> Enclosed:
        return self * -1

    __radd__ = __add__
    __rmul__ = __mul__

    def __bool__(self) -> bool:
        raise TypeError("an enclosure has no truth value; use contains(x) or excludes(x)")

    def __eq__(self, other: object) -> bool:
        raise TypeError("enclosures are not compared with ==; use contains(x) or excludes(x)")

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Enclosed({self.text(min(self.asked + 1, 40))}, asked={self.asked})"


def _pair(value: Any) -> tuple[Fraction, Fraction]:
    if isinstance(value, Enclosed):
        return value.ends
    one = rational(value, "value")
    return one, one


def _log10(value: Fraction) -> float:
    """Of a positive fraction of any size."""
    shift = value.numerator.bit_length() - value.denominator.bit_length()
    return math.log10(value / Fraction(2) ** shift) + shift / _BITS


class Work:
    """One attempt of :func:`enclosed`.

    Attributes:
        digits: that the arithmetic carries.
        bits: the same in bits.
        limit: most evaluations of one integral; fewer give a wide ball or none, never a wrong one.
        deadline: ``time.monotonic()`` after which integrands are no longer evaluated, which leaves no ball; or None.
        evaluations: so far.
    """

    def __init__(self, digits: int, limit: int, deadline: float | None = None) -> None:
        self.digits, self.limit, self.deadline = digits, limit, deadline
        self.bits = math.ceil(digits * _BITS) + 16
        self.evaluations = 0

    @property
    def late(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and time.monotonic() > self.deadline

    def integral(self, f: Integrand, edges: Sequence[Any]) -> Any:
        """``int f`` from the first to the last of the exact ``edges``, piece by piece, as a ball.

        ``f(z, analytic)`` must return a ball that is not finite wherever ``analytic`` is set and f is not
        holomorphic on z: the methods of flint see to it when the flag is handed on, poles without it.
        """
        flint = library()
        tolerance, nothing = flint.arb(10) ** -self.digits, flint.acb("nan")

        def counted(z: Any, analytic: bool) -> Any:
            self.evaluations += 1
            return nothing if self.late else f(z, analytic)

        total = flint.acb(0)
        for low, high in pairwise(edges):
            total += flint.acb.integral(
                counted,
                flint.acb(low),
                flint.acb(high),
                rel_tol=tolerance,
                abs_tol=tolerance,
                eval_limit=self.limit,
            )
        if total.is_finite() and not total.imag.contains(0):
            raise bad("integrand", "complex values", "real values", "check roots and logarithms")
        return total.real


def enclosed(
    compute: Callable[[Work], Any],
    *,
    digits: int = 30,
    rounds: int = _ROUNDS,
    limit: int | None = None,
    seconds: float | None = None,
) -> Enclosed:
    """The ball of ``compute(work)``, repeated with more digits until it is narrower than ``10^-digits``.

    A result that is still too wide, or not finite, is returned as it is: ``narrow`` is False then, and
    nothing is decided by it.

    Args:
        compute: from the attempt to an ``arb``, in the precision of the attempt.
        digits: decimal digits after the point.
        rounds: most attempts.
        limit: evaluations of one integral in the first attempt, four times more in each of the others; None:
            enough for smooth integrands.
        seconds: after which the best ball so far is returned; None for no limit of time.

    Raises:
        ValueError: digits that are not a positive integer.
    """
    if not isinstance(digits, int) or isinstance(digits, bool) or not 0 < digits <= 10_000:
        raise bad("digits", repr(digits), "an integer from 1 to 10,000", "pass e.g. 30")
    carried, best = digits + 3, None
    deadline = None if seconds is None else time.monotonic() + seconds
    for attempt in range(rounds):
        bits = math.ceil(carried * _BITS) + 16
        most = (100 * bits if limit is None else limit) * 4**attempt
        with precision(bits):
            work = Work(carried, most, deadline)
            ball = library().arb(compute(work))
        found = Enclosed(ball, digits, bits, work.evaluations)
        if best is None or found.digits > best.digits:
            best = found
        if found.narrow or work.late:
            return found if found.narrow else best
        # A finite ball says how many digits were lost on the way.
        lost = carried - found.digits if found.finite else 0
        carried += max(lost, 4) if found.finite else max(digits // 4, 4)
    assert best is not None
    return best
