"""The last level stands there twice: no increment of Brownian motion can be drawn over no time."""

import torch
from diffusers import CosineDPMSolverMultistepScheduler

for final in ("zero", "sigma_min"):
    scheduler = CosineDPMSolverMultistepScheduler(final_sigmas_type=final)
    scheduler.set_timesteps(20)
    rng = torch.Generator().manual_seed(0)
    x = scheduler.sigmas[0] * torch.randn(1, 4, generator=rng)
    try:
        for t in scheduler.timesteps:
            x = scheduler.step(torch.zeros(1, 4), t, x, generator=rng).prev_sample
        print(f"{final}: {x}", "DEFECT" if x.isnan().any() else "")
    except RecursionError as error:
        print(f"{final}: DEFECT", type(error).__name__, str(error)[:40])
