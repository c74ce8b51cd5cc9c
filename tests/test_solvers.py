"""Reverse-time solvers: exact laws from unit impulses, orders, published numbers, mutants."""

import os
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scoreproof.numerics import (
    DDIM,
    RK4,
    Ancestral,
    EigenLaw,
    EulerMaruyama,
    ExponentialEuler,
    GaussianReverse,
    Heun,
    KarrasGrid,
    LogSNRGrid,
    ProbabilityFlowRK45,
    Solver,
    UniformGrid,
    draw,
    karras_sigmas,
)
from scoreproof.numerics.gaussian_law import Affine, run
from scoreproof.theory import (
    EDM,
    OU,
    VE,
    VP,
    ExponentialNoise,
    Gaussian,
    GaussianMixture,
    LinearSDE,
    StraightPath,
    SubVP,
    gaussian_flow,
    marginal,
)

EPS = np.finfo(np.float64).eps
TARGET: Any = Gaussian([1.0, -2.0, 0.5], [[1.2, 0.5, 0.1], [0.5, 0.6, -0.2], [0.1, -0.2, 0.3]])
LAW = EigenLaw.of(TARGET)
SDES: dict[str, LinearSDE] = {
    "vp": VP(),
    "ve": VE(0.02, 3.0),
    "sub-vp": SubVP(),
    "ou": OU(),
    "edm": EDM(5.0),
    "straight": StraightPath(0.05),
    "exponential": ExponentialNoise(),
    "quadrature": LinearSDE(lambda t: 0.4 - t, lambda t: 0.8 + 0.5 * t),
}
#: each solver with its coefficients by the second route
SOLVERS: dict[str, tuple[Solver, Any]] = {
    "euler": (EulerMaruyama(eta=0.0), lambda r: lambda t, s: r.euler_maruyama(t, s, eta=0.0)),
    "euler-maruyama": (EulerMaruyama(), lambda r: r.euler_maruyama),
    "euler-maruyama-half": (
        EulerMaruyama(eta=0.5),
        lambda r: lambda t, s: r.euler_maruyama(t, s, eta=0.5),
    ),
    "ancestral": (Ancestral(), lambda r: r.ancestral),
    "ancestral-forward": (
        Ancestral("forward"),
        lambda r: lambda t, s: r.ancestral(t, s, forward_variance=True),
    ),
    "ddim": (DDIM(), lambda r: r.ddim),
    "ddim-half": (DDIM(eta=0.5), lambda r: lambda t, s: r.ddim(t, s, eta=0.5)),
    "heun": (Heun(), lambda r: r.heun),
    "heun-sigma": (Heun("sigma"), lambda r: r.heun_sigma),
    "rk4": (RK4(), lambda r: r.rk4),
}


class Impulse(np.random.Generator):
    """Gives the same designed array for every standard normal draw."""

    def __init__(self, z):
        super().__init__(np.random.PCG64(0))
        self.z = z

    def standard_normal(self, size=None, dtype=np.float64, out=None):
        assert size == self.z.shape
        return self.z


def score_of(law, sde):
    return lambda x, t: marginal(law, sde, t).score(x)


def affine(step, dim):
    """``(A, b, G)`` of ``x -> A x + b + G z`` from unit impulses, one call for all rows."""
    eye, zero = np.eye(dim), np.zeros((dim, dim))
    rows = np.concatenate([zero[:1], eye, zero])
    noise = np.concatenate([zero[:1], zero, eye])
    out = step(rows, Impulse(noise))
    return (out[1 : dim + 1] - out[0]).T, out[0], (out[dim + 1 :] - out[0]).T


def step_affine(solver, sde, t, s, score=None):
    field = score_of(TARGET, sde) if score is None else score
    return affine(lambda x, r: solver.step(x, t, s, score=field, sde=sde, rng=r), 3)


def rotated(step: Affine):
    u = LAW.vectors
    return (u * step.gain) @ u.T, u @ step.shift, (u * step.noise) @ u.T


def pairs_of(sde):
    top = sde.t_max
    return [(top, 0.6 * top), (0.5 * top, 0.45 * top), (0.1 * top, 0.1 * top * (1 - 1e-6))]


