"""Single steps of a sampler: local errors from exact marginals, their order, and the first wrong one."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scoreproof.numerics import DDIM, RK4, Ancestral, EulerMaruyama, Heun, probe
from scoreproof.numerics.exponential import ExponentialSinglestep, Rule
from scoreproof.numerics.multistep import ExponentialMultistep
from scoreproof.theory import VP, Gaussian
from scoreproof.validation import PROBLEMS, Outcome, Problem, check_sampler
from scoreproof.validation.sampler_checks.calls import Caller
from scoreproof.validation.sampler_checks.exact import Prober
from scoreproof.validation.sampler_checks.steps import Path, decided_step_order, step_order
from scoreproof.validation.sampler_checks.trajectory import follow
from scoreproof.validation.verdict import NotChecked

SLANTED = Problem("slanted", Gaussian([1.5, -0.8], [[1.1, 0.55], [0.55, 0.4]]), VP(), t_min=1e-3)


def solved(solver):
    def sampler(problem, n, *, steps, rng):
        x = problem.prior(n, rng=rng)
        return solver.sample(problem.score, problem.sde, x, problem.times(steps), rng=rng)

    return sampler


def prober(sampler, problem=SLANTED, backend="numpy"):
    return Prober(Caller(sampler, backend), problem, False)


def verdict(sampler, order, problem=SLANTED, counts=(16, 32, 64, 128)) -> Any:
    probing = prober(sampler, problem)
    path = Path.of(probing, counts)
    return decided_step_order(probing, path, order, {}, finer=True)


def wrong(path, order) -> Any:
    return path.wrong(order)


def restricted(problem, t, s):
    """The same problem on ``[s, t]``, started from the exact marginal at t."""
    part = copy.copy(problem)
    part.t_max, part.t_min = float(t), float(s)
    return part


@pytest.mark.parametrize("solver", [DDIM(), Heun(), Ancestral(), EulerMaruyama()], ids=repr)
def test_local_errors_are_those_of_runs_of_one_step(solver):
    """The second route: one step on the problem restricted to each interval."""
    sampler = solved(solver)
    run = follow(prober(sampler), 8)
    for (t, s), local in zip(pairwise(run.times), run.local, strict=True):
        law = probe(sampler, restricted(SLANTED, t, s), 1, rng=np.random.default_rng(0))
        exact = SLANTED.marginal(float(s))
        mean, covariance = np.asarray(exact.mean), np.asarray(exact.covariance)
        # For a deterministic step the map error is that of the law: all maps here commute with the flow's.
        white = np.linalg.inv(np.linalg.cholesky(covariance))
        off = white @ (law.offset - mean)
        values = np.linalg.eigvalsh(white @ law.covariance @ white.T)
        error = np.sqrt((off**2).sum() + ((np.sqrt(values) - 1) ** 2).sum())
        # relative digits of the fit of a step; the floor is its rounding
        assert local == pytest.approx(error, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("solver", "order"),
    [
        (EulerMaruyama(), 1),
        (EulerMaruyama(eta=0.0), 1),
        (DDIM(), 1),
        (DDIM(eta=1.0), 1),
        (Ancestral(), 1),
        (Heun(), 2),
        (Heun("sigma"), 2),
        (ExponentialSinglestep(2), 2),
        (ExponentialSinglestep(3), 3),
        (ExponentialMultistep(2, start="lower"), 2),
        (ExponentialMultistep(3, start="lower"), 3),
        (ExponentialMultistep(2, Rule("noise", "noise-level"), start="lower"), 2),
    ],
    ids=repr,
)
def test_declared_orders_of_single_steps(solver, order):
    """Multistep rules too, although a whole run that starts with one first-order step may lose orders."""
    found = verdict(solved(solver), order)
    assert found.outcome is Outcome.SUPPORTED, found
    assert found.evidence[0].measured.value == pytest.approx(order, abs=0.15)
    over = verdict(solved(solver), order + 1)
    assert over.outcome is Outcome.REFUTED
    assert all(m.outcome is Outcome.REFUTED for m in (*found.mutants, *over.mutants))


def test_the_classical_rule_has_order_four():
    found = verdict(solved(RK4()), 4, counts=(16, 32, 64, 128))
    assert found.evidence[0].measured.value == pytest.approx(4, abs=0.15)


def kicked(at, problem_step):
    """Heun's rule whose step at a share of the way is wrong."""

    def sampler(problem, n, *, steps, rng):
        x = problem.prior(n, rng=rng)
        for i, (t, s) in enumerate(pairwise(problem.times(steps))):
            v = problem.velocity(x, t)
            w = problem.velocity(x - (t - s) * v, s)
            x = x - (t - s) / 2 * (v + w)
            if i == int(at * steps):
                x = problem_step(x)
        return x

    return sampler


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_the_first_wrong_step_is_named(share):
    path = Path.of(prober(kicked(share, lambda x: 1.001 * x)))
    index, said = wrong(path, 2.0)
    assert index == int(share * 64)
    assert f"step {index + 1} of 64" in said
    found: Any = step_order(path, 2.0, {})
    assert found.outcome is Outcome.REFUTED
    assert said in found.diagnosis.text


