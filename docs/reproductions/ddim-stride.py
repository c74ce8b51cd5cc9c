"""DDIM with trailing or linspace steps takes t - 1000 // n for the previous timestep, which it is not."""

import torch
from diffusers import DDIMScheduler


def w2(n, spacing, mean=1.0, deviation=0.5):
    """Distance of the output to the data N(mean, deviation^2), with the exact noise prediction."""
    scheduler = DDIMScheduler(timestep_spacing=spacing, clip_sample=False)
    scheduler.set_timesteps(n)
    signal = scheduler.alphas_cumprod.double()
    a = signal[scheduler.timesteps[0]]
    x = a.sqrt() * mean + torch.tensor([0.0, 1.0]) * (a * deviation**2 + 1 - a).sqrt()
    for t in scheduler.timesteps:
        a = signal[t]
        noise = (1 - a).sqrt() * (x - a.sqrt() * mean) / (a * deviation**2 + 1 - a)
        x = scheduler.step(noise, t, x).prev_sample
    return float(torch.hypot(x[0] - mean, x[1] - x[0] - deviation))


for spacing in ("leading", "trailing", "linspace"):
    even, odd = w2(200, spacing), w2(300, spacing)
    said = "DEFECT" if odd > 2 * even else ""
    print(f"{spacing}: W2 {even:.4f} at 200 steps, {odd:.4f} at 300", said)
