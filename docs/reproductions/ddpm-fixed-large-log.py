"""variance_type="fixed_large_log" takes the logarithm of the variance and then its square root."""

import torch
from diffusers import DDPMScheduler

for variance in ("fixed_large", "fixed_large_log"):
    scheduler = DDPMScheduler(variance_type=variance, clip_sample=False)
    scheduler.set_timesteps(10)
    x = torch.randn(1, 4, generator=torch.Generator().manual_seed(0))
    for t in scheduler.timesteps:
        x = scheduler.step(torch.zeros(1, 4), t, x).prev_sample
    print(variance, x, "DEFECT" if x.isnan().any() else "")
