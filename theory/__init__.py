"""Deterministic closed forms: laws, diffusions, marginals, reversals, conversions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._lazy import lazy

if TYPE_CHECKING:
    from .empirical import DiffusedPoints as DiffusedPoints
    from .empirical import PointMasses as PointMasses
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

_EXPORTS = {
    "DiffusedPoints": "empirical",
    "EDM": "sde",
    "ExponentialNoise": "sde",
    "Gaussian": "mixtures",
    "GaussianMixture": "mixtures",
    "Interpolant": "sde",
    "Kernel": "sde",
    "LinearSDE": "sde",
    "Marginal": "marginals",
    "OU": "sde",
    "PointMasses": "empirical",
    "Prediction": "prediction",
    "StraightPath": "sde",
    "SubVP": "sde",
    "VE": "sde",
    "VP": "sde",
    "convert": "prediction",
    "cosine_betas": "schedules",
    "gaussian_flow": "reverse",
    "linear_betas": "schedules",
    "loss_weight": "prediction",
    "marginal": "marginals",
    "probability_flow": "reverse",
    "reverse_drift": "reverse",
}
__all__ = sorted(_EXPORTS)  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = lazy(__name__, _EXPORTS)
