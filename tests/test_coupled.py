"""The critically damped kernel against its definition, by routes that share no formula with the package."""

from __future__ import annotations

import array_api_strict as strict
import mpmath as mp
import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scoreproof.theory import (
    CriticallyDamped,
    Gaussian,
    GaussianMixture,
    probability_flow,
    reverse_drift,
)

EPS = np.finfo(float).eps
SDES = {
    "paper": CriticallyDamped(),
    "linear": CriticallyDamped(0.5, 9.0, mass=0.7, gamma=0.3, t_max=1.6),
    "falling": CriticallyDamped(6.0, 1.0, mass=2.5, gamma=0.0),
}
NAMES = sorted(SDES)
PARTS = (1e-8, 1e-6, 1e-4, 0.01, 0.13, 0.37, 0.5, 0.74, 1.0)
LINE = GaussianMixture([0.3, 0.7], [[-1.0], [1.7]], [0.2, 0.6])
PLANE = GaussianMixture(
    [0.15, 0.6, 0.25],
    [[1.5, -0.4], [-0.8, 2.1], [0.3, 0.2]],
    [[[0.5, 0.3], [0.3, 0.4]], [[1.2, -0.2], [-0.2, 0.1]], [[0.3, 0.0], [0.0, 0.9]]],
)
RNG = np.random.default_rng(3)
LAWS = {
    "line": LINE,
    "plane": PLANE,
    "gaussian": Gaussian([0.4, -1.1], [[0.7, 0.2], [0.2, 0.1]]),
    "diagonal": GaussianMixture([0.4, 0.6], RNG.normal(size=(2, 3)), RNG.uniform(0.2, 2, (2, 3))),
    "isotropic": GaussianMixture([0.4, 0.6], RNG.normal(size=(2, 3)), [0.3, 1.4]),
    "low rank": GaussianMixture.low_rank(
        [0.4, 0.6], RNG.normal(size=(2, 4)), RNG.normal(size=(2, 4, 1)), [0.2, 0.5]
    ),
}


def matrices(sde, t: float) -> tuple[np.ndarray, np.ndarray]:
    """Drift matrix and ``sigma sigma'`` in one coordinate, from the printed equations."""
    beta = sde.beta_min + (sde.beta_max - sde.beta_min) * t / sde.t_max
    friction = 2 * np.sqrt(sde.mass)
    drift = beta * np.array([[0, 1 / sde.mass], [-1, -friction / sde.mass]])
    return drift, np.diag([0, 2 * friction * beta])


def in_high_precision(sde, t: float, s: float = 0.0):
    """Mean matrix and covariance from 80-digit matrix exponentials of the integrated clock (Van Loan)."""
    with mp.workdps(80):
        t_, s_, end = mp.mpf(t), mp.mpf(s), mp.mpf(sde.t_max)
        low, high, mass = mp.mpf(sde.beta_min), mp.mpf(sde.beta_max), mp.mpf(sde.mass)
        clock = (t_ - s_) * (low + (high - low) * (t_ + s_) / (2 * end))
        friction = 2 * mp.sqrt(mass)
        a = mp.matrix([[0, 1 / mass], [-1, -friction / mass]])
        # Van Loan: exp [[-A, Q], [0, A']] = [[., G], [0, F']], covariance F G.
        block = mp.zeros(4, 4)
        for i in range(2):
            for j in range(2):
                block[i, j], block[2 + i, 2 + j] = -a[i, j], a[j, i]
        block[1, 3] = 2 * friction
        whole = mp.expm(block * clock, method="taylor")
        mean = whole[2:, 2:].T
        return mean, mean * whole[:2, 2:]


def entries(m) -> np.ndarray:
    return np.array([[float(m[i, j]) for j in range(2)] for i in range(2)])


def test_the_published_value():
    # Zero initial covariance, Gamma = 1, beta = 4, t = 0.3; printed to 15 digits.
    cov = CriticallyDamped(4.0, mass=0.25).kernel(0.3).covariance
    printed = [0.857460781110973, 0.0474033430023554, 0.234116588195391]
    np.testing.assert_allclose([cov[0, 0], cov[0, 1], cov[1, 1]], printed, rtol=2e-15)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("part", PARTS)
