"""Alternatives that follow from the law itself: exact likelihood ratios, in directions in which samplers go wrong."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from scoreproof.numerics import blocks, drifts, tilts
from scoreproof.numerics import drifts_gaussian as dg
from scoreproof.numerics import e_processes as ep
from scoreproof.theory import GaussianMixture

LINE = GaussianMixture([0.5, 0.3, 0.2], [[-1.2], [0.4], [2.1]], [0.09, 0.25, 0.5])
SPECTRUM = np.array([0.08, 0.4, 1.5, 3.0])
MEAN = np.array([1.0, -2.0, 0.5, 0.7])  # whitened


def test_line_has_mean_one_exactly() -> None:
    found = drifts.LineDrifts(LINE)
    one = np.eye(len(tilts.MASS))
    single = np.array([found.log_e(row) for row in one])
    # sums over cells: rounding of 1e-13
    assert tilts.MASS @ np.exp(single) == pytest.approx(1, abs=1e-11)
    # given a first draw, the second has mean one again: the e-process is a martingale
    for first in (0, 20, 75):
        both = np.array([found.log_e(row + 3 * one[first]) for row in one])
        before = found.log_e(3 * one[first])
        assert tilts.MASS @ np.exp(both - before) == pytest.approx(1, abs=1e-11)
    weights, ratios = drifts.line_tilts(LINE)
    assert np.exp(weights).sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(np.exp(ratios) @ tilts.MASS, 1, atol=1e-11)


def _stationary(h: float) -> np.ndarray:
    """Cell masses of the stationary law of unadjusted Langevin, by a power of its transition matrix."""
    x = np.linspace(-4.5, 6.0, 801)
    to = x + h * LINE.score(x[:, None])[:, 0]
    kernel = np.exp(-0.25 / h * (x[None] - to[:, None]) ** 2)
    kernel /= kernel.sum(axis=1, keepdims=True)
    f = np.exp(LINE.log_prob(x[:, None]))
    for _ in range(14):
        kernel = kernel @ kernel
    f = (f / f.sum()) @ kernel
    ends = np.asarray(LINE.quantile(tilts.EDGES)).ravel()
    below = np.interp(ends, x + (x[1] - x[0]) / 2, np.cumsum(f))
    return np.diff(np.r_[0, below, 1])


def _agreement(direction: np.ndarray, off: np.ndarray) -> float:
    """Squared correlation of two changes of the density."""
    off = off - off @ tilts.MASS
    return float((direction * tilts.MASS) @ off) ** 2 / float((off**2) @ tilts.MASS)


def test_langevin_and_score_directions_are_those_of_samplers() -> None:
    (_, langevin), _, (_, levels), (_, whole), _ = drifts.line_directions(LINE)
    off = _stationary(0.004) / tilts.MASS - 1
    # second order in h, and cells of the table: a per cent each
    assert _agreement(langevin[0], off) > 0.97
    # and no other direction says the same by accident
    assert max(_agreement(d, off) for d in (*levels, *whole)) < 0.93
    for groups in drifts.line_directions(LINE):
        np.testing.assert_allclose(groups[1] @ tilts.MASS, 0, atol=1e-10)
        np.testing.assert_allclose(groups[1] ** 2 @ tilts.MASS, 1, atol=1e-10)


def _reverse(factor: float, clock: float, steps: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance along eigen-directions of Euler steps with a score that is wrong."""
    mu = MEAN * np.sqrt(SPECTRUM)
    m, v = np.zeros(4), np.ones(4)
    times = np.linspace(1.0, 0.0, steps + 1) ** 2
    for t, s in itertools.pairwise(times):
        h, beta, b = t - s, 0.1 + 19.9 * t, clock * (0.1 * t + 9.95 * t**2)
        scale = math.exp(-b / 2)
        spread = scale**2 * SPECTRUM + 1 - math.exp(-b)
        a = 1 + h * beta * (0.5 - factor / spread)
        m = a * m + h * beta * factor * scale * mu / spread
        v = a**2 * v + beta * h
    return m, v


