"""Known mistakes are named when strangers make them, and nobody else is accused."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scoreproof.numerics import DDIM, Ancestral, EulerMaruyama, Heun, probe
from scoreproof.numerics.exponential import Rule
from scoreproof.numerics.multistep import ExponentialMultistep
from scoreproof.theory import VE, VP, Gaussian
from scoreproof.validation import Outcome, Problem, check_sampler
from scoreproof.validation.adapters.target import sampler_at
from scoreproof.validation.fingerprints import MUTATIONS, NONE, fingerprints, nearest
from scoreproof.validation.sampler_checks.calls import Caller
from scoreproof.validation.sampler_checks.diagnoses import Diagnoses
from scoreproof.validation.sampler_checks.exact import Prober

from .strangers import STRANGERS

SLANTED = Problem("slanted", Gaussian([1.5, -0.8], [[1.1, 0.55], [0.55, 0.4]]), VP(), t_min=1e-3)
WIDE = Problem(
    "wide", Gaussian([1.5, -0.8], [[1.1, 0.55], [0.55, 0.4]]), VE(0.02, 20.0), t_min=0.05
)


def solved(solver, grid=None):
    def sampler(problem, n, *, steps, rng):
        x = problem.prior(n, rng=rng)
        times = problem.times(steps) if grid is None else grid(problem, steps)
        return solver.sample(problem.score, problem.sde, x, times, rng=rng)

    return sampler


def likely(sampler, problem=SLANTED, steps=8, **given) -> Any:
    law = probe(sampler, problem, steps, rng=np.random.default_rng(0))
    return nearest(law, problem, steps, **given)


SOUND = {
    "Euler-Maruyama": EulerMaruyama(),
    "Euler on the probability flow": EulerMaruyama(eta=0.0),
    "DDIM": DDIM(),
    "DDIM with eta = 1": DDIM(eta=1.0),
    "DDIM with eta = 0.5": DDIM(eta=0.5),
    "DDPM, posterior variance": Ancestral(),
    "DDPM, forward variance": Ancestral("forward"),
    "Heun in t": Heun(),
    "Heun in sigma": Heun("sigma"),
    "exponential Adams-Bashforth": ExponentialMultistep(2, start="lower"),
    "Adams-Bashforth in sigma": ExponentialMultistep(
        2, Rule("noise", "noise-level"), start="lower"
    ),
}


def test_there_are_many_mutations_and_each_has_a_name():
    wrong = [m for m in MUTATIONS if not m.sound]
    assert len({(m.slip.name, m.solver.name) for m in wrong}) > 400
    assert len({m.solver.name for m in wrong}) >= 15
    assert len({m.slip.name for m in wrong}) >= 40


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("problem", [SLANTED, WIDE], ids=lambda p: p.name)
def test_the_references_are_the_solvers_of_the_package(name, problem):
    """Two routes: rows of an affine map in the eigenbasis, and the solvers on designed noise."""
    found = likely(solved(SOUND[name]), problem)
    assert found.cause == NONE
    assert name in found.text
    # roots of covariances of rank d keep half of the digits at worst
    assert found.distance < 1e-7


@pytest.mark.parametrize(("sampler", "order", "slip", "solver"), STRANGERS)
def test_strangers_are_recognised(sampler, order, slip, solver):
    """By the map itself: no stranger shares code with the references."""
    found = likely(sampler, steps=7, order=order)
    assert slip in found.cause, found
    assert solver in found.cause, found
    # roots of covariances of rank d keep half of the digits at worst
    assert found.distance < 1e-6
    assert found.runner_up is not None


#: The others take the same way through the harness; all of them took it once.
THROUGH = (0, 6, 11, 14, 19, 24, 28)


@pytest.mark.parametrize(("sampler", "order", "slip", "solver"), [STRANGERS[k] for k in THROUGH])
def test_the_harness_names_them(sampler, order, slip, solver):
    report = check_sampler(sampler, problems=[SLANTED], order=order, steps=(8,), tolerance=1e-3)
    failed = [v for v in report.verdicts if v.outcome is Outcome.REFUTED]
    assert failed
    for verdict in failed:
        diagnosis: Any = verdict.diagnosis
        assert slip in diagnosis.cause
        assert diagnosis.distance < 1e-6
        assert diagnosis.text.startswith("likely cause: ")
    stored = json.loads(report.to_json())["verdicts"]
    assert any(v["diagnosis"] and slip in v["diagnosis"]["cause"] for v in stored)


def test_what_makes_no_difference_is_no_mistake():
    """Without a linear drift a drift of the wrong sign is the right one."""
    drift = next(s for s, *_ in STRANGERS if s.__name__ == "em_drift_sign")
    found = likely(drift, WIDE)
    assert found.cause == NONE
    assert "Euler-Maruyama, a sound method" in found.text


def test_equal_maps_are_named_together():
    def quiet(problem, n, *, steps, rng):
        x = problem.prior(n, rng=rng)
        for t, s in pairwise(problem.times(steps)):
            kernel = problem.sde.kernel(t, s)
            x = (x + float(kernel.variance) * problem.score(x, t)) / float(kernel.scale)
        return x

    cause = likely(quiet).cause
    assert cause.startswith("no noise is added (in ")
    assert "posterior variance" in cause
    assert "forward variance" in cause


def test_an_order_below_the_declared_one_has_the_name_of_the_method():
    assert likely(solved(DDIM()), order=2.0).cause.startswith("a method of order 1: DDIM")
    assert likely(solved(Heun()), order=2.0).cause == NONE


def test_mistakes_of_nobody_get_no_name():
    rng = np.random.default_rng(5)
    accused = 0
    for _ in range(8):
        noise = rng.standard_normal(4)

        def odd(problem, n, *, steps, rng, noise=noise):
            x = problem.prior(n, rng=rng)
            for t, s in pairwise(problem.times(steps)):
                v = problem.velocity(x, t) * (1 + 0.4 * noise[0] * np.cos(5 * t + noise[1]))
                x = x + (s - t) * v + 0.1 * noise[2]
            return x * (1 + 0.1 * noise[3])

        accused += likely(odd).cause != NONE
    assert accused == 0


@pytest.mark.parametrize("name", ["DDIM", "Heun in t", "DDPM, posterior variance"])
def test_sound_samplers_that_are_too_coarse_are_not_accused(name):
    solver = SOUND[name]
    report = check_sampler(
        solved(solver), problems=[SLANTED], order=solver.order, steps=(8,), tolerance=1e-3
    )
    (law,) = report.find("law")
    assert law.outcome is Outcome.REFUTED
    assert law.diagnosis is not None
    assert law.diagnosis.cause == NONE
    assert "sound method" in law.diagnosis.text
    assert "first wrong step" not in law.diagnosis.text


def test_the_grid_is_seen_from_the_times_told():
    told = []

    def line(problem, steps):
        return np.linspace(problem.t_max, problem.t_min, steps + 1)

    def power(problem, steps):
        return problem.t_min + (problem.t_max - problem.t_min) * np.linspace(1, 0, steps + 1) ** 3

    for grid in (line, power):

        def wrong(problem, n, *, steps, rng, grid=grid):
            told.clear()
            x = problem.prior(n, rng=rng)
            for t, s in pairwise(grid(problem, steps)):
                told.append(t)
                g = float(problem.sde.diffusion(t))
                x = x - (t - s) * (float(problem.sde.drift(t)) * x - g**2 * problem.score(x, t))
                x = x + g * (t - s) * rng.standard_normal(x.shape)
            return x

        law = probe(wrong, SLANTED, 8, rng=np.random.default_rng(0))
        found: Any = nearest(law, SLANTED, 8, told=list(told))
        assert "lacks the square root of the step (in Euler-Maruyama)" in found.cause
        report = check_sampler(wrong, problems=[SLANTED], steps=(8,), tolerance=0.01)
        diagnosis: Any = report.find("law")[0].diagnosis
        assert "lacks the square root" in diagnosis.cause


def test_a_start_of_its_own_is_judged_by_the_law_alone():
    sd = float(SLANTED.sde.kernel(SLANTED.t_max).std)

    def own(problem, n, *, steps, rng, width=sd):
        x = width * rng.standard_normal((n, *problem.shape))
        for t, s in pairwise(problem.times(steps)):
            x = x + (s - t) * problem.velocity(x, t)
        return x

    assert likely(own).cause == NONE
    twice = likely(lambda *a, **k: own(*a, **k, width=2 * sd))
    assert "the start is twice too wide (in Euler on the probability flow)" in twice.cause


def test_maps_of_different_mutations_differ():
    """Through both clocks of a drift and a scale that are there, most mistakes leave their own trace."""
    known = [k for k in fingerprints(SLANTED, 8) if not k.mutation.sound]
    images = np.array(
        [np.concatenate([k.image.shift, k.image.gain, k.image.noise]) for k in known]
    )
    keep = (np.abs(images) < 1e3).all(axis=1)
    assert keep.mean() > 0.8
    rounded = {tuple(np.round(row, 9)) for row in images[keep]}
    assert len(rounded) > 0.6 * keep.sum()


def test_a_stride_that_is_rounded_down_is_named_in_a_library():
    """A known mistake of a released scheduler; where the stride divides the schedule it does not show."""
    pytest.importorskip("diffusers")
    sampler = sampler_at("diffusers:DDIMScheduler?timestep_spacing=trailing")
    problem = sampler.truth(SLANTED)
    prober = Prober(Caller(sampler, "torch"), problem, False)
    for steps, words in ((10, NONE), (30, "steps go to t - T//n, rounded down")):
        found: Any = Diagnoses(prober, (steps,), None).likely
        assert found.cause.startswith(words)
        assert "DDIM" in found.text
