"""Reverse-time samplers with the bugs that they really have; targets Gaussian, so that every law is exact.

In eigen-directions an Euler-Maruyama, DDPM or DDIM step is affine, ``x <- A x + b + c z``: mean and variance of the
output follow by propagation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scoreproof.theory import Gaussian

from .entry import Entry, gaussian_entry
from .targets import gaussian, spectrum

_BETA = (0.1, 20.0)


def rate(t: float) -> float:
    """beta(t) of the usual variance-preserving process."""
    return _BETA[0] + (_BETA[1] - _BETA[0]) * t


def integral(t: float) -> float:
    """``int_0^t beta``."""
    return _BETA[0] * t + (_BETA[1] - _BETA[0]) * t**2 / 2


@dataclass
class State:
    """Mean and variance in eigen-directions."""

    mean: np.ndarray
    variance: np.ndarray

    def step(self, a: np.ndarray, b: np.ndarray, c: float) -> None:
        """``x <- a x + b + c z``."""
        self.mean, self.variance = a * self.mean + b, a**2 * self.variance + c**2


def euler(
    dim: int,
    steps: int,
    *,
    end: float = 1e-3,
    factor: float = 1.0,
    late: float = 0.0,
    noise: float = 1.0,
    clock: float = 1.0,
    last_noise: bool = True,
    shared: bool = False,
) -> Gaussian:
    """Law of Euler-Maruyama from N(0, I) at t = 1 to ``end`` with the exact score, or a wrong one.

    Args:
        dim: dimension of the target.
        steps: number of steps, uniform in t.
        end: last time.
        factor: multiplies the score.
        late: part of a step by which the time of the score lags behind.
        noise: multiplies the noise.
        clock: multiplies ``int beta`` in the score.
        last_noise: whether noise is added in the last step too.
        shared: one z for all steps.
    """
    axes, values = spectrum(dim)
    mu = axes.T @ gaussian(dim).mean
    state = State(np.zeros(dim), np.ones(dim))
    # With shared noise x = mean + gain_0 x_0 + gain_z z; variances are sums of squares of gains.
    start, along = np.ones(dim), np.zeros(dim)
    times = np.linspace(1.0, end, steps + 1)
    for k, (t, s) in enumerate(pairwise(times)):
        h, beta = t - s, rate(t)
        b = clock * integral(t + late * h)
        scale = np.exp(-b / 2)
        spread = scale**2 * values + 1 - np.exp(-b)
        a = 1 + h * beta * (0.5 - factor / spread)
        c = noise * np.sqrt(beta * h) * (1.0 if last_noise or k < steps - 1 else 0.0)
        state.step(a, h * beta * factor * scale * mu / spread, c)
        start, along = a * start, a * along + c
    if shared:
        state.variance = start**2 + along**2
    return Gaussian(axes @ state.mean, (axes * state.variance) @ axes.T)


def ddim(n: int, *, train: int = 1000) -> Gaussian:
    """DDIM on N(1, .25) with ``linspace`` steps that go to ``t - train // n`` in place of the next listed time."""
    alphas = np.cumprod(1 - np.linspace(1e-4, 0.02, train))
    listed = np.linspace(0, train - 1, n).round().astype(int)[::-1]
    mean, sd = 0.0, 1.0
    for t in listed:
        now = alphas[t]
        before = t - train // n
        then = alphas[before] if before >= 0 else 1.0
        # the exact prediction of the noise is affine in x
        gain = np.sqrt(1 - now) / (now * 0.25 + 1 - now)
        offset = -gain * np.sqrt(now)
        a = np.sqrt(then / now) * (1 - np.sqrt(1 - now) * gain) + np.sqrt(1 - then) * gain
        b = (np.sqrt(1 - then) - np.sqrt(then / now) * np.sqrt(1 - now)) * offset
        mean, sd = a * mean + b, abs(a) * sd
    return Gaussian([mean], [[sd**2]])


def _euler(name: str, words: str, dim: int, law: Callable[[], Gaussian]) -> Callable[[], Entry]:
    return lambda: gaussian_entry(name, words, gaussian(dim), law())


BUILDERS: tuple[Callable[[], Entry], ...] = (
    _euler("score_half", "half of the score term", 10, lambda: euler(10, 500, factor=0.5)),
    _euler("score_101", "score 1 % too large", 10, lambda: euler(10, 4000, factor=1.01)),
    _euler("score_late", "score of the step before", 10, lambda: euler(10, 1000, late=1.0)),
    _euler("clock_2", "int beta off by 2 % in the score", 10, lambda: euler(10, 2000, clock=1.02)),
    _euler(
        "noise_99", "noise of every step 1 % too small", 64, lambda: euler(64, 4000, noise=0.99)
    ),
    _euler("noise_reused", "one noise for all steps", 10, lambda: euler(10, 200, shared=True)),
    _euler("few_steps", "60 Euler steps", 10, lambda: euler(10, 60)),
    _euler("stopped_early", "ends at t = .01", 64, lambda: euler(64, 4000, end=0.01)),
    _euler(
        "no_last_noise",
        "125 steps, no noise in the last",
        10,
        lambda: euler(10, 125, end=1e-5, last_noise=False),
    ),
    lambda: gaussian_entry(
        "ddim_linspace", "t - T//n in place of the next time", Gaussian([1.0], [[0.25]]), ddim(100)
    ),
)
