"""Exact laws by probing: equal to closed recursions, to draws and to torch; refused with a reason where they must."""

from __future__ import annotations

import math
from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest
import torch
from scoreproof.numerics import (
    DDIM,
    Ancestral,
    EigenLaw,
    EulerMaruyama,
    GaussianReverse,
    Heun,
    Refused,
    probe,
)
from scoreproof.numerics.distances import GaussianGap, kl_gaussian, w2_gaussian
from scoreproof.numerics.gaussian_law import run
from scoreproof.numerics.solvers import ExponentialEuler
from scoreproof.theory import EDM, VP, Gaussian, GaussianMixture
from scoreproof.validation import PROBLEMS, Problem

PLANE = PROBLEMS["gaussian-2d"]
EIGHT = PROBLEMS["gaussian-8d"]
IMAGE = Problem("image", EIGHT.law, VP(), t_min=1e-3, shape=(2, 4), start="prior")


def solved(solver):
    def sampler(problem, n, *, steps, rng):
        x = problem.prior(n, rng=rng)
        flat = x.reshape(n, -1)
        score = lambda y, t: problem.score(y.reshape(x.shape), t).reshape(n, -1)  # noqa: E731
        out = solver.sample(score, problem.sde, flat, problem.times(steps), rng=rng)
        return out.reshape(x.shape)

    return sampler


def walk(problem, n, *, steps, rng, change=lambda x: x, noise=None):
    """Euler-Maruyama as users write it, with a place for what they add to it."""
    noise = noise or (lambda x: rng.standard_normal(x.shape))
    x = problem.prior(n, rng=rng)
    for t, s in pairwise(problem.times(steps)):
        f, g = float(problem.sde.drift(t)), float(problem.sde.diffusion(t))
        drift = f * x - g**2 * problem.score(x, t)
        x = change(x + drift * (s - t) + g * np.sqrt(t - s) * noise(x))
    return x


def numbers(seed=0):
    return np.random.default_rng(seed)


def close(a, b, scale=1.0):
    # 128 steps of a few operations each, in float64: a thousand ulps of the largest entry.
    assert np.abs(a - b).max() <= 1e-12 * max(scale, float(np.abs(b).max()))


RULES = [
    (EulerMaruyama(), lambda r: r.euler_maruyama),
    (EulerMaruyama(eta=0.0), lambda r: lambda t, s: r.euler_maruyama(t, s, eta=0.0)),
    (Ancestral(), lambda r: r.ancestral),
    (
        Ancestral(variance="forward"),
        lambda r: lambda t, s: r.ancestral(t, s, forward_variance=True),
    ),
    (DDIM(), lambda r: r.ddim),
    (DDIM(eta=0.6), lambda r: lambda t, s: r.ddim(t, s, eta=0.6)),
    (Heun(), lambda r: r.heun),
]


@pytest.mark.parametrize("problem", [PROBLEMS["gaussian-1d"], PLANE, EIGHT], ids=lambda p: p.name)
@pytest.mark.parametrize(("solver", "rule"), RULES)
def test_probing_gives_the_law_of_the_closed_recursion(problem, solver, rule):
    reverse = GaussianReverse(EigenLaw.of(problem.law), problem.sde)
    for steps in (7, 48):
        law = probe(solved(solver), problem, steps, rng=numbers())
        closed = run(reverse.marginal(problem.t_max), rule(reverse), problem.times(steps))
        mean, covariance = closed.gaussian()
        close(law.mean, mean)
        close(law.covariance, covariance)
        assert not law.single
        w2 = closed.w2(EigenLaw.of(problem.law))
        assert law.gap(problem.law).w2() == pytest.approx(w2, rel=1e-9, abs=law.radius)


def test_the_parts_of_the_map_make_the_covariance():
    law = probe(solved(ExponentialEuler()), IMAGE, 9, rng=numbers())
    assert law.start is not None and law.gains is not None
    assert law.start.shape == (8, 8)
    assert [g.shape for g in law.gains] == [(8, 8)] * 9
    close(law.start @ law.start.T + sum(g @ g.T for g in law.gains), law.covariance)
    assert law.rows >= 8 * 10


