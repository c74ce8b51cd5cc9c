"""Log-likelihood along the probability flow against closed forms, and against what every density obeys."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scoreproof.numerics import flow_log_likelihood, substream
from scoreproof.theory import (
    OU,
    VE,
    VP,
    Gaussian,
    GaussianMixture,
    LinearSDE,
    SubVP,
    gaussian_flow,
    marginal,
)

TILTED = Gaussian([0.8, -0.5, 0.3], [[1.4, 0.6, 0.1], [0.6, 0.5, -0.2], [0.1, -0.2, 0.9]])
LINE: Any = GaussianMixture([0.6, 0.4], [[-1.2], [0.9]], [[0.09], [0.5]])
PLANE: Any = GaussianMixture(
    [0.35, 0.65],
    [[-1.2, 0.4], [0.9, -0.5]],
    [[[0.3, 0.1], [0.1, 0.2]], [[0.25, -0.08], [-0.08, 0.35]]],
)


def eight() -> GaussianMixture:
    rng = substream(0, "likelihood")
    turns = np.linalg.qr(rng.standard_normal((2, 8, 8)))[0]
    spectrum = np.geomspace(0.05, 2.0, 8)
    covariances = np.einsum("kij,j,klj->kil", turns, spectrum, turns)
    return GaussianMixture([0.3, 0.7], rng.standard_normal((2, 8)), covariances)


LAWS = {"tilted": TILTED, "line": LINE, "plane": PLANE, "eight": eight()}
SDES = {
    "vp": VP(),
    "sub-vp": SubVP(),
    "ve": VE(0.05, 20.0),
    "ou": OU(),
    "quadrature": LinearSDE(lambda t: 0.4 - t, lambda t: 0.8 + 0.5 * t),
}


def points(law, n=9):
    rng = substream(1, "points")
    return law.mean + 1.5 * (
        law.transport(rng.random(n), rng.standard_normal((n, law.dim))) - law.mean
    )


#: Kernels by quadrature are slow, and one law shows that they work.
PAIRS = [(law, sde) for law in LAWS for sde in SDES if sde != "quadrature" or law == "tilted"]


@pytest.mark.parametrize(("law", "sde"), PAIRS)
@pytest.mark.parametrize("t", [0.0, 0.2])
def test_the_exact_score_gives_the_exact_density(law, sde, t):
    p, s = LAWS[law], SDES[sde]
    x = points(marginal(p, s, t))
    found = flow_log_likelihood(p, s, x, t=t, prior=marginal(p, s, s.t_max), rtol=1e-7)
    off = np.abs(found.value - marginal(p, s, t).log_prob(x))
    assert (off <= found.error).all()
    # ten times the tolerance of a step, summed over some fifty steps, each of some units of log-density
    assert found.error.max() < 1e-3
    assert found.evaluations > 0


def test_the_end_points_are_those_of_the_closed_flow():
    x = points(TILTED)
    for sde in (VP(), VE(0.05, 20.0)):
        found = flow_log_likelihood(TILTED, sde, x, prior=marginal(TILTED, sde, 1.0), rtol=1e-9)
        exact = gaussian_flow(TILTED, sde, 0.0, 1.0)
        # relative tolerance of a step, some fifty of them
        np.testing.assert_allclose(found.end, exact(x), rtol=1e-6, atol=1e-7)
        volume = float(np.linalg.slogdet(exact.matrix)[1])
        # the divergence is integrated along the same steps, over two coordinates
        np.testing.assert_allclose(found.change, volume, atol=2e-6)


def test_a_wrong_score_is_far_outside_the_error():
    x = points(PLANE)
    for factor in (0.99, 2.0):

        class Wrong:
            def __init__(self, law, factor=factor):
                self.score = lambda y: factor * law.score(y)
                self.divergence = lambda y: factor * law.divergence(y)

        class Field:
            def marginal(self, t, kind=Wrong):
                return kind(marginal(PLANE, VP(), t))

        prior = marginal(PLANE, VP(), 1.0)
        wrong = flow_log_likelihood(Field(), VP(), x, prior=prior, rtol=1e-6)
        assert (np.abs(wrong.value - PLANE.log_prob(x)) > 5 * wrong.error).mean() > 0.6


def _bent(y, t):
    """No score of any law: what a half-trained network might be."""
    return -y + 0.8 * (1 - t) * np.sin(2 * y + 0.3)


def test_every_score_gives_a_density_that_integrates_to_one():
    x = np.linspace(-6, 6, 241)[:, None]
    found = flow_log_likelihood(_bent, VP(0.1, 3.0), x, rtol=1e-6, atol=1e-8)
    # trapezoidal rule on a smooth decaying density; its own error is below 1e-10 at this step
    total = np.exp(found.value).sum() * 0.05
    allowed = (np.exp(found.value) * found.error).sum() * 0.05
    assert abs(total - 1) < allowed < 1e-3
    wrong = np.exp(found.value - 2 * found.change).sum() * 0.05
    assert abs(wrong - 1) > 0.1


def test_a_function_a_law_and_an_object_with_marginals_agree():
    class Other:
        def marginal(self, t):
            return marginal(PLANE, VP(), t)

    x = points(PLANE, 5)
    first = flow_log_likelihood(PLANE, VP(), x, rtol=1e-6)
    other = flow_log_likelihood(Other(), VP(), x, rtol=1e-6)
    # the same flow with the scale kept apart: rounding, and what it does to the choice of steps
    np.testing.assert_allclose(first.value, other.value, atol=1e-8)
    by_differences = flow_log_likelihood(
        lambda y, t: marginal(PLANE, VP(), t).score(y), VP(), x, rtol=1e-5
    )
    allowed = by_differences.error + first.error
    assert (np.abs(by_differences.value - first.value) <= allowed).all()


def test_the_usual_prior_leaves_a_bias_that_the_exact_one_does_not():
    x = points(PLANE)
    usual = flow_log_likelihood(PLANE, VE(0.05, 20.0), x, rtol=1e-7)
    off = np.abs(usual.value - PLANE.log_prob(x))
    assert off.max() > 10 * usual.error.max()


def test_probes_are_unbiased_and_state_their_spread():
    p, sde = LAWS["eight"], VP()
    x = points(p, 4)
    prior = marginal(p, sde, 1.0)
    found = flow_log_likelihood(
        p, sde, x, prior=prior, count=64, rng=substream(2, "probes"), rtol=1e-4, atol=1e-6
    )
    exact = p.log_prob(x)
    # five standard errors of a mean of 64, nearly normal: 1e-5 a point
    assert (np.abs(found.value - exact) <= 5 * found.error).all()
    assert (found.error > 1e-3).all()
    same = flow_log_likelihood(
        p, sde, x, prior=prior, count=64, rng=substream(2, "probes"), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_array_equal(found.value, same.value)
    one = flow_log_likelihood(
        p, sde, x, prior=prior, count=1, rng=substream(3, "probe"), rtol=1e-4
    )
    assert np.isfinite(one.value).all()
    assert np.isnan(one.error).all()


@pytest.mark.parametrize("dim", [1, 2])
def test_rademacher_probes_know_the_trace_of_a_diagonal(dim):
    p = Gaussian([0.4, -0.7][:dim], [0.3, 1.6][:dim])
    x = points(p, 3)
    prior = marginal(p, VP(), 1.0)
    found = flow_log_likelihood(p, VP(), x, prior=prior, count=3, rng=substream(4, "r"), rtol=1e-8)
    assert (np.abs(found.value - p.log_prob(x)) <= found.error).all()
    assert found.error.max() < 1e-5


def test_many_points_go_block_by_block():
    many = points(LINE, 150)
    prior = marginal(LINE, VP(), 1.0)
    found = flow_log_likelihood(LINE, VP(), many, prior=prior, rtol=1e-6)
    assert (np.abs(found.value - LINE.log_prob(many)) <= found.error).all()
    assert found.value.shape == found.error.shape == found.change.shape == (150,)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sde": 3}, "sde: got int"),
        ({"x": np.zeros(2)}, "x: got shape"),
        ({"x": np.array([[0.0, np.nan]])}, "x: got"),
        ({"t": 1.0}, "t: got 1"),
        ({"t": -0.1}, "t: got"),
        ({"prior": 3.0}, "prior: got float"),
        ({"count": 2}, "count: got 2"),
        ({"count": -1}, "count: got -1"),
        ({"rtol": 0.0}, "rtol: got 0"),
        ({"atol": -1.0}, "atol: got -1"),
        ({"score": 3}, "score: got int"),
        ({"score": lambda y, t: y[:, :1]}, "score: got shape"),
        ({"score": lambda y, t: np.full_like(y, np.nan)}, "score: got values that are not finite"),
        ({"count": 1, "probe": "cauchy", "rng": np.random.default_rng(0)}, "probe: got 'cauchy'"),
    ],
)
def test_bad_input_is_refused_by_name(change, said):
    given = {"score": PLANE, "sde": VP(), "x": np.zeros((1, 2)), **change}
    with pytest.raises(ValueError, match=said):
        flow_log_likelihood(given.pop("score"), given.pop("sde"), given.pop("x"), **given)
