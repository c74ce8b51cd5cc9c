"""Langevin chains against the exact law of their linear recursion, and detailed balance."""

from typing import Any

import numpy as np
import pytest
from scoreproof.numerics import (
    EigenLaw,
    annealed_langevin,
    draw,
    half_convention,
    mala,
    mala_log_ratio,
    mala_step,
    ula,
    ula_law,
    ula_stationary,
    ula_step,
)
from scoreproof.theory import Gaussian, GaussianMixture

EPS = np.finfo(np.float64).eps
TARGET: Any = Gaussian([1.0, -2.0, 0.5], [[1.2, 0.5, 0.1], [0.5, 0.6, -0.2], [0.1, -0.2, 0.3]])
MIXTURE: Any = GaussianMixture(
    [0.2, 0.8], [[-1.5, 0.3], [0.8, -0.4]], [[[0.3, 0.1], [0.1, 0.2]], [[0.5, -0.2], [-0.2, 0.4]]]
)


class Impulse(np.random.Generator):
    """Gives the same designed array for every standard normal draw."""

    def __init__(self, z):
        super().__init__(np.random.PCG64(0))
        self.z = z

    def standard_normal(self, size=None, dtype=np.float64, out=None):
        assert size == self.z.shape
        return self.z


def affine(step, dim):
    """``(A, b, G)`` of a step ``x -> A x + b + G z`` from unit impulses in points and noise."""
    eye, zero = np.eye(dim), np.zeros((dim, dim))
    b = step(zero[:1], Impulse(zero[:1]))[0]
    a = (step(eye, Impulse(zero)) - b).T
    g = (step(zero, Impulse(eye)) - b).T
    return a, b, g


@pytest.mark.parametrize("step", [1e-3, 0.05, 0.15])
def test_ula_step_has_the_law_of_the_recursion(step):
    law = EigenLaw.of(TARGET)
    assert step < 2 * law.variance.min()
    a, b, g = affine(lambda x, r: ula_step(TARGET.score, x, step=step, rng=r), 3)
    mean, cov = np.array([3.0, 0.0, -1.0]), np.diag([0.2, 2.0, 0.7])
    start = EigenLaw(law.vectors.T @ mean, np.array([0.4, 1.5, 0.7]), law.vectors)
    cov = (law.vectors * start.variance) @ law.vectors.T
    for n in range(1, 8):
        mean, cov = a @ mean + b, a @ cov @ a.T + g @ g.T
        exact_mean, exact_cov = ula_law(law, start, step=step, n_steps=n).gaussian()
        # n products of 3 x 3 matrices of norm <= 1, condition of the covariance about 20
        assert np.abs(mean - exact_mean).max() <= 64 * n * 20 * EPS
        assert np.abs(cov - exact_cov).max() <= 64 * n * 20 * EPS


def test_ula_stationary_variance_and_threshold():
    law = EigenLaw(np.array([0.7, -1.0]), np.array([1.0, 0.25]), np.eye(2))
    still = ula_stationary(law, step=0.1)
    # 1 / (a (1 - a h / 2)) at a = 1, h = .1 is 1/.95; at a = 4 it is .25/.8
    assert still.variance == pytest.approx([1 / 0.95, 0.25 / 0.8], rel=4 * EPS)
    moved = ula_law(law, still, step=0.1, n_steps=1)
    assert moved.w2(still) <= 8 * EPS
    # gains 0.9 and 0.6: after 400 steps the start is forgotten to .9^400 = 5e-19
    far = EigenLaw(np.array([5.0, 5.0]), np.array([0.0, 9.0]), np.eye(2))
    assert ula_law(law, far, step=0.1, n_steps=400).w2(still) <= 400 * EPS
    assert still.w2(law) > 0.02  # the chain's law is not the target
    with pytest.raises(ValueError, match=r"step: got 0\.5"):
        ula_stationary(law, step=0.5)
    below, above = (ula_law(law, far, step=h, n_steps=2000).variance[1] for h in (0.499, 0.501))
    assert below < 0.25 / (1 - 0.499 / 0.5) * 1.01 and above > 1e6


