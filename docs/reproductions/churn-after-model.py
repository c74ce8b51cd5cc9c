"""s_churn adds noise after the network was asked: the step from the higher level uses an answer at the lower one."""

import torch
from diffusers import EulerDiscreteScheduler

c, n = 2.0, 20  # the data are one point, for which Euler steps are exact
scheduler = EulerDiscreteScheduler(use_karras_sigmas=True)
for churn in (0.0, 5.0):
    scheduler.set_timesteps(n)
    rng = torch.Generator().manual_seed(0)
    x = c + scheduler.sigmas[0] * torch.randn(50_000, 1, generator=rng)
    worst = 1.0
    for k, t in enumerate(scheduler.timesteps):
        noise = (x - c) / scheduler.sigmas[k]
        x = scheduler.step(noise, t, x, s_churn=churn, generator=rng).prev_sample
        if k + 1 < n:
            worst = max(worst, float((x - c).std() / scheduler.sigmas[k + 1]))
    print(
        f"s_churn={churn}: noise up to {worst:.2f} times the level told",
        "DEFECT" if worst > 1.1 else "",
    )
