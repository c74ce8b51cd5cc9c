"""UniPC steps to noise level zero by formulas that take the logarithm of it."""

import torch
from diffusers import UniPCMultistepScheduler

for options in ({}, {"lower_order_final": False}, {"predict_x0": False}):
    scheduler = UniPCMultistepScheduler(final_sigmas_type="zero", **options)
    scheduler.set_timesteps(20)
    x = torch.randn(1, 4, generator=torch.Generator().manual_seed(0))
    for t in scheduler.timesteps:
        x = scheduler.step(0.1 * x, t, x).prev_sample
    print(options, x, "DEFECT" if not x.isfinite().all() else "")
