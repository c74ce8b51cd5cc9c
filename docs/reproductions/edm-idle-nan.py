"""The last level stands there twice: formulas with (exp(-h) - 1) / h divide zero by zero in the last step."""

import torch
from diffusers import EDMDPMSolverMultistepScheduler

for options in (
    {"solver_order": 2, "solver_type": "midpoint"},
    {"solver_order": 2, "solver_type": "heun"},
    {"solver_order": 3},
):
    scheduler = EDMDPMSolverMultistepScheduler(final_sigmas_type="sigma_min", **options)
    scheduler.set_timesteps(20)
    x = 80 * torch.randn(1, 4, generator=torch.Generator().manual_seed(0))
    for t in scheduler.timesteps:
        x = scheduler.step(torch.zeros(1, 4), t, x).prev_sample
    print(options, x, "DEFECT" if x.isnan().any() else "")
