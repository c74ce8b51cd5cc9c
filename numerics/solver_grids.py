"""Time grids for reverse-time solvers: ``times(steps)`` gives ``steps + 1`` decreasing times.

Grids other than the uniform one are laid in ``kappa(t) = sd(t) / scale(t)``, the noise level (``sigma`` of
Karras et al. 2022), which every linear diffusion has and which grows with t.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..theory._checks import bad, parameter, positive
from ..theory.discrete import karras_sigmas
from ..theory.protocols import Vector
from ..theory.sde import LinearSDE


@dataclass(frozen=True)
class UniformGrid:
    """Equal steps in t.

    Attributes:
        t_max: first time.
        t_min: last time.
    """

    t_max: float
    t_min: float = 0.0

    def __post_init__(self) -> None:
        _range(self.t_min, self.t_max)

    def times(self, steps: int) -> Vector:
        """``steps + 1`` decreasing times from ``t_max`` to ``t_min``."""
        return np.linspace(self.t_max, self.t_min, _steps(steps) + 1)


@dataclass(frozen=True)
class KarrasGrid:
    """Equal steps in ``kappa^(1/rho)``.

    Attributes:
        sde: the diffusion whose ratio is meant.
        t_max: first time.
        t_min: last time, or last but one with ``to_zero``.
        rho: 7 in the paper; 1 is uniform in kappa.
        to_zero: spends the last step on going from ``t_min`` to 0, as Karras et al. do.
    """

    sde: LinearSDE
    t_max: float
    t_min: float
    rho: float = 7.0
    to_zero: bool = False

    def __post_init__(self) -> None:
        _range(self.t_min, self.t_max)
        positive(self.rho, "rho")

    def times(self, steps: int) -> Vector:
        """``steps + 1`` decreasing times from ``t_max`` to ``t_min``, or to 0."""
        inner = _steps(steps) - 1 if self.to_zero else _steps(steps)
        if inner < 1:
            raise bad("steps", steps, "two steps or more with to_zero", "add steps")
        ends = [float(self.sde.noise_level(t)) for t in (self.t_min, self.t_max)]
        levels = karras_sigmas(inner, sigma_min=ends[0], sigma_max=ends[1], rho=self.rho)
        times = _invert(self.sde, levels, self.t_min, self.t_max)
        return np.append(times, 0.0) if self.to_zero else times


@dataclass(frozen=True)
class LogSNRGrid:
    """Equal steps in the log signal-to-noise ratio ``-2 log kappa``.

    Attributes:
        sde: the diffusion whose ratio is meant.
        t_max: first time.
        t_min: last time, positive: the ratio is infinite at 0.
    """

    sde: LinearSDE
    t_max: float
    t_min: float

    def __post_init__(self) -> None:
        positive(self.t_min, "t_min")
        _range(self.t_min, self.t_max)

    def times(self, steps: int) -> Vector:
        """``steps + 1`` decreasing times from ``t_max`` to ``t_min``."""
        ends = [math.log(float(self.sde.noise_level(t))) for t in (self.t_max, self.t_min)]
        levels = np.exp(np.linspace(ends[0], ends[1], _steps(steps) + 1))
        return _invert(self.sde, levels, self.t_min, self.t_max)


def check_times(times: Vector, sde: LinearSDE) -> Vector:
    """Decreasing times of the diffusion's interval, as float64.

    Raises:
        ValueError: fewer than two times, times that do not decrease or lie outside ``[0, t_max]``.
    """
    grid = parameter(times, "times", 1)
    if grid.size < 2 or (np.diff(grid) >= 0).any():
        raise bad(
            "times",
            f"{grid.size} values, largest increment {np.diff(grid).max() if grid.size > 1 else 0:g}",
            "two or more strictly decreasing times",
            "start at t_max (noise) and end at t_min (data)",
        )
    sde.check_time(float(grid[0]), "times")
    sde.check_time(float(grid[-1]), "times")
    return grid


def _invert(sde: LinearSDE, levels: Vector, t_min: float, t_max: float) -> Vector:
    inner = [float(sde.time_of_noise_level(float(k))) for k in levels[1:-1]]
    return np.array([t_max, *inner, t_min])


def _range(t_min: float, t_max: float) -> None:
    if not 0 <= t_min < t_max:
        raise bad("t_min", f"{t_min:g}", f"a time in [0, {t_max:g})", "t_max is the noisy end")


def _steps(steps: int) -> int:
    if int(steps) != steps or steps < 1:
        raise bad("steps", steps, "a number of steps, one or more", "pass an integer")
    return int(steps)