def test_kernel_to_the_last_digits(name, part):
    sde = SDES[name]
    t = part * sde.t_max
    for s in (0.0, 0.5 * t, t * (1 - 1e-3)):
        kernel = sde.kernel(t, s)
        mean, cov = in_high_precision(sde, t, s)
        # u carries some 6 roundings, its powers up to 3 times as many, exp(-2u) multiplies them by 2u <= 30;
        # 1 - u cancels near u = 1, where the entry is small beside its row.
        np.testing.assert_allclose(kernel.scale, entries(mean), rtol=200 * EPS, atol=20 * EPS)
        np.testing.assert_allclose(kernel.covariance, entries(cov), rtol=200 * EPS)
        with mp.workdps(80):
            det = cov[0, 0] * cov[1, 1] - cov[0, 1] ** 2
            # one more difference, of terms at most 4 times as large
            assert abs(float(kernel.determinant / det) - 1) <= 1000 * EPS
        np.testing.assert_allclose(
            kernel.cholesky @ kernel.cholesky.T, kernel.covariance, rtol=20 * EPS
        )


@pytest.mark.parametrize("name", NAMES)
def test_the_difference_of_the_textbook_loses_its_digits(name):
    """The check above has teeth: ``1 - e^-2u (1 + 2u + 2u^2)`` in float64 is off by far more at small t."""
    sde = SDES[name]
    t = 1e-6 * sde.t_max
    u = sde.beta_min * t / np.sqrt(sde.mass)
    naive = 1 - np.exp(-2 * u) * (1 + 2 * u + 2 * u**2)
    _, cov = in_high_precision(sde, t)
    assert abs(naive / float(cov[0, 0]) - 1) > 1e-3
    assert abs(sde.kernel(t).spreads[0] / float(cov[0, 0]) - 1) < 1e-13


