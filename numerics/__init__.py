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
    from .control_variates import Part as Part
    from .control_variates import controlled_mean as controlled_mean
    from .control_variates import controlled_sum as controlled_sum
    from .convolved import Convolved as Convolved
    from .convolved import diffused as diffused
    from .distances import GaussianGap as GaussianGap
    from .distances import kl_gaussian as kl_gaussian
    from .distances import w2_gaussian as w2_gaussian
    from .divergence import Divergence as Divergence
    from .divergence import directional as directional
    from .divergence import exact_divergence as exact_divergence
    from .divergence import hutch_pp as hutch_pp
    from .divergence import hutchinson as hutchinson
    from .effects import EffectSums as EffectSums
    from .enclosure import Enclosed as Enclosed
    from .enclosure import enclosed as enclosed
    from .enclosure_expressions import ExpressionScore as ExpressionScore
    from .enclosure_laws import ExactMixture as ExactMixture
    from .enclosure_models import ExactScore as ExactScore
    from .enclosure_models import MixtureScore as MixtureScore
    from .enclosure_models import PolynomialScore as PolynomialScore
    from .enclosure_models import RationalScore as RationalScore
    from .enclosure_networks import TanhScore as TanhScore
    from .enclosure_noise import enclose_dsm as enclose_dsm
    from .enclosure_noise import enclose_dsm_constant as enclose_dsm_constant
    from .enclosure_noise import enclose_variation as enclose_variation
    from .enclosure_objectives import enclose as enclose
    from .enclosure_objectives import enclose_entropy as enclose_entropy
    from .enclosure_objectives import enclose_entropy_rate as enclose_entropy_rate
    from .enclosure_objectives import enclose_information as enclose_information
    from .enclosure_objectives import enclose_mean as enclose_mean
    from .error_budget import Chain as Chain
    from .error_budget import Sensitivity as Sensitivity
    from .error_budget import exact_reverse as exact_reverse
    from .error_budget import exact_sensitivity as exact_sensitivity
    from .estimate import Estimate as Estimate
    from .estimate import exact_estimate as exact_estimate
    from .estimate import mean_estimate as mean_estimate
    from .estimate import quadrature_estimate as quadrature_estimate
    from .exact_law import AffineLaw as AffineLaw
    from .exact_law import Refused as Refused
    from .exact_law import probe as probe
    from .exponential import ExponentialSinglestep as ExponentialSinglestep
    from .exponential import Rule as Rule
    from .features import Features as Features
    from .features import cf_features as cf_features
    from .features import default_features as default_features
    from .features import hermite_features as hermite_features
    from .features import moment_features as moment_features
    from .features import noised_cf_features as noised_cf_features
    from .features import quadrature_features as quadrature_features
    from .features import rao_features as rao_features
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
    from .kinetic_langevin import underdamped as underdamped
    from .kinetic_langevin import underdamped_step as underdamped_step
    from .kl_chain import Draws as Draws
    from .kl_chain import KLBound as KLBound
    from .kl_chain import entropy as entropy
    from .kl_chain import entropy_rate as entropy_rate
    from .kl_chain import kl_bound as kl_bound
    from .kl_chain import relative_entropy as relative_entropy
    from .kl_chain import relative_entropy_rate as relative_entropy_rate
    from .kl_chain import relative_information as relative_information
    from .langevin import MALAResult as MALAResult
    from .langevin import annealed_langevin as annealed_langevin
    from .langevin import half_convention as half_convention
    from .langevin import mala as mala
    from .langevin import mala_log_ratio as mala_log_ratio
    from .langevin import mala_step as mala_step
    from .langevin import ula as ula
    from .langevin import ula_step as ula_step
    from .likelihood import Likelihood as Likelihood
    from .likelihood import flow_log_likelihood as flow_log_likelihood
    from .multistep import ExponentialMultistep as ExponentialMultistep
    from .objective_constants import dsm_constant as dsm_constant
    from .objective_constants import fisher_information as fisher_information
    from .objective_constants import paired as paired
    from .objective_constants import posterior_spread as posterior_spread
    from .objectives import ESM as ESM
    from .objectives import ISM as ISM
    from .objectives import SSM as SSM
    from .objectives import Objective as Objective
    from .objectives_denoising import DSM as DSM
    from .objectives_multilevel import MultiLevelDSM as MultiLevelDSM
    from .objectives_multilevel import WeightedDSM as WeightedDSM
    from .quadrature import Quadrature as Quadrature
    from .quadrature import expectation as expectation
    from .quadrature import integrate as integrate
    from .rng import draw as draw
    from .rng import normal_like as normal_like
    from .rng import substream as substream
    from .score_models import ScoreModel as ScoreModel
    from .score_models import as_model as as_model
    from .score_models import torch_model as torch_model
    from .solver_grids import KarrasGrid as KarrasGrid
    from .solver_grids import LogSNRGrid as LogSNRGrid
    from .solver_grids import UniformGrid as UniformGrid
    from .solver_grids import karras_sigmas as karras_sigmas
    from .solvers import DDIM as DDIM
    from .solvers import Ancestral as Ancestral
    from .solvers import EulerMaruyama as EulerMaruyama
    from .solvers import ExponentialEuler as ExponentialEuler
    from .solvers import Solver as Solver
    from .stochastic_solvers import Churn as Churn
    from .stochastic_solvers import OptimalAncestral as OptimalAncestral
    from .stochastic_solvers import PredictorCorrector as PredictorCorrector

