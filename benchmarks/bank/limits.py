"""Sample sizes that no honest test can beat.

*Neyman-Pearson.* The most powerful test of level ``alpha`` between the known laws p and q adds up
``l = log(q/p)``. With ``m_0, s_0`` (``m_1, s_1``) mean and standard deviation of ``l`` under p (q), and normal
quantiles, it has power ``1 - beta`` from

    n = ((z_alpha s_0 + z_beta s_1) / (m_1 - m_0))^2

on. An event that p excludes is seen from ``n = log(beta) / log(1 - q(event))`` on.

*Direction-blind.* A mean shift of size ``delta`` in a direction that is not known: the chi-square test of
``n |mean|^2`` with d degrees of freedom, that is ``n delta^2 = lambda``
with ``P(chi2_d(lambda) > chi2_d^{-1}(1 - alpha)) = 1 - beta``.
A variance ``1 + eps`` in one such direction: the largest (smallest) eigenvalue of the sample covariance, with
Johnstone's (2001) Tracy-Widom law under p and the normal law of a spiked eigenvalue (Baik, Ben Arous and Peche 2005;
Paul
2007) under q:

    l (1 + g / (l - 1)) -+ z_beta l sqrt(2 (1 - g / (l - 1)^2) / n)  beyond the 1 - alpha point of the edge,

``l = 1 + eps``, ``g = d / n``, once ``(l - 1)^2 > g``. One of m directions that can be listed (m axes, or pairs of
axes,
with either sign 2 m statistics): the largest of the most powerful tests, each at ``alpha / (2 m)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special, stats

ALPHA, BETA = 1e-3, 0.1
_Z_ALPHA, _Z_BETA = -float(special.ndtri(ALPHA)), -float(special.ndtri(BETA))
#: 1 - 1e-3 and 1e-3 points of the Tracy-Widom law of real matrices (Bejan 2005; smallest eigenvalue mirrored)
_TRACY_WIDOM = 3.2724


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of ``log(q/p)`` under p and under q; ``mean_q`` is KL(q || p)."""

    mean_p: float
    sd_p: float
    mean_q: float
    sd_q: float

    @property
    def kl(self) -> float:
        """Kullback-Leibler divergence of the output law q from the target p."""
        return self.mean_q

    @property
    def size(self) -> int:
        """Neyman-Pearson sample size."""
        root = (_Z_ALPHA * self.sd_p + _Z_BETA * self.sd_q) / (self.mean_q - self.mean_p)
        return max(1, math.ceil(root**2))


def gaussian_moments(p: Any, q: Any) -> Moments:
    """Closed form for two Gaussians: ``log(q/p)`` is a quadratic form."""
    root = np.linalg.cholesky(p.covariance)
    inverse = np.linalg.inv(root)
    shift, c = inverse @ (q.mean - p.mean), inverse @ q.covariance @ inverse.T
    eye = np.eye(len(shift))
    precision = np.linalg.inv(c)
    a, b = (eye - precision) / 2, precision @ shift
    constant = -0.5 * np.linalg.slogdet(c)[1] - 0.5 * shift @ b

    def under(m: np.ndarray, s: np.ndarray) -> tuple[float, float]:
        slope = b + 2 * a @ m
        mean = constant + np.trace(a @ s) + m @ a @ m + b @ m
        return float(mean), math.sqrt(2 * np.trace(a @ s @ a @ s) + slope @ s @ slope)

    return Moments(*under(0 * shift, eye), *under(shift, c))


def ratio_moments(log_ratio: np.ndarray, weight: np.ndarray) -> Moments:
    """From values of ``log(q/p)`` at points that stand for ``(p + q)/2`` with the given weights.

    ``E_q l = E_p[r log r - r + 1]`` and ``E_p l = E_p[log r - r + 1]`` hold terms of one sign only: little noise.
    """
    r = np.exp(np.clip(log_ratio, -700, 700))
    logs = np.clip(log_ratio, -700, 700)
    w = weight / weight.sum()
    to_p = 2 / (1 + r)
    mean_q = float(w @ (to_p * (special.xlogy(r, r) - r + 1)))
    mean_p = float(w @ (to_p * (logs - r + 1)))
    square_p, square_q = float(w @ (to_p * logs**2)), float(w @ (to_p * r * logs**2))
    return Moments(
        mean_p,
        math.sqrt(max(square_p - mean_p**2, 0)),
        mean_q,
        math.sqrt(max(square_q - mean_q**2, 0)),
    )


def drawn_moments(p: Any, q: Any, *, n: int = 60_000) -> Moments:
    """Moments from ``n`` exact draws of either law (fixed stream); laws with ``log_prob``."""
    from scoreproof.numerics import draw

    rng = np.random.default_rng(97)
    x = np.concatenate([draw(p, n, rng=rng), _drawn(q, n, rng)])
    with np.errstate(divide="ignore"):
        logs = np.asarray(q.log_prob(x)) - np.asarray(p.log_prob(x))
    return ratio_moments(logs, np.ones(len(logs)))


def _drawn(law: Any, n: int, rng: np.random.Generator) -> np.ndarray:
    from scoreproof.numerics import draw

    return law.sample(n, rng) if hasattr(law, "sample") else draw(law, n, rng=rng)