@pytest.mark.parametrize("name", NAMES)
def test_moment_equations(name):
    """``F' = A F`` and ``S' = A S + S A' + Q`` (Lyapunov) by a Runge-Kutta solver, from v_0 ~ N(0, gamma M)."""
    sde = SDES[name]

    def right(t, y):
        a, q = matrices(sde, t)
        f, s = y[:4].reshape(2, 2), y[4:].reshape(2, 2)
        return np.concatenate([(a @ f).ravel(), (a @ s + s @ a.T + q).ravel()])

    start = np.concatenate([np.eye(2).ravel(), np.diag([0, sde.gamma * sde.mass]).ravel()])
    times = np.array([0.05, 0.3, 0.8, 1.0]) * sde.t_max
    out = solve_ivp(
        right, (0, sde.t_max), start, method="DOP853", t_eval=times, rtol=1e-12, atol=1e-14
    )
    for t, y in zip(times, out.y.T, strict=True):
        k = sde.data_kernel(float(t))
        # The solver's tolerance, some hundred steps.
        np.testing.assert_allclose(k.scale, y[:4].reshape(2, 2), rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(k.covariance, y[4:].reshape(2, 2), rtol=1e-9, atol=1e-10)
        assert abs(k.determinant / np.linalg.det(k.covariance) - 1) < 1e-9


@pytest.mark.parametrize("name", NAMES)
def test_chapman_kolmogorov(name):
    sde = SDES[name]
    for t, r, s in ((1.0, 0.4, 0.0), (0.3, 0.299, 0.1), (1e-5, 4e-6, 1e-6)):
        late, early, whole = (
            sde.kernel(a * sde.t_max, b * sde.t_max) for a, b in ((t, r), (r, s), (t, s))
        )
        np.testing.assert_allclose(late.scale @ early.scale, whole.scale, rtol=1e-12, atol=1e-13)
        joined = late.scale @ early.covariance @ late.scale.T + late.covariance
        np.testing.assert_allclose(joined, whole.covariance, rtol=1e-12)


def test_constant_beta_is_a_matrix_exponential():
    sde = SDES["paper"]
    drift, q = matrices(sde, 0.0)
    forward = expm(drift * 0.42)
    stationary = np.diag([1.0, sde.mass])
    assert np.abs(drift @ stationary + stationary @ drift.T + q).max() < 1e-14
    kernel = sde.kernel(0.42)
    np.testing.assert_allclose(kernel.scale, forward, rtol=1e-13)
    np.testing.assert_allclose(
        kernel.covariance, stationary - forward @ stationary @ forward.T, rtol=1e-12
    )


@pytest.mark.parametrize("law", sorted(LAWS))
@pytest.mark.parametrize("t", [1e-3, 0.2, 1.0])
def test_joint_law_from_dense_matrices(law, t):
    p, sde = LAWS[law], SDES["paper"]
    joint = sde.marginal(p, t)
    k = sde.data_kernel(t)
    c = k.scale[:, 0]
    dense = np.stack(
        [np.kron(np.outer(c, c), s) + np.kron(k.covariance, np.eye(p.dim)) for s in p.covariances]
    )
    other = GaussianMixture(p.weights, np.concatenate([c[0] * p.means, c[1] * p.means], 1), dense)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(20, 2 * p.dim)) * 1.5
    # numpy's eigenvalues are good to EPS times the largest: relative to the smallest, the condition number.
    slack = 200 * EPS * max(np.linalg.cond(s) for s in dense)
    np.testing.assert_allclose(joint.covariances, dense, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(joint.log_prob(x), other.log_prob(x), rtol=slack)
    size = np.abs(other.score(x)).max()
    np.testing.assert_allclose(joint.score(x), other.score(x), atol=slack * size)


def test_small_times_keep_the_determinant():
    """At t = 1e-6 and gamma = 0 the velocity's variance is 1e-5: ``log det`` against 80 digits."""
    sde = CriticallyDamped(gamma=0.0)
    p = Gaussian([0.3], [1e-8])
    t = 1e-6
    mean, cov = in_high_precision(sde, t)
    with mp.workdps(80):
        c = [mean[0, 0], mean[1, 0]]
        s = [[cov[i, j] + mp.mpf(1e-8) * c[i] * c[j] for j in range(2)] for i in range(2)]
        log_det = mp.log(s[0][0] * s[1][1] - s[0][1] * s[1][0])
    assert abs(float(sde.marginal(p, t).basis.log_det[0] - log_det)) < 1e-12


def fokker_planck(sde, law, t, drift, noise_share, x) -> float:
    """``d_t log p + div b + b . s + (share/2) G^2 (div_v s_v + |s_v|^2)`` relative to its largest term."""
    d = law.dim
    y = torch.tensor(x, requires_grad=True)
    (score,) = torch.autograd.grad(sde.marginal(law, t).log_prob(y).sum(), y, create_graph=True)

    def trace(field, columns):
        rows = [
            torch.autograd.grad(field[:, i].sum(), y, retain_graph=True)[0][:, i] for i in columns
        ]
        return torch.stack(rows).sum(0).detach()

    def change(h):
        ahead, behind = (sde.marginal(law, t + e).log_prob(y.detach()) for e in (h, -h))
        return (ahead - behind) / (2 * h)

    h = 0.01 * t
    first, second, third = (change(h / 2**k) for k in range(3))
    rate = (16 * (4 * third - second) / 3 - (4 * second - first) / 3) / 15
    b = drift(y, t)
    square = 2 * sde.friction * float(sde.beta(t))
    curved = trace(score, range(d, 2 * d)) + (score[:, d:] ** 2).sum(-1).detach()
    terms = torch.stack(
        [
            rate,
            trace(b, range(2 * d)),
            (b * score).sum(-1).detach(),
            0.5 * noise_share * square * curved,
        ]
    )
    return float(terms.sum(0).abs().max() / terms.abs().max())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("law", ["line", "plane"])
def test_reversal_moves_the_joint_law(name, law):
    sde, p = SDES[name], LAWS[law]
    x = np.random.default_rng(2).normal(0.3, 1.2, size=(12, 2 * p.dim))
    for eta in (0.0, 1.0, 1.6):
        process = reverse_drift(p, sde, eta)
        assert fokker_planck(sde, p, 0.4 * sde.t_max, process, eta**2, x) < 1e-7
    assert fokker_planck(sde, p, 0.4 * sde.t_max, sde.drift, -1.0, x) < 1e-7  # forward


def test_wrong_reversals_are_refused():
    sde, p, t = SDES["paper"], LAWS["plane"], 0.4
    x = np.random.default_rng(2).normal(0.3, 1.2, size=(12, 4))
    square = 2 * sde.friction * float(sde.beta(t))

    def wrong(share_x, share_v):
        def drift(y, r):
            s = sde.marginal(p, r).score(y)
            return sde.drift(y, r) - square * torch.cat(
                [share_x * s[:, :2], share_v * s[:, 2:]], -1
            )

        return drift

    assert fokker_planck(sde, p, t, wrong(0.0, 1.0), 1.0, x) < 1e-7
    for shares in ((1.0, 1.0), (0.0, 0.5), (0.0, -1.0), (1.0, 0.0)):
        assert fokker_planck(sde, p, t, wrong(*shares), 1.0, x) > 1e-3


def test_probability_flow_carries_a_gaussian():
    """From the exact law at t = 1 down to 0.05 the flow returns mean and covariance."""
    p, sde = LAWS["gaussian"], SDES["linear"]
    late, early = sde.marginal(p, sde.t_max), sde.marginal(p, 0.05)
    flow = probability_flow(p, sde)
    # The field is affine: the images of five points give the whole map.
    points = np.concatenate([np.zeros((1, 4)), np.eye(4)])
    out = solve_ivp(
        lambda t, y: flow(y.reshape(5, 4), float(t)).ravel(),
        (sde.t_max, 0.05),
        points.ravel(),
        method="DOP853",
        rtol=1e-10,
        atol=1e-12,
    ).y[:, -1].reshape(5, 4)  # fmt: skip
    shift, matrix = out[0], (out[1:] - out[0]).T
    np.testing.assert_allclose(matrix @ late.mean + shift, early.mean, atol=1e-7)
    np.testing.assert_allclose(matrix @ late.covariance @ matrix.T, early.covariance, atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_every_library_gives_the_numbers(name):
    sde, p = SDES[name], PLANE
    times = np.array([1e-6, 0.2, 0.9]) * sde.t_max
    x = np.random.default_rng(4).normal(size=(3, 4)).astype(np.float32).astype(float)
    process = reverse_drift(p, sde)
    one = np.stack([process(x[i], float(t)) for i, t in enumerate(times)])
    for make, dtype, slack in (
        (np.asarray, np.float64, 1e-10),
        (torch.tensor, torch.float64, 1e-10),
        (strict.asarray, strict.float64, 1e-10),
        # float32 holds the times to 6e-8, and scores of 1e2 at the smallest one
        (lambda a: torch.tensor(a, dtype=torch.float32), torch.float32, 2e-4),
    ):
        y, t = make(x), make(times)
        kernel = sde.kernel(t)
        assert kernel.covariance.dtype == dtype and tuple(kernel.scale.shape) == (3, 2, 2)
        for i, at in enumerate(times):
            want = sde.kernel(float(at)).covariance
            np.testing.assert_allclose(np.asarray(kernel.covariance)[i], want, rtol=slack)
        out = process(y, t)
        assert out.dtype == dtype and tuple(out.shape) == (3, 4)
        np.testing.assert_allclose(np.asarray(out), one, rtol=slack, atol=slack * abs(one).max())
        assert sde.diffusion(y, t).dtype == dtype
        assert float(abs(np.asarray(process.noise(y, t))[:, :2]).max()) == 0.0


def test_gradients_flow():
    sde = SDES["linear"]
    t = torch.tensor([0.4, 1.1], dtype=torch.float64, requires_grad=True)
    kernel = sde.kernel(t)
    (slope,) = torch.autograd.grad(kernel.covariance.sum(), t)
    for i, at in enumerate(t.tolist()):
        a, q = matrices(sde, at)
        s = kernel.covariance[i].detach().numpy()
        assert abs(float(slope[i]) - (a @ s + s @ a.T + q).sum()) < 1e-11
    x = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x.requires_grad_()
    out = reverse_drift(PLANE, sde)(x, 0.7)
    (g,) = torch.autograd.grad(out.sum(), x)
    assert torch.isfinite(g).all() and float(g.abs().min()) > 0
    empty = torch.empty((3, 4), device="meta")
    assert sde.drift(empty, 0.3).device.type == "meta"
    assert sde.marginal(PLANE, 0.3).score(empty).device.type == "meta"


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: CriticallyDamped(-1.0), "beta_min"),
        (lambda: CriticallyDamped(mass=0.0), "mass"),
        (lambda: CriticallyDamped(gamma=-0.1), "gamma"),
        (lambda: SDES["paper"].kernel(1.5), "t:"),
        (lambda: SDES["paper"].kernel(0.2, 0.3), "s:"),
        (lambda: SDES["paper"].drift(np.zeros((2, 3)), 0.3), "x:"),
        (lambda: SDES["paper"].marginal(np.zeros(2), 0.3), "p:"),  # pyright: ignore
        (lambda: SDES["falling"].marginal(LINE, 0.0), "t:"),
    ],
)
def test_bad_input(call, named):
    with pytest.raises(ValueError, match=f"{named}.*got .*, wanted .*;"):
        call()
