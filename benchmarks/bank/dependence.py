"""Right law of every single draw, but the draws hang together, repeat, or lie on a lattice; and laws of atoms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special
from scoreproof.numerics import draw as exact_draws
from scoreproof.theory import PointMasses

from .entry import Entry, draws_of
from .limits import Moments, autoregressive_moments, blind_weights_size, seen_size
from .targets import gaussian, line, plane, spectrum


def _pairs() -> Entry:
    def draw(n: int, *, rng: np.random.Generator) -> np.ndarray:
        return np.repeat(exact_draws(gaussian(10), (n + 1) // 2, rng=rng), 2, axis=0)[:n]

    return Entry("twice", gaussian(10), draw, "each draw comes twice", size=2)


def _period() -> Entry:
    def draw(n: int, *, rng: np.random.Generator) -> np.ndarray:
        block = exact_draws(gaussian(10), 250, rng=rng)
        return np.tile(block, (n // 250 + 1, 1))[:n]

    return Entry("period250", gaussian(10), draw, "draws repeat every 250", size=251)


def _fixed_seed() -> Entry:
    def draw(n: int, *, rng: np.random.Generator) -> np.ndarray:
        return exact_draws(plane(), n, rng=np.random.default_rng(7))

    return Entry("fixed_seed", plane(), draw, "every call starts from the same seed", size=501)


def _chain(dim: int, rho: float) -> Callable[[], Entry]:
    def build() -> Entry:
        axes, values = spectrum(dim)
        root, mean = axes * np.sqrt(values), gaussian(dim).mean

        def draw(n: int, *, rng: np.random.Generator) -> np.ndarray:
            from scipy.signal import lfilter

            noise = np.sqrt(1 - rho**2) * rng.standard_normal((n, dim))
            noise[0] /= np.sqrt(1 - rho**2)
            return mean + np.asarray(lfilter([1.0], [1.0, -rho], noise, axis=0)) @ root.T

        found = autoregressive_moments(rho, dim)
        words = f"a chain with lag-1 correlation {rho:g}"
        return Entry(f"chain{dim}", gaussian(dim), draw, words, None, found, found.size)

    return build


def _antithetic() -> Entry:
    axes, values = spectrum(10)
    root, mean = axes * np.sqrt(values), gaussian(10).mean

    def draw(n: int, *, rng: np.random.Generator) -> np.ndarray:
        half = rng.standard_normal(((n + 1) // 2, 10))
        z = np.stack([half, -half], axis=1).reshape(-1, 10)[:n]
        return mean + z @ root.T

    return Entry(
        "antithetic", gaussian(10), draw, "every second draw mirrors the one before", size=2
    )


def _shared_offset() -> Entry:
    """Blocks of 50 draws share an offset of variance s^2: equicorrelated, so the size is that of whole blocks."""
    dim, block, s2 = 10, 50, 0.02
    axes, values = spectrum(dim)
    root, mean = axes * np.sqrt(values), gaussian(dim).mean

    def draw(n: int, *, rng: np.random.Generator) -> np.ndarray:
        z = np.sqrt(1 - s2) * rng.standard_normal((n, dim))
        offsets = np.sqrt(s2) * rng.standard_normal((n // block + 1, dim))
        return mean + (z + np.repeat(offsets, block, axis=0)[:n]) @ root.T

    # within a block one eigenvalue is 1 + (b - 1) s^2, the others are 1 - s^2
    sizes = np.r_[1 + (block - 1) * s2, np.full(block - 1, 1 - s2)]
    a = (1 - 1 / sizes) / 2
    constant = -0.5 * np.log(sizes).sum()
    under = [
        (constant + (a * v).sum(), np.sqrt(2 * ((a * v) ** 2).sum()))
        for v in (np.ones(block), sizes)
    ]
    (m0, s0), (m1, s1) = under
    found = Moments(dim * m0, np.sqrt(dim) * s0, dim * m1, np.sqrt(dim) * s1)
    words = "50 draws in a row share part of their noise"
    return Entry("shared_offset", gaussian(10), draw, words, None, None, found.size * block)


def _clipped() -> Entry:
    p = line()

    def draw(n: int, *, rng: np.random.Generator) -> np.ndarray:
        return exact_draws(p, n, rng=rng).clip(-2.0, 3.6)

    ends = np.asarray(p.cdf(np.array([[-2.0], [3.6]])))
    mass = float(ends[0] + 1 - ends[1])
    return Entry("clipped", p, draw, "clipped to [-2, 3.6]", size=seen_size(mass))


def _clipped_images() -> Entry:
    p = gaussian(64)
    edge = float((p.mean + 3.2 * np.sqrt(np.diag(p.covariance))).max())

    def draw(n: int, *, rng: np.random.Generator) -> np.ndarray:
        return exact_draws(p, n, rng=rng).clip(-edge, edge)

    sd = np.sqrt(np.diag(p.covariance))
    log_inside = np.log(special.ndtr((edge - p.mean) / sd) - special.ndtr((-edge - p.mean) / sd))
    # pixels taken as independent: correlation makes the mass smaller, and the size larger
    mass = float(-np.expm1(log_inside.sum()))
    return Entry("clipped64", p, draw, "pixels clipped at a common bound", size=seen_size(mass))


def _half_precision() -> Entry:
    p = line()

    def draw(n: int, *, rng: np.random.Generator) -> np.ndarray:
        return exact_draws(p, n, rng=rng).astype(np.float16).astype(np.float64)

    return Entry("rounded16", p, draw, "rounded to float16 on the way", size=1)


def _atoms(
    name: str, words: str, change: Callable[[np.ndarray], np.ndarray]
) -> Callable[[], Entry]:
    def build() -> Entry:
        rng = np.random.default_rng(2)
        weights = rng.dirichlet(np.full(60, 3.0))
        p = PointMasses(rng.random((60, 5)), weights)
        wrong = change(weights.copy())
        q = PointMasses(p.points, wrong / wrong.sum())
        w, v = p.weights, q.weights
        keep = v > 1e-200
        logs = np.log(v[keep] / w[keep])
        if not keep.all():
            size = int(np.ceil(np.log(1e-3) / np.log(w[keep].sum())))
            return Entry(name, p, draws_of(q), words, q, None, size)
        means = float(w @ logs), float(v @ logs)
        sds = np.sqrt(w @ logs**2 - means[0] ** 2), np.sqrt(v @ logs**2 - means[1] ** 2)
        found = Moments(means[0], float(sds[0]), means[1], float(sds[1]))
        return Entry(name, p, draws_of(q), words, q, found, found.size, blind_weights_size(w, v))

    return build


def _truncate(w: np.ndarray) -> np.ndarray:
    w[:12] = 1e-300
    return w


def _tilt(w: np.ndarray) -> np.ndarray:
    w[::2] *= 1.15
    return w


BUILDERS: tuple[Callable[[], Entry], ...] = (
    _pairs,
    _period,
    _fixed_seed,
    _chain(10, 0.05),
    _chain(1, 0.1),
    _antithetic,
    _shared_offset,
    _clipped,
    _clipped_images,
    _half_precision,
    _atoms("atoms_forgotten", "12 of 60 points are never drawn", _truncate),
    _atoms("atoms_tilted", "every second weight 15 % too large", _tilt),
)
