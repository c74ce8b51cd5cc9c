"""Solvers of the probability flow ``dx/dt = f x - 1/2 g^2 score``: Heun, classical and adaptive Runge-Kutta.

All are deterministic; Euler's rule on the flow is :class:`.solvers.EulerMaruyama` with ``eta = 0``, and
Euler's rule in ``sd / alpha`` is :class:`.solvers.DDIM`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from scipy import integrate

from ..theory._checks import bad, positive
from ..theory.arrays import is_torch_array, like
from ..theory.protocols import Array, Vector
from ..theory.sde import LinearSDE
from .solvers import Score, Solver


@dataclass(frozen=True)
class Heun(Solver):
    """Heun's second-order rule on the probability flow.

    Attributes:
        variable: ``"t"`` integrates ``dx/dt``. ``"sigma"`` integrates ``du/dkappa = eps`` with ``u = x/alpha``,
            ``kappa = sd/alpha``: the form of Karras et al., exact for the linear part; its step to
            ``kappa = 0``, where ``eps`` is undefined, is Euler's.

    Reference: Karras et al. 2022, Algorithm 1.
    """

    variable: Literal["t", "sigma"] = "t"
    weak_order: ClassVar[float] = 2.0
    strong_order: ClassVar[float] = 2.0
    evaluations: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if self.variable not in ("t", "sigma"):
            raise bad("variable", repr(self.variable), '"t" or "sigma"', "pick one")

    def step(
        self, x: Array, t: float, s: float, *, score: Score, sde: LinearSDE, rng: Any = None
    ) -> Array:
        """One Heun step, see :meth:`Solver.step`."""
        if self.variable == "sigma":
            return self._in_sigma(x, t, s, score, sde)
        h = t - s
        here = flow_velocity(x, t, score=score, sde=sde)
        there = flow_velocity(x - h * here, s, score=score, sde=sde)
        return x - h / 2 * (here + there)

    @staticmethod
    def _in_sigma(x: Array, t: float, s: float, score: Score, sde: LinearSDE) -> Array:
        kernel, then, now = sde.kernel(t, s), sde.kernel(s), sde.kernel(t)
        a, v = float(kernel.scale), float(kernel.variance)
        sd_t, sd_s = float(now.std), float(then.std)
        # kappa_t - kappa_s times alpha_s, without cancellation
        h = (v / (a * a)) / (sd_t / a + sd_s)
        here = -sd_t * score(x, t)
        euler = x / a - h * here
        if sd_s == 0:
            return euler
        return x / a - h / 2 * (here - sd_s * score(euler, s))


@dataclass(frozen=True)
class RK4(Solver):
    """The classical fourth-order Runge-Kutta rule on the probability flow, in t."""

    weak_order: ClassVar[float] = 4.0
    strong_order: ClassVar[float] = 4.0
    evaluations: ClassVar[int] = 4

    def step(
        self, x: Array, t: float, s: float, *, score: Score, sde: LinearSDE, rng: Any = None
    ) -> Array:
        """One Runge-Kutta step, see :meth:`Solver.step`."""
        h, middle = t - s, (t + s) / 2
        k1 = flow_velocity(x, t, score=score, sde=sde)
        k2 = flow_velocity(x - h / 2 * k1, middle, score=score, sde=sde)
        k3 = flow_velocity(x - h / 2 * k2, middle, score=score, sde=sde)
        k4 = flow_velocity(x - h * k3, s, score=score, sde=sde)
        return x - h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


@dataclass(frozen=True)
class ProbabilityFlowRK45(Solver):
    """Adaptive Dormand-Prince 5(4) on the probability flow; each grid interval is solved to tolerance.

    The step size is chosen from the root mean square error over the whole batch, so rows are coupled at
    the level of the tolerance. Works in numpy float64; tensors come back in their own dtype, cut from
    any gradient.

    Attributes:
        rtol: relative tolerance of a step.
        atol: absolute tolerance of a step.

    Reference: Dormand & Prince 1980; Song et al. 2021, App. D.2.
    """

    rtol: float = 1e-8
    atol: float = 1e-10
    weak_order: ClassVar[float] = 5.0
    strong_order: ClassVar[float] = 5.0
    evaluations: ClassVar[int] = 0

    def __post_init__(self) -> None:
        positive(self.rtol, "rtol")
        positive(self.atol, "atol")

    def step(
        self, x: Array, t: float, s: float, *, score: Score, sde: LinearSDE, rng: Any = None
    ) -> Array:
        """Solves the flow from t to s, see :meth:`Solver.step`.

        Raises:
            ArithmeticError: the integrator gave up, with its reason.
        """
        start = _as_numpy(x)

        def slope(time: float, flat: Vector) -> Vector:
            at = flat.reshape(start.shape)
            pulled = _as_numpy(score(at if isinstance(x, np.ndarray) else like(at, x), time))
            return (
                float(sde.drift(time)) * at - 0.5 * float(sde.diffusion(time)) ** 2 * pulled
            ).ravel()

        if not start.size:
            return x
        out = integrate.solve_ivp(
            slope, (t, s), start.ravel(), method="RK45", rtol=self.rtol, atol=self.atol
        )
        if not out.success:
            raise ArithmeticError(f"probability flow from t = {t:g} to {s:g}: {out.message}")
        return like(out.y[:, -1].reshape(start.shape), x)


def flow_velocity(x: Array, t: float, *, score: Score, sde: LinearSDE) -> Array:
    """``dx/dt = f x - 1/2 g^2 score`` of the probability flow, in forward time, ``(n, d)``.

    Reference: Song et al. 2021, Eq. 13.
    """
    return float(sde.drift(t)) * x - 0.5 * float(sde.diffusion(t)) ** 2 * score(x, t)


def _as_numpy(x: Array) -> Vector:
    return np.asarray(x.detach().cpu() if is_torch_array(x) else x, dtype=np.float64)
