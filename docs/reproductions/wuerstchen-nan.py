"""A ratio of clamped signals is rounded above one, in mixed precision: the root of a negative number."""

import torch
from diffusers import DDPMWuerstchenScheduler

for dtype in (torch.float32, torch.float16, torch.float64):
    scheduler = DDPMWuerstchenScheduler()
    scheduler.set_timesteps(300)
    x = torch.ones(1, 4, dtype=dtype)
    for t in scheduler.timesteps[:-1]:
        ratio = t.expand(x.size(0)).to(dtype)  # as the pipeline calls it
        x = scheduler.step(torch.zeros_like(x), ratio, x).prev_sample
    print(dtype, x, "DEFECT" if x.isnan().any() else "")
