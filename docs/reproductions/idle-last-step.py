"""A grid that ends in the same level twice: the last call of the network moves nothing."""

from diffusers import DEISMultistepScheduler, EDMEulerScheduler, SASolverScheduler

for made, options in (
    (DEISMultistepScheduler, {"use_karras_sigmas": True}),
    (SASolverScheduler, {"use_karras_sigmas": True}),
    (EDMEulerScheduler, {"final_sigmas_type": "sigma_min"}),
):
    scheduler = made(**options)
    scheduler.set_timesteps(10)
    before, last = scheduler.sigmas[-2:].tolist()
    print(
        made.__name__, options, f"{before:.4g} -> {last:.4g}", "DEFECT" if before == last else ""
    )
