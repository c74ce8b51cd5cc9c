"""What the documentation of diffusers declares: the order, with its sentence, and whether noise is drawn."""

from __future__ import annotations

from typing import Any

_CLASSES: dict[str, tuple[float, str]] = {
    "EulerDiscreteScheduler": (1, "Euler scheduler."),
    "EulerAncestralDiscreteScheduler": (1, "Ancestral sampling with Euler method steps."),
    "FlowMatchEulerDiscreteScheduler": (1, "Euler scheduler."),
    "EDMEulerScheduler": (1, "Implements the Euler scheduler in EDM formulation"),
    "HeunDiscreteScheduler": (2, "Scheduler with Heun steps for discrete beta schedules."),
    "FlowMatchHeunDiscreteScheduler": (2, "Heun scheduler."),
    "KDPM2DiscreteScheduler": (
        2,
        "KDPM2DiscreteScheduler is inspired by the DPMSolver2 and Algorithm 2 from the",
    ),
    "IPNDMScheduler": (4, "A fourth-order Improved Pseudo Linear Multistep scheduler."),
}
_SOLVERS = {
    "DPMSolverMultistepScheduler": "The DPMSolver order which can be `1` or `2` or `3`.",
    "DPMSolverSinglestepScheduler": "The DPMSolver order which can be `1` or `2` or `3`.",
    "EDMDPMSolverMultistepScheduler": "The DPMSolver order which can be `1` or `2` or `3`.",
    "CosineDPMSolverMultistepScheduler": "The DPMSolver order which can be `1` or `2`.",
    "DEISMultistepScheduler": "The DEIS order which can be `1` or `2` or `3`.",
}
_UNIPC = "The effective order of accuracy is `solver_order + 1` due to the UniC."
_LMS = "The order of the linear multistep method."
_NOISY = {
    "DDPMScheduler",
    "DDPMParallelScheduler",
    "DDPMWuerstchenScheduler",
    "EulerAncestralDiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "LTXEulerAncestralRFScheduler",
    "DPMSolverSDEScheduler",
    "CosineDPMSolverMultistepScheduler",
    "LCMScheduler",
    "FlowMatchLCMScheduler",
    "UnCLIPScheduler",
}
_OPEN = {
    "SASolverScheduler",
    "CogVideoXDPMScheduler",
    "TCDScheduler",
    "LTXEulerAncestralRFScheduler",
}


def declared(
    made: type, scheduler: Any, step: dict[str, Any]
) -> tuple[float | None, str, bool | None]:
    """Order, the sentence that declares it with its place, and whether the scheduler is deterministic.

    Args:
        made: class of the scheduler.
        scheduler: one, for its configuration.
        step: options of ``step``.
    """
    name = made.__name__
    config = scheduler.config
    algorithm = str(getattr(config, "algorithm_type", ""))
    noisy = name in _NOISY or algorithm.startswith("sde") or bool(step.get("eta"))
    churns = bool(step.get("s_churn"))
    deterministic = None if churns or name in _OPEN else not noisy
    order, sentence, place = _order(name, config, step)
    quote = f"“{sentence}” (docstring of diffusers.{place})" if sentence else ""
    return order, quote, deterministic


def _order(name: str, config: Any, step: dict[str, Any]) -> tuple[float | None, str, str]:
    if name in _CLASSES:
        return _CLASSES[name][0], _CLASSES[name][1], name
    if name in _SOLVERS:
        return float(config.solver_order), _SOLVERS[name], f"{name}, solver_order"
    if name == "UniPCMultistepScheduler":
        return config.solver_order + 1.0, _UNIPC, f"{name}, solver_order"
    if name == "LMSDiscreteScheduler":
        return float(step.get("order", 4)), _LMS, f"{name}.step, order"
    return None, "", ""
