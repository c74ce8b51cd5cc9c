"""Samplers as strangers write them, each with one mistake, and the words that name it.

They are plain loops, written apart from the reference solvers of the package and in other forms: with
``problem.score``, ``.noise``, ``.denoiser`` or ``.velocity``, in t or in sigma, with tables or without.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np


def table(problem, steps):
    times = problem.times(steps)
    kernels = [problem.sde.kernel(float(t)) for t in times]
    alpha = np.array([float(k.scale) for k in kernels])
    sigma = np.array([float(k.std) for k in kernels])
    return times, alpha, sigma


def sde_loop(problem, n, steps, rng, move):
    x = problem.prior(n, rng=rng)
    for t, s in pairwise(problem.times(steps)):
        f, g = float(problem.sde.drift(t)), float(problem.sde.diffusion(t))
        x = move(x, float(t), float(s), f, g, lambda: rng.standard_normal((n, *problem.shape)))
    return x


def em_sign(problem, n, *, steps, rng):
    def move(x, t, s, f, g, z):
        return x - (t - s) * (f * x + g**2 * problem.score(x, t)) + g * math.sqrt(t - s) * z()

    return sde_loop(problem, n, steps, rng, move)


def em_half(problem, n, *, steps, rng):
    def move(x, t, s, f, g, z):
        dt = s - t
        drift = f * x - 0.5 * g**2 * problem.score(x, t)
        return x + drift * dt + g * np.sqrt(-dt) * z()

    return sde_loop(problem, n, steps, rng, move)


def em_no_root(problem, n, *, steps, rng):
    def move(x, t, s, f, g, z):
        dt = t - s
        return x - dt * (f * x - g * g * problem.score(x, t)) + g * dt * z()

    return sde_loop(problem, n, steps, rng, move)


def em_g_for_square(problem, n, *, steps, rng):
    def move(x, t, s, f, g, z):
        return x + (s - t) * (f * x - g * problem.score(x, t)) + g * (t - s) ** 0.5 * z()

    return sde_loop(problem, n, steps, rng, move)


def em_drift_sign(problem, n, *, steps, rng):
    def move(x, t, s, f, g, z):
        return x + (t - s) * (f * x + g**2 * problem.score(x, t)) + g * (t - s) ** 0.5 * z()

    return sde_loop(problem, n, steps, rng, move)


def em_no_drift(problem, n, *, steps, rng):
    def move(x, t, s, f, g, z):
        return x + (t - s) * g**2 * problem.score(x, t) + g * (t - s) ** 0.5 * z()

    return sde_loop(problem, n, steps, rng, move)


def em_reused(problem, n, *, steps, rng):
    x = problem.prior(n, rng=rng)
    noise = rng.standard_normal(x.shape)
    for t, s in pairwise(problem.times(steps)):
        h, g2 = t - s, float(problem.sde.diffusion(t)) ** 2
        x = x - h * float(problem.sde.drift(t)) * x + h * g2 * problem.score(x, t)
        x = x + math.sqrt(g2 * h) * noise
    return x


def em_twice(problem, n, *, steps, rng):
    def move(x, t, s, f, g, z):
        x = x - (t - s) * (f * x - g**2 * problem.score(x, t)) + g * math.sqrt(t - s) * z()
        return x + g * math.sqrt(t - s) * z()

    return sde_loop(problem, n, steps, rng, move)


def em_told_next(problem, n, *, steps, rng):
    def move(x, t, s, f, g, z):
        return x - (t - s) * (f * x - g**2 * problem.score(x, s)) + g * math.sqrt(t - s) * z()

    return sde_loop(problem, n, steps, rng, move)


def em_late(problem, n, *, steps, rng):
    x = problem.prior(n, rng=rng)
    for t, s in pairwise(problem.times(steps)):
        f, g = float(problem.sde.drift(s)), float(problem.sde.diffusion(s))
        x = (
            x
            - (t - s) * (f * x - g**2 * problem.score(x, t))
            + g * math.sqrt(t - s) * rng.standard_normal(x.shape)
        )
    return x


def em_equal_steps(problem, n, *, steps, rng):
    h = (problem.t_max - problem.t_min) / steps

    def move(x, t, s, f, g, z):
        return x - h * (f * x - g**2 * problem.score(x, t)) + g * math.sqrt(h) * z()

    return sde_loop(problem, n, steps, rng, move)


def heun_wide_start(problem, n, *, steps, rng):
    x = 2 * problem.prior(n, rng=rng)
    for t, s in pairwise(problem.times(steps)):
        v = problem.velocity(x, t)
        x = x + (s - t) / 2 * (v + problem.velocity(x + (s - t) * v, s))
    return x


def flow_double(problem, n, *, steps, rng):
    x = problem.prior(n, rng=rng)
    for t, s in pairwise(problem.times(steps)):
        g = float(problem.sde.diffusion(t))
        x = x + (s - t) * (float(problem.sde.drift(t)) * x - g**2 * problem.score(x, t))
    return x


def flow_backwards(problem, n, *, steps, rng):
    x = problem.prior(n, rng=rng)
    for t, s in pairwise(problem.times(steps)):
        x = x - (t - s) * problem.velocity(x, problem.t_max + problem.t_min - t)
    return x


def ddim_truncated(problem, n, *, steps, rng):
    times, alpha, sigma = table(problem, steps)
    x = problem.prior(n, rng=rng)
    for i in range(steps):
        eps = problem.noise(x, int(1000 * times[i]) / 1000)
        x0 = (x - sigma[i] * eps) / alpha[i]
        x = alpha[i + 1] * x0 + sigma[i + 1] * eps
    return x


def ddim_kept(problem, n, *, steps, rng):
    times, alpha, sigma = table(problem, steps)
    x = problem.prior(n, rng=rng)
    for i in range(steps):
        eps = problem.noise(x, times[i])
        x = alpha[i + 1] * (x - sigma[i] * eps) / alpha[i] + sigma[i] * eps
    return x


def ddim_unscaled(problem, n, *, steps, rng):
    times, alpha, sigma = table(problem, steps)
    x = problem.prior(n, rng=rng)
    for i in range(steps):
        eps = problem.noise(x, times[i])
        x = alpha[i + 1] * (x - sigma[i] * eps) + sigma[i + 1] * eps
    return x


def ddim_sigma_squared(problem, n, *, steps, rng):
    times, alpha, sigma = table(problem, steps)
    x = problem.prior(n, rng=rng)
    for i in range(steps):
        eps = problem.noise(x, times[i])
        x0 = (x - sigma[i] ** 2 * eps) / alpha[i]
        x = alpha[i + 1] * x0 + sigma[i + 1] * eps
    return x


def ddim_stride(problem, n, *, steps, rng):
    times = problem.times(steps)
    stride = (problem.t_max - problem.t_min) / steps
    x = problem.prior(n, rng=rng)
    for t in times[:-1]:
        now = problem.sde.kernel(float(t))
        then = problem.sde.kernel(max(float(t - stride), problem.t_min))
        x0 = problem.denoiser(x, t)
        eps = (x - float(now.scale) * x0) / float(now.std)
        x = float(then.scale) * x0 + float(then.std) * eps
    return x


def ddim_stops_early(problem, n, *, steps, rng):
    times, alpha, sigma = table(problem, steps)
    x = problem.prior(n, rng=rng)
    for i in range(steps - 1):
        x0 = problem.denoiser(x, times[i])
        x = alpha[i + 1] * x0 + sigma[i + 1] * (x - alpha[i] * x0) / sigma[i]
    return x


def ddpm(problem, n, steps, rng, noise):
    times, alpha, sigma = table(problem, steps)
    x = problem.prior(n, rng=rng)
    for i in range(steps):
        ratio = (alpha[i] / alpha[i + 1]) ** 2  # alpha of DDPM
        beta = sigma[i] ** 2 - ratio * sigma[i + 1] ** 2
        mean = (x - beta / sigma[i] * problem.noise(x, times[i])) / math.sqrt(ratio)
        x = mean + noise(beta, sigma[i + 1] ** 2 / sigma[i] ** 2) * rng.standard_normal(x.shape)
    return x


def ddpm_variance(problem, n, *, steps, rng):
    return ddpm(problem, n, steps, rng, lambda beta, share: beta * share)


def ddpm_half_noise(problem, n, *, steps, rng):
    return ddpm(problem, n, steps, rng, lambda beta, share: 0.5 * math.sqrt(beta * share))


def ddpm_unscaled(problem, n, *, steps, rng):
    times, alpha, sigma = table(problem, steps)
    x = problem.prior(n, rng=rng)
    for i in range(steps):
        beta = sigma[i] ** 2 - (alpha[i] / alpha[i + 1]) ** 2 * sigma[i + 1] ** 2
        std = math.sqrt(beta) * sigma[i + 1] / sigma[i]
        x = x + beta * problem.score(x, times[i]) + std * rng.standard_normal(x.shape)
    return x


def ddim_eta_adds_only(problem, n, *, steps, rng):
    times, alpha, sigma = table(problem, steps)
    x = problem.prior(n, rng=rng)
    for i in range(steps):
        beta = sigma[i] ** 2 - (alpha[i] / alpha[i + 1]) ** 2 * sigma[i + 1] ** 2
        std = math.sqrt(beta) * sigma[i + 1] / sigma[i]
        x0 = problem.denoiser(x, times[i])
        eps = (x - alpha[i] * x0) / sigma[i]
        x = alpha[i + 1] * x0 + sigma[i + 1] * eps + std * rng.standard_normal(x.shape)
    return x


def karras(problem, n, steps, rng, second):
    """Heun in sigma, ``second(u, u_euler, i) -> slope`` at the end of the step."""
    times, alpha, sigma = table(problem, steps)
    level = sigma / alpha
    u = problem.prior(n, rng=rng) / alpha[0]

    def slope(u, i):
        return (u - problem.denoiser(alpha[i] * u, times[i])) / level[i]

    for i in range(steps):
        h, d = level[i + 1] - level[i], slope(u, i)
        u = u + h * second(slope, u, u + h * d, d, i)
    return alpha[-1] * u


def heun_old_point(problem, n, *, steps, rng):
    return karras(problem, n, steps, rng, lambda f, u, v, d, i: (d + f(u, i + 1)) / 2)


def heun_old_time(problem, n, *, steps, rng):
    return karras(problem, n, steps, rng, lambda f, u, v, d, i: (d + f(v, i)) / 2)


def heun_second_only(problem, n, *, steps, rng):
    return karras(problem, n, steps, rng, lambda f, u, v, d, i: f(v, i + 1))


def heun_t_old_point(problem, n, *, steps, rng):
    x = problem.prior(n, rng=rng)
    for t, s in pairwise(problem.times(steps)):
        x = x + (s - t) / 2 * (problem.velocity(x, t) + problem.velocity(x, s))
    return x


def dpm_2m(problem, n, steps, rng, combine):
    times, alpha, sigma = table(problem, steps)
    lam = np.log(alpha / sigma)
    x, past = problem.prior(n, rng=rng), []
    for i in range(steps):
        past.append(problem.denoiser(x, times[i]))
        h = lam[i + 1] - lam[i]
        data = past[-1] if i == 0 else combine(past, (lam[i] - lam[i - 1]) / h)
        x = sigma[i + 1] / sigma[i] * x - alpha[i + 1] * np.expm1(-h) * data
    return x


def dpm_inverted(problem, n, *, steps, rng):
    def combine(past, r):
        return (1 + r / 2) * past[-1] - r / 2 * past[-2]

    return dpm_2m(problem, n, steps, rng, combine)


def dpm_unhalved(problem, n, *, steps, rng):
    return dpm_2m(problem, n, steps, rng, lambda past, r: past[-1] + (past[-1] - past[-2]) / r)


def dpm_sign(problem, n, *, steps, rng):
    return dpm_2m(
        problem, n, steps, rng, lambda past, r: past[-1] - (past[-1] - past[-2]) / (2 * r)
    )


def dpm_stale(problem, n, *, steps, rng):
    def combine(past, r):
        old = past[-3] if len(past) > 2 else past[-2]
        return past[-1] + (past[-1] - old) / (2 * r)

    return dpm_2m(problem, n, steps, rng, combine)


def bashforth_constant(problem, n, *, steps, rng):
    times, alpha, sigma = table(problem, steps)
    level = sigma / alpha
    x, old = problem.prior(n, rng=rng), None
    for i in range(steps):
        eps = problem.noise(x, times[i])
        used = eps if old is None else 1.5 * eps - 0.5 * old
        x, old = alpha[i + 1] * (x / alpha[i] + (level[i + 1] - level[i]) * used), eps
    return x


def exponential_no_noise(problem, n, *, steps, rng):
    """Ancestral mean without its noise."""
    times, alpha, sigma = table(problem, steps)
    x = problem.prior(n, rng=rng)
    for i in range(steps):
        a = alpha[i] / alpha[i + 1]
        x = (x + (sigma[i] ** 2 - a**2 * sigma[i + 1] ** 2) * problem.score(x, times[i])) / a
    return x


def midpoint_old_point(problem, n, *, steps, rng):
    x = problem.prior(n, rng=rng)
    for t, s in pairwise(problem.times(steps)):
        x = x - (t - s) * problem.velocity(x, (t + s) / 2)
    return x


#: (sampler, declared order, words of the slip, a solver that it is made in)
STRANGERS = (
    (em_sign, 1, "the opposite of the prediction", "Euler-Maruyama"),
    (em_half, 1, "the half of the prediction", "Euler-Maruyama"),
    (em_no_root, 1, "the noise lacks the square root of the step", "Euler-Maruyama"),
    (em_g_for_square, 1, "g in the place of g^2 before the score", "Euler-Maruyama"),
    (em_drift_sign, 1, "the linear drift has the opposite sign", "Euler-Maruyama"),
    (em_no_drift, 1, "the linear drift is left out", "Euler-Maruyama"),
    (em_reused, 1, "one draw of noise is used in all steps", "Euler-Maruyama"),
    (em_twice, 1, "the noise is drawn twice", "Euler-Maruyama"),
    (em_told_next, 1, "the model is told the time at the end of the step", "Euler-Maruyama"),
    (em_late, 1, "drift and diffusion are taken at the end of the step", "Euler-Maruyama"),
    (em_equal_steps, 1, "equal step sizes on a grid that is not", "Euler-Maruyama"),
    (heun_wide_start, 2, "the start is twice too wide", "Heun in t"),
    (flow_double, 1, "the double of the prediction", "Euler on the probability flow"),
    (flow_backwards, 1, "from the wrong end", "Euler on the probability flow"),
    (ddim_truncated, 1, "the time told to the model is truncated", "DDIM"),
    (ddim_kept, 1, "the noise carried on has the level of the start of the step", "DDIM"),
    (ddim_unscaled, 1, "the prediction of data is not divided by the scale", "DDIM"),
    (ddim_sigma_squared, 1, "sigma^2 in the place of sigma", "DDIM"),
    (ddim_stride, 1, "steps go to t - T/n", "DDIM"),
    (ddim_stops_early, 1, "the last step is left out", "DDIM"),
    (ddpm_variance, 1, "the noise has its variance for a deviation", "DDPM, posterior variance"),
    (ddpm_half_noise, 1, "the noise has half of its deviation", "DDPM, posterior variance"),
    (ddpm_unscaled, 1, "the step is not divided by its scale", "DDPM, posterior variance"),
    (ddim_eta_adds_only, 1, "noise is added and none is taken off", "DDIM with eta = 1"),
    (heun_old_point, 2, "the second stage is evaluated at the point", "Heun in sigma"),
    (heun_old_time, 2, "the second stage is evaluated at the time", "Heun in sigma"),
    (heun_second_only, 2, "the second slope alone is used", "Heun in sigma"),
    (heun_t_old_point, 2, "the second stage is evaluated at the point", "Heun in t"),
    (dpm_inverted, 2, "the ratio of two steps is upside down", "DPM-Solver++(2M)"),
    (dpm_unhalved, 2, "a factor 1/2 is missing", "DPM-Solver++(2M)"),
    (dpm_sign, 2, "the difference of predictions has the opposite sign", "DPM-Solver++(2M)"),
    (dpm_stale, 2, "the earlier prediction is one step too old", "DPM-Solver++(2M)"),
    (bashforth_constant, 2, "weights of equal steps on a grid", "Adams-Bashforth in sigma"),
    (exponential_no_noise, 1, "no noise is added", "DDPM, posterior variance"),
    (
        midpoint_old_point,
        2,
        "the second stage is evaluated at the point",
        "the midpoint rule in t",
    ),
)
