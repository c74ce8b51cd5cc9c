"""Right means and covariances, wrong shapes: tails, third-order dependence, curved laws of the plane."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special
from scoreproof.theory.densities_2d import Banana, DoubleWell, Funnel, Ring

from .entry import Entry, density_entry
from .limits import coin_moments, ratio_moments
from .targets import gaussian, spectrum


def _white(dim: int, change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Any:
    """Draws of the Gaussian target whose normals are changed on the way."""
    axes, values = spectrum(dim)
    root, mean = axes * np.sqrt(values), gaussian(dim).mean

    def draw(n: int, *, rng: np.random.Generator) -> np.ndarray:
        return mean + change(rng.standard_normal((n, dim)), rng) @ root.T

    return draw


def _outliers(dim: int, share: float, factor: float) -> Callable[[], Entry]:
    def build() -> Entry:
        def change(z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
            return z * np.where(rng.random(len(z)) < share, factor, 1.0)[:, None]

        # log(q/p) depends on |z|^2 alone
        rng = np.random.default_rng(3)
        square = rng.chisquare(dim, size=400_000)
        half = len(square) // 2
        square[half:] *= np.where(rng.random(half) < share, factor**2, 1.0)
        wide = -dim * math.log(factor) + square / 2 * (1 - 1 / factor**2)
        found = ratio_moments(np.log1p(share * np.expm1(wide)), np.ones(len(square)))
        words = f"{100 * share:g} % of the draws {factor:g} times too far"
        return Entry(
            f"outliers{dim}", gaussian(dim), _white(dim, change), words, None, found, found.size
        )

    return build


def _heavy() -> Entry:
    dim, df = 10, 25.0
    scale = math.sqrt((df - 2) / df)

    def change(z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return z * scale / np.sqrt(rng.chisquare(df, size=z.shape) / df)

    x = np.linspace(-40, 40, 200_001)
    log_q = special.gammaln((df + 1) / 2) - special.gammaln(df / 2) - 0.5 * math.log(df * math.pi)
    log_q = log_q - math.log(scale) - (df + 1) / 2 * np.log1p((x / scale) ** 2 / df)
    log_p = -(x**2) / 2 - 0.5 * math.log(2 * math.pi)
    one = ratio_moments(log_q - log_p, np.exp(log_p) + np.exp(log_q))
    root = math.sqrt(dim)
    found = type(one)(dim * one.mean_p, root * one.sd_p, dim * one.mean_q, root * one.sd_q)
    words = "Student noise with 25 degrees of freedom"
    return Entry(
        "student_noise10", gaussian(dim), _white(dim, change), words, None, found, found.size
    )


def _truncated() -> Entry:
    dim, edge = 64, 3.0
    mass = 2 * special.ndtr(-edge)

    def change(z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        u = mass / 2 + (1 - mass) * special.ndtr(z)
        return special.ndtri(u)

    # q has no mass where p has some: p excludes q only by what is absent
    heads = 1 - (1 - mass) ** dim
    size = math.ceil(math.log(1e-3) / math.log1p(-heads))
    words = "every normal truncated at 3"
    return Entry("truncated64", gaussian(dim), _white(dim, change), words, None, None, size)


def _xor(dim: int, excess: float) -> Callable[[], Entry]:
    def build() -> Entry:
        def change(z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
            wrong = z[:, 0] * z[:, 1] * z[:, 2] < 0
            z[:, 2] *= np.where(wrong & (rng.random(len(z)) < 2 * excess), -1, 1)
            return z

        found = coin_moments(0.5 + excess)
        words = "sign of a product of three coordinates biased; all pairs independent"
        return Entry(
            f"xor{dim}", gaussian(dim), _white(dim, change), words, None, found, found.size
        )

    return build


def _curved(name: str, words: str, p: Any, q: Any) -> Callable[[], Entry]:
    return lambda: density_entry(name, words, p, q)


BUILDERS: tuple[Callable[[], Entry], ...] = (
    _outliers(10, 0.01, 2.0),
    _outliers(64, 0.01, 1.3),
    _heavy,
    _truncated,
    _xor(10, 0.1),
    _xor(3, 0.06),
    _curved("ring_wide", "width 3 % too large", Ring(), Ring(1.5, 0.2575)),
    _curved("ring_large", "radius 1 % too large", Ring(), Ring(1.515, 0.25)),
    _curved("funnel_scale", "neck sd 1.03, not 1", Funnel(), Funnel(1.03)),
    _curved("banana_bend", "bend 3 % too strong", Banana(), Banana(bend=0.618)),
    _curved("well_tilt", "one well too deep by 10 %", DoubleWell(), DoubleWell(tilt=0.44)),
)
