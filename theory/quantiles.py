"""Distribution function and quantiles of a one-dimensional Gaussian mixture (numpy float64)."""

from __future__ import annotations

import numpy as np
from scipy import special

from .protocols import Vector

_STEPS = 200  #: halvings alone would do in 1100 / log2; Newton needs about six


def mixture_cdf(x: Vector, weights: Vector, means: Vector, stds: Vector) -> Vector:
    """``sum_k w_k Phi((x - mu_k) / sd_k)`` for ``x`` of any shape."""
    return special.ndtr((x[..., None] - means) / stds) @ weights


def mixture_quantile(u: Vector, weights: Vector, means: Vector, stds: Vector) -> Vector:
    """The x with ``F(x) = u``, by Newton's method on ``log F`` (or ``log (1 - F)`` above the median).

    The component quantiles bracket the answer: at the smallest of them every component has at most mass u
    below, at the largest at least u. A Newton step that leaves the bracket is replaced by a halving, so a gap
    between modes, where the density vanishes, is crossed as well.

    Args:
        u: probabilities in [0, 1], any shape; 0 and 1 give minus and plus infinity, NaN gives NaN.
        weights: ``(K,)``.
        means: ``(K,)``.
        stds: ``(K,)``.

    Returns:
        The shape of ``u``.
    """
    flat = np.asarray(u, dtype=np.float64).reshape(-1)
    out = np.where(flat == 0, -np.inf, np.where(flat == 1, np.inf, np.nan))
    active = np.flatnonzero((flat > 0) & (flat < 1))
    p = flat[active]
    ends = means + stds * special.ndtri(p)[:, None]
    low, high = ends.min(axis=1), ends.max(axis=1)
    x = ends @ weights
    for _ in range(_STEPS):
        if not active.size:
            break
        out[active] = x
        side = np.where(p < 0.5, 1.0, -1.0)
        target = np.log(np.where(p < 0.5, p, 1 - p))
        z = (x[:, None] - means) / stds
        log_mass = special.logsumexp(special.log_ndtr(side[:, None] * z), axis=1, b=weights)
        above = side * (log_mass - target) > 0
        high, low = np.where(above, x, high), np.where(above, low, x)
        log_density = special.logsumexp(
            -0.5 * z**2 - np.log(stds) - 0.5 * np.log(2 * np.pi), axis=1, b=weights
        )
        step = side * (target - log_mass) * np.exp(np.minimum(log_mass - log_density, 700.0))
        newton = x + step
        inside = (newton > low) & (newton < high)
        fresh = np.where(inside, newton, 0.5 * (low + high))
        eps = np.finfo(np.float64).eps
        going = np.abs(fresh - x) > 2 * eps * np.maximum(np.abs(x), stds.min())
        going &= (high - low) > 2 * eps * np.maximum(np.abs(low), np.abs(high))
        out[active] = fresh
        active, p, x = active[going], p[going], fresh[going]
        low, high = low[going], high[going]
    return out.reshape(np.shape(u))
