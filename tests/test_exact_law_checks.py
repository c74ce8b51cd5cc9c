"""check_sampler where the law of the output is known: exact on Gaussian data, quadrature in one dimension."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from scoreproof.numerics import DDIM, Ancestral, EigenLaw, GaussianReverse, Heun
from scoreproof.numerics.gaussian_law import run
from scoreproof.numerics.pushforward import Levels, against, pushforward, start_points
from scoreproof.theory import EDM, VP, Gaussian, GaussianMixture, PointMasses
from scoreproof.validation import PROBLEMS, Outcome, Problem, check_sampler

LINE = Problem("line", GaussianMixture([0.6, 0.4], [[-1.0], [1.5]], [0.2, 0.5]), VP(), t_min=1e-3)
PLANE = Problem(
    "plane", Gaussian([1.5, -0.8], [[1.1, 0.55], [0.55, 0.4]]), EDM(sigma_max=20.0), t_min=0.02
)


def solved(solver, change=lambda x: x):
    def sampler(problem, n, *, steps, rng):
        x = problem.prior(n, rng=rng)
        return change(solver.sample(problem.score, problem.sde, x, problem.times(steps), rng=rng))

    return sampler


ddim, ancestral = solved(DDIM()), solved(Ancestral())


def laws(sampler, problem=PLANE, **given):
    given = {"steps": (16, 64), "tolerance": 0.1} | given
    report = check_sampler(sampler, problems=[problem], **given)
    for verdict in report.verdicts:
        assert verdict.mutants or verdict.outcome is Outcome.ERROR
        assert all(m.outcome is Outcome.REFUTED for m in verdict.mutants)
    return report.find("law")


def kinds(verdicts):
    return {e.kind for v in verdicts for e in v.evidence}


def test_the_number_is_that_of_the_closed_recursion():
    reverse = GaussianReverse(EigenLaw.of(PLANE.law), PLANE.sde)
    for verdict in laws(ancestral):
        assert verdict.outcome is Outcome.SUPPORTED
        (piece,) = verdict.evidence
        assert piece.kind == "exact"
        assert piece.measured is not None and piece.allowed is not None
        times = PLANE.times(verdict.subject["steps"])
        closed = run(reverse.marginal(PLANE.t_max), reverse.ancestral, times)
        assert piece.measured.value == pytest.approx(closed.w2(EigenLaw.of(PLANE.law)), rel=1e-9)
        assert piece.measured.high - piece.measured.low < 1e-10
        assert piece.allowed.high == pytest.approx(
            np.sqrt(1.5) * 0.1 * 64 / verdict.subject["steps"]
        )
        assert verdict.exact_refuted


def test_the_torch_version_gives_the_same_numbers():
    ours, theirs = laws(ancestral), laws(ancestral, backend="torch")
    for a, b in zip(ours, theirs, strict=True):
        assert b.evidence[0].kind == "exact"
        assert b.evidence[0].value == pytest.approx(a.evidence[0].value, rel=1e-9)


def test_wrong_samplers_are_refuted_without_sampling():
    for wrong in (
        solved(DDIM(), lambda x: x + 0.3),
        solved(DDIM(), lambda x: 1.3 * x),
        solved(Ancestral(), lambda x: x[:, ::-1]),
    ):
        coarse, fine = laws(wrong)
        assert fine.outcome is Outcome.REFUTED
        assert fine.evidence[0].kind == "exact"
        assert fine.diagnosis is not None
        assert "eigen-direction" in fine.diagnosis.text
        assert coarse.subject["steps"] == 16


@pytest.mark.parametrize("name", ["gaussian-1d", "mixture-1d", "uniform-1d", "laplace-1d"])
def test_one_dimension_needs_no_draws(name):
    verdicts = laws(ddim, PROBLEMS[name], steps=(32,))
    assert kinds(verdicts) == {"exact" if name == "gaussian-1d" else "quadrature"}
    assert verdicts[0].outcome is Outcome.SUPPORTED
    wrong = laws(solved(DDIM(), lambda x: x * 1.2), PROBLEMS[name], steps=(32,))
    assert wrong[0].outcome is Outcome.REFUTED


def test_a_nonlinear_sampler_on_a_one_dimensional_gaussian_is_pushed():
    clipped = solved(DDIM(), lambda x: np.clip(x, 0.2, 2.4))
    (verdict,) = laws(clipped, PROBLEMS["gaussian-1d"], steps=(64,))
    assert kinds([verdict]) == {"quadrature"}
    assert verdict.outcome is Outcome.SUPPORTED  # three per mille of the mass at either end
    assert laws(solved(DDIM(), lambda x: np.clip(x, 1.2, 1.5)), PROBLEMS["gaussian-1d"])[
        1
    ].outcome is (Outcome.REFUTED)


def test_the_pushforward_is_the_exact_law_of_a_gaussian():
    problem = PROBLEMS["gaussian-1d"]
    levels = Levels.of()
    start = start_points(problem.marginal(problem.t_max), levels)
    reverse = GaussianReverse(EigenLaw.of(problem.law), problem.sde)
    for steps in (8, 64):
        times = problem.times(steps)
        pushed = pushforward(
            lambda x, times=times: DDIM().sample(problem.score, problem.sde, x, times),
            start,
            problem.law,
            levels,
        )
        closed = run(reverse.marginal(problem.t_max), reverse.ddim, times)
        truth = closed.w2(EigenLaw.of(problem.law))
        assert pushed.w2.low <= truth <= pushed.w2.high
        assert pushed.w2.high - pushed.w2.low < 1e-9
        # W1 of two Gaussians with the same mean is sqrt(2/pi) times the difference of deviations
        assert pushed.folds == 0


def test_numbers_of_known_maps():
    levels, normal = Levels.of(), Gaussian([0.0], [1.0])
    shifted = against(levels.s + 0.3, normal, levels)
    for distance in (shifted.w1, shifted.w2):
        assert distance.low <= 0.3 <= distance.high
    # 2 Phi(0.15) - 1
    assert shifted.kolmogorov.value == pytest.approx(0.1192353, abs=1e-5)
    # a map that folds: the law of -s is that of s, and |s| is half-normal
    assert against(-levels.s, normal, levels).w2.value < 1e-3
    folded = against(np.abs(levels.s), normal, levels)
    assert folded.folds == 512
    assert folded.kolmogorov.value == pytest.approx(0.5, abs=1e-2)
    assert folded.mean == pytest.approx(np.sqrt(2 / np.pi), rel=1e-4)
    # quantiles of the target itself
    law = GaussianMixture([0.7, 0.3], [[-1.0], [2.0]], [0.1, 0.4])
    assert against(start_points(law, levels)[:, 0], law, levels).w2.value < 1e-10
    with pytest.raises(ValueError, match="intervals: got 7"):
        Levels.of(7)
    with pytest.raises(ValueError, match="one-dimensional"):
        start_points(PLANE.law, levels)


def test_folding_maps_are_sorted():
    (verdict,) = laws(solved(Heun()), PROBLEMS["laplace-1d"], steps=(4,), tolerance=0.4)
    assert "folds" in verdict.finding
    assert verdict.outcome is Outcome.SUPPORTED


def test_the_usual_start_is_pushed_too():
    problem = Problem("usual", LINE.law, VP(), t_min=1e-3, start="prior")
    (verdict,) = laws(ddim, problem, steps=(64,))
    assert kinds([verdict]) == {"quadrature"}
    atoms = Problem("atoms", PointMasses(np.array([[-1.0], [0.5], [2.0]])), VP(), t_min=1e-2)
    (verdict,) = laws(ddim, atoms, steps=(64,), tolerance=0.3)
    assert verdict.outcome is Outcome.SUPPORTED


def _clip(problem, n, *, steps, rng):
    return np.clip(ancestral(problem, n, steps=steps, rng=rng), -2.2, 4.0)


def _mix(problem, n, *, steps, rng):
    x = ancestral(problem, n, steps=steps, rng=rng)
    return x + 1e-3 * (x.mean(axis=0) - problem.law.mean)


def _mix_after_the_first_steps(problem, n, *, steps, rng):
    x = ancestral(problem, n, steps=steps, rng=rng)
    return x if steps == 64 else x + 1e-3 * (x.mean(axis=0) - problem.law.mean)


def _world(problem, n, *, steps, rng):
    return ancestral(problem, n, steps=steps, rng=np.random.default_rng(np.random.randint(2**31)))  # noqa: NPY002


def _uniforms(problem, n, *, steps, rng):
    x = ancestral(problem, n, steps=steps, rng=rng)
    return x + 1e-3 * (rng.random(x.shape) - 0.5)


@pytest.mark.parametrize(
    ("sampler", "words"),
    [
        (_clip, "not affine"),
        (_mix, "rows depend on each other"),
        (_mix_after_the_first_steps, "rows depend on each other"),
        (_uniforms, "rng.random"),
        (_world, "off the map|not affine"),
    ],
)
def test_what_is_not_affine_is_judged_on_samples_and_says_so(sampler, words):
    first = laws(sampler, tolerance=0.3, steps=(32, 64))[0]
    assert kinds([first]) <= {"confidence", "test"}
    assert any(w in first.finding for w in words.split("|")), first.finding
    assert first.finding.startswith("Judged on samples: ")
    assert any("judged on samples" in a for a in first.assumptions)
    assert first.outcome is Outcome.SUPPORTED


def test_stochastic_samplers_of_other_laws_are_judged_on_samples():
    (line,) = laws(ancestral, LINE, steps=(64,), tolerance=0.3)
    assert "draws noise on the way" in line.finding
    (two,) = laws(ddim, PROBLEMS["mixture-2d"], steps=(64,), tolerance=0.3)
    assert "not Gaussian" in two.finding


def test_samplers_that_fail_or_change_their_input():
    def writes(problem, n, *, steps, rng):
        x = problem.prior(n, rng=rng)
        for t, s in pairwise(problem.times(steps)):
            x += (s - t) * problem.velocity(x, t)
        return x

    assert kinds(laws(writes)) == {"exact"}
    assert kinds(laws(writes, LINE)) == {"quadrature"}

    def half(problem, n, *, steps, rng):
        return ancestral(problem, n, steps=steps, rng=rng).astype(np.float16)

    def bad(problem, n, *, steps, rng):
        x = ancestral(problem, n, steps=steps, rng=rng)
        return x if n == 37 else x * np.nan

    assert not check_sampler(half, problems=[PLANE], steps=(8,), tolerance=0.3).find("law")
    report = check_sampler(bad, problems=[PLANE], steps=(64,), tolerance=0.3)
    (law,) = report.find("law")
    assert law.outcome is Outcome.ERROR
    assert "not finite" in law.evidence[0].message
    assert "not finite" in law.finding
    assert report.find("finite")[0].outcome is Outcome.SUPPORTED


def test_in_a_process_of_its_own():
    (verdict,) = laws(ancestral, steps=(16,), timeout=60.0)
    assert kinds([verdict]) == {"exact"}


def test_single_precision_is_said():
    def single(problem, n, *, steps, rng):
        x = problem.prior(n, rng=rng).to(torch.float32)
        times = problem.times(steps)
        return Ancestral().sample(problem.score, problem.sde, x, times, rng=rng)

    (verdict,) = laws(single, backend="torch", dtype="float32", steps=(64,))
    assert kinds([verdict]) == {"exact"}
    assert any("float32" in a for a in verdict.assumptions)
    assert verdict.outcome is Outcome.SUPPORTED


def test_where_nothing_could_be_refuted_the_row_is_not_checked():
    report = check_sampler(ddim, problems=[PLANE], steps=(8, 128), tolerance=0.1)
    assert [v.subject["steps"] for v in report.find("law")] == [128]
    (missing,) = [n for n in report.not_checked if n.claim == "law"]
    assert "1.6" in missing.reason
