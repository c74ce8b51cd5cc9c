"""The derivations by name; each loads its module when it is made."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from .._checks import bad

if TYPE_CHECKING:
    from .derivation import Derivation, Factory

#: name -> (module of this package, function ``(wrong=None) -> Derivation``)
_WHERE: dict[str, tuple[str, str]] = {
    "ism": ("identities", "ism"),
    "ssm": ("identities", "ssm"),
    "dsm": ("denoising", "dsm"),
    "tweedie": ("denoising", "tweedie"),
    "tweedie-2": ("denoising", "tweedie_2"),
    "alpha-sigma": ("kernels", "alpha_sigma"),
    "vp": ("named_kernels", "vp"),
    "vp-linear": ("named_kernels", "vp_linear"),
    "vp-constant": ("named_kernels", "vp_constant"),
    "sub-vp": ("named_kernels", "sub_vp"),
    "sub-vp-linear": ("named_kernels", "sub_vp_linear"),
    "cosine": ("named_kernels", "cosine"),
    "ve": ("named_kernels", "ve"),
    "ou": ("named_kernels", "ou"),
    "edm": ("named_kernels", "edm"),
    "straight-path": ("named_kernels", "straight_path"),
    "exponential-noise": ("named_kernels", "exponential_noise"),
    "critically-damped": ("coupled", "critically_damped"),
    "fokker-planck": ("mixtures", "fokker_planck"),
    "reverse-sde": ("reversal", "reverse_sde"),
    "probability-flow": ("reversal", "probability_flow"),
    "reverse-general": ("reversal", "reverse_general"),
    "reverse-drift": ("reverse_drift", "reverse_drift"),
    "langevin": ("stationary", "langevin"),
    "ula": ("stationary", "ula"),
    "langevin-limit": ("langevin_limits", "langevin_limit"),
    "langevin-step": ("langevin_limits", "langevin_step"),
    "joint-limit": ("langevin_limits", "joint_limit"),
    "valley": ("modes", "valley"),
    "noiseless-ascent": ("modes", "noiseless_ascent"),
    "annealed": ("modes", "annealed"),
    "ddpm-limit": ("chain_limits", "ddpm_limit"),
    "smld-limit": ("chain_limits", "smld_limit"),
    "euler-step": ("chain_limits", "euler_step"),
    "ve-and-vp": ("clocks", "ve_and_vp"),
    "geometric-levels": ("clocks", "geometric_levels"),
    "prior-bound": ("near_ends", "prior_bound"),
    "stopping-early": ("near_ends", "stopping_early"),
    "loss-weights": ("predictions", "loss_weights"),
    "sde-weight": ("predictions", "sde_weight"),
    "denoiser-link": ("predictions", "denoiser_link"),
    "guidance": ("guidance", "guidance"),
    "guidance-tilt": ("guidance", "guidance_tilt"),
    "conditional-score": ("conditioning", "conditional_score"),
    "tilted-score": ("conditioning", "tilted_score"),
    "de-bruijn": ("entropy_flow", "de_bruijn"),
    "kl-flow": ("entropy_flow", "kl_flow"),
    "score-fokker-planck": ("score_equations", "score_fokker_planck"),
    "likelihood": ("score_equations", "likelihood"),
    "scale-free": ("scores", "scale_free"),
    "gaussian-score": ("scores", "gaussian_score"),
    "mixture-score": ("scores", "mixture_score"),
    "conventions": ("langevin_steps", "conventions"),
    "mala": ("langevin_steps", "mala"),
    "ema": ("averages", "ema"),
    "fourier-features": ("averages", "fourier_features"),
    "denoising-example": ("worked_examples", "denoising_example"),
    "decimal-quotient": ("worked_examples", "decimal_quotient"),
    "subspace-score": ("subspace_scores", "subspace_score"),
    "quadratic-ascent": ("ascent", "quadratic_ascent"),
    "score-in-tails": ("far_scores", "score_in_tails"),
    "mixture-tail": ("far_scores", "mixture_tail"),
    "noised-far": ("far_scores", "noised_far"),
    "far-field": ("far_scores", "far_field"),
    "steepest-ascent": ("ascent", "steepest_ascent"),
    "implicit-minimum": ("implicit", "implicit_minimum"),
    "by-parts": ("implicit", "by_parts"),
    "denoising-minimum": ("denoising_minimum", "denoising_minimum"),
    "denoising-forms": ("denoising_minimum", "denoising_forms"),
    "clean-input": ("denoising_minimum", "clean_input"),
    "noised-minimiser": ("denoising_minimum", "noised_minimiser"),
    "kernel-score": ("one_draw", "kernel_score"),
    "one-draw": ("one_draw", "one_draw"),
    "target-size": ("target_sizes", "target_size"),
    "balanced-levels": ("target_sizes", "balanced_levels"),
    "blind-weights": ("blindness", "blind_weights"),
    "off-manifold": ("subspace_scores", "off_manifold"),
}


class Catalogue(Mapping[str, "Factory"]):
    """Derivation factories by name, in the order of the documentation."""

    def __getitem__(self, name: str) -> Factory:
        module, function = _WHERE[name]
        return getattr(importlib.import_module(f"{__package__}.{module}"), function)

    def __iter__(self) -> Iterator[str]:
        return iter(_WHERE)

    def __len__(self) -> int:
        return len(_WHERE)

    def __repr__(self) -> str:
        return f"Catalogue({', '.join(_WHERE)})"


DERIVATIONS = Catalogue()


def derive(name: str, wrong: str | None = None) -> Derivation:
    """The derivation of a name, or one of its mutants.

    Args:
        name: key of :data:`DERIVATIONS`.
        wrong: name of a mutant.

    Raises:
        ValueError: an unknown name.
    """
    if name not in _WHERE:
        near = difflib.get_close_matches(name.lower(), _WHERE, n=3, cutoff=0.5)
        remedy = (
            f"did you mean {', '.join(near)}?" if near else "`scoreproof derive` lists the names"
        )
        raise bad("name", repr(name), "a derivation", remedy)
    return DERIVATIONS[name](wrong=wrong)
