"""Ledger, Langevin dynamics after a long time: L3, whether and how fast it converges."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from scipy import linalg

from ...numerics.fokker_planck import FokkerPlanck1D
from ...theory.densities_1d import StudentT
from ...theory.mixtures import Gaussian
from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from ..report.pictures import listed
from .laws import skewed_1d, tilted_gaussian
from .tools import agreement, named, number

START = Gaussian([3.0], [0.25])  #: narrow, off-centre
TURN = np.array([[0.0, 1.0, -0.6], [-1.0, 0.0, 0.4], [0.6, -0.4, 0.0]])  #: antisymmetric
HEAVY = StudentT(3.0, 0.5, 0.7)
LONG = 1000.0


def linear_law(pull: float, turn: float, noise: float, time: float) -> tuple[float, float]:
    """``dX = (pull I + turn J) grad log p dt + sqrt(2 noise) dW`` on a tilted Gaussian, started off its centre.

    The law is carried from the equation itself: one tiny step (Van Loan 1978), then doubled thirty times.

    Returns:
        The defect of stationarity of p, and how far mean and covariance are from those of p after ``time``,
        in standard deviations of p.
    """
    target = tilted_gaussian()
    covariance = target.covariance
    rates = -(pull * np.eye(3) + turn * TURN) @ np.linalg.inv(covariance)
    spread = 2 * noise * np.eye(3)
    defect = np.abs(rates @ covariance + covariance @ rates.T + spread).max()
    h = time / 2**30
    block = linalg.expm(h * np.block([[-rates, spread], [np.zeros((3, 3)), rates.T]]))
    gain = block[3:, 3:].T
    added = gain @ block[:3, 3:]
    for _ in range(30):
        gain, added = gain @ gain, gain @ added @ gain.T + added
    white = np.linalg.inv(np.linalg.cholesky(covariance))
    off = white @ gain @ (np.zeros(3) - target.mean)
    final = white @ (gain @ (0.04 * np.eye(3)) @ gain.T + added) @ white.T
    return float(defect), float(max(np.linalg.norm(off), np.abs(final - np.eye(3)).max()))


def _gaussian(pull: float, turn: float, noise: float) -> Check:
    def check(ctx: Context) -> Evidence:
        slowest = float(np.linalg.eigvalsh(tilted_gaussian().covariance)[-1])
        defect, distance = linear_law(pull, turn, noise, 20 * slowest)
        return agreement(
            distance,
            0.0,
            # the one tiny step is rounded relative to its length, and so is what it adds up to
            bound=1e-6,
            tolerance=1e-3,
            n=2**30,
            message=f"mean and covariance after 20 times the largest variance are {distance:.3g} standard deviations "
            f"away from those of p; p is stationary up to {defect:.1g}",
        )

    return check


def _equation(law: Any, low: float, high: float, cells: int, pull: float, noise: float) -> Any:
    return FokkerPlanck1D(
        lambda x, t: pull * law.score(x), noise, low=low, high=high, cells=cells, steady=True
    )


def _at(law: Any, problem: FokkerPlanck1D) -> Vector:
    p = np.exp(law.log_prob(problem.grid.points))
    return p / problem.grid.mass(p)


def history(
    kind: str, pull: float = 1.0, noise: float = 1.0, fine: bool = True
) -> tuple[Vector, Vector, Vector]:
    """Times, total variation distances to p, and distances in ``L^2(1/p)``, for the mixture or the heavy tail."""
    return _history(kind, pull, noise, fine)


@cache
def _history(kind: str, pull: float, noise: float, fine: bool) -> tuple[Vector, Vector, Vector]:
    law: Any
    if kind == "mixture":
        law, low, high, cells = skewed_1d(), -4.0, 8.0, 240
        times = np.linspace(4.0, 40.0, 10)
    else:
        law, low, high, cells = HEAVY, -200.0, 201.0, 2004
        times = LONG ** (np.arange(1, 13) / 12)
    problem = _equation(law, low, high, cells if fine else cells // 2, pull, noise)
    truth, p = _at(law, problem), _at(START, problem)
    volumes = problem.grid.volumes
    now, variation, square = 0.0, [], []
    for t in times:
        p = problem.evolve(p, now, float(t), steps=16 if fine else 8)
        now = float(t)
        variation.append(0.5 * problem.grid.mass(np.abs(p - truth)))
        square.append(math.sqrt(float((volumes * (p - truth) ** 2 / truth).sum())))
    return times, np.array(variation), np.array(square)


def _variation(kind: str, limit: float, pull: float = 1.0, noise: float = 1.0) -> Check:
    """Total variation distance to p at the last time."""

    def check(ctx: Context) -> Evidence:
        times, fine, _ = history(kind, pull, noise)
        rough = history(kind, pull, noise, False)[1]
        return number(
            float(fine[-1]),
            error=float(abs(fine[-1] - rough[-1])) + 1e-9,
            allowed=(0.0, limit),
            kind="quadrature",
            n=16 * len(times),
            message=f"total variation distance to p of the {kind} law: {fine[0]:.3g} at t = {times[0]:.3g}, "
            f"{fine[-1]:.3g} at t = {times[-1]:g}",
        )

    return check


def _gap(power: float, noise: float = 1.0) -> Check:
    """Rate of decay in ``L^2(1/p)`` over the spectral gap of the operator, for the mixture."""

    def check(ctx: Context) -> Evidence:
        times, _, fine = history("mixture")
        rough = history("mixture", fine=False)[2]
        rates = [
            float(np.log(square[4] / square[-1]) / (times[-1] - times[4]))
            for square in (fine, rough)
        ]
        gap = _equation(skewed_1d(), -4.0, 8.0, 240, 1.0, noise).spectral_gap()
        ratio = rates[0] / gap.value**power
        error = abs(rates[0] - rates[1]) / gap.value**power + gap.half_width / gap.value
        return number(
            ratio,
            error=error,
            allowed=(0.98, 1.02),
            kind="quadrature",
            n=16 * len(times),
            message=f"the distance of the mixture falls at the rate {rates[0]:.5g}; the spectral gap is "
            f"{gap.value:.5g}",
        )

    return check


def _powers() -> tuple[float, float]:
    """Local powers of t with which the heavy tail's total variation distance falls, over the last quarter."""
    times, variation, _ = history("heavy")
    local = np.diff(np.log(variation)) / np.diff(np.log(times))
    return float(local[-3]), float(local[-1])


