"""The third-order updates of sde-dpmsolver++ subtract 1/2 where it is to be added: white noise is amplified."""

import torch
from diffusers import DPMSolverMultistepScheduler, DPMSolverSinglestepScheduler


def deviation(made, n, order, data=0.5):
    """Standard deviation of 20,000 draws for data N(0, data^2), with the exact noise prediction."""
    scheduler = made(algorithm_type="sde-dpmsolver++", solver_type="heun", solver_order=order)
    scheduler.set_timesteps(n)
    rng = torch.Generator().manual_seed(0)
    signal = scheduler.alphas_cumprod
    x = torch.randn(20_000, 1, generator=rng)
    for t in scheduler.timesteps:
        a = signal[t]
        noise = (1 - a).sqrt() * x / (a * data**2 + 1 - a)
        x = scheduler.step(noise, t, x, generator=rng).prev_sample
    return float(x.std())


for made in (DPMSolverMultistepScheduler, DPMSolverSinglestepScheduler):
    two, three = deviation(made, 300, 2), deviation(made, 300, 3)
    said = f"order 2: {two:.3f}, order 3: {three:.3f}, data 0.500"
    print(made.__name__, said, "DEFECT" if three > 1.1 * two else "")
