"""Quantities of one time a row: coefficients beside points, and the mixture score at many times at once."""

from __future__ import annotations

import math

from ._checks import bad
from .arrays import alike, is_array, like, logsumexp, namespace
from .mixtures import GaussianMixture
from .protocols import Array


def per_row(c: Array, x: Array, argument: str = "t") -> Array:
    """``c`` ready to multiply ``x`` ``(..., d)``: a number, or an array of shape ``()`` or ``(...)``.

    Raises:
        ValueError: an array of another shape, or of another library, dtype or device.
    """
    if not is_array(c) or c.ndim == 0:
        return c
    alike(c, x, argument, "x")
    if tuple(c.shape) != tuple(x.shape[:-1]):
        wanted = f"a number or shape {tuple(x.shape[:-1])}, one a row of x"
        raise bad(argument, f"shape {tuple(c.shape)}", wanted, "match the rows of x")
    return c[..., None]


def mixture_score(p: GaussianMixture, x: Array, scale: Array, variance: Array) -> Array:
    """Score of the law of ``a_i x_0 + sqrt(v_i) z`` at row i of ``x``, for all rows at once.

    ``sum_k r_ik S_ik^{-1} (a_i mu_k - x_i)`` with ``S_ik = a_i^2 Sigma_k + v_i I``, in the eigenbasis of
    ``Sigma_k``; differentiable in ``x``, ``scale`` and ``variance``.

    Args:
        p: law of ``x_0``.
        x: ``(n, d)``.
        scale: a, ``(n,)``.
        variance: v, ``(n,)``.

    Returns:
        ``(n, d)``.
    """
    xp, b = namespace(x), p.basis
    a, v = scale[:, None], variance[:, None]
    log_joint, pulls = [], []
    for k in range(p.components):
        off = x - a * like(p.means[k], x)
        spread = a**2 * like(b.values[k], x) + v
        u = None if b.vectors is None else like(b.vectors[k], x)
        inner = off if u is None else xp.matmul(off, u)
        pull = inner / spread
        square = xp.sum(inner * pull, axis=-1)
        # One isotropic value stands for all d coordinates.
        times = p.dim if b.noise is None and u is None and b.values.shape[1] == 1 else 1
        log_det = times * xp.sum(xp.log(spread), axis=-1)
        if u is not None:
            pull = xp.matmul(pull, xp.matrix_transpose(u))
            if b.noise is not None:
                rest = off - xp.matmul(inner, xp.matrix_transpose(u))
                noise = a**2 * float(b.noise[k]) + v
                pull = pull + rest / noise
                square = square + xp.sum(rest * rest, axis=-1) / noise[:, 0]
                log_det = log_det + (p.dim - b.values.shape[1]) * xp.log(noise[:, 0])
        log_joint.append(math.log(p.weights[k]) - 0.5 * (square + log_det))
        pulls.append(pull)
    joint = xp.stack(log_joint, axis=-1)
    r = xp.exp(joint - logsumexp(joint)[..., None])
    return -xp.sum(r[..., None] * xp.stack(pulls, axis=-2), axis=-2)
