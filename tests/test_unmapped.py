"""Draws of laws without a map to normals: against exact draws, or by the score alone."""

from __future__ import annotations

import numpy as np
import pytest
from scoreproof.numerics import draw
from scoreproof.numerics.convolved import Convolved
from scoreproof.numerics.two_sample import TwoSampleMachine, two_sample_needed
from scoreproof.theory import Banana, Energy, Gaussian, GaussianMixture, PointMasses
from scoreproof.validation import Outcome, _line_run, check_samples

_SMEARED = Convolved(Banana(), 0.8, 0.3)
MIXED = GaussianMixture(
    [0.7, 0.3], [[-1.0, 0.5], [2.0, 1.0]], [[[0.5, 0.1], [0.1, 0.2]], [[0.3, 0.0], [0.0, 0.8]]]
)


class Hidden:
    """A law with draws and a score, whose map to normals nobody knows."""

    dim = 2
    transport, score, hessian = MIXED.transport, MIXED.score, MIXED.hessian


class Drawn:
    """A law with noise that is drawn by adding it, and that nobody has a map of."""

    dim = 2
    draw_with, score, hessian = _SMEARED.draw_with, _SMEARED.score, _SMEARED.hessian


class Projected(Hidden):
    """The same law, with its projections and its density known."""

    project, log_prob = MIXED.project, MIXED.log_prob


HIDDEN, SMEARED = Hidden(), Drawn()
TILTED = Gaussian([0.5, -1.0], [[1.0, 0.6], [0.6, 0.7]])
_INVERSE = np.linalg.inv(TILTED.covariance)
#: the same law, its score alone
BARE = Energy(
    lambda x: 0.5 * ((x - TILTED.mean) @ _INVERSE * (x - TILTED.mean)).sum(-1),
    2,
    gradient=lambda x: (x - TILTED.mean) @ _INVERSE,
    hessian=lambda x: np.broadcast_to(_INVERSE, (*x.shape[:-1], 2, 2)),
)


def exact(law, **change):
    def sampler(n, *, rng):
        x = draw(law, n, rng=rng)
        return change.get("scale", 1.0) * x + change.get("shift", 0.0)

    return sampler


@pytest.mark.statistical
def test_exact_draws_stand_for_the_law():
    verdict = check_samples(exact(HIDDEN), HIDDEN, tolerance=0.2)
    assert verdict.outcome is Outcome.SUPPORTED, str(verdict)
    assert all(m.outcome is Outcome.REFUTED for m in verdict.mutants)
    assert {m.check for m in verdict.mutants} >= {"cdf", "mean", "variance", "neighbours"}
    assert verdict.exact_refuted is False
    again = check_samples(exact(HIDDEN), HIDDEN, tolerance=0.2)
    assert [e.measured for e in again.evidence] == [e.measured for e in verdict.evidence]


@pytest.mark.statistical
def test_wrong_draws_are_refuted():
    verdict = check_samples(exact(HIDDEN, shift=0.5), HIDDEN, tolerance=0.2, budget=12_000)
    assert verdict.outcome is Outcome.REFUTED
    assert verdict.diagnosis is not None
    assert "off by" in verdict.diagnosis.text
    sharp = check_samples(exact(HIDDEN, scale=1.1), HIDDEN, exact=True, budget=20_000)
    assert sharp.outcome is Outcome.REFUTED
    assert sharp.samples_used < 20_000
    fine = check_samples(exact(HIDDEN), HIDDEN, exact=True, budget=6_000)
    assert fine.outcome is Outcome.UNDECIDED
    assert all(m.outcome is Outcome.REFUTED for m in fine.mutants)


def test_laws_smeared_by_quadrature_have_draws():
    verdict = check_samples(exact(SMEARED, shift=0.5), SMEARED, exact=True, budget=2_000)
    assert verdict.outcome is Outcome.REFUTED


@pytest.mark.statistical
def test_a_score_alone_refutes_and_never_supports():
    fine = check_samples(exact(TILTED), BARE, budget=20_000)
    assert fine.outcome is Outcome.UNDECIDED
    outcomes = {e.check: e.outcome for e in fine.evidence}
    assert outcomes["mode-weights"] is Outcome.UNDECIDED
    assert all(m.outcome is Outcome.REFUTED for m in fine.mutants)
    assert any("modes" in a for a in fine.assumptions)
    far = check_samples(exact(TILTED, shift=0.5), BARE, budget=20_000)
    assert far.outcome is Outcome.REFUTED
    near = check_samples(exact(TILTED, shift=0.1), BARE, exact=True)
    assert near.outcome is Outcome.REFUTED


