"""Randomness and approximation; every result carries its error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..theory._lazy import lazy

if TYPE_CHECKING:
    from .confidence import PowerSums as PowerSums
    from .confidence import bernoulli_interval as bernoulli_interval
    from .confidence import betting_lower as betting_lower
    from .confidence import betting_upper as betting_upper
    from .confidence import dkw_radius as dkw_radius
    from .confidence import dkw_samples as dkw_samples
    from .confidence import empirical_bernstein_radius as empirical_bernstein_radius
    from .confidence import normal_mixture_radius as normal_mixture_radius
    from .effects import EffectSums as EffectSums
    from .flow_solvers import RK4 as RK4
    from .flow_solvers import Heun as Heun
    from .flow_solvers import ProbabilityFlowRK45 as ProbabilityFlowRK45
    from .flow_solvers import flow_velocity as flow_velocity
    from .fokker_planck import Evolution as Evolution
    from .fokker_planck import FokkerPlanck1D as FokkerPlanck1D
    from .fokker_planck import FokkerPlanck2D as FokkerPlanck2D
    from .fokker_planck_coefficients import forward_coefficients as forward_coefficients
    from .fokker_planck_coefficients import reverse_coefficients as reverse_coefficients
    from .gaussian_law import Affine as Affine
    from .gaussian_law import EigenLaw as EigenLaw
    from .gaussian_law import GaussianReverse as GaussianReverse
    from .gaussian_law import ula_law as ula_law
    from .gaussian_law import ula_stationary as ula_stationary
    from .gaussianise import Gaussianised as Gaussianised
    from .gaussianise import gaussianiser as gaussianiser
    from .goodness import RefutingMachine as RefutingMachine
    from .langevin import MALAResult as MALAResult
    from .langevin import annealed_langevin as annealed_langevin
    from .langevin import half_convention as half_convention
    from .langevin import mala as mala
    from .langevin import mala_log_ratio as mala_log_ratio
    from .langevin import mala_step as mala_step
    from .langevin import ula as ula
    from .langevin import ula_step as ula_step
    from .rng import draw as draw
    from .rng import normal_like as normal_like
    from .rng import substream as substream
    from .solver_grids import KarrasGrid as KarrasGrid
    from .solver_grids import LogSNRGrid as LogSNRGrid
    from .solver_grids import UniformGrid as UniformGrid
    from .solver_grids import karras_sigmas as karras_sigmas
    from .solvers import DDIM as DDIM
    from .solvers import Ancestral as Ancestral
    from .solvers import EulerMaruyama as EulerMaruyama
    from .solvers import ExponentialEuler as ExponentialEuler
    from .solvers import Solver as Solver

_EXPORTS = {
    "Affine": "gaussian_law",
    "Ancestral": "solvers",
    "DDIM": "solvers",
    "EffectSums": "effects",
    "EigenLaw": "gaussian_law",
    "EulerMaruyama": "solvers",
    "Evolution": "fokker_planck",
    "ExponentialEuler": "solvers",
    "FokkerPlanck1D": "fokker_planck",
    "FokkerPlanck2D": "fokker_planck",
    "GaussianReverse": "gaussian_law",
    "Gaussianised": "gaussianise",
    "Heun": "flow_solvers",
    "KarrasGrid": "solver_grids",
    "LogSNRGrid": "solver_grids",
    "MALAResult": "langevin",
    "PowerSums": "confidence",
    "ProbabilityFlowRK45": "flow_solvers",
    "RK4": "flow_solvers",
    "RefutingMachine": "goodness",
    "Solver": "solvers",
    "UniformGrid": "solver_grids",
    "annealed_langevin": "langevin",
    "bernoulli_interval": "confidence",
    "betting_lower": "confidence",
    "betting_upper": "confidence",
    "dkw_radius": "confidence",
    "dkw_samples": "confidence",
    "draw": "rng",
    "empirical_bernstein_radius": "confidence",
    "flow_velocity": "flow_solvers",
    "forward_coefficients": "fokker_planck_coefficients",
    "gaussianiser": "gaussianise",
    "half_convention": "langevin",
    "karras_sigmas": "solver_grids",
    "mala": "langevin",
    "mala_log_ratio": "langevin",
    "mala_step": "langevin",
    "normal_like": "rng",
    "normal_mixture_radius": "confidence",
    "reverse_coefficients": "fokker_planck_coefficients",
    "substream": "rng",
    "ula": "langevin",
    "ula_law": "gaussian_law",
    "ula_stationary": "gaussian_law",
    "ula_step": "langevin",
}
__all__ = sorted(_EXPORTS)  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = lazy(__name__, _EXPORTS)