@pytest.mark.parametrize("sde", SDES.values(), ids=SDES.keys())
@pytest.mark.parametrize("name", SOLVERS)
def test_step_is_the_affine_map_of_the_second_route(name, sde):
    solver, route = SOLVERS[name]
    for t, s in pairs_of(sde):
        a, b, g = step_affine(solver, sde, t, s)
        exact_a, exact_b, exact_c = rotated(route(GaussianReverse(LAW, sde))(t, s))
        # The eigenbasis form of a score has condition 20 here, and the mean enters with terms of size
        # (1 + |x| gain): a few hundred roundings of the largest entry. A kernel by quadrature is
        # good to its relative tolerance 1e-12.
        slack = 2000 * EPS if type(sde) is not LinearSDE else 1e-10
        size = 1 + np.abs(exact_a).max() + np.abs(exact_b).max()
        assert np.abs(a - exact_a).max() <= slack * size
        assert np.abs(b - exact_b).max() <= slack * size
        assert np.abs(g @ g.T - exact_c).max() <= slack * (1 + exact_c.max())
        assert (np.abs(g).max() == 0) == solver.deterministic


@dataclass(frozen=True)
class WrongEuler(EulerMaruyama):
    """Euler-Maruyama with one defect."""

    defect: str = ""

    def step(self, x, t, s, *, score, sde, rng=None):
        h, f, g = t - s, sde.drift(t), sde.diffusion(t)
        z = rng.standard_normal(x.shape)
        pull = {"half score": 0.5, "sign": -1.0}.get(self.defect, 1.0)
        at = s if self.defect == "time off by one" else t
        root = h if self.defect == "no square root of dt" else np.sqrt(h)
        drift = -f if self.defect == "drift sign" else f
        return x - h * (drift * x - pull * g**2 * score(x, at)) + g * root * z


DEFECTS = ("half score", "sign", "time off by one", "no square root of dt", "drift sign")


def relative_gap(solver, sde=SDES["vp"]):
    exact = rotated(GaussianReverse(LAW, sde).euler_maruyama(0.5, 0.45))
    a, b, g = step_affine(solver, sde, 0.5, 0.45)
    return max(np.abs(u - v).max() for u, v in zip((a, b, g @ g.T), exact, strict=True))


def test_wrong_steps_have_another_affine_map():
    assert relative_gap(WrongEuler(defect="")) <= 2000 * EPS * 4
    for defect in DEFECTS:
        assert relative_gap(WrongEuler(defect=defect)) > 1e-3, defect


def chain_moments(x, truth):
    """Largest deviation of sample mean and variance from a Gaussian law, in standard errors."""
    y, n = x @ truth.vectors, len(x)
    z = np.sqrt(n) * (y.mean(axis=0) - truth.mean) / np.sqrt(truth.variance)
    v = np.sqrt(n / 2) * (((y - truth.mean) ** 2).mean(axis=0) / truth.variance - 1)
    return max(np.abs(z).max(), np.abs(v).max())


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["euler-maruyama", "ancestral-forward", "ddim-half", "heun"])
def test_simulation_has_the_law_of_the_recursion(name, rng):
    solver, route = SOLVERS[name]
    sde, times = SDES["vp"], np.linspace(1.0, 0.01, 13)
    reverse = GaussianReverse(LAW, sde)
    truth = run(reverse.marginal(1.0), route(reverse), times)
    x = draw(marginal(TARGET, sde, 1.0), 40_000, rng=rng)
    end = solver.sample(score_of(TARGET, sde), sde, x, times, rng=rng)
    # six statistics, each beyond 7 standard errors with probability below 1e-10
    assert chain_moments(end, truth) < 7
    if name == "euler-maruyama":
        for defect in DEFECTS:
            wrong = WrongEuler(defect=defect)
            assert (
                chain_moments(wrong.sample(score_of(TARGET, sde), sde, x, times, rng=rng), truth)
                > 10
            ), defect


def diagonal_law(solver, sde, mean, variance, times, start=None):
    """Exact output law for a diagonal Gaussian: gain, shift and noise of a step from three rows."""
    base = EigenLaw(mean, variance, np.zeros((0, 0)))
    rows = np.zeros((3, len(mean)))
    rows[1] = 1.0
    noise = np.zeros_like(rows)
    noise[2] = 1.0

    def score(x, t):
        kernel = sde.kernel(t)
        law = base.diffuse(kernel.scale, kernel.variance)
        return -(x - law.mean) / law.variance

    kernel = sde.kernel(float(times[0]))
    law = base.diffuse(kernel.scale, kernel.variance) if start is None else start
    for t, s in pairwise(times):
        out = solver.step(rows, float(t), float(s), score=score, sde=sde, rng=Impulse(noise))
        law = law.push(Affine(out[1] - out[0], out[0], (out[2] - out[0]) ** 2))
    return law


