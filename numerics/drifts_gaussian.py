"""The same for a Gaussian law: means and variances along its eigen-directions that samplers with a defect give.

Along an eigen-direction of variance ``v`` the reverse process is linear; with ``S = a^2 v + 1 - a^2``,
``a = exp(-b/2)``, an error ``(alpha (x - a mu) + beta)`` of the score at ``b`` changes the law at the end by

    mean / sd:   int beta a sqrt(v) / S db,        variance, relative:   2 int alpha a^2 v / S db

(the source of :mod:`.drifts`, carried down). Errors of the steps themselves come from the recursion of mean and
variance through a run of few steps.
"""

from __future__ import annotations

import math

import numpy as np

from ..theory.protocols import Vector
from .drifts import log_sum
from .rng import substream

#: sizes in units in which ``n size^2 / 2`` is the information of n draws
SIZES = tuple(0.006 * 1.42**k for k in range(10))
_BETA = (0.1, 20.0)  #: the linear clock ``b(t) = int_0^t beta``
_STEPS = 200  #: of a run
_NODES = 300
_MIXED, _LEADING = 60, 5
_WIDE = 512  #: dimensions up to which combinations are tried


class GaussianDrifts:
    """Alternatives ``N(e u_j, 1 + e f_j)`` along the whitened axes, for given ``(u, f)`` and sizes e of both signs.

    Args:
        spectrum: eigenvalues, ``(d,)``.
        mean: ``Sigma^{-1/2} mu``, ``(d,)``.
    """

    def __init__(self, spectrum: Vector, mean: Vector) -> None:
        groups = directions(spectrum, mean)
        size = np.r_[SIZES, -np.asarray(SIZES)][:, None, None]
        u = np.concatenate([(size * m).reshape(-1, len(mean)) for _, m, _ in groups])
        v = 1 + np.concatenate([(size * f).reshape(-1, len(mean)) for _, _, f in groups])
        self._linear, self._square = u / v, (1 - 1 / v) / 2
        self._rate = -(np.log(v) + u**2 / v).sum(axis=1) / 2
        parts = [
            np.full(2 * len(SIZES) * len(m), math.log(part / (2 * len(SIZES) * len(m))))
            for part, m, _ in groups
        ]
        self._weight = np.concatenate(parts)

    def log_e(self, sums: Vector, squares: Vector, n: int) -> float:
        """Family ``drifts`` from ``sum z_j`` and ``sum z_j^2``.

        ``log E = sum_j [u_j S_j / v_j + (1 - 1/v_j) Q_j / 2 - n (log v_j + u_j^2 / v_j) / 2]``, averaged.
        """
        logs = self._linear @ sums + self._square @ squares + n * self._rate + self._weight
        return log_sum(logs)


def directions(spectrum: Vector, mean: Vector) -> list[tuple[float, Vector, Vector]]:
    """Groups of ``(weight, u, f)``, ``(k, d)`` each, with ``sum u_j^2 + f_j^2 / 2 = 1``."""
    mu = mean * np.sqrt(spectrum)
    flow = _scores(spectrum, mu)
    runs = _runs(spectrum, mu)
    # noise that is left, and a run that ends early
    plain = [(0 * mean, 1 / spectrum), (-mean / 2, 1 / spectrum - 1)]
    groups = [(0.4, *_unit(flow + plain)), (0.4, *_unit(runs))]
    if len(mean) <= _WIDE:
        groups.append((0.2, *_combined(*_unit(flow + plain + runs))))
    return groups


def _scores(v: Vector, mu: Vector) -> list[tuple[Vector, Vector]]:
    """A score too large by a factor; of another time: by a factor, by a step of equal or growing steps."""
    b = np.geomspace(1e-5, 12.0, _NODES)[:, None]
    part = b * np.where((b == b[0]) | (b == b[-1]), 0.5, 1.0)  # the trapezoid rule in log b
    a2 = np.exp(-b)
    s = a2 * v + 1 - a2
    t = _time(b)
    rate = _BETA[0] + (_BETA[1] - _BETA[0]) * t
    # d score / d b = (x - a mu) a^2 (1 - v) / S^2 - a mu / (2 S)
    alpha, beta = a2 * (1 - v) / s**2, -np.sqrt(a2) * mu / (2 * s)
    out = [(0 * mu, -2 * (part * a2 * v / s**2).sum(axis=0))]
    for speed in (b, rate, rate * np.sqrt(t), np.ones_like(b)):
        shift = (part * speed * beta * np.sqrt(a2 * v) / s).sum(axis=0)
        out.append((shift, 2 * (part * speed * alpha * a2 * v / s).sum(axis=0)))
    return out


def _time(b: Vector) -> Vector:
    slope = _BETA[1] - _BETA[0]
    return (np.sqrt(_BETA[0] ** 2 + 2 * slope * b) - _BETA[0]) / slope


def _runs(v: Vector, mu: Vector) -> list[tuple[Vector, Vector]]:
    """Few steps, equal or growing in proportion to t^1/2.

    Of the reverse process, of its flow, with the score of the step before, and without noise in the last step.
    """
    u = np.linspace(1.0, 0.0, _STEPS + 1)[:, None, None]
    power = np.array([1.0, 2.0])[:, None]
    t = np.maximum(u**power, 1e-5)  # (steps, spacings, 1)
    h = t[:-1] - t[1:]
    rate = _BETA[0] + (_BETA[1] - _BETA[0]) * t[:-1]
    now = _BETA[0] * t[:-1] + (_BETA[1] - _BETA[0]) * t[:-1] ** 2 / 2
    late = np.concatenate([now[:1], now[:-1]])
    out = []
    for b, part, last in ((now, 1.0, 1.0), (now, 0.5, 1.0), (late, 1.0, 1.0), (now, 1.0, 0.0)):
        a = np.exp(-b / 2)
        s = a**2 * v + 1 - a**2
        # the flow has half of the score and no noise
        gain = 1 + h * rate * (0.5 - part / s)
        push, noise = h * rate * part * a * mu / s, h * rate * (2 * part - 1)
        # an exact start, so that nothing but the steps is wrong
        first = np.exp(-now[0])
        m, w = np.sqrt(first) * mu, first * v + 1 - first
        for k in range(_STEPS):
            m = gain[k] * m + push[k]
            w = gain[k] ** 2 * w + noise[k] * (last if k == _STEPS - 1 else 1.0)
        out += list(zip((m - mu) / np.sqrt(v), w / v - 1, strict=True))
    return out


def _unit(pairs: list[tuple[Vector, Vector]]) -> tuple[Vector, Vector]:
    u, f = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    size = np.sqrt((u**2 + f**2 / 2).sum(axis=1, keepdims=True))
    kept = size[:, 0] > 0
    return u[kept] / size[kept], f[kept] / size[kept]


def _combined(u: Vector, f: Vector) -> tuple[Vector, Vector]:
    """Fixed pseudo-random combinations of the principal directions, each in proportion to its part of the variance."""
    both = np.concatenate([u, f / math.sqrt(2)], axis=1)
    _, sizes, axes = np.linalg.svd(both, full_matrices=False)
    leading = min(_LEADING, int((sizes > 1e-6 * sizes[0]).sum()))
    raw = substream(0, "drifts").standard_normal((_MIXED, leading)) * sizes[:leading] ** 2
    mixed = raw @ axes[:leading]
    mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
    d = u.shape[1]
    return mixed[:, :d], mixed[:, d:] * math.sqrt(2)
