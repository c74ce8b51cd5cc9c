"""Levels even in their logarithm, timesteps even in time: the network is told other levels than those in use."""

import numpy as np
from diffusers import EulerDiscreteScheduler

for interpolation in ("linear", "log_linear"):
    scheduler = EulerDiscreteScheduler(interpolation_type=interpolation)
    scheduler.set_timesteps(30)
    table = ((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod).sqrt().numpy()
    told = np.interp(scheduler.timesteps.numpy(), np.arange(len(table)), table)
    used = scheduler.sigmas[: len(told)].numpy()
    ratio = max((told / used).max(), (used / told).max())
    end = scheduler.sigmas[len(scheduler.timesteps)]
    said = f"told and used differ by a factor up to {ratio:.2f}, the run ends at {end:.3f}"
    print(f"{interpolation}: {said}", "DEFECT" if ratio > 1.01 else "")
