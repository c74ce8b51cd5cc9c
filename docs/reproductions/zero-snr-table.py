"""The signal of the last training level is raised to 2^-24, above that of the levels before it."""

import diffusers

for name in (
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "DPMSolverMultistepScheduler",
    "UniPCMultistepScheduler",
):
    scheduler = getattr(diffusers, name)(rescale_betas_zero_snr=True)
    last = ((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod).sqrt()[-4:].tolist()
    said = "DEFECT" if last != sorted(last) else ""
    print(name, "last noise levels", [round(v) for v in last], said)