MEAN, VARIANCE = np.array([0.8, -1.5]), np.array([0.25, 2.0])


def signed_errors(solver, sde, grid, steps):
    """Errors of mean and variance in every direction, ``(len(steps), 4)``."""
    end = GaussianReverse(EigenLaw(MEAN, VARIANCE, np.eye(2)), sde).marginal(
        float(grid.times(1)[-1])
    )
    out = []
    for n in steps:
        law = diagonal_law(solver, sde, MEAN, VARIANCE, grid.times(n))
        out.append(np.concatenate([law.mean - end.mean, law.variance - end.variance]))
    return np.array(out)


ORDERS = {
    "euler": 1,
    "euler-maruyama": 1,
    "exponential": 1,
    "ancestral": 1,
    "ancestral-forward": 1,
    "ddim": 1,
    "ddim-half": 1,
    "heun": 2,
    "heun-sigma": 2,
    "rk4": 4,
}


@pytest.mark.parametrize("key", ["vp", "ve", "sub-vp", "edm"])
@pytest.mark.parametrize("name", ORDERS)
def test_declared_weak_order_is_measured(name, key):
    solver = ExponentialEuler() if name == "exponential" else SOLVERS[name][0]
    assert solver.order == ORDERS[name]
    sde = SDES[key]
    grid = LogSNRGrid(sde, sde.t_max, 0.02 * sde.t_max)
    steps = (32, 64, 128)
    errors = signed_errors(solver, sde, grid, steps)
    # A direction whose leading coefficient vanishes, or has met rounding, shows no order of its own.
    seen = np.abs(errors[-1]) > max(0.02 * np.abs(errors[-1]).max(), 1e-11)
    assert seen.any()
    orders = np.log2(np.abs(errors[:-1, seen] / errors[1:, seen]))
    # e = c h^p (1 + e' h + ...): local orders p + O(h), the change halves with each doubling, so
    # all later changes together are the last one.
    limit = 2 * orders[1] - orders[0]
    slack = np.abs(orders[1] - orders[0]) + 0.05
    assert (np.abs(limit - ORDERS[name]) <= slack).all(), (orders, limit)


#: variance bias at N = 1024 uniform steps from the exact p_1 to t = 0, for data N(0, 1/4): values
#: enclosed by ball arithmetic elsewhere, printed to four digits
BIAS = {
    "euler-maruyama": 3.443e-4,
    "ancestral": -3.803e-3,
    "ancestral-forward": 7.239e-4,
    "ddim": -1.486e-3,
    "euler": -2.291e-4,
    "heun": 1.339e-6,
}


def bias(solver, steps):
    zero, quarter = np.zeros(1), np.array([0.25])
    law = diagonal_law(solver, VP(), zero, quarter, np.linspace(1, 0, steps + 1))
    return law.variance[0] - 0.25


@pytest.mark.parametrize("name", BIAS)
def test_variance_bias_agrees_with_the_enclosed_values(name):
    got = bias(SOLVERS[name][0], 1024)
    assert abs(got - BIAS[name]) <= 0.6 * 10.0 ** (np.floor(np.log10(abs(got))) - 3)


def test_exponential_integrator_bias():
    assert abs(bias(ExponentialEuler(), 1024) - 1.267e-3) <= 0.6e-6


def test_frozen_score_gain_has_its_closed_form():
    # int g^2 / scale(r, s) dr: 2 (1/a - 1) for the variance preserving one, v for the exploding one
    def gain(sde, t, s):
        one = np.ones((1, 1))
        args = {"score": lambda x, t: one, "sde": sde, "rng": None}
        x = np.zeros((1, 1))
        return 2 * ExponentialEuler(eta=0.0).step(x, t, s, **args)[0, 0]

    for t, s in ((0.5, 0.45), (1.0, 0.99), (0.1, 0.0)):
        # eight Gauss nodes on an exponential of range b <= 1: error below b^17 / 17!
        exact = 2 * np.expm1(0.5 * (VP().integrated_beta(t, s)))
        assert abs(gain(VP(), t, s) / exact - 1) <= 1e-13
        ve = VE(0.02, 3.0)
        assert abs(gain(ve, t, s) / ve.kernel(t, s).variance - 1) <= 1e-13
    plain = LinearSDE(lambda t: 0.0, lambda t: 0.8)
    assert abs(gain(plain, 0.7, 0.2) / (0.5 * 0.64) - 1) <= 1e-12


