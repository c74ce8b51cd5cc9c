"""Where to draw: the law itself, and a wider one for the pilot of a regression.

Fitted on typical draws alone, a regression extrapolates into tails and gaps between modes, and a few
wild residuals there cost more than all its features gain. The pilot is therefore drawn from
``m = (1 - f) p + f q`` with a wider ``q`` and weighted by ``p/m``, which is bounded by ``1/(1 - f)``.
Nothing of this enters an error statement: any coefficients are valid.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..theory.mixtures import GaussianMixture
from ..theory.protocols import Vector
from .features import mixture_of
from .rng import draw

Rows = tuple[Vector, ...]


@dataclass(frozen=True)
class Sampling:
    """Independent rows of one or several arrays.

    Attributes:
        draw: ``(n, rng) -> arrays`` of n rows, from p.
        wide: the same from a wider q; None where there is none.
        log_ratio: ``(*arrays) -> log q - log p``, ``(n,)``.
        arrays: number of arrays in a row.
    """

    draw: Callable[[int, np.random.Generator], Rows]
    wide: Callable[[int, np.random.Generator], Rows] | None = None
    log_ratio: Callable[..., Vector] | None = None
    arrays: int = 1

    def pilot(self, n: int, rng: np.random.Generator, share: float = 0.3) -> tuple[Rows, Vector]:
        """``n`` rows from ``(1 - share) p + share q`` and their weights ``p/m``, mean about one."""
        if self.wide is None or self.log_ratio is None:
            return self.draw(n, rng), np.ones(n)
        far = int(share * n)
        near, away = self.draw(n - far, rng), self.wide(far, rng)
        rows = tuple(np.concatenate(pair) for pair in zip(near, away, strict=True))
        log_m = np.logaddexp(math.log1p(-share), math.log(share) + self.log_ratio(*rows))
        return rows, np.exp(-log_m)

    def __mul__(self, other: Sampling) -> Sampling:
        """Rows of two independent samplings side by side."""
        one, two = self, other

        def both(f: Callable[..., Rows] | None, g: Callable[..., Rows] | None) -> Any:
            if f is None or g is None:
                return None
            return lambda n, rng: (*f(n, rng), *g(n, rng))

        def log_ratio(*rows: Vector) -> Vector:
            assert one.log_ratio is not None and two.log_ratio is not None
            return one.log_ratio(*rows[: one.arrays]) + two.log_ratio(*rows[one.arrays :])

        wide = both(one.wide, two.wide)
        return Sampling(
            both(one.draw, two.draw),
            wide,
            None if wide is None else log_ratio,
            one.arrays + two.arrays,
        )


def law_sampling(law: Any) -> Sampling:
    """Rows ``(x,)`` of a law; the wider one stretches it, and bridges the gaps in low dimension."""
    mixture = mixture_of(law)
    if mixture is not None:
        q = _wider(mixture)
        return Sampling(
            lambda n, rng: (draw(law, n, rng=rng),),
            lambda n, rng: (draw(q, n, rng=rng),),
            lambda x: q.log_prob(x) - mixture.log_prob(x),
        )
    return Sampling(lambda n, rng: (draw(law, n, rng=rng),))


def normal_sampling(dim: int) -> Sampling:
    """Rows ``(eps,)`` of ``N(0, I)``; the wider one is ``N(0, s^2 I)``."""
    s = _stretch(dim)
    return Sampling(
        lambda n, rng: (rng.standard_normal((n, dim)),),
        lambda n, rng: (s * rng.standard_normal((n, dim)),),
        lambda eps: 0.5 * (1 - s**-2) * np.sum(eps * eps, axis=1) - dim * math.log(s),
    )


def _stretch(dim: int) -> float:
    # The radius of N(0, I) has mean sqrt(d) and deviation .7: a factor 1 + .8/sqrt(d) is one or two of them.
    return 1 + 0.8 / math.sqrt(dim)


def _wider(law: GaussianMixture) -> GaussianMixture:
    square = _stretch(law.dim) ** 2
    b = law.basis
    noise = None if b.noise is None else square * b.noise
    wide = replace(b, values=square * b.values, noise=noise, _cache={})
    if law.dim > 3:
        return GaussianMixture.from_basis(law.weights, law.means, wide)
    # Half stretched components with their weights evened out, half one Gaussian over all of them.
    even = 0.5 * (law.weights + 1 / law.components)
    return GaussianMixture(
        np.append(0.5 * even, 0.5),
        np.vstack([law.means, law.mean]),
        np.concatenate([wide.matrix(), square * law.covariance[None]]),
    )