@pytest.mark.statistical
def test_weights_of_far_modes_stay_unseen_by_a_score():
    """The known blindness, shown: a tenth of the mass on the wrong side, and the score does not mind."""
    law = GaussianMixture([0.5, 0.5], [[-6.0], [6.0]], [1.0, 1.0])
    bare = Energy(lambda x: -law.log_prob(x), 1, gradient=lambda x: -law.score(x))
    other = GaussianMixture([0.6, 0.4], law.means, law.covariances)
    verdict = check_samples(exact(other), bare, exact=True, budget=20_000)
    assert verdict.outcome is Outcome.UNDECIDED
    assert check_samples(exact(other), law, exact=True).outcome is Outcome.REFUTED


def test_planned_sizes_shrink_with_the_tolerance():
    sizes = [two_sample_needed(2, 2.0, tolerance=t, level=1e-6) for t in (0.05, 0.1, 0.2)]
    assert sizes[0] > 3 * sizes[1] > 9 * sizes[2] / 1.5
    assert two_sample_needed(2, 4.0, tolerance=0.1, level=1e-6) > sizes[1]


@pytest.mark.statistical
def test_dependent_draws_are_seen():
    rng = np.random.default_rng(0)
    x = draw(MIXED, 8000, rng=rng)
    x[1::2] = x[::2] + 1e-3
    machine = TwoSampleMachine(draw(MIXED, 2000, rng=rng), rng)
    machine.update(x, draw(MIXED, 24_000, rng=rng))
    effects = {e.name: e for e in machine.effects(1e-6)}
    assert effects["neighbours"].low > 0.3


def test_a_score_that_fails_is_an_error():
    broken = Energy(lambda x: x[..., 0], 1, gradient=lambda x: np.full_like(x, np.nan))
    verdict = check_samples(exact(Gaussian([0.0], [[1.0]])), broken, budget=2000)
    assert verdict.outcome is Outcome.ERROR
    assert "not finite" in str(verdict)


@pytest.mark.parametrize("n", [64, 200])
@pytest.mark.parametrize("decisive", [False, True])
def test_few_draws_are_undecided_and_no_check_is_called_broken(n, decisive):
    for law in (HIDDEN, BARE):
        draws = exact(MIXED if law is HIDDEN else TILTED)
        verdict = check_samples(draws, law, exact=decisive, budget=n)
        assert verdict.outcome is Outcome.UNDECIDED, str(verdict)
        assert verdict.mutants
        assert all(m.underpowered for m in verdict.survivors)


@pytest.mark.statistical
@pytest.mark.parametrize("n", [500, 3000])
def test_the_detectable_shift_is_seen_and_a_third_of_it_is_not_promised(n):
    fine = check_samples(exact(MIXED), HIDDEN, exact=True, budget=n)
    (test,) = (e for e in fine.evidence if e.kind == "test")
    assert test.detectable is not None
    machine = TwoSampleMachine(
        draw(MIXED, 4000, rng=np.random.default_rng(1)), np.random.default_rng(2)
    )
    way = machine.frame.unwhiten @ machine.directions[:, 0]
    wrong = check_samples(
        exact(MIXED, shift=1.1 * test.detectable * way), HIDDEN, exact=True, budget=n
    )
    assert wrong.outcome is Outcome.REFUTED


@pytest.mark.statistical
def test_too_little_mass_in_the_tails_is_bounded_as_well_as_too_much():
    rng = np.random.default_rng(3)
    light = rng.standard_normal((20_000, 1))
    heavy = rng.standard_normal((60_000, 1))
    heavy[rng.random(60_000) < 0.03] = 40.0
    for x, y in ((light, heavy), (heavy[:20_000], rng.standard_normal((60_000, 1)))):
        machine = TwoSampleMachine(rng.standard_normal((4000, 1)), rng)
        machine.update(x, y)
        beyond = {e.name: e for e in machine.effects(1e-6)}["beyond"]
        assert 0.02 < beyond.low < 0.03 < beyond.high < 0.04


@pytest.mark.statistical
def test_the_relative_variance_allows_for_the_unknown_one_of_the_law():
    """The bound on a ratio is no narrower than those of both mean squares together."""
    rng = np.random.default_rng(4)
    machine = TwoSampleMachine(rng.standard_normal((4000, 1)), rng)
    machine.update(1.2 * rng.standard_normal((40_000, 1)), rng.standard_normal((120_000, 1)))
    variance = {e.name: e for e in machine.effects(1e-6)}["variance"]
    assert variance.low < 0.44 < variance.high  # 1.2^2 - 1
    assert variance.low > 0.3


@pytest.mark.parametrize("part", ["score", "hessian", "transport"])
def test_a_law_whose_own_code_fails_is_an_error(part):
    def broken(self, *args):
        raise RuntimeError("boom")

    law = type("Broken", (Hidden,), {part: broken})()
    verdict = check_samples(exact(MIXED), law, budget=700)
    assert verdict.outcome is Outcome.ERROR
    assert "boom" in str(verdict)


class Lines:
    """A law of which projections are all that is known; two far modes, which a score would not weigh."""

    dim = 2
    project = GaussianMixture(
        [0.5, 0.5], [[-6.0, 0.0], [6.0, 1.0]], [[[1.0, 0.3], [0.3, 0.4]]] * 2
    ).project


