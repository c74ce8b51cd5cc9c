"""Timesteps of exponential, beta and flow grids are cut to integers: the network is told up to one level too few."""

import diffusers
import numpy as np


def worst(name, n=30, **options):
    """Largest difference between the timestep of the level in use and the one that is told."""
    scheduler = getattr(diffusers, name)(**options)
    scheduler.set_timesteps(n)
    table = ((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod).sqrt().log().numpy()
    used = np.interp(scheduler.sigmas[:n].log().numpy(), table, np.arange(len(table)))
    return np.abs(used - scheduler.timesteps.numpy()).max()


for name in ("DEISMultistepScheduler", "DPMSolverSinglestepScheduler", "UniPCMultistepScheduler"):
    for grid in ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"):
        gap = worst(name, **{grid: True})
        print(f"{name} {grid}: {gap:.2f} timesteps off", "DEFECT" if gap > 0.6 else "")
