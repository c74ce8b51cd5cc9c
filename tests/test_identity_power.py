"""check_identity by draws: what it sees, what it covers, looks, shifted nets, heavy tails."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats
from scoreproof.numerics import draw, substream
from scoreproof.numerics.anytime_mean import _meet, anytime_mean
from scoreproof.numerics.estimate import Estimate, mean_estimate
from scoreproof.numerics.quadrature import expectation
from scoreproof.numerics.rqmc import Design, net_means, pays, shifted_nets
from scoreproof.numerics.stein_features import bump_features, identity_features, neighbour_features
from scoreproof.theory import GaussianMixture
from scoreproof.theory.densities_1d import StudentT
from scoreproof.validation import Outcome, check_identity

LINE = GaussianMixture([0.5, 0.3, 0.2], [[-1.2], [0.4], [2.1]], [0.09, 0.25, 0.5])
PLANE = GaussianMixture(
    [0.55, 0.45],
    [[1.0, -0.5], [-1.2, 0.8]],
    [[[0.5, 0.3], [0.3, 0.4]], [[0.2, -0.1], [-0.1, 0.6]]],
)
RUNS = 200


class Box:
    """The uniform law of a skewed box in three dimensions, of which nothing but draws is known."""

    dim = 3

    def transport(self, u, z):
        from scipy import special

        return special.ndtr(z) * np.array([1.0, 2.0, 0.5])


def _smooth(x: np.ndarray) -> np.ndarray:
    """Mean ``(e - 1) (1 - cos 2)/2`` plus ``1/12``."""
    return np.exp(x[:, 0]) * np.sin(x[:, 1]) + x[:, 2] ** 2


SMOOTH = (math.e - 1) * (1 - math.cos(2)) / 2 + 1 / 12


def _trace(law, model, factor):
    """Explicit less implicit score matching, the trace times ``factor``."""
    return lambda x: (model.score(x) * law.score(x)).sum(axis=1) + factor * model.divergence(x)


@pytest.mark.parametrize("law", [LINE, PLANE], ids=["1-D", "2-D"])
def test_stein_features_have_mean_zero_by_quadrature(law):
    x = draw(law, 2_000, rng=substream(0, "size"))
    for family in (neighbour_features(law), bump_features(law, 2.0))[: 3 - law.dim]:
        found = expectation(family.evaluate, law)
        size = family.evaluate(x).std(axis=0)
        # 1e-8 of their deviation: tails beyond ten deviations and rounding
        assert np.all(np.abs(found.value) <= np.asarray(found.error) + 1e-8 * size)
    wrong = GaussianMixture(law.weights, law.means + 0.02, law.covariances)
    off = expectation(neighbour_features(wrong).evaluate, law)
    assert np.max(np.abs(off.value)) > 1e3 * np.max(off.error)


@pytest.mark.statistical
def test_one_per_cent_of_the_trace_is_seen_in_a_thousand_draws():
    model = GaussianMixture([0.46, 0.31, 0.23], LINE.means + 0.07, 1.15 * LINE.covariances)
    for factor, outcome in ((1.01, Outcome.REFUTED), (1.0, Outcome.UNDECIDED)):
        for seed in range(10):
            verdict = check_identity(
                _trace(LINE, model, factor),
                LINE,
                tolerance=1e-6,
                budget=1_000,
                false_alarm=1e-3,
                seed=seed,
            )
            (drawn,) = (e for e in verdict.evidence if e.kind == "confidence")
            assert drawn.outcome is outcome
            assert drawn.n is not None and drawn.n <= 1_000


@pytest.mark.statistical
def test_looks_stop_early_and_the_last_interval_is_no_wider_than_any_before():
    seen = []

    def watch(e):
        seen.append(e)
        return False

    # moments of the law are known, a sign of a fast wave has nothing to do with them
    last = anytime_mean(
        lambda x: np.sign(np.sin(40 * x[:, 0])),
        LINE,
        n=60_000,
        rng=substream(1, "looks"),
        level=1e-3,
        features=[],
        decided=watch,
    )
    assert len(seen) >= 4 and seen[-1] == last
    assert all(a.low <= b.low <= b.high <= a.high for a, b in pairwise(seen))
    early = check_identity(
        lambda x: np.sign(np.sin(1e5 * x[:, 0])) + 3, Box(), tolerance=1.0, budget=60_000
    )
    assert early.outcome is Outcome.REFUTED
    assert early.samples_used < 40_000


@pytest.mark.statistical
def test_intervals_over_nets_cover_and_the_gain_is_real():
    law, points = Box(), 16
    design = Design.within(8_000, 1e-2)
    assert design is not None and design.points >= points
    spread, _ = pays(_smooth, law, design, 1e-2, substream(2, "pays"))
    drawn = float(_smooth(draw(law, 4_000, rng=substream(2, "drawn"))).std())
    # Draws have drawn/sqrt(points); the scale is twice that of nets, which have a fifth of it or less.
    assert spread < 0.4 * drawn / math.sqrt(design.points)
    rough, _ = pays(
        lambda x: np.sign(np.sin(1e5 * x[:, 0])), law, design, 1e-2, substream(2, "rough")
    )
    assert math.isnan(rough)
    rng, misses = substream(3, "cover"), 0
    for _ in range(RUNS):
        y = net_means(_smooth(shifted_nets(law, 128, points, rng)), points)
        misses += not mean_estimate(y, level=1e-2).contains(SMOOTH)
    # A valid interval misses more often than this with probability below 1e-6.
    assert misses <= stats.binom.isf(1e-6, RUNS, 1e-2)


@pytest.mark.statistical
def test_nets_are_used_where_they_pay_and_say_so():
    # moments of a box are unknown: no control variates
    verdict = check_identity(
        lambda x: _smooth(x) - SMOOTH, Box(), tolerance=0.01, budget=20_000, false_alarm=1e-3
    )
    assert verdict.outcome is Outcome.SUPPORTED
    assert any("shifted nets" in a for a in verdict.assumptions)
    assert {m.outcome for m in verdict.mutants} == {Outcome.REFUTED}


@pytest.mark.statistical
def test_tails_without_a_fourth_moment_are_covered_and_the_assumption_is_printed():
    law = StudentT(3.0, 0.5, 0.7)  # E|x|^3 is infinite

    def terms(x):
        return x[:, 0] - 0.5

    verdict = check_identity(terms, law, tolerance=0.5, budget=4_000)
    assert any("fourth central moment at most" in a for a in verdict.assumptions)
    # that the law has no third moment is known, and said
    assert any("of order 3 and above are infinite" in a for a in verdict.assumptions)
    (drawn,) = (e for e in verdict.evidence if e.kind == "confidence")
    assert not drawn.deciding and "without guarantee" in drawn.message
    misses = 0
    for seed in range(RUNS):
        e = anytime_mean(terms, law, n=2_000, rng=substream(seed, "tail"), level=1e-2, features=[])
        misses += not e.contains(0.0)
    assert misses <= stats.binom.isf(1e-6, RUNS, 1e-2)


def test_an_intersection_of_intervals_assumes_what_either_end_assumes():
    def one(low, high, text):
        return Estimate(0.0, low, high, 1e-3, 10, "confidence", 1.0, text)

    wide, left, inner = one(-3, 3, "a"), one(-4, 2, "b"), one(-1, 1, "c")
    assert _meet(wide, left).assumption == "a; b"
    assert _meet(_meet(wide, left), inner).assumption == "c"
    assert _meet(inner, wide).assumption == "c"


def test_a_tolerance_in_which_the_terms_are_lost_to_rounding_is_no_failure():
    """The shifted terms are a constant, so that their run is planned without nets and draws other numbers."""
    verdict = check_identity(
        lambda x: _smooth(x) - SMOOTH, Box(), tolerance=1e17, budget=60_000, false_alarm=1e-3
    )
    assert verdict.outcome is Outcome.SUPPORTED
    assert {m.outcome for m in verdict.mutants} == {Outcome.REFUTED}


def test_families_of_laws_whose_score_is_under_test_have_none():
    assert all("Stein" not in f.name for f in identity_features(StudentT(5.0, 0.5, 0.7)))
    assert any("Stein" in f.name for f in identity_features(LINE))
