"""The exact probability-flow map: closed forms against the ordinary differential equation, and back again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import integrate
from scoreproof.theory import EDM, VP, Gaussian, GaussianMixture
from scoreproof.validation import PROBLEMS, Problem
from scoreproof.validation.flow_map import integrate_flow

LINE = tuple(n for n in PROBLEMS if n.endswith("-1d"))
GAUSSIANS = ("gaussian-2d", "gaussian-8d")


def _start(problem, n=3, t=None):
    at = problem.t_max if t is None else t
    return problem.data(n, t=at, rng=np.random.default_rng(2))


@pytest.mark.parametrize("name", (*LINE, *GAUSSIANS))
def test_closed_forms_against_the_differential_equation(name):
    problem = PROBLEMS[name]
    x, end = _start(problem), problem.t_min
    got = problem.flow_map(x, problem.t_max, end)
    want = integrate_flow(problem, x, problem.t_max, end)
    # The solver keeps each of some hundred steps to 1e-11 of the largest scaled coordinate on the way.
    size = np.abs(x).max() / float(problem.sde.kernel(problem.t_max).scale) + np.abs(want).max()
    assert np.abs(got - want).max() <= 1e-9 * size
    assert np.abs(got - x).max() > 1e-3 * np.abs(x).max()


@pytest.mark.parametrize(
    ("name", "t", "s"),
    [("mixture-2d", 0.9, 0.2), ("mixture-8d", 0.9, 0.2), ("discrete-8d", 0.5, 0.48)],
)
def test_integrated_maps_against_the_velocity_in_time(name, t, s):
    problem = PROBLEMS[name]
    x = _start(problem, 2, t)
    got = problem.flow_map(x, t, s)

    def velocity(at, flat):
        return problem.velocity(flat.reshape(x.shape), at).ravel()

    # in t, with the drift: other coordinates, other steps, and for the discrete chain through its kinks
    solved = integrate.solve_ivp(velocity, (t, s), x.ravel(), rtol=1e-8, atol=1e-10)
    want = solved.y[:, -1].reshape(x.shape)
    # 1e-8 a step, errors grow at most by the stretch of the flow, here below ten, over some hundred steps
    assert np.abs(got - want).max() <= 1e-5 * np.abs(x).max()
    assert np.abs(got - x).max() > 5e-3 * np.abs(x).max()


@pytest.mark.parametrize("name", (*LINE, *GAUSSIANS, "mixture-2d", "mixture-8d"))
def test_there_and_back(name):
    problem = PROBLEMS[name]
    x = _start(problem)
    data = problem.flow_map(x, problem.t_max, problem.t_min)
    back = problem.flow_map(data, problem.t_min, problem.t_max)
    # 1e-11 a step over some hundred steps each way; the map back stretches by alpha sd_max / sd_min at most
    stretch = np.abs(x).max() / min(np.abs(data).max(), 1.0)
    assert np.abs(back - x).max() <= 2e-9 * max(stretch, np.abs(x).max())


def test_two_legs_are_one():
    for name in ("student-1d", "mixture-2d"):
        problem = PROBLEMS[name]
        x, middle = _start(problem), float(problem.times(2)[1])
        whole = problem.flow_map(x, problem.t_max, problem.t_min)
        legs = problem.flow_map(problem.flow_map(x, problem.t_max, middle), middle, problem.t_min)
        assert np.abs(legs - whole).max() <= 1e-8 * (1 + np.abs(x).max())
        assert (problem.flow_map(x, middle, middle) == x).all()


def test_both_tails_keep_their_digits():
    law = GaussianMixture([0.3, 0.7], [[-1.0], [2.0]], [0.2, 0.6])
    problem = Problem("p", law, EDM(sigma_max=20.0), t_min=0.05)
    # 12 to 30 standard deviations out: the distribution function is 1 in float64, or exactly 0
    x = np.array([[250.0], [-250.0], [800.0], [-800.0]])
    got = problem.flow_map(x, 20.0, 0.05)
    want = integrate_flow(problem, x, 20.0, 0.05)
    assert np.abs(got - want).max() <= 1e-9 * 800
    # out there each side is carried as the widest Gaussian of that side is
    assert np.sort(got[:, 0])[1:].min() - got.min() > 1


def test_draws_are_carried_to_draws():
    problem = PROBLEMS["mixture-1d"]
    n = 2000
    x = problem.prior(n, rng=np.random.default_rng(0))
    u = problem.marginal(problem.t_min).law.cdf(problem.flow_map(x, problem.t_max, problem.t_min))
    gap = np.abs(np.sort(u) - (np.arange(n) + 0.5) / n).max()
    # Massart: P(gap > e) <= 2 exp(-2 n e^2), below 1e-9
    assert gap < np.sqrt(np.log(2e9) / (2 * n)) + 1 / n
    wrong = problem.marginal(problem.t_min).law.cdf(x)
    assert np.abs(np.sort(wrong) - (np.arange(n) + 0.5) / n).max() > 0.1


def test_tensors_and_shapes():
    problem = Problem("p", Gaussian([1.0, -2.0], [1.0, 3.0]), VP(), t_min=0.1, shape=(2, 1))
    x = _start(problem)
    moved = problem.flow_map(torch.tensor(x, dtype=torch.float32), 1.0, 0.1)
    assert moved.dtype == torch.float32
    assert moved.shape == (3, 2, 1)
    # float32 keeps 24 bits of input and output; the Gaussian map stretches by less than its sd ratio
    assert np.abs(moved.numpy() - problem.flow_map(x, 1.0, 0.1)).max() < 1e-6 * 10
    assert problem.flow_map(x, 1.0, 0.1).shape == (3, 2, 1)


def test_a_flow_that_cannot_be_followed_says_so():
    problem = PROBLEMS["mixture-2d"]
    with pytest.raises((ArithmeticError, ValueError), match=r"probability flow|finite"):
        problem.flow_map(np.array([[np.nan, 0.0]]), 0.9, 0.1)
