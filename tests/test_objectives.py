"""The objectives, the constants between them, and wrong forms of them that must be refuted."""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import numpy as np
import pytest
from scoreproof.numerics import draw, substream
from scoreproof.numerics.divergence import exact_divergence
from scoreproof.numerics.objective_constants import dsm_constant, fisher_information, paired
from scoreproof.numerics.objectives import ESM, ISM, SSM
from scoreproof.numerics.objectives_denoising import DSM
from scoreproof.numerics.objectives_multilevel import MultiLevelDSM, WeightedDSM
from scoreproof.numerics.score_models import ScoreModel
from scoreproof.theory import VP, Gaussian, GaussianMixture

# Skewed, off centre, anisotropic; never the unit Gaussian.
LINE = GaussianMixture([0.3, 0.7], [[-1.2], [1.0]], [0.6, 0.8])
PLANE = GaussianMixture(
    [0.3, 0.7], [[-1.0, 1.0], [1.0, -0.3]], [[[1.0, 0.4], [0.4, 0.5]], [[0.4, 0], [0, 1.2]]]
)
_G = np.random.default_rng(5)
_B = _G.standard_normal((3, 8, 8)) / 3
EIGHT = GaussianMixture(
    [0.2, 0.5, 0.3], _G.standard_normal((3, 8)), _B @ np.swapaxes(_B, 1, 2) + 0.1 * np.eye(8)
)
LEVEL = 1e-9
SCALE, VARIANCE = 0.8, 0.36


def linear(d):
    g = np.random.default_rng(d)
    m, c = 0.3 * g.standard_normal((d, d)) - 0.7 * np.eye(d), g.standard_normal(d)
    return ScoreModel(
        lambda x: x @ m.T + c, lambda x: np.full(len(x), np.trace(m)), lambda x, v: v @ m.T
    )


def polynomial(d):
    a = np.linspace(-0.9, -0.4, d)
    return ScoreModel(
        lambda x: a * x + 0.1 * x**2 - 0.05 * x**3,
        lambda x: np.sum(a + 0.2 * x - 0.15 * x**2, axis=1),
        lambda x, v: (a + 0.2 * x - 0.15 * x**2) * v,
    )


def hyperbolic(d):
    g = np.random.default_rng(d + 100)
    w, b, u = (
        0.6 * g.standard_normal((5, d)),
        g.standard_normal(5),
        0.7 * g.standard_normal((5, d)),
    )

    def slope(x):
        return 1 - np.tanh(x @ w.T + b) ** 2

    return ScoreModel(
        lambda x: np.tanh(x @ w.T + b) @ u - 0.5 * x,
        lambda x: slope(x) @ np.sum(u * w, axis=1) - 0.5 * d,
        lambda x, v: (slope(x) * (v @ w.T)) @ u - 0.5 * v,
    )


MODELS = pytest.mark.parametrize("model", [linear, polynomial, hyperbolic])
LOW = pytest.mark.parametrize("law", [LINE, PLANE], ids=["1-D", "2-D"])


@LOW
@MODELS
def test_explicit_implicit_and_sliced_differ_by_the_fisher_information(law, model):
    s = model(law.dim)
    explicit, half = ESM(law).quadrature(s), 0.5 * fisher_information(law)
    for other in (ISM(law), SSM(law), SSM(law, probe="gaussian", reduced=True)):
        gap = explicit - other.quadrature(s) - half
        assert gap.contains(0.0)
        # The quadratures claim 1e-10 of E|f| each, and the objectives are of order ten.
        assert gap.half_width < 1e-8
    assert (explicit - ISM(law, trace=2.02).quadrature(s) - half).refutes(0.0)


@LOW
@MODELS
def test_printed_form_without_the_factor_two_is_refuted(law, model):
    # "C is free of s": the gap at two scores is the same. Printed: |s|^2 + tr; right: |s|^2 + 2 tr.
    one, base = model(law.dim), hyperbolic(law.dim)
    two = ScoreModel(lambda x: 1.3 * base(x), lambda x: 1.3 * exact_divergence(base, x).value)

    def gap(trace):
        ism = ISM(law, factor=1.0, trace=trace)
        esm = ESM(law, factor=1.0)
        at = [esm.quadrature(s) - ism.quadrature(s) for s in (one, two)]
        return at[0] - at[1]

    assert gap(2.0).contains(0.0)
    assert gap(1.0).refutes(0.0)


@LOW
@MODELS
def test_denoising_differs_from_explicit_by_the_posterior_spread(law, model):
    s = model(law.dim)
    dsm = DSM(law, SCALE, VARIANCE)
    gap = dsm.quadrature(s) - ESM(dsm.marginal).quadrature(s)
    constant = dsm_constant(law, SCALE, VARIANCE)
    assert (gap - constant).contains(0.0) and (gap - constant).half_width < 1e-4
    other = dsm_constant(law, SCALE, VARIANCE, route="fisher")
    assert (constant - other).contains(0.0)
    assert gap.refutes(0.0)


