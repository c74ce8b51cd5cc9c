"""PNDM takes half steps of 1000 // n // 2: with an odd stride two of them are not a whole one."""

import torch
from diffusers import PNDMScheduler

for n in (25, 30):  # strides 40 and 33
    scheduler = PNDMScheduler()
    scheduler.set_timesteps(n)
    signal, c, worst = scheduler.alphas_cumprod.double(), 2.0, 0.0
    noise = torch.ones(
        1, dtype=torch.float64
    )  # the data are one point: steps are exact whatever the stride
    x = (
        signal[scheduler.timesteps[0]].sqrt() * c
        + (1 - signal[scheduler.timesteps[0]]).sqrt() * noise
    )
    for t, after in zip(scheduler.timesteps[:-1], scheduler.timesteps[1:]):
        x = scheduler.step(noise, t, x).prev_sample
        table = signal.sqrt() * c + (1 - signal).sqrt()
        worst = max(worst, abs(int((table - x).abs().argmin()) - int(after)))
    print(
        f"{n} steps, stride {1000 // n}: state up to {worst} timesteps from the one told",
        "DEFECT" if worst else "",
    )