def test_ddim_on_uniform_times_loses_a_logarithm():
    # N e_N grows by -(beta_min / 4) log 2 a doubling, as sd ~ sqrt(beta_min t) near t = 0; the next
    # term falls like N^(-1/2): it shrinks by sqrt 2 a doubling, so 1/(sqrt 2 - 1) changes remain.
    scaled = np.array([n * bias(DDIM(), n) for n in (512, 1024, 2048, 4096)])
    steps = np.diff(scaled)
    left = abs(steps[-1] - steps[-2]) / (np.sqrt(2) - 1)
    assert abs(steps[-1] - (-0.1 / 4 * np.log(2))) <= left
    assert left < 0.1 / 4 * np.log(2)  # sharp enough to tell it from zero


@pytest.mark.parametrize("key", SDES)
def test_adaptive_flow_reaches_the_exact_map(key, rng):
    sde = SDES[key]
    t, s = sde.t_max, 0.01 * sde.t_max
    x = draw(marginal(TARGET, sde, t), 8, rng=rng)
    end = ProbabilityFlowRK45(rtol=1e-11, atol=1e-13).sample(
        score_of(TARGET, sde), sde, x, np.array([t, s])
    )
    exact = gaussian_flow(TARGET, sde, t, s)(x)
    assert np.abs(end - exact).max() < 1e-8
    own = GaussianReverse(LAW, sde).flow(t, s)
    by_recursion = (x @ LAW.vectors * own.gain + own.shift) @ LAW.vectors.T
    slack = 1e-10 if type(sde) is LinearSDE else 1e-12
    assert np.abs(by_recursion - exact).max() < slack


MIXTURE: Any = GaussianMixture([0.3, 0.7], [[-1.5], [0.8]], [0.09, 0.25])


def test_flow_of_a_mixture_keeps_its_quantiles():
    sde = VP()
    u = np.linspace(0.01, 0.99, 25)
    x = np.linspace(-3, 3, 25)[:, None]
    late, early = marginal(MIXTURE, sde, 0.7), marginal(MIXTURE, sde, 0.02)
    u = late.law.cdf(x)
    score = score_of(MIXTURE, sde)
    end = ProbabilityFlowRK45(rtol=1e-10, atol=1e-12).sample(score, sde, x, np.array([0.7, 0.02]))
    assert np.abs(early.law.cdf(end) - u).max() < 1e-8
    grid = LogSNRGrid(sde, 0.7, 0.02)
    gaps = [
        np.abs(early.law.cdf(Heun("sigma").sample(score, sde, x, grid.times(n))) - u).max()
        for n in (40, 80, 160)
    ]
    orders = np.log2(np.array(gaps[:-1]) / gaps[1:])
    assert abs(orders[-1] - 2) <= 2 * abs(orders[-1] - orders[-2]) + 0.1


def band(n, level=1e-9):
    """Massart's bound on the sup-distance of the empirical cdf, exceeded with probability ``level``."""
    return np.sqrt(np.log(2 / level) / (2 * n))


def sup_distance(values, cdf):
    u = np.sort(cdf(values)[:, ...].ravel())
    n = len(u)
    return max((np.arange(1, n + 1) / n - u).max(), (u - np.arange(n) / n).max())


@pytest.mark.statistical
@pytest.mark.parametrize("solver", [EulerMaruyama(), Ancestral(), DDIM(eta=1.0), Heun("sigma")])
def test_marginals_of_a_mixture_at_five_times(solver, rng):
    sde, n, tolerance = VP(), 40_000, 0.04
    times = LogSNRGrid(sde, 1.0, 0.005).times(100)
    x = draw(marginal(MIXTURE, sde, 1.0), n, rng=rng)
    for part in np.split(np.arange(100), 5):
        x = solver.sample(score_of(MIXTURE, sde), sde, x, times[part[0] : part[-1] + 2], rng=rng)
        law = marginal(MIXTURE, sde, float(times[part[-1] + 1])).law
        # the true law of the samples is within the tolerance with confidence 1 - 1e-9 a time
        assert sup_distance(x, law.cdf) + band(n) < tolerance


