"""Gaussian targets, Gaussian outputs: wrong mean, wrong covariance, in known and unknown directions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scoreproof.theory import Gaussian

from .entry import Entry, gaussian_entry
from .limits import blind_scale_size, blind_shift_size
from .targets import gaussian, spectrum, unit, whitened


def _mean_axis() -> Entry:
    p = gaussian(10)
    step = np.zeros(10)
    step[3] = 0.03 * np.sqrt(p.covariance[3, 3])
    law = Gaussian(p.mean + step, p.covariance)
    words = "pixel 3 shifted by .03 of its sd"
    return gaussian_entry("mean_axis10", words, p, law, listed=10)


def _mean(dim: int, delta: float) -> Callable[[], Entry]:
    def build() -> Entry:
        return gaussian_entry(
            f"mean_dense{dim}",
            f"mean shifted by {delta:g} in a random whitened direction",
            gaussian(dim),
            whitened(dim, delta * unit(dim, 5), None),
            blind=blind_shift_size(delta, dim),
        )

    return build


def _mean_shrunk() -> Entry:
    p = gaussian(64)
    law = Gaussian(0.995 * p.mean, p.covariance)
    return gaussian_entry("mean_shrunk64", "mean half a per cent too small", p, law)


def _mean_line() -> Entry:
    p = Gaussian([1.3], [[0.16]])
    return gaussian_entry("mean_line", "mean off by .02 sd", p, Gaussian([1.308], [[0.16]]))


def _one_scale(name: str, dim: int, j: int, eps: float, words: str) -> Callable[[], Entry]:
    def build() -> Entry:
        c = np.ones(dim)
        c[j] += eps
        listed = dim if 0 < j < dim - 1 else 0
        return gaussian_entry(
            name, words, gaussian(dim), whitened(dim, None, np.diag(c)), listed=listed
        )

    return build


def _random_scale(dim: int, eps: float) -> Callable[[], Entry]:
    def build() -> Entry:
        v = unit(dim, 8)
        sign = "p" if eps > 0 else "m"
        return gaussian_entry(
            f"cov_random{dim}_{sign}{abs(round(100 * eps))}",
            f"variance {100 * eps:+g} % in a random whitened direction",
            gaussian(dim),
            whitened(dim, None, np.eye(dim) + eps * np.outer(v, v)),
            blind=blind_scale_size(eps, dim),
        )

    return build


def _all_scales(dim: int, eps: float) -> Callable[[], Entry]:
    def build() -> Entry:
        return gaussian_entry(
            f"temperature{dim}",
            f"all variances {100 * eps:+g} %",
            gaussian(dim),
            whitened(dim, None, (1 + eps) * np.eye(dim)),
        )

    return build


def _pair(name: str, dim: int, rho: float, *, raw: bool) -> Callable[[], Entry]:
    def build() -> Entry:
        p = gaussian(dim)
        where = "pixels 2 and 7" if raw else "whitened coordinates 2 and 7"
        if raw:
            c = p.covariance.copy()
            c[2, 7] = c[7, 2] = c[2, 7] + rho * np.sqrt(c[2, 2] * c[7, 7])
            law = Gaussian(p.mean, c)
        else:
            c = np.eye(dim)
            c[2, 7] = c[7, 2] = rho
            law = whitened(dim, None, c)
        words = f"correlation of {where} changed by {rho:g}"
        return gaussian_entry(name, words, p, law, listed=dim * (dim - 1) // 2)

    return build


def _transposed() -> Entry:
    p = Gaussian([0.5, -1.0, 0.2], [[1.0, 0.6, 0.2], [0.6, 0.8, -0.1], [0.2, -0.1, 0.5]])
    root = np.linalg.cholesky(p.covariance)
    return gaussian_entry(
        "transposed3", "L' z in place of L z", p, Gaussian(p.mean, root.T @ root)
    )


def _additive(name: str, dim: int, variance: float) -> Callable[[], Entry]:
    def build() -> Entry:
        p = gaussian(dim)
        law = Gaussian(p.mean, p.covariance + variance * np.eye(dim))
        return gaussian_entry(name, f"noise of variance {variance:g} left at the end", p, law)

    return build


def _langevin(name: str, dim: int, share: float) -> Callable[[], Entry]:
    def build() -> Entry:
        axes, values = spectrum(dim)
        h = share * values[0]
        # x - h (x - mu)/v + sqrt(2 h) z has the stationary variance v / (1 - h / (2 v))
        inflated = values / (1 - h / (2 * values))
        law = Gaussian(gaussian(dim).mean, (axes * inflated) @ axes.T)
        words = f"unadjusted Langevin with a step of {share:g} of the smallest variance"
        return gaussian_entry(name, words, gaussian(dim), law)

    return build


BUILDERS: tuple[Callable[[], Entry], ...] = (
    _mean_line,
    _mean_axis,
    _mean(10, 0.04),
    _mean(64, 0.05),
    _mean_shrunk,
    _one_scale("cov_smallest10", 10, 0, 0.04, "variance +4 % along the smallest eigenvector"),
    _one_scale("cov_largest10", 10, 9, -0.05, "variance -5 % along the largest eigenvector"),
    _one_scale("cov_middle64", 64, 30, 0.08, "variance +8 % along eigenvector 30"),
    _random_scale(10, 0.08),
    _random_scale(64, 0.10),
    _random_scale(64, -0.12),
    _all_scales(10, 0.01),
    _all_scales(64, 0.004),
    _pair("pair_whitened10", 10, 0.05, raw=False),
    _pair("pair_pixels10", 10, 0.02, raw=True),
    _pair("pair_pixels64", 64, 0.02, raw=True),
    _transposed,
    _additive("noise_left10", 10, 1.5e-3),
    _additive("noise_left64", 64, 1e-3),
    _langevin("ula_20", 10, 0.20),
    _langevin("ula_05_64", 64, 0.05),
)