def line_moments(p: Any, q: Any, low: float, high: float, *, nodes: int = 40_001) -> Moments:
    """Trapezoid rule in one dimension."""
    x = np.linspace(low, high, nodes)[:, None]
    log_p, log_q = np.asarray(p.log_prob(x)), np.asarray(q.log_prob(x))
    weight = (np.exp(log_p) + np.exp(log_q)) / 2
    use = weight > 0
    return ratio_moments((log_q - log_p)[use], weight[use])


def coin_moments(heads: float) -> Moments:
    """Fair coins against coins with probability ``heads``."""
    values = np.log([2 * heads, 2 * (1 - heads)])
    fair, bent = np.array([0.5, 0.5]), np.array([heads, 1 - heads])
    means = [float(w @ values) for w in (fair, bent)]
    sds = [
        math.sqrt(float(w @ values**2) - m**2) for w, m in zip((fair, bent), means, strict=True)
    ]
    return Moments(means[0], sds[0], means[1], sds[1])


def autoregressive_moments(rho: float, dim: int) -> Moments:
    """A stationary AR(1) chain in d independent coordinates against independent normals, per step.

    ``l = -log(1 - rho^2)/2 - [(y - rho x)^2/(1 - rho^2) - y^2]/2`` is the quadratic form of ``(x, y)`` with the
    covariances I and ``[[1, rho], [rho, 1]]``; terms of neighbouring steps are uncorrelated under the null.
    """
    rest = 1 - rho**2
    a = np.array([[-(rho**2), rho], [rho, -(rho**2)]]) / (2 * rest)
    out = []
    for s in (np.eye(2), np.array([[1, rho], [rho, 1]])):
        mean = -math.log(rest) / 2 + float(np.trace(a @ s))
        out += [dim * mean, math.sqrt(2 * dim * float(np.trace(a @ s @ a @ s)))]
    return Moments(*out)


def seen_size(mass: float) -> int:
    """Draws until an impossible event of probability ``mass`` shows with probability ``1 - beta``."""
    return 1 if mass >= 1 else math.ceil(math.log(BETA) / math.log1p(-mass))


def absent_size(p: Any, q: Any, low: float, high: float, *, nodes: int = 40_001) -> int:
    """Draws of a test that asks whether a region where q is small stays empty; it beats the normal formula there.

    Over regions ``q < c p``: the smallest n with ``P_p(empty) <= alpha`` for which ``P_q(empty) >= 1 - beta``.
    """
    x = np.linspace(low, high, nodes)[:, None]
    log_p, log_q = np.asarray(p.log_prob(x)), np.asarray(q.log_prob(x))
    order = np.argsort(log_q - log_p)
    width = (high - low) / (nodes - 1)
    in_p, in_q = (np.cumsum(np.exp(v[order])) * width for v in (log_p, log_q))
    in_p = in_p.clip(1e-300, 1 - 1e-12)
    n = np.ceil(math.log(ALPHA) / np.log1p(-in_p))
    fine = n * np.log1p(-in_q.clip(0, 1 - 1e-12)) >= math.log1p(-BETA)
    return int(n[fine].min()) if fine.any() else 1 << 62


def blind_shift_size(delta: float, dim: int) -> int:
    """Chi-square test of a mean shift of ``delta`` standard deviations in an unknown direction."""
    edge = float(stats.chi2.isf(ALPHA, dim))
    low, high = 0.0, 1e5
    for _ in range(100):
        middle = (low + high) / 2
        enough = stats.ncx2.sf(edge, dim, middle) >= 1 - BETA
        low, high = (low, middle) if enough else (middle, high)
    return math.ceil(high / delta**2)


def blind_list_size(moments: Moments, count: int) -> int:
    """The largest of ``2 count`` most powerful statistics, each at level ``alpha / (2 count)``."""
    z = -float(special.ndtri(ALPHA / (2 * count)))
    root = (z * moments.sd_p + _Z_BETA * moments.sd_q) / (moments.mean_q - moments.mean_p)
    return math.ceil(root**2)


def blind_weights_size(p: np.ndarray, q: np.ndarray) -> int:
    """Pearson's chi-square test of K weights: ``n sum (q - p)^2 / p`` with K - 1 degrees of freedom."""
    return blind_shift_size(math.sqrt(float(((q - p) ** 2 / p).sum())), len(p) - 1)


def blind_scale_size(eps: float, dim: int) -> int:
    """Largest (smallest) sample eigenvalue against a variance ``1 + eps`` in an unknown direction."""
    return _first(lambda n: _spike_seen(eps, dim, n))


def _spike_seen(eps: float, dim: int, n: int) -> bool:
    spike, g = 1 + eps, dim / n
    if n <= dim or eps**2 <= g:
        return False
    side = math.copysign(1.0, eps)
    root_n, root_d = math.sqrt(n), math.sqrt(dim)
    edge = (root_n + side * root_d) ** 2 / n
    width = (root_n + side * root_d) / n * abs(1 / root_n + side / root_d) ** (1 / 3)
    centre = spike * (1 + g / eps)
    spread = spike * math.sqrt(2 * (1 - g / eps**2) / n)
    return side * (centre - edge) - _Z_BETA * spread >= _TRACY_WIDOM * width


def _first(seen: Callable[[int], bool]) -> int:
    n = 8
    while not seen(n) and n < 1 << 40:
        n *= 2
    low, high = n // 2, n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    return high