def test_the_law_is_that_of_draws():
    """Mean and covariance of 100,000 draws, within five standard errors in every entry."""
    n = 100_000
    x = solved(Ancestral())(PLANE, n, steps=12, rng=numbers(5))
    law = probe(solved(Ancestral()), PLANE, 12, rng=numbers())
    c = law.covariance
    assert (np.abs(x.mean(axis=0) - law.mean) <= 5 * np.sqrt(np.diag(c) / n)).all()
    fluctuation = np.sqrt((np.outer(np.diag(c), np.diag(c)) + c**2) / n)
    assert (np.abs(np.cov(x.T) - c) <= 5 * fluctuation).all()


@pytest.mark.parametrize("solver", [EulerMaruyama(), DDIM()])
def test_torch_gives_the_same_law(solver):
    ours = probe(solved(solver), EIGHT, 10, rng=numbers())
    other = probe(solved(solver), EIGHT, 10, rng=torch.Generator().manual_seed(1))
    close(other.mean, ours.mean)
    close(other.covariance, ours.covariance)


@pytest.mark.parametrize(
    "noise",
    [
        lambda rng: lambda x: torch.randn(x.shape, generator=rng, dtype=x.dtype),
        lambda rng: lambda x: torch.randn(*x.shape, dtype=x.dtype),
        lambda rng: lambda x: torch.randn(size=x.shape, dtype=x.dtype),
        lambda rng: lambda x: torch.randn_like(x),
        lambda rng: lambda x: torch.empty_like(x).normal_(generator=rng),
        lambda rng: lambda x: (torch.empty_like(x).normal_(1.0, 2.0) - 1) / 2,
        lambda rng: lambda x: torch.normal(0.0, 1.0, x.shape, dtype=x.dtype),
        lambda rng: lambda x: torch.normal(torch.zeros_like(x), torch.ones_like(x)),
        lambda rng: lambda x: torch.distributions.Normal(0 * x, 1.0).sample(),
        lambda rng: lambda x: torch.jit.script(_scripted)(x),
    ],
)
def test_all_ways_to_draw_normals_in_torch_are_heard(noise):
    def sampler(problem, n, *, steps, rng):
        made = noise(rng)
        return walk(problem, n, steps=steps, rng=rng, noise=made)

    state, plain = torch.get_rng_state(), torch.randn
    law = probe(sampler, PLANE, 6, rng=torch.Generator().manual_seed(1))
    torch.set_rng_state(state)
    assert torch.randn is plain
    close(law.covariance, probe(walk, PLANE, 6, rng=numbers()).covariance)


def _scripted(x: torch.Tensor) -> torch.Tensor:
    return torch.randn_like(x)


@pytest.mark.parametrize(
    "noise",
    [
        lambda rng: lambda x: rng.normal(size=x.shape),
        lambda rng: lambda x: rng.normal(0.0, np.full(x.shape, 2.0)) / 2,
        lambda rng: lambda x: rng.multivariate_normal(np.zeros(2), np.eye(2), len(x)),
        lambda rng: lambda x: rng.standard_normal(out=np.empty(x.shape)),
        lambda rng: lambda x: rng.spawn(1)[0].standard_normal(x.shape),
        lambda rng: lambda x: rng.standard_normal(x.shape[::-1]).T,
        lambda rng: lambda x: rng.standard_normal((3, *x.shape)).sum(axis=0) / math.sqrt(3),
    ],
)
def test_all_ways_to_draw_normals_in_numpy_are_heard(noise):
    def sampler(problem, n, *, steps, rng):
        assert isinstance(rng, np.random.Generator)
        return walk(problem, n, steps=steps, rng=rng, noise=noise(rng))

    law = probe(sampler, PLANE, 6, rng=numbers())
    close(law.covariance, probe(walk, PLANE, 6, rng=numbers()).covariance)


def test_a_recording_generator_gives_the_bits_of_the_plain_one():
    from scoreproof.numerics.designed_noise import tapped
    from scoreproof.numerics.noise_log import NoiseLog

    calls = [
        lambda g: g.standard_normal((5, 2)),
        lambda g: g.standard_normal(5, dtype=np.float32),
        lambda g: g.normal(1.5, 0.3, (5, 2)),
        lambda g: g.multivariate_normal([1.0, 2.0], [[2.0, 0.3], [0.3, 1.0]], 5),
        lambda g: g.spawn(1)[0].standard_normal(5),
        lambda g: g.random(5),
        lambda g: g.integers(9, size=5),
        lambda g: g.standard_normal(),
    ]
    for call in calls:
        with tapped(numbers(3), NoiseLog(5)) as given:
            assert np.array_equal(call(given), call(numbers(3)))


