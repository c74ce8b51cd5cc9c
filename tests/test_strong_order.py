"""Strong order from exact maps, against coupled simulations."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scoreproof.numerics import Ancestral, EulerMaruyama, Heun, probe
from scoreproof.numerics.strong_order import coupled_gap, strong_order
from scoreproof.theory import VP, Gaussian
from scoreproof.validation import Problem, check_sampler

SLANTED = Problem("slanted", Gaussian([1.5, -0.8], [[1.1, 0.55], [0.55, 0.4]]), VP(), t_min=1e-3)


def solved(solver):
    def sampler(problem, n, *, steps, rng):
        x = problem.prior(n, rng=rng)
        times = np.linspace(problem.t_max, problem.t_min, steps + 1)
        return solver.sample(problem.score, problem.sde, x, times, rng=rng)

    return sampler


COUNTS = (16, 32, 64, 128, 256)


def laws(sampler, counts=COUNTS):
    return [probe(sampler, SLANTED, n, rng=np.random.default_rng(0)) for n in counts]


def _strong(solver):
    return strong_order(laws(solved(solver)), COUNTS)


def _stepped(x, times, normals):
    """Euler-Maruyama written out, with given normals."""
    for (t, s), z in zip(pairwise(times), normals, strict=True):
        h, beta = t - s, float(SLANTED.sde.diffusion(t)) ** 2
        x = x + h * (beta / 2 * x + beta * SLANTED.score(x, t)) + math.sqrt(beta * h) * z
    return x


def test_the_gap_is_that_of_runs_on_one_brownian_path():
    n, steps = 20_000, 32
    rng = np.random.default_rng(3)
    start = SLANTED.prior(n, rng=rng)
    fine = rng.standard_normal((2 * steps, n, 2))
    coarse = (fine[::2] + fine[1::2]) / math.sqrt(2)
    ends = [_stepped(start, np.linspace(1, SLANTED.t_min, len(z) + 1), z) for z in (coarse, fine)]
    simulated = math.sqrt(((ends[0] - ends[1]) ** 2).sum(axis=1).mean())
    few, many = laws(solved(EulerMaruyama()), (steps, 2 * steps))
    equal = [math.pi / 4] * steps
    # The mean square of n draws is off by 3 % at five standard errors, its root by half of that.
    assert _gap(few, many, equal) == pytest.approx(simulated, rel=0.015)
    grid = np.linspace(0, math.pi / 2, 1001)
    best = [min(grid, key=lambda a: _pair(few, many, k, a)) for k in range(steps)]
    # At the least of a smooth function a grid of 1.6e-3 misses nothing that is seen here.
    assert coupled_gap(few, many) == pytest.approx(_gap(few, many, best), rel=1e-4)


def _pair(few, many, k, a):
    one, (first, second) = few.gains[k], many.gains[2 * k : 2 * k + 2]
    return ((math.cos(a) * one - first) ** 2).sum() + ((math.sin(a) * one - second) ** 2).sum()


def _gap(few, many, angles):
    still = ((few.offset - many.offset) ** 2).sum() + ((few.start - many.start) ** 2).sum()
    return math.sqrt(still + sum(_pair(few, many, k, a) for k, a in enumerate(angles)))


@pytest.mark.parametrize("solver", [EulerMaruyama(), Ancestral()], ids=repr)
def test_additive_noise_gives_order_one(solver):
    found = _strong(solver)
    assert found is not None
    assert found.convergence.low - 0.05 <= 1 <= found.convergence.high + 0.05
    assert found.convergence.local[-1] > 0.75


def test_another_noise_at_every_count_has_no_strong_order():
    """Normals that are turned at random have the same law, and no path in common."""

    def turned(problem, n, *, steps, rng):
        x = problem.prior(n, rng=rng)
        angle = np.random.default_rng(steps).uniform(0, 2 * np.pi, steps)
        times = np.linspace(problem.t_max, problem.t_min, steps + 1)
        normals = []
        for a in angle:
            c, s = math.cos(a), math.sin(a)
            normals.append(rng.standard_normal((n, 2)) @ np.array([[c, -s], [s, c]]))
        return _stepped(x, times, normals)

    plain, odd = laws(solved(EulerMaruyama())), laws(turned)
    np.testing.assert_allclose(odd[-1].covariance, plain[-1].covariance, atol=1e-12)
    first, last = coupled_gap(*odd[:2]), coupled_gap(*odd[-2:])
    assert first is not None and last is not None
    assert last > 0.5 * first  # of order one it would be an eighth
    assert strong_order(odd, COUNTS) is None


def test_deterministic_samplers_have_none():
    assert _strong(Heun()) is None


def test_the_report_says_it():
    report = check_sampler(solved(EulerMaruyama()), problems=[SLANTED], steps=(16, 32), order=1.0)
    (verdict,) = report.find("order")
    (piece,) = [e for e in verdict.evidence if e.check == "strong-order"]
    assert not piece.deciding
    assert piece.value == pytest.approx(1, abs=0.1)
    assert "for the same noise" in verdict.finding
