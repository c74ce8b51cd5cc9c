"""Gaussian mixtures: every closed form beside a second route, and wrong formulas refused."""

import mpmath as mp
import numpy as np
import pytest
import torch
from scipy import integrate
from scoreproof.theory import VE, VP, Gaussian, GaussianMixture, marginal
from scoreproof.theory.fast_score import ACCEPTED, pays, precision_score

EPS = np.finfo(np.float64).eps
WEIGHTS = np.array([0.15, 0.6, 0.25])
MEANS = np.array([[2.0, -1.0, 0.5], [-1.5, 3.0, 0.0], [0.3, 0.4, -4.0]])
FORMS = ("full", "diagonal", "isotropic", "low rank")


def make(form: str, seed: int = 0) -> GaussianMixture:
    """Skewed, off-centre, anisotropic, three components in three dimensions."""
    rng = np.random.default_rng(seed)
    if form == "full":
        root = rng.standard_normal((3, 3, 3)) + np.eye(3)
        return GaussianMixture(WEIGHTS, MEANS, root @ root.transpose(0, 2, 1) + 0.05 * np.eye(3))
    if form == "diagonal":
        return GaussianMixture(WEIGHTS, MEANS, rng.uniform(0.1, 3, (3, 3)))
    if form == "isotropic":
        return GaussianMixture(WEIGHTS, MEANS, np.array([0.2, 1.0, 2.5]))
    factors, noise = rng.standard_normal((3, 3, 1)), np.array([0.05, 0.3, 0.1])
    return GaussianMixture.low_rank(WEIGHTS, MEANS, factors, noise)


