"""How a scheduler writes its states: which diffusion it discretises, and what a network on it sees and answers.

All families have ``x_t = alpha x_0 + sigma eps``. They differ in how the time is told to the network, in the scale of
the scheduler's states, and in what a network returns.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...theory._checks import bad
from ...theory.diffusions import EDM, VP, StraightPath
from ...theory.linear import LinearSDE
from ...theory.protocols import Array, Vector

_LEAST = 1e-9  #: of a time: the model is asked at positive noise
_DELTA = 1e-6  #: the straight path starts this far from its singular end


class Family(ABC):
    """A diffusion with the conventions of the networks that are trained on it.

    Attributes:
        sde: the diffusion.
        t_min: its first level above the data, in the time of ``sde``.
        unit: what :meth:`tick` counts.
        resolution: what the network can be told at best, in ``unit``.
        rounding: of a level held in float32, in ``unit``.
    """

    sde: LinearSDE
    t_min: float
    unit: str
    resolution: float
    rounding: float

    @abstractmethod
    def told(self, t: float) -> float:
        """Time of ``sde`` that a network decodes from the time that it is handed."""

    @abstractmethod
    def level(self, sigma: float) -> float:
        """Time of ``sde`` at the scheduler's own noise level."""

    @abstractmethod
    def tick(self, time: float) -> float:
        """A time of ``sde`` in ``unit``."""

    @abstractmethod
    def reached(self, signal: float, noise: float) -> float:
        """Time of ``sde`` of a scheduler's state ``signal x_0 + noise eps``."""

    def factor(self, time: float) -> float:
        """The scheduler's states in units of those of ``sde``."""
        return 1.0

    def seen(self, x: Array, time: float) -> Array:
        """State of ``sde`` behind what the network is handed."""
        return x

    def output(self, denoised: Array, x: Array, time: float, kind: str) -> Array:
        """What a network returns that knows ``E[x_0 | x]``.

        Args:
            denoised: that mean.
            x: state of ``sde``.
            time: of ``sde``.
            kind: prediction type.

        Raises:
            ValueError: an unknown prediction type.
        """
        kernel = self.sde.kernel(time)
        a, s = float(kernel.scale), float(kernel.std)
        noise = (x - a * denoised) / s
        outputs = {
            "epsilon": lambda: noise,
            "sample": lambda: denoised,
            "v_prediction": lambda: a * noise - s * denoised,
            "flow_prediction": lambda: noise - denoised,
        }
        if kind not in outputs:
            raise bad("prediction_type", repr(kind), ", ".join(outputs), "correct it")
        return outputs[kind]()

    def _clipped(self, time: float) -> float:
        return min(max(time, _LEAST), self.sde.t_max)


class Discrete(Family):
    """``N`` noise levels of a chain with betas; the network is told which, counted from zero.

    Args:
        signal: cumulative products of ``1 - beta``, ``(N,)``.
        explodes: states are ``x_0 + (sigma/alpha) eps``; the network is handed them in units of their prior's scale.
    """

    unit, resolution, rounding = "timesteps", 0.5, 1e-2

    def __init__(self, signal: Vector, *, explodes: bool) -> None:
        # A schedule of zero terminal SNR ends in pure noise, from which no score leads back.
        # It may also be cut off above the levels before it, which is no diffusion: they are put in order.
        kept = np.minimum.accumulate(np.maximum(np.asarray(signal, dtype=np.float64), 1e-12))
        self.sde = VP.from_betas(1 - kept / np.concatenate([[1.0], kept[:-1]]))
        self._n, self._explodes = len(kept), explodes
        self._logs = 0.5 * (np.log1p(-kept) - np.log(kept))
        self.t_min = 1 / self._n

    def told(self, t: float) -> float:
        """``(t + 1)/N``; between two timesteps, where the log of the noise level is linear in t.

        That is the usual reading of fractional timesteps (k-diffusion, ``DiscreteSchedule.t_to_sigma``); a network
        that is trained on whole ones has none.
        """
        if t == int(t) or not 0 < t < self._n - 1:
            return self._clipped((t + 1) / self._n)
        low = int(t)
        share = t - low
        return self.level(math.exp((1 - share) * self._logs[low] + share * self._logs[low + 1]))

    def level(self, sigma: float) -> float:
        """As in :class:`Family`."""
        top = float(self.sde.noise_level(self.sde.t_max))
        return self._clipped(self.sde.time_of_noise_level(min(max(sigma, 0.0), top)))

    def tick(self, time: float) -> float:
        """As in :class:`Family`."""
        return time * self._n - 1

    def reached(self, signal: float, noise: float) -> float:
        """By the ratio of the two, or by the signal alone where that tells the level."""
        if self._explodes:
            return self.level(noise / signal)
        return self.level(math.sqrt(max(0.0, (1 - signal) * (1 + signal))) / signal)

    def factor(self, time: float) -> float:
        """As in :class:`Family`."""
        return 1 / float(self.sde.kernel(time).scale) if self._explodes else 1.0


