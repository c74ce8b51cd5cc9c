"""Orders and limits: of made-up ladders with known answers, and of samplers through check_sampler."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scoreproof.numerics import DDIM, Ancestral, EulerMaruyama, Heun
from scoreproof.numerics.convergence import converge
from scoreproof.theory import EDM, VP, Gaussian
from scoreproof.validation import Outcome, Problem, check_sampler

STEPS = (16, 32, 64, 128, 256)
H = 1 / np.array(STEPS, dtype=float)
PLANE = Problem(
    "plane", Gaussian([1.5, -0.8], [[1.1, 0.55], [0.55, 0.4]]), EDM(sigma_max=20.0), t_min=0.02
)
USUAL = Problem("usual", PLANE.law, VP(), t_min=1e-3, start="prior")


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("floor", [0.0, 0.3])
def test_powers_with_a_floor(p, floor):
    q = floor + np.stack([H**p * (1 + 2 * H), -0.5 * H**p * (1 - 3 * H)], axis=1)
    found = converge(q, STEPS, noise=1e-16)
    assert found.low <= p <= found.high
    assert found.high - found.low < 0.1
    # what two extrapolations leave: h^(p + 2), with constants of order ten
    assert np.abs(found.limit - floor).max() <= (20 * H[-1] ** (p + 2) if p >= 1 else 1e-3)
    assert np.abs(found.limit - floor).max() <= np.abs(found.limit - found.before).max() + 1e-12


def test_a_logarithm_is_allowed_for():
    found = converge((H * np.log(1 / H))[:, None], STEPS, noise=1e-16)
    assert found.local[-1] < 0.86
    assert found.low < found.order < 1.0 <= found.high


def test_the_slow_part_is_what_counts():
    found = converge(np.stack([50 * H**2, 1 * H], axis=1), STEPS, noise=1e-16)
    assert found.low <= 1.0 <= found.high
    assert found.low < 1.2


def test_rounding_and_signs():
    still = converge(np.full((5, 2), 0.7), STEPS, noise=1e-15)
    assert not still.known and (still.limit == 0.7).all()
    fast = converge((H**4)[:, None] + 0.2, STEPS, noise=1e-12)  # the finest rungs are rounding
    assert fast.low <= 4.0 <= fast.high
    swings = converge(((-1.0) ** np.arange(5) * H)[:, None], STEPS, noise=1e-16)
    assert not swings.known and swings.low == -np.inf
    grows = converge((1 / H)[:, None], STEPS, noise=1e-16)
    assert not grows.known


def test_what_cannot_be():
    with pytest.raises(ValueError, match="values: got shape"):
        converge(H[:3, None], STEPS[:3], noise=1e-16)
    with pytest.raises(ValueError, match="each twice the last"):
        converge(H[:, None], (16, 32, 64, 128, 255), noise=1e-16)


def solved(solver, change=lambda s: s):
    def sampler(problem, n, *, steps, rng):
        x = problem.prior(n, rng=rng)
        score = lambda y, t: change(problem.score(y, t))  # noqa: E731
        return solver.sample(score, problem.sde, x, problem.times(steps), rng=rng)

    return sampler


def both(sampler, problem=PLANE, **given):
    report = check_sampler(sampler, problems=[problem], steps=(64,), tolerance=0.3, **given)
    for verdict in report.verdicts:
        assert all(m.outcome is Outcome.REFUTED for m in verdict.mutants)
    return [next(iter(report.find(claim)), None) for claim in ("consistent", "order")]


@pytest.mark.parametrize("problem", [PLANE, USUAL], ids=lambda p: p.name)
@pytest.mark.parametrize(
    ("solver", "p"), [(DDIM(), 1), (Ancestral(), 1), (EulerMaruyama(), 1), (Heun(), 2)]
)
def test_solvers_have_their_orders_and_are_consistent(problem, solver, p):
    consistent, order = both(solved(solver), problem, order=p)
    assert consistent is not None and order is not None
    assert consistent.outcome is Outcome.SUPPORTED
    assert order.outcome is Outcome.SUPPORTED
    assert order.evidence[0].value == pytest.approx(p, abs=0.1)
    if problem is USUAL:
        assert "makes of the start" in consistent.finding


def test_too_much_declared_is_refuted():
    consistent, order = both(solved(DDIM()), order=2.0)
    assert consistent is not None and order is not None
    assert order.outcome is Outcome.REFUTED and order.diagnosis is not None
    assert consistent.outcome is Outcome.SUPPORTED
    _, undeclared = both(solved(DDIM()))
    assert undeclared is not None
    assert (undeclared.role, undeclared.outcome) == ("informative", Outcome.SUPPORTED)


def test_a_wrong_score_has_an_order_and_a_floor():
    consistent, order = both(solved(DDIM(), lambda s: 0.95 * s), order=1.0)
    assert consistent is not None and order is not None
    assert order.outcome is Outcome.SUPPORTED
    assert consistent.outcome is Outcome.REFUTED
    assert consistent.diagnosis is not None


def test_a_last_denoising_step_is_no_defect_and_a_wrong_end_is():
    def denoised(problem, n, *, steps, rng):
        x = solved(DDIM())(problem, n, steps=steps, rng=rng)
        return problem.denoiser(x, problem.t_min)

    def too_early(problem, n, *, steps, rng):
        x, times = problem.prior(n, rng=rng), problem.times(steps + steps // 4)
        return DDIM().sample(problem.score, problem.sde, x, times[: steps + 1], rng=rng)

    consistent, _ = both(denoised)
    assert consistent is not None and consistent.outcome is Outcome.SUPPORTED
    consistent, _ = both(too_early)
    assert consistent is not None and consistent.outcome is Outcome.REFUTED


def test_where_there_is_nothing_to_measure():
    def exact(problem, n, *, steps, rng):
        return problem.data(n, t=problem.t_min, rng=rng)

    consistent, order = both(exact)
    assert consistent is not None and consistent.outcome is Outcome.SUPPORTED
    assert order is None

    def picky(problem, n, *, steps, rng):
        if steps != 64:
            raise ValueError("sixty-four only")
        return exact(problem, n, steps=steps, rng=rng)

    report = check_sampler(picky, problems=[PLANE], steps=(64,), tolerance=0.3)
    reasons = {n.claim: n.reason for n in report.not_checked}
    assert "sixty-four only" in reasons["order"]
    assert report.find("law")[0].outcome is Outcome.SUPPORTED
    plane, line = (
        check_sampler(solved(DDIM()), problems=[name], steps=(64,), tolerance=0.3, budget=64)
        for name in ("mixture-2d", "mixture-1d")
    )
    assert {"order", "consistent", "step-order"} <= {n.claim for n in plane.not_checked}
    # On the line quantiles of a deterministic sampler say what its limit is; single steps need an affine map.
    assert {n.claim for n in line.not_checked} == {"clock", "step-order"}


def test_rounding_widens_the_interval_of_the_order():
    values = (3 / np.array(STEPS))[:, None]
    quiet, loud = (converge(values, STEPS, noise=r) for r in (0.0, 1e-3))
    assert quiet.low <= 1 <= quiet.high and quiet.high - quiet.low < 0.05
    # The last difference, 3 / 256, is off by at most 2e-3: a sixth of it, and of log2 a quarter, twice.
    assert loud.low < 0.5 and loud.high > 1.5
    assert math.isnan(converge(values, STEPS, noise=0.02).order)
