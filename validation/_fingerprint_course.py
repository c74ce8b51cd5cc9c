"""Runs of reference solvers on Gaussian data as affine maps, with one slip of the pen or none.

In the eigenbasis of the data every coordinate goes its own way, so a state is held as rows ``(rows, d)``: the constant
part, the response to ``x_T``, and the response to every draw of noise. A step of a solver written for points works
on these rows as it stands, if the score ``(m_t - x) / l_t`` adds its constant to the first row only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from ..numerics.gaussian_law import EigenLaw
from ..numerics.solvers import ExponentialEuler
from ..theory.protocols import Vector
from ..theory.sde import LinearSDE

Model = Literal["score", "noise", "data", "velocity"]
Told = Literal["", "next", "before", "truncated", "level", "log-level", "turned"]
Noise = Literal["", "step", "bare", "variance", "single", "none"]
Steps = Literal["", "last-dropped", "first-dropped", "last-repeated", "goal", "stride"]
Stage = Literal["", "point", "time", "sum", "second", "whole"]
History = Literal["", "inverted", "unhalved", "sign", "stale", "swapped", "constant", "frozen"]
Start = Literal["", "squared", "unit", "doubled", "halved"]


@dataclass(frozen=True)
class Slip:
    """What is wrong; all defaults are right.

    Attributes:
        name: in words; empty for a sound solver.
        model: the prediction that the solver asks for.
        answer: factor of what the model answers.
        told: which time the model is told.
        drift: factor of the linear drift.
        bare: ``g`` in the place of ``g^2`` before the score.
        power: additional power of the noise level in the prediction of clean data.
        noise: how the deviation of the noise is formed.
        spread: factor of the noise.
        reused: one draw serves all steps.
        quiet: no noise in the last step, which is no defect.
        kept: level of the noise that is carried on in the steps of DDIM.
        late: coefficients at the end of the step.
        equal: equal step sizes, whatever the grid.
        steps: which steps are taken.
        stage: second evaluation of a step.
        history: earlier predictions of a multistep rule.
        start: deviation of the start.
        unscaled: the factor ``scale`` is forgotten where it should divide.
    """

    name: str = ""
    model: Model = "score"
    answer: float = 1.0
    told: Told = ""
    drift: float = 1.0
    bare: bool = False
    power: int = 0
    noise: Noise = ""
    spread: float = 1.0
    reused: bool = False
    quiet: bool = False
    kept: Literal["", "whole", "start"] = ""
    late: bool = False
    equal: bool = False
    steps: Steps = ""
    stage: Stage = ""
    history: History = ""
    start: Start = ""
    unscaled: bool = False


@dataclass(frozen=True)
class Level:
    """The diffusion and the exact marginal at one time; ``kappa = sd / scale``."""

    t: float
    scale: float
    sd: float
    drift: float
    diffusion: float
    mean: Vector
    variance: Vector

    @property
    def kappa(self) -> float:
        """Noise level."""
        return self.sd / self.scale

    @cached_property
    def pull(self) -> Vector:
        """The score is ``pull x + push``."""
        return -1 / self.variance

    @cached_property
    def push(self) -> Vector:
        """See :attr:`pull`."""
        return self.mean / self.variance


class Truth:
    """Levels of a Gaussian law under a diffusion; what was asked once is kept."""

    def __init__(self, law: EigenLaw, sde: LinearSDE) -> None:
        self.law, self.sde = law, sde
        self._levels: dict[float, Level] = {}
        self._pairs: dict[tuple[float, float], tuple[float, float]] = {}
        self._frozen: dict[tuple[float, float], float] = {}

    def at(self, t: float) -> Level:
        """The level at t, which is first put into the interval of the diffusion."""
        if t in self._levels:
            return self._levels[t]
        t = min(max(t, 0.0), self.sde.t_max)
        if t not in self._levels:
            kernel = self.sde.kernel(t)
            a, v = float(kernel.scale), float(kernel.variance)
            drift, diffusion = float(self.sde.drift(t)), float(self.sde.diffusion(t))
            mean, variance = a * self.law.mean, a * a * self.law.variance + v
            self._levels[t] = Level(t, a, math.sqrt(v), drift, diffusion, mean, variance)
        return self._levels[t]

    def between(self, t: float, s: float) -> tuple[float, float]:
        """Scale and variance of the kernel from s up to t."""
        if (t, s) not in self._pairs:
            kernel = self.sde.kernel(t, s)
            self._pairs[t, s] = float(kernel.scale), float(kernel.variance)
        return self._pairs[t, s]

    def frozen(self, t: float, s: float) -> float:
        """``int_s^t g(r)^2 / scale(r, s) dr``: the weight of a score that is frozen over the step."""
        if (t, s) not in self._frozen:
            half = ExponentialEuler(eta=0.0).step(
                np.zeros(1), t, s, score=lambda x, _: np.ones_like(x), sde=self.sde
            )
            self._frozen[t, s] = 2 * float(half[0])
        return self._frozen[t, s]

    def middle(self, kappa: float) -> float:
        """The time of a noise level."""
        return float(self.sde.time_of_noise_level(kappa))


@dataclass(frozen=True)
class Print:
    """The affine map of a run: ``x = shift + gain x_T + sqrt(noise) z`` in every eigen-direction, all ``(d,)``."""

    shift: Vector
    gain: Vector
    noise: Vector

    def denoised(self, level: Level, law: EigenLaw) -> Print:
        """Followed by the conditional mean of the data at a level."""
        slope = level.scale * law.variance / level.variance
        rest = law.mean * (1 - slope * level.scale)
        return Print(slope * self.shift + rest, slope * self.gain, slope**2 * self.noise)


class Course:
    """One run over a grid of times.

    Args:
        truth: the levels.
        grid: decreasing times.
        slip: what is wrong.
        draws: of noise, in one step.
    """

    def __init__(self, truth: Truth, grid: Vector, slip: Slip, draws: int) -> None:
        times = [float(t) for t in grid]
        if slip.steps == "last-dropped":
            times = times[:-1]
        elif slip.steps == "first-dropped":
            times = times[1:]
        self.truth, self.slip, self.times = truth, slip, times
        self.begin, self.end = float(grid[0]), float(grid[-1])
        self._index = {t: k for k, t in enumerate(times)}
        self._dim = len(truth.law.mean)
        self._rows = 2 + draws * len(times)
        self._drawn, self._quiet = 2, False
        self.past: list[
            tuple[Level, Vector]
        ] = []  #: predictions of earlier steps, the newest first

    def run(self, step: Callable[[Course, Vector, Level, Level], Vector]) -> Print:
        """All steps, from ``x_T``."""
        x = np.zeros((self._rows, self._dim))
        x[1] = self._start()
        ends = list(zip(self.times, self.times[1:], strict=False))
        if self.slip.steps == "last-repeated":
            ends.append(ends[-1])
        for k, (t, s) in enumerate(ends):
            self._quiet = self.slip.quiet and k == len(ends) - 1
            x = step(self, x, self.truth.at(t), self.truth.at(self._goal(t, s)))
        return Print(x[0], x[1], (x[2:] ** 2).sum(axis=0))

    def score(self, x: Vector, level: Level) -> Vector:
        """The score that the solver believes in."""
        slip, told = self.slip, self._told(level)
        out = x * told.pull
        out[0] += told.push
        if told is level and slip.answer == 1:
            return out
        k = slip.answer
        if slip.model == "score":
            return k * out
        if slip.model == "noise":
            return (k * told.sd / level.sd) * out
        if slip.model == "data":
            data = k * (x + told.sd**2 * out) / told.scale
            return (level.scale * data - x) / level.sd**2
        velocity = k * (told.drift * x - 0.5 * told.diffusion**2 * out)
        return (level.drift * x - velocity) * (2 / level.diffusion**2)

    def noise(self, x: Vector, level: Level) -> Vector:
        """Prediction of the noise."""
        return -level.sd * self.score(x, level)

    def data(self, x: Vector, level: Level) -> Vector:
        """Prediction of the clean data."""
        total = x + level.sd ** (2 + self.slip.power) * self.score(x, level)
        return total if self.slip.unscaled else total / level.scale

    def velocity(self, x: Vector, level: Level) -> Vector:
        """Velocity of the probability flow."""
        g = level.diffusion if self.slip.bare else level.diffusion**2
        return self.slip.drift * level.drift * x - 0.5 * g * self.score(x, level)

    def draw(self, deviation: float, *, single: float) -> Vector:
        """Noise of a deviation, or of the slip's version of it.

        Args:
            deviation: the right one.
            single: what the deviation is if a factor two of its exponent is forgotten.
        """
        slip, out = self.slip, np.zeros((self._rows, self._dim))
        if slip.noise == "none" or self._quiet:
            return out
        if slip.noise == "variance":
            deviation = deviation**2
        elif slip.noise == "single":
            deviation = single
        row = 2 if slip.reused else self._drawn
        out[row] = slip.spread * deviation
        self._drawn += 1
        return out

    def size(self, t: Level, s: Level) -> float:
        """Length of the step in time."""
        if self.slip.equal:
            return (self.begin - self.end) / (len(self.times) - 1)
        return t.t - s.t

    def _start(self) -> float:
        sd = self.truth.at(self.begin).sd
        return {"": 1.0, "squared": sd, "unit": 1 / sd, "doubled": 2.0, "halved": 0.5}[
            self.slip.start
        ]

    def _goal(self, t: float, s: float) -> float:
        steps = len(self.times) - 1
        if self.slip.steps == "goal":
            return max(t - (self.begin - self.end) / steps, self.end)
        if self.slip.steps == "stride":
            return max(t - (1000 // steps) / 1000 * self.truth.sde.t_max, self.end)
        return s

    def _told(self, level: Level) -> Level:
        told, t = self.slip.told, level.t
        if not told:
            return level
        if told in ("next", "before"):
            k = self._index.get(t)
            if k is None:
                return level
            k = min(max(k + (1 if told == "next" else -1), 0), len(self.times) - 1)
            return self.truth.at(self.times[k])
        if told == "truncated":
            # a schedule of a thousand steps on the unit interval, whole noise levels on a long one
            unit = 1000.0 if self.truth.sde.t_max <= 1 else 1.0
            return self.truth.at(math.floor(t * unit) / unit)
        if told == "turned":
            return self.truth.at(self.begin + self.end - t)
        return self.truth.at(level.kappa if told == "level" else math.log(level.kappa) / 4)
