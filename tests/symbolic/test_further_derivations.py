"""Derivations of limits, losses, flows and guidance against numbers found by another route."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import quad, solve_ivp
from scipy.linalg import solve_discrete_lyapunov
from scoreproof.theory import VE, VP, ExponentialNoise, StraightPath, SubVP, loss_weight
from scoreproof.theory.symbolic import derive

NAMES = (
    "ddpm-limit", "smld-limit", "euler-step", "loss-weights", "sde-weight", "denoiser-link", "guidance",
    "guidance-tilt", "de-bruijn", "kl-flow", "score-fokker-planck", "likelihood", "scale-free", "gaussian-score",
    "mixture-score", "conventions", "mala", "ema", "fourier-features",
)  # fmt: skip
ROUNDING = 1e-12  # relative, for closed forms of a few operations


@pytest.mark.parametrize("name", NAMES)
def test_proved_and_every_wrong_version_is_not(name):
    made = derive(name)
    assert made.status == "PROVED", made.failures()
    assert {wrong: derive(name, wrong=wrong).status for wrong in made.mutants} == made.mutants


def shown(name, step, part=-1):
    """Right side of an equation of a step."""
    found = next(s for s in derive(name).steps if s.name.startswith(step))
    return found.shown[part][1]


def test_ddpm_differs_from_the_process_as_derived():
    low, high, end = 0.3, 4.0, 0.8

    def beta(t):
        return low + (high - low) * t

    total = low * end + (high - low) * end**2 / 2
    squares = quad(lambda t: beta(t) ** 2, 0, end)[0]
    leading = -(squares + beta(end) - beta(0)) / 2
    left = []
    for n in (2000, 4000):
        h = end / n
        log_bar = np.sum(np.log1p(-h * beta(h * np.arange(1, n + 1))))
        left.append((log_bar + total - h * leading) / h**2)
    # What is left is of order h^2: its factor settles, up to a term of order h.
    assert left[0] == pytest.approx(left[1], rel=0.01)


def test_one_step_of_smld_is_a_transition_of_ve():
    ve = VE(0.02, 7.0)
    std = np.array([ve.kernel(t).std for t in (0.3, 0.35)])
    assert ve.kernel(0.35, 0.3).variance == pytest.approx(std[1] ** 2 - std[0] ** 2, rel=1e-9)


def test_euler_against_ddpm():
    u = 0.02
    gap = 1 - u / 2 - np.sqrt(1 - u)
    assert gap == pytest.approx(u**2 / 8, rel=u)  # the next term is u^3/16


@pytest.mark.parametrize(
    ("target", "step"),
    [("x0", "clean data"), ("score", "score"), ("v", "v ="), ("velocity", "velocity")],
)
def test_loss_weights_are_those_of_the_conversions(target, step):
    t = 0.37
    at = SubVP(0.2, 9.0).interpolant(t)
    e, ehat = sp.symbols("e ehat")
    symbol = sp.Symbol("t")
    alpha, sigma = sp.Function("alpha")(symbol), sp.Function("sigma")(symbol)
    weight = sp.simplify(shown("loss-weights", step) / (e - ehat) ** 2)
    values = {
        alpha.diff(symbol): at.scale_rate, sigma.diff(symbol): at.std_rate, alpha: at.scale, sigma: at.std,
    }  # fmt: skip
    mine = float(weight.subs({k: sp.Float(float(v), 30) for k, v in values.items()}))
    assert float(loss_weight(at, source="noise", target=target)) == pytest.approx(mine, rel=1e-10)


@pytest.mark.parametrize(
    ("step", "sde"),
    [
        ("sd² of VP", VP(0.2, 9.0)),
        ("sd² of sub-VP", SubVP(0.2, 9.0)),
        ("sd² of VE", VE(0.3, 6.0)),
        ("sd² of dx = e^t dw", ExponentialNoise()),
        ("sd² of cosine", None),
        ("sd² of straight path", StraightPath()),
    ],
)
def test_variances_of_the_weight_are_those_of_the_kernels(step, sde):
    t = 0.41
    symbol, k, low = sp.symbols("t k smin")
    integral = 0.2 * t + 8.8 * t**2 / 2
    closed = shown("sde-weight", step).subs({sp.Function("B")(symbol): integral})
    value = float(closed.subs({symbol: t, k: 20, low: sp.Rational(3, 10)}))
    expected = np.sin(np.pi * t / 2) ** 2 if sde is None else sde.kernel(t).variance
    assert value == pytest.approx(float(expected), rel=1e-9)


def test_guided_gaussians_by_integration():
    v, gamma = 0.3, 2.5
    tilted = v / (v + gamma * (1 - v))

    def curve(s):
        return (1 - gamma) / (1 + s) + gamma / (v + s)

    # log variance of the flow less that of the tilted law; s = u/(1-u)
    lost = quad(lambda u: (curve(u / (1 - u)) - 1 / (tilted + u / (1 - u))) / (1 - u) ** 2, 0, 1)[
        0
    ]
    assert tilted * np.exp(-lost) == pytest.approx(v**gamma, rel=1e-8)
    start = 1e4  # variance there is start to first order, and the flow forgets it like 1/start
    run = solve_ivp(
        lambda s, w: 2 * curve(s) * w - 1, (start, 0), [tilted + start], rtol=1e-10, method="LSODA"
    )
    noisy = v * (1 - v ** (2 * gamma - 1)) / ((1 - v) * (2 * gamma - 1))
    assert run.y[0, -1] == pytest.approx(noisy, rel=3 / start)
    assert v**gamma < tilted
    assert abs(noisy - tilted) > 0.01


def mixture(x, v):
    weights, means = np.array([0.3, 0.7]), np.array([-1.5, 1.0])
    variances = np.array([0.25, 0.5625]) + v
    parts = (
        weights * np.exp(-((x - means) ** 2) / (2 * variances)) / np.sqrt(2 * np.pi * variances)
    )
    return parts.sum(), (-(x - means) / variances * parts).sum()


def test_de_bruijn_on_a_mixture():
    def entropy(v):
        return quad(lambda x: -mixture(x, v)[0] * np.log(mixture(x, v)[0]), -12, 12, epsabs=1e-12)[
            0
        ]

    v, h = 0.4, 1e-2
    rate = (entropy(v - 2 * h) - 8 * entropy(v - h) + 8 * entropy(v + h) - entropy(v + 2 * h)) / (
        12 * h
    )
    fisher = quad(lambda x: mixture(x, v)[1] ** 2 / mixture(x, v)[0], -12, 12)[0]
    # Five-point differences: error h^4/30 of the fifth derivative, which is of order one here.
    assert rate == pytest.approx(fisher / 2, abs=1e-7)


def test_kl_of_two_gaussians_along_one_diffusion():
    beta, p, q = 1.7, (0.8, 0.3), (-0.5, 1.4)

    def laws(t):
        a = np.exp(-beta * t / 2)
        return [(a * m, a**2 * s + 1 - a**2) for m, s in (p, q)]

    def kl(t):
        (m, s), (n, r) = laws(t)
        return 0.5 * (np.log(r / s) + (s + (m - n) ** 2) / r - 1)

    t, h = 0.6, 1e-3
    (m, s), (n, r) = laws(t)
    slope, shift = (
        1 / r - 1 / s,
        (m - n) / r,
    )  # score of p minus score of q = slope (x - m) + shift
    expected = -beta / 2 * (slope**2 * s + shift**2)
    # Central differences: error h^2/6 of the third derivative, beta^3 kl in size.
    assert (kl(t + h) - kl(t - h)) / (2 * h) == pytest.approx(expected, abs=2e-6)


def test_likelihood_along_the_flow():
    beta, mean, var, x0, end = 1.3, 0.7, 0.2, 0.1, 0.9

    def law(t):
        a = np.exp(-beta * t / 2)
        return a * mean, a**2 * var + 1 - a**2

    def flow(t, y):
        m, v = law(t)
        return [-beta / 2 * y[0] + beta / 2 * (y[0] - m) / v, -beta / 2 + beta / 2 / v]

    def log_density(x, t):
        m, v = law(t)
        return -0.5 * np.log(2 * np.pi * v) - (x - m) ** 2 / (2 * v)

    x_end, lost = solve_ivp(flow, (0, end), [x0, 0.0], rtol=1e-11, atol=1e-12).y[:, -1]
    assert log_density(x_end, end) + lost == pytest.approx(log_density(x0, 0), abs=1e-9)


def test_metropolis_on_five_states(rng):
    target, proposal = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5), size=5)
    flow = target[:, None] * proposal
    kernel = proposal * np.minimum(1, flow.T / flow)
    kernel += np.diag(1 - kernel.sum(1))
    assert target @ kernel == pytest.approx(target, rel=ROUNDING)
    # With the ratio of the target alone it is not stationary.
    wrong = proposal * np.minimum(1, target[None, :] / target[:, None])
    wrong += np.diag(1 - wrong.sum(1))
    assert np.abs(target @ wrong - target).max() > 1e-3


def test_average_by_the_joint_covariance():
    a, m, n = 0.35, 0.9, 0.04
    step = np.array([[a, 0.0], [(1 - m) * a, m]])
    noise = n * np.outer([1, 1 - m], [1, 1 - m])
    joint = solve_discrete_lyapunov(step, noise)
    plain = n / (1 - a**2)
    smooth = plain * (1 - m) * (1 + m * a) / ((1 + m) * (1 - m * a))
    assert [joint[0, 0], joint[1, 1]] == pytest.approx([plain, smooth], rel=ROUNDING)


def test_fourier_kernel_by_quadrature():
    s, lag = 1.3, 0.21
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    mean = weights @ np.cos(2 * np.pi * lag * s * nodes) / weights.sum()
    assert mean == pytest.approx(np.exp(-2 * np.pi**2 * s**2 * lag**2), rel=1e-12)
