"""Intervals of means, features of known mean, and what they gain."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scoreproof.numerics import draw, substream
from scoreproof.numerics.control_variates import controlled_mean
from scoreproof.numerics.estimate import Estimate, exact_estimate, kept_variance, mean_estimate
from scoreproof.numerics.features import (
    cf_features,
    default_features,
    fourier_grid,
    hermite_features,
    legendre_features,
    moment_features,
    noised_cf_features,
    products,
    rao_features,
)
from scoreproof.numerics.quadrature import expectation
from scoreproof.theory import GaussianMixture

LINE = GaussianMixture([0.3, 0.5, 0.2], [[-2.0], [0.5], [3.0]], [0.3, 1.0, 0.1])
PLANE = GaussianMixture(
    [0.3, 0.7], [[-2.0, 1.0], [1.0, -0.3]], [[[1.0, 0.4], [0.4, 0.5]], [[0.3, 0], [0, 1.2]]]
)
ROOT = np.random.default_rng(1).standard_normal((3, 8, 3))
EIGHT = GaussianMixture.low_rank(
    [0.2, 0.5, 0.3], np.random.default_rng(2).standard_normal((3, 8)), ROOT, [0.2, 0.4, 0.3]
)
LAWS = pytest.mark.parametrize("law", [LINE, PLANE, EIGHT], ids=["1-D", "2-D", "8-D"])

# Skewed and heavy-tailed values like those of objectives, with their exact means.
SKEWED = {
    "chi2": (lambda g, n: g.chisquare(1, n), 1.0),
    "lognormal": (lambda g, n: g.lognormal(0, 0.7, n), math.exp(0.245)),
    "quartic": (lambda g, n: (lambda z: z**4 - 2 * z**3)(g.standard_normal(n)), 3.0),
    "normal": (lambda g, n: g.standard_normal(n), 0.0),
}


@pytest.mark.statistical
@pytest.mark.parametrize("name", SKEWED)
@pytest.mark.parametrize("level", [1e-2, 1e-3])
def test_mean_interval_covers_skewed_values(name, level):
    sample, mean = SKEWED[name]
    rng = substream(3, name, int(1e6 * level))
    runs = 1000
    misses = sum(
        not mean_estimate(sample(rng, 1000), level=level).contains(mean) for _ in range(runs)
    )
    # A valid interval misses more often than this with probability below 1e-7.
    assert misses <= stats.binom.isf(1e-7, runs, level)


@pytest.mark.statistical
def test_mutant_of_the_interval_is_seen_by_the_coverage_test():
    sample, mean = SKEWED["quartic"]
    rng = substream(3, "mutant")
    misses = 0
    for _ in range(1000):
        y = sample(rng, 1000)
        # The interval of the central limit theorem at one tenth of the width that its level wants.
        misses += abs(y.mean() - mean) > 0.1 * 3.29 * y.std() / math.sqrt(y.size)
    assert misses > stats.binom.isf(1e-7, 1000, 1e-3)


def test_mean_interval_is_near_the_normal_one_for_many_draws():
    y = substream(0, "width").standard_normal(200_000)
    for level in (1e-3, 1e-7, 1e-9):
        e = mean_estimate(y, level=level)
        normal = stats.norm.isf(level / 2) / math.sqrt(y.size)
        # sqrt(2 log(2/level)) against the quantile is 1.19 at 1e-3; the variance bound adds 3 %.
        assert normal < e.half_width < 1.3 * normal
        assert e.detectable == pytest.approx(e.half_width + 3.719 / math.sqrt(y.size), rel=0.02)


def test_mean_interval_is_infinite_where_the_draws_cannot_bound_the_variance():
    rare = np.zeros(1000)
    rare[500] = 1e6
    assert mean_estimate(rare, level=1e-6).half_width == math.inf
    assert mean_estimate(np.ones(20), level=1e-9).half_width == math.inf
    assert mean_estimate(np.ones(2000), level=1e-9).half_width < 1e-14
    assert math.isnan(mean_estimate(np.array([1.0, math.nan, 2.0]), level=1e-3).value)


def test_mean_interval_moves_and_scales_with_its_values():
    y = substream(0, "affine").chisquare(2, 4000)
    a, b = mean_estimate(y, level=1e-4), mean_estimate(5 - 3 * y, level=1e-4)
    # The root is found to 4 ulps of its size, the rest is rounding of the same order.
    assert b.value == pytest.approx(5 - 3 * a.value, abs=1e-12)
    assert b.half_width == pytest.approx(3 * a.half_width, rel=1e-12)


def test_lower_tail_of_the_sample_variance():
    # The bound is for any law of the given kurtosis; chi2(1) has kurtosis 15.
    rng = substream(5, "tail")
    s2 = rng.chisquare(1, (4000, 200)).var(axis=1, ddof=1)
    for level in (0.1, 0.01):
        t = kept_variance(math.log(1 / level) / 100, (15 + 3) / 2)
        assert np.sum(s2 <= 2 * t) <= stats.binom.isf(1e-7, 4000, level)


def test_estimates_add_like_intervals():
    a = Estimate(1.0, 0.9, 1.2, level=1e-3, n=10, kind="confidence", detectable=0.3)
    d = 2 * (a - exact_estimate(0.5)) + 1
    assert (d.value, d.kind, d.level) == (2.0, "confidence", 1e-3)
    assert d.low == pytest.approx(1.8) and d.high == pytest.approx(2.4)
    assert (
        (3 - a).low == pytest.approx(1.8) and d.refutes(1.7) and not d.refutes(1.7, tolerance=0.2)
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda: mean_estimate([], level=0.1),
        lambda: mean_estimate([1.0, 2.0], level=0.0),
        lambda: controlled_mean(lambda x: x, LINE, n=100, rng=substream(0), level=0.1),
        lambda: controlled_mean(lambda x: x[:, 0], LINE, n=5, rng=substream(0), level=0.1),
    ],
)
def test_bad_input_is_named(call):
    with pytest.raises(ValueError, match=r"got .*, wanted .*;"):
        call()


def _largest_z(h):
    return np.max(np.abs(h.mean(axis=0)) / (h.std(axis=0) / math.sqrt(len(h))))


@pytest.mark.statistical
@LAWS
def test_features_have_mean_zero_by_draws(law):
    x = draw(law, 60_000, rng=substream(7, law.dim))
    for family in default_features(law):
        h = family.evaluate(x)
        assert h.shape == (len(x), family.size)
        # Normal tail at 6.5 is 8e-11; skewness of a degree-8 feature at this n can raise it tenfold.
        assert _largest_z(h[:, h.std(axis=0) > 0]) < 6.5


@pytest.mark.parametrize("law", [LINE, PLANE], ids=["1-D", "2-D"])
def test_features_have_mean_zero_by_quadrature(law):
    waves = cf_features(law, fourier_grid(law, 10))
    for family in (moment_features(law), rao_features(law, 4), waves):
        found = expectation(family.evaluate, law)
        assert np.all(np.abs(found.value) <= np.asarray(found.error) + 1e-12)


def test_features_of_a_wrong_law_have_another_mean():
    wrong = GaussianMixture(LINE.weights, LINE.means + 0.02, LINE.covariances)
    found = expectation(rao_features(wrong, 2).evaluate, LINE)
    assert np.max(np.abs(found.value)) > 1e3 * np.max(found.error)


@pytest.mark.statistical
@LAWS
def test_features_of_pairs_have_mean_zero(law):
    d = law.dim
    rng = substream(8, d)
    x0, eps = draw(law, 60_000, rng=rng), rng.standard_normal((60_000, d))
    waves = noised_cf_features(law, 0.8, 0.36, fourier_grid(law, 6), 2)
    both = products(moment_features(law, 1).of(0), hermite_features(d, 2).of(1))
    for family in (waves, both):
        assert _largest_z(family.evaluate(x0, eps)) < 6.5
    assert _largest_z(legendre_features(5).evaluate(rng.random(60_000))) < 6.5


def _wave(x):
    return np.tanh(x @ np.linspace(0.5, 1, x.shape[1])) ** 2 + 0.1 * np.sum(x**3, axis=1)


@pytest.mark.statistical
def test_controlled_mean_covers_and_gains():
    truth = expectation(_wave, LINE)
    rng = substream(9, "cover")
    found = [controlled_mean(_wave, LINE, n=2000, rng=rng, level=1e-2) for _ in range(20)]
    misses = sum(e.refutes(float(truth.value)) for e in found)
    assert misses <= stats.binom.isf(1e-7, len(found), 1e-2)
    # Waves and polynomials span a smooth function of one variable to five digits.
    assert np.median([e.reduction for e in found]) > 1e3
    one = controlled_mean(_wave, LINE, n=2000, rng=substream(1, "a"), level=1e-2)
    again = controlled_mean(_wave, LINE, n=2000, rng=substream(1, "a"), level=1e-2)
    assert one == again and one.n == 2000


def test_control_that_cannot_help_costs_little():
    def noise(x):
        return np.sign(np.sin(1e5 * x[:, 0]))

    rng = substream(2, "none")
    e = controlled_mean(noise, LINE, n=20_000, rng=rng, level=1e-3)
    plain = controlled_mean(noise, LINE, n=20_000, rng=rng, level=1e-3, features=[])
    # sqrt of 1/0.75 for the pilot, and at most the level split over three.
    assert e.half_width < 1.35 * plain.half_width
    assert e.contains(0.0) or abs(e.value) < 0.05
