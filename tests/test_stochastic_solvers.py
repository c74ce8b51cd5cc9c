"""Churn, predictor-corrector, optimal ancestral steps and kinetic Langevin chains, by their exact laws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scoreproof.numerics import (
    Ancestral,
    Churn,
    Heun,
    LogSNRGrid,
    OptimalAncestral,
    PredictorCorrector,
    Solver,
    UniformGrid,
    underdamped,
    underdamped_step,
)
from scoreproof.theory import VE, VP, Gaussian, marginal

from .impulses import Impulses


def score_of(law, sde):
    return lambda x, t: marginal(law, sde, t).score(x)


def law_of(solver, sde, times, variance, draws, mean=0.0):
    """Exact mean and variance of the output in one dimension, and those of the truth at the last time."""
    law = Gaussian([mean], [[variance]])
    rows = np.zeros((draws + 2, 1))
    rows[0] = 1.0
    noise = Impulses()
    out = solver.sample(score_of(law, sde), sde, rows, times, rng=noise)[:, 0]
    assert noise.calls <= draws
    base = out[-1]  # no impulse reached the last row
    first, last = marginal(law, sde, float(times[0])), marginal(law, sde, float(times[-1]))
    spread = (out[0] - base) ** 2 * float(first.covariance[0, 0]) + ((out[1:-1] - base) ** 2).sum()
    got = base + (out[0] - base) * float(first.mean[0])
    return got, spread, float(last.mean[0]), float(last.covariance[0, 0])


def orders(solver, steps=(128, 256, 512)):
    sde, gaps = VP(), []
    for n in steps:
        times = LogSNRGrid(sde, 0.9, 0.01).times(n)
        got, spread, mean, variance = law_of(solver, sde, times, 0.3, 2 * n + 1, mean=0.8)
        gaps.append([abs(got - mean), abs(spread / variance - 1)])
    gaps = np.array(gaps)
    return np.log2(gaps[:-1] / gaps[1:]), gaps


def test_churn_keeps_the_order_of_heun():
    local, _ = orders(Churn(churn=20.0))
    slack = 1.5 * np.abs(local[1] - local[0]) + 0.05
    assert (np.abs(local[1] - 2) <= slack).all(), local


def test_churn_with_other_noise_has_a_floor():
    local, gaps = orders(Churn(churn=20.0, noise=1.05))
    assert local[-1, 1] < 0.2 and gaps[-1, 1] > 1e-2


def test_no_churn_is_the_inner_solver():
    sde, x = VP(), np.linspace(-1, 2, 5)[:, None]
    times, score = LogSNRGrid(sde, 1.0, 0.01).times(7), score_of(Gaussian([0.5], [[0.4]]), VP())
    inner = Heun("sigma")
    for still in (Churn(0.0), Churn(5.0, low=1e5)):
        out = still.sample(score, sde, x, times, rng=Impulses())
        assert np.array_equal(out, inner.sample(score, sde, x, times))
    assert Churn(0.0).deterministic and not Churn(1.0).deterministic


def test_optimal_ancestral_steps_are_exact_for_isotropic_gaussians():
    for sde in (VP(), VE(0.02, 3.0)):
        for n in (1, 3, 10):
            times = UniformGrid(sde.t_max, 0.02).times(n)
            law = Gaussian([0.0], [[0.3]])

            def information(t, law=law, sde=sde):
                return 1 / float(marginal(law, sde, t).covariance[0, 0])

            _, spread, _, variance = law_of(OptimalAncestral(information), sde, times, 0.3, n)
            # the mean variance of x_0 given x_t is a difference; at t = 1 of VP, where alpha^2 = 4.3e-5, it keeps
            # 16 digits less 4.4
            assert abs(spread / variance - 1) <= 2e-11
            _, plain, _, _ = law_of(Ancestral(), sde, times, 0.3, n)
            assert abs(plain / variance - 1) > 1e-2


def test_an_impossible_information_is_refused():
    sde = VP()
    score = score_of(Gaussian([0.0], [[0.3]]), sde)
    with pytest.raises(ValueError, match="information"):
        OptimalAncestral(lambda t: 2 / float(sde.kernel(t).variance)).sample(
            score, sde, np.zeros((2, 1)), np.array([0.5, 0.2]), rng=np.random.default_rng(0)
        )


class ExactFlow(Solver):
    """The flow of a centred Gaussian, exactly."""

    def step(self, x, t, s, *, score, sde, rng=None):
        law = Gaussian([0.0], [[0.3]])
        now, then = (float(marginal(law, sde, u).covariance[0, 0]) for u in (t, s))
        return math.sqrt(then / now) * x


@pytest.mark.parametrize(("share", "right"), [(1.0, True), (0.5, False), (2.0, False)])
def test_corrections_leave_the_bias_of_their_step(share, right):
    sde, ratio, n = VP(), 0.3, 6
    times = LogSNRGrid(sde, 0.9, 0.01).times(n)
    solver = PredictorCorrector(ExactFlow(), corrections=2, ratio=ratio)
    _, spread, _, variance = law_of(solver, sde, times, 0.3, 2 * n)
    law = Gaussian([0.0], [[0.3]])
    x = 1.0  # in units of the exact variance
    for t in times[1:]:
        exact = float(marginal(law, sde, float(t)).covariance[0, 0])
        h = share * 2 * ratio**2 * float(sde.kernel(float(t)).variance) / exact
        for _ in range(2):
            x = (1 - h) ** 2 * x + 2 * h
    assert x > 1  # too wide, though the prediction is exact
    assert (abs(spread / variance / x - 1) <= 1e-12) == right
    assert not solver.deterministic and PredictorCorrector(Heun(), 0).deterministic


def stationary(splitting, h, gamma, u, variance):
    """Covariance of (x, v) that a linear step keeps, from its action on unit vectors and noise."""
    state = np.zeros((5, 1)), np.zeros((5, 1))
    state[0][0], state[1][1] = 1.0, 1.0

    class Two(np.random.Generator):
        def __init__(self):
            super().__init__(np.random.PCG64(0))
            self.calls = 0

        def standard_normal(self, size=None, dtype=np.float64, out=None):
            z = np.zeros(size)  # type: ignore[call-overload]
            z[2 + self.calls] = 1.0
            self.calls += 1
            return z

    x, v = underdamped_step(
        lambda y: -y / variance, *state, step=h, friction=gamma, rng=Two(), scale=u,
        splitting=splitting,
    )  # fmt: skip
    a = np.stack([x[:2, 0], v[:2, 0]])
    g = np.stack([x[2:4, 0], v[2:4, 0]])
    eye = np.eye(4)
    return np.linalg.solve(eye - np.kron(a, a), (g @ g.T).ravel()).reshape(2, 2)


@pytest.mark.parametrize("h", [0.1, 0.5, 0.9])
def test_stationary_laws_of_the_splittings_on_a_gaussian(h):
    gamma, u, variance = 1.3, 0.7, 0.4
    exact = stationary("BAOAB", h, gamma, u, variance)
    biased = stationary("OBABO", h, gamma, u, variance)
    # a linear system of condition below 1e4
    assert abs(exact[0, 0] / variance - 1) <= 1e-11
    assert abs(biased[0, 0] * (1 - u * h * h / (4 * variance)) / variance - 1) <= 1e-11
    assert abs(biased[0, 0] / variance - 1) > 1e-3  # the two are told apart


@pytest.mark.statistical
def test_kinetic_chain_has_the_mean_and_variance_of_its_target(rng):
    law, n = Gaussian([1.5], [[0.4]]), 40_000
    x = underdamped(law.score, np.zeros((n, 1)), step=0.3, friction=1.0, n_steps=80, rng=rng)
    # 80 steps forget the start to exp(-12); each statistic beyond 6 standard errors with probability 2e-9
    assert abs(x.mean() - 1.5) <= 6 * math.sqrt(0.4 / n)
    assert abs(x.var() / 0.4 - 1) <= 6 * math.sqrt(2 / n)
    half = underdamped(
        lambda y: 0.5 * law.score(y), np.zeros((n, 1)), step=0.3, friction=1.0, n_steps=80, rng=rng
    )
    assert abs(half.var() / 0.4 - 1) > 0.5


ABA: Any = "ABA"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Churn(-1.0), "churn: got -1"),
        (lambda: Churn(low=2.0, high=1.0), "low: got 2"),
        (lambda: Churn(noise=0.0), "noise"),
        (lambda: Churn(inner=Ancestral()), "inner: got"),
        (lambda: PredictorCorrector(corrections=-1), "corrections: got -1"),
        (lambda: PredictorCorrector(ratio=0.0), "ratio"),
        (lambda: underdamped_step(abs, 1, 1, step=0, friction=1, rng=None), "step"),
        (lambda: underdamped_step(abs, 1, 1, step=1, friction=0, rng=None), "friction"),
        (lambda: underdamped_step(abs, 1, 1, step=1, friction=1, rng=None, splitting=ABA), "ABA"),
        (lambda: underdamped(abs, 1, step=1, friction=1, n_steps=-1, rng=None), "n_steps: got -1"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