@pytest.mark.statistical
@pytest.mark.parametrize("defect", DEFECTS[:2] + DEFECTS[3:])
def test_wrong_marginals_of_a_mixture_are_refuted(defect, rng):
    sde, n, tolerance = VP(), 40_000, 0.04
    times = LogSNRGrid(sde, 1.0, 0.005).times(100)
    x = draw(marginal(MIXTURE, sde, 1.0), n, rng=rng)
    with np.errstate(over="ignore"):
        x = WrongEuler(defect=defect).sample(score_of(MIXTURE, sde), sde, x, times, rng=rng)
    law = marginal(MIXTURE, sde, 0.005).law
    assert sup_distance(x, law.cdf) - band(n) > tolerance


def test_karras_grid_has_the_published_values():
    printed = [80, 57.586, 40.786, 28.375, 19.352, 12.910, 8.4009, 5.3152, 3.2568, 1.9233]
    printed += [1.0882, 0.58535, 0.29644, 0.1395, 0.05995, 0.02293, 0.00753, 0.002]
    got = karras_sigmas(17, sigma_min=0.002, sigma_max=80)
    # half a unit of the last printed digit; the last three are printed to four decimals or fewer
    assert np.abs(got / printed - 1).max() < 5e-4
    grid = KarrasGrid(EDM(80.0), 80.0, 0.002, to_zero=True).times(18)
    assert np.abs(grid[:-1] / got - 1).max() <= 100 * EPS and grid[-1] == 0


@pytest.mark.parametrize("sde", SDES.values(), ids=SDES.keys())
def test_grids_are_uniform_in_their_own_variable(sde):
    low, high = 1e-3 * sde.t_max, sde.t_max
    kappa = lambda times: np.array([float(sde.noise_level(float(t))) for t in times])  # noqa: E731
    for grid, variable in (
        (UniformGrid(high, low), lambda t: t),
        (KarrasGrid(sde, high, low), lambda t: kappa(t) ** (1 / 7)),
        (KarrasGrid(sde, high, low, rho=1.0), kappa),
        (LogSNRGrid(sde, high, low), lambda t: np.log(kappa(t))),
    ):
        times = grid.times(9)
        assert len(times) == 10 and times[0] == high and times[-1] == low
        assert (np.diff(times) < 0).all()
        even = np.diff(variable(times))
        # a root found to a relative 1e-13 in t, and the noise level good to 1e-11 by quadrature
        assert np.abs(even / even.mean() - 1).max() < 1e-9


def test_a_step_to_time_zero_needs_no_score_there():
    sde = VP()

    def score(x, t):
        assert t > 0
        return marginal(TARGET, sde, t).score(x)

    x = np.ones((4, 3))
    for solver in (EulerMaruyama(), Ancestral("forward"), DDIM(), Heun("sigma")):
        solver.sample(score, sde, x, np.array([0.1, 0.0]), rng=np.random.default_rng(0))
    last = Ancestral().step(x, 0.1, 0.0, score=score, sde=sde, rng=Impulse(np.full((4, 3), 9.0)))
    # the denoiser, without noise
    kernel = sde.kernel(0.1)
    posterior = TARGET.posterior(x, float(kernel.scale), float(kernel.variance))
    assert np.abs(last - posterior.means[:, 0]).max() <= 1000 * EPS
    ddim = DDIM().step(x, 0.1, 0.0, score=score, sde=sde)
    assert np.abs(ddim - posterior.means[:, 0]).max() <= 1000 * EPS


