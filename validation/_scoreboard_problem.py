"""The data of the scoreboard: one skewed Gaussian whose exact network costs a few products of small matrices."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ..theory.diffusions import VP
from ..theory.mixtures import Gaussian
from ..theory.protocols import Array, Vector
from .problems import Problem

DEVIATIONS = (0.1, 0.5, 1.0, 2.0)
_MEAN = (0.5, -1.0, 0.8, 0.3)


@cache
def space() -> Problem:
    """Four dimensions, standard deviations .1 to 2 in random axes, off centre."""
    axes = np.linalg.qr(np.random.default_rng(3).standard_normal((4, 4)))[0]
    covariance = axes @ np.diag(np.square(DEVIATIONS)) @ axes.T
    law = Gaussian(np.array(_MEAN), (covariance + covariance.T) / 2)
    return Problem("space", law, VP(), t_min=1e-3)


class Closed(Problem):
    """A Gaussian problem on tensors, in closed form; it notes the noise levels that it is asked at.

    ``E[x_0 | x_t] = m + K (x_t - a m)`` with ``K = a Sigma / (a^2 Sigma + s^2)``. A test holds it to
    :class:`Problem`.
    """

    levels: list[float]
    _kernels: dict[float, tuple[float, float, Any, Any]]
    _rows: Any

    @classmethod
    def of(cls, problem: Problem, rows: Any = None) -> Closed:
        """The problem in this form.

        Args:
            problem: with a Gaussian law.
            rows: starting points to hand out instead of draws, or None.
        """
        made: Any = problem.fresh()
        made.__class__ = cls
        made.levels, made._kernels, made._rows = [], {}, rows
        return made

    def fresh(self) -> Closed:
        """As in :class:`Problem`; kernels are shared, since they do not change."""
        made: Any = super().fresh()
        made.levels = []
        return made

    def prior(self, n: int, *, rng: Any) -> Array:
        """As in :class:`Problem`, or the given points."""
        if self._rows is None:
            return super().prior(n, rng=rng)
        return self._rows * 1.0  # samplers may write into it

    def denoiser(self, x: Array, t: Array) -> Array:
        """As in :class:`Problem`."""
        a, _, gain, mean = self._at(t, x)
        return mean + (x - a * mean) @ gain

    def score(self, x: Array, t: Array) -> Array:
        """As in :class:`Problem`."""
        a, s, gain, mean = self._at(t, x)
        return (a * (mean + (x - a * mean) @ gain) - x) / s**2

    def noise(self, x: Array, t: Array) -> Array:
        """As in :class:`Problem`."""
        a, s, gain, mean = self._at(t, x)
        return (x - a * (mean + (x - a * mean) @ gain)) / s

    def flow_map(self, x: Array, t: float, s: float) -> Array:
        """As in :class:`Problem`: deviations by eigen-direction scale with those of the marginals."""
        import torch

        values, vectors, mean = self._spectrum()
        a, b = (self.sde.kernel(v) for v in (t, s))
        before, after = (float(k.scale) ** 2 * values + float(k.variance) for k in (a, b))
        push = torch.as_tensor((vectors * np.sqrt(after / before)) @ vectors.T)
        m = torch.tensor(mean)
        return float(b.scale) * m + (x - float(a.scale) * m) @ push

    def _at(self, t: Any, x: Any) -> tuple[float, float, Any, Any]:
        time = float(t if np.ndim(t) == 0 else t[0])
        self.evaluations += 1
        if time not in self._kernels:
            import torch

            values, vectors, mean = self._spectrum()
            kernel = self.sde.kernel(time)
            a, s = float(kernel.scale), float(kernel.std)
            gain = (vectors * (a * values / (a * a * values + s * s))) @ vectors.T
            self._kernels[time] = a, s, torch.tensor(gain), torch.tensor(mean)
        a, s, gain, mean = self._kernels[time]
        self.levels.append(s / a)
        return a, s, gain.to(x.dtype), mean.to(x.dtype)

    def _spectrum(self) -> tuple[Vector, Vector, Vector]:
        law: Any = self.law
        values, vectors = np.linalg.eigh(law.covariances[0])
        return values, vectors, np.asarray(law.means[0])