def chain_moments(x, truth):
    """Largest deviation of sample mean and variance from a Gaussian law, in standard errors."""
    y = x @ truth.vectors
    n = len(y)
    z = np.sqrt(n) * (y.mean(axis=0) - truth.mean) / np.sqrt(truth.variance)
    v = np.sqrt(n / 2) * (((y - truth.mean) ** 2).mean(axis=0) / truth.variance - 1)
    return max(np.abs(z).max(), np.abs(v).max())


@pytest.mark.statistical
def test_simulated_ula_follows_the_exact_law_and_not_its_mutants(rng):
    n, step, steps = 40_000, 0.1, 12
    law = EigenLaw.of(TARGET)
    point = np.array([3.0, 0.0, -1.0])
    start = EigenLaw(law.vectors.T @ point, np.zeros(3), law.vectors)
    truth = ula_law(law, start, step=step, n_steps=steps)

    def run(score, size, noise_scale=1.0):
        x = np.broadcast_to(point, (n, 3))
        for _ in range(steps):
            drifted = ula_step(score, x, step=size, rng=rng, noise=False)
            noisy = ula_step(score, x, step=size, rng=rng)
            x = drifted + noise_scale * (noisy - drifted)
        return x

    # The mean is exactly normal, the variance chi-square with n degrees: beyond 7 standard errors
    # with probability below 1e-10 each, six of them.
    assert chain_moments(run(TARGET.score, step), truth) < 7
    for mutant in (
        run(lambda x: 0.5 * TARGET.score(x), step),
        run(lambda x: -TARGET.score(x), step),
        run(TARGET.score, step / 2),
        run(TARGET.score, step, np.sqrt(step)),
        run(TARGET.score, step, np.sqrt(0.5)),
    ):
        assert chain_moments(mutant, truth) > 10


def test_the_two_step_conventions_are_one_scheme(rng):
    x, z, h = rng.standard_normal((5, 3)), rng.standard_normal((5, 3)), 0.2
    other = x + h / 2 * TARGET.score(x) + np.sqrt(h) * z
    ours = ula_step(TARGET.score, x, step=half_convention(h), rng=Impulse(z))
    assert np.abs(other - ours).max() <= 8 * EPS * np.abs(other).max()
    same_number = ula_step(TARGET.score, x, step=h, rng=Impulse(z))
    assert np.abs(other - same_number).max() > 0.01


def test_without_noise_the_chain_climbs_to_a_mode():
    x = np.array([[-3.0, 1.0], [2.0, -2.0]])
    end = ula(MIXTURE.score, x, step=0.05, n_steps=3000, rng=np.random.default_rng(0), noise=False)
    # gains at most 1 - .05 / .63 a step: 3000 steps leave rounding of the score alone
    assert np.abs(MIXTURE.score(end)).max() <= 100 * EPS
    assert (np.linalg.eigvalsh(MIXTURE.hessian(end)) < 0).all()
    assert np.abs(end[0] - end[1]).max() > 1


def log_proposal(law, x, y, h):
    """Log density of the proposal from x to y, up to a constant: the second route."""
    return -((y - x - h * law.score(x)) ** 2).sum(axis=-1) / (4 * h)


@pytest.mark.parametrize("law", [TARGET, MIXTURE], ids=["gaussian", "mixture"])
def test_detailed_balance_holds_pointwise(law, rng):
    h = 0.15
    x = draw(law, 400, rng=rng)
    y = x + h * law.score(x) + np.sqrt(2 * h) * rng.standard_normal(x.shape)

    def asymmetry(log_ratio, propose):
        """``log [p(x) q(x,y) a(x,y)] - log [p(y) q(y,x) a(y,x)]`` off the diagonal."""
        forth = law.log_prob(x) + propose(x, y) + np.minimum(0, log_ratio(x, y))
        back = law.log_prob(y) + propose(y, x) + np.minimum(0, log_ratio(y, x))
        return np.abs(forth - back).max()

    ratio = lambda a, b: mala_log_ratio(law, a, b, step=h)  # noqa: E731
    q = lambda a, b: log_proposal(law, a, b, h)  # noqa: E731
    size = max(np.abs(law.log_prob(x)).max(), np.abs(q(x, y)).max(), np.abs(q(y, x)).max())
    # a handful of terms of that size, some ten roundings each
    assert asymmetry(ratio, q) <= 100 * EPS * (1 + size)
    mutants = {
        "no Metropolis factor": lambda a, b: np.zeros(len(a)),
        "target ratio alone": lambda a, b: law.log_prob(b) - law.log_prob(a),
        "inverted": lambda a, b: -ratio(a, b),
        "proposal of another step": lambda a, b: mala_log_ratio(law, a, b, step=1.1 * h),
        "proposal without drift": lambda a, b: ratio(a, b) - q(b, a) + q(a, b),
    }
    for name, wrong in mutants.items():
        assert asymmetry(wrong, q) > 1e-3, name


