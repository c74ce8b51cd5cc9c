"""Correct samplers of all kinds of laws: nothing must be said against them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scoreproof.numerics import draw as exact_draws
from scoreproof.numerics.convolved import Convolved
from scoreproof.theory import VP, Gaussian, PointMasses, marginal
from scoreproof.theory.densities_1d import Laplace, StudentT, Uniform
from scoreproof.theory.densities_2d import Banana, DoubleWell, Funnel, Ring

from .entry import Entry, draws_of
from .targets import gaussian, line, modes, overlapping, plane, spectrum


def _exact(name: str, law: Callable[[], Any]) -> Callable[[], Entry]:
    def build() -> Entry:
        p = law()
        return Entry(f"exact_{name}", p, draws_of(p), law=p)

    return build


def _single() -> Entry:
    def draw(n: int, *, rng: np.random.Generator) -> np.ndarray:
        return exact_draws(line(), n, rng=rng).astype(np.float32)

    return Entry("exact_float32", line(), draw, law=line(), single=True)


def _other_root() -> Entry:
    """Another square root of the covariance gives the same law."""
    p = gaussian(10)
    axes, values = spectrum(10)
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((10, 10)))[0]
    root = axes * np.sqrt(values) @ turn

    def draw(n: int, *, rng: np.random.Generator) -> np.ndarray:
        return p.mean + rng.standard_normal((n, 10)) @ root.T

    return Entry("other_root", p, draw, law=p)


def _two_steps() -> Entry:
    """Langevin with exact transition: an AR(1) step away from an exact draw is an exact draw."""
    p = gaussian(10)
    axes, values = spectrum(10)
    root = axes * np.sqrt(values)

    def draw(n: int, *, rng: np.random.Generator) -> np.ndarray:
        z = rng.standard_normal((n, 10))
        for _ in range(3):
            z = 0.8 * z + 0.6 * rng.standard_normal((n, 10))
        return p.mean + z @ root.T

    return Entry("exact_steps", p, draw, law=p)


def _points() -> PointMasses:
    rng = np.random.default_rng(2)
    return PointMasses(rng.random((60, 5)), rng.dirichlet(np.full(60, 3.0)))


BUILDERS: tuple[Callable[[], Entry], ...] = (
    _exact("line", line),
    _exact("plane", plane),
    _exact("overlapping", overlapping),
    _exact("gaussian1", lambda: Gaussian([1.3], [[0.16]])),
    _exact("gaussian10", lambda: gaussian(10)),
    _exact("gaussian64", lambda: gaussian(64)),
    _exact("modes8", lambda: modes(8, 4)),
    _exact("modes64", lambda: modes(64, 5)),
    _exact("laplace", lambda: Laplace(0.7, 0.5)),
    _exact("student", lambda: StudentT(5.0, 0.5, 0.7)),
    _exact("uniform", lambda: Uniform(-0.5, 2.0)),
    _exact("banana", Banana),
    _exact("funnel", Funnel),
    _exact("well", DoubleWell),
    _exact("ring", Ring),
    _exact("atoms", _points),
    _exact("diffused_points", lambda: marginal(_points(), VP(), 0.2)),
    _exact("convolved", lambda: Convolved(Laplace(0.7, 0.5), 0.9, 0.1)),
    _single,
    _other_root,
    _two_steps,
)
