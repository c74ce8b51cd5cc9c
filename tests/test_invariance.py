"""Equivariance, equilibrium, balance, inversion and flow maps: right ones pass, each known mistake is refuted."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scoreproof.numerics import (
    DDIM,
    Ancestral,
    EigenLaw,
    EulerMaruyama,
    Heun,
    mala_log_ratio,
    mala_step,
    ula_step,
)
from scoreproof.numerics.gaussian_law import ula_affine
from scoreproof.theory import EDM, VP, Gaussian, GaussianMixture
from scoreproof.validation import (
    PROBLEMS,
    Outcome,
    Problem,
    check_balance,
    check_flow_map,
    check_inverse,
    check_sampler,
    check_stationary,
)

LAW = Gaussian([1.5, -0.8], [[1.1, 0.55], [0.55, 0.4]])
PLANE = Problem("plane", LAW, EDM(sigma_max=20.0), t_min=0.02)
PAIR = GaussianMixture([0.6, 0.4], [[-1.0, 0.2], [1.5, 0.9]], [[0.3, 0.2], [0.2, 0.5]])
BENT = Problem("bent", PAIR, VP(), t_min=1e-3)


def solved(solver, change=lambda x: x):
    def sampler(problem, n, *, steps, rng):
        x = problem.prior(n, rng=rng)
        return change(solver.sample(problem.score, problem.sde, x, problem.times(steps), rng=rng))

    return sampler


def equivariance(sampler, problem, **given) -> Any:
    report = check_sampler(
        sampler, problems=[problem], steps=(8,), tolerance=0.4, budget=200, **given
    )
    found = report.find("equivariant")
    if not found:
        return next(n.reason for n in report.not_checked if n.claim == "equivariant")
    (verdict,) = found
    assert verdict.role == "informative"
    assert all(m.outcome is Outcome.REFUTED for m in verdict.mutants)
    assert len(verdict.mutants) == len(verdict.evidence)
    return verdict


def test_samplers_without_axes_turn_with_the_problem():
    for problem in (PLANE, BENT, PROBLEMS["gaussian-1d"], PROBLEMS["mixture-8d"]):
        verdict = equivariance(solved(DDIM()), problem)
        assert verdict.outcome is Outcome.SUPPORTED
        assert [e.check for e in verdict.evidence] == ["rotation", "shift"]
    noisy = equivariance(solved(Ancestral()), PLANE)
    assert noisy.outcome is Outcome.SUPPORTED
    assert equivariance(solved(DDIM()), BENT, backend="torch").outcome is Outcome.SUPPORTED


def test_rules_that_err_in_the_linear_part_lag_behind_a_shift():
    verdict = equivariance(solved(EulerMaruyama(eta=0.0)), BENT)
    assert verdict.outcome is Outcome.SUPPORTED
    assert [e.check for e in verdict.evidence] == ["rotation"]
    assert "lags" in verdict.finding


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (solved(DDIM(), lambda x: np.clip(x, -1.5, 1.5)), BENT),
        (solved(DDIM(), lambda x: x * [1.0, 1.001]), BENT),
        (solved(Ancestral(), lambda x: x * [1.0, 1.001]), PLANE),
        (solved(Ancestral(), lambda x: x + np.array([0.01, 0.0])), PLANE),
    ],
    ids=["clipped", "stretched", "stretched-with-noise", "moved-along-an-axis"],
)
def test_samplers_that_prefer_an_axis_are_told(wrong, problem):
    verdict = equivariance(wrong, problem)
    assert verdict.outcome is Outcome.REFUTED
    assert "under a rotation" in verdict.finding


def test_an_origin_is_found_by_a_shift_alone():
    # shrunk to the origin: turns with the problem, and does not move with it
    verdict = equivariance(solved(DDIM(), lambda x: 0.99 * x), PLANE)
    assert [e.outcome for e in verdict.evidence] == [Outcome.SUPPORTED, Outcome.REFUTED]


def test_where_equivariance_is_not_checked():
    assert "no mixture" in equivariance(solved(DDIM()), PROBLEMS["ring-2d"])
    assert "noise on the way" in equivariance(solved(Ancestral()), BENT)

    def forgetful(problem, n, *, steps, rng):
        return np.tile(problem.law.mean, (n, 1))

    assert "prior" in equivariance(forgetful, BENT)


def rotated(x, rng, by=0.8):
    root = np.linalg.cholesky(LAW.covariance)
    fresh = rng.standard_normal(x.shape) @ root.T
    return LAW.mean + by * (x - LAW.mean) + np.sqrt(1 - by**2) * fresh


def test_kernels_that_keep_a_gaussian_are_known_to_all_digits():
    fine = check_stationary(lambda x, *, rng: rotated(x, rng), LAW, exact=True)
    assert fine.outcome is Outcome.SUPPORTED
    assert fine.claim == "stationary"
    assert fine.evidence[0].kind == "exact"
    for h, loose in ((0.004, Outcome.SUPPORTED), (0.08, Outcome.REFUTED)):
        ula = lambda x, *, rng, h=h: ula_step(LAW.score, x, step=h, rng=rng)  # noqa: E731
        strict = check_stationary(ula, LAW, exact=True)
        assert strict.outcome is Outcome.REFUTED
        start = EigenLaw.of(LAW)
        wanted = start.push(ula_affine(start, step=h)).w2(start)
        assert strict.evidence[0].value == pytest.approx(wanted, rel=1e-6)
        assert check_stationary(ula, LAW, tolerance=0.02).outcome is loose
        for verdict in (fine, strict):
            assert all(m.outcome is Outcome.REFUTED for m in verdict.mutants)


def test_kernels_on_other_laws_are_judged_on_draws():
    mala = lambda x, *, rng: mala_step(PAIR, x, step=0.1, rng=rng)[0]  # noqa: E731
    ula = lambda x, *, rng: ula_step(PAIR.score, x, step=0.25, rng=rng)  # noqa: E731
    for seed in (0, 1):
        loose = check_stationary(mala, PAIR, seed=seed, tolerance=0.15)
        assert loose.outcome is Outcome.SUPPORTED
        assert check_stationary(ula, PAIR, seed=seed).outcome is Outcome.REFUTED
    # on a Gaussian too, where the step is not affine
    clever = check_stationary(
        lambda x, *, rng: mala_step(LAW, x, step=0.05, rng=rng)[0], LAW, tolerance=0.15
    )
    assert clever.outcome is Outcome.SUPPORTED
    assert "confidence" in {e.kind for e in clever.evidence}
    failed = check_stationary(lambda x, *, rng: x[:, :1], LAW)
    assert failed.outcome is Outcome.ERROR


H = 0.1


def metropolis(x, y):
    return np.minimum(0.0, mala_log_ratio(PAIR, x, y, step=H))


def barker(x, y):
    return -np.logaddexp(0.0, -mala_log_ratio(PAIR, x, y, step=H))


@pytest.mark.parametrize("rule", [metropolis, barker])
def test_balanced_rules(rule):
    verdict = check_balance(rule, PAIR, step=H)
    assert verdict.outcome is Outcome.SUPPORTED
    assert all(m.outcome is Outcome.REFUTED for m in verdict.mutants)


@pytest.mark.parametrize(
    "rule",
    [
        lambda x, y: np.minimum(0.0, PAIR.log_prob(y) - PAIR.log_prob(x)),
        lambda x, y: np.minimum(0.0, mala_log_ratio(PAIR, x, y, step=2 * H)),
        lambda x, y: metropolis(y, x),
        lambda x, y: mala_log_ratio(PAIR, x, y, step=H),
        lambda x, y: 0.0 * x[:, 0],
        lambda x, y: metropolis(x, y) + 1e-9 * np.tanh(x[:, 0]),
    ],
    ids=["without-proposals", "another-step", "swapped", "above-one", "always", "nearly"],
)
def test_rules_without_balance(rule):
    verdict = check_balance(rule, PAIR, step=H)
    assert verdict.outcome is Outcome.REFUTED
    assert verdict.diagnosis is not None


def test_rules_that_fail():
    assert (
        check_balance(lambda x, y: np.full(len(x), np.nan), PAIR, step=H).outcome is Outcome.ERROR
    )
    assert check_balance(lambda x, y: x, PAIR, step=H).outcome is Outcome.ERROR
    with pytest.raises(ValueError, match="step"):
        check_balance(metropolis, PAIR, step=-1.0)


def walk(problem, x, times, rule):
    for t, s in pairwise(times):
        x = rule(problem, x, float(t), float(s))
    return x


def ddim_step(problem, x, t, s):
    """The DDIM step, forwards or backwards in time."""
    now, then = problem.sde.kernel(t), problem.sde.kernel(s)
    eps = problem.noise(x, t)
    return then.scale * (x - now.std * eps) / now.scale + then.std * eps


def ddim(problem, n, *, steps, rng):
    return walk(problem, problem.prior(n, rng=rng), problem.times(steps), ddim_step)


def inversion(problem, x, *, steps):
    return walk(problem, x, problem.times(steps)[::-1], ddim_step)


def test_an_inverse_finds_the_start():
    for problem in (PLANE, BENT):
        for backend in ("numpy", "torch"):
            verdict = check_inverse(
                ddim, inversion, problem, steps=(16, 64), tolerance=0.3, backend=backend, budget=64
            )
            assert verdict.outcome is Outcome.SUPPORTED, verdict.finding
            assert all(m.outcome is Outcome.REFUTED for m in verdict.mutants)
            coarse, fine = (e.value for e in verdict.evidence)
            # of first order
            assert 3 < coarse / fine < 5

    def exactly(problem, x, *, steps):
        return problem.flow_map(x, problem.t_min, problem.t_max)

    def along(problem, n, *, steps, rng):
        return problem.flow_map(problem.prior(n, rng=rng), problem.t_max, problem.t_min)

    assert check_inverse(along, exactly, PLANE, tolerance=1e-9).outcome is Outcome.SUPPORTED


@pytest.mark.parametrize(
    "wrong",
    [
        lambda problem, x, *, steps: walk(problem, x, problem.times(steps), ddim_step),
        lambda problem, x, *, steps: inversion(problem, x, steps=steps) * 1.3,
        lambda problem, x, *, steps: inversion(problem, x, steps=max(1, steps // 32)),
        lambda problem, x, *, steps: x,
    ],
    ids=["same-direction", "scaled", "coarse", "none"],
)
def test_wrong_inverses(wrong):
    assert (
        check_inverse(ddim, wrong, PLANE, steps=(16, 64), tolerance=0.2).outcome is Outcome.REFUTED
    )


def test_inverses_that_fail():
    verdict = check_inverse(ddim, lambda problem, x, *, steps: x[:1], PLANE)
    assert verdict.outcome is Outcome.ERROR
    with pytest.raises(ValueError, match="inverse: got int"):
        check_inverse(ddim, 3, PLANE)  # type: ignore[arg-type]


def flow(problem):
    return lambda x, t, s=problem.t_min: problem.flow_map(x, t, s)


class Module(torch.nn.Module):
    """The exact map of a Gaussian as a consistency model of torch."""

    def __init__(self, problem, off=1.0):
        super().__init__()
        self.problem, self.off = problem, off

    def forward(self, x, t):
        assert not self.training
        assert t.shape == (len(x),)
        return self.off * self.problem.flow_map(x, float(t[0]), self.problem.t_min)


@pytest.mark.parametrize("problem", [PLANE, PROBLEMS["mixture-1d"]], ids=lambda p: p.name)
def test_the_exact_flow_is_a_perfect_consistency_model(problem):
    verdict = check_flow_map(flow(problem), problem)
    assert verdict.outcome is Outcome.SUPPORTED
    assert len(verdict.evidence) == 5
    assert all(e.value < 1e-18 for e in verdict.evidence)
    assert all(m.outcome is Outcome.REFUTED for m in verdict.mutants)
    pairs = check_flow_map(flow(problem), problem, ends=[problem.t_min, 0.3 * problem.t_max])
    assert pairs.outcome is Outcome.SUPPORTED
    assert len(pairs.evidence) > 5


def test_modules_and_laws_whose_flow_is_integrated():
    module = Module(PLANE).train()
    assert check_flow_map(module, PLANE).outcome is Outcome.SUPPORTED
    assert module.training
    assert check_flow_map(Module(PLANE, 1.3), PLANE).outcome is Outcome.REFUTED
    at = [0.1]
    assert check_flow_map(flow(BENT), BENT, times=at, budget=512).outcome is Outcome.SUPPORTED


def one_step(solver):
    def model(x, t):
        if t <= PLANE.t_min:
            return x
        return solver.step(x, t, PLANE.t_min, score=PLANE.score, sde=PLANE.sde)

    return model


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x, t: PLANE.denoiser(x, t),
        lambda x, t: PLANE.flow_map(x, t, min(t, 3 * PLANE.t_min)) * 1.3,
        lambda x, t: PLANE.flow_map(x, 0.7 * t + 0.3 * PLANE.t_min, PLANE.t_min),
        one_step(DDIM()),
        one_step(Heun("sigma")),
    ],
    ids=["denoiser", "scaled", "another-time", "one-step-of-ddim", "one-step-of-heun"],
)
def test_wrong_consistency_models(wrong):
    verdict = check_flow_map(wrong, PLANE)
    assert verdict.outcome is Outcome.REFUTED
    assert verdict.diagnosis is not None
    assert "worst" in verdict.diagnosis.text


def test_a_model_that_is_no_identity_at_the_end_is_found_there():
    def model(x, t):
        return x * 1.3 if t <= PLANE.t_min else PLANE.flow_map(x, t, PLANE.t_min)

    verdict = check_flow_map(model, PLANE)
    assert [e.outcome for e in verdict.evidence].count(Outcome.REFUTED) == 1
    assert verdict.evidence[0].outcome is Outcome.REFUTED


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"times": [0.0]}, "times: got 0"),
        ({"times": [0.1], "ends": [5.0]}, "no start after an end"),
        ({"budget": 3}, "budget: got 3"),
        ({"tolerance": 0.0}, "tolerance"),
    ],
)
def test_times_that_cannot_be(given, words):
    with pytest.raises(ValueError, match=words):
        check_flow_map(flow(PLANE), PLANE, **given)


def test_models_that_fail():
    assert check_flow_map(lambda x, t: x[:, :1], PLANE).outcome is Outcome.ERROR
    with pytest.raises(ValueError, match="problem: got"):
        check_flow_map(flow(PLANE), LAW)  # type: ignore[arg-type]
