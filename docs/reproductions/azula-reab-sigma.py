"""REABSampler multiplies its integral by sqrt(alpha_s^2 + sigma_t^2), where s is meant: order one."""

import math

import torch
from azula import denoise, noise, sample


class Exact(denoise.Denoiser):  # of data N(0, 0.5^2)
    schedule = noise.VPSchedule()

    def forward(self, x_t, t):
        alpha, sigma = self.schedule(t)
        return denoise.DiracPosterior(mean=alpha * 0.25 / (alpha**2 * 0.25 + sigma**2) * x_t)


def error(made, n):
    (a, s), (b, r) = (noise.VPSchedule()(torch.tensor(t).double()) for t in (1.0, 0.0))
    x = made(Exact(), order=2, steps=n, silent=True)((a**2 / 4 + s**2).sqrt().reshape(1))
    return float((x - (b**2 / 4 + r**2).sqrt()).abs())


for made in (sample.zABSampler, sample.REABSampler):
    order = math.log2(error(made, 256) / error(made, 512))
    print(made.__name__, f"order=2: {order:.2f}", "DEFECT" if order < 1.5 else "")