_EXPORTS = {
    "Affine": "gaussian_law",
    "AffineLaw": "exact_law",
    "Ancestral": "solvers",
    "Chain": "error_budget",
    "Convolved": "convolved",
    "DDIM": "solvers",
    "DSM": "objectives_denoising",
    "Divergence": "divergence",
    "Draws": "kl_chain",
    "ESM": "objectives",
    "EffectSums": "effects",
    "EigenLaw": "gaussian_law",
    "Enclosed": "enclosure",
    "Estimate": "estimate",
    "EulerMaruyama": "solvers",
    "Evolution": "fokker_planck",
    "ExactMixture": "enclosure_laws",
    "ExactScore": "enclosure_models",
    "ExponentialEuler": "solvers",
    "ExpressionScore": "enclosure_expressions",
    "Features": "features",
    "FokkerPlanck1D": "fokker_planck",
    "FokkerPlanck2D": "fokker_planck",
    "GaussianGap": "distances",
    "GaussianReverse": "gaussian_law",
    "Gaussianised": "gaussianise",
    "Heun": "flow_solvers",
    "ISM": "objectives",
    "KLBound": "kl_chain",
    "KarrasGrid": "solver_grids",
    "Likelihood": "likelihood",
    "LogSNRGrid": "solver_grids",
    "MALAResult": "langevin",
    "MixtureScore": "enclosure_models",
    "MultiLevelDSM": "objectives_multilevel",
    "Objective": "objectives",
    "Part": "control_variates",
    "PolynomialScore": "enclosure_models",
    "PowerSums": "confidence",
    "ProbabilityFlowRK45": "flow_solvers",
    "Quadrature": "quadrature",
    "RK4": "flow_solvers",
    "RationalScore": "enclosure_models",
    "Refused": "exact_law",
    "RefutingMachine": "goodness",
    "SSM": "objectives",
    "ScoreModel": "score_models",
    "Sensitivity": "error_budget",
    "Solver": "solvers",
    "TanhScore": "enclosure_networks",
    "UniformGrid": "solver_grids",
    "WeightedDSM": "objectives_multilevel",
    "annealed_langevin": "langevin",
    "as_model": "score_models",
    "bernoulli_interval": "confidence",
    "betting_lower": "confidence",
    "betting_upper": "confidence",
    "cf_features": "features",
    "controlled_mean": "control_variates",
    "controlled_sum": "control_variates",
    "default_features": "features",
    "diffused": "convolved",
    "directional": "divergence",
    "dkw_radius": "confidence",
    "dkw_samples": "confidence",
    "draw": "rng",
    "dsm_constant": "objective_constants",
    "empirical_bernstein_radius": "confidence",
    "entropy": "kl_chain",
    "entropy_rate": "kl_chain",
    "enclose": "enclosure_objectives",
    "enclose_dsm": "enclosure_noise",
    "enclose_dsm_constant": "enclosure_noise",
    "enclose_entropy": "enclosure_objectives",
    "enclose_entropy_rate": "enclosure_objectives",
    "enclose_information": "enclosure_objectives",
    "enclose_mean": "enclosure_objectives",
    "enclose_variation": "enclosure_noise",
    "enclosed": "enclosure",
    "exact_divergence": "divergence",
    "exact_estimate": "estimate",
    "expectation": "quadrature",
    "fisher_information": "objective_constants",
    "flow_log_likelihood": "likelihood",
    "exact_reverse": "error_budget",
    "exact_sensitivity": "error_budget",
    "flow_velocity": "flow_solvers",
    "forward_coefficients": "fokker_planck_coefficients",
    "gaussianiser": "gaussianise",
    "half_convention": "langevin",
    "hermite_features": "features",
    "hutch_pp": "divergence",
    "hutchinson": "divergence",
    "integrate": "quadrature",
    "karras_sigmas": "solver_grids",
    "kl_bound": "kl_chain",
    "kl_gaussian": "distances",
    "mala": "langevin",
    "mala_log_ratio": "langevin",
    "mala_step": "langevin",
    "mean_estimate": "estimate",
    "moment_features": "features",
    "noised_cf_features": "features",
    "normal_like": "rng",
    "normal_mixture_radius": "confidence",
    "paired": "objective_constants",
    "posterior_spread": "objective_constants",
    "probe": "exact_law",
    "quadrature_estimate": "estimate",
    "quadrature_features": "features",
    "rao_features": "features",
    "relative_entropy": "kl_chain",
    "relative_entropy_rate": "kl_chain",
    "relative_information": "kl_chain",
    "reverse_coefficients": "fokker_planck_coefficients",
    "substream": "rng",
    "torch_model": "score_models",
    "ula": "langevin",
    "ula_law": "gaussian_law",
    "ula_stationary": "gaussian_law",
    "ula_step": "langevin",
    "w2_gaussian": "distances",
    "Rule": "exponential",
    "ExponentialSinglestep": "exponential",
    "ExponentialMultistep": "multistep",
    "Churn": "stochastic_solvers",
    "PredictorCorrector": "stochastic_solvers",
    "OptimalAncestral": "stochastic_solvers",
    "underdamped": "kinetic_langevin",
    "underdamped_step": "kinetic_langevin",
}
__all__ = sorted(_EXPORTS)  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = lazy(__name__, _EXPORTS)
