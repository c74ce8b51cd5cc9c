"""The checks of ``kernel_claim``: proof, enclosure, quadrature and draws, each with all four formulas as arguments."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..numerics.enclosure import Work, enclosed, exact, library
from ..numerics.estimate import mean_estimate
from ..theory.linear import LinearSDE
from ._mean_checks import late, remaining
from .claim import Check, Context
from .claims.averages import largest
from .claims.ball_evidence import SPARE, digits_of, equals, worst_of
from .claims.tools import agreement
from .evidence import Allowed, Evidence, Measured

if TYPE_CHECKING:
    from ..theory.symbolic.domain import Domain

TIMES = (
    Fraction(1, 8),
    Fraction(1, 2),
    Fraction(1),
)  #: in units of the end, where numbers are compared
FORMULAS = ("f", "g2", "scale", "variance")
_COORDINATES = 8  #: independent coordinates of one draw
_AGREE = 1e-6  #: relative difference between numbers that counts as none
_ERROR = 1e-8  #: of the kernels of the library by quadrature, relative


@dataclass(frozen=True)
class KernelFormulas:
    """``dx = f x dt + g dw`` and the kernel ``N(scale x_0, variance I)`` that is claimed for it.

    Attributes:
        formulas: expressions for f, g2, scale and variance.
        time: the symbol t.
        end: last time.
        domain: of the time and the parameters.
        values: parameter -> number that it takes.
    """

    formulas: Mapping[str, Any]
    time: Any
    end: Fraction
    domain: Domain
    values: Mapping[Any, Any]

    def numbered(self, name: str) -> Any:
        """A formula with the values of the parameters."""
        return self.formulas[name].xreplace(self.values)

    def at(self, name: str, share: Fraction) -> float:
        """A formula at a share of the end, in float64; not finite where it has no real value."""
        import mpmath
        import sympy as sp

        t = share * self.end
        function = sp.lambdify(self.time, self.numbered(name), "mpmath")
        with mpmath.workdps(30):
            try:
                return float(function(mpmath.mpf(t.numerator) / t.denominator))
            except (TypeError, ValueError, ArithmeticError):
                return math.nan

    @cached_property
    def sde(self) -> LinearSDE:
        """The diffusion of the library with drift f and diffusion ``sqrt(g2)``."""
        import sympy as sp

        f, g2 = (sp.lambdify(self.time, self.numbered(n), "scipy") for n in ("f", "g2"))
        return LinearSDE(lambda t: float(f(t)), lambda t: math.sqrt(g2(t)), t_max=float(self.end))


def proof(kernel: KernelFormulas) -> Check:
    """The moments solve their differential equations, for all times and parameters; with a certificate."""

    def check(ctx: Context) -> Evidence:
        from ..theory.symbolic._limits import within

        limit = remaining(ctx)
        if limit == 0:
            return late("proof")
        if limit is None:
            status, reason = next(_answers(kernel))
        else:
            answers = within(limit, __name__, "_answers", (kernel,))
            status, reason = answers.answers[-1] if answers.answers else ("UNKNOWN", answers.why)
        said = "not decided: " if status == "UNKNOWN" else ""
        refuted, failing = float(status == "REFUTED"), float(status != "PROVED")
        return Evidence(
            check="",
            kind="proof",
            measured=Measured(refuted, refuted, failing),
            allowed=Allowed(0.0, 0.0),
            n=1,
            message=said + reason,
        )

    return check


def _answers(kernel: KernelFormulas) -> Iterator[tuple[str, str]]:
    from ..theory.symbolic.user_kernels import kernel_of

    f, g2, scale, variance = (kernel.formulas[name] for name in FORMULAS)
    others = {s: ends for s, ends in kernel.domain.symbols.items() if s != kernel.time}
    found = kernel_of(
        f,
        g2,
        kernel.time,
        t_max=kernel.domain.symbols[kernel.time][1],
        parameters=others,
        scale=scale,
        variance=variance,
    )
    derivation = found.derivation
    if found.status == "PROVED":
        yield "PROVED", "the equations of mean and variance, and their initial values, hold"
    elif derivation is not None and derivation.status == "REFUTED":
        yield "REFUTED", "; ".join(derivation.failures())
    else:
        yield "UNKNOWN", found.reason


def enclosure(kernel: KernelFormulas) -> Check:
    """``exp(int f) - scale`` and ``scale^2 int g^2 / scale^2 - variance`` at three times, as balls.

    Raises:
        ValueError: a function that balls do not know.
    """
    import sympy as sp

    from ..numerics.enclosure_expressions import compile_ball

    def compiled(name: str) -> Any:
        e = kernel.numbered(name).replace(sp.tan, lambda u: sp.sin(u) / sp.cos(u))
        return compile_ball(e, kernel.time)

    f, g2, scale, variance = (compiled(name) for name in FORMULAS)

    def check(ctx: Context) -> Evidence:
        if ctx.out_of_time:
            return late("enclosure")
        d, pieces = digits_of(ctx), []
        for share in TIMES:
            end = share * kernel.end

            def mean(work: Work, end: Fraction = end) -> Any:
                grown = work.integral(f, [0, exact(end)])
                return grown.exp() - scale(library().acb(exact(end)), False).real

            def spread(work: Work, end: Fraction = end) -> Any:
                total = work.integral(lambda s, a: g2(s, a) / scale(s, a) ** 2, [0, exact(end)])
                at = library().acb(exact(end))
                return total * scale(at, False).real ** 2 - variance(at, False).real

            for what, gap in (("scale", mean), ("variance", spread)):
                ball = enclosed(gap, digits=d + SPARE, seconds=remaining(ctx))
                text = f"{what} at t = {float(end):g} less the formula"
                pieces.append(equals(ball, digits=d, message=text))
        found = worst_of(pieces)
        if ctx.out_of_time:
            return replace(found, message=f"{found.message}; stopped at the time limit")
        return found

    return check


def quadrature(kernel: KernelFormulas) -> Check:
    """The kernel of the library, from f and g by quadrature, against scale and variance at three times."""

    def check(ctx: Context) -> Evidence:
        found, claimed = [], []
        for share in TIMES:
            one = kernel.sde.kernel(float(share * kernel.end))
            for name, number in (("scale", one.scale), ("variance", one.variance)):
                wanted = kernel.at(name, share)
                size = max(abs(float(number)), abs(wanted)) or 1.0
                found.append(float(number) / size)
                claimed.append(wanted / size)
        gap = float(np.max(np.abs(np.array(found) - np.array(claimed))))
        return agreement(
            found,
            claimed,
            bound=_ERROR,
            tolerance=_AGREE,
            kind="quadrature",
            message=f"scale and variance at three times, apart by {gap:.3g}",
        )

    return check


def draws(kernel: KernelFormulas, *, tolerance: float) -> Check:
    """Paths from ``x_0 = 1`` in exact steps of the library: mean and variance at three times against the formulas.

    Differences are measured in standard deviations and variances of the paths.
    """

    def check(ctx: Context) -> Evidence:
        if ctx.out_of_time:
            return late("confidence")
        x = np.ones((ctx.budget, _COORDINATES))
        before, estimates, sde = 0.0, [], kernel.sde
        for share in TIMES:
            t = float(share * kernel.end)
            step, unit = sde.kernel(t, before), float(sde.kernel(t).variance)
            x = step.scale * x + step.std * ctx.rng.standard_normal(x.shape)
            scale, variance = kernel.at("scale", share), kernel.at("variance", share)
            off, before = (x - scale) / math.sqrt(unit), t
            for values in (off.mean(axis=1), (off**2).mean(axis=1) - variance / unit):
                estimates.append(mean_estimate(values, level=ctx.level / (2 * len(TIMES))))
        text = "mean and variance of paths at three times"
        found = largest(estimates, 1.0, tolerance, ctx, text)
        return replace(found, n=ctx.budget)

    return check


def defect(kernel: KernelFormulas) -> float:
    """Largest of the differences that :func:`draws` estimates, from the kernel of the library."""
    found = []
    for share in TIMES:
        one = kernel.sde.kernel(float(share * kernel.end))
        unit = float(one.variance)
        found.append(abs(float(one.scale) - kernel.at("scale", share)) / math.sqrt(unit))
        # The square is taken about the claimed mean.
        found.append(abs(found[-1] ** 2 + 1 - kernel.at("variance", share) / unit))
    return max(found)
