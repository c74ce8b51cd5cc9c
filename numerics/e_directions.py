"""E-processes for defects in a direction: one that nobody knows, or one that the law itself singles out.

Throughout ``S = sum_i z_i z_i'`` is the scatter of draws that are N(0, I_d) under the null, and each function returns
``log E_n`` of a mixture of likelihood ratios over a prior that was fixed before the first draw: a martingale that
starts at one (see :mod:`.e_processes`).

Reference: Kume and Wood 2005 (the integral over the sphere as a one-dimensional contour integral).
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from ..theory.protocols import Vector
from .e_processes import log_mean

#: excess of the variance in one unknown direction; a fourth of a nat apart at the n that refutes them
EXCESSES = tuple(0.03 * 1.35**k for k in range(14))
#: size of a rank-two change of the covariance, in whitened units
BENDS = tuple(0.02 * 1.5**k for k in range(8))
#: relative change of the variance where it is largest
CHANGES = tuple(0.0015 * 1.9**k for k in range(11))
#: mean shift along a given direction
SHIFTS = tuple(0.004 * 1.6**k for k in range(12))
_POWERS = (0.5, 1.0, 2.0)
_STEP, _DECAY = 0.2, 37.0


def sphere_average(exponents: Vector) -> Vector:
    """``log E exp(sum_j a_j u_j^2)`` for ``u`` uniform on the unit sphere.

    With ``Gamma(d/2) / (2 pi i)`` times the integral of ``e^s prod_j (s - a_j)^{-1/2}`` along a contour around the
    ``a_j``. The contour ``s = c + i y - y^2 / (4 (c - max a))`` goes through the saddle point ``c``; the trapezoid
    rule on it converges like ``exp(-2 pi w / h)``, where the integrand is analytic in a strip of half width
    ``w >= 2^-1/2`` and ``h = 0.2`` is the step, both in units of the width of the saddle: 3e-10.

    Args:
        exponents: ``a``, shape ``(m, d)``.

    Returns:
        ``(m,)``.
    """
    d = exponents.shape[1]
    top = exponents.max(axis=1, keepdims=True)
    a = exponents - top
    gap = _saddle(a)
    off = gap[:, None] - a
    width = 1 / np.sqrt((0.5 / off**2).sum(axis=1))
    reach = float(np.sqrt(4 * _DECAY * gap / width**2).max())
    # |prod| falls at least like a normal density of d / 4 equal terms until it is negligible
    reach = min(reach, 9.0 + 40.0 / d)
    t = np.arange(0.0, reach + _STEP, _STEP)
    y = width[:, None] * t
    move = 1j * y - y**2 / (4 * gap[:, None])
    slope = 1 + 0.5j * y / gap[:, None]
    logs = move - 0.5 * np.log1p(move[:, :, None] / off[:, None, :]).sum(axis=2)
    values = (np.exp(logs) * slope).real
    total = width * _STEP * (2 * values.sum(axis=1) - values[:, 0]) / (2 * math.pi)
    height = gap - 0.5 * np.log(off).sum(axis=1)
    return math.lgamma(d / 2) + top[:, 0] + height + np.log(total)


def _saddle(a: Vector) -> Vector:
    """The ``c > 0`` with ``sum_j 1 / (c - a_j) = 2`` for ``a <= 0``, ``max a = 0``; it lies in [1/2, d/2]."""
    low, high = np.full(len(a), 0.5), np.full(len(a), a.shape[1] / 2)
    for _ in range(50):
        middle = (low + high) / 2
        above = (1 / (middle[:, None] - a)).sum(axis=1) > 2
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return (low + high) / 2


def one_direction(eigenvalues: Vector, n: int) -> float:
    """Covariance ``I + eps u u'`` with ``u`` uniform on the sphere; averaged over ``eps`` of both signs.

    ``log E = -n log(1 + eps) / 2 + log E_u exp(eps u' S u / (2 (1 + eps)))``. No test that treats all directions
    alike has more power on average over ``eps``.

    Args:
        eigenvalues: of the scatter, ``(d,)``, at least two.
        n: number of draws.
    """
    eps = np.r_[EXCESSES, -np.asarray([e for e in EXCESSES if e < 0.8])]
    gain = eps / (2 * (1 + eps))
    ends = eigenvalues.max(), eigenvalues.min()
    bound = np.where(eps > 0, gain * ends[0], gain * ends[1]) - n * np.log1p(eps) / 2
    logs = np.full(len(eps), -np.inf)
    # What cannot exceed e^-3 counts as zero, which only makes the e-value smaller.
    worth = bound > -3
    if worth.any():
        a = gain[worth, None] * eigenvalues
        logs[worth] = sphere_average(a) - n * np.log1p(eps[worth]) / 2
    return log_mean(logs)


def along(projections: Vector, norms: Vector, n: int) -> float:
    """A mean shift ``t v / |v|`` of either sign along given directions: averaged over them and over ``t``.

    ``log E = t v' S_1 / |v| - n t^2 / 2`` with ``S_1`` the sum of the draws.

    Args:
        projections: ``v' S_1``, ``(m,)``.
        norms: ``|v|``, ``(m,)``.
        n: number of draws.
    """
    t = np.r_[SHIFTS, -np.asarray(SHIFTS)][:, None]
    return log_mean(t * (projections / norms) - n * t**2 / 2)


def profiles(
    squares: Vector,
    spectrum: Vector,
    n: int,
    *,
    sums: Vector | None = None,
    mean: Vector | None = None,
) -> float:
    """Variances ``1 + eps f_j`` with ``f`` a power of the eigenvalue; averaged over powers and ``eps`` of both signs.

    Left-over noise, steps that are too long and wrong schedules change eigen-directions by
    ``(lambda_min / lambda_j)^q`` or ``(lambda_j / lambda_max)^q``, by the former less its mean over j, or (clocks at
    another pace) by ``log lambda_j`` less its mean. They pull at the mean as well: with ``u`` along
    ``Sigma^{-1/2} mu lambda^r`` and a N(0, tau^2) prior of the shift, the ratio gains
    ``tau^2 B^2 / (2 (1 + n tau^2 A)) - log(1 + n tau^2 A) / 2`` with ``A = sum u_j^2 / v_j`` and
    ``B = sum u_j S_j / v_j``.

    Args:
        squares: ``sum_i z_ij^2``, ``(d,)``.
        spectrum: eigenvalues ``lambda_j``, positive.
        n: number of draws.
        sums: ``S = sum_i z_i``, ``(d,)``; with ``mean`` half of the weight goes to shifted means.
        mean: ``Sigma^{-1/2} mu``, ``(d,)``, not zero.
    """
    log = np.log(spectrum)
    q = np.asarray(_POWERS)[:, None]
    small = np.exp(q * (log.min() - log))
    tilted = small - small.mean(axis=1, keepdims=True)
    # the last is what tilted ones become as q goes to zero: a spectrum raised to a power
    shapes = np.concatenate(
        [small, np.exp(q * (log - log.max())), tilted, (log - log.mean())[None]]
    )
    largest = np.abs(shapes).max(axis=1, keepdims=True)
    shapes = shapes / np.where(largest > 0, largest, 1.0)
    v = 1 + np.r_[CHANGES, -np.asarray(CHANGES)][:, None, None] * shapes
    logs = (squares * (1 - 1 / v) - n * np.log(v)).sum(axis=2) / 2
    if sums is None or mean is None:
        return log_mean(logs)
    u = mean * np.exp(np.array([-0.5, 0.0, 0.5])[:, None] * log)
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    a, b = (u**2) @ (1 / v).reshape(-1, len(u.T)).T, (u * sums) @ (1 / v).reshape(-1, len(u.T)).T
    t2 = np.square([0.01, 0.04])[:, None, None]
    gain = t2 * b**2 / (2 * (1 + n * t2 * a)) - np.log1p(n * t2 * a) / 2
    return log_mean([log_mean(logs), log_mean(gain + logs.ravel())])


def bent_pairs(scatter: Vector, axes: Vector, n: int) -> float:
    """One covariance of two given directions is off: ``I + t (a b' + b a')``, averaged over pairs and ``t``.

    With ``g`` the inner products of a and b and ``s`` the same with ``S`` between them,

        log E = -n log(D) / 2 - (t^2 (g_bb s_aa + g_aa s_bb) - 2 t (1 + t g_ab) s_ab) / (2 D)
        D = (1 + t g_ab)^2 - t^2 g_aa g_bb.

    Args:
        scatter: S.
        axes: directions in rows, ``(m, d)``.
        n: number of draws.
    """
    i, j = np.triu_indices(len(axes), 1)
    g, s = axes @ axes.T, axes @ scatter @ axes.T
    size = np.sqrt(g[i, i] * g[j, j])
    bend = np.r_[BENDS, -np.asarray(BENDS)][:, None]
    t, cross = bend / size, bend / size * g[i, j]
    det = (1 + cross) ** 2 - bend**2
    quadratic = g[j, j] * s[i, i] + g[i, i] * s[j, j]
    logs = -n * np.log(det) / 2 - (t**2 * quadratic - 2 * t * (1 + cross) * s[i, j]) / (2 * det)
    return log_mean(logs)


def noisy_axes(scatter: Vector, axes: Vector, n: int) -> float:
    """Variance added along one given direction: ``I + eps v v' / |v|^2``, averaged over directions and ``eps``."""
    squares = np.einsum("md,de,me->m", axes, scatter, axes) / np.square(axes).sum(axis=1)
    sizes = np.r_[CHANGES[2:], -np.asarray(CHANGES[2:])][:, None]
    return log_mean((squares * sizes / (1 + sizes) - n * np.log1p(sizes)) / 2)


def spread_mean(sums: Vector, n: int) -> float:
    """A mean with independent N(0, t^2 / d) entries; averaged over its length ``t``, finely enough for large d.

    ``log E = t^2 |S_1|^2 / (2 (d + n t^2)) - d log(1 + n t^2 / d) / 2``
    """
    d = len(sums)
    # shorter means would take more than a million draws
    t2 = np.square([0.01 * d**0.25 * 1.4**k for k in range(9)])
    logs = t2 * (sums @ sums) / (2 * (d + n * t2)) - d * np.log1p(n * t2 / d) / 2
    return log_mean(logs)


def spread_scales(squares: Vector, n: int) -> float:
    """Independent inverse-gamma(a, a) variances of all directions; averaged over ``a``, finely enough for large d."""
    a = np.asarray([4.0 * 2.2**k for k in range(14)])[:, None]
    logs = (
        a * np.log(a)
        - special.gammaln(a)
        + special.gammaln(a + n / 2)
        - (a + n / 2) * np.log(a + squares / 2)
        + squares / 2
    )
    return log_mean(logs.sum(axis=1))
