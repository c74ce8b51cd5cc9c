"""The same body on numpy, torch, strict arrays and torch's meta device."""

import array_api_strict
import numpy as np
import pytest
import torch
from scoreproof.theory import Energy, Gaussian, GaussianMixture, PointMasses
from scoreproof.theory.arrays import namespace

MEANS = np.array([[2.0, -1.0, 0.5], [-1.5, 3.0, 0.0], [0.3, 0.4, -4.0]])
WEIGHTS = np.array([0.15, 0.6, 0.25])


def laws() -> dict:
    rng = np.random.default_rng(3)
    root = rng.standard_normal((3, 3, 6))
    full = root @ root.transpose(0, 2, 1) / 6 + 0.2 * np.eye(3)
    factors = rng.standard_normal((3, 3, 1))
    return {
        "full": GaussianMixture(WEIGHTS, MEANS, full),
        "diagonal": GaussianMixture(WEIGHTS, MEANS, rng.uniform(0.3, 2, (3, 3))),
        "isotropic": GaussianMixture(WEIGHTS, MEANS, np.array([0.4, 1.0, 2.0])),
        "low rank": GaussianMixture.low_rank(WEIGHTS, MEANS, factors, np.array([0.3, 0.4, 0.5])),
        "gaussian": Gaussian(MEANS[0], full[0]),
        "points": PointMasses(rng.standard_normal((20, 3)) + MEANS[0]).diffuse(0.8, 0.3),
    }


LAWS = laws()
FIELDS = {
    "log_prob": (),
    "score": (),
    "hessian": (),
    "divergence": (),
    "responsibilities": (),
    "denoiser": (0.7, 0.4),
    "posterior_covariance": (0.7, 0.4),
}
BACKENDS = {
    "torch64": (lambda a: torch.tensor(a, dtype=torch.float64), np.float64),
    "torch32": (lambda a: torch.tensor(a, dtype=torch.float32), np.float32),
    "numpy32": (lambda a: np.asarray(a, dtype=np.float32), np.float32),
    "strict64": (lambda a: array_api_strict.asarray(np.asarray(a)), np.float64),
    "strict32": (
        lambda a: array_api_strict.asarray(np.asarray(a, dtype=np.float32)),
        np.float32,
    ),
}


