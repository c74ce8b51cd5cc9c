"""Derivations of entries on scores and objectives against numbers found by another route."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import quad
from scipy.special import gammaincc
from scipy.stats import logistic, t
from scoreproof.theory.empirical import PointMasses
from scoreproof.theory.mixtures import GaussianMixture
from scoreproof.theory.symbolic import REAL, Domain, derive
from scoreproof.theory.symbolic.derivation import greater
from scoreproof.validation import CLAIMS

#: entries that no identity decides: exponentials against decimals, and passes that are counted
WITHOUT = {
    "S4.density", "S4.derivative", "S4.score", "S4.step",
    "S8.a", "S8.b", "S8.c", "S8.d", "S8.f", "S8.g", "O20",
}  # fmt: skip
SKEWED = GaussianMixture([0.3, 0.7], [[-1.5], [1.0]], [0.25, 0.5625])


def test_every_other_entry_has_a_derivation_and_so_has_its_correction():
    mine = [id for id in CLAIMS if id[0] in "SO" and CLAIMS[id].role == "printed"]
    assert {id for id in mine if id not in CLAIMS.derivations} == WITHOUT
    for id in set(mine) - WITHOUT:
        one = CLAIMS[id]
        while one is not None:
            assert any(name.startswith("proof") for name in one.checks), one.statement
            one = one.correction


def test_one_side_above_the_other_in_its_domain():
    x = sp.Symbol("x")
    domain = Domain({x: (2, sp.oo)})
    assert [a.status for a in greater("above", x**2, 2 * x).run(domain)] == ["PROVED"]
    assert [a.status for a in greater("below", 2 * x, x**2).run(domain)] == ["REFUTED"]
    assert [a.status for a in greater("both", x, 1).run(Domain({x: REAL}))] == ["REFUTED"]


def test_shared_steps_are_those_of_the_wrong_versions_too():
    first, again = (derive("ism").checked[0].tests[0] for _ in range(2))
    assert first is again
    assert derive("ism", wrong="wrong-sign").checked[0].status == "REFUTED"


def test_minimiser_of_the_implicit_loss_on_a_sample(rng):
    x = rng.gamma(2.0, size=50) - 1.3
    mean, var = x.mean(), x.var()

    def loss(a, b):  # |s|^2 + 2 tr grad s of the affine field, averaged over the sample
        return np.mean((a * (x - mean) + b) ** 2) + 2 * a

    best = loss(-1 / var, 0.0)
    assert best == pytest.approx(-1 / var, rel=1e-12)
    for da, db in ((0.1, 0.0), (-0.1, 0.0), (0.0, 0.1), (0.05, -0.1)):
        gain = da**2 * var + db**2  # a quadratic: what a step away from its minimum adds
        assert loss(-1 / var + da, db) - best == pytest.approx(gain, rel=1e-9)


def test_what_the_score_of_a_noised_law_leaves():
    """sigma^4/4 E|(p''/p)'|^2 to leading order, on a mixture."""

    def density(x):
        return float(np.exp(SKEWED.log_prob(np.array([[x]]))[0]))

    def score(law, x):
        return float(law.score(np.array([[x]]))[0, 0])

    def curved(x, h=1e-3):  # p''/p = s' + s^2
        values = []
        for y in (x - h, x + h):
            slope = float(SKEWED.divergence(np.array([[y]]))[0])
            values.append(slope + score(SKEWED, y) ** 2)
        return (values[1] - values[0]) / (2 * h)

    left = []
    grid = np.linspace(-6, 6, 801)
    weight = np.array([density(x) for x in grid]) * (grid[1] - grid[0])
    leading = weight @ np.array([curved(x) ** 2 for x in grid]) / 4
    for std in (0.02, 0.04):
        noised = SKEWED.diffuse(1.0, std**2)
        gap = noised.score(grid[:, None])[:, 0] - SKEWED.score(grid[:, None])[:, 0]
        left.append(weight @ gap**2 / std**4)
    # What is left over is of relative order sigma^2: Richardson takes it away. Of sigma^4 = 2.6e-6, times a ratio of
    # derivatives up to a few hundred, less than 1e-3 remains; the rule of a step of 0.015 is exact for smooth laws.
    assert (4 * left[0] - left[1]) / 3 == pytest.approx(leading, rel=1e-3)


