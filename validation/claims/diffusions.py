"""Ledger, stochastic and ordinary differential equations: D2 to D5, running a diffusion backwards.

D2 to D5 are one family. Run backwards in time from ``p_T`` with drift ``f x - c g^2 s`` and noise ``eta g dw``, a
process keeps the marginals of ``dx = f x dt + g dw`` exactly when ``c - eta^2/2 = 1/2``, since then

    -d p_t/dt = div(p (f x - c g^2 s)) + (eta^2 g^2 / 2) lap p.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import integrate

from ...theory.diffusions import VE, VP
from ...theory.marginals import marginal
from ...theory.mixtures import Gaussian
from ...theory.protocols import Vector
from ...theory.sde import LinearSDE
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from .figures import marginals_over_time
from .laws import points_of, skewed_1d, skewed_2d
from .tools import EPS, agreement, named, number

TIMES = (0.05, 0.2, 0.4, 0.7, 0.95)
START, END = 1.0, 1e-3


def _time_derivative(sde: LinearSDE, law: Any, x: Vector, t: float) -> tuple[Vector, float]:
    """``d log p_t(x) / dt`` by two Richardson steps of central differences, and a bound of its error."""

    def central(h: float) -> Vector:
        ahead = marginal(law, sde, t + h).log_prob(x)
        behind = marginal(law, sde, t - h).log_prob(x)
        return (ahead - behind) / (2 * h)

    h = 4e-3 * t
    coarse, middle, fine = central(h), central(h / 2), central(h / 4)
    first, second = (4 * middle - coarse) / 3, (4 * fine - middle) / 3
    value = (16 * second - first) / 15
    size = float(np.abs(marginal(law, sde, t).log_prob(x)).max()) + 1
    return value, float(np.abs(value - second).max()) + 16 * EPS * size / h


def _balance(c: float, eta: float) -> Check:
    """Fokker-Planck residual of the reversed process at five times, divided by p and by the largest term."""

    def check(ctx: Context) -> Evidence:
        rests, bounds = [], []
        for sde in (VP(), VE(sigma_min=0.1, sigma_max=10.0)):
            for law in (skewed_1d(), skewed_2d()):
                for t in TIMES:
                    p_t = marginal(law, sde, t)
                    x = points_of(p_t.law, reach=2.0)
                    f, g2 = float(sde.drift(t)), float(sde.diffusion(t)) ** 2
                    s, div = p_t.score(x), p_t.divergence(x)
                    square = (s**2).sum(1)
                    carried = f * (law.dim + (x * s).sum(1))
                    pulled = -c * g2 * (square + div)
                    spread = 0.5 * eta**2 * g2 * (square + div)
                    slope, error = _time_derivative(sde, law, x, t)
                    size = float(np.abs(carried).max() + g2 * np.abs(square + div).max())
                    rests.append(float(np.abs(carried + pulled + spread + slope).max()) / size)
                    bounds.append(error / size + 256 * EPS)
        return agreement(
            np.array(rests),
            np.zeros(len(rests)),
            bound=max(bounds),
            tolerance=1e-6,
            kind="quadrature",
            n=20 * 64,
            message=f"Fokker-Planck residual relative to its terms: {max(rests):.3g}; two diffusions, two "
            "laws, five times",
        )

    return check


def _returned(c: float, eta: float, v0: float = 0.25) -> Check:
    """Variance at ``t = 1e-3`` of the reversed process started at the exact ``p_1``, N(0.7, v0), VP."""

    def check(ctx: Context) -> Evidence:
        sde, data = VP(), Gaussian([0.7], [v0])

        def right(t: float, y: Vector) -> Vector:
            p_t = marginal(data, sde, t)
            v, m = float(p_t.covariance[0, 0]), float(p_t.mean[0])
            f, g2 = float(sde.drift(t)), float(sde.diffusion(t)) ** 2
            slope = f + c * g2 / v
            return np.array([slope * y[0] - c * g2 * m / v, 2 * slope * y[1] - eta**2 * g2])

        first = marginal(data, sde, START)
        begin = np.array([first.mean[0], first.covariance[0, 0]])
        ends = [
            integrate.solve_ivp(right, (START, END), begin, method="DOP853", rtol=r, atol=1e-14).y[
                1, -1
            ]
            for r in (1e-9, 1e-11)
        ]
        truth = float(marginal(data, sde, END).covariance[0, 0])
        ratio = float(ends[1]) / truth
        return number(
            ratio,
            error=10 * abs(ends[1] - ends[0]) / truth + 1e-12,
            allowed=(1 - 1e-6, 1 + 1e-6),
            kind="quadrature",
            message=f"the reversed process returns {ratio:.6g} times the variance of the data",
        )

    return check


def _reversal(
    id: str,
    statement: str,
    source: tuple[str, ...],
    c: float,
    eta: float,
    correction: Claim | None = None,
) -> Claim:
    candidates = {
        "score-halved": (c / 2, eta),
        "sign-of-the-score": (-c, eta),
        "score-left-out": (0.0, eta),
        "noise-larger": (c, eta + 0.5),
    }
    # Halving the score of a wrong formula may give a right one, which is no mutant.
    wrong = {k: v for k, v in candidates.items() if abs(v[0] - v[1] ** 2 / 2 - 0.5) > 1e-12}
    printed = bool(source)
    return Claim(
        id,
        statement,
        checks={"fokker-planck": _balance(c, eta), "variance": _returned(c, eta)},
        mutants={
            "fokker-planck": [named(_balance(*v), k) for k, v in wrong.items()],
            "variance": [named(_returned(*v), k) for k, v in wrong.items()],
        },
        source=source,
        assumptions=(
            "decided for VP and VE, on mixtures in one and two dimensions and on a Gaussian",
        ),
        correction=correction,
        finding=lambda evidence: (
            f"{evidence['variance'].message}. With a factor c of the score and eta of the noise the marginals are "
            r"kept exactly when $c - \eta^2/2 = \frac12$, for g free of x (else see D9): here $c - \eta^2/2$ is "
            f"{c - eta**2 / 2:g}, and the residual {evidence['fokker-planck'].value:.1g} of its terms."
        ),
        figure=marginals_over_time if id == "D2" else None,
        role="printed" if printed else "required",
        group="ledger",
    )


_FAMILY = "running backwards in time"
_TRUE_SDE = r"dY = [-b(T-t, Y) + \sigma^2(T-t)\,\nabla\log p_{T-t}(Y)]\,dt + \sigma(T-t)\,dW"

CLAIMS: tuple[Claim, ...] = (
    _reversal(
        "D2",
        rf"reverse SDE: $dx = [f - g^2 \nabla\log p_t]\,dt + g\,dw$, time {_FAMILY}",
        ("001", "002"),
        1.0,
        1.0,
    ),
    _reversal(
        "D3",
        r"reverse SDE: $dY = [-b(T-t, Y) + \frac12\sigma^2(T-t)\,\nabla\log p_{T-t}(Y)]\,dt + \sigma(T-t)\,dW$",
        ("004",),
        0.5,
        1.0,
        _reversal(
            "D3", rf"reverse SDE: ${_TRUE_SDE}$: the score enters whole, not halved", (), 1.0, 1.0
        ),
    ),
    _reversal(
        "D4",
        r"probability-flow ODE: $dX = [b - \frac12\sigma^2\nabla\log p_t]\,dt$ has the marginals of the forward "
        "process",
        ("004",),
        0.5,
        0.0,
    ),
    _reversal(
        "D5",
        r"dropping the noise term $g\,dw$ from the reverse SDE, changing nothing else, gives a deterministic "
        "sampler of the same law",
        ("002",),
        1.0,
        0.0,
        _reversal(
            "D5",
            r"dropping the noise term and halving the score, $dx = [f - \frac12 g^2\nabla\log p_t]\,dt$, gives a "
            "deterministic sampler of the same law",
            (),
            0.5,
            0.0,
        ),
    ),
)