@pytest.mark.statistical
@pytest.mark.parametrize("law", [Projected(), Lines()], ids=["drawn", "lines alone"])
def test_known_projections_refute(law):
    truth = (
        MIXED
        if isinstance(law, Projected)
        else GaussianMixture([0.5, 0.5], [[-6.0, 0.0], [6.0, 1.0]], [[[1.0, 0.3], [0.3, 0.4]]] * 2)
    )
    fine = check_samples(exact(truth), law, exact=True, budget=6_000)
    assert fine.outcome is Outcome.UNDECIDED, str(fine)
    assert "line shifted" in {m.name for m in fine.mutants}
    assert all(m.outcome is Outcome.REFUTED for m in fine.mutants), fine.mutants
    assert any("known" in a for a in fine.assumptions)
    moved = truth.weights + np.array([0.05, -0.05])
    wrong = GaussianMixture(moved, truth.means, truth.covariances)
    off = check_samples(exact(wrong), law, exact=True, budget=40_000)
    assert off.outcome is Outcome.REFUTED, str(off)
    loose = check_samples(exact(truth), law, budget=3_000)
    assert loose.outcome is Outcome.UNDECIDED


@pytest.mark.statistical
def test_the_mutant_of_a_line_is_refuted_by_its_shift_alone(monkeypatch):
    """Of a mixture the labels would refute it as well, whatever the shift."""
    run = _line_run.LineRun(Projected(), np.random.default_rng(0))
    rng = np.random.default_rng(1)
    for _ in range(3):
        run.add(draw(MIXED, 700, rng=rng))
    assert run.mutant(1e-6, 3).outcome is Outcome.REFUTED
    monkeypatch.setattr(_line_run, "exact_shift", lambda *_: 0.0)
    assert run.mutant(1e-6, 3).outcome is Outcome.UNDECIDED


@pytest.mark.statistical
def test_the_law_of_log_p_is_watched_where_it_is_offered():
    """``log p`` of a Gaussian is a constant less half a chi-square, and of a scaled one is not."""
    shift = float(TILTED.log_prob(TILTED.mean))

    class Level:
        """The law of minus half a chi-square of two degrees, shifted: an exponential law turned round."""

        dim = 1

        def cdf(self, x):
            return np.minimum(np.exp(np.asarray(x)[..., 0] - shift), 1.0)

    class Levelled:
        dim = 2
        log_prob, log_prob_law = TILTED.log_prob, Level()

    fine = check_samples(exact(TILTED), Levelled(), exact=True, budget=20_000)
    assert fine.outcome is Outcome.UNDECIDED, str(fine)
    wide = check_samples(
        lambda n, *, rng: TILTED.mean + 1.05 * (draw(TILTED, n, rng=rng) - TILTED.mean),
        Levelled(),
        exact=True,
        budget=20_000,
    )
    assert wide.outcome is Outcome.REFUTED
    assert wide.diagnosis is not None
    assert "log p" in wide.diagnosis.text


@pytest.mark.statistical
def test_bets_on_log_p_see_what_no_direction_does():
    """Where only the levels are off, bets along directions are silent; constant levels are not bet on."""
    rng = np.random.default_rng(5)
    levels, pilot = rng.exponential(size=4000), rng.standard_normal((4000, 2))
    machine = TwoSampleMachine(pilot, np.random.default_rng(1), levels=levels)
    blind = TwoSampleMachine(pilot, np.random.default_rng(1))
    assert machine.bets == blind.bets + 4
    for _ in range(4):
        x, y = rng.standard_normal((2, 2000, 2))
        one, two = 1.2 * rng.exponential(size=2000), rng.exponential(size=2000)
        machine.update(x, y, (one, two))
        blind.update(x, y)
    assert machine.log_e > np.log(1e6) > blind.log_e
    assert TwoSampleMachine(pilot, rng, levels=np.zeros(4000)).bets == blind.bets


@pytest.mark.parametrize("value", [lambda x: x, lambda x: np.full(len(x), np.nan)])
def test_a_log_density_that_fails_is_an_error(value):
    law = type("Broken", (Hidden,), {"log_prob": lambda self, x: value(x)})()
    assert check_samples(exact(MIXED), law, budget=700).outcome is Outcome.ERROR
    bad = type("Bad", (Hidden,), {"project": lambda self, w: MIXED})()
    verdict = check_samples(exact(MIXED), bad, budget=700)
    assert verdict.outcome is Outcome.ERROR
    assert "one-dimensional" in str(verdict)
    # atoms have labels and no normals
    atoms = type("Atoms", (Hidden,), {"project": lambda self, w: PointMasses([[0.0], [1.0]])})()
    verdict = check_samples(exact(MIXED), atoms, budget=700)
    assert verdict.outcome is Outcome.ERROR
    assert "one-dimensional" in str(verdict)