def test_metropolis_ratio_of_a_gaussian_has_its_closed_form():
    # N(0, s2): log ratio = h (x - y)(x + y) / (4 s2^2) in one dimension
    s2, h = 0.4, 0.3
    law: Any = Gaussian([0.0], s2)
    x, y = np.array([[0.3], [-2.0], [5.0]]), np.array([[1.1], [0.4], [4.2]])
    exact = (h * (x - y) * (x + y) / (4 * s2**2))[:, 0]
    got = mala_log_ratio(law, x, y, step=h)
    # terms of size x^2 / s2 <= 63 cancel
    assert np.abs(got - exact).max() <= 16 * 63 * EPS


def ks_distance(values, cdf):
    u = np.sort(cdf(values))
    n = len(u)
    return max((np.arange(1, n + 1) / n - u).max(), (u - np.arange(n) / n).max())


def dkw(n, level):
    """Massart's bound: the empirical cdf leaves this band with probability below ``level``."""
    return np.sqrt(np.log(2 / level) / (2 * n))


@pytest.mark.statistical
def test_mala_leaves_the_law_invariant_where_ula_does_not(rng):
    law, n, h = MIXTURE, 60_000, 0.25
    x = draw(law, n, rng=rng)
    level = 1e-8  # two projections of independent chains
    directions = ([1.0, 0.3], [-0.4, 1.0])

    def worst(points):
        return max(
            ks_distance(points @ np.array(v), lambda u, v=v: law.project(v).cdf(u[:, None]))
            for v in directions
        )

    moved = mala(law, x, step=h, n_steps=6, rng=rng)
    assert worst(moved.samples) < dkw(n, level)
    assert 0.3 < moved.acceptance < 0.95
    assert moved.accepted.sum() == round(moved.acceptance * 6 * n)
    # the true sup-distance of the chain without correction is several bands wide
    assert worst(ula(law.score, x, step=h, n_steps=6, rng=rng)) > 2 * dkw(n, level)


def test_mala_accepts_with_the_stated_probability(rng):
    x = np.repeat(np.array([[0.2, -0.1]]), 50_000, axis=0)
    z = np.repeat(np.array([[2.0, -0.5]]), len(x), axis=0)
    h = 0.3
    y = x + h * MIXTURE.score(x) + np.sqrt(2 * h) * z
    p = np.exp(min(0.0, mala_log_ratio(MIXTURE, x[:1], y[:1], step=h)[0]))
    moved, accepted = mala_step(MIXTURE, x, step=h, rng=Impulse(z))
    assert 0.05 < p < 0.95
    # Hoeffding: beyond this with probability 2e-10
    assert abs(accepted.mean() - p) < np.sqrt(np.log(1e10) / (2 * len(x)))
    assert np.array_equal(moved[accepted], y[accepted])
    assert np.array_equal(moved[~accepted], x[~accepted])


