"""Ledger, stochastic differential equations: D9, running a diffusion with state-dependent noise backwards.

With ``D = sigma sigma'`` the density of ``dx = b dt + sigma dw`` moves by ``-div(b p) + 1/2 div div(D p)``. A process
that runs backwards with drift ``-b + c D grad log p_t + k div D`` and the same noise keeps it exactly when

    d_t p = div((-b + c D grad log p + k div D) p) - 1/2 div div(D p),   that is for c = k = 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy import integrate

from ...theory.densities_positive import Gamma, LogNormal
from ...theory.general import SDE
from ...theory.protocols import Vector
from ...theory.solvable import CIR, GeometricBrownian, StudentDiffusion
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from .laws import points_of, skewed_2d
from .tools import EPS, agreement, named, number

VOLATILITY, SPREAD, END = 0.6, 0.4, 1.0


@dataclass(frozen=True)
class _Problem:
    """A diffusion with its density at every time.

    Attributes:
        sde: the diffusion.
        log_density: ``log p_t(x)`` of arrays ``(n, d)`` and a time, on every array library.
        score: ``grad log p_t``.
        points: ``(n, d)``.
        time: at which the equation is checked.
    """

    sde: SDE
    log_density: Callable[[Any, float], Any]
    score: Callable[[Any, float], Any]
    points: Vector
    time: float


def _matrix_noise(x: Any, t: Any) -> Any:
    """A 2x2 matrix that depends on both coordinates."""
    import torch

    a, b = x[..., 0], x[..., 1]
    top = torch.stack([1 + 0.3 * torch.sin(a + 2 * b), 0.4 * b], -1)
    return torch.stack([top, torch.stack([0.2 * a * b, 1.2 + 0.5 * torch.cos(a)], -1)], -2)


def _with_marginals(sde: Any, law: Any, points: Vector, time: float) -> _Problem:
    return _Problem(
        sde,
        lambda x, t: sde.marginal(law, t).log_prob(x),
        lambda x, t: sde.marginal(law, t).score(x),
        points[:, None],
        time,
    )


@cache
def _problems() -> tuple[_Problem, ...]:
    root, student = CIR(1.5, 1.2, 0.9), StudentDiffusion()
    geometric = GeometricBrownian(0.3, VOLATILITY)
    found = [
        _with_marginals(geometric, LogNormal(1.3, SPREAD), np.geomspace(0.2, 6.0, 16), 0.6),
        _with_marginals(root, Gamma(root.shape, 0.6), np.geomspace(0.1, 5.0, 16), 0.3),
        _with_marginals(student, student.stationary, np.linspace(-3.0, 5.0, 16), 0.5),
    ]
    plane = skewed_2d()
    bare = SDE(lambda x, t: x * 0, _matrix_noise)
    # b = (div D + D s)/2 holds any density in place, whatever the noise.
    still = SDE(
        lambda x, t: 0.5 * (bare.divergence(x, t) + bare.spread(x, t, plane.score(x))),
        _matrix_noise,
    )
    found.append(
        _Problem(
            still,
            lambda x, t: plane.log_prob(x),
            lambda x, t: plane.score(x),
            points_of(plane, 16, reach=1.5),
            0.5,
        )
    )
    return tuple(found)


@cache
def _terms() -> tuple[tuple[Vector, ...], ...]:
    """Terms of the equation over p, for each problem; derivatives by autograd of b, D and p.

    They are the rate, ``div(b p)``, ``div(D s p)``, ``div(div D p)``, ``1/2 div div(D p)``, and a bound of the error.
    """
    import torch

    def one(problem: _Problem) -> tuple[Vector, ...]:
        y = torch.tensor(problem.points, requires_grad=True)
        t, d, sde = problem.time, y.shape[1], problem.sde

        def slope(field: Any, j: int) -> Any:
            found = torch.autograd.grad(field.sum(), y, create_graph=True, allow_unused=True)[0]
            return y[:, j] * 0 if found is None else found[:, j]

        def flows(field: Sequence[Any]) -> Vector:
            total = torch.stack([slope(field[i] * p, i) for i in range(d)]).sum(0)
            return (total / p).detach().numpy()

        p = problem.log_density(y, t).exp()
        eye = torch.eye(d, dtype=torch.float64)
        dense = torch.stack([sde.spread(y, t, eye[j] + y * 0) for j in range(d)], -1)
        pulled, b = sde.spread(y, t, problem.score(y, t)), sde.drift(y, t)
        # D itself is differentiated: the library's own divergence is not used.
        own = [torch.stack([slope(dense[:, i, j], j) for j in range(d)]).sum(0) for i in range(d)]
        half = [
            torch.stack([0.5 * slope(dense[:, i, j] * p, j) for j in range(d)]).sum(0) / p
            for i in range(d)
        ]

        def change(h: float) -> Any:
            ahead, behind = (problem.log_density(y.detach(), t + e) for e in (h, -h))
            return ((ahead - behind) / (2 * h)).numpy()

        rows = [change(0.01 * t / 2**i) for i in range(3)]
        first, second = (4 * rows[1] - rows[0]) / 3, (4 * rows[2] - rows[1]) / 3
        rate = (16 * second - first) / 15
        fields = ([b[:, i] for i in range(d)], [pulled[:, i] for i in range(d)], own, half)
        return (rate, *map(flows, fields), np.abs(rate - second))

    return tuple(one(problem) for problem in _problems())


def _residual(terms: tuple[Vector, ...], c: float, k: float) -> tuple[float, float]:
    """Rest of the equation relative to its largest term, and a bound of its error."""
    rate, carried, pulled, pushed, spread, error = terms
    size = max(float(np.abs(v).max()) for v in (rate, carried, pulled, pushed, spread))
    rest = rate - (-carried + c * pulled + k * pushed) + spread
    return float(np.abs(rest).max()) / size, float(error.max()) / size + 1e4 * EPS


def _equation(c: float, k: float) -> Check:
    """The Fokker-Planck equation of the reversed process on four diffusions."""

    def check(ctx: Context) -> Evidence:
        found = [_residual(terms, c, k) for terms in _terms()]
        rests = np.array([rest for rest, _ in found])
        return agreement(
            rests,
            np.zeros(len(rests)),
            bound=max(error for _, error in found),
            tolerance=1e-6,
            kind="quadrature",
            n=16 * len(rests),
            message=f"Fokker-Planck rest relative to its terms: {', '.join(f'{r:.2g}' for r in rests)} for "
            "geometric Brownian motion, CIR, a Student diffusion, and a matrix noise in the plane",
        )

    return check


def _median(c: float, k: float) -> Check:
    """Median that the reversal of geometric Brownian motion returns over that of the data.

    In ``L = log x`` the process is linear, so that the median of x is the exponential of the mean of L.
    """

    def check(ctx: Context) -> Evidence:
        sde, law = GeometricBrownian(0.3, VOLATILITY), LogNormal(1.3, SPREAD)

        def right(tau: float, mean: Vector) -> Vector:
            t = END - tau
            x = np.exp(mean)[:, None]
            p_t = sde.marginal(law, t)
            push = c * sde.spread(x, t, p_t.score(x)) + k * sde.divergence(x, t)
            # Ito: d log x = dx/x - sigma^2/2 dt. The drift of L is affine, so its mean obeys it.
            return ((push - sde.drift(x, t)) / x)[:, 0] - 0.5 * VOLATILITY**2

        start = [math.log(sde.marginal(law, END).scale)]
        ends = [
            integrate.solve_ivp(right, (0, END), start, method="DOP853", rtol=r, atol=1e-13).y[
                0, -1
            ]
            for r in (1e-7, 1e-9)
        ]
        ratio = math.exp(float(ends[1])) / law.scale
        return number(
            ratio,
            error=ratio * (10 * abs(float(ends[1] - ends[0])) + 1e-11),
            allowed=(1 - 1e-6, 1 + 1e-6),
            kind="quadrature",
            message=f"the reversed geometric Brownian motion returns {ratio:.6g} times the median of the data",
        )

    return check


def _claim(
    statement: str, c: float, k: float, wrong: dict[str, tuple[float, float]], **parts: Any
) -> Claim:
    return Claim(
        "D9",
        statement,
        checks={"fokker-planck": _equation(c, k), "median": _median(c, k)},
        mutants={
            "fokker-planck": [named(_equation(*v), name) for name, v in wrong.items()],
            # In the median a score of the other sign happens to stand in for the divergence of D.
            "median": [named(_median(*v), name) for name, v in wrong.items() if v != (-c, k)],
        },
        group="ledger",
        **parts,
    )


_NOISE = r"\sigma(T-t, Y)\,dW"

CLAIMS: tuple[Claim, ...] = (
    _claim(
        r"with $b(t, x)$ and $\sigma(t, x)$ depending on $x$ the same reversal holds with the score of $p_t$: "
        rf"$dY = [-b + \sigma\sigma^\top\,\nabla\log p_{{T-t}}(Y)]\,dt + {_NOISE}$",
        1.0,
        0.0,
        {
            "factor-one-half": (0.5, 0.0),
            "sign-of-the-score": (-1.0, 0.0),
            "score-left-out": (0.0, 0.0),
        },
        source=("004",),
        assumptions=(
            r"the source introduces $\sigma(t, X_t)$ (8.1) and prints the reversal with $\sigma^2(T-t)$ (8.3), "
            r"without saying that $\sigma$ must not depend on $x$; 'mild conditions' is read as smooth positive "
            "densities",
            "the factor of the score is one, as in the correction of D3; its printed one half is among the mutants",
            "decided on geometric Brownian motion, CIR and a Student diffusion on the line, and on a matrix noise "
            "in the plane",
        ),
        correction=_claim(
            r"with $D = \sigma\sigma^\top$ depending on $x$ the reversal needs the divergence of $D$: "
            rf"$dY = [-b + \nabla\cdot D + D\,\nabla\log p_{{T-t}}(Y)]\,dt + {_NOISE}$, where "
            r"$(\nabla\cdot D)_i = \sum_j \partial_j D_{ij}$; it is the printed one where $D$ does not depend on $x$",
            1.0,
            1.0,
            {
                "divergence-left-out": (1.0, 0.0),
                "divergence-halved": (1.0, 0.5),
                "sign-of-the-divergence": (1.0, -1.0),
                "score-halved": (0.5, 1.0),
            },
        ),
        finding=lambda evidence: (
            f"{evidence['median'].message} (volatility {VOLATILITY:g}, log-spread {SPREAD:g} at the start); in "
            r"closed form the factor is $(s_0^2/s_T^2)^{2 s_0^2}$, with $s_t$ the standard deviation of the "
            f"logarithm: {(SPREAD**2 / (SPREAD**2 + VOLATILITY**2 * END)) ** (2 * SPREAD**2):.6g}."
        ),
        role="printed",
    ),
)
