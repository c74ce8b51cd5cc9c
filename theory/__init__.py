"""Deterministic closed forms: laws, diffusions, marginals, reversals, conversions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._lazy import lazy

if TYPE_CHECKING:
    from .coupled import CriticallyDamped as CriticallyDamped
    from .densities_1d import Laplace as Laplace
    from .densities_1d import Logistic as Logistic
    from .densities_1d import StudentT as StudentT
    from .densities_1d import Uniform as Uniform
    from .densities_2d import Banana as Banana
    from .densities_2d import DoubleWell as DoubleWell
    from .densities_2d import Funnel as Funnel
    from .densities_2d import Ring as Ring
    from .densities_positive import Gamma as Gamma
    from .densities_positive import LogNormal as LogNormal
    from .discrete import karras_sigmas as karras_sigmas
    from .discrete import smld_sigmas as smld_sigmas
    from .empirical import DiffusedPoints as DiffusedPoints
    from .empirical import PointMasses as PointMasses
    from .energy import Energy as Energy
    from .general import SDE as SDE
    from .guidance import ClassMixture as ClassMixture
    from .guidance import GaussianObservation as GaussianObservation
    from .guidance import Guided as Guided
    from .marginals import Marginal as Marginal
    from .marginals import marginal as marginal
    from .mixtures import Gaussian as Gaussian
    from .mixtures import GaussianMixture as GaussianMixture
    from .prediction import Prediction as Prediction
    from .prediction import convert as convert
    from .prediction import loss_weight as loss_weight
    from .reverse import gaussian_flow as gaussian_flow
    from .reverse import probability_flow as probability_flow
    from .reverse import reverse_drift as reverse_drift
    from .schedules import cosine_betas as cosine_betas
    from .schedules import linear_betas as linear_betas
    from .sde import EDM as EDM
    from .sde import OU as OU
    from .sde import VE as VE
    from .sde import VP as VP
    from .sde import ExponentialNoise as ExponentialNoise
    from .sde import Interpolant as Interpolant
    from .sde import Kernel as Kernel
    from .sde import LinearSDE as LinearSDE
    from .sde import StraightPath as StraightPath
    from .sde import SubVP as SubVP
    from .solvable import CIR as CIR
    from .solvable import GeometricBrownian as GeometricBrownian
    from .solvable import StudentDiffusion as StudentDiffusion

_EXPORTS = {
    "Banana": "densities_2d",
    "CIR": "solvable",
    "ClassMixture": "guidance",
    "CriticallyDamped": "coupled",
    "DiffusedPoints": "empirical",
    "DoubleWell": "densities_2d",
    "EDM": "sde",
    "Energy": "energy",
    "ExponentialNoise": "sde",
    "Funnel": "densities_2d",
    "Gamma": "densities_positive",
    "Gaussian": "mixtures",
    "GaussianMixture": "mixtures",
    "GaussianObservation": "guidance",
    "GeometricBrownian": "solvable",
    "Guided": "guidance",
    "Interpolant": "sde",
    "Kernel": "sde",
    "Laplace": "densities_1d",
    "LinearSDE": "sde",
    "LogNormal": "densities_positive",
    "Logistic": "densities_1d",
    "Marginal": "marginals",
    "OU": "sde",
    "PointMasses": "empirical",
    "Prediction": "prediction",
    "Ring": "densities_2d",
    "SDE": "general",
    "StraightPath": "sde",
    "StudentDiffusion": "solvable",
    "StudentT": "densities_1d",
    "SubVP": "sde",
    "Uniform": "densities_1d",
    "VE": "sde",
    "VP": "sde",
    "convert": "prediction",
    "cosine_betas": "schedules",
    "gaussian_flow": "reverse",
    "karras_sigmas": "discrete",
    "linear_betas": "schedules",
    "loss_weight": "prediction",
    "marginal": "marginals",
    "probability_flow": "reverse",
    "reverse_drift": "reverse",
    "smld_sigmas": "discrete",
}
__all__ = sorted(_EXPORTS)  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = lazy(__name__, _EXPORTS)
