"""The shift is applied to the training schedule, and again to a grid between its shifted ends."""

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler

shift, n = 3.0, 1000
for made in (FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler):
    scheduler = made(shift=shift)
    built = scheduler.sigmas[:n].clone()  # shifted once, as documented
    scheduler.set_timesteps(n)
    used = torch.unique(scheduler.sigmas).flip(0)[:n]
    uniform = torch.arange(n, 0, -1) / n
    once = shift * uniform / (1 + (shift - 1) * uniform)
    print(
        made.__name__,
        f"last level: shifted once {once[-1]:.5f}, constructor {built[-1]:.5f},",
        end=" ",
    )
    print(f"set_timesteps {used[-1]:.5f}", "DEFECT" if used[-1] > 2 * once[-1] else "")
