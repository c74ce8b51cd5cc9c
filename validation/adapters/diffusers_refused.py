"""Schedulers of diffusers that an exact denoiser cannot stand in for, each with the reason."""

from __future__ import annotations

_TOKENS = "it steps discrete tokens, which have no score"
_INVERTS = "it goes from data to noise; check the sampler that it inverts"
_DISTILLED = "it needs a network of a distilled map, which is no denoiser"

REFUSED = {
    "AmusedScheduler": _TOKENS,
    "BlockRefinementScheduler": _TOKENS,
    "DiscreteDDIMScheduler": _TOKENS,
    "EntropyBoundScheduler": _TOKENS,
    "VQDiffusionScheduler": _TOKENS,
    "DDIMInverseScheduler": _INVERTS,
    "DPMSolverMultistepInverseScheduler": _INVERTS,
    "ConsistencyDecoderScheduler": _DISTILLED,
    "CMStochasticIterativeScheduler": _DISTILLED,
    "SCMScheduler": _DISTILLED,
    "FlowMapEulerDiscreteScheduler": _DISTILLED,
    "PiflowScheduler": _DISTILLED,
    "HeliosDMDScheduler": _DISTILLED,
    "HeliosScheduler": "its stages change the resolution of the sample between steps",
    "RFD4ProteinaScheduler": "it rescales the score on purpose; what it draws is not the law of the data",
    "RePaintScheduler": "it needs an image and a mask",
    "KarrasVeScheduler": "it is deprecated and needs a loop of its own",
    "ScoreSdeVpScheduler": "it is deprecated and needs a loop of its own",
}
