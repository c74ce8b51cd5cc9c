"""Orders and limits on data that are not Gaussian, by the quantiles of a deterministic sampler in one dimension."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scoreproof.numerics import DDIM, RK4, Ancestral, ExponentialMultistep, Heun
from scoreproof.theory import VP, GaussianMixture
from scoreproof.validation import PROBLEMS, Outcome, Problem, check_sampler

LAW = GaussianMixture([0.5, 0.3, 0.2], [[-1.2], [0.4], [2.1]], [0.09, 0.25, 0.5])
LINE = Problem("line", LAW, VP(), t_min=1e-3)
USUAL = Problem("usual", LAW, VP(), t_min=1e-3, start="prior")


def solved(solver, change=lambda x: x):
    def sampler(problem, n, *, steps, rng):
        x = problem.prior(n, rng=rng)
        return change(solver.sample(problem.score, problem.sde, x, problem.times(steps), rng=rng))

    return sampler


def found(sampler, problem=LINE, **given):
    report = check_sampler(sampler, problems=[problem], steps=(32,), tolerance=0.4, **given)
    (order,), (limit,) = report.find("order"), report.find("consistent")
    for verdict in (order, limit):
        assert verdict.evidence[0].kind == "quadrature"
        assert all(m.outcome is Outcome.REFUTED for m in verdict.mutants)
    return order, limit


@pytest.mark.parametrize(
    "solver",
    [DDIM(), Heun("sigma"), ExponentialMultistep(2), RK4()],
    ids=lambda s: type(s).__name__,
)
def test_orders_are_those_of_the_formulas(solver):
    order, limit = found(solved(solver), order=solver.order)
    assert order.outcome is Outcome.SUPPORTED
    assert order.role == "required"
    assert order.evidence[0].value == pytest.approx(solver.order, abs=0.15)
    assert limit.outcome is Outcome.SUPPORTED
    wrong, _ = found(solved(solver), order=solver.order + 1)
    assert wrong.outcome is Outcome.REFUTED


def test_what_a_gaussian_does_not_show():
    """A step with the curvature of the score left out of its second stage is of first order here only."""

    def frozen(problem, n, *, steps, rng):
        law, x = problem.law, problem.prior(n, rng=rng)
        mean, variance = float(law.mean[0]), float(law.covariance[0, 0])

        def linear(y, t):
            kernel = problem.sde.kernel(t)
            return -(y - kernel.scale * mean) / (kernel.scale**2 * variance + kernel.variance)

        times = problem.times(steps)
        for t, s in pairwise(times):
            f, g = problem.sde.drift(t), problem.sde.diffusion(t)
            score, h = problem.score(x, t), t - s
            y = x - h * (f * x - g**2 / 2 * score)
            # how the score changes over the step, by a Gaussian of the same moments
            later = score + linear(y, s) - linear(x, t)
            f_s, g_s = problem.sde.drift(s), problem.sde.diffusion(s)
            x = x - h / 2 * (f * x - g**2 / 2 * score + f_s * y - g_s**2 / 2 * later)
        return x

    gaussian = PROBLEMS["gaussian-1d"]
    report = check_sampler(frozen, problems=[gaussian], steps=(32,), tolerance=0.4, order=2)
    assert report.find("order")[0].outcome is Outcome.SUPPORTED
    order, _ = found(frozen, order=2)
    assert order.outcome is Outcome.REFUTED


def test_limits_off_the_data_are_found_and_those_of_the_grid_explained():
    _, limit = found(solved(DDIM()), USUAL)
    assert limit.outcome is Outcome.SUPPORTED
    assert "flow makes of the start" in limit.finding
    _, wrong = found(solved(DDIM(), lambda x: 1.01 * x))
    assert wrong.outcome is Outcome.REFUTED
    assert wrong.diagnosis is not None
    # one per cent of every quantile, against the flow or the data
    size = np.sqrt(LAW.covariance[0, 0] + LAW.mean[0] ** 2)
    assert wrong.evidence[0].value == pytest.approx(0.01 * size, rel=0.05)


def test_denoised_ends_are_explained():
    def denoised(problem, n, *, steps, rng):
        return problem.denoiser(solved(DDIM())(problem, n, steps=steps, rng=rng), problem.t_min)

    early = Problem("early", LAW, VP(), t_min=0.02)
    _, limit = found(denoised, early)
    assert limit.outcome is Outcome.SUPPORTED
    assert "denoised once" in limit.finding


def test_torch_samplers_have_the_same_order():
    ours, theirs = (
        found(solved(DDIM()), order=1, backend=b)[0].evidence[0] for b in ("numpy", "torch")
    )
    assert theirs.value == pytest.approx(ours.value, rel=1e-6)


def test_where_it_is_not_checked():
    for sampler, problem, words in (
        (solved(DDIM()), PROBLEMS["laplace-1d"], "by quadrature"),
        (solved(Ancestral()), LINE, "deterministic sampler in one dimension"),
    ):
        report = check_sampler(sampler, problems=[problem], steps=(8,), tolerance=0.4, budget=200)
        reasons = [n.reason for n in report.not_checked if n.claim in ("order", "consistent")]
        assert len(reasons) == 2
        assert all(words in r for r in reasons)