@pytest.mark.parametrize("distance", [1.0, 4.0, 9.0])
@pytest.mark.parametrize("odds", [1.5, 9.0])
def test_loss_of_wrong_weights_is_below_the_bound(distance, odds):
    w, v = 0.3, 0.6
    half = 0.5 * distance * np.sqrt(v)
    share = odds * w / (odds * w + 1 - w)
    p, q = (GaussianMixture([a, 1 - a], [[-half], [half]], [v, v]) for a in (w, share))
    x = np.linspace(-half - 9, half + 9, 4001)[:, None]
    square = (p.score(x) - q.score(x))[:, 0] ** 2
    loss = float(np.exp(p.log_prob(x)) @ square) * float(x[1, 0] - x[0, 0])
    bound = distance**2 / v * np.exp(-(distance**2) / 8)
    bound *= (odds - 1) ** 2 * np.sqrt(w * (1 - w)) / (8 * odds)
    assert 0.05 * bound < loss < bound


def test_off_the_manifold():
    k, tau, reach = 3, 0.4, 0.9

    def weight(d):
        return d ** (k + 1) * np.exp(-(d**2) / (2 * tau**2))

    share = quad(weight, reach, np.inf)[0] / quad(weight, 0, np.inf)[0]
    assert share == pytest.approx(gammaincc(k / 2 + 1, reach**2 / (2 * tau**2)), rel=1e-8)
    z = 3.7
    assert gammaincc(2, z) == pytest.approx((1 + z) * np.exp(-z), rel=1e-12)
    assert gammaincc(2, 3.0) < 0.5


def test_score_of_a_draw_in_mean_square():
    a, v, sigma = 0.8, 1.7, 0.6
    nodes, weights = np.polynomial.hermite_e.hermegauss(4)
    x, e = (u.ravel() for u in np.meshgrid(np.sqrt(v) * nodes, nodes))
    mass = np.outer(weights, weights).ravel() / weights.sum() ** 2
    w = a**2 * v + sigma**2
    gap = -(a * x + sigma * e) / w + e / sigma
    assert mass @ gap**2 == pytest.approx(a**2 * v / (sigma**2 * w), rel=1e-12)


def test_size_of_the_noised_score_around_points(rng):
    centre, radius, std = np.array([0.4, -0.7]), 1.2, 0.5
    angle = 2 * np.pi * rng.random(30)
    law = PointMasses(centre + radius * np.stack([np.cos(angle), np.sin(angle)], 1))
    x = centre + 3 * rng.standard_normal((400, 2))
    distance = np.linalg.norm(x - centre, axis=1)
    size = np.linalg.norm(law.diffuse(1.0, std**2).score(x), axis=1)
    assert np.abs(std**2 * size - distance).max() <= radius * (1 + 1e-12)
    stronger = np.linalg.norm(law.diffuse(1.0, std**2 / 4).score(x), axis=1) / size
    assert stronger[distance > 2 * radius].min() > 4 / 3


def test_tails_of_the_student_and_logistic_laws():
    n, scale, h = 3.0, 0.7, 1e-5
    for x in (0.6, 1.9, 40.0):
        slope = (t.logpdf(x + h, n) - t.logpdf(x - h, n)) / (2 * h)
        # differences: rounding of log p of size ten over h, and h^2 times the third derivative
        assert -slope == pytest.approx((n + 1) * x / (n + x**2), abs=1e-8)
        slope = (logistic.logpdf(x + h, scale=scale) - logistic.logpdf(x - h, scale=scale)) / (
            2 * h
        )
        u = np.exp(-x / scale)
        assert -slope == pytest.approx((1 - u) / (1 + u) / scale, abs=1e-7)


def test_largest_angle_to_the_mode():
    k = 7.0
    angle = np.linspace(1e-3, np.pi / 2 - 1e-3, 20_001)
    x, y = np.cos(angle), np.sin(angle)
    sine = x * y * (1 - 1 / k) / np.hypot(x / k, y)
    # A grid of 8e-5 misses the top by half its square times the curvature.
    assert sine.max() == pytest.approx((k - 1) / (k + 1), abs=1e-7)
    # The top is flat: the grid finds it to one step of angle, 8e-5 times 1 + k of the ratio's slope.
    assert x[sine.argmax()] / y[sine.argmax()] == pytest.approx(np.sqrt(k), rel=1e-3)
