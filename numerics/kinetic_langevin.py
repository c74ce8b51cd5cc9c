"""Underdamped (kinetic) Langevin chains: BAOAB and OBABO splittings.

    dX = V dt,    dV = u grad log p(X) dt - gamma V dt + sqrt(2 gamma u) dW

leaves ``p(x) N(v; 0, u I)`` stationary. A splitting takes the kick B ``v + h u s(x)``, the drift A ``x + h v`` and the
exact Ornstein-Uhlenbeck flow O ``e^(-gamma h) v + sqrt(u (1 - e^(-2 gamma h))) z`` in turn, in half steps but for the
middle one. Both are of weak order 2; on a Gaussian BAOAB has the exact stationary law of x for every stable step,
OBABO the variance ``lambda / (1 - u h^2 / (4 lambda))``.

Reference: Leimkuhler & Matthews 2013, Eq. 9 and Sec. 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

from ..theory._checks import bad, positive
from ..theory.protocols import Array
from .rng import normal_like

Splitting = Literal["BAOAB", "OBABO"]


def underdamped_step(
    score: Callable[[Array], Array],
    x: Array,
    v: Array,
    *,
    step: float,
    friction: float,
    rng: Any,
    scale: float = 1.0,
    splitting: Splitting = "BAOAB",
) -> tuple[Array, Array]:
    """One step of a splitting.

    Args:
        score: ``(n, d) -> (n, d)``.
        x: positions, ``(n, d)``.
        v: velocities, ``(n, d)``, with stationary law ``N(0, scale I)``.
        step: h, positive.
        friction: gamma, positive.
        rng: numpy generator, or torch generator for tensors.
        scale: u, the variance of a velocity.
        splitting: order of the parts.

    Returns:
        Positions and velocities after the step.

    Raises:
        ValueError: step, friction or scale not positive, or an unknown splitting.
    """
    h, u = positive(step, "step"), positive(scale, "scale")
    gamma = positive(friction, "friction")
    if splitting not in ("BAOAB", "OBABO"):
        raise bad("splitting", repr(splitting), '"BAOAB" or "OBABO"', "pick one")
    middle = splitting[2]
    for k, part in enumerate(splitting):
        share = h if part == middle and k == 2 else h / 2
        if part == "B":
            v = v + share * u * score(x)
        elif part == "A":
            x = x + share * v
        else:
            keep = math.exp(-gamma * share)
            spread = math.sqrt(-u * math.expm1(-2 * gamma * share))
            v = keep * v + spread * normal_like(v, rng=rng)
    return x, v


def underdamped(
    score: Callable[[Array], Array],
    x: Array,
    *,
    step: float,
    friction: float,
    n_steps: int,
    rng: Any,
    scale: float = 1.0,
    splitting: Splitting = "BAOAB",
) -> Array:
    """``n_steps`` of :func:`underdamped_step`, with velocities that start in equilibrium.

    Args:
        score: ``(n, d) -> (n, d)``.
        x: starting points ``(n, d)``, one chain a row.
        step: h.
        friction: gamma.
        n_steps: number of steps, zero or more.
        rng: numpy generator, or torch generator for tensors.
        scale: u, the variance of a velocity.
        splitting: order of the parts.

    Returns:
        Last positions, ``(n, d)``.

    Raises:
        ValueError: as :func:`underdamped_step`, or a number of steps that is not a natural number.
    """
    if int(n_steps) != n_steps or n_steps < 0:
        raise bad("n_steps", n_steps, "an integer, zero or more", "pass e.g. 1000")
    v = math.sqrt(positive(scale, "scale")) * normal_like(x, rng=rng)
    for _ in range(int(n_steps)):
        x, v = underdamped_step(
            score, x, v, step=step, friction=friction, rng=rng, scale=scale, splitting=splitting
        )
    return x
