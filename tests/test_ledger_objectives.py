"""The ledger's objectives: outcomes follow from the numbers, every wrong formula is refuted, seeds agree."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scoreproof.numerics.divergence import directional, exact_divergence
from scoreproof.numerics.objective_constants import fisher_information
from scoreproof.numerics.objectives_denoising import DSM
from scoreproof.numerics.score_models import ScoreModel
from scoreproof.validation.claim import decide
from scoreproof.validation.claims import CLAIMS
from scoreproof.validation.claims.averages import grid_means
from scoreproof.validation.claims.conditional_scores import posterior_mean
from scoreproof.validation.claims.fields import fields, outward
from scoreproof.validation.claims.grams import LAWS, clean, noised
from scoreproof.validation.claims.laws import points_of, skewed_1d, skewed_8d
from scoreproof.validation.evidence import plain
from scoreproof.validation.report.pictures import draw as picture

from .crossing import assert_kinds_agree

LEVEL = 1e-8
SUPPORTED = ("O1", "O3", "O5", "O6", "O8", "O10", "O11", "O13", "O15", "O18", "O19")
SUPPORTED += ("O20", "O21", "O25", "O26")
REFUTED = ("O2", "O4", "O7", "O9", "O12", "O14", "O16", "O17", "O22", "O23", "O24", "O27")
NAMES = sorted((*SUPPORTED, *REFUTED), key=lambda name: int(name[1:]))


def outcomes(verdict):
    """Outcomes of a verdict, of its pieces of evidence and of its mutants, corrections included."""
    own = [verdict.outcome, *(e.outcome for e in verdict.evidence)]
    own += [m.outcome for m in verdict.mutants]
    return own + ([] if verdict.correction is None else outcomes(verdict.correction))


@pytest.mark.parametrize("name", NAMES)
def test_outcomes(name):
    claim = CLAIMS[name]
    assert claim.role == "printed"
    assert claim.source
    assert claim.assumptions
    first = decide(claim, level=LEVEL, seed=0, profile="quick")
    assert first.outcome == ("SUPPORTED" if name in SUPPORTED else "REFUTED")
    assert {m.outcome for m in first.mutants} == {"REFUTED"}
    assert (first.correction is not None) == (name in REFUTED)
    if first.correction is not None:
        assert first.correction.role == "required"
        assert first.correction.outcome == "SUPPORTED"
        assert {m.outcome for m in first.correction.mutants} == {"REFUTED"}
    assert_kinds_agree(first)
    second = decide(claim, level=LEVEL, seed=1, profile="quick")
    assert outcomes(first) == outcomes(second)
    for evidence in first.evidence:
        if evidence.kind == "confidence":
            assert 0 < evidence.level <= LEVEL
            assert evidence.n <= 16_000
            assert evidence.detectable is not None
    if first.figure is not None:
        json.dumps(plain(dict(first.figure)))
        assert picture(first.figure).startswith("<svg")


def test_the_standard_profile_agrees_with_the_quick_one():
    for name in ("O10", "O15"):
        quick = decide(CLAIMS[name], level=LEVEL, seed=2, profile="quick")
        standard = decide(CLAIMS[name], level=LEVEL, seed=2, profile="standard")
        assert outcomes(quick) == outcomes(standard)


@pytest.mark.parametrize("dim", [1, 2, 8])
def test_derivatives_of_the_models_are_those_of_their_values(dim):
    law = skewed_8d() if dim == 8 else LAWS[dim]()
    x = points_of(law, 40)
    for model in (*fields(law).values(), outward(dim)):
        bare = ScoreModel(model.value)
        assert model.divergence is not None
        assert model.jvp is not None
        found = exact_divergence(bare, x)
        # the differences carry their own error estimate; a factor for its being an estimate
        assert (np.abs(found.value - model.divergence(x)) <= 1e-9 + 20 * found.error).all()
        value, error = directional(bare, x, x[::-1])
        assert (np.abs(value - model.jvp(x, x[::-1])) <= 1e-8 + 20 * error).all()


def test_inner_products_agree_with_the_quadrature_of_the_library():
    law = skewed_1d()
    direct = fisher_information(law)
    mine = clean(1).square({"score": 1.0})
    assert abs(direct.value - mine.value) <= direct.half_width + mine.half_width
    for scale, std in ((1.0, 0.7), (0.6, 0.5)):
        loss = DSM(law, scale, std**2, factor=1.0)
        gram = noised(1, std, scale)
        for name, model in fields(loss.marginal).items():
            outer, inner = loss.quadrature(model), gram.square({name: 1.0, "target": -1.0})
            # sums of some thousand terms round to less than 1e-12 of the value
            allowed = outer.half_width + inner.half_width + 1e-12 * outer.value
            assert abs(outer.value - inner.value) <= allowed


@pytest.mark.parametrize("dim", [1, 2])
def test_a_grid_gives_the_moments_of_a_law(dim):
    law = LAWS[dim]()

    def values(x):
        p = np.exp(law.log_prob(x))
        return np.stack([p, p * x[:, 0], p * (x**2).sum(1)], 1)

    truth = (1.0, law.mean[0], np.trace(law.covariance) + law.mean @ law.mean)
    for found, exact in zip(grid_means(values, law), truth, strict=True):
        assert abs(found.value - exact) <= found.half_width
        assert found.half_width < 1e-6


@pytest.mark.parametrize("dim", [1, 2])
def test_the_posterior_mean_by_quadrature_is_that_of_the_library(dim):
    base = LAWS[dim]()
    x = points_of(base.diffuse(0.7, 0.4), 20, reach=2.5)
    mean, error = posterior_mean(dim, x, 0.7, np.sqrt(0.4))
    # the closed form rounds to some 1e-13 at these points
    assert (np.abs(mean - base.denoiser(x, 0.7, 0.4)) <= error + 1e-11).all()


def test_extremes_have_intervals_of_their_own():
    """The largest of several numbers is bounded by all of them, not by the one whose value is largest."""
    from scoreproof.numerics.estimate import quadrature_estimate
    from scoreproof.validation.claims.averages import hull

    values = [quadrature_estimate(2.0, 0.1, n=3), quadrature_estimate(1.9, 0.5, n=4)]
    top, bottom = hull(values, max), hull(values, min)
    assert (top.value, top.low, top.high, top.n) == pytest.approx((2.0, 1.9, 2.4, 7))
    assert (bottom.value, bottom.low, bottom.high) == pytest.approx((1.9, 1.4, 2.1))


def test_nodes_left_out_are_paid_for():
    from scoreproof.validation.claims import averages
    from scoreproof.validation.claims.laws import skewed_1d

    law = skewed_1d()

    def density(x):
        return np.exp(law.log_prob(x))[:, None]

    (fine,) = averages.grid_means(density, law)
    assert fine.low <= 1.0 <= fine.high
    kept = averages._NEGLIGIBLE
    try:
        averages._NEGLIGIBLE = -15.0
        (rough,) = averages.grid_means(density, law)
    finally:
        averages._NEGLIGIBLE = kept
    assert abs(rough.value - 1.0) > 1e-8
    assert rough.low <= 1.0 <= rough.high
