"""Maps to normals of diffused laws: against draws, against quadrature, and in front of ``check_samples``."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, special, stats
from scoreproof.numerics import draw
from scoreproof.numerics.convolved import Convolved, diffused
from scoreproof.numerics.gaussianise import gaussianiser
from scoreproof.numerics.line_density import LineDensity, convolved_line
from scoreproof.theory import (
    VE,
    VP,
    Banana,
    ClassMixture,
    CriticallyDamped,
    DoubleWell,
    Energy,
    Funnel,
    Gamma,
    Gaussian,
    GaussianMixture,
    GaussianObservation,
    Laplace,
    Logistic,
    LogNormal,
    PointMasses,
    Ring,
    StudentT,
    Uniform,
    marginal,
)
from scoreproof.validation import Outcome, check_samples

BASES = [Banana(), Funnel(), DoubleWell(), Ring()]
NOISES = [(0.9999, 1e-4), (0.8, 0.3), (0.1, 0.99), (1.0, 400.0)]
LEVEL = 1e-6  #: of each test of normality; the seeds are fixed


def normals(law, x: np.ndarray) -> np.ndarray:
    return gaussianiser(law)(x, rng=np.random.default_rng(0)).z


@pytest.mark.statistical
@pytest.mark.parametrize("base", BASES, ids=repr)
@pytest.mark.parametrize(("a", "v"), NOISES)
def test_exact_draws_become_independent_normals(base, a, v) -> None:
    law = Convolved(base, a, v)
    n, cells = 20_000, 8
    x = law.draw_with(n, np.random.default_rng(31))
    z = normals(law, x)
    for column in z.T:
        assert stats.kstest(column, "norm").pvalue > LEVEL
    cell = np.minimum((special.ndtr(z) * cells).astype(int), cells - 1)
    counts = np.bincount(cell[:, 0] * cells + cell[:, 1], minlength=cells**2)
    # all cells of the unit square have equal mass: marginals and independence at once
    assert stats.chisquare(counts).pvalue > LEVEL
    # and the count sees 20 % more spread
    wide = normals(law, law.mean + 1.2 * (x - law.mean))
    cell = np.minimum((special.ndtr(wide) * cells).astype(int), cells - 1)
    counts = np.bincount(cell[:, 0] * cells + cell[:, 1], minlength=cells**2)
    assert stats.chisquare(counts).pvalue < LEVEL


def _mass(law, corners: tuple[float, float, float, float]) -> float:
    """``P(x in a rectangle)`` by Gauss-Legendre panels of the density."""
    low, high, bottom, top = corners
    t, w = np.polynomial.legendre.leggauss(24)

    def axis(p: float, q: float) -> tuple[np.ndarray, np.ndarray]:
        ends = np.linspace(p, q, 5)
        half = np.diff(ends)[:, None] / 2
        return ((ends[:-1] + ends[1:])[:, None] / 2 + half * t).ravel(), (half * w).ravel()

    (x, u), (y, r) = axis(low, high), axis(bottom, top)
    points = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)
    return float(u @ np.exp(law.log_prob(points)) @ r)


@pytest.mark.parametrize("base", [Banana(slope=-0.4, bend=0.9), Funnel(1.4)], ids=repr)
@pytest.mark.parametrize(("a", "v"), [(0.9, 0.04), (0.6, 0.7)])
def test_maps_of_chains_against_rectangles_of_the_density(base, a, v) -> None:
    """``P(rectangle)`` from the map: an integral over z_1 of differences of conditional distribution functions."""
    law = Convolved(base, a, v)
    shape = gaussianiser(law)
    centre, sd = law.mean, np.sqrt(np.diag(law.covariance))
    middle, spread = a * base.location[0], math.sqrt(a**2 * base.std[0] ** 2 + v)
    for off in ((-0.7, 0.2), (0.4, -0.3)):
        low, bottom = centre + sd * np.array(off)
        high, top = low + 0.8 * sd[0], bottom + 0.7 * sd[1]

        def inner(s: float, bottom: float = bottom, top: float = top) -> float:
            z = shape(np.array([[s, bottom], [s, top]]), rng=np.random.default_rng(0)).z
            return float(np.diff(special.ndtr(z[:, 1]))[0])

        found = integrate.fixed_quad(
            np.vectorize(lambda s, f=inner: f(s) * stats.norm.pdf(s, middle, spread)),
            low,
            high,
            n=40,
        )[0]
        # the densities are entire; both rules are beyond 1e-10 here
        assert found == pytest.approx(_mass(law, (low, high, bottom, top)), abs=1e-9)


@pytest.mark.parametrize("base", BASES, ids=repr)
@pytest.mark.parametrize(("a", "v"), NOISES[:3])
def test_the_density_behind_the_map_is_that_of_the_law(base, a, v) -> None:
    """``p(x) = phi(z) |det dz/dx|``, with central differences of the map."""
    law = Convolved(base, a, v)
    shape = gaussianiser(law)
    assert 0 < shape.error < 1e-8
    x = law.draw_with(40, np.random.default_rng(5))
    h = 1e-4 * math.sqrt(v)
    jacobian = np.empty((len(x), 2, 2))
    for j in range(2):
        # five-point differences: h^4 and rounding 1e-16 / (phi h) leave 1e-7 of the density
        weights = {-2: 1 / 12, -1: -2 / 3, 1: 2 / 3, 2: -1 / 12}
        jacobian[:, :, j] = (
            sum(w * normals(law, x + k * h * np.eye(2)[j]) for k, w in weights.items()) / h
        )
    log = stats.norm.logpdf(normals(law, x)).sum(axis=1) + np.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(log, law.log_prob(x), atol=2e-5)


def test_small_noise_is_the_map_of_the_law_itself() -> None:
    """As the noise goes to zero the map of ``a x + sd z`` becomes that of x; it is off by O(sd)."""
    for base in BASES:
        x = base.transport(*_uniforms(200))
        gaps = [
            np.abs(normals(Convolved(base, 1.0, v), x) - normals(base, x)).max()
            for v in (1e-6, 1e-10)
        ]
        assert gaps[1] < 2e-3
        assert gaps[1] < gaps[0] / 5


def _uniforms(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(11)
    return rng.random(n), rng.standard_normal((n, 2))


def test_far_draws_are_far_and_finite() -> None:
    for base in BASES:
        law = Convolved(base, 0.8, 0.3)
        z = normals(law, np.array([[60.0, -60.0], [1e200, 1e200], [-50.0, 3.0]]))
        assert np.isfinite(z).all()
        assert (np.abs(z).max(axis=1) > 8).all()


@pytest.mark.parametrize("base", [LogNormal(1.0, 0.5), Gamma(2.5, 0.6), Gamma(1.0, 0.6)], ids=repr)
@pytest.mark.parametrize(("a", "v"), [(0.8, 0.3), (0.99, 1e-4)])
def test_asymmetric_laws_with_noise(base, a, v) -> None:
    """Three routes to a distribution function: the convolution, the spline of the density, scipy on the density."""
    law = Convolved(base, a, v)
    table = convolved_line(law)
    levels = np.array([1e-4, 0.2, 0.7, 0.9999])
    x = law.quantile(levels)
    np.testing.assert_allclose(law.cdf(x), levels, rtol=1e-9)
    np.testing.assert_allclose(
        special.ndtr(table.normal(x[:, 0])), levels, rtol=table.error + 1e-9
    )
    low = -9 * math.sqrt(v)
    for s, level in zip(x[1:3, 0], levels[1:3], strict=True):
        mass = integrate.quad(
            lambda y: float(np.exp(law.log_prob(np.array([[y]]))[0])),
            low,
            s,
            limit=400,
            points=[0.0],
        )[0]
        assert mass == pytest.approx(level, abs=1e-7)
    assert gaussianiser(law).error == table.error < 1e-8


def test_the_error_of_a_table_is_found() -> None:
    """A density with its slope given wrong cannot be tabulated finely, and says so."""

    def table(factor: float) -> LineDensity:
        return LineDensity(
            lambda s: -s * s / 2 + 0.3 * np.sin(3 * s),
            lambda s: factor * (-s + 0.9 * np.cos(3 * s)),
            -12.0,
            12.0,
            error=np.zeros_like,
        )

    assert table(1.0).error < 1e-9
    assert table(1.01).error > 1e-8
    # against an independent integral
    s = np.array([-2.0, 0.3, 1.7])

    def f(y: float) -> float:
        return math.exp(-y * y / 2 + 0.3 * math.sin(3 * y))

    whole = integrate.quad(f, -12, 12, epsabs=1e-13)[0]
    for at, z in zip(s, table(1.0).normal(s), strict=True):
        assert special.ndtr(z) == pytest.approx(
            integrate.quad(f, -12, at, epsabs=1e-13)[0] / whole, abs=1e-9
        )


def test_class_mixtures_are_mixtures() -> None:
    full = GaussianMixture([0.4, 0.6], [[0.0, 1], [2, 0]], [[[1.0, 0.3], [0.3, 0.5]], np.eye(2)])
    flat = GaussianMixture([1.0], [[-1.0, -2]], [0.3])
    for laws in ((full, flat), (flat, flat)):
        law = ClassMixture([0.3, 0.7], laws)
        x = np.asarray(draw(law, 4000, rng=np.random.default_rng(2)))
        shape = gaussianiser(marginal(law, VP(), 0.2))
        assert shape.weights.sum() == pytest.approx(1, abs=1e-14)
        found = gaussianiser(law)(x, rng=np.random.default_rng(1))
        assert stats.kstest(found.z.ravel(), "norm").pvalue > LEVEL
        counts = np.bincount(found.labels, minlength=len(shape.weights))
        assert stats.chisquare(counts, shape.weights * len(x)).pvalue > LEVEL


@pytest.mark.statistical
@pytest.mark.parametrize(
    "law",
    [
        diffused(Banana(), VP(), 0.15),
        diffused(Funnel(), VE(), 0.4),
        diffused(Ring(), VP(), 0.3),
        diffused(DoubleWell(), VP(), 0.1),
    ],
    ids=lambda m: repr(m.law.base),
)
def test_a_perfect_sampler_is_supported(law) -> None:
    verdict = check_samples(lambda n, *, rng: law.draw_with(n, rng), law, seed=3)
    assert verdict.outcome is Outcome.SUPPORTED, str(verdict)
    assert verdict.exact_refuted is False
    assert all(m.outcome is Outcome.REFUTED for m in verdict.mutants)


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("truth", "wrong"),
    [
        ((Banana(), 0.3), (Banana(), 0.315)),  # noise of five per cent too much variance
        ((Banana(), 0.3), (Banana(bend=0.63), 0.3)),
        ((Banana(), 0.3), (Banana(slope=0.33), 0.3)),
        ((Funnel(), 0.3), (Funnel(1.05), 0.3)),
        ((DoubleWell(), 0.05), (DoubleWell(tilt=0.45), 0.05)),
        ((Ring(), 0.3), (Ring(width=0.3), 0.3)),
    ],
)
def test_wrong_laws_are_refuted(truth, wrong) -> None:
    law, other = Convolved(truth[0], 0.8, truth[1]), Convolved(wrong[0], 0.8, wrong[1])
    verdict = check_samples(
        lambda n, *, rng: other.draw_with(n, rng), law, exact=True, budget=300_000, seed=4
    )
    assert verdict.outcome is Outcome.REFUTED, str(verdict)


CLASSES = ClassMixture(
    [0.3, 0.7],
    [GaussianMixture([1.0], [[0.0, 1]], [1.0]), GaussianMixture([1.0], [[2.0, 1]], [0.5])],
)
OBSERVED = GaussianObservation(Gaussian([0.5, -1.0], [[1.0, 0.6], [0.6, 0.7]]), [0.2, 0.1], 0.4)


@pytest.mark.parametrize(
    ("law", "kind", "later"),
    [
        (Gaussian([0.5, -1.0], [[1.0, 0.6], [0.6, 0.7]]), "_Mixture", "_Mixture"),
        (GaussianMixture([0.3, 0.7], [[0.0, 1], [2, 3]], [0.4, 0.5]), "_Mixture", "_Mixture"),
        (
            GaussianMixture.low_rank([1.0], [[0.0, 1, 2]], np.ones((1, 3, 1)), [0.2]),
            "_Mixture",
            "_Mixture",
        ),
        (CLASSES, "_Mixture", "_Mixture"),
        (CLASSES.conditional(1), "_Mixture", "_Mixture"),
        (OBSERVED.tilted(2.0), "_Mixture", "_Mixture"),
        (PointMasses([[0.0, 1], [2, 3]]), "_Atoms", "_Diffused"),
        (Laplace(0.7, 0.5), "_Quantile", "_Transported"),
        (Uniform(-0.5, 2.0), "_Quantile", "_Transported"),
        (Logistic(-0.8, 0.4), "_Quantile", "_Transported"),
        (StudentT(5.0, 0.5, 0.7), "_Quantile", "_Transported"),
        (LogNormal(1.3, 0.4), "_Quantile", "_Transported"),
        (Gamma(2.5, 0.6), "_Quantile", "_Transported"),
        (DoubleWell(), "_Transported", "_Transported"),
        (Banana(), "_Transported", "_Transported"),
        (Funnel(), "_Transported", "_Transported"),
        (Ring(), "_Transported", "_Transported"),
    ],
    ids=lambda v: v if isinstance(v, str) else type(v).__name__,
)
def test_every_law_with_draws_has_a_map(law, kind, later) -> None:
    assert type(gaussianiser(law)).__name__ == kind
    for sde, t in ((VP(), 0.2), (VE(), 0.3)):
        shape = gaussianiser(diffused(law, sde, t))
        assert type(shape).__name__ == later
        # what an e-value loses over a million draws is less than a fifth of a nat
        assert shape.error < 2e-7


def test_laws_without_a_map_say_so() -> None:
    """A score alone, as of an energy or a guided field, has no map; nor have chains whose first law is not normal."""
    for law in (Energy(lambda x: x[..., 0] ** 2, 1), CLASSES.guided(1, 2.0)):
        with pytest.raises(ValueError, match="no exact Gaussianisation"):
            gaussianiser(law)
    damped = CriticallyDamped()
    assert type(gaussianiser(damped.marginal(CLASSES.conditional(0), 0.5))).__name__ == "_Mixture"
    # a bend so sharp that no sum over the latent is accurate: exact draws stand in for the law
    with pytest.raises(ValueError, match="no exact Gaussianisation"):
        gaussianiser(Convolved(Banana(bend=200.0), 0.8, 0.3))
