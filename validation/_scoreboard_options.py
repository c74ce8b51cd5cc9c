"""The configurations of the scoreboard: products of what each class lets its user choose, invalid ones included.

Lists are read as products: ``("solver_order=2", "solver_order=3")`` and ``("", "use_karras_sigmas=True")`` make four
configurations. Nothing is left out for being wrong: what a library refuses is shown as refused, what crashes as a
crash.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from ..theory._checks import bad
from .adapters.target import LIBRARIES

Choices = tuple[str, ...]

_SPACING = tuple(f"timestep_spacing={s}" for s in ("leading", "linspace", "trailing"))
_PREDICTION = tuple(f"prediction_type={p}" for p in ("epsilon", "v_prediction", "sample"))
_OTHER_PREDICTION = _PREDICTION[1:]
_GRID = (
    "",
    "use_karras_sigmas=True",
    "use_exponential_sigmas=True",
    "use_beta_sigmas=True",
)
_KARRAS = _GRID[:2]
_FLOW = "use_flow_sigmas=True&prediction_type=flow_prediction"
_FINAL = ("final_sigmas_type=zero", "final_sigmas_type=sigma_min")
_SD = "beta_schedule=scaled_linear&beta_start=0.00085&beta_end=0.012"
_COSINE = "beta_schedule=squaredcos_cap_v2"
_ZERO_SNR = "rescale_betas_zero_snr=True&timestep_spacing=trailing&prediction_type=v_prediction"


def _orders(*orders: int, name: str = "solver_order") -> Choices:
    return tuple(f"{name}={k}" for k in orders)


#: Class of diffusers and its products of options.
_DIFFUSERS: dict[str, tuple[tuple[Choices, ...], ...]] = {
    "DDIMScheduler": (
        (_PREDICTION, _SPACING, ("", "eta=1.0")),
        (
            (
                "set_alpha_to_one=False",
                "steps_offset=1",
                "clip_sample=True",
                _SD,
                _COSINE,
                _ZERO_SNR,
            ),
        ),
        (("use_clipped_model_output=True&clip_sample=True", "eta=0.5"),),
    ),
    "DDIMParallelScheduler": ((("prediction_type=epsilon",), _SPACING, ("", "eta=1.0")),),
    "DDPMScheduler": (
        (
            tuple(
                f"variance_type={v}"
                for v in ("fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log")
            ),
            _SPACING,
        ),
        (_OTHER_PREDICTION, _SPACING),
        (("clip_sample=True", "steps_offset=1", _SD, _COSINE, _ZERO_SNR),),
    ),
    "DDPMParallelScheduler": (
        (("variance_type=fixed_small", "variance_type=fixed_large_log"), _SPACING),
    ),
    "CogVideoXDDIMScheduler": ((_PREDICTION[:2], _SPACING), (("", _ZERO_SNR),)),
    "CogVideoXDPMScheduler": ((_PREDICTION[:2], _SPACING),),
    "EulerDiscreteScheduler": (
        (_SPACING, _GRID, _FINAL),
        (_OTHER_PREDICTION, _SPACING, _KARRAS),
        (
            (
                "interpolation_type=log_linear",
                "timestep_type=continuous&prediction_type=v_prediction",
                "timestep_type=continuous&prediction_type=v_prediction&use_karras_sigmas=True",
                "s_churn=5.0&use_karras_sigmas=True",
                "steps_offset=1&timestep_spacing=leading",
                "sigma_min=0.05&sigma_max=20.0&use_karras_sigmas=True",
                _SD,
                _COSINE,
                _ZERO_SNR,
            ),
        ),
    ),
    "EulerAncestralDiscreteScheduler": (
        (_PREDICTION, _SPACING),
        (("steps_offset=1&timestep_spacing=leading", _SD, _ZERO_SNR),),
    ),
    "HeunDiscreteScheduler": (
        (_SPACING, _GRID),
        (_OTHER_PREDICTION, _KARRAS),
        (("steps_offset=1&timestep_spacing=leading", "beta_schedule=exp", _SD),),
    ),
    "KDPM2DiscreteScheduler": ((_SPACING, _GRID), (_OTHER_PREDICTION, _KARRAS)),
    "KDPM2AncestralDiscreteScheduler": ((_SPACING, _KARRAS), (_GRID[2:],), (_OTHER_PREDICTION,)),
    "LMSDiscreteScheduler": (
        (_SPACING,),
        (_GRID[1:],),
        (_OTHER_PREDICTION,),
        (_orders(1, 2, 3, name="order"), ("use_karras_sigmas=True",)),
    ),
    "DPMSolverMultistepScheduler": (
        (
            ("algorithm_type=dpmsolver++", "algorithm_type=sde-dpmsolver++"),
            ("solver_type=midpoint", "solver_type=heun"),
            _orders(1, 2, 3),
            _KARRAS,
        ),
        (
            ("algorithm_type=dpmsolver", "algorithm_type=sde-dpmsolver"),
            ("solver_type=midpoint", "solver_type=heun"),
            _orders(1, 2, 3),
            ("final_sigmas_type=sigma_min",),
        ),
        (
            _orders(2, 3),
            ("use_exponential_sigmas=True", "use_beta_sigmas=True", "use_lu_lambdas=True", _FLOW),
        ),
        (_SPACING, ("", "use_lu_lambdas=True"), _FINAL),
        (_OTHER_PREDICTION, _orders(2, 3), _KARRAS),
        (
            (
                "algorithm_type=dpmsolver",
                "euler_at_final=True",
                "lower_order_final=False",
                "lower_order_final=False&solver_order=3&use_karras_sigmas=True",
                "lambda_min_clipped=-5.1",
                "steps_offset=1&timestep_spacing=leading",
                _FLOW + "&flow_shift=3.0",
                _SD,
                _COSINE + "&lambda_min_clipped=-5.1",
                _COSINE + "&use_karras_sigmas=True",
                _ZERO_SNR,
            ),
        ),
    ),
    "DPMSolverSinglestepScheduler": (
        (
            ("algorithm_type=dpmsolver++", "algorithm_type=sde-dpmsolver++"),
            ("solver_type=midpoint", "solver_type=heun"),
            _orders(1, 2, 3),
        ),
        (("use_karras_sigmas=True",), _orders(1, 2, 3)),
        (
            ("algorithm_type=sde-dpmsolver++&use_karras_sigmas=True&final_sigmas_type=sigma_min",),
            _orders(2, 3),
        ),
        (
            ("algorithm_type=dpmsolver&final_sigmas_type=sigma_min",),
            ("solver_type=midpoint", "solver_type=heun"),
            _orders(2, 3),
        ),
        (("use_exponential_sigmas=True", "use_beta_sigmas=True", _FLOW), _orders(2, 3)),
        (
            (
                "lower_order_final=True",
                "lower_order_final=True&solver_order=3",
                "final_sigmas_type=sigma_min",
                *_OTHER_PREDICTION,
            ),
        ),
    ),
    "DPMSolverSDEScheduler": ((_SPACING, _KARRAS), (_OTHER_PREDICTION,), (_GRID[2:],)),
    "DEISMultistepScheduler": (
        (_orders(1, 2, 3), (*_GRID, _FLOW)),
        (_SPACING[::2], _orders(2, 3)),
        (_OTHER_PREDICTION, _orders(2, 3)),
        (("lower_order_final=False",),),
    ),
    "UniPCMultistepScheduler": (
        (
            ("solver_type=bh1", "solver_type=bh2"),
            _orders(1, 2, 3),
            ("predict_x0=True", "predict_x0=False"),
            _KARRAS,
        ),
        (("use_exponential_sigmas=True", "use_beta_sigmas=True", _FLOW), _orders(2, 3)),
        (_SPACING[::2], _FINAL),
        (_OTHER_PREDICTION,),
        (
            (
                "final_sigmas_type=sigma_min",
                "lower_order_final=False",
                "lower_order_final=False&solver_order=3",
                _FLOW + "&flow_shift=3.0",
                _ZERO_SNR,
            ),
        ),
    ),
    "SASolverScheduler": (
        (
            ("algorithm_type=data_prediction", "algorithm_type=noise_prediction"),
            _orders(1, 2, 3, name="predictor_order"),
            _orders(0, 2, name="corrector_order"),
        ),
        (
            (
                *_GRID[1:],
                *_SPACING[::2],
                *_OTHER_PREDICTION,
                "predictor_order=3&corrector_order=4",
                "predictor_order=4&corrector_order=4",
                _FLOW,
            ),
        ),
    ),
    "EDMDPMSolverMultistepScheduler": (
        (
            ("algorithm_type=dpmsolver++", "algorithm_type=sde-dpmsolver++"),
            ("solver_type=midpoint", "solver_type=heun"),
            _orders(1, 2, 3),
        ),
        (("sigma_schedule=exponential",), _orders(2, 3)),
        (("prediction_type=v_prediction", *_FINAL, "euler_at_final=True"), _orders(2, 3)),
    ),
    "EDMEulerScheduler": (
        (
            ("prediction_type=epsilon", "prediction_type=v_prediction"),
            ("sigma_schedule=karras", "sigma_schedule=exponential"),
            _FINAL,
        ),
        (("s_churn=5.0",),),
    ),
    "CosineDPMSolverMultistepScheduler": (
        (_orders(1, 2), ("solver_type=midpoint", "solver_type=heun"), _FINAL),
        (("sigma_schedule=karras", "prediction_type=epsilon", "sigma_min=0.002&sigma_max=80.0"),),
    ),
    "PNDMScheduler": (
        (("", "skip_prk_steps=True"), _SPACING, _PREDICTION[:2]),
        (("set_alpha_to_one=True", "skip_prk_steps=True&steps_offset=1&set_alpha_to_one=False"),),
    ),
    "IPNDMScheduler": ((("",),),),
    "LCMScheduler": (
        (("", "prediction_type=v_prediction", "timestep_spacing=trailing", "steps_offset=1"),),
    ),
    "TCDScheduler": (
        (("eta=0.0", "eta=0.3", "eta=1.0", "prediction_type=v_prediction&eta=0.0"),),
    ),
    "UnCLIPScheduler": ((("clip_sample=False", "clip_sample=True", "prediction_type=sample"),),),
    "DDPMWuerstchenScheduler": ((("", "scaler=2.0", "s=0.02"),),),
    "FlowMatchEulerDiscreteScheduler": (
        (("shift=1.0", "shift=3.0", "shift=0.5"), _GRID),
        (
            (
                "stochastic_sampling=True",
                "stochastic_sampling=True&shift=3.0",
                "shift_terminal=0.1",
                "use_dynamic_shifting=True",
                "s_churn=1.0",
            ),
        ),
    ),
    "FlowMatchHeunDiscreteScheduler": ((("shift=1.0", "shift=3.0", "shift=0.5"),),),
    "FlowMatchLCMScheduler": ((("shift=1.0", "shift=3.0"),),),
    "LTXEulerAncestralRFScheduler": ((("eta=0.0", "eta=0.5", "eta=1.0"),),),
    "MiniMaxH3Scheduler": ((("shift=1.0", "shift=12.0"),),),
    "ScoreSdeVeScheduler": ((("", "correct_steps=0", "sigma_max=50.0", "snr=0.05"),),),
}

_K_GRIDS = ("grid=karras", "grid=exponential", "grid=polyexponential")
_K_FIXED = "final=sigma_min&sigma_min=0.05&sigma_max=20"
_K_DIFFUSION: dict[str, tuple[tuple[Choices, ...], ...]] = {
    **{
        f"sample_{name}": ((_K_GRIDS,), ((_K_FIXED,),))
        for name in ("heun", "dpm_2", "lms", "dpmpp_2m")
    },
    **{
        f"sample_{name}": ((_K_GRIDS,), ((_K_FIXED,), ("", "eta=0.0")))
        for name in (
            "euler_ancestral",
            "dpm_2_ancestral",
            "dpmpp_2s_ancestral",
            "dpmpp_sde",
            "dpmpp_3m_sde",
        )
    },
    "sample_euler": ((_K_GRIDS,), ((_K_FIXED,),), (("s_churn=5.0",),)),
    "sample_dpmpp_2m_sde": (
        (("solver_type=midpoint", "solver_type=heun"), _K_GRIDS),
        (("solver_type=midpoint", "solver_type=heun"), (_K_FIXED,), ("", "eta=0.0")),
    ),
    "sample_dpm_fast": ((("", "eta=1.0", "sigma_min=0.05&sigma_max=20"),),),
    "sample_dpm_adaptive": ((("", "order=2", "rtol=0.001&atol=0.0001", "eta=1.0"),),),
}

_SCHEDULES = tuple(f"schedule={s}" for s in ("VP", "VE", "Cosine", "Decay", "Rectified"))
_AZULA: dict[str, tuple[tuple[Choices, ...], ...]] = {
    **{
        name: ((_SCHEDULES,),)
        for name in ("DDPMSampler", "EulerSampler", "HeunSampler", "PCSampler")
    },
    "DDIMSampler": ((_SCHEDULES, ("eta=0.0", "eta=1.0")),),
    "ItoSampler": ((_SCHEDULES, ("eta=0.0", "eta=1.0")), (("temperature=0.5",),)),
    **{
        name: ((_SCHEDULES, _orders(2, name="order")), (_orders(1, 3, 4, name="order"),))
        for name in ("zABSampler", "vABSampler", "zEABSampler", "xEABSampler", "REABSampler")
    },
}

_TORCHSDE = ("euler", "milstein", "srk", "heun", "midpoint", "euler_heun", "reversible_heun")


def configurations(library: str | None = None) -> list[str]:
    """Targets of all configurations, each once, in a fixed order.

    Args:
        library: one of the libraries; None for all.

    Raises:
        ValueError: another name.
    """
    made = {
        "diffusers": lambda: _targets("diffusers", _DIFFUSERS),
        "k_diffusion": lambda: _targets("k_diffusion", _K_DIFFUSION),
        "azula": lambda: _targets("azula", _AZULA),
        "torchsde": lambda: iter([f"torchsde:{name}" for name in _TORCHSDE]),
    }
    if library is not None and library not in made:
        raise bad("only", repr(library), f"one of {', '.join(LIBRARIES)}", "correct the name")
    names = LIBRARIES if library is None else (library,)
    return list(dict.fromkeys(target for name in names for target in made[name]()))


def _targets(library: str, classes: dict[str, tuple[tuple[Choices, ...], ...]]) -> Iterator[str]:
    for name, products in classes.items():
        for choices in products:
            for picked in product(*choices):
                options = "&".join(option for option in picked if option)
                yield f"{library}:{name}?{options}" if options else f"{library}:{name}"