def inputs(p, n: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points, uniforms and normals that float32 holds exactly."""
    rng = np.random.default_rng(4)
    u, z = rng.random(n), rng.standard_normal((n, p.dim))
    both = [a.astype(np.float32).astype(np.float64) for a in (p.transport(u, z), u, z)]
    return both[0], both[1], both[2]


def numbers(a) -> np.ndarray:
    return a.numpy() if isinstance(a, torch.Tensor) else np.asarray(a)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_agrees_with_numpy(law: str, backend: str) -> None:
    p = LAWS[law]
    make, dtype = BACKENDS[backend]
    x, u, z = inputs(p)
    # Variances are above .15, |x - mu| below 10: a square is off by 2 * 100 / .15 roundings, weights by
    # half of that, and second derivatives carry 1 / .15 twice.
    slack = 2e3 / 0.15 * np.finfo(dtype).eps
    for name, rest in FIELDS.items():
        exact = getattr(p, name)(x, *rest)
        out = getattr(p, name)(make(x), *rest)
        assert type(out) is type(make(x)), name
        assert out.dtype == make(x).dtype, name
        assert tuple(out.shape) == exact.shape, name
        top = max(1.0, np.abs(exact).max())
        np.testing.assert_allclose(numbers(out), exact, rtol=0, atol=slack * top, err_msg=name)
    given = p.posterior(make(x), 0.7, 0.4)
    np.testing.assert_allclose(
        numbers(given.means), p.posterior(x, 0.7, 0.4).means, atol=slack * 10
    )
    drawn = p.transport(make(u), make(z))
    assert drawn.dtype == make(x).dtype
    np.testing.assert_allclose(numbers(drawn), p.transport(u, z), atol=slack)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_no_stray_tensors(law: str, dtype: torch.dtype) -> None:
    """A tensor left on the CPU meets one on the meta device in an error."""
    p = LAWS[law]
    x = torch.zeros((2, 4, 3), dtype=dtype, device="meta")
    for name, rest in FIELDS.items():
        out = getattr(p, name)(x, *rest)
        assert out.device.type == "meta", name
        assert out.dtype == dtype, name
        assert tuple(out.shape) == getattr(p, name)(np.zeros((2, 4, 3)), *rest).shape, name
    given = p.posterior(x, 0.7, 0.4)
    assert {a.device.type for a in (given.weights, given.means, given.mean)} == {"meta"}
    drawn = p.transport(x[0, :, 0], x[0])
    assert drawn.device.type == "meta"
    assert tuple(drawn.shape) == (4, 3)


@pytest.mark.parametrize("law", LAWS)
def test_gradients_are_intact(law: str) -> None:
    p = LAWS[law]
    x, u, z = inputs(p)
    y = torch.tensor(x, requires_grad=True)
    (slope,) = torch.autograd.grad(p.log_prob(y).sum(), y)
    np.testing.assert_allclose(slope.numpy(), p.score(x), atol=1e-10 * np.abs(p.score(x)).max())
    (trace,) = torch.autograd.grad(p.divergence(y).sum(), y)
    (same,) = torch.autograd.grad(torch.diagonal(p.hessian(y), dim1=-2, dim2=-1).sum(), y)
    np.testing.assert_allclose(trace.numpy(), same.numpy(), atol=1e-9)
    assert law == "gaussian" or float(trace.abs().max()) > 1e-6
    normals = torch.tensor(z, requires_grad=True)
    drawn = p.transport(torch.tensor(u), normals)
    (through,) = torch.autograd.grad(drawn.sum(), normals)
    assert float(through.abs().min()) > 0


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("make", [np.asarray, torch.tensor, array_api_strict.asarray])
def test_nan_stays_in_its_row(law: str, make) -> None:
    p = LAWS[law]
    x, *_ = inputs(p, 60)
    x[2, 1] = np.nan
    for name, rest in FIELDS.items():
        out = numbers(getattr(p, name)(make(x), *rest)).reshape(60, -1)
        lost = np.isnan(out).any(axis=1)
        # A Gaussian's curvature and weight are the same everywhere, a lost row included or not.
        expected = [2] if lost.any() else []
        assert np.flatnonzero(lost).tolist() == expected, name
        if law != "gaussian" or name in ("log_prob", "score", "denoiser"):
            assert expected == [2], name


@pytest.mark.parametrize("law", LAWS)
def test_integers_are_promoted(law: str) -> None:
    p = LAWS[law]
    whole = np.array([[1, -2, 0], [3, 1, 1]])
    for name, rest in FIELDS.items():
        exact = getattr(p, name)(whole.astype(np.float64), *rest)
        np.testing.assert_array_equal(getattr(p, name)(whole, *rest), exact)
        out = getattr(p, name)(torch.tensor(whole), *rest)
        assert out.dtype == torch.float64
        np.testing.assert_allclose(out.numpy(), exact, atol=1e-9)


@pytest.mark.parametrize("law", LAWS)
def test_shapes_follow_x(law: str) -> None:
    p = LAWS[law]
    x = inputs(p)[0].reshape(2, 3, 2, 3)
    for name, rest in FIELDS.items():
        field = getattr(p, name)
        whole = field(x, *rest)
        # One row alone runs through other matrix kernels: a few roundings of the terms.
        np.testing.assert_allclose(
            field(x[1, 2, 0], *rest), whole[1, 2, 0], atol=1e-10, err_msg=name
        )
        assert field(x[:0], *rest).shape == (0, *whole.shape[1:]), name


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(
    ("u", "z"),
    [
        (torch.zeros(4), torch.zeros(4, 3, dtype=torch.float64)),
        (torch.zeros(4), torch.zeros(4, 3, device="meta")),
        (np.zeros(4), torch.zeros(4, 3, dtype=torch.float64)),
        (np.zeros(4, dtype=np.float32), np.zeros((4, 3))),
    ],
)
def test_mixtures_of_dtypes_and_devices_are_refused(law: str, u, z) -> None:
    with pytest.raises(ValueError, match=r"got .*, wanted .*;") as error:
        LAWS[law].transport(u, z)
    assert "\n" not in str(error.value)


def test_what_is_no_array_is_named() -> None:
    for given in (None, 0.5):
        with pytest.raises(ValueError, match=f"x: got {type(given).__name__}, wanted an array"):
            namespace(given)  # pyright: ignore[reportArgumentType]


def energy(xp=None) -> Energy:
    """A tilted quartic; with a namespace, its derivatives are given in closed form."""
    tilt = np.array([[0.0, 1.0], [1.0, 0.0]])
    if xp is None:
        return Energy(lambda x: (x**4).sum(-1) / 4 + x[..., 0] * x[..., 1], 2)

    def hessian(x):
        square = 3 * x**2
        return xp.stack(
            [
                xp.stack([square[..., 0], xp.ones_like(square[..., 0])], axis=-1),
                xp.stack([xp.ones_like(square[..., 1]), square[..., 1]], axis=-1),
            ],
            axis=-2,
        )

    return Energy(
        lambda x: xp.sum(x**4, axis=-1) / 4 + x[..., 0] * x[..., 1],
        2,
        gradient=lambda x: x**3 + x @ xp.asarray(tilt, dtype=x.dtype),
        hessian=hessian,
    )


@pytest.mark.parametrize("name", ["log_density", "score", "hessian", "divergence"])
def test_energies_are_the_same_on_every_backend(name: str) -> None:
    x = np.array([[0.5, -1.2], [2.0, 0.3], [-0.7, 0.9]])
    truth = getattr(energy(np), name)(x)
    strict = getattr(energy(array_api_strict), name)(array_api_strict.asarray(x))
    assert namespace(strict) is array_api_strict
    # one body: the same operations up to their order in sums of two terms
    assert np.abs(np.asarray(strict) - truth).max() <= 4 * np.finfo(np.float64).eps * 20
    for dtype, eps in ((torch.float64, 2.3e-16), (torch.float32, 1.2e-7)):
        y = torch.tensor(x, dtype=dtype, requires_grad=True)
        found = getattr(energy(), name)(y)  # by autograd, a second route to the closed derivatives
        assert found.dtype == dtype
        # values up to twenty, some ten operations
        assert np.abs(found.detach().numpy() - truth).max() <= 10 * eps * 20
    meta = getattr(energy(), name)(torch.empty((3, 2), device="meta"))
    assert meta.device.type == "meta"
    assert tuple(meta.shape) == truth.shape


def test_gradients_flow_through_the_score_of_an_energy() -> None:
    x = torch.tensor([[0.5, -1.2], [2.0, 0.3]], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(energy().score(x)[:, 0].sum(), x)
    # the row of the Hessian, exact but for rounding
    truth = energy(np).hessian(x.detach().numpy())[:, 0]
    assert np.abs(slope.numpy() - truth).max() < 1e-13
