"""PNDM averages velocities of several timesteps and converts the mean at the last: noise is what may be averaged."""

from diffusers import PNDMScheduler


def worst(prediction, n=25, c=2.0):
    """Largest error of a step for data that are the one point c, where all noise predictions are equal."""
    scheduler = PNDMScheduler(prediction_type=prediction, skip_prk_steps=True)
    scheduler.set_timesteps(n)
    a, errors = scheduler.alphas_cumprod.double().sqrt(), []
    s = (1 - a**2).sqrt()
    x = (a * c + s)[scheduler.timesteps[0]].reshape(1)
    for t, after in zip(scheduler.timesteps[:-1], scheduler.timesteps[1:]):
        noise = (x - a[t] * c) / s[t]
        output = noise if prediction == "epsilon" else a[t] * noise - s[t] * c
        x = scheduler.step(output, t, x).prev_sample
        errors.append(float((x - a[after] * c - s[after]).abs()))
    return max(errors)


for prediction in ("epsilon", "v_prediction"):
    found = worst(prediction)
    print(f"{prediction}: steps off by up to {found:.1e}", "DEFECT" if found > 1e-3 else "")