class Logged(Discrete):
    """As before with a network on continuous levels, which is told ``log(sigma)/4``."""

    def told(self, t: float) -> float:
        """As in :class:`Family`."""
        return self.level(math.exp(4 * t))


class Flow(Family):
    """``x_t = (1 - t) x_0 + t eps``; the network is told ``N t``, N the number of timesteps in training."""

    unit, resolution, rounding = "timesteps", 0.5, 1e-3

    def __init__(self, n: int) -> None:
        self.sde, self._n = StraightPath(_DELTA), n
        self.t_min = 1 / n

    def told(self, t: float) -> float:
        """``t/N``."""
        return self._clipped(t / self._n)

    def level(self, sigma: float) -> float:
        """As in :class:`Family`."""
        return self._clipped(sigma)

    def tick(self, time: float) -> float:
        """As in :class:`Family`."""
        return time * self._n

    def reached(self, signal: float, noise: float) -> float:
        """As in :class:`Family`."""
        return self._clipped(1 - signal)


@dataclass
class Preconditioned(Family):
    """``x_0 + sigma eps`` with the preconditioning of Karras et al. 2022, Sec. 5.

    Attributes:
        sigma_max: largest level.
        sigma_min: smallest level.
        sigma_data: standard deviation that the preconditioning takes the data to have.
        decode: level behind the time that the network is told.
    """

    sigma_max: float
    sigma_min: float
    sigma_data: float
    decode: Any

    def __post_init__(self) -> None:
        self.sde, self.t_min = EDM(self.sigma_max * (1 + 1e-6)), self.sigma_min
        self.unit, self.resolution, self.rounding = "log sigma", 1e-3, 1e-4

    def told(self, t: float) -> float:
        """As in :class:`Family`."""
        return self._clipped(self.decode(t))

    def level(self, sigma: float) -> float:
        """As in :class:`Family`."""
        return self._clipped(sigma)

    def tick(self, time: float) -> float:
        """As in :class:`Family`."""
        return math.log(time)

    def reached(self, signal: float, noise: float) -> float:
        """As in :class:`Family`."""
        return self._clipped(noise / signal)

    def seen(self, x: Array, time: float) -> Array:
        """Without the factor ``c_in``."""
        return x * math.hypot(time, self.sigma_data)

    def output(self, denoised: Array, x: Array, time: float, kind: str) -> Array:
        """``(D - c_skip x) / c_out``, the sign of ``c_out`` by the prediction type."""
        if kind not in ("epsilon", "v_prediction"):
            raise bad("prediction_type", repr(kind), "epsilon or v_prediction", "correct it")
        size = math.hypot(time, self.sigma_data)
        out = time * self.sigma_data / size * (1 if kind == "epsilon" else -1)
        return (denoised - (self.sigma_data / size) ** 2 * x) / out


class Trigonometric(Family):
    """``x_t = cos(pi t/2) x_0 + sin(pi t/2) eps``; the network is told t."""

    unit, resolution, rounding = "hundredths of the time", 0.05, 1e-3

    def __init__(self) -> None:
        half = 0.5 * math.pi
        self.sde = LinearSDE.from_kernel(
            lambda t: math.cos(half * t), lambda t: math.sin(half * t), 1 - 1e-4
        )
        self.t_min = 1e-3

    def told(self, t: float) -> float:
        """The time itself."""
        return self._clipped(t)

    def level(self, sigma: float) -> float:
        """As in :class:`Family`."""
        return self._clipped(math.atan(sigma) * 2 / math.pi)

    def tick(self, time: float) -> float:
        """As in :class:`Family`."""
        return 100 * time

    def reached(self, signal: float, noise: float) -> float:
        """As in :class:`Family`."""
        return self._clipped(math.acos(min(max(signal, -1.0), 1.0)) * 2 / math.pi)


class Rising(Flow):
    """The straight path with the time told from noise, 0, to data, 1, and the velocity towards the data."""

    def told(self, t: float) -> float:
        """``1 - t``."""
        return self._clipped(1 - t)

    def output(self, denoised: Array, x: Array, time: float, kind: str) -> Array:
        """``x_0 - eps``."""
        return -super().output(denoised, x, time, kind)


class Curve(Family):
    """Signal ``abar(t)`` as a function of a continuous time that the network is told; variance preserving.

    Args:
        signal: ``t -> abar``.
        t_min: last time told.
    """

    unit, resolution, rounding = "log noise level", 1e-3, 1e-4

    def __init__(self, signal: Any, t_min: float) -> None:
        self.sde, self._signal = VP(), signal
        self.t_min = self.told(t_min)

    def told(self, t: float) -> float:
        """As in :class:`Family`."""
        return self.level(math.sqrt(1 / self._signal(t) - 1))

    def level(self, sigma: float) -> float:
        """As in :class:`Family`."""
        return self._clipped(self.sde.time_of_noise_level(sigma))

    def tick(self, time: float) -> float:
        """As in :class:`Family`."""
        return math.log(float(self.sde.noise_level(time)))

    def reached(self, signal: float, noise: float) -> float:
        """As in :class:`Family`."""
        return self.level(math.sqrt(max(0.0, (1 - signal) * (1 + signal))) / signal)