def test_wrong_targets_of_denoising_are_refuted():
    law = LINE
    s, sd = hyperbolic(1), math.sqrt(VARIANCE)
    dsm = DSM(law, SCALE, VARIANCE)
    constant, explicit = dsm_constant(law, SCALE, VARIANCE), ESM(dsm.marginal).quadrature(s)
    for target in (lambda x0, eps: -eps, lambda x0, eps: eps / sd):
        wrong = replace(dsm, target=target).quadrature(s)
        assert (wrong - explicit - constant).refutes(0.0)
    right = replace(dsm, target=lambda x0, eps: (SCALE * x0 - (SCALE * x0 + sd * eps)) / VARIANCE)
    assert (right.quadrature(s) - explicit - constant).contains(0.0)


def test_gaussian_objectives_in_closed_form():
    # p = N(mu, S), s = M x + c: E|s|^2 = tr(M S M') + |M mu + c|^2, tr grad s = tr M, I(p) = tr S^-1.
    mu, cov = np.array([1.0, -0.5]), np.array([[1.2, 0.5], [0.5, 0.7]])
    p = Gaussian(mu, cov)
    g = np.random.default_rng(2)
    m, c = g.standard_normal((2, 2)), g.standard_normal(2)
    square = np.trace(m @ cov @ m.T) + np.sum((m @ mu + c) ** 2)
    fisher = float(np.trace(np.linalg.inv(cov)))
    model = ScoreModel(lambda x: x @ m.T + c, lambda x: np.full(len(x), np.trace(m)))
    implicit = 0.5 * square + np.trace(m)
    assert ISM(p).quadrature(model).contains(implicit)
    assert ESM(p).quadrature(model).contains(implicit + 0.5 * fisher)
    assert fisher_information(p).contains(fisher)
    found = ISM(p).estimate(model, n=20_000, rng=substream(0, "gauss"), level=LEVEL)
    # The terms are polynomials of degree two, which the moments span: only rounding is left.
    assert found.contains(implicit) and found.half_width < 1e-9
    spread = np.trace(cov - cov @ np.linalg.inv(cov + VARIANCE / SCALE**2 * np.eye(2)) @ cov)
    constant = dsm_constant(p, SCALE, VARIANCE)
    # Inverting matrices of condition 6 costs a few ulps.
    assert constant.value == pytest.approx(0.5 * (SCALE / VARIANCE) ** 2 * spread, rel=1e-12)


@functools.cache
def _constants_of_eight():
    how = {"n": 60_000, "level": LEVEL}
    return (
        0.5 * fisher_information(EIGHT, rng=substream(1, "I"), **how),
        dsm_constant(EIGHT, SCALE, VARIANCE, rng=substream(1, "C"), **how),
        dsm_constant(EIGHT, SCALE, VARIANCE, route="fisher", rng=substream(1, "D"), **how),
    )


@pytest.mark.statistical
@MODELS
def test_identities_by_draws_in_eight_dimensions(model):
    s, n = model(8), 6000
    half, constant, fisher = _constants_of_eight()
    for name, other in (
        ("exact", ISM(EIGHT)),
        ("hutchinson", ISM(EIGHT, divergence="hutchinson")),
        ("sliced", SSM(EIGHT, probe="sphere", factor=4.0)),
    ):
        gap = paired(ESM(EIGHT), other, s, s, n=n, rng=substream(2, name), level=LEVEL)
        assert (gap - half).contains(0.0), name
    printed = paired(
        ESM(EIGHT), ISM(EIGHT, trace=1.0), s, s, n=n, rng=substream(3, "printed"), level=LEVEL
    )
    assert (printed - half).refutes(0.0)
    dsm = DSM(EIGHT, SCALE, VARIANCE)
    gap = paired(dsm, ESM(dsm.marginal), s, s, n=n, rng=substream(4, "dsm"), level=LEVEL)
    assert (gap - constant).contains(0.0)
    assert (constant - fisher).contains(0.0)
    wrong = replace(dsm, target=lambda x0, eps: eps / math.sqrt(VARIANCE))
    gap = paired(wrong, ESM(dsm.marginal), s, s, n=3 * n, rng=substream(5, "dsm"), level=LEVEL)
    assert (gap - constant).refutes(0.0)


@pytest.mark.statistical
def test_one_per_cent_of_the_trace_is_seen_in_two_thousand_draws():
    s = polynomial(1)
    half = 0.5 * fisher_information(LINE)

    def gap(ism, **how):
        return (
            paired(ESM(LINE), ism, s, s, n=2000, rng=substream(11, "cv"), level=1e-3, **how) - half
        )

    assert gap(ISM(LINE)).contains(0.0)
    assert gap(ISM(LINE, trace=2.02)).refutes(0.0)
    assert not gap(ISM(LINE, trace=2.02), control_variates=False).refutes(0.0)
    assert gap(ISM(LINE)).reduction > 1e4


