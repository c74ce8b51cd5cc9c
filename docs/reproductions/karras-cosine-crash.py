"""Karras levels of the cosine schedule give the first timestep twice, and the last step reads beyond the table."""

import torch
from diffusers import DPMSolverMultistepScheduler

scheduler = DPMSolverMultistepScheduler(beta_schedule="squaredcos_cap_v2", use_karras_sigmas=True)
scheduler.set_timesteps(20)
print(scheduler.timesteps[:4].tolist())
x = torch.zeros(1, 4)
try:
    for t in scheduler.timesteps:
        x = scheduler.step(x, t, x).prev_sample
except IndexError as error:
    print("DEFECT", error)
