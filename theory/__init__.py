"""Deterministic closed forms: laws, diffusions, marginals, reversals, conversions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._lazy import lazy

if TYPE_CHECKING:
    from .marginals import Marginal as Marginal
    from .marginals import marginal as marginal
    from .mixtures import Gaussian as Gaussian
    from .mixtures import GaussianMixture as GaussianMixture
    from .sde import VE as VE
    from .sde import VP as VP
    from .sde import Kernel as Kernel
    from .sde import LinearSDE as LinearSDE

_EXPORTS = {
    "Gaussian": "mixtures",
    "GaussianMixture": "mixtures",
    "Kernel": "sde",
    "LinearSDE": "sde",
    "Marginal": "marginals",
    "VE": "sde",
    "VP": "sde",
    "marginal": "marginals",
}
__all__ = sorted(_EXPORTS)  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = lazy(__name__, _EXPORTS)
