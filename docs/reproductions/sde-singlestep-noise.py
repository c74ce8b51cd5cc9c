"""Singlestep sde-dpmsolver++ draws fresh noise for a whole step: what its middle stage saw is forgotten."""

import math

import torch
from diffusers import DPMSolverSinglestepScheduler


def error(order, n, data=0.5):  # of the deviation of draws, for data N(0, data^2)
    scheduler = DPMSolverSinglestepScheduler(algorithm_type="sde-dpmsolver++", solver_order=order)
    scheduler.set_timesteps(n)
    rng, signal = torch.Generator().manual_seed(0), scheduler.alphas_cumprod
    x = torch.randn(400_000, 1, generator=rng)
    for t in scheduler.timesteps:
        a = signal[t]
        noise = (1 - a).sqrt() * x / (a * data**2 + 1 - a)
        x = scheduler.step(noise, t, x, generator=rng).prev_sample
    return abs(float(x.std()) - data)


for order in (1, 2):
    coarse, fine = error(order, 24), error(order, 48)
    found = math.log2(coarse / fine)
    said = f"solver_order={order}: errors {coarse:.4f}, {fine:.4f}, order {found:.1f}"
    print(said, "DEFECT" if found < order - 0.5 else "")