def points(p, n: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return p.transport(rng.random(n), rng.standard_normal((n, p.dim)))


def gradient(p, x: np.ndarray) -> np.ndarray:
    y = torch.tensor(x, requires_grad=True)
    return torch.autograd.grad(p.log_prob(y).sum(), y)[0].numpy()


def reference(p, x: np.ndarray) -> tuple[float, np.ndarray]:
    """Log-density and score at one point from the dense covariances, 50 digits."""
    with mp.workdps(50):
        logs, scores = [], []
        for w, mu, c in zip(p.weights, p.means, p.covariances, strict=True):
            off = mp.matrix([mp.mpf(a) - mp.mpf(b) for a, b in zip(x, mu, strict=True)])
            sigma = mp.matrix(c.tolist())
            pull = mp.lu_solve(sigma, off)
            quad = (off.T * pull)[0]
            det = mp.det(2 * mp.pi * sigma)
            logs.append(mp.log(mp.mpf(w)) - quad / 2 - mp.log(det) / 2)
            scores.append(-pull)
        top = max(logs)
        mass = [mp.exp(v - top) for v in logs]
        total = sum(mass)
        s = sum((m / total * v for m, v in zip(mass, scores, strict=True)), mp.zeros(len(x), 1))
        return float(top + mp.log(total)), np.array([float(v) for v in s])


def bounds(p, x: np.ndarray) -> tuple[float, float]:
    """Rounding bounds of log-density and score at one point.

    With g = (3 d + 10) u: an eigen-coordinate of x - mu is off by g |x - mu|, an eigenvalue, found from the
    dense matrix, by g lambda_max; hence the quadratic form q by
    2 g |x - mu| sqrt(q / lambda_min) + g kappa q, and a component score by g kappa |x - mu| / lambda_min.
    Logits that are off by e move the weights by a factor exp(2 e) at most.
    """
    g = (3 * p.dim + 10) * EPS / 2
    values = np.sort(p.basis.eigenvalues(), axis=1)
    low, kappa = values[:, 0], values[:, -1] / values[:, 0]
    off = p.means - x
    size = np.linalg.norm(off, axis=1)
    pulled = np.stack([np.linalg.solve(c, o) for c, o in zip(p.covariances, off, strict=True)])
    q = (off * pulled).sum(axis=1)
    own = np.abs(np.log(p.weights)) + np.abs(np.log(values)).sum(axis=1) + p.dim
    logit = 0.5 * (2 * g * size * np.sqrt(q / low) + g * kappa * q) + g * (own + p.dim * kappa + q)
    # Components that are e^-60 below the largest have no say, however wrong their logits are.
    heavy = p.component_log_prob(x) > p.component_log_prob(x).max() - 60
    pull = g * kappa * size / low
    e = float(logit[heavy].max())
    largest = np.linalg.norm(pulled[heavy], axis=1).max() if heavy.sum() > 1 else 0.0
    return e, float(pull[heavy].max() + np.expm1(2 * e) * largest)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("where", [1.0, 40.0, 1000.0])
def test_tails_against_fifty_digits(form: str, where: float) -> None:
    p = make(form)
    for direction in np.random.default_rng(3).standard_normal((4, 3)):
        x = p.mean + where * np.sqrt(np.diag(p.covariance)) * direction / np.abs(direction).max()
        value, score = reference(p, x)
        log_bound, score_bound = bounds(p, x)
        assert abs(p.log_prob(x) - value) <= log_bound
        assert np.linalg.norm(p.score(x) - score) <= score_bound
        # The bound says something: eight digits of the score.
        assert score_bound <= 1e-8 * np.linalg.norm(score)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("t", [1e-8, 1e-4, 0.3, 1.0])
@pytest.mark.parametrize("sde", [VP(), VE()])
def test_every_time_against_fifty_digits(form: str, t: float, sde) -> None:
    p = marginal(make(form), sde, t).law
    for x in points(p, 3):
        value, score = reference(p, x)
        log_bound, score_bound = bounds(p, x)
        assert abs(p.log_prob(x) - value) <= log_bound
        assert np.linalg.norm(p.score(x) - score) <= score_bound


@pytest.mark.parametrize("form", ["full", "diagonal", "low rank"])
def test_nearly_singular(form: str) -> None:
    rng = np.random.default_rng(5)
    if form == "full":
        q, _ = np.linalg.qr(rng.standard_normal((3, 3)))
        c = q @ np.diag([1e-12, 1e-3, 1.0]) @ q.T
        p = GaussianMixture(WEIGHTS, MEANS, np.stack([(c + c.T) / 2] * 3))
    elif form == "diagonal":
        p = GaussianMixture(WEIGHTS, MEANS, np.array([[1e-12, 1e-3, 1.0]] * 3))
    else:
        factors = rng.standard_normal((3, 3, 1))
        p = GaussianMixture.low_rank(WEIGHTS, MEANS, factors, np.full(3, 1e-12))
    assert p.basis.condition > 1e11
    for x in points(p, 4):
        if form == "diagonal":  # each coordinate on its own: no condition number, a few ulps
            k = int(np.argmax(p.component_log_prob(x)))
            exact = (p.means[k] - x) / p.basis.values[k]
            # One rounding each for difference, reciprocal, product, weight, sum: 8 ulps are enough.
            np.testing.assert_allclose(p.score(x), exact, rtol=8 * EPS)
        elif form == "full":
            value, score = reference(p, x)
            log_bound, score_bound = bounds(p, x)
            assert abs(p.log_prob(x) - value) <= log_bound
            assert np.linalg.norm(p.score(x) - score) <= score_bound
        else:
            # |x - mu| is about 1, the noise 1e-6 wide: coordinates across are known to 20 EPS / 1e-6,
            # which is also the relative error of the score; so is Tweedie's second route.
            np.testing.assert_allclose(
                p.score(x), gradient(p, x), atol=20 * EPS / 1e-6 * np.abs(p.score(x)).max()
            )


@pytest.mark.parametrize("form", FORMS)
def test_autograd_agrees(form: str) -> None:
    """log_prob -> score -> hessian -> third derivatives; sums of K d^2 terms of size 1/lambda_min^2."""
    p = make(form).diffuse(0.3, 0.2)  # near enough to each other for all components to count
    x = points(p, 20)
    y = torch.tensor(x)
    top = 1 / p.basis.eigenvalues().min()
    slack = 1e4 * EPS * top ** np.array([1.0, 1.5, 2.0, 2.5])
    np.testing.assert_allclose(p.score(x), gradient(p, x), rtol=0, atol=slack[1] * 10)
    jacobian = torch.func.vmap(torch.func.jacrev(p.score))(y)
    np.testing.assert_allclose(p.hessian(x), jacobian.numpy(), rtol=0, atol=slack[2] * 10)
    np.testing.assert_allclose(
        p.divergence(x), np.trace(p.hessian(x), axis1=1, axis2=2), rtol=0, atol=slack[2]
    )
    third = torch.func.vmap(torch.func.jacrev(p.hessian))(y)
    twice = torch.func.vmap(torch.func.jacrev(torch.func.jacrev(p.score)))(y)
    np.testing.assert_allclose(third.numpy(), twice.numpy(), rtol=0, atol=slack[3] * 100)
    assert np.abs(third.numpy()).max() > 1e-2


def agrees(score, p, n: int = 200) -> bool:
    """Whether a candidate is the gradient of ``log p`` at draws of p, to nine digits of its largest value."""
    x = points(p, n, seed=11)
    exact = gradient(p, x)
    return bool(np.abs(score(x) - exact).max() <= 1e-9 * np.abs(exact).max())


def _blend(p, x, weights, matrices):
    q = GaussianMixture(weights, p.means, p.covariances)
    r = q.responsibilities(x)
    pulled = np.einsum("kij,nkj->nki", matrices, p.means - x[:, None, :])
    return np.einsum("nk,nki->ni", r, pulled)


MUTANTS = {
    "sign": lambda p, x: -p.score(x),
    "swapped weight": lambda p, x: _blend(p, x, p.weights[[1, 0, 2]], p._precisions),
    "missing weight": lambda p, x: _blend(p, x, np.full(3, 1 / 3), p._precisions),
    "missing factor": lambda p, x: 0.5 * p.score(x),
    "covariance for precision": lambda p, x: _blend(p, x, p.weights, p.covariances),
    "variance of another time": lambda p, x: p.diffuse(1.0, 1e-6).score(x),
    "one component": lambda p, x: Gaussian(p.mean, p.covariance).score(x),
}


@pytest.mark.parametrize("form", FORMS)
def test_mutants_are_refused(form: str) -> None:
    p = make(form)
    assert agrees(p.score, p)
    assert agrees(lambda x: _blend(p, x, p.weights, p._precisions), p)
    for name, wrong in MUTANTS.items():
        assert not agrees(lambda x, wrong=wrong: wrong(p, x), p), name


def test_precision_form_is_the_same_score() -> None:
    rng = np.random.default_rng(2)
    root = rng.standard_normal((4, 8, 16))
    p = GaussianMixture(
        np.full(4, 0.25), 2 * rng.standard_normal((4, 8)), root @ root.transpose(0, 2, 1) / 8
    )
    x = points(p, 700)
    assert pays(len(x), 8, p.basis.condition)
    slow = p._pulled(x)[2]
    fast = precision_score(x, p._log_constants, p.means, p._precisions)
    assert np.array_equal(fast, p.score(x))
    # Each pull within ACCEPTED, logits within ACCEPTED times half the largest square here.
    largest = -2 * (p.component_log_prob(x) - p._log_constants).min()
    assert np.abs(fast - slow).max() <= ACCEPTED * (1 + largest) * np.abs(slow).max()
    assert not pays(len(x), 8, 1e7)
    np.testing.assert_array_equal(p.score(x.reshape(7, 100, 8)), fast.reshape(7, 100, 8))


@pytest.mark.parametrize("form", FORMS)
def test_forms_agree_with_dense(form: str) -> None:
    p = make(form)
    dense = GaussianMixture(p.weights, p.means, p.covariances)
    x = 3 * points(p, 50)
    for name in ("log_prob", "score", "hessian", "divergence", "responsibilities"):
        a, b = getattr(p, name)(x), getattr(dense, name)(x)
        # Conditions are below 1e3 and squares below 1e4: 1e7 roundings of the largest entry.
        np.testing.assert_allclose(a, b, rtol=0, atol=1e7 * EPS * np.abs(b).max(), err_msg=name)
    for f, exact in (
        (lambda v: v, p.covariances),
        (lambda v: 1 / v, np.linalg.inv(p.covariances)),
    ):
        np.testing.assert_allclose(p.basis.matrix(f), exact, atol=1e5 * EPS * np.abs(exact).max())
        trace = np.trace(exact, axis1=1, axis2=2)
        np.testing.assert_allclose(p.basis.trace(f), trace, rtol=1e5 * EPS)
    np.testing.assert_allclose(
        p.basis.log_det, np.linalg.slogdet(p.covariances)[1], atol=1e4 * EPS
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("a", "v"), [(0.7, 0.4), (1.0, 1e-8), (0.02, 0.9996), (-0.8, 0.1)])
def test_conditioning(form: str, a: float, v: float) -> None:
    p = make(form)
    q = p.diffuse(a, v)
    x = points(q, 30)
    given = p.posterior(x, a, v)
    # Tweedie divides by a and multiplies differences by v: its own rounding is what the slack allows.
    size = 1e4 * EPS * (1 + np.abs(x).max()) / abs(a)
    np.testing.assert_allclose(given.mean, (x + v * q.score(x)) / a, rtol=0, atol=size)
    np.testing.assert_allclose(p.denoiser(x, a, v), given.mean, rtol=0, atol=100 * EPS * 10)
    second = v / a**2 * (np.eye(3) + v * q.hessian(x))
    top = 1 + v / a**2
    np.testing.assert_allclose(given.covariance, second, rtol=0, atol=1e5 * EPS * top)
    np.testing.assert_allclose(
        p.posterior_covariance(x, a, v), given.covariance, rtol=0, atol=1e3 * EPS * top
    )
    np.testing.assert_allclose(given.weights.sum(axis=1), 1, atol=8 * EPS)


def test_posterior_against_quadrature() -> None:
    p = GaussianMixture([0.3, 0.7], [[-1.0], [2.0]], np.array([0.4, 1.5]))
    a, v, x = 0.6, 0.5, 0.8

    def moment(k: int) -> float:
        def f(y: float) -> float:
            noise = np.exp(-((x - a * y) ** 2) / (2 * v))
            return y**k * np.exp(p.log_prob(np.array([y]))) * noise

        return integrate.quad(f, -12, 14, epsabs=0, epsrel=1e-12, limit=200)[0]

    mass, first, second = (moment(k) for k in range(3))
    at = np.array([x])
    # quad was asked for twelve digits; the second moment loses one by cancellation.
    np.testing.assert_allclose(p.denoiser(at, a, v)[0], first / mass, rtol=1e-11)
    spread = second / mass - (first / mass) ** 2
    np.testing.assert_allclose(p.posterior_covariance(at, a, v)[0, 0], spread, rtol=1e-10)


@pytest.mark.parametrize("form", FORMS)
def test_noise_in_two_steps_is_noise_in_one(form: str) -> None:
    p = make(form)
    q, r = p.diffuse(0.8, 0.3).diffuse(0.5, 0.1), p.diffuse(0.4, 0.25 * 0.3 + 0.1)
    np.testing.assert_allclose(q.means, r.means, rtol=4 * EPS, atol=0)
    np.testing.assert_allclose(q.basis.eigenvalues(), r.basis.eigenvalues(), rtol=8 * EPS)
    np.testing.assert_allclose(
        r.covariance, 0.16 * p.covariance + 0.175 * np.eye(3), atol=100 * EPS
    )


@pytest.mark.parametrize("form", FORMS)
def test_projection(form: str) -> None:
    p = make(form)
    v = np.array([0.3, -2.0, 1.1])
    one = p.project(v)
    np.testing.assert_allclose(one.covariance[0, 0], v @ p.covariance @ v, rtol=100 * EPS)
    dense = np.einsum("i,kij,j->k", v, p.covariances, v)
    np.testing.assert_allclose(one.covariances[:, 0, 0], dense, rtol=100 * EPS)


def test_distribution_function_and_quantiles() -> None:
    p = make("full").project([1.0, 0.2, -0.4])
    for x in (-4.0, 0.3, 5.0):
        area = integrate.quad(
            lambda y: np.exp(p.log_prob(np.array([y]))), -40, x, epsabs=1e-13, limit=400
        )[0]
        assert abs(p.cdf(np.array([x])) - area) <= 1e-12  # ten times what quad was asked for
    u = np.random.default_rng(4).random((50, 4))
    x = p.quantile(u)
    assert x.shape == (50, 4, 1)
    density = np.exp(p.log_prob(x))
    # x to two ulps, the mixture's cdf to four.
    assert (np.abs(p.cdf(x) - u) <= 4 * EPS + 4 * EPS * np.abs(x[..., 0]) * density).all()
    tail = np.array([1e-300, 1e-30, 1e-12])
    np.testing.assert_allclose(p.cdf(p.quantile(tail)), tail, rtol=1e4 * EPS)  # |log u| = 700
    ends = p.quantile(np.array([0.0, 1.0, np.nan]))[:, 0]
    assert ends[0] == -np.inf
    assert ends[1] == np.inf
    assert np.isnan(ends[2])


def test_quantiles_cross_a_gap() -> None:
    p = GaussianMixture([0.5, 0.5], [[-1e6], [1e6]], np.array([1e-6, 1.0]))
    u = np.array([1e-9, 0.25, 0.49, 0.51, 0.75, 1 - 1e-9])
    x = p.quantile(u)
    density = np.exp(p.log_prob(x))
    assert (np.abs(p.cdf(x) - u) <= 4 * EPS * (1 + np.abs(x[:, 0]) * density)).all()


@pytest.mark.parametrize("form", FORMS)
def test_exact_draws(form: str) -> None:
    p = make(form)
    rng = np.random.default_rng(6)
    n = 40_000
    u, z = rng.random(n), rng.standard_normal((n, 3))
    x = p.transport(u, z)
    labels = np.searchsorted(np.cumsum(p.weights), u)
    # Whitening by the label gives the normals back: the map is exact, not only its moments.
    for k in range(3):
        mine = labels == k
        back = p.basis.take(k).apply(lambda v: 1 / np.sqrt(v), (x[mine] - p.means[k])[None])[0]
        np.testing.assert_allclose(back, z[mine], atol=1e3 * EPS * 10)
    # Six standard errors: 2e-9 a comparison, 12 comparisons a form.
    error = np.sqrt(np.diag(p.covariance) / n)
    assert (np.abs(x.mean(axis=0) - p.mean) <= 6 * error).all()
    products = np.einsum("ni,nj->nij", x - p.mean, x - p.mean)
    spread = products.std(axis=0) / np.sqrt(n)
    assert (np.abs(products.mean(axis=0) - p.covariance) <= 6 * spread).all()
    assert p.transport(u[:0], z[:0]).shape == (0, 3)


def test_gaussian_is_one_component() -> None:
    c = np.array([[2.0, 0.6], [0.6, 0.5]])
    p = Gaussian([1.0, -2.0], c)
    x = np.array([[0.3, 0.1], [5.0, 5.0]])
    np.testing.assert_allclose(p.score(x), -np.linalg.solve(c, (x - p.mean).T).T, rtol=100 * EPS)
    assert isinstance(p.diffuse(0.5, 0.2), Gaussian)
    np.testing.assert_array_equal(Gaussian([0.0, 1.0], 2.0).covariance, 2 * np.eye(2))
    np.testing.assert_array_equal(Gaussian([0.0, 1.0], [2.0, 3.0]).covariance, np.diag([2.0, 3.0]))
