"""Ledger, noising: D1 and D6, continuous diffusions and the discrete chains that they are limits of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import integrate

from ...theory.diffusions import OU, VE, VP, ExponentialNoise
from ...theory.protocols import Vector
from ...theory.sde import LinearSDE
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from .figures import ladder
from .tools import EPS, agreement, named, number


def _noise_variance(formula: Callable[[float], float]) -> Check:
    """Variance of ``dx = e^t dw`` from its moment equation ``v' = e^{2t}`` against a formula."""

    def check(ctx: Context) -> Evidence:
        times = np.array([1e-3, 0.3, 1.0, 2.0, 3.0])
        solved = integrate.solve_ivp(
            lambda t, v: np.exp([2 * t]),
            (0, 3),
            [0.0],
            method="DOP853",
            t_eval=times,
            rtol=1e-12,
            atol=1e-16,
        ).y[0]
        return agreement(
            np.array([formula(t) for t in times]) / solved,
            np.ones(len(times)),
            bound=1e-9,
            tolerance=1e-7,
            kind="quadrature",
            message="variance of the kernel against its moment equation at five times up to t = 3",
        )

    return check


def _library_variance(t: float) -> float:
    return float(ExponentialNoise(t_max=4.0).kernel(t).variance)


def _noise_mean(sde: LinearSDE) -> Check:
    def check(ctx: Context) -> Evidence:
        scales = np.array([float(sde.kernel(t).scale) for t in (0.1, 0.5, 1.0)])
        return agreement(
            scales,
            np.ones(3),
            bound=4 * EPS,
            tolerance=1e-12,
            message="factor of x_0 in the mean",
        )

    return check


def _growth(formula: Callable[[float], float]) -> Check:
    """Growth of the variance over a unit of time, late: e^2 for exponential growth at rate 2."""

    def check(ctx: Context) -> Evidence:
        rate = float(np.log(formula(4.0) / formula(3.0)))
        return number(
            rate,
            error=64 * EPS,  # two variances to some units in the last place, and a logarithm
            allowed=(1.99, 2.01),
            message=f"the variance grows at rate {rate:.6f} between t = 3 and t = 4",
        )

    return check


def _early(formula: Callable[[float], float]) -> Check:
    """Growth of the variance from t = 0.01 to 0.02: a factor of two, as for a constant noise."""

    def check(ctx: Context) -> Evidence:
        ratio = formula(0.02) / formula(0.01)
        found = number(
            ratio,
            error=64 * EPS * ratio,
            allowed=(2.0, 2.1),
            message=f"from t = 0.01 to 0.02 it grows {ratio:.4f} times",
        )
        return replace(found, deciding=False)

    return check


def _chain(steps: int, keep: float, noise: float) -> tuple[float, float]:
    """Scale and variance at t = 1 of ``x <- sqrt(1 - keep b) x + sqrt(noise b) z`` with ``b = beta(t_i)/N``."""
    b = VP().beta(np.arange(1, steps + 1) / steps) / steps
    log_keep = np.log1p(-keep * b)
    after = np.concatenate([np.cumsum(log_keep[::-1])[::-1][1:], [0.0]])
    return float(np.exp(0.5 * log_keep.sum())), float((noise * b * np.exp(after)).sum())


def _ddpm(keep: float = 1.0, noise: float = 1.0) -> Check:
    """Kernel of the chain at t = 1, extrapolated to infinitely many steps, against the VP kernel."""

    def check(ctx: Context) -> Evidence:
        sizes = (4096, 8192, 16384, 32768)
        table = np.array([_chain(n, keep, noise) for n in sizes])
        # The error is a series in 1/N: three rounds of Richardson leave O(N^-4).
        rows = [table]
        for k in (1, 2, 3):
            last = rows[-1]
            rows.append((2**k * last[1:] - last[:-1]) / (2**k - 1))
        limit, error = rows[-1][0], float(np.abs(rows[-1][0] - rows[-2][-1]).max())
        kernel = VP().kernel(1.0)
        return agreement(
            limit,
            np.array([kernel.scale, kernel.variance]),
            bound=10 * error + 1e-12,
            tolerance=1e-8,
            kind="quadrature",
            n=sum(sizes),
            message="scale and variance of the discrete chain in the limit against the continuous kernel",
        )

    return check