def test_gaussian_directions_are_those_of_reverse_processes() -> None:
    groups = dg.directions(SPECTRUM, MEAN)
    (_, u, f), _, _ = groups
    (m0, v0), mu = _reverse(1, 1), MEAN * np.sqrt(SPECTRUM)
    assert np.abs(m0 - mu).max() < 0.01
    for row, options in ((0, (1.002, 1.0)), (1, (1.0, 1.002))):
        m, v = _reverse(*options)
        shift, change = (m - m0) / np.sqrt(SPECTRUM), (v - v0) / SPECTRUM
        along = shift @ u[row] + change @ f[row] / 2
        # the part of the change along the direction; steps and the second order leave a thousandth
        assert along**2 / (shift @ shift + change @ change / 2) > 0.995
    for _, u, f in groups:
        np.testing.assert_allclose((u**2 + f**2 / 2).sum(axis=1), 1, atol=1e-10)


def test_gaussian_alternatives_are_ratios_of_normal_densities() -> None:
    z = np.random.default_rng(3).standard_normal((30, 4)) * 1.05 + 0.05
    logs, parts = [], []
    for weight, u, f in dg.directions(SPECTRUM, MEAN):
        for e in np.r_[dg.SIZES, -np.asarray(dg.SIZES)]:
            for a, b in zip(e * u, 1 + e * f, strict=True):
                ratio = stats.norm.logpdf(z, a, np.sqrt(b)) - stats.norm.logpdf(z)
                logs.append(ratio.sum())
                parts.append(weight / (2 * len(dg.SIZES) * len(u)))
    assert sum(parts) == pytest.approx(1, abs=1e-12)
    found = dg.GaussianDrifts(SPECTRUM, MEAN).log_e(z.sum(axis=0), (z**2).sum(axis=0), 30)
    # sums of 120 logarithms of densities: rounding of 1e-13
    assert found == pytest.approx(drifts.log_sum(np.array(logs) + np.log(parts)), abs=1e-10)


def test_blocks_are_ratios_of_normal_densities_in_one_batch_or_many() -> None:
    z = np.random.default_rng(0).standard_normal((137, 2)) * 1.1 + 0.1
    found = blocks.Blocks(2)
    for i, j in ((0, 3), (3, 60), (60, 61), (61, 137)):
        found.add(z[i:j])
        if j != 61:  # the last call comes in two parts
            found.close()
    calls = ([(0, 3), (3, 60), (60, 137)], [(0, 137)])
    logs = []
    for way in calls:
        for k, length in enumerate(blocks.LENGTHS):
            for r in found._share[:, k]:
                total = 0.0
                for low, high in way:
                    for start in range(low, high, length):
                        part = z[start : min(start + length, high)]
                        matrix = (1 - r) * np.eye(len(part)) + r
                        q = stats.multivariate_normal(np.zeros(len(part)), matrix)  # pyright: ignore
                        total += sum(q.logpdf(column) for column in part.T)
                        total -= stats.norm.logpdf(part).sum()
                logs.append(total)
    # sums of some hundred logarithms of densities
    assert found.log_e() == pytest.approx(ep.log_mean(logs), abs=1e-9)


def test_blocks_see_shared_noise_and_name_its_length() -> None:
    rng = np.random.default_rng(5)
    noise = np.repeat(rng.standard_normal((60, 3)), 20, axis=0)
    plain = rng.standard_normal((1200, 3))
    for share, least in ((0.0, -3.0), (0.1, 20.0)):
        found = blocks.Blocks(3)
        for part in np.split(math.sqrt(1 - share) * plain + math.sqrt(share) * noise, 3):
            found.add(part)
            found.close()
        assert found.log_e() > least
        if share:
            assert found.worst()[0] == 20
        else:
            assert found.log_e() < 3  # probability e^-3 at most
    centred = plain - plain.reshape(-1, 20, 3).mean(axis=1).repeat(20, axis=0)
    found = blocks.Blocks(3)
    found.add(centred)
    length, share = found.worst()
    assert length == 20
    assert share < 0
    assert found.log_e() > 20