@pytest.mark.statistical
def test_draws_agree_with_quadrature_for_every_objective():
    s = hyperbolic(1)
    objectives = {
        "esm": ESM(LINE),
        "ism": ISM(LINE, factor=1.0),
        "hutchinson": ISM(LINE, divergence="hutchinson", probe="gaussian"),
        "ssm": SSM(LINE, probe="gaussian"),
        "dsm": DSM(LINE, SCALE, VARIANCE),
    }
    for name, objective in objectives.items():
        found = objective.estimate(s, n=6000, rng=substream(12, name), level=LEVEL)
        assert (found - objective.quadrature(s)).contains(0.0), name
        rows = objective.sample(5, rng=substream(13, name))
        assert objective.terms(s, *rows).shape == (5,)


@pytest.mark.statistical
def test_levels_and_times():
    s = hyperbolic(1)
    sigmas = (0.2, 0.6, 1.5)
    many = MultiLevelDSM(LINE, sigmas)
    by_rule = many.quadrature(lambda x, sigma: s(x) / sigma)
    found = many.estimate(
        lambda x, sigma: s(x) / sigma, n=9000, rng=substream(14, "levels"), level=LEVEL
    )
    assert (found - by_rule).contains(0.0)
    # With the exact scores what is left is the constant of each level.
    exact = many.quadrature(lambda x, sigma: LINE.diffuse(1.0, sigma**2).score(x))
    left = [dsm_constant(LINE, 1.0, v * v, factor=v * v / 3) for v in sigmas]
    assert (exact - left[0] - left[1] - left[2]).contains(0.0)
    clean = replace(many, at_clean=True)
    assert (
        clean.quadrature(lambda x, sigma: LINE.diffuse(1.0, sigma**2).score(x)) - exact
    ).refutes(0.0)
    sde = VP()
    timed = WeightedDSM(LINE, sde, t_min=0.01)
    by_rule = timed.quadrature(lambda x, t: s(x))
    found = timed.estimate(lambda x, t: s(x), n=16_000, rng=substream(15, "times"), level=LEVEL)
    assert (found - by_rule).contains(0.0)
    assert found.reduction > 3
    double = replace(timed, weighting=lambda t: 2.02 * np.asarray(sde.kernel(t).variance))
    assert (double.quadrature(lambda x, t: s(x)) - 2 * by_rule).refutes(0.0)


@pytest.mark.statistical
def test_nearby_scores_share_draws():
    one, d = hyperbolic(8), 1e-3
    two = ScoreModel(lambda x: one.value(x) + d * np.sin(x))
    a, b = ESM(EIGHT), ESM(EIGHT)
    shared = paired(a, b, one, two, n=6000, rng=substream(16), level=LEVEL)
    apart = paired(a, b, one, two, n=6000, rng=substream(16), level=LEVEL, common=False)
    assert (shared - apart).contains(0.0)
    # The difference is of order d = 1e-3, and so is its deviation.
    assert shared.half_width < 0.05 * apart.half_width


def test_numerical_divergence_widens_the_interval():
    s = hyperbolic(2)
    plain = ScoreModel(s.value)
    a, b = ISM(PLANE).quadrature(s), ISM(PLANE).quadrature(plain)
    assert (a - b).contains(0.0)
    x = draw(PLANE, 100, rng=substream(0))
    value, bound = ISM(PLANE).contributions(plain, x)
    # Error estimates of differences are within their size of the truth.
    assert np.all(np.abs(value - ISM(PLANE).terms(s, x)) <= 5 * bound + 1e-13)


@pytest.mark.parametrize(
    "call",
    [
        lambda: DSM(LINE, 1.0, -1.0),
        lambda: MultiLevelDSM(LINE, (0.1, -0.2)),
        lambda: MultiLevelDSM(LINE, (0.1, 0.2), weights=(1.0,)),
        lambda: WeightedDSM(LINE, VP(), t_min=0.0),
        lambda: ESM(EIGHT).quadrature(linear(8)),
        lambda: fisher_information(EIGHT),
        lambda: ESM(LINE).estimate(lambda x: x[:, 0], n=100, rng=substream(0), level=0.1),
        lambda: ESM(LINE).estimate(3, n=100, rng=substream(0), level=0.1),
        lambda: dsm_constant(LINE, 1.0, 1.0, route="guess"),
        lambda: paired(
            ESM(LINE),
            ESM(PLANE),
            linear(1),
            linear(2),
            n=100,
            rng=substream(0),
            level=0.1,
            common=True,
        ),
    ],
)
def test_bad_input_is_named(call):
    with pytest.raises(ValueError, match=r"got .*, wanted .*;"):
        call()


def test_not_a_number_is_not_hidden():
    broken = ScoreModel(lambda x: np.where(x > 1.0, np.nan, -x))
    found = ESM(LINE).estimate(broken, n=400, rng=substream(0), level=1e-3)
    assert math.isnan(found.value) and math.isnan(found.half_width)
