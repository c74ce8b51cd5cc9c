"""The named problems: off-centre, skewed, anisotropic, in 1 to 3,072 dimensions, every diffusion used.

``t_min`` is chosen so that the noise left at the end is small beside the smallest standard deviation of the
data (a tenth or less), except for the data set, whose atoms have none.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..theory.densities_1d import Laplace, Logistic, StudentT, Uniform
from ..theory.densities_2d import Banana, DoubleWell, Funnel, Ring
from ..theory.diffusions import EDM, OU, VE, VP, ExponentialNoise, StraightPath, SubVP
from ..theory.mixtures import Gaussian, GaussianMixture
from .problems import Problem


def _rotated(dim: int, spectrum: tuple[float, float], seed: int, count: int = 1) -> np.ndarray:
    """``count`` covariances with eigenvalues spread geometrically over ``spectrum`` in random axes."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((count, dim, dim)))[0]
    return np.einsum("kij,j,klj->kil", axes, np.geomspace(*spectrum, dim), axes)


def _gaussian_1d() -> Problem:
    return Problem("gaussian-1d", Gaussian([1.3], [0.16]), VP(), t_min=1e-3)


def _mixture_1d() -> Problem:
    law = GaussianMixture([0.5, 0.3, 0.2], [[-1.2], [0.4], [2.1]], [0.09, 0.25, 0.5])
    return Problem("mixture-1d", law, VP(), t_min=1e-3)


def _laplace_1d() -> Problem:
    return Problem("laplace-1d", Laplace(0.7, 0.5), OU(theta=1.5, sigma=1.2), t_min=1e-3)


def _logistic_1d() -> Problem:
    return Problem("logistic-1d", Logistic(-0.8, 0.4), VP.constant(8.0), t_min=1e-4)


def _student_1d() -> Problem:
    return Problem("student-1d", StudentT(5.0, 0.5, 0.7), ExponentialNoise(t_max=2.5), t_min=1e-3)


def _uniform_1d() -> Problem:
    return Problem(
        "uniform-1d", Uniform(-0.5, 2.0), VE(sigma_min=0.01, sigma_max=20.0), t_min=0.05
    )


def _gaussian_2d() -> Problem:
    law = Gaussian([1.5, -0.8], [[1.1, 0.55], [0.55, 0.4]])
    return Problem("gaussian-2d", law, VE(sigma_min=0.01, sigma_max=20.0), t_min=0.05)


def _mixture_2d() -> Problem:
    covariances = [[[0.5, 0.3], [0.3, 0.4]], [[0.2, -0.1], [-0.1, 0.6]], [[1.0, 0.2], [0.2, 0.15]]]
    means = [[1.0, -0.5], [-1.2, 0.8], [0.3, 2.0]]
    return Problem(
        "mixture-2d",
        GaussianMixture([0.45, 0.35, 0.2], means, covariances),
        VP.cosine(),
        t_min=1e-3,
    )


def _banana_2d() -> Problem:
    return Problem("banana-2d", Banana(), StraightPath(), t_min=0.02)


def _double_well_2d() -> Problem:
    return Problem("double-well-2d", DoubleWell(), SubVP(), t_min=1e-2)


def _ring_2d() -> Problem:
    return Problem("ring-2d", Ring(), VP(), t_min=1e-3)


def _funnel_2d() -> Problem:
    return Problem("funnel-2d", Funnel(), EDM(sigma_max=20.0), t_min=0.02)


def _gaussian_8d() -> Problem:
    mean = np.array([1.0, -2.0, 0.5, 0.0, 1.5, -0.7, 0.3, 2.0])
    return Problem(
        "gaussian-8d", Gaussian(mean, _rotated(8, (0.04, 4.0), 8)[0]), EDM(), t_min=0.01
    )


def _mixture_8d() -> Problem:
    rng = np.random.default_rng(80)
    means = 1.5 * rng.standard_normal((4, 8))
    law = GaussianMixture([0.4, 0.3, 0.2, 0.1], means, _rotated(8, (0.05, 1.5), 81, 4))
    return Problem("mixture-8d", law, SubVP(), t_min=1e-2)


def _discrete_8d() -> Problem:
    rng = np.random.default_rng(82)
    law = GaussianMixture([0.6, 0.4], rng.standard_normal((2, 8)), _rotated(8, (0.1, 1.0), 83, 2))
    return Problem("discrete-8d", law, VP.from_betas(np.linspace(1e-4, 0.02, 1000)), t_min=1e-3)


def _mixture_64d() -> Problem:
    rng = np.random.default_rng(640)
    means = 0.8 * rng.standard_normal((5, 64))
    law = GaussianMixture([0.3, 0.25, 0.2, 0.15, 0.1], means, _rotated(64, (0.02, 2.0), 641, 5))
    return Problem("mixture-64d", law, VP(), t_min=1e-3)


def _digits() -> Problem:
    from ..models.data import DIGIT_SHAPE, digit_images
    from ..theory.empirical import PointMasses

    return Problem("digits", PointMasses(digit_images()), VP(), t_min=1e-4, shape=DIGIT_SHAPE)


def _digits_mixture(components: int) -> Callable[[], Problem]:
    def build() -> Problem:
        from ..models.data import DIGIT_SHAPE, digit_mixture

        law = digit_mixture(components)
        # the smallest eigenvalue is the fit's regularisation, 1e-3: noise of 1e-4 in variance is left
        return Problem(f"digits-{components}", law, VP(), t_min=5e-4, shape=DIGIT_SHAPE)

    return build


def _photos() -> Problem:
    from ..models.data import PHOTO_SHAPE, photo_mixture

    return Problem("photos", photo_mixture(), EDM(), t_min=4e-3, shape=PHOTO_SHAPE)


BUILDERS: dict[str, Callable[[], Problem]] = {
    "gaussian-1d": _gaussian_1d,
    "mixture-1d": _mixture_1d,
    "laplace-1d": _laplace_1d,
    "logistic-1d": _logistic_1d,
    "student-1d": _student_1d,
    "uniform-1d": _uniform_1d,
    "gaussian-2d": _gaussian_2d,
    "mixture-2d": _mixture_2d,
    "banana-2d": _banana_2d,
    "double-well-2d": _double_well_2d,
    "ring-2d": _ring_2d,
    "funnel-2d": _funnel_2d,
    "gaussian-8d": _gaussian_8d,
    "mixture-8d": _mixture_8d,
    "discrete-8d": _discrete_8d,
    "mixture-64d": _mixture_64d,
    "digits": _digits,
    "digits-10": _digits_mixture(10),
    "digits-40": _digits_mixture(40),
    "photos": _photos,
}
