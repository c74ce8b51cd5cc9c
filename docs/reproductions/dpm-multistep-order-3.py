"""DPM-Solver++ (3M) takes half of the second difference that the integral asks for: order two, not three."""

import math

import torch
from diffusers import EDMDPMSolverMultistepScheduler as Scheduler


def error(n, order, deviation=0.7, high=5.0, low=0.3, warm=4):
    """Error for data N(0, deviation^2) between two levels; the first calls get exact states."""
    scheduler = Scheduler(solver_order=order, final_sigmas_type="sigma_min")
    scheduler.set_timesteps(n + warm)
    s = high * (low / high) ** (torch.arange(-warm, n + 1, dtype=torch.float64) / n)
    scheduler.sigmas, scheduler.timesteps = s, torch.arange(n + warm, 0, -1)
    scheduler.convert_model_output = lambda clean, sample: clean  # the network returns E[x_0 | x]
    x = exact = (deviation**2 + s**2).sqrt()  # the path that begins at one standard deviation
    for k, t in enumerate(scheduler.timesteps):
        x = exact[k : k + 1] if k <= warm else x
        x = scheduler.step(x * deviation**2 / exact[k] ** 2, t, x).prev_sample
    return float((x - exact[-1]).abs())


for order in (2, 3):
    found = math.log2(error(60, order) / error(120, order))
    print(f"solver_order={order}: measured {found:.2f}", "DEFECT" if found < order - 0.5 else "")