def test_tensors_and_seeds():
    torch = pytest.importorskip("torch")
    sde, times = VP(), np.linspace(1, 0.01, 5)
    for solver in (*(s for s, _ in SOLVERS.values()), ProbabilityFlowRK45()):
        x = np.linspace(-1, 1, 12).reshape(4, 3)
        field = score_of(TARGET, sde)
        runs = [
            solver.sample(field, sde, x, times, rng=np.random.default_rng(5)) for _ in range(2)
        ]
        assert np.array_equal(runs[0], runs[1])
        on_torch = solver.sample(field, sde, torch.tensor(x), times, rng=np.random.default_rng(5))
        # the same body on another library: a few roundings a step, grown by the map's gain
        assert np.abs(on_torch.numpy() - runs[0]).max() <= 1e-10
        generator = torch.Generator().manual_seed(0)
        single = solver.sample(
            field, sde, torch.tensor(x, dtype=torch.float32), times, rng=generator
        )
        assert single.dtype == torch.float32 and bool(torch.isfinite(single).all())


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: EulerMaruyama(eta=-0.1), "eta"),
        (lambda: DDIM(eta=1.5), "eta"),
        (lambda: Ancestral("beta"), "variance"),  # pyright: ignore[reportArgumentType]
        (lambda: Heun("x"), "variable"),  # pyright: ignore[reportArgumentType]
        (lambda: ProbabilityFlowRK45(rtol=0.0), "rtol"),
        (lambda: UniformGrid(0.1, 0.2), "t_min"),
        (lambda: LogSNRGrid(VP(), 1.0, 0.0), "t_min"),
        (lambda: UniformGrid(1.0).times(0), "steps"),
        (lambda: DDIM().sample(lambda x, t: x, VP(), np.ones((1, 1)), np.array([0.5])), "times"),
        (
            lambda: DDIM().sample(
                lambda x, t: x, VP(), np.ones((1, 1)), np.array([0.1, 0.5])
            ),
            "times",
        ),
        (
            lambda: DDIM().sample(lambda x, t: x, VP(), np.ones((1, 1)), np.array([1.5, 0.5])),
            "times",
        ),
        (
            lambda: Ancestral().sample(
                lambda x, t: x, VP(), np.ones((1, 1)), np.array([1.0, 0.5])
            ),
            "rng",
        ),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(call, argument):
    with pytest.raises(ValueError, match=f"^{argument}: got "):
        call()


#: Pierret & Galerne 2025, Table 1 and its long form: W2 from p_T at NFE = 50, 250, 500, 1000
PUBLISHED = {
    ("EM", 0.0): (4.78, 0.65, 0.32, 0.16),
    ("EM", 1e-3): (4.68, 0.70, 0.40, 0.27),
    ("EI", 0.0): (2.81, 0.57, 0.30, 0.16),
    ("EI", 1e-3): (2.91, 0.67, 0.41, 0.29),
    ("Euler", 0.0): (1.72, 0.38, 0.20, 0.10),
    ("Euler", 1e-3): (1.73, 0.42, 0.27, 0.21),
    ("Heun", 1e-5): (23.42, 2.86, 1.05, 0.37),
    ("Heun", 1e-3): (0.58, 0.13, 0.16, 0.17),
    ("RK4", 1e-5): (67.32, 5.49, 2.11, 0.77),
    ("RK4", 1e-3): (2.60, 0.09, 0.15, 0.17),
}


@pytest.mark.skipif(
    not os.environ.get("SCOREPROOF_CIFAR10_EIGENVALUES"),
    reason="needs the eigenvalues of the CIFAR-10 covariance, named by the environment",
)
@pytest.mark.parametrize(("scheme", "end"), PUBLISHED)
def test_published_wasserstein_errors_of_gaussian_images(scheme, end):
    values = np.load(os.environ["SCOREPROOF_CIFAR10_EIGENVALUES"]).astype(np.float64).ravel()
    values = np.clip(values, 0.0, None)
    solver = {
        "EM": EulerMaruyama(),
        "EI": ExponentialEuler(),
        "Euler": EulerMaruyama(eta=0.0),
        "Heun": Heun(),
        "RK4": RK4(),
    }[scheme]
    data = EigenLaw(np.zeros_like(values), values, np.zeros((0, 0)))
    got = []
    for nfe in (50, 250, 500, 1000):
        # The grid has NFE points; RK4 has a quarter of them. The printed Heun columns are matched by
        # the full grid, hence by twice the evaluations that they name.
        steps = (nfe // 4 if scheme == "RK4" else nfe) - 1
        times = np.linspace(1.0, end, steps + 1)
        got.append(diagonal_law(solver, VP(), data.mean, values, times).w2(data))
    # half a unit of the second printed decimal
    assert np.abs(np.array(got) - PUBLISHED[scheme, end]).max() <= 0.0051, got
