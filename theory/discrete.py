"""The discrete schedules of the literature and the diffusions that they are limits of.

====================  ==============================================  =============================  ===========
chain                 schedule                                        limit, N to infinity           at its grid
====================  ==============================================  =============================  ===========
DDPM                  :func:`linear_betas`, from b to c over N        ``VP(N b, N c)``, t = i/N      O(1/N)
DDPM, any betas       ``VP.from_betas(betas)``, t = i/N               itself                         exact
improved DDPM         :func:`cosine_betas`                            ``VP.cosine(s)``, t = i/N      exact [1]_
SMLD                  :func:`smld_sigmas`, L levels                   ``VE``, t = (i-1)/(L-1)        exact [2]_
EDM                   :func:`karras_sigmas`                           ``EDM``, t = sigma             exact
====================  ==============================================  =============================  ===========

.. [1] Up to the clip of the last betas at 0.999.
.. [2] The chain adds ``sigma_i^2 - sigma_{i-1}^2``, the diffusion ``sigma(t)^2 - sigma(0)^2``: both count from
   ``sigma_1``, which the data must carry to stand at the first level.

DDPM and SMLD chains are one chain in other variables: with ``alpha_bar`` the product of ``1 - beta``,
``y_i = x_i / sqrt(alpha_bar_i)`` is an SMLD chain with ``sigma_i^2 = (1 - alpha_bar_i)/alpha_bar_i``
(:func:`sigmas_of_betas`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._checks import bad, parameter, positive
from .diffusions import VP
from .protocols import Vector
from .schedules import StepBeta, cosine_betas, count, linear_betas

__all__ = [
    "betas_of_sigmas",
    "cosine_betas",
    "karras_sigmas",
    "linear_betas",
    "linear_limit",
    "sigmas_of_betas",
    "smld_sigmas",
]


def smld_sigmas(levels: int = 1000, *, sigma_min: float = 0.01, sigma_max: float = 50.0) -> Vector:
    """``sigma_min (sigma_max / sigma_min)^((i-1)/(L-1))``, ``i = 1 .. L``, increasing, shape ``(levels,)``.

    Raises:
        ValueError: fewer than two levels, or ends that are not positive and increasing.

    Reference:
        Song and Ermon 2019, Sec. 4.1 (decreasing there); Song et al. 2021, App. C.
    """
    low, high = positive(sigma_min, "sigma_min"), positive(sigma_max, "sigma_max")
    if not low < high:
        raise bad("sigma_max", f"{high:g}", f"more than sigma_min = {low:g}", "swap the two")
    n = count(levels, "levels")
    if n < 2:
        raise bad("levels", n, "two levels or more", "add levels")
    return np.geomspace(low, high, n)


def karras_sigmas(steps: int, *, sigma_min: float, sigma_max: float, rho: float = 7.0) -> Vector:
    """``(sigma_max^(1/rho) + i/steps (sigma_min^(1/rho) - sigma_max^(1/rho)))^rho``, ``i = 0..steps``.

    Args:
        steps: number of steps, so ``steps + 1`` values.
        sigma_min: last value, zero allowed.
        sigma_max: first value.
        rho: how much denser the grid is at small sigma.

    Returns:
        Decreasing values ``(steps + 1,)``.

    Raises:
        ValueError: no step, or an empty range.

    Reference: Karras et al. 2022, Eq. 5.
    """
    if not 0 <= sigma_min < sigma_max:
        raise bad("sigma_min", f"{sigma_min:g}", f"a value in [0, {sigma_max:g})", "swap the ends")
    ends = (sigma_max ** (1 / rho), sigma_min ** (1 / rho))
    values = np.linspace(*ends, count(steps, "steps") + 1) ** rho
    values[0], values[-1] = sigma_max, sigma_min
    return values


def linear_limit(steps: int = 1000, *, first: float = 1e-4, last: float = 0.02) -> VP:
    """The diffusion that the chain of :func:`linear_betas` tends to: ``beta`` from ``N first`` to ``N last``.

    The chain refined at fixed ``N first`` and ``N last`` has the scale of this diffusion at t = 1 up to O(1/N).

    Raises:
        ValueError: ``steps`` is not a positive integer, or betas that are not positive.

    Reference:
        Song et al. 2021, App. B (Eqs. 22 to 25) and C.
    """
    n = count(steps, "steps")
    return VP(n * positive(first, "first"), n * positive(last, "last"))


def sigmas_of_betas(betas: Any) -> Vector:
    """Levels ``sqrt((1 - alpha_bar_i)/alpha_bar_i)`` of the SMLD chain that a DDPM chain is, shape ``(N,)``.

    Raises:
        ValueError: entries outside ``[0, 1)``, all zero, or not finite.
    """
    steps = StepBeta(betas)
    return np.sqrt(np.expm1(-np.cumsum(np.log1p(-steps.betas))))


def betas_of_sigmas(sigmas: Any) -> Vector:
    """``beta_i = (sigma_i^2 - sigma_{i-1}^2)/(1 + sigma_i^2)``, ``sigma_0 = 0``: inverse of :func:`sigmas_of_betas`.

    Raises:
        ValueError: levels that are negative, decrease, or are not finite.
    """
    s = parameter(sigmas, "sigmas", 1)
    before = np.concatenate([[0.0], s[:-1]])
    if (s < before).any():
        raise bad(
            "sigmas", "levels that decrease or are negative", "increasing levels", "sort them"
        )
    return (s - before) * (s + before) / (1 + s**2)
