"""Ledger, training: N1, an exponential moving average of the parameters under noisy gradients.

On the quadratic ``1/2 (x - x*)' A (x - x*)`` gradient descent with step eta and noise of covariance C is
``e' = (I - eta A) e - eta xi`` for the error ``e = x - x*``, and the average follows ``m' = b m + (1 - b) e'``. The
pair ``(e, m)`` is one linear recursion, whose stationary covariance solves a discrete Lyapunov equation. Where A and C
share an eigenvector, with eigenvalues a and c and ``r = 1 - eta a``,

    Var e = eta c / (a (2 - eta a)),   Var m = Var e (1 - b)(1 + b r) / ((1 + b)(1 - b r)),

the second by summing the autocovariances ``Var e r^|k|`` of the iterates over the weights of the average.

Reference:
    Polyak & Juditsky 1992; Mandt, Hoffman, Blei 2017, Section 4; Busbridge et al. 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import linalg

from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from ..report import listed
from .tools import EPS, agreement, named, number

CURVATURES = np.array([0.02, 0.1, 0.5, 1.0, 3.0])  #: condition number 150
NOISES = np.array(
    [1.0, 0.3, 2.0, 0.1, 0.7]
)  #: of the gradient, not in the order of the curvatures
STEPS = (0.05, 0.2, 0.6)  #: the last is 0.9 of the stability threshold 2 / max curvature
DECAYS = (0.5, 0.9, 0.99, 0.999)


@dataclass(frozen=True)
class Stationary:
    """Stationary covariances of the iterates and of their average."""

    iterates: Vector
    average: Vector
    rounding: float  #: relative, of either


def _stationary(
    a: Vector, c: Vector, step: float, decay: float, weight: float | None = None
) -> Stationary:
    """From the Lyapunov equation of the pair ``(e, m)``; ``weight`` is that of the new iterate, ``1 - decay``."""
    d, eye = len(a), np.eye(len(a))
    new = 1 - decay if weight is None else weight
    shrink = eye - step * a
    move = np.block([[shrink, np.zeros((d, d))], [new * shrink, decay * eye]])
    kick = -step * np.vstack([eye, new * eye])
    covariance = np.real(
        linalg.solve_discrete_lyapunov(move, kick @ c @ kick.T, method="bilinear")
    )
    slack = 1 - float(np.abs(np.linalg.eigvals(move)).max())
    # The equation is as ill-conditioned as the memory of the recursion is long, about 1/slack.
    return Stationary(covariance[:d, :d], covariance[d:, d:], 1e3 * EPS / slack)


Formula = Callable[[Vector, Vector, float, float], Vector]


def _variance(a: Vector, c: Vector, step: float) -> Vector:
    return step * c / (a * (2 - step * a))


def _averaged(a: Vector, c: Vector, step: float, decay: float) -> Vector:
    r = 1 - step * a
    return _variance(a, c, step) * (1 - decay) * (1 + decay * r) / ((1 + decay) * (1 - decay * r))


def _independent(a: Vector, c: Vector, step: float, decay: float) -> Vector:
    """As if the iterates were independent draws."""
    return _variance(a, c, step) * (1 - decay) / (1 + decay)


def _continuous(a: Vector, c: Vector, step: float, decay: float) -> Vector:
    """The limit of small steps: ``eta c / (2 a) / (1 + eta a / (1 - b))``."""
    return step * c / (2 * a) / (1 + step * a / (1 - decay))


def _closed(formula: Formula) -> Check:
    """Relative gap of the formula to the Lyapunov solution, five curvatures, three steps, four decays."""

    def check(ctx: Context) -> Evidence:
        found, wanted, bounds = [], [], []
        for step in STEPS:
            for decay in DECAYS:
                exact = _stationary(np.diag(CURVATURES), np.diag(NOISES), step, decay)
                found.append(np.diag(exact.average) / formula(CURVATURES, NOISES, step, decay))
                wanted.append(np.diag(exact.iterates) / _variance(CURVATURES, NOISES, step))
                bounds.append(exact.rounding)
        return agreement(
            np.concatenate([*found, *wanted]),
            np.ones(2 * len(found) * len(CURVATURES)),
            bound=max(bounds),
            tolerance=1e-7,
            message="stationary variances of iterates and average from the Lyapunov equation over the closed form",
        )

    return check


def _turned() -> tuple[Vector, Vector]:
    """Curvature and covariance of the noise in different rotated axes: they do not commute."""
    rng = np.random.default_rng(20240611)
    first, second = np.linalg.qr(rng.standard_normal((2, 5, 5)))[0]
    return (first * CURVATURES) @ first.T, (second * NOISES) @ second.T


def _every_direction(normalised: bool = True, swapped: bool = False) -> Check:
    """Largest ``Var(u' m) / Var(u' e)`` over directions u, where curvature and noise do not commute."""

    def check(ctx: Context) -> Evidence:
        a, c = _turned()
        ratios, bounds, gains = [], [], []
        for step in STEPS:
            for decay in DECAYS:
                exact = _stationary(a, c, step, decay, None if normalised else 1.0)
                top, bottom = exact.average, exact.iterates
                if swapped:
                    top, bottom = bottom, top
                ratio = linalg.eigh(top, bottom, eigvals_only=True)
                ratios.append(float(ratio[-1]))
                bounds.append(exact.rounding * ratio[-1] * float(np.linalg.cond(bottom)))
                gains.append(float(np.trace(a @ top) / np.trace(a @ bottom)))
        k = int(np.argmax(ratios))
        return number(
            ratios[k],
            error=max(bounds),
            allowed=(0.0, 1.0),
            n=len(ratios),
            message=f"variance of the average over that of the iterates: at most {ratios[k]:.4f} in every direction, "
            f"steps {STEPS[0]:g} to {STEPS[-1]:g}, decays {DECAYS[0]:g} to {DECAYS[-1]:g}; stationary excess of "
            f"the loss {min(gains):.2g} to {max(gains):.2g} times that of the iterates",
        )

    return check


def _lag(memory: Callable[[float], float]) -> Check:
    """Steps by which the average trails an optimum that moves at constant speed, beyond the iterates."""

    def check(ctx: Context) -> Evidence:
        rests = []
        for step in STEPS:
            for decay in DECAYS:
                # Means relative to the optimum, which moves by one a step: e' = r (e - 1), m' = b (m - 1) + (1-b) e'.
                r = 1 - step * CURVATURES
                zero = np.zeros_like(r)
                move = np.array([[r, zero], [(1 - decay) * r, zero + decay]]).transpose(2, 0, 1)
                drift = np.stack([-r, -(1 - decay) * r - decay], axis=1)
                mean = np.linalg.solve(np.eye(2) - move, drift[..., None])[..., 0]
                rests.append((mean[:, 0] - mean[:, 1]) / memory(decay) - 1)
        return agreement(
            np.stack(rests),
            np.zeros((len(rests), len(CURVATURES))),
            bound=1e5 * EPS,  # a system of condition number 1 / ((1 - b) eta a) at most
            tolerance=1e-6,
            message="steps by which the average trails the iterates, over b / (1 - b)",
        )

    return check


def _correlated(normalised: bool = True, swapped: bool = False) -> Check:
    """Largest share of the variance left where the gradient noise is ``u' = rho u + xi``, rho from -0.9 to 0.9."""

    def check(ctx: Context) -> Evidence:
        ratios, slack = [], 1.0
        for rho in (-0.9, -0.3, 0.5, 0.9):
            for step in STEPS:
                for decay in DECAYS:
                    new = 1 - decay if normalised else 1.0
                    for a in CURVATURES:
                        r = 1 - step * a
                        u = np.array([0.0, 0.0, rho])
                        e = np.array([r, 0.0, 0.0]) - step * u
                        move = np.stack([e, new * e + np.array([0.0, decay, 0.0]), u])
                        kick = np.array([-step, -new * step, 1.0])
                        found = linalg.solve_discrete_lyapunov(
                            move, np.outer(kick, kick), "bilinear"
                        )
                        ratio = float(found[1, 1] / found[0, 0])
                        ratios.append(1 / ratio if swapped else ratio)
                        slack = min(slack, 1 - max(abs(r), decay, abs(rho)))
        k = int(np.argmax(ratios))
        piece = number(
            ratios[k],
            error=1e3 * EPS / slack * ratios[k],
            allowed=(0.0, 1.0),
            n=len(ratios),
            message=f"gradient noise with autocorrelation -0.9 to 0.9: the average keeps {min(ratios):.2g} to "
            f"{ratios[k]:.4f} of the variance",
        )
        return replace(piece, deciding=False)

    return check


