"""The mixture score on numpy float64: one product per component, in place, in cache-sized blocks.

``P_k (x - mu_k)`` with a stored precision ``P_k`` needs one ``(n, d) x (d, d)`` product where the eigenbasis
needs two. Its price is rounding: with ``u`` the unit roundoff and ``kappa`` the condition number,
``P (x - mu)`` is off by at most ``(d + 2) u kappa`` relatively, and so is the quadratic form.
"""

from __future__ import annotations

import numpy as np

from .protocols import Vector

ACCEPTED = 1e-10  #: largest relative error of the precision form, by its worst-case bound
ROWS = (
    256  #: with d = 64 one component's working array is 128 kB and stays in a second-level cache
)


def pays(n: int, dim: int, condition: float) -> bool:
    """Whether the precision form is both worth its set-up (d^3 a component) and accurate enough."""
    unit = float(np.finfo(np.float64).eps) / 2
    return n >= dim and (dim + 2) * unit * condition <= ACCEPTED


def precision_score(x: Vector, log_constants: Vector, means: Vector, precisions: Vector) -> Vector:
    """``-sum_k r_k P_k (x - mu_k)`` with ``r = softmax_k(c_k - 1/2 (x - mu_k)' P_k (x - mu_k))``.

    Args:
        x: ``(n, d)``.
        log_constants: ``c``, ``(K,)``.
        means: ``(K, d)``.
        precisions: ``(K, d, d)``.

    Returns:
        ``(n, d)``.
    """
    size, dim = means.shape
    n = x.shape[0]
    rows = min(n, max(16, ROWS * 64 // max(dim, 64)))
    out = np.empty((n, dim))
    off, pull = np.empty((size, rows, dim)), np.empty((size, rows, dim))
    for start in range(0, n, rows):
        y = x[start : start + rows]
        o, p = off[:, : len(y)], pull[:, : len(y)]
        np.subtract(y, means[:, None, :], out=o)
        np.matmul(o, precisions, out=p)
        r = np.einsum("knd,knd->kn", o, p)
        r *= -0.5
        r += log_constants[:, None]
        r -= r.max(axis=0)
        np.exp(r, out=r)
        r /= -r.sum(axis=0)
        np.einsum("kn,knd->nd", r, p, out=out[start : start + rows])
    return out