def _rate(target: float) -> Check:
    def check(ctx: Context) -> Evidence:
        kernel = VP().kernel(1.0)
        errors = [abs(_chain(n, 1.0, 1.0)[0] / kernel.scale - 1) for n in (8192, 16384, 32768)]
        order = float(np.log2(errors[1] / errors[2]))
        before = float(np.log2(errors[0] / errors[1]))
        return number(
            order,
            error=abs(order - before),
            allowed=(target - 0.02, target + 0.02),
            kind="quadrature",
            n=57344,
            message=f"the scale of the DDPM chain converges at order {order:.4f} in 1/N",
        )

    return check


def _rate_constant(slope: float = 1.0, square: float = 1.0) -> Check:
    """N times the relative gap of the scale over ``-(beta(1) - beta(0) + int beta^2)/4``, N to infinity."""

    def check(ctx: Context) -> Evidence:
        first, last = (float(VP().beta(t)) for t in (0.0, 1.0))
        squares = (first**2 + first * last + last**2) / 3  # of a linear beta
        formula = -(slope * (last - first) + square * squares) / 4
        scale = float(VP().kernel(1.0).scale)
        gaps = [n * (_chain(n, 1.0, 1.0)[0] / scale - 1) for n in (8192, 16384, 32768)]
        rough, ratio = (2 * b - a for a, b in pairwise(gaps))
        return number(
            ratio / formula,
            error=abs(ratio - rough) / abs(formula),
            allowed=(1 - 1e-4, 1 + 1e-4),
            kind="quadrature",
            n=57344,
            message=f"N times the relative gap of its scale tends to {ratio:.4f}, the formula gives {formula:.4f}",
        )

    return check


def _matched(step: Callable[[Vector], Vector]) -> Check:
    """Kernel of the chain with given ``b_i`` of ``int beta`` over each step against VP, at forty grid points."""

    def check(ctx: Context) -> Evidence:
        beta = VP().beta(np.linspace(0, 1, 41))
        pieces = 0.0125 * (beta[1:] + beta[:-1])  # beta is linear
        scales = np.sqrt(np.cumprod(1 - step(pieces)))
        kernels = [VP().kernel(t) for t in np.linspace(0, 1, 41)[1:]]
        return agreement(
            scales / np.array([float(k.scale) for k in kernels]),
            np.ones(40),
            bound=64 * EPS * (1 + float(pieces.sum())),
            tolerance=1e-9,
            message="scale of the DDPM chain of forty steps with b = 1 - exp(-int beta) over that of VP",
        )

    return check


def _smld(g2: Callable[[VE, Vector], Vector]) -> Check:
    """``int_0^t g^2`` against ``sigma_i^2 - sigma_0^2`` of the chain at its own grid points."""

    def check(ctx: Context) -> Evidence:
        sde = VE(sigma_min=0.1, sigma_max=10.0)
        nodes, weights = np.polynomial.legendre.leggauss(40)
        gaps = []
        for t in np.linspace(0.1, 1.0, 10):
            r = 0.5 * t * (nodes + 1)
            continuous = 0.5 * t * float(weights @ g2(sde, r))
            chain = 0.01 * 100 ** (2 * t) - 0.01
            gaps.append(continuous / chain - 1)
        return agreement(
            np.array(gaps),
            np.zeros(10),
            bound=1e-12,
            tolerance=1e-9,
            kind="quadrature",
            n=400,
            message="variance of the continuous VE noise over that of the chain, at ten grid points",
        )

    return check


def _derivative_of_square(sde: VE, t: Vector) -> Vector:
    return np.asarray(sde.diffusion(t)) ** 2


