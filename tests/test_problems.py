"""The table of problems: fields against derivatives of densities and against each other, draws, times, input."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from scoreproof.numerics import draw
from scoreproof.theory import EDM, VP, Gaussian, GaussianMixture, PointMasses, SubVP, sde
from scoreproof.theory.prediction import convert
from scoreproof.validation import PROBLEMS, Problem

NAMES = tuple(PROBLEMS)
EPS = float(np.finfo(np.float64).eps)
LINE = tuple(n for n in NAMES if n.endswith("-1d"))
SMALL = tuple(n for n in NAMES if not n.startswith(("digits", "photos")))
FIELDS = ("score", "denoiser", "noise", "velocity")


def _levels(problem):
    """The noisy end, a time between, and the end of sampling."""
    return [float(t) for t in problem.times(2)]


def _points(problem, t, n=6):
    x = problem.data(n, t=t, rng=np.random.default_rng(7))
    return x, x.reshape(n, -1)


def _digits_lost(problem, t, rows):
    """Relative rounding of a field at noisy points, as a multiple of eps.

    The exponents of the density are sums of d squares of size |x|^2 / sd^2 and are wrong by eps times their
    size; posterior weights, and with them every field, inherit that relative error. The factor 64 covers
    the handful of products and sums on the way. Quadrature promises 1e-11 besides.
    """
    sd = float(problem.sde.kernel(t).std)
    size = problem.dim + np.square(rows).sum(axis=1).max() / sd**2
    closed = isinstance(problem.law, GaussianMixture | PointMasses)
    return 64 * EPS * size + (0 if closed else 1e-9)


def _magnitudes(problem, t, rows, score):
    """Sizes of what the four fields are sums of: rounding of a field is relative to these."""
    kernel = problem.sde.kernel(t)
    a, v = float(kernel.scale), float(kernel.variance)
    f, g = float(problem.sde.drift(t)), float(problem.sde.diffusion(t))
    x, s = np.abs(rows).max(), max(np.abs(score).max(), 1 / np.sqrt(v))
    return {
        "score": s,
        "denoiser": (x + v * s) / a,
        "noise": np.sqrt(v) * s,
        "velocity": abs(f) * x + g**2 * s,
    }


def test_table_has_every_kind_of_problem():
    problems = [PROBLEMS[name] for name in NAMES]
    assert len(NAMES) >= 12
    assert {p.dim for p in problems} >= {1, 2, 8, 64, 3072}
    kinds = {type(p.sde) for p in problems}
    for name in ("VP", "SubVP", "VE", "OU", "EDM", "StraightPath", "ExponentialNoise"):
        assert getattr(sde, name) in kinds
    # constant, linear, cosine and discrete betas are four schedules of one class
    schedules = {p.sde.name for p in problems if isinstance(p.sde, VP)}
    schedules |= {repr(p.sde) for p in problems if isinstance(p.sde, VP)}
    assert len(schedules) >= 4
    for p in problems:
        assert p.name in NAMES
        assert p.name in repr(p)
        assert np.abs(np.asarray(p.law.mean)).max() > 0.01 or p.name.startswith("digits")
    assert PROBLEMS["digits"].shape == (1, 8, 8)
    assert PROBLEMS["photos"].shape == (3, 32, 32)


@pytest.mark.parametrize("name", NAMES)
def test_noise_left_at_the_end_is_small_beside_the_data(name):
    problem = PROBLEMS[name]
    kernel = problem.sde.kernel(problem.t_min)
    left = float(kernel.std / kernel.scale)
    # sd of the widest direction of the data: nothing that a sampler returns differs by more than a tenth
    trace = float(np.trace(problem.law.covariance)) if problem.dim < 100 else problem.dim * 0.1
    assert left < 0.1 * np.sqrt(trace)


@pytest.mark.parametrize("name", NAMES)
def test_score_is_the_derivative_of_the_log_density(name):
    problem = PROBLEMS[name]
    rng = np.random.default_rng(3)
    axes = np.linalg.qr(rng.standard_normal((problem.dim, min(problem.dim, 3))))[0]
    for t in _levels(problem):
        law, sd = problem.marginal(t), float(problem.sde.kernel(t).std)
        x, rows = _points(problem, t)
        along = problem.score(x, t).reshape(rows.shape) @ axes

        def slope(h, law=law, rows=rows):
            moves = h * axes.T[:, None, :]
            return (law.log_prob(rows + moves) - law.log_prob(rows - moves)).T / (2 * h)

        # p_t is smooth on the scale sd: central differences of width 0.02 sd with one Richardson step,
        # whose error is below the change that this step made, plus the rounding of log p over the width.
        coarse, fine = slope(0.02 * sd), slope(0.01 * sd)
        best = (4 * fine - coarse) / 3
        size = (
            np.abs(law.log_prob(rows)).max() + problem.dim + np.square(rows).sum(1).max() / sd**2
        )
        rounding = 16 * EPS * size / (0.01 * sd)
        quadrature = 0 if isinstance(problem.law, GaussianMixture | PointMasses) else 1e-8 / sd
        error = np.abs(best - fine) + rounding + quadrature
        assert (np.abs(best - along) <= error).all()
        # the same comparison sees one per cent of a typical score
        assert error.max() < 0.01 * max(np.abs(along).max(), 0.01 / sd)


@pytest.mark.parametrize("name", NAMES)
def test_the_four_fields_are_one(name):
    problem = PROBLEMS[name]
    for t in _levels(problem):
        x, rows = _points(problem, t)
        values = {f: getattr(problem, f)(x, t).reshape(rows.shape) for f in FIELDS}
        kernel = problem.sde.interpolant(t)
        lost = _digits_lost(problem, t, rows)
        sizes = _magnitudes(problem, t, rows, values["score"])
        for target, source in (
            ("denoiser", "score"),
            ("noise", "denoiser"),
            ("velocity", "denoiser"),
        ):
            names = {"denoiser": "x0"}
            got = convert(
                values[source],
                rows,
                kernel,
                source=names.get(source, source),
                target=names.get(target, target),
            )
            scale = sizes[target]
            if source == "denoiser":
                # x - alpha x0 cancels where the noise is small: its error is magnified on the way back
                a, sd = float(kernel.scale), float(kernel.std)
                back = {"noise": 1 / sd, "velocity": float(problem.sde.diffusion(t)) ** 2 / sd**2}
                scale = scale + back[target] * (np.abs(rows).max() + a * sizes["denoiser"])
            assert np.abs(got - values[target]).max() <= lost * scale, (t, source, target)


@pytest.mark.parametrize("name", NAMES)
def test_times_fall_from_noise_to_data_evenly_in_the_seventh_root(name):
    problem = PROBLEMS[name]
    grid = problem.times(9)
    assert grid.shape == (10,)
    assert (np.diff(grid) < 0).all()
    assert grid[0] == problem.t_max
    assert grid[-1] == problem.t_min
    kernel = problem.sde.kernel(grid)
    roots = (np.sqrt(kernel.variance) / kernel.scale) ** (1 / 7)
    # times are found to 1e-13; log(sd / scale) moves at most 1e3 times as fast as log t here
    assert np.allclose(np.diff(roots), (roots[-1] - roots[0]) / 9, rtol=0, atol=1e-10 * roots[0])
    assert (problem.times(1) == [problem.t_max, problem.t_min]).all()


@pytest.mark.parametrize("name", NAMES)
def test_torch_gives_the_numbers_of_numpy(name):
    problem = PROBLEMS[name]
    t = float(problem.times(4)[2])
    x, rows = _points(problem, t)
    tensor = torch.tensor(x)
    lost = _digits_lost(problem, t, rows)
    sizes = _magnitudes(problem, t, rows, problem.score(x, t).reshape(rows.shape))
    for field in FIELDS:
        there = getattr(problem, field)(tensor, t)
        here = getattr(problem, field)(x, t)
        assert there.dtype == torch.float64
        assert there.shape == tensor.shape
        assert np.abs(there.numpy() - here).max() <= lost * sizes[field]
    single = problem.score(tensor.float(), torch.tensor(t))
    assert single.dtype == torch.float32
    assert problem.score(x.astype(np.float32), np.float32(t)).dtype == np.float32


@pytest.mark.parametrize("name", [n for n in NAMES if n != "photos"])
def test_gradients_of_the_score_are_its_hessian(name):
    problem = PROBLEMS[name]
    t = float(problem.times(4)[2])
    x, rows = _points(problem, t, 3)
    tensor = torch.tensor(x, requires_grad=True)
    (got,) = torch.autograd.grad(problem.score(tensor, t).sum(), tensor)
    hessian = problem.marginal(t).hessian(rows)
    # each entry of the Hessian is a sum of products of scores: twice the digits of one score are lost
    sizes = _magnitudes(problem, t, rows, problem.score(x, t).reshape(rows.shape))
    sd = float(problem.sde.kernel(t).std)
    limit = 2 * _digits_lost(problem, t, rows) * problem.dim * (sizes["score"] ** 2 + sd**-2)
    assert np.abs(got.numpy().reshape(rows.shape) - hessian.sum(axis=1)).max() <= limit


@pytest.mark.parametrize("name", ("laplace-1d", "banana-2d"))
def test_gradients_of_all_fields_of_a_law_that_is_known_by_quadrature(name):
    problem = PROBLEMS[name]
    t = float(problem.times(4)[2])
    x, _ = _points(problem, t, 3)
    for field in FIELDS:
        tensor = torch.tensor(x, requires_grad=True)
        (got,) = torch.autograd.grad(getattr(problem, field)(tensor, t).sum(), tensor)
        f = getattr(problem, field)
        h = 1e-3 * float(problem.sde.kernel(t).std)
        columns = []
        for e in np.eye(problem.dim):
            near = (f(x + h * e, t) - f(x - h * e, t)).sum(1) / (2 * h)
            wide = (f(x + 2 * h * e, t) - f(x - 2 * h * e, t)).sum(1) / (4 * h)
            columns.append((near, near - wide))
        want, error = (np.stack(c, axis=1) for c in zip(*columns, strict=True))
        # central differences: the error falls fourfold with the width; quadrature adds 1e-9 over the width
        size = np.abs(f(x, t)).max()
        assert (np.abs(got.numpy() - want) <= np.abs(error) + 1e-8 * (size + 1) / h).all()


@pytest.mark.parametrize("name", ("mixture-8d", "digits", "digits-10"))
def test_nothing_leaves_the_device_of_x(name):
    problem = PROBLEMS[name]
    x = torch.empty((3, *problem.shape), dtype=torch.float32, device="meta")
    out = problem.score(x, 0.5)
    assert out.device.type == "meta"
    assert (out.shape, out.dtype) == (x.shape, x.dtype)


@pytest.mark.parametrize("name", NAMES)
def test_rows_may_have_their_own_times(name):
    problem = PROBLEMS[name]
    times = problem.times(6)[[5, 2, 2, 4, 5]]
    x = np.concatenate([_points(problem, float(t), 1)[0] for t in times])
    for make in (np.asarray, torch.tensor):
        mixed = np.asarray(problem.score(make(x), make(times)))
        for row, t in enumerate(times):
            alone = np.asarray(problem.score(make(x[row : row + 1]), float(t)))[0]
            flat = x[row].reshape(1, -1)
            lost = _digits_lost(problem, float(t), flat)
            limit = lost * _magnitudes(problem, float(t), flat, alone)["score"]
            assert np.abs(mixed[row] - alone).max() <= limit


def test_draws_start_where_they_are_told():
    n, rng = 4000, np.random.default_rng(5)
    for name in ("gaussian-2d", "mixture-8d", "banana-2d"):
        problem = PROBLEMS[name]
        law = problem.marginal(problem.t_max)
        z = (problem.prior(n, rng=rng) - law.mean) / np.sqrt(np.diag(law.covariance))
        # 6.5 standard errors: 1e-10 a coordinate; squares of these nearly normal numbers have variance 2
        assert np.abs(z.mean(axis=0)).max() < 6.5 / np.sqrt(n)
        assert np.abs((z**2).mean(axis=0) - 1).max() < 6.5 * np.sqrt(2 / n)
    centred = Problem("p", Gaussian([3.0], [0.5]), VP(), t_min=1e-3, t_max=0.4, start="prior")
    x = centred.prior(n, rng=rng)
    sd = float(VP().kernel(0.4).std)
    assert abs(x.mean()) < 6.5 * sd / np.sqrt(n)
    assert abs((x**2).mean() / sd**2 - 1) < 6.5 * np.sqrt(2 / n)


def test_draws_are_those_of_the_law():
    problem = PROBLEMS["mixture-2d"]
    a = problem.data(50, t=0.3, rng=np.random.default_rng(1))
    b = draw(problem.marginal(0.3), 50, rng=np.random.default_rng(1))
    assert (a == b).all()
    assert (
        problem.data(50, rng=np.random.default_rng(1))
        == draw(problem.law, 50, rng=np.random.default_rng(1))
    ).all()


@pytest.mark.parametrize("name", ("mixture-8d", "digits", "ring-2d", "laplace-1d", "digits-10"))
def test_torch_generators_give_tensors_again_and_again(name):
    problem = PROBLEMS[name]
    for start in ("marginal", "prior"):
        one = Problem("p", problem.law, problem.sde, t_min=0.01, shape=problem.shape, start=start)
        a, b, c = (one.prior(8, rng=torch.Generator().manual_seed(s)) for s in (1, 1, 2))
        assert a.shape == (8, *problem.shape)
        assert a.dtype == torch.float64
        assert torch.equal(a, b)
        assert not torch.equal(a, c)
        generator = torch.Generator().manual_seed(1)
        assert not torch.equal(one.prior(8, rng=generator), one.prior(8, rng=generator))
    first = problem.data(8, rng=torch.Generator().manual_seed(4))
    assert torch.equal(first, problem.data(8, rng=torch.Generator().manual_seed(4)))


def test_evaluations_are_counted_call_by_call():
    problem = PROBLEMS["mixture-2d"]
    x = problem.prior(3, rng=np.random.default_rng(0))
    for k, field in enumerate(FIELDS, start=1):
        getattr(problem, field)(x, 0.5)
        assert problem.evaluations == k
    problem.prior(3, rng=np.random.default_rng(0))
    problem.flow_map(x, 0.5, 0.4)
    problem.times(4)
    assert problem.evaluations == 4


def test_copies_share_nothing_that_changes():
    problem = PROBLEMS["mixture-2d"]
    x = problem.prior(3, rng=np.random.default_rng(0))
    problem.score(x, 0.5)
    other = problem.fresh()
    assert other.evaluations == 0
    other.score(x, 0.25)
    assert (problem.evaluations, other.evaluations) == (1, 1)
    assert PROBLEMS["mixture-2d"].evaluations == 0
    assert (other.score(x, 0.5) == problem.score(x, 0.5)).all()


def test_a_copy_for_another_process_is_light():
    problem = PROBLEMS["digits"]
    x, _ = _points(problem, 0.5, 1)
    before = problem.score(x, 0.5)
    bare = len(pickle.dumps(PROBLEMS["digits"]))
    for t in np.linspace(0.1, 1, 20):
        problem.marginal(float(t))
    packed = pickle.dumps(problem)
    assert len(packed) < 1.1 * bare
    assert (pickle.loads(packed).score(x, 0.5) == before).all()


def test_no_rows_give_no_rows():
    problem = PROBLEMS["mixture-8d"]
    assert problem.score(np.zeros((0, 8)), 0.5).shape == (0, 8)
    assert problem.score(np.zeros((0, 8)), np.zeros(0)).shape == (0, 8)
    assert problem.flow_map(np.zeros((0, 8)), 0.5, 0.1).shape == (0, 8)
    assert problem.prior(0, rng=np.random.default_rng(0)).shape == (0, 8)


def test_nan_propagates_in_its_own_row():
    for name in ("mixture-2d", "banana-2d"):
        problem = PROBLEMS[name]
        x = problem.data(4, t=0.5, rng=np.random.default_rng(0))
        whole = problem.score(x, 0.5)
        x[1, 0] = np.nan
        out = problem.score(x, 0.5)
        assert np.isnan(out[1]).all()
        assert np.allclose(out[[0, 2, 3]], whole[[0, 2, 3]], rtol=1e-12, atol=0)


LAW = Gaussian([1.0, 0.0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Problem("p", "law", VP(), t_min=0.1), ["law: got str"]),
        (lambda: Problem("p", LAW, "vp", t_min=0.1), ["sde: got str", "LinearSDE"]),  # pyright: ignore
        (lambda: Problem("p", LAW, VP(), t_min=0.0), ["t_min, t_max: got 0, 1", "0 < t_min"]),
        (lambda: Problem("p", LAW, VP(), t_min=0.6, t_max=0.5), ["got 0.6, 0.5"]),
        (lambda: Problem("p", LAW, VP(), t_min=0.5, t_max=0.5), ["got 0.5, 0.5"]),
        (lambda: Problem("p", LAW, VP(), t_min=0.5, t_max=2.0), ["got 0.5, 2", "<= 1"]),
        (lambda: Problem("p", LAW, VP(), t_min=float("nan")), ["got nan, 1"]),
        (lambda: Problem("p", LAW, VP(), t_min="soon"), ["t_min: got", "soon"]),  # pyright: ignore
        (lambda: Problem("p", LAW, VP(), t_min=0.1, shape=(3,)), ["shape: got (3,)", "2 numbers"]),
        (lambda: Problem("p", LAW, VP(), t_min=0.1, shape=(-1, -2)), ["shape: got (-1, -2)"]),
        (lambda: Problem("p", LAW, VP(), t_min=0.1, start="noise"), ["start: got 'noise'"]),  # pyright: ignore
    ],
)
def test_problems_that_cannot_be(make, words):
    with pytest.raises(ValueError, match=r".*wanted.*;") as raised:
        make()
    message = str(raised.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p, x: p.score(x[:, :1], 0.5), ["x: got shape (4, 1)", "(n, 2)"]),
        (lambda p, x: p.score(x[0], 0.5), ["x: got shape (2,)", "(n, 2)"]),
        (lambda p, x: p.score(x.tolist(), 0.5), ["x: got list", "array"]),
        (lambda p, x: p.score(x, 1.5), ["t: got 1.5", "[0, 1]"]),
        (lambda p, x: p.score(x, float("nan")), ["t: got nan"]),
        (lambda p, x: p.score(x, -0.1), ["t: got -0.1"]),
        (lambda p, x: p.score(x, np.full(3, 0.5)), ["t: got 3 times", "4, one a row"]),
        (lambda p, x: p.score(x, "late"), ["t: got str"]),
        (lambda p, x: p.score(x, None), ["t: got"]),
        (lambda p, x: p.times(0), ["steps: got 0"]),
        (lambda p, x: p.times(2.5), ["steps: got 2.5"]),
        (lambda p, x: p.prior(4, rng=3), ["rng: got int", "torch.Generator"]),
        (lambda p, x: p.data(4, rng=None), ["rng: got NoneType"]),
        (lambda p, x: p.prior(-1, rng=np.random.default_rng(0)), ["n: got -1"]),
        (lambda p, x: p.prior(-1, rng=torch.Generator()), ["n: got -1"]),
        (lambda p, x: p.flow_map(x, 0.5, 0.0), ["s: got 0", "(0, 1]"]),
        (lambda p, x: p.flow_map(x, 2.0, 0.1), ["t: got 2"]),
        (lambda p, x: p.flow_map(x[0], 0.5, 0.1), ["x: got shape (2,)"]),
        (lambda p, x: p.marginal(7.0), ["t: got 7"]),
    ],
)
def test_calls_that_cannot_be(call, words):
    problem = PROBLEMS["mixture-2d"]
    x = problem.data(4, t=0.5, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match=r".*wanted.*;") as raised:
        call(problem, x)
    message = str(raised.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_unknown_name():
    with pytest.raises(KeyError, match="gaussian-1d"):
        PROBLEMS["gauss"]


def test_names_of_subclasses_of_laws_and_shapes():
    problem = Problem("p", LAW, EDM(), t_min=0.1, shape=(2, 1))
    assert (problem.dim, problem.shape, problem.t_max) == (2, (2, 1), EDM().t_max)
    x = problem.prior(3, rng=np.random.default_rng(0))
    assert x.shape == (3, 2, 1)
    flat = Problem("p", LAW, EDM(), t_min=0.1)
    assert (problem.score(x, 1.0)[..., 0] == flat.score(x[..., 0], 1.0)).all()
    assert Problem("p", LAW, SubVP(), t_min=0.1, t_max=0.5).times(1)[0] == 0.5
