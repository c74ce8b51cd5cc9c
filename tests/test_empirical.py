"""Data sets as laws: exact at every noise level, streamed, and refused where they make no sense."""

from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
import torch
from scoreproof.theory import (
    VE,
    VP,
    DiffusedPoints,
    Gaussian,
    GaussianMixture,
    PointMasses,
    cloud,
    marginal,
)
from scoreproof.theory import point_kernel as kernel_module
from scoreproof.theory.cloud import two_product

EPS = np.finfo(np.float64).eps
FIELDS = ("log_prob", "score", "divergence", "hessian", "responsibilities", "point_mean")


def data(n: int = 40, dim: int = 5, offset: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(8)
    out = rng.standard_normal((n, dim)) ** 3 @ rng.standard_normal((dim, dim)) + offset
    out[7] = out[3]  # a duplicate
    return out


def weights(n: int = 40) -> np.ndarray:
    w = np.random.default_rng(9).random(n) + 0.05
    return w / w.sum()


def draws(q, n: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return q.transport(rng.random(n), rng.standard_normal((n, q.dim)))


def noisy(p: PointMasses, a: float, v: float) -> DiffusedPoints:
    q = p.diffuse(a, v)
    assert isinstance(q, DiffusedPoints)
    return q


def as_mixture(q) -> GaussianMixture:
    return GaussianMixture(q.weights, q.scale * q.points, np.full(len(q.weights), q.variance))


def reference(q, x: np.ndarray) -> tuple[float, np.ndarray, float, np.ndarray]:
    """log-density, score, divergence of the score and posterior mean at one point, 50 digits."""
    with mp.workdps(50):
        a, v = mp.mpf(q.scale), mp.mpf(q.variance)
        lags = [
            [a * mp.mpf(p) - mp.mpf(c) for p, c in zip(point, x, strict=True)]
            for point in q.points
        ]
        logs = [
            mp.log(mp.mpf(w)) - mp.fsum(c * c for c in lag) / (2 * v)
            for w, lag in zip(q.weights, lags, strict=True)
        ]
        top = max(logs)
        mass = [mp.exp(v_ - top) for v_ in logs]
        total = mp.fsum(mass)
        r = [m / total for m in mass]
        axes = range(len(x))
        lag = [mp.fsum(w * row[i] for w, row in zip(r, lags, strict=True)) for i in axes]
        mean = [mp.fsum(w * mp.mpf(p[i]) for w, p in zip(r, q.points, strict=True)) for i in axes]
        spread = mp.fsum(
            w * mp.fsum((row[i] - lag[i]) ** 2 for i in axes)
            for w, row in zip(r, lags, strict=True)
        )
        value = top + mp.log(total) - mp.mpf(len(x)) / 2 * mp.log(2 * mp.pi * v)
        return (
            float(value),
            np.array([float(c / v) for c in lag]),
            float(spread / v**2 - len(x) / v),
            np.array([float(c) for c in mean]),
        )


def form_error(q, x: np.ndarray) -> float:
    """eps a |eta| (2 |xi| + a |eta|) / v, about the largest centred point."""
    reach = abs(q.scale) * np.linalg.norm(q.cloud.centred, axis=1).max()
    xi = np.linalg.norm(x - q.scale * q.cloud.shift)
    return EPS * reach * (2 * xi + reach) / q.variance


def logit_bound(q, x: np.ndarray) -> float:
    """How far one logit may be off: the product form where it is accepted, differences elsewhere.

    The product of d terms loses d times :func:`form_error`; differences, and the square that all logits share,
    lose d + 6 roundings of the logit itself.
    """
    closest = (((q.scale * q.points - x) ** 2).sum(axis=1) / (2 * q.variance)).min()
    form = form_error(q, x)
    product = (q.dim + 4) * form if form <= kernel_module.ACCEPTED * (1 + 1e-9) else 0.0
    return product + (q.dim + 6) * EPS * (closest + 60)


@pytest.mark.parametrize("offset", [0.0, 3.0, 1e4])
@pytest.mark.parametrize(
    ("a", "v"),
    [(1.0, 1e-16), (1 - 5e-10, 1e-9), (0.9, 1e-5), (0.7, 0.3), (0.006, 0.99996), (1.0, 6400.0)],
)
def test_against_fifty_digits(a: float, v: float, offset: float) -> None:
    q = noisy(PointMasses(data(offset=offset), weights()), a, v)
    x = draws(q, 5)
    x[3] = a * (q.points[1] + q.points[2]) / 2  # between two points
    x[4] = 5 * x[4]  # far from all
    sd = np.sqrt(v)
    for got in zip(x, q.log_prob(x), q.score(x), q.divergence(x), q.point_mean(x), strict=True):
        at, log_prob, score, divergence, mean = got
        value, exact_score, exact_divergence, exact_mean = reference(q, at)
        e = logit_bound(q, at)
        # Weights off by a factor exp(2 e) move the mean by 2 e times the posterior's width, sd |s - s_k|.
        width = np.sqrt(max(exact_divergence * v**2 + q.dim * v, 0.0)) + 4 * EPS * abs(a) * 1e5
        assert abs(log_prob - value) <= e + 8 * EPS * (abs(value) + q.dim * abs(np.log(v)))
        size = np.linalg.norm(exact_score)
        lag_error = 8 * EPS * (np.linalg.norm(at) + size * v) + 2 * e * width
        if form_error(q, at) > kernel_module.ACCEPTED * (1 + 1e-9):
            lag_error = 8 * EPS * size * v + 2 * e * width  # from differences: relative to the lag
        assert np.linalg.norm(score - exact_score) <= lag_error / v
        rough = (width / sd) ** 2 + q.dim
        assert abs(divergence - exact_divergence) * v <= (4 * e + 1e-9) * rough
        assert np.linalg.norm(mean - exact_mean) <= lag_error / abs(a) + 16 * EPS * (
            np.linalg.norm(exact_mean) + abs(offset) * 3
        )


def test_smallest_noise_to_the_last_digits() -> None:
    """t = 1e-8 with sigma = t: the score is (y - x) / v, and only exact differences give it."""
    q = noisy(PointMasses(data(200, 20, offset=2.0)), 1.0, 1e-16)
    x = draws(q, 30)
    nearest = q.points[np.argmin(((x[:, None] - q.points) ** 2).sum(-1), axis=1)]
    np.testing.assert_allclose(q.score(x), (nearest - x) / 1e-16, rtol=4 * EPS)
    np.testing.assert_array_equal(q.point_mean(x), nearest)


@pytest.mark.parametrize(("a", "v"), [(1.0, 1e-9), (0.8, 1e-3), (0.7, 0.5)])
def test_is_the_mixture_with_isotropic_components(a: float, v: float) -> None:
    p = PointMasses(data(), weights())
    q = noisy(p, a, v)
    mixture = as_mixture(q)
    x = draws(q, 25)
    for name in ("log_prob", "score", "divergence", "hessian", "responsibilities"):
        one, two = getattr(q, name)(x), getattr(mixture, name)(x)
        # The mixture rounds a y: 1e-16 * |a y| / sd of a logit's slope, times |y| up to 100.
        slack = 1e4 * EPS / np.sqrt(v) + 1e-9
        np.testing.assert_allclose(one, two, rtol=0, atol=slack * np.abs(two).max(), err_msg=name)
    np.testing.assert_allclose(q.mean, mixture.mean, atol=1e3 * EPS)
    np.testing.assert_allclose(q.covariance, mixture.covariance, atol=1e4 * EPS * 1e3)
    again = q.diffuse(0.5, 0.1)
    assert again.scale == 0.5 * a
    assert again.variance == 0.25 * v + 0.1


def agrees(score, q) -> bool:
    """Whether a candidate is the gradient of ``log p`` at draws of q, to eight digits of its largest value."""
    x = draws(q, 100, seed=5)
    y = torch.tensor(x, requires_grad=True)
    exact = torch.autograd.grad(q.log_prob(y).sum(), y)[0].numpy()
    return bool(np.abs(score(x) - exact).max() <= 1e-8 * np.abs(exact).max())


@pytest.mark.parametrize("v", [1e-12, 1e-2, 0.5, 30.0])
def test_mutants_are_refused(v: float) -> None:
    p = PointMasses(data(), weights())
    q = noisy(p, 0.8, v)
    assert agrees(q.score, q)
    swapped = weights()
    swapped[[3, 11, 20]] = swapped[[20, 3, 11]]
    wrong = {
        "sign": lambda x: -q.score(x),
        "factor": lambda x: 0.5 * q.score(x),
        "scale forgotten": lambda x: (q.point_mean(x) - x) / v,
        "variance off by 1e-4": lambda x: noisy(p, 0.8, v * 1.0001).score(x),
        "one point": lambda x: (0.8 * q.points[0] - x) / v,
        "Gaussian": lambda x: Gaussian(q.mean, q.covariance).score(x),
    }
    if v > 0.1:  # below that a single point has all the weight
        wrong["swapped weights"] = lambda x: noisy(PointMasses(q.points, swapped), 0.8, v).score(x)
    for name, score in wrong.items():
        assert not agrees(score, q), name


def test_product_form_alone_would_fail(monkeypatch) -> None:
    """Two points one noise width apart, far from the centre: the product form loses their weights."""
    y = data(offset=2.0)
    y[1] = y[0] + 1e-6
    q = noisy(PointMasses(y, weights()), 1.0, 1e-12)
    x = y[0] + 1e-6 * np.array([0.3, 0.9, 0.2, 0.7, 0.1])
    _, exact, *_ = reference(q, x)
    # One rounding of x - y, relative to itself, and weights as in logit_bound.
    assert np.abs(q.score(x) - exact).max() <= 1e3 * EPS * np.abs(exact).max()
    monkeypatch.setattr(kernel_module, "ACCEPTED", np.inf)
    assert np.abs(q.score(x) - exact).max() > 1e-5 * np.abs(exact).max()


@pytest.mark.parametrize("v", [1e-10, 1e-3, 0.5])
def test_blocks_do_not_change_the_result(v: float, monkeypatch) -> None:
    points = data(300, 4)
    points[100:180] = points[0] + 1e-7 * data(80, 4)  # many candidates for the exact route
    q = noisy(PointMasses(points, weights(300)), 0.9, v)
    x = np.concatenate([draws(q, 30), 0.9 * points[100:110]])
    whole = {name: getattr(q, name)(x) for name in FIELDS}
    monkeypatch.setattr(kernel_module, "_LOGITS", 1500)
    monkeypatch.setattr(kernel_module, "_COLUMNS", 7)
    monkeypatch.setattr(kernel_module, "GATHERED", 64)
    for name in FIELDS:
        out = getattr(q, name)(x)
        # Sums of 300 terms in another order; logits may differ by ten times what is accepted.
        slack = 10 * kernel_module.ACCEPTED * np.abs(whole[name]).max()
        np.testing.assert_allclose(out, whole[name], rtol=0, atol=slack, err_msg=name)


@pytest.mark.parametrize("v", [1e-12, 1e-4, 0.5])
def test_torch_and_autograd(v: float) -> None:
    q = noisy(PointMasses(data(offset=1.0), weights()), 0.9, v)
    x = np.concatenate([draws(q, 12), 0.45 * (q.points[:3] + q.points[3:6])])
    y = torch.tensor(x, requires_grad=True)
    for name in FIELDS:
        one, two = getattr(q, name)(x), getattr(q, name)(y)
        assert two.requires_grad
        slack = 10 * kernel_module.ACCEPTED * np.abs(one).max()
        np.testing.assert_allclose(two.detach().numpy(), one, rtol=0, atol=slack, err_msg=name)
    (slope,) = torch.autograd.grad(q.log_prob(y).sum(), y)
    score, hessian = q.score(x), q.hessian(x)
    np.testing.assert_allclose(slope.numpy(), score, rtol=0, atol=1e-9 * np.abs(score).max())
    jacobian = torch.func.jacrev(lambda z: q.score(z).sum(dim=0))(y.detach()).permute(1, 0, 2)
    top = np.abs(hessian).max()
    np.testing.assert_allclose(jacobian.numpy(), hessian, rtol=0, atol=1e-8 * top)
    trace = np.trace(hessian, axis1=1, axis2=2)
    np.testing.assert_allclose(q.divergence(x), trace, rtol=0, atol=1e-9 * top)
    third = torch.func.jacrev(lambda z: q.hessian(z).sum(dim=0))(y.detach()).permute(2, 0, 1, 3)
    twice = torch.func.jacrev(torch.func.jacrev(lambda z: q.score(z).sum(dim=0)))(y.detach())
    diagonal = torch.einsum("injnk->nijk", twice)
    size = max(float(third.abs().max()), top / np.sqrt(v))
    np.testing.assert_allclose(third.numpy(), diagonal.numpy(), rtol=0, atol=1e-7 * size)


def test_single_precision_input_is_summed_in_double() -> None:
    q = noisy(PointMasses(data(60, 30), None), 1.0, 1e-4)
    x = draws(q, 20).astype(np.float32)
    for name in FIELDS:
        exact = getattr(q, name)(x.astype(np.float64))
        for one in (getattr(q, name)(x), getattr(q, name)(torch.tensor(x)).numpy()):
            assert one.dtype == np.float32
            # Only the last cast rounds.
            np.testing.assert_allclose(one, exact, rtol=2.0**-23, atol=1e-9 * np.abs(exact).max())


@pytest.mark.parametrize("sde", [VP(), VE()])
@pytest.mark.parametrize("t", [1e-8, 1e-3, 0.3, 1.0])
def test_marginals(sde, t: float) -> None:
    p = PointMasses(data(), weights())
    p_t = marginal(p, sde, t)
    a, v = float(p_t.kernel.scale), float(p_t.kernel.variance)
    x = draws(p_t, 10)
    mean = p_t.denoiser(x)
    given = p_t.posterior(x)
    np.testing.assert_allclose(given.weights @ p.points, mean, atol=1e-9 * np.abs(mean).max())
    # Tweedie: x + v s loses what x and the data cancel.
    slack = 32 * EPS * (1 + np.abs(x).max()) / a + 1e-9 * np.abs(mean).max() * (v > 1e-6)
    np.testing.assert_allclose(mean, (x + v * p_t.score(x)) / a, rtol=0, atol=slack)
    second = v / a**2 * (np.eye(5) + v * p_t.hessian(x))
    spread = p_t.posterior_covariance(x)
    scale = v / a**2 + np.abs(spread).max()
    np.testing.assert_allclose(spread, second, rtol=0, atol=1e-8 * scale)
    off = p.points - mean[:, None, :]
    total = np.einsum("nk,nki,nkj->nij", given.weights, off, off)
    np.testing.assert_allclose(spread, total, rtol=0, atol=1e-8 * scale)
    np.testing.assert_array_equal(given.covariance, spread)
    assert given.means.shape == (10, 40, 5)


def test_diffused_points_as_the_clean_law() -> None:
    q = noisy(PointMasses(data(), weights()), 0.9, 0.2)
    mixture = as_mixture(q)
    x = draws(q.diffuse(0.6, 0.5), 15)
    np.testing.assert_allclose(q.denoiser(x, 0.6, 0.5), mixture.denoiser(x, 0.6, 0.5), atol=1e-9)
    np.testing.assert_allclose(
        q.posterior_covariance(x, 0.6, 0.5), mixture.posterior_covariance(x, 0.6, 0.5), atol=1e-7
    )
    one, two = q.posterior(x[0], 0.6, 0.5), mixture.posterior(x[0], 0.6, 0.5)
    np.testing.assert_allclose(one.means, two.means, atol=1e3 * EPS * np.abs(two.means).max())
    np.testing.assert_allclose(one.weights, two.weights, atol=1e-9)


def test_exact_draws() -> None:
    p = PointMasses(data(), weights())
    rng = np.random.default_rng(2)
    n = 40_000
    u, z = rng.random(n), rng.standard_normal((n, 5))
    clean = p.transport(u, z)
    known = {row.tobytes() for row in p.points}
    assert all(row.tobytes() in known for row in clean)
    q = noisy(p, 0.5, 0.3)
    rough = q.transport(u, z)
    np.testing.assert_allclose((rough - 0.5 * clean) / np.sqrt(0.3), z, atol=1e4 * EPS)
    # Six standard errors, 2e-9 a comparison.
    counts = np.bincount(np.searchsorted(np.cumsum(p.weights), u), minlength=40) / n
    assert (np.abs(counts - p.weights) <= 6 * np.sqrt(p.weights / n)).all()
    error = np.sqrt(np.diag(q.covariance) / n)
    assert (np.abs(rough.mean(axis=0) - q.mean) <= 6 * error).all()


def test_moments() -> None:
    p = PointMasses(data(offset=3.0), weights())
    off = p.points - p.mean
    np.testing.assert_allclose(p.mean, weights() @ p.points, rtol=100 * EPS)
    exact = (off * weights()[:, None]).T @ off
    np.testing.assert_allclose(p.covariance, exact, atol=100 * EPS * np.abs(exact).max())
    with pytest.raises(ValueError, match="read-only"):
        p.points[0, 0] = 1.0
    assert p.diffuse(1.0, 0.0) is p
    halved = p.diffuse(0.5, 0.0)
    assert isinstance(halved, PointMasses)
    np.testing.assert_array_equal(halved.points, 0.5 * p.points)


@pytest.mark.parametrize("v", [1e-10, 0.3])
def test_nan_stays_in_its_row(v: float) -> None:
    q = noisy(PointMasses(data(), weights()), 0.9, v)
    x = draws(q, 6)
    x[2, 1] = np.nan
    for name in FIELDS:
        bad_rows = np.isnan(getattr(q, name)(x).reshape(6, -1)).any(axis=1)
        assert bad_rows.tolist() == [False, False, True, False, False, False], name


def test_products_without_rounding() -> None:
    rng = np.random.default_rng(0)
    y = rng.standard_normal(200) * 10.0 ** rng.integers(-8, 8, 200)
    for a in (1.0, 1 - 5e-10, 0.3, 1e-5):
        high, low = two_product(a, y)
        for k in range(200):
            assert Fraction(a) * Fraction(y[k]) == Fraction(high[k]) + Fraction(low[k])


def test_duplicates_count_as_weight() -> None:
    y = data(10, 3)
    y[7] = [9.0, 9.0, 9.0]
    double = PointMasses(np.concatenate([y, y[:1]]), None)
    w = np.full(10, 1 / 11)
    w[0] = 2 / 11
    x = draws(noisy(double, 1.0, 0.5), 20)
    one, two = noisy(double, 1.0, 0.5), noisy(PointMasses(y, w), 1.0, 0.5)
    np.testing.assert_allclose(one.log_prob(x), two.log_prob(x), atol=1e-10)
    np.testing.assert_allclose(one.score(x), two.score(x), atol=1e-9)


def test_held_data_is_shared_with_torch_on_the_cpu() -> None:
    p = PointMasses(data())
    held = p.cloud.held(torch.zeros(1, 5, dtype=torch.float64))[0]
    assert held.data_ptr() == p.cloud.points.ctypes.data
    assert isinstance(p.cloud, cloud.Cloud)