def test_a_wrong_step_is_named_in_the_verdict_that_fails():
    report = check_sampler(
        kicked(0.5, lambda x: x + 0.1), problems=[SLANTED], order=2, steps=(8, 16)
    )
    (found,) = report.find("consistent")
    assert found.outcome is Outcome.REFUTED
    assert found.diagnosis is not None
    assert "step 33 of 64" in found.diagnosis.text
    assert report.find("step-order")[0].outcome is Outcome.REFUTED


def test_a_wrong_start_is_named():
    def wide(problem, n, *, steps, rng):
        x = 1.1 * problem.prior(n, rng=rng)
        return Heun().sample(problem.score, problem.sde, x, problem.times(steps))

    index, said = wrong(Path.of(prober(wide)), 2.0)
    assert index == -1
    assert "the start is off" in said
    # the steps themselves are right
    assert verdict(wide, 2).outcome is Outcome.SUPPORTED


@pytest.mark.parametrize("name", ["gaussian-1d", "gaussian-2d", "gaussian-8d"])
@pytest.mark.parametrize("solver", [DDIM(), Heun(), Ancestral()], ids=repr)
def test_sound_steps_are_not_accused(name, solver):
    path = Path.of(prober(solved(solver), PROBLEMS[name]))
    assert path.wrong(solver.order) is None
    said: Any = step_order(path, solver.order, {})
    assert said.outcome is Outcome.SUPPORTED


def test_an_eighth_of_the_noise_missing_is_a_slower_step():
    def less(problem, n, *, steps, rng):
        x = problem.prior(n, rng=rng)
        for t, s in pairwise(problem.times(steps)):
            g = float(problem.sde.diffusion(t))
            x = x - (t - s) * (float(problem.sde.drift(t)) * x - g**2 * problem.score(x, t))
            x = x + 0.94 * g * np.sqrt(t - s) * rng.standard_normal(x.shape)
        return x

    found = verdict(less, 1)
    assert found.outcome is Outcome.REFUTED
    assert found.evidence[0].measured.value < 0.5


def test_the_path_is_in_the_report(tmp_path):
    report = check_sampler(solved(DDIM()), problems=[SLANTED], order=1, steps=(8,), tolerance=0.4)
    (found,) = report.find("step-order")
    assert found.role == "required"
    table = [e for e in found.evidence if not e.deciding]
    assert [e.check for e in table] == [f"step {k} of 16" for k in range(1, 17)]
    assert all("local error" in e.message for e in table)
    assert found.figure is not None
    assert "local error" in str(found.figure["title"]).lower()
    report.save(tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert "Local errors of single steps along the path" in page
    assert len(page) < 500_000
    undeclared = check_sampler(solved(DDIM()), problems=[SLANTED], steps=(8,), tolerance=0.4)
    assert undeclared.find("step-order")[0].role == "informative"


def test_a_process_of_its_own_tells_the_same_states():
    here, there = (
        follow(Prober(Caller(solved(Heun()), timeout=limit), SLANTED, False), 8)
        for limit in (None, 60.0)
    )
    np.testing.assert_array_equal(there.base, here.base)
    np.testing.assert_array_equal(there.local, here.local)


def test_torch_gives_the_same_path():
    ours = follow(prober(solved(Ancestral())), 8)
    theirs = follow(prober(solved(Ancestral()), backend="torch"), 8)
    np.testing.assert_allclose(theirs.local, ours.local, rtol=1e-6)
    np.testing.assert_allclose(theirs.drift, ours.drift, rtol=1e-6, atol=1e-9)


def test_histories_of_noise_are_not_checked():
    """A stochastic multistep rule: what the state leaves open acts on."""
    found = verdict(solved(ExponentialMultistep(2, Rule(eta=1.0), start="lower")), 1)
    assert isinstance(found, NotChecked)
    assert "adapter that gives it its history" in found.reason


def test_stages_are_no_steps():
    """A rule of order two that spends two of the steps it is given on each of its own."""

    def midpoint(problem, n, *, steps, rng):
        x, times = problem.prior(n, rng=rng), problem.times(steps)
        for t, r, s in zip(times[:-1:2], times[1::2], times[2::2], strict=True):
            y = x - (t - r) * problem.velocity(x, t)
            x = x - (t - s) * problem.velocity(y, r)
        return x

    path = Path.of(prober(midpoint))
    assert path.staged
    assert isinstance(step_order(path, 2.0, {}), NotChecked)
    assert path.wrong(2.0) is None


def test_what_cannot_be_followed_says_why():
    def adaptive(problem, n, *, steps, rng):
        x = problem.prior(n, rng=rng)
        for i, (t, s) in enumerate(pairwise(problem.times(steps))):
            for _ in range(1 + i % 3):
                v = problem.velocity(x, t)
            x = x - (t - s) * v
        return x

    report = check_sampler(adaptive, problems=[SLANTED], steps=(8,), tolerance=0.4)
    (missing,) = [m for m in report.not_checked if m.claim == "step-order"]
    assert "not placed alike" in missing.reason

    def exact(problem, n, *, steps, rng):
        x = problem.prior(n, rng=rng)
        for t, s in pairwise(problem.times(steps)):
            problem.score(x, t)
            x = problem.flow_map(x, float(t), float(s))
        return x

    report = check_sampler(exact, problems=[SLANTED], steps=(8,), tolerance=0.4)
    (missing,) = [m for m in report.not_checked if m.claim == "step-order"]
    assert "exact up to rounding" in missing.reason
