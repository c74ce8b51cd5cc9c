"""With leading spacing 1000 steps are laid out as 1000 // 1001 = 0: every timestep is the same."""

import diffusers

for name in (
    "DDIMScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "UniPCMultistepScheduler",
    "SASolverScheduler",
):
    scheduler = getattr(diffusers, name)(timestep_spacing="leading")
    scheduler.set_timesteps(1000)
    t = scheduler.timesteps
    print(
        name,
        f"timesteps from {int(t.max())} to {int(t.min())}",
        "DEFECT" if t.max() == t.min() else "",
    )
