"""The error budget of a sampler on Gaussian data: a chain of laws, and what every link of it costs.

From the data to what a sampler returns the law changes link by link:

    data -> stopped at t_min -> exact reversal of the start -> discretised -> erring score -> rounded.

W2 of the whole is at most the sum of W2 over the links, and can be less: errors may cancel. Signed differences of
mean and covariance do add up, along every eigen-direction of the data.

What a score error costs depends on when it is made. Where the score is multiplied by ``1 + eps`` for noise levels in
a band, the law moves by ``eps`` times a tangent ``(m', C')``, of size

    lim W2(law, law_eps) / eps = sqrt(|m'|^2 + 1/2 sum_ij H_ij^2 / (c_i + c_j)),    H = V' C' V,

with ``C = V diag(c) V'`` (the Bures metric; Takatsu 2011). In continuous time it is known in closed form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..theory._checks import bad
from ..theory.mixtures import Gaussian
from ..theory.protocols import Vector
from .distances import GaussianGap
from .gaussian_law import Affine, EigenLaw, GaussianReverse

_FLOOR = 1e-14  #: of the trace, so that a law on a subspace can be a reference
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


@dataclass(frozen=True)
class Stage:
    """One law of the chain.

    Attributes:
        name: what happened since the stage before; the first one is the data.
        mean: ``(d,)``.
        covariance: ``(d, d)``.
        coupled: root mean square distance of paired draws from the stage before, where the law is known from draws:
            an upper bound of W2. Zero where the law is exact.
    """

    name: str
    mean: Vector
    covariance: Vector
    coupled: float = 0.0

    @classmethod
    def of(cls, name: str, law: EigenLaw) -> Stage:
        """From a law in its eigenbasis."""
        mean, covariance = law.gaussian()
        return cls(name, mean, (covariance + covariance.T) / 2)


@dataclass(frozen=True)
class Link:
    """What one stage adds to the one before, in the eigenbasis of the data.

    Attributes:
        name: that of the stage.
        w2: W2 of the two laws.
        high: upper end for W2; equal to it but for rounding where both laws are exact.
        mean: signed differences of the mean, ``(d,)``.
        spread: signed differences of the covariance, ``(d, d)``.
    """

    name: str
    w2: float
    high: float
    mean: Vector
    spread: Vector


@dataclass(frozen=True)
class Chain:
    """Stages from the data to the output.

    Attributes:
        variances: eigenvalues of the covariance of the data, ``(d,)``.
        vectors: its eigenvectors, ``(d, d)``.
        stages: at least two, the data first.
    """

    variances: Vector
    vectors: Vector
    stages: tuple[Stage, ...]

    @classmethod
    def of(cls, stages: Sequence[Stage]) -> Chain:
        """From stages, the data first.

        Raises:
            ValueError: fewer than two stages, or shapes that do not match.
        """
        if len(stages) < 2:
            raise bad("stages", len(stages), "two or more", "put the data first")
        d = len(stages[0].mean)
        for stage in stages:
            if stage.mean.shape != (d,) or stage.covariance.shape != (d, d):
                got = f"shapes {stage.mean.shape} and {stage.covariance.shape} at {stage.name!r}"
                raise bad("stages", got, f"({d},) and ({d}, {d})", "match the data")
        values, vectors = np.linalg.eigh(stages[0].covariance)
        return cls(values, vectors, tuple(stages))

    @property
    def links(self) -> tuple[Link, ...]:
        """One for each stage after the data."""
        return tuple(self._link(a, b) for a, b in pairwise(self.stages))

    @property
    def whole(self) -> Link:
        """From the data to the output."""
        return self._link(self.stages[0], self.stages[-1])

    @property
    def size(self) -> float:
        """``sqrt(tr Cov)`` of the data."""
        return float(np.sqrt(self.variances.sum()))

    def _link(self, a: Stage, b: Stage) -> Link:
        turned = self.vectors.T @ (b.covariance - a.covariance) @ self.vectors
        w2 = w2_between(a, b)
        return Link(
            b.name,
            w2,
            max(w2, b.coupled),
            self.vectors.T @ (b.mean - a.mean),
            (turned + turned.T) / 2,
        )


def w2_between(a: Stage, b: Stage) -> float:
    """W2 of the Gaussians with the moments of two stages."""
    values = np.linalg.eigvalsh(a.covariance)
    thin = values[0] <= _FLOOR * values[-1]
    floor = _FLOOR * max(float(values.sum()), 1e-300) if thin else 0.0
    reference = Gaussian(a.mean, a.covariance + floor * np.eye(len(a.mean)))
    return GaussianGap.between(b.mean, b.covariance, reference).w2()


def exact_reverse(reverse: GaussianReverse, t: float, s: float, *, eta: float = 1.0) -> Affine:
    """What the reverse family does from t to s, without any discretisation.

    ``gain = (l_s / l_t)^((1 + eta^2)/2) a^(eta^2)`` with ``l`` the variances of the marginals and ``a`` the scale of
    the kernel from s to t, since ``int g^2/l = log(l_t/l_s) - 2 log a``; the marginals are kept.

    Args:
        reverse: Gaussian data under a diffusion.
        t: start.
        s: end, earlier.
        eta: 0 the probability flow, 1 the reverse SDE.
    """
    now, then = reverse.marginal(t), reverse.marginal(s)
    half = (1 + eta**2) / 2
    scale = float(reverse.sde.kernel(t, s).scale)
    gain = (then.variance / now.variance) ** half * scale ** (eta**2)
    noise = np.maximum(then.variance - gain**2 * now.variance, 0.0)
    return Affine(gain, then.mean - gain * now.mean, noise if eta > 0 else 0 * noise)


@dataclass(frozen=True)
class Sensitivity:
    """How the output law moves with the score, band by band.

    Attributes:
        levels: edges of the bands, noise levels ``sd/alpha``, decreasing, ``(B + 1,)``.
        mean: derivatives of the mean after ``eps``, ``(B, d)``.
        spread: derivatives of the covariance, ``(B, d, d)``.
        cost: ``lim W2(law, law_eps) / eps`` of each band, ``(B,)``.
    """

    levels: Vector
    mean: Vector
    spread: Vector
    cost: Vector

    @classmethod
    def of(cls, levels: Vector, mean: Vector, spread: Vector, covariance: Vector) -> Sensitivity:
        """From derivatives, and the covariance of the law that moves."""
        pairs = zip(mean, spread, strict=True)
        cost = np.array([tangent_w2(m, c, covariance) for m, c in pairs])
        return cls(levels, mean, spread, cost)

    @property
    def middles(self) -> Vector:
        """Geometric middles of the bands, ``(B,)``."""
        return np.sqrt(self.levels[1:] * self.levels[:-1])


def tangent_w2(mean: Vector, spread: Vector, covariance: Vector) -> float:
    """``lim W2(N(m, C), N(m + eps mean, C + eps spread)) / eps``.

    Args:
        mean: ``(d,)``.
        spread: symmetric, ``(d, d)``.
        covariance: C, ``(d, d)``, with full rank.
    """
    values, vectors = np.linalg.eigh(covariance)
    turned = vectors.T @ spread @ vectors
    sums = np.maximum(values[:, None] + values, 1e-300)
    return float(np.sqrt((mean**2).sum() + 0.5 * (turned**2 / sums).sum()))


def band_edges(reverse: GaussianReverse, t_max: float, t_min: float, bands: int) -> Vector:
    """Edges of bands of equal width in ``log(sd/alpha)``, as times, decreasing, ``(bands + 1,)``.

    Raises:
        ValueError: ``bands`` is not a positive integer.
    """
    if isinstance(bands, bool) or int(bands) != bands or bands < 1:
        raise bad("bands", bands, "a positive integer", "pass e.g. 8")
    sde = reverse.sde
    ends = np.log([float(sde.noise_level(t)) for t in (t_max, t_min)])
    inner = [
        float(sde.time_of_noise_level(k))
        for k in np.exp(np.linspace(ends[0], ends[1], bands + 1)[1:-1])
    ]
    return np.array([t_max, *inner, t_min])


def exact_sensitivity(reverse: GaussianReverse, edges: Vector, *, eta: float = 1.0) -> Sensitivity:
    """The sensitivity of the reverse family in continuous time, started at the exact marginal.

    Deviations y of the mean obey ``dy/dt = (f + (1 + eta^2)/2 g^2 (1 + eps) / l) y`` and start at zero: the mean
    does not move. The variance moves by ``-(1 + eta^2) int g^2 gain(t, s)^2 dt`` over the band, and
    ``g^2 dt = 2 sd^2 d log(sd/alpha)``; Gauss-Legendre quadrature of 24 nodes a band.

    Args:
        reverse: Gaussian data under a diffusion.
        edges: times, decreasing; the last is the end of sampling.
        eta: 0 the probability flow, 1 the reverse SDE.
    """
    sde, end = reverse.sde, float(edges[-1])
    levels = np.array([float(sde.noise_level(t)) for t in edges])
    moved = []
    for high, low in pairwise(levels):
        logs = np.log(low) + np.log(high / low) * (_NODES + 1) / 2
        total = np.zeros_like(reverse.target.mean)
        for log, weight in zip(logs, _WEIGHTS * np.log(high / low) / 2, strict=True):
            t = float(sde.time_of_noise_level(float(np.exp(log))))
            gain = exact_reverse(reverse, t, end, eta=eta).gain
            total = total - weight * (1 + eta**2) * 2 * float(sde.kernel(t).variance) * gain**2
        moved.append(total)
    vectors = reverse.target.vectors
    spread = np.stack([(vectors * v) @ vectors.T for v in moved])
    covariance = reverse.marginal(end).gaussian()[1]
    return Sensitivity.of(levels, np.zeros((len(moved), len(vectors))), spread, covariance)