def _drawn(ctx: Context) -> Mapping[str, Any]:
    return {
        "kind": "lines",
        "title": "Distance to the stationary law",
        "alt": "On log axes the mixture falls off a cliff, the heavy tail along a straight line",
        "xlabel": "t",
        "ylabel": "total variation",
        "xscale": "log",
        "yscale": "log",
        "series": [
            {"label": label, "x": listed(history(kind)[0]), "y": listed(history(kind)[1])}
            for label, kind in (("Gaussian mixture", "mixture"), ("Student t, 3 degrees", "heavy"))
        ],
    }


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "L3",
        r"for $dX = \nabla\log p\,dt + \sqrt2\,dW$, of which $p$ is a stationary density, $p_t \to p$ as "
        r"$t \to \infty$ (the text concludes it from stationarity alone)",
        checks={
            "gaussian": _gaussian(1.0, 0.0, 1.0),
            "mixture": _variation("mixture", 1e-3),
            "heavy": _variation("heavy", 1e-3),
            "rate": _gap(1.0),
        },
        mutants={
            "gaussian": [
                named(_gaussian(0.0, 1.0, 0.0), "rotation-that-keeps-p"),
                named(_gaussian(0.0, 0.0, 0.0), "standing-still"),
                named(_gaussian(1.0, 0.0, 0.0), "noise-left-out"),
            ],
            "mixture": [
                named(_variation("mixture", 1e-3, 2.0), "score-doubled"),
                named(_variation("mixture", 1e-3, noise=0.5), "noise-halved"),
            ],
            "heavy": [
                named(_variation("heavy", 1e-3, 1.2), "score-times-1.2"),
                named(_variation("heavy", 1e-6), "as-fast-as-an-exponential"),
            ],
            "rate": [
                named(_gap(2.0), "square-of-the-gap"),
                named(_gap(1.0, noise=2.0), "gap-of-another-noise"),
            ],
        },
        source=("001",),
        assumptions=(
            "the limit is decided, under the source's hypotheses: a smooth, strictly positive density on the whole "
            "space; the inference does not hold, since mutants that keep p stationary do not converge",
            "'converges': total variation below 1e-3 at t = 40 for a mixture, at t = 1,000 for a Student t; mean and "
            "covariance of a Gaussian within 1e-3 standard deviations",
        ),
        finding=lambda e: (
            "Stationarity alone is not enough: dX = J grad log p dt with J antisymmetric leaves p stationary (defect "
            "{:.1g}) and stays {:.3g} standard deviations away. What is needed is noise everywhere, p positive and "
            "of finite mass: then the process is recurrent and the limit holds from every start. The rate in mean "
            "square is exp(-t/C) with the Poincare constant C of p, one over the spectral gap (the largest variance "
            "of a Gaussian): {}. Without such a constant there is no exponential rate: {}, where it falls like "
            "t^{:.2f} and at last like t^{:.2f}, towards the -3/2 of the mass beyond sqrt(t).".format(
                *linear_law(0.0, 1.0, 0.0, 40.0),
                e["rate"].message,
                e["heavy"].message,
                *_powers(),
            )
        ),
        figure=_drawn,
        role="printed",
        group="ledger",
    ),
)
