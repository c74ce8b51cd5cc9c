"""Exact laws of samplers that treat every coordinate alone, in thousands of dimensions, read off step by step.

Where the covariance of Gaussian data is diagonal, so are all scores, and a step of a sampler is
``x' = gain x + shift + sqrt(noise) z`` in every coordinate. Four rows measure it: zeros, a unit impulse in x, one in
z, and a random row on which the map must come true, so that coordinates which lean on each other are found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from ..theory.protocols import Array, Vector
from ..theory.sde import LinearSDE
from .exact_law import Refused
from .gaussian_law import Affine
from .solvers import Score, Solver

_CLOSE = 1e-9  #: relative departure of the random row


class _Given(np.random.Generator):
    """Gives the same array for the one draw of normals of a step."""

    def __init__(self, z: Vector) -> None:
        super().__init__(np.random.PCG64(0))
        self._z, self.drawn = z, 0

    def standard_normal(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        self.drawn += 1
        if self.drawn > 1 or tuple(np.atleast_1d(size)) != self._z.shape:
            raise Refused(f"a step that draws normals of shape {size}, or more than once")
        return self._z


def coordinate_step(step: Callable[[Vector, Any], Array], dim: int, *, seed: int = 0) -> Affine:
    """One step as an affine map of every coordinate.

    Args:
        step: ``(x (4, dim), rng) -> x'``.
        dim: number of coordinates.
        seed: entropy of the random row.

    Raises:
        Refused: the step is not affine, or coordinates lean on each other.
    """
    rng = np.random.default_rng(seed)
    x, z = rng.standard_normal((2, dim))
    rows, noise = np.zeros((4, dim)), np.zeros((4, dim))
    rows[1], noise[2] = 1.0, 1.0
    rows[3], noise[3] = x, z
    out = np.asarray(step(rows, _Given(noise)))
    shift, gain, spread = out[0], out[1] - out[0], out[2] - out[0]
    wanted = shift + gain * x + spread * z
    size = float(np.abs(out).max())
    off = float(np.abs(out[3] - wanted).max())
    if not off <= _CLOSE * size:
        raise Refused(
            f"no affine map of every coordinate alone: a random row is off by {off / size:.2g} of the size"
        )
    return Affine(gain, shift, spread**2)


def coordinate_map(
    solver: Solver, sde: LinearSDE, score: Score, times: Iterable[float], dim: int
) -> Affine:
    """A solver's run over decreasing times, as an affine map of every coordinate.

    Args:
        solver: steps one by one; multistep rules have no such steps.
        sde: the forward diffusion.
        score: of the diffused data, coordinate by coordinate.
        times: decreasing.
        dim: number of coordinates.

    Raises:
        Refused: see :func:`coordinate_step`.
    """
    whole = Affine(np.ones(dim), np.zeros(dim), np.zeros(dim))
    for t, s in pairwise(float(t) for t in times):

        def step(x: Vector, rng: Any, t: float = t, s: float = s) -> Array:
            return solver.step(x, t, s, score=score, sde=sde, rng=rng)

        whole = whole.then(coordinate_step(step, dim))
    return whole
