"""What samplers of *this* law get wrong: one-parameter alternatives derived from its own score.

A sampler with a small defect has, to first order in the size ``e`` of the defect, the law ``p (1 + e f)`` with an
``f`` that follows from p:

* unadjusted Langevin ``x + h s + sqrt(2 h) z``: ``f = |s|^2 / 4 + div s / 2`` with ``e = h``, up to a constant (the
  weak expansion of one step, tested against the stationary law; for a variance v it gives ``v + h / 2``);
* noise added, or lacking: ``f = Delta p / p = |s|^2 + div s``, with ``e`` half of its variance;
* a reverse drift with an error ``dr`` at time t puts the source ``rho = -(div dr + dr . s_t)`` into ``p_t``, and the
  exact reverse process carries it down to ``f(x_0) = E[rho(X_t) | X_0 = x_0]``: a score that is too large at one level
  of noise or at all (``dr`` along ``s_t``), a score of the step before (along its derivative in time).

These are alternatives, not approximations of a null: each is normalised exactly, over cells of known mass on the line
and in closed form for Gaussians, so that nothing but power depends on how well ``f`` is computed.

References: Leimkuhler, Matthews and Stoltz 2016 (invariant measures of discretised Langevin); Anderson 1982.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from scipy import special

from ..theory.mixtures import GaussianMixture
from ..theory.protocols import Vector
from . import tilts
from .rng import substream

_LEVELS = 10  #: levels of noise
_END = 8.0  #: of ``b``; the law is normal by then
_BETA = (0.1, 20.0)  #: the linear clock ``b(t) = int_0^t beta``
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(11)
_STEP = 1.05  #: ratio of noise levels whose difference is the derivative of the score
_REACH, _TABLE = 7.0, 8001
_MIXED = 300  #: combinations of several directions
_LEADING = 5  #: of the principal directions that are combined
#: sizes in units of the standard deviation of f, so that ``n size^2 / 2`` is the information of n draws
SIZES = tuple(0.007 * 1.45**k for k in range(9))


def line_directions(law: GaussianMixture) -> list[tuple[float, Vector]]:
    """Groups of directions ``f`` at the cells of :data:`.tilts.MASS`, and the weight of each group.

    Args:
        law: a mixture on the line.

    Returns:
        Weights that sum to one, and directions ``(k, cells)`` of mean zero and variance one.
    """
    x = _middles(law)
    score, bend = _slopes(law, x)
    langevin = score**2 / 4 + bend / 2
    plain = [score**2 + bend, np.asarray(law.log_prob(x[:, None])), x]
    levels, whole = _reversed(law, x)
    langevin, plain, levels, whole = (
        _standard(np.atleast_2d(f)) for f in (langevin, plain, levels, whole)
    )
    every = np.concatenate([langevin, plain, levels, whole])
    return [
        (0.25, langevin),
        (0.1, plain),
        (0.2, levels),
        (0.2, whole),
        (0.25, _combined(every)),
    ]


class LineDrifts:
    """Alternatives ``p exp(e f) / c(e)`` to a mixture on the line, for all directions and sizes ``e`` of both signs.

    Args:
        law: a mixture on the line.
    """

    def __init__(self, law: GaussianMixture) -> None:
        self._law = law

    @cached_property
    def _alternatives(self) -> tuple[Vector, Vector]:
        return line_tilts(self._law)

    def log_e(self, counts: Vector) -> float:
        """Family ``drifts`` from the counts of the draws in the cells of :data:`.tilts.MASS`, ``(cells,)``."""
        weights, ratios = self._alternatives
        return log_sum(ratios @ counts + weights)


def log_sum(logs: Vector) -> float:
    """``log sum exp``."""
    top = float(logs.max())
    return top + math.log(float(np.exp(logs - top).sum()))


def line_tilts(law: GaussianMixture) -> tuple[Vector, Vector]:
    """Logarithms of weights ``(m,)`` and of the ratios of cell masses ``(m, cells)`` of all alternatives."""
    sizes = np.r_[SIZES, -np.asarray(SIZES)][:, None, None]
    weights, ratios = [], []
    for part, directions in line_directions(law):
        logs = (sizes * directions).reshape(-1, len(tilts.MASS))
        top = logs.max(axis=1, keepdims=True)
        logs = logs - top - np.log(np.exp(logs - top) @ tilts.MASS)[:, None]
        ratios.append(logs)
        weights.append(np.full(len(logs), math.log(part / len(logs))))
    return np.concatenate(weights), np.concatenate(ratios)


def _middles(law: GaussianMixture) -> Vector:
    """Where the middles of the cells lie, from a table: alternatives need no more."""
    sd = np.sqrt(law.basis.eigenvalues()[:, 0])
    reach = law.means[:, 0] + _REACH * sd, law.means[:, 0] - _REACH * sd
    x = np.linspace(float(reach[1].min()), float(reach[0].max()), _TABLE)
    below = special.ndtr((x[:, None] - law.means[:, 0]) / sd) @ law.weights
    return np.interp(np.cumsum(tilts.MASS) - tilts.MASS / 2, below, x)


def _slopes(law: GaussianMixture, x: Vector, b: float = 0.0) -> tuple[Vector, Vector]:
    """Score and its derivative at ``(n,)`` points of the law diffused to ``b``."""
    v = law.basis.eigenvalues()[:, 0] * math.exp(-b) - math.expm1(-b)
    each = (math.exp(-b / 2) * law.means[:, 0] - x[:, None]) / v
    logs = np.log(law.weights) - np.log(v) / 2 - v * each**2 / 2
    r = np.exp(logs - logs.max(axis=1, keepdims=True))
    r /= r.sum(axis=1, keepdims=True)
    score = (r * each).sum(axis=1)
    return score, (r * ((each - score[:, None]) ** 2 - 1 / v)).sum(axis=1)


def _reversed(law: GaussianMixture, x: Vector) -> tuple[Vector, Vector]:
    """Errors of a reverse process at single levels of noise, and over a whole run.

    The process is the variance-preserving one, ``X_t = a x_0 + sqrt(1 - a^2) z`` with ``a = exp(-b/2)``; which clock
    ``b(t)`` it has matters for whole runs only, where it is the linear one.
    """
    low = float(law.basis.eigenvalues().min()) / 16
    b = np.geomspace(math.log1p(low), _END, _LEVELS)
    found = np.array([_carried(law, x, float(level)) for level in b])
    t = (np.sqrt(_BETA[0] ** 2 + 2 * (_BETA[1] - _BETA[0]) * b) - _BETA[0]) / (_BETA[1] - _BETA[0])
    rate = _BETA[0] + (_BETA[1] - _BETA[0]) * t
    # integrals over b by the trapezoid rule in log b: a score that is too large, and one that is late by a step of a
    # run whose steps are equal, or grow in proportion to t^1/2
    part = b * np.where((b == b[0]) | (b == b[-1]), 0.5, 1.0)
    whole = [
        part @ found[:, 0],
        (part * rate) @ found[:, 1],
        (part * rate * np.sqrt(t)) @ found[:, 1],
    ]
    return found.reshape(-1, len(x)), np.array(whole)


def _carried(law: GaussianMixture, x: Vector, b: float) -> list[Vector]:
    """``E[rho(X_b) | X_0 = x]`` for a score that is too large at this level, and for one of another level."""
    y = math.exp(-b / 2) * x[:, None] + math.sqrt(-math.expm1(-b)) * _NODES
    mass = _WEIGHTS / _WEIGHTS.sum()

    def slopes(level: float) -> tuple[Vector, Vector]:
        return _slopes(law, y.ravel(), level)

    (score, bend), above, below = slopes(b), slopes(b * _STEP), slopes(b / _STEP)
    change = math.log(_STEP) * 2 * b
    drift, spread = (above[0] - below[0]) / change, (above[1] - below[1]) / change
    sources = (score**2 + bend, drift * score + spread)
    return [rho.reshape(y.shape) @ mass for rho in sources]


def _standard(f: Vector) -> Vector:
    """Rows with mean zero and variance one over the cells."""
    f = f - (f @ tilts.MASS)[:, None]
    return f / np.sqrt(np.maximum(f**2 @ tilts.MASS, 1e-300))[:, None]


def _combined(directions: Vector) -> Vector:
    """Fixed pseudo-random combinations of the principal directions, each in proportion to its part of the variance."""
    inner = (directions * tilts.MASS) @ directions.T
    values, vectors = np.linalg.eigh(inner)
    leading = slice(-1, -1 - min(_LEADING, len(values)), -1)
    axes = vectors[:, leading].T @ directions / np.sqrt(values[leading])[:, None]
    raw = substream(0, "drifts").standard_normal((_MIXED, len(axes)))
    return _standard((raw * values[leading]) @ axes)
