"""De Bruijn's identity and the chain of KL divergences against derivatives, closed forms and exact model laws."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import integrate
from scoreproof.numerics import (
    Draws,
    entropy,
    entropy_rate,
    expectation,
    kl_bound,
    relative_entropy,
    relative_entropy_rate,
    relative_information,
    substream,
)
from scoreproof.theory import VE, VP, Gaussian, GaussianMixture, SubVP, marginal

FIRST: Any = GaussianMixture([0.6, 0.4], [[-1.2], [0.9]], [[0.09], [0.5]])
SECOND: Any = GaussianMixture([0.3, 0.7], [[-0.8], [1.3]], [[0.3], [0.2]])
TILTED = Gaussian([0.8, -0.5], [[1.4, 0.6], [0.6, 0.5]])
OTHER = Gaussian([0.1, 0.3], [[0.7, -0.2], [-0.2, 0.9]])
PLANE: Any = GaussianMixture(
    [0.35, 0.65],
    [[-1.2, 0.4], [0.9, -0.5]],
    [[[0.3, 0.1], [0.1, 0.2]], [[0.25, -0.08], [-0.08, 0.35]]],
)
SDES = {"vp": VP(), "ve": VE(0.05, 20.0), "sub-vp": SubVP()}
PAIRS = {"line": (FIRST, SECOND), "gaussians": (TILTED, OTHER), "plane": (PLANE, OTHER)}


def slope(f, t):
    """Derivative by central differences, three levels extrapolated, and the last change."""
    rows = [(f(t + h) - f(t - h)) / (2 * h) for h in (4e-3 * t, 2e-3 * t, 1e-3 * t)]
    first = [(4 * b - a) / 3 for a, b in pairwise(rows)]
    value = (16 * first[1] - first[0]) / 15
    return value, abs(value - first[1])


def test_closed_forms_agree_with_quadrature():
    def ratio(x):
        return TILTED.log_prob(x) - OTHER.log_prob(x)

    def square(x):
        return np.sum((TILTED.score(x) - OTHER.score(x)) ** 2, axis=1)

    for found, f in (
        (relative_entropy(TILTED, OTHER), ratio),
        (relative_information(TILTED, OTHER), square),
        (entropy(TILTED), lambda x: -TILTED.log_prob(x)),
    ):
        assert found.kind == "exact"
        other = expectation(f, TILTED, tolerance=1e-12)
        assert abs(found.value - other.value) <= found.half_width + other.error
        assert found.half_width < 1e-11


def test_nearly_equal_gaussians_keep_their_digits():
    e = 1e-6
    near = Gaussian([0.3], [1.0 + e])
    found = relative_entropy(near, Gaussian([0.3], [1.0]))
    # (e - log(1 + e)) / 2 = e^2/4 - e^3/6 + ...
    assert abs(found.value - (e**2 / 4 - e**3 / 6)) <= found.half_width
    same = relative_entropy(TILTED, TILTED)
    assert abs(same.value) <= same.half_width < 1e-11
    # The covariance of the first, and so the value, is off by one rounding of 1 + e.
    assert relative_information(near, Gaussian([0.3], [1.0])).value == pytest.approx(
        e**2 / (1 + e), rel=1e-9
    )


@pytest.mark.parametrize("sde", list(SDES))
@pytest.mark.parametrize("law", [FIRST, TILTED, PLANE], ids=["line", "gaussian", "plane"])
def test_entropy_grows_at_the_rate_of_de_bruijn(law, sde):
    t, s = 0.3, SDES[sde]
    value, error = slope(lambda u: entropy(marginal(law, s, u)).value, t)
    found = entropy_rate(law, s, t)
    # differences of numbers of size ten over steps of 3e-4, good to 1e-11 each
    assert abs(found.value - value) <= error + found.half_width + 1e-6 * (1 + abs(value))
    wrong = 0.5 * (found.value - law.dim * float(s.drift(t)))
    assert abs(wrong - value) > 1e-2


@pytest.mark.parametrize("sde", list(SDES))
@pytest.mark.parametrize("pair", list(PAIRS))
def test_relative_entropy_falls_at_its_rate(pair, sde):
    (p, q), s, t = PAIRS[pair], SDES[sde], 0.3
    value, error = slope(lambda u: relative_entropy(marginal(p, s, u), marginal(q, s, u)).value, t)
    found = relative_entropy_rate(p, q, s, t)
    assert value < 0
    assert abs(found.value - value) <= error + found.half_width + 1e-6 * (1 + abs(value))
    back = relative_entropy_rate(q, p, s, t)
    assert abs(back.value - value) > 1e-3 * abs(value)


@pytest.mark.parametrize("t", [0.0, 0.05])
@pytest.mark.parametrize("sde", list(SDES))
@pytest.mark.parametrize("pair", ["line", "gaussians"])
def test_the_chain_closes_along_two_true_flows(pair, sde, t):
    (p, q), s = PAIRS[pair], SDES[sde]
    bound = kl_bound(p, s, q, t=t, prior=marginal(q, s, s.t_max))
    whole = relative_entropy(marginal(p, s, t), marginal(q, s, t))
    assert abs(bound.total.value - whole.value) <= bound.total.half_width + whole.half_width
    assert bound.total.half_width < 1e-6
    halved = bound.start + bound.path * 0.5
    assert halved.refutes(whole.value, tolerance=0.1)


def model_law(slope_of, sde, t, noise):
    """Mean and variance at t of the sampler with score ``-(x - m)/v`` from N(0, prior variance), d = 1."""

    def right(time, y):
        m, v = slope_of(time)
        f, g2 = float(sde.drift(time)), float(sde.diffusion(time)) ** 2
        c = 0.5 * (1 + noise)
        a = f + c * g2 / v
        return [a * y[0] - c * g2 * m / v, 2 * a * y[1] - noise * g2]

    start = [0.0, sde.prior_variance]
    return integrate.solve_ivp(
        right, (sde.t_max, t), start, method="DOP853", rtol=1e-10, atol=1e-12
    ).y[:, -1]


def test_the_bound_holds_for_the_sde_sampler_and_not_for_the_flow():
    p, sde, t = Gaussian([0.7], [0.4]), VP(), 0.02
    true = marginal(p, sde, t)
    failed = 0
    for off in (-0.3, 0.1, 0.4):
        for shift in (0.0, 0.3):

            def moments(time, off=off, shift=shift):
                law = marginal(p, sde, time)
                size = np.exp(off * np.sin(9 * time))
                return float(law.mean[0]) + shift, float(law.covariance[0, 0]) * size

            def score(x, time, moments=moments):
                m, v = moments(float(time))
                return -(x - m) / v

            bound = kl_bound(p, sde, score, t=t).total
            for noise in (1.0, 0.0):
                mean, variance = model_law(moments, sde, t, noise)
                kl = relative_entropy(true, Gaussian([mean], [variance])).value
                if noise:
                    assert kl <= bound.high
                else:
                    failed += kl > bound.high
    assert failed > 0


def test_draws_agree_with_closed_forms_in_eight_dimensions():
    rng = substream(0, "kl")
    turn = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    p = Gaussian(rng.standard_normal(8), (turn * np.geomspace(0.1, 2.0, 8)) @ turn.T)
    q = Gaussian(np.zeros(8), np.linspace(0.5, 1.5, 8))
    sde = VP()
    closed = kl_bound(p, sde, q, t=0.01, prior=marginal(q, sde, 1.0))
    whole = relative_entropy(marginal(p, sde, 0.01), marginal(q, sde, 0.01))
    assert abs(closed.total.value - whole.value) <= closed.total.half_width + whole.half_width

    # the same as mixtures, which are not in closed form
    two: Any = GaussianMixture([0.5, 0.5], np.stack([p.mean] * 2), np.stack([p.covariance] * 2))
    draws = Draws(substream(1, "kl"), n=40_000, level=1e-6)
    drawn = kl_bound(two, sde, q, t=0.01, prior=marginal(q, sde, 1.0), draws=draws)
    assert drawn.path.kind == drawn.start.kind == "confidence"
    assert drawn.total.level == pytest.approx(1e-6)
    assert drawn.path.contains(closed.path.value)
    assert drawn.start.contains(closed.start.value)
    assert drawn.path.half_width < 0.2 * closed.path.value
    again = kl_bound(
        two,
        sde,
        q,
        t=0.01,
        prior=marginal(q, sde, 1.0),
        draws=Draws(substream(1, "kl"), n=40_000, level=1e-6),
    )
    assert again.total.value == drawn.total.value
    for found, exact in (
        (relative_entropy(two, q, draws=draws), relative_entropy(p, q)),
        (relative_information(two, q, draws=draws), relative_information(p, q)),
        (entropy(two, draws=draws), entropy(p)),
        (entropy_rate(two, sde, 0.3, draws=draws), entropy_rate(p, sde, 0.3)),
    ):
        assert found.kind == "confidence"
        assert found.contains(exact.value)


def test_a_score_may_be_a_law_an_object_or_a_function():
    class Other:
        def marginal(self, t):
            return marginal(SECOND, VP(), t)

    found = [
        kl_bound(FIRST, VP(), score, t=0.1).path.value
        for score in (SECOND, Other(), lambda x, t: marginal(SECOND, VP(), float(t)).score(x))
    ]
    # one integrand by three ways of calling it
    np.testing.assert_allclose(found, found[0], rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: relative_entropy(FIRST, TILTED), "q: got dimension 2"),
        (lambda: relative_information(FIRST, TILTED), "q: got dimension 2"),
        (lambda: relative_information(FIRST, 3), "q: got int"),
        (lambda: relative_information(FIRST, lambda x: x[:, 0]), "q: got a score of shape"),
        (lambda: kl_bound(FIRST, VP(), SECOND, t=1.0), "t: got 1"),
        (lambda: kl_bound(FIRST, VP(), SECOND, t=-0.5), "t: got -0.5"),
        (lambda: kl_bound(FIRST, VP(), 3), "score: got int"),
        (lambda: kl_bound(FIRST, VP(), SECOND, prior=TILTED), "prior: got dimension 2"),
        (
            lambda: entropy(GaussianMixture([0.5, 0.5], np.eye(2, 3), np.ones((2, 3)))),
            "draws: got None",
        ),
    ],
)
def test_bad_input_is_refused_by_name(call, said):
    with pytest.raises(ValueError, match=said):
        call()
