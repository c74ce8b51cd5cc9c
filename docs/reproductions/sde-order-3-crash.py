"""Third-order updates have no branch for an algorithm type that the constructor accepts."""

import torch
from diffusers import DPMSolverMultistepScheduler, EDMDPMSolverMultistepScheduler

for made, algorithm in (
    (DPMSolverMultistepScheduler, "sde-dpmsolver"),
    (EDMDPMSolverMultistepScheduler, "sde-dpmsolver++"),
):
    scheduler = made(algorithm_type=algorithm, solver_order=3, final_sigmas_type="sigma_min")
    scheduler.set_timesteps(10)
    x = torch.zeros(1, 4)
    try:
        for t in scheduler.timesteps:
            x = scheduler.step(x, t, x).prev_sample
    except UnboundLocalError as error:
        print(made.__name__, algorithm, "DEFECT", error)