def test_float32_inside_is_noticed_and_costs_digits_only():
    exact = probe(walk, PLANE, 16, rng=numbers())
    coarse = probe(
        lambda p, n, **k: walk(p, n, **k, change=lambda x: x.astype(np.float32).astype(float)),
        PLANE,
        16,
        rng=numbers(),
    )
    assert coarse.single
    # twenty-four bits, of states up to a hundred times the size of the output
    assert 1e-8 < coarse.defect < 1e-4
    truth = exact.gap(PLANE.law).w2()
    assert abs(coarse.gap(PLANE.law).w2() - truth) <= coarse.radius
    assert coarse.radius < 1e-3


def _clipped(problem, n, *, steps, rng):
    return walk(problem, n, steps=steps, rng=rng, change=lambda x: np.clip(x, -60, 60))


def _clipped_data(problem, n, *, steps, rng):
    return np.maximum(walk(problem, n, steps=steps, rng=rng), problem.law.mean - 3.5)


def _mixed(problem, n, *, steps, rng):
    return walk(problem, n, steps=steps, rng=rng, change=lambda x: x + 1e-3 * x.mean(axis=0))


def _mixed_by_size(problem, n, *, steps, rng):
    return walk(
        problem, n, steps=steps, rng=rng, change=lambda x: x * (1 + 1e-3 * np.linalg.norm(x))
    )


def _foreign(problem, n, *, steps, rng):
    own = np.random.default_rng(7)
    return walk(problem, n, steps=steps, rng=rng, noise=lambda x: own.standard_normal(x.shape))


def _uniform(problem, n, *, steps, rng):
    return walk(problem, n, steps=steps, rng=rng, noise=lambda x: rng.random(x.shape) - 0.5)


def _shared(problem, n, *, steps, rng):
    return walk(problem, n, steps=steps, rng=rng, noise=lambda x: rng.standard_normal((1, 2)))


def _one_by_one(problem, n, *, steps, rng):
    return walk(
        problem,
        n,
        steps=steps,
        rng=rng,
        noise=lambda x: np.stack([rng.standard_normal(2) for _ in x]),
    )


def _raw(problem, n, *, steps, rng):
    own = np.random.Generator(rng.bit_generator)
    return walk(problem, n, steps=steps, rng=rng, noise=lambda x: own.standard_normal(x.shape))


def _first_row(problem, n, *, steps, rng):
    x = walk(problem, n, steps=steps, rng=rng)
    x[5] += 1.0
    return x


@pytest.mark.parametrize(
    ("sampler", "words"),
    [
        (_clipped, "not affine"),
        (_clipped_data, "not affine"),
        (_mixed, "rows depend on each other"),
        (_mixed_by_size, "rows depend on each other"),
        (_foreign, "off the map|not affine"),
        (_uniform, "rng.random"),
        (_shared, "without one axis"),
        (_one_by_one, "without one axis"),
        (_raw, "bit generator"),
        (_first_row, "off the map|not affine"),
    ],
)
def test_refused_with_the_reason(sampler, words):
    with pytest.raises(Refused, match=words):
        probe(sampler, PLANE, 8, rng=numbers())


def test_other_randomness_of_torch_is_named():
    def masked(problem, n, *, steps, rng):
        x = problem.prior(n, rng=rng)
        return x * torch.bernoulli(torch.full_like(x, 0.9), generator=rng)

    with pytest.raises(Refused, match="bernoulli"):
        probe(masked, PLANE, 4, rng=torch.Generator())


def test_a_mixture_is_not_affine():
    skewed = GaussianMixture([0.7, 0.3], [[-1.0, 0.0], [1.0, 0.5]], [0.3, 0.2])
    problem = Problem("mixture", skewed, EDM(sigma_max=20.0), t_min=0.02)
    with pytest.raises(Refused):
        probe(solved(DDIM()), problem, 8, rng=numbers())


