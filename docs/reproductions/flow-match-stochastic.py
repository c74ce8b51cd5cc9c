"""stochastic_sampling renoises the clean prediction afresh: with an exact network the law is wrong at any n."""

import torch
from diffusers import FlowMatchEulerDiscreteScheduler


def deviation(n, stochastic, data=0.5):
    """Standard deviation of 20,000 draws for data N(0, data^2), with the exact velocity."""
    scheduler = FlowMatchEulerDiscreteScheduler(stochastic_sampling=stochastic)
    scheduler.set_timesteps(n)
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(20_000, 1, generator=rng)
    for k, t in enumerate(scheduler.timesteps):
        s = scheduler.sigmas[k]
        clean = (1 - s) * data**2 / ((1 - s) ** 2 * data**2 + s**2) * x
        x = scheduler.step((x - clean) / s, t, x, generator=rng).prev_sample
    return float(x.std())


for stochastic in (False, True):
    found = deviation(500, stochastic)
    print(
        f"stochastic_sampling={stochastic}: {found:.3f}, data 0.500",
        "DEFECT" if abs(found - 0.5) > 0.05 else "",
    )