def _share(ctx: Context) -> Mapping[str, Any]:
    """Variance left by the average against its decay, for three products of step and curvature."""
    memory = np.geomspace(1, 1e4, 60)
    decay = 1 - 1 / memory
    one = np.ones(1)
    return {
        "kind": "lines",
        "title": "Share of the stationary variance that the average leaves",
        "alt": "Share of the variance against the memory of the average, constant at first and then falling "
        "like its inverse, the later the flatter the direction",
        "xlabel": "memory 1/(1 - b) of the average, steps",
        "xscale": "log",
        "yscale": "log",
        "slopes": [-1],
        "series": [
            {
                "label": f"step times curvature {x:g}",
                "x": listed(memory),
                "y": listed(
                    np.array(
                        [
                            float(
                                (_averaged(x * one, one, 1.0, b) / _variance(x * one, one, 1.0))[0]
                            )
                            for b in decay
                        ]
                    )
                ),
            }
            for x in (1e-3, 1e-2, 0.1, 1.0)
        ],
    }


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "N1",
        "an exponential moving average of parameters lowers the stationary variance left by noisy gradients",
        checks={
            "lyapunov": _closed(_averaged),
            "directions": _every_direction(),
            "lag": _lag(lambda b: b / (1 - b)),
            "correlated": _correlated(),
        },
        mutants={
            "lyapunov": [
                named(_closed(_independent), "iterates-taken-as-independent"),
                named(_closed(_continuous), "limit-of-small-steps"),
            ],
            "directions": [
                named(_every_direction(normalised=False), "weights-not-normalised"),
                named(_every_direction(swapped=True), "iterates-for-average"),
            ],
            "lag": [
                named(_lag(lambda b: 1 / (1 - b)), "one-step-more"),
                named(_lag(lambda b: 1 + b), "memory-left-out"),
            ],
            "correlated": [
                named(_correlated(normalised=False), "weights-not-normalised"),
                named(_correlated(swapped=True), "iterates-for-average"),
            ],
        },
        source=("004",),
        assumptions=(
            "read as: for stochastic gradient descent with a constant step on a quadratic, independent gradient noise "
            "and any decay in (0, 1), the average has the smaller stationary variance along every direction",
            "the text says that averaging 'reduces the high variance associated with the Monte Carlo estimation of "
            "the loss'; it reduces what that variance leaves in the parameters, not the variance of the estimate",
        ),
        finding=lambda evidence: (
            "Along an eigendirection with r = 1 - eta a the average leaves (1-b)(1+b r) / ((1+b)(1-b r)) of "
            f"eta c / (a (2 - eta a)), off by {evidence['lyapunov'].value:.0e} from the Lyapunov equation: always "
            "less than one, but near one where the memory 1/(1-b) is shorter than 1/(eta a). "
            f"{evidence['directions'].message}. Neither independence nor the quadratic is needed: weights that sum to "
            "one give a stationary sequence no more variance, since Var(sum w x) <= (sum w sd x)^2 "
            f"({evidence['correlated'].message}). It must be stationary. The price: it "
            "trails a moving optimum by b/(1-b) steps more than the iterates do, and forgets its start no faster "
            "than b^k."
        ),
        figure=_share,
        role="printed",
        group="ledger",
    ),
)
