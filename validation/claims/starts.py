"""Ledger, stochastic differential equations: D8, starting the reversal from a fixed prior."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from ...theory.diffusions import EDM, OU, VE, VP, ExponentialNoise, StraightPath, SubVP
from ...theory.mixtures import Gaussian, GaussianMixture
from ...theory.protocols import Vector
from ...theory.sde import LinearSDE
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from .averages import grid_means
from .laws import skewed_1d
from .tools import EPS, named, number

LATE, CLOSE = 4.0, 0.02
SDES: Mapping[str, LinearSDE] = {
    "VP": VP(),
    "cosine VP": VP.cosine(),
    "sub-VP": SubVP(),
    "VE": VE(),
    "OU": OU(),
    "EDM": EDM(),
    "straight path": StraightPath(),
    "e^t dw": ExponentialNoise(LATE),
}
#: Gaussian data with E x^2 = 1, off-centre.
MEAN, VARIANCE = 0.6, 0.64
End = Callable[[LinearSDE], tuple[float, float, float]]


def _usual(sde: LinearSDE) -> tuple[float, float, float]:
    """Scale and variance of the kernel at the end, and the variance of the prior."""
    kernel = sde.kernel(sde.t_max)
    return float(kernel.scale), float(kernel.variance), sde.prior_variance


def _half_way(sde: LinearSDE) -> tuple[float, float, float]:
    kernel = sde.kernel(0.5 * sde.t_max)
    return float(kernel.scale), float(kernel.variance), sde.prior_variance


def _unit_prior(sde: LinearSDE) -> tuple[float, float, float]:
    return (*_usual(sde)[:2], 1.0)


def _short(sde: LinearSDE) -> tuple[float, float, float]:
    """``dx = e^t dw`` until t = 1 with the prior of its own noise."""
    return _usual(ExponentialNoise(1.0) if isinstance(sde, ExponentialNoise) else sde)


def _no_signal(scale: float, variance: float, prior: float) -> tuple[float, float, float]:
    return 0.0, variance, prior


def kl_bound(scale: float, variance: float, prior: float, second: float) -> float:
    """``KL(p_T || N(0, prior)) <= 1/2 [a^2 E x_0^2 / s^2 + v/s^2 - 1 - log(v/s^2)]`` in one coordinate.

    The divergence is convex in its first argument, and this is its mean over x_0; equality for a point.
    """
    excess = variance / prior - 1
    # v/s^2 - 1 - log(v/s^2) is the square of a small number for most ends.
    return 0.5 * (scale**2 * second / prior + excess - math.log1p(excess))


def _listed(values: Mapping[str, float], digits: int = 2) -> str:
    return ", ".join(f"{name} {value:.{digits}g}" for name, value in values.items())


def _variation(end: End) -> Check:
    """Largest bound on the total variation of ``p_T`` and the prior: Pinsker's root of half the divergence."""

    def check(ctx: Context) -> Evidence:
        found = {name: math.sqrt(0.5 * kl_bound(*end(sde), 1.0)) for name, sde in SDES.items()}
        worst = max(found.values())
        return number(
            worst,
            error=1e-9 + 64 * EPS,  # a root of a difference of order EPS
            allowed=(0.0, CLOSE),
            n=len(SDES),
            message=f"total variation from the prior in one coordinate at most: {_listed(found)}",
        )

    return check


def _bounded(bound: Callable[[float, float, float, float], float], margin: float = 1.0) -> Check:
    """``KL(p_T || prior)`` of a skewed mixture by quadrature, as a share of the closed form that bounds it."""

    def check(ctx: Context) -> Evidence:
        law = skewed_1d()
        second = float(law.covariance[0, 0] + law.mean[0] ** 2)
        shares, errors = {}, []
        for name, sde in SDES.items():
            a, v, s2 = _usual(sde)
            noised, prior = law.diffuse(a, v), Gaussian([0.0], [s2])

            def term(x: Vector, p: GaussianMixture = noised, q: Gaussian = prior) -> Vector:
                log_p, log_q = p.log_prob(x), q.log_prob(x)
                # p log(p/q) - p + q, which has the same integral and no cancellation.
                ratio = log_p - log_q
                return (np.exp(log_q) * (np.exp(ratio) * ratio - np.expm1(ratio)))[:, None]

            (found,) = grid_means(term, noised)
            limit = bound(a, v, s2, second)
            shares[name] = float(found.value) / limit
            errors.append(0.5 * (found.high - found.low) / limit)
        worst = max(shares.values())
        return number(
            worst,
            error=max(errors),
            allowed=(0.0, margin),
            kind="quadrature",
            n=len(SDES) * 400,
            message=f"divergence of a skewed mixture over its bound: {_listed(shares, 3)}",
        )

    return check