@pytest.mark.statistical
def test_annealed_chains_follow_the_exact_law(rng):
    sigmas, steps, ratio, n = np.geomspace(4.0, 0.1, 6), [3, 5, 4, 6, 2, 7], 0.2, 40_000
    base = EigenLaw.of(TARGET)
    truth = EigenLaw(np.zeros(3), np.full(3, 16.0), base.vectors)
    for sigma, count in zip(sigmas, steps, strict=True):
        level = base.diffuse(1.0, sigma**2)
        truth = ula_law(level, truth, step=ratio * sigma**2, n_steps=count)

    def run(relative_step):
        return annealed_langevin(
            lambda x, s: TARGET.diffuse(1.0, s**2).score(x),
            4.0 * rng.standard_normal((n, 3)),
            sigmas=sigmas,
            steps=steps,
            relative_step=relative_step,
            rng=rng,
        )

    # as above: six statistics beyond 7 standard errors with probability below 1e-10 each
    assert chain_moments(run(ratio), truth) < 7
    assert chain_moments(run(half_convention(ratio)), truth) > 10


@pytest.mark.statistical
def test_annealing_finds_the_weights_that_one_level_misses(rng):
    law: Any = GaussianMixture([0.25, 0.75], [[-4.0], [3.0]], [0.09, 0.16])
    n, score = 8_000, lambda x, s: law.diffuse(1.0, s**2).score(x)
    start = 8.0 * rng.standard_normal((n, 1))
    distances = []
    for sigmas, steps in ((np.geomspace(8.0, 0.2, 10), 60), ([0.2], 600)):
        end = annealed_langevin(
            score, start, sigmas=sigmas, steps=steps, relative_step=0.05, rng=rng
        )
        last = law.diffuse(1.0, 0.2**2)
        distances.append(ks_distance(end[:, 0], lambda u, p=last: p.cdf(u[:, None])))
    # both true distances are within one band of the measured ones: the order is certain
    assert distances[0] + 2 * dkw(n, 1e-8) < distances[1]


def test_annealed_denoising_step_is_tweedies(rng):
    law: Any = Gaussian([1.0], 0.5)
    score = lambda x, s: law.diffuse(1.0, s**2).score(x)  # noqa: E731
    args = {"sigmas": [1.0, 0.3], "steps": [3, 0], "relative_step": 0.1}
    x = rng.standard_normal((7, 1))
    plain, cleaned = (
        annealed_langevin(score, x, **args, rng=np.random.default_rng(3), denoise=d)
        for d in (False, True)
    )
    posterior = law.posterior(plain, 1.0, 0.3**2)
    assert np.abs(cleaned - posterior.means[:, 0]).max() <= 16 * EPS * np.abs(plain).max()


def test_same_seed_same_bits():
    x = np.zeros((4, 2))
    runs = [
        mala(MIXTURE, x, step=0.1, n_steps=5, rng=np.random.default_rng(7)).samples
        for _ in range(2)
    ]
    assert np.array_equal(runs[0], runs[1])


def test_chains_run_on_tensors():
    torch = pytest.importorskip("torch")
    x = torch.zeros((50, 2), dtype=torch.float32)
    rng = torch.Generator().manual_seed(1)
    end = ula(MIXTURE.score, x, step=0.1, n_steps=3, rng=rng)
    moved = mala(MIXTURE, x, step=0.1, n_steps=3, rng=rng)
    assert end.dtype == moved.samples.dtype == torch.float32
    assert end.std() > 0 and 0 < moved.acceptance <= 1


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda x, r: ula(MIXTURE.score, x, step=0.0, n_steps=1, rng=r), "step"),
        (lambda x, r: ula(MIXTURE.score, x, step=0.1, n_steps=-1, rng=r), "n_steps"),
        (lambda x, r: ula(MIXTURE.score, x, step=0.1, n_steps=1, rng=None), "rng"),
        (lambda x, r: mala(MIXTURE, x, step=float("nan"), n_steps=1, rng=r), "step"),
        (
            lambda x, r: annealed_langevin(
                lambda y, s: y, x, sigmas=[1.0, 1.0], steps=1, relative_step=0.1, rng=r
            ),
            "sigmas",
        ),
        (
            lambda x, r: annealed_langevin(
                lambda y, s: y, x, sigmas=[1.0, 0.5], steps=[1], relative_step=0.1, rng=r
            ),
            "steps",
        ),
    ],
)
def test_bad_arguments_are_refused(call, argument, rng):
    with pytest.raises(ValueError, match=f"^{argument}: got "):
        call(np.zeros((3, 2)), rng)