def _chain_errors(ctx: Context) -> Mapping[str, Any]:
    """Relative error of scale and variance of the DDPM chain at t = 1 against its number of steps."""
    sizes = 2 ** np.arange(5, 16)
    kernel = VP().kernel(1.0)
    table = np.array([_chain(int(n), 1.0, 1.0) for n in sizes])
    errors = {
        "scale": (sizes.astype(float), np.abs(table[:, 0] / kernel.scale - 1)),
        "variance": (sizes.astype(float), np.abs(table[:, 1] / kernel.variance - 1)),
    }
    alt = "Errors of the discrete chain against its number of steps, falling like one over N"
    return ladder("The DDPM chain against its limit", alt, errors, "steps N")(ctx)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "D1",
        r"$dx = e^t dw$ perturbs data with Gaussian noise of mean zero and variance $v(t)$ with $v' = e^{2t}$, "
        r"exponentially growing",
        checks={
            "mean": _noise_mean(ExponentialNoise(t_max=4.0)),
            "variance": _noise_variance(_library_variance),
            "growth": _growth(_library_variance),
            "early": _early(_library_variance),
        },
        mutants={
            "mean": [
                named(_noise_mean(VP()), "variance-preserving"),
                named(_noise_mean(OU()), "mean-reverting"),
            ],
            "variance": [
                named(_noise_variance(lambda t: np.exp(t) - 1), "e-to-the-t"),
                named(_noise_variance(lambda t: np.exp(2 * t) / 2), "without-start"),
            ],
            "growth": [
                named(_growth(lambda t: np.exp(t) - 1), "rate-one"),
                named(_growth(lambda t: t**2), "power-of-t"),
            ],
            "early": [
                named(_early(lambda t: np.exp(2 * t) / 2), "exponential-from-the-start"),
                named(_early(lambda t: t**2), "square-of-t"),
            ],
        },
        source=("001",),
        finding=lambda evidence: (
            "The kernel is N(x_0, (e^{2t} - 1)/2 I); "
            + evidence["growth"].message
            + r". Its rate is $v'/v = 2/(1 - e^{-2t})$, exponential growth in the limit only: "
            + evidence["early"].message
            + "."
        ),
        role="printed",
        group="ledger",
    ),
    Claim(
        "D6",
        r"DDPM is $f = -\frac12\beta x$, $g = \sqrt{\beta}$; SMLD is $f = 0$, $g = \sqrt{d\sigma^2/dt}$: limits of "
        "the discrete chains",
        checks={
            "ddpm": _ddpm(),
            "rate": _rate(1.0),
            "smld": _smld(_derivative_of_square),
            "constant": _rate_constant(),
            "matched": _matched(lambda b: -np.expm1(-b)),
        },
        mutants={
            "ddpm": [
                named(_ddpm(keep=2.0), "drift-without-one-half"),
                named(_ddpm(noise=0.5), "noise-variance-halved"),
            ],
            "rate": [named(_rate(2.0), "order-two"), named(_rate(0.5), "order-one-half")],
            "smld": [
                named(_smld(lambda sde, t: np.asarray(sde.diffusion(t))), "g-without-root"),
                named(_smld(lambda sde, t: 0.5 * _derivative_of_square(sde, t)), "halved"),
            ],
            "constant": [
                named(_rate_constant(square=0.0), "without-the-square"),
                named(_rate_constant(slope=0.0), "without-the-ends"),
            ],
            "matched": [
                named(_matched(lambda b: b), "beta-itself"),
                named(_matched(lambda b: b / (1 + b)), "implicit-step"),
            ],
        },
        source=("002",),
        finding=lambda evidence: (
            f"{evidence['rate'].message}: with "
            r"$\beta_i = \beta(i/N)/N$ its relative gap is $-\frac{1}{4N}[\beta(1) - \beta(0) + \int\beta^2]$ to "
            f"leading order ({evidence['constant'].message}). The SMLD chain is exact at its grid points (largest "
            f"relative gap {evidence['smld'].value:.1e}); the DDPM chain is so only with "
            r"$\beta_i = 1 - \exp(-\int\beta)$ over each step "
            f"({evidence['matched'].value:.1e})."
        ),
        figure=_chain_errors,
        role="printed",
        group="ledger",
    ),
)