def _returned(end: End) -> Check:
    """W2 between Gaussian data and what flow and reverse SDE return from the prior, over the data's deviation.

    Both are affine: the flow multiplies deviations by ``sqrt(S/S_T)``, the reverse SDE draws ``x_0`` given ``x_T``.
    """

    def check(ctx: Context) -> Evidence:
        found = {}
        root = math.sqrt(VARIANCE)
        for name, sde in SDES.items():
            a, v, s2 = end(sde)
            last = a**2 * VARIANCE + v
            gain = math.sqrt(VARIANCE / last)
            flow = math.hypot(gain * a * MEAN, gain * math.sqrt(s2) - root)
            pull = a * VARIANCE / last
            kept = VARIANCE * v / last  # variance of x_0 given x_T
            sde_end = math.hypot(pull * a * MEAN, math.sqrt(kept + pull**2 * s2) - root)
            found[name] = max(flow, sde_end) / root
        worst = max(found.values())
        return number(
            worst,
            error=256 * EPS,
            allowed=(0.0, CLOSE),
            n=2 * len(SDES),
            message=f"W2 of what is returned, in deviations of the data: {_listed(found)}",
        )

    return check


def _coupled(signal: float = 1.0) -> Check:
    """W2 between ``p_T`` and the prior for Gaussian data over ``sqrt(a^2 E x_0^2 + (sqrt(v) - s)^2)``."""

    def check(ctx: Context) -> Evidence:
        shares = {}
        for name, sde in SDES.items():
            a, v, s2 = _usual(sde)
            distance = math.hypot(a * MEAN, math.sqrt(a**2 * VARIANCE + v) - math.sqrt(s2))
            limit = math.hypot(
                signal * a * math.hypot(MEAN, math.sqrt(VARIANCE)), math.sqrt(v) - math.sqrt(s2)
            )
            shares[name] = distance / max(limit, 1e-300)
        return number(
            max(shares.values()),
            error=1e-10,  # differences of roots that are 1e-5 apart
            allowed=(0.0, 1.0),
            n=len(SDES),
            message=f"W2 between p_T and the prior over its bound: {_listed(shares, 3)}",
        )

    return check


def _eighth() -> Claim:
    ends = {"half-the-time": _half_way, "unit-prior": _unit_prior, "e-to-the-t-until-1": _short}
    return Claim(
        "D8",
        r"$x_T$ is close enough to a fixed prior to start the reverse SDE from it",
        checks={
            "variation": _variation(_usual),
            "bound": _bounded(kl_bound),
            "transport": _coupled(),
            "returned": _returned(_usual),
        },
        mutants={
            "transport": [named(_coupled(0.0), "signal-left-out"), named(_coupled(0.5), "half")],
            "variation": [named(_variation(f), k) for k, f in ends.items()],
            "bound": [
                named(
                    _bounded(lambda a, v, s, m: kl_bound(*_no_signal(a, v, s), m) + 1e-12),
                    "signal-left-out",
                ),
                named(_bounded(lambda a, v, s, m: 0.25 * kl_bound(a, v, s, m)), "quarter"),
            ],
            "returned": [named(_returned(f), k) for k, f in ends.items()],
        },
        source=("001",),
        assumptions=(
            r"the source starts at $x(T) \sim \pi$, 'a well-chosen prior': here $\mathcal{N}(0, s^2 I)$ with the "
            "usual variance of each diffusion, at its usual end (VP 0.1 to 20, VE 0.01 to 50, EDM 80, "
            f"OU 5 relaxation times, straight path to 0.999); the source's own $dx = e^t dw$, of which it names "
            f"no end, until $T = {LATE:g}$",
            f"'close enough' is read as: for data with $\\mathrm{{E}}\\,x_0^2 \\le 1$ a total variation of at most "
            f"{CLOSE:g} in one coordinate, and a returned law within {CLOSE:g} deviations in $W_2$ for Gaussian data",
            "the reversal is exact; a total variation at the start bounds that at the end",
        ),
        finding=lambda evidence: (
            r"For every data law $\mathrm{KL}(p_T\,\|\,\pi) \le \frac12\left[a^2\mathrm{E}|x_0|^2/s^2 + "
            r"d\,(v/s^2 - 1 - \log(v/s^2))\right]$ and $W_2(p_T, \pi)^2 \le a^2\mathrm{E}|x_0|^2 + "
            r"d\,(\sqrt{v} - s)^2$: "
            + f"{evidence['variation'].message}; {evidence['returned'].message}. The "
            "total variation grows like the norm of the data, and $dx = e^t dw$ stopped at 1 is not close."
        ),
        role="printed",
        group="ledger",
    )


CLAIMS: tuple[Claim, ...] = (_eighth(),)
