"""Closed-form e-processes against exact nulls, from running sums.

Each function returns ``log E_n`` (natural logarithm), where ``E_n`` is a likelihood ratio of a conjugate mixture
of alternatives against the null; under the null it is a martingale that starts at one, so
``P(sup_n E_n >= 1/alpha) <= alpha`` (Ville 1939) at any stopping time. Averages of e-processes on the
same draws are e-processes again: that is how grids of priors and families are combined.

References: Robbins 1970; Gelman et al. 2013, chapters 2-3 (conjugate integrals); Vovk and Wang 2021 (averages).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from ..theory.protocols import Vector

#: prior standard deviations of a mean shift, in units of the null's
SHIFTS = (0.3, 0.1, 0.03, 0.01, 0.003)
#: shapes of the inverse-gamma prior of a variance ratio: relative spread ``shape^-1/2``
SHAPES = (3.0, 30.0, 300.0, 3e3, 3e4)
#: concentrations of a Dirichlet prior around the null
CONCENTRATIONS = (10.0, 100.0, 1e3, 1e4, 1e5)
#: correlations that are tried
CORRELATIONS = (-0.9, -0.5, -0.2, -0.08, -0.03, -0.01, 0.01, 0.03, 0.08, 0.2, 0.5, 0.9)
#: and of pairs of coordinates, of which there are many: sizes near enough to each other that none is lost between them
PAIRED = tuple(s * 0.015 * 1.5**k for k in range(10) for s in (1, -1))

#: factors by which rare events are tried to come too often
RATES = (1.1, 2.0, 10.0, 1e2, 1e4, 1e6, 1e8, 1e10)


def log_mean(logs: Any) -> float:
    """``log mean exp`` of all entries: the average of e-processes is an e-process."""
    flat = np.asarray(logs, dtype=np.float64).ravel()
    return float(averaged(flat))


def averaged(logs: Vector) -> Vector:
    """``log mean exp`` along the first axis."""
    top = logs.max(axis=0)
    shift = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(logs - shift).mean(axis=0)) + shift


def labels(counts: Vector, weights: Vector) -> Vector:
    """Multinomial counts against exact ``weights``; Dirichlet(kappa w) mixtures, averaged over kappa.

    ``log E = lnG(kappa) - lnG(kappa + n) + sum_k [lnG(kappa w_k + n_k) - lnG(kappa w_k) - n_k log w_k]``

    Args:
        counts: ``(..., K)``.
        weights: ``(K,)``; a count in a class of weight zero gives ``inf``.

    Returns:
        ``(...)``.
    """
    possible = weights > 0
    outside = counts[..., ~possible].sum(axis=-1) > 0
    c, w = counts[..., possible], weights[possible]
    n = c.sum(axis=-1)
    logs = []
    for kappa in CONCENTRATIONS:
        a = kappa * w
        inner = special.gammaln(a + c) - special.gammaln(a) - c * np.log(w)
        logs.append(special.gammaln(kappa) - special.gammaln(kappa + n) + inner.sum(axis=-1))
    return np.where(outside, np.inf, averaged(np.stack(logs)))


def means(sums: Vector, n: Any) -> tuple[float, float]:
    """Sums of N(0, 1) draws; normal mixture of shifts: one coordinate off, and all coordinates off.

    ``log E_j = tau^2 S_j^2 / (2 (1 + n tau^2)) - log(1 + n tau^2) / 2``

    Args:
        sums: ``(...)`` sums of independent coordinates.
        n: number of draws behind each sum, broadcast against ``sums``.

    Returns:
        log of the average over coordinates, and of the product over coordinates.
    """
    logs = shift_logs(sums, n)
    return log_mean(logs), log_mean(logs.reshape(len(SHIFTS), -1).sum(axis=1))


def shift_logs(sums: Vector, n: Any) -> Vector:
    """``log E_j`` of :func:`means` for each prior, shape ``(priors, ...)``."""
    s, count = np.broadcast_arrays(sums, n)
    tau2 = np.square(SHIFTS).reshape(-1, *([1] * s.ndim))
    return tau2 * s**2 / (2 * (1 + count * tau2)) - np.log1p(count * tau2) / 2


def scales(squares: Vector, n: Any) -> tuple[float, float]:
    """Sums of squares of N(0, 1) draws; inverse-gamma(a, a) mixture of variances, see :func:`means`.

    ``log E_j = a log a - lnG(a) + lnG(a + n/2) - (a + n/2) log(a + Q_j/2) + Q_j/2``
    """
    logs = scale_logs(squares, n)
    return log_mean(logs), log_mean(logs.reshape(len(SHAPES), -1).sum(axis=1))


def scale_logs(squares: Vector, n: Any) -> Vector:
    """``log E_j`` of :func:`scales` for each prior, shape ``(priors, ...)``."""
    q, count = np.broadcast_arrays(squares, n)
    a = np.asarray(SHAPES).reshape(-1, *([1] * q.ndim))
    return (
        a * np.log(a)
        - special.gammaln(a)
        + special.gammaln(a + count / 2)
        - (a + count / 2) * np.log(a + q / 2)
        + q / 2
    )


def covariance(scatter: Vector, n: int) -> float:
    """Scatter matrix ``S = sum z z'`` of N(0, I_d); inverse-Wishart(nu, nu I) mixture of covariances.

    ``log E = n d log(2) / 2 + nu log|Psi| / 2 - (nu + n) log|Psi + S| / 2
    + lnG_d((nu + n)/2) - lnG_d(nu/2) + tr S / 2`` with ``Psi = nu I``.
    """
    d = scatter.shape[0]
    eigenvalues = np.linalg.eigvalsh(scatter).clip(min=0.0)
    # log of the multivariate gamma function, up to a constant that cancels
    steps = np.arange(d) / 2
    logs = []
    for factor in (2.0, 20.0, 200.0, 2e3, 2e4):
        nu = factor * (d + 1)
        logs.append(
            n * d * math.log(2) / 2
            + nu * d * math.log(nu) / 2
            - (nu + n) / 2 * np.log(nu + eigenvalues).sum()
            + (special.gammaln((nu + n) / 2 - steps) - special.gammaln(nu / 2 - steps)).sum()
            + eigenvalues.sum() / 2
        )
    return log_mean(logs)


def pairs(scatter: Vector, n: int) -> float:
    """One correlated pair of coordinates: averaged over pairs and over correlations ``rho``.

    ``log E = -n log(1 - rho^2) / 2 - (rho^2 (Q_j + Q_k) - 2 rho S_jk) / (2 (1 - rho^2))``
    """
    i, j = np.triu_indices(scatter.shape[0], 1)
    diagonal = np.diag(scatter)
    rho = np.asarray(PAIRED)[:, None]
    total, cross = diagonal[i] + diagonal[j], scatter[i, j]
    return log_mean(_correlation(rho, total, cross, n))


def lag(cross: Vector, earlier: Vector, later: Vector, n: int) -> float:
    """Dependence of each draw on the one before it: AR(1) with ``rho``, one coordinate or all.

    ``log E = -n log(1 - rho^2)/2 - sum (z_{i+1} - rho z_i)^2 / (2 (1 - rho^2)) + sum z_{i+1}^2 / 2``

    Args:
        cross: ``(d,)`` sums of ``z_i z_{i+1}``.
        earlier: ``(d,)`` sums of ``z_i^2``.
        later: ``(d,)`` sums of ``z_{i+1}^2``.
        n: number of pairs.
    """
    rho = np.asarray(CORRELATIONS)[:, None]
    logs = _correlation(rho, earlier + later, cross, n)
    return log_mean([log_mean(logs), log_mean(logs.sum(axis=1))])


def _correlation(rho: Vector, total: Vector, cross: Vector, n: int) -> Vector:
    rest = 1 - rho**2
    return -n * np.log(rest) / 2 - (rho**2 * total - 2 * rho * cross) / (2 * rest)


def coins(heads: Vector, n: int) -> float:
    """Fair coins: symmetric beta(kappa/2, kappa/2) mixtures, averaged over coins and ``kappa``.

    ``log E = lnB(kappa/2 + h, kappa/2 + n - h) - lnB(kappa/2, kappa/2) + n log 2``
    """
    half = np.asarray(CONCENTRATIONS)[:, None] / 2
    logs = special.betaln(half + heads, half + n - heads) - special.betaln(half, half)
    return log_mean(logs + n * math.log(2))


def rare(count: float, expected: float) -> float:
    """Events whose compensator is at most ``expected``; averaged over factors ``r > 1`` of their rate.

    ``log E = N log r - (r - 1) Lambda``: given the past, an event of probability ``p <= lambda`` has
    ``E r^event <= 1 + (r - 1) lambda <= exp((r - 1) lambda)``.

    Args:
        count: ``N``, events so far.
        expected: ``Lambda``, sum of bounds on their conditional probabilities.
    """
    r = np.asarray(RATES)
    return log_mean(count * np.log(r) - (r - 1) * expected)


def rare_ceiling(expected: float, level: float) -> int:
    """Smallest ``m`` with ``m log(m / Lambda) - m + Lambda >= log(1 / level)``: ``P(N >= m) <= level`` (Chernoff)."""
    if expected <= 0:
        return 1
    low, high = expected, max(1.0, 2 * expected)

    def enough(m: float) -> bool:
        return m * math.log(m / expected) - m + expected >= -math.log(level)

    while not enough(high):
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return math.ceil(high)