def test_large_maps_come_in_batches(monkeypatch):
    from scoreproof.numerics import exact_law

    whole = probe(walk, EIGHT, 12, rng=numbers())
    monkeypatch.setattr(exact_law, "_CELLS", 400)
    parts = probe(walk, EIGHT, 12, rng=numbers())
    assert parts.rows > whole.rows
    close(parts.covariance, whole.covariance)
    monkeypatch.setattr(exact_law, "MOST", 500)
    with pytest.raises(Refused, match="more than"):
        probe(walk, EIGHT, 12, rng=numbers())


def test_order_one_of_ddim_and_two_of_heun():
    """Errors of the law fall like the declared power of the number of steps on a fixed interval."""
    problem = Problem("short", PLANE.law, VP.constant(4.0), t_min=0.3)

    def even(solver):
        def sampler(problem, n, *, steps, rng):
            times = np.linspace(problem.t_max, problem.t_min, steps + 1)
            return solver.sample(
                problem.score, problem.sde, problem.prior(n, rng=rng), times, rng=rng
            )

        return sampler

    truth = problem.marginal(problem.t_min).law
    for solver, order in ((DDIM(), 1), (Ancestral(), 1), (EulerMaruyama(), 1), (Heun(), 2)):
        ladder = [
            probe(even(solver), problem, k, rng=numbers()).gap(truth).w2() for k in (64, 128, 256)
        ]
        rates = np.log2(np.array(ladder[:-1]) / ladder[1:])
        assert np.abs(rates - order).max() < 0.05


def _mp_root(matrix):
    values, vectors = mp.eigsy(matrix)
    return vectors * mp.diag([mp.sqrt(v) for v in values]) * vectors.T


@pytest.mark.parametrize("size", [1e-9, 1e-4, 1e-1, 1.0])
def test_distances_keep_their_digits(size):
    """Against fifty digits; the covariance itself is rounded, by 1e-16 of its largest entry."""
    rng = numbers(2)
    axes = rng.standard_normal((4, 4))
    reference = Gaussian(rng.standard_normal(4), axes @ np.diag([0.01, 0.25, 1.0, 4.0]) @ axes.T)
    sigma = reference.covariances[0]
    turn = np.eye(4) + size * rng.standard_normal((4, 4))
    c = turn @ sigma @ turn.T
    c = (c + c.T) / 2
    m = reference.means[0] + size * rng.standard_normal(4)
    with mp.workdps(50):
        exact_c, exact_s = mp.matrix(c.tolist()), mp.matrix(sigma.tolist())
        root = _mp_root(exact_s)
        middle = _mp_root(root * exact_c * root)
        off = mp.matrix(m.tolist()) - mp.matrix(reference.means[0].tolist())
        cross = exact_c + exact_s - 2 * middle
        w2 = mp.sqrt((off.T * off)[0] + sum(cross[i, i] for i in range(4)))
        inverse = exact_s**-1
        ratio = mp.log(mp.det(exact_c) / mp.det(exact_s))
        trace = sum((inverse * exact_c)[i, i] for i in range(4))
        kl = (trace - 4 - ratio + (off.T * inverse * off)[0]) / 2
    rounding = 1e-13 / size + 1e-12
    assert w2_gaussian(m, c, reference) == pytest.approx(float(w2), rel=rounding)
    assert kl_gaussian(m, c, reference) == pytest.approx(float(kl), rel=10 * rounding)


def test_distances_to_degenerate_laws():
    law = Gaussian([1.0, -2.0], [[2.0, 0.5], [0.5, 0.3]])
    gap = GaussianGap.between(law.mean, np.zeros((2, 2)), law)
    assert abs(gap.w2() - gap.size) <= gap.w2_error
    assert GaussianGap.between(law.mean, law.covariance, law).w2_error == 0
    assert gap.kl() == math.inf
    assert gap.variance_errors() == pytest.approx([-1.0, -1.0])
    with pytest.raises(ValueError, match="reference: got 2 components"):
        GaussianGap.between(
            law.mean, np.eye(2), GaussianMixture([0.5, 0.5], np.eye(2), [1.0, 1.0])
        )
    with pytest.raises(ValueError, match="mean, covariance: got shapes"):
        GaussianGap.between(law.mean, np.eye(3), law)
