"""Reverse-time solvers: from noise at ``t_max`` to data at ``t_min`` with a score ``score(x, t)``.

The forward diffusion is ``dx = f(t) x dt + g(t) dw`` with kernel ``x_t | x_s ~ N(a x_s, v I)``,
``x_t | x_0 ~ N(alpha_t x_0, sd_t^2 I)``. Every member of the reverse family

    dx = [f x - (1 + eta^2)/2 g^2 score] dt + eta g dw,    time running down,

has the forward marginals; ``eta = 1`` is the reverse SDE (Anderson 1982), ``eta = 0`` the probability flow
(Song et al. 2021, Eq. 13). A solver is a value with one method, ``step`` from t down to s < t; the loop is
in the base; those for the probability flow alone are in :mod:`.flow_solvers`. No step clips or rescales:
with an affine score every step is affine in (x, noise), but for the adaptive one, whose step sizes
depend on the points.

``weak_order`` and ``strong_order`` are those of the error in the law and in the path on a fixed interval
with smooth coefficients and ``t_min > 0``. On grids uniform in t that reach t = 0, DDIM and the ancestral
steps lose a logarithm, error ``h log(1/h)``: ``sd ~ sqrt(t)`` is not smooth there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np

from ..theory._checks import bad
from ..theory.protocols import Array, Vector
from ..theory.sde import LinearSDE
from .rng import normal_like
from .solver_grids import check_times

Score = Callable[[Array, float], Array]  #: ``(x (n, d), t) -> grad log p_t(x) (n, d)``


@dataclass(frozen=True)
class Solver:
    """Base of all solvers: the loop over a time grid.

    Attributes:
        weak_order: order of the error in the law.
        strong_order: order of the error in the path for given noise.
        evaluations: score evaluations in one step, 0 where it varies.
    """

    weak_order: ClassVar[float] = 1.0
    strong_order: ClassVar[float] = 1.0
    evaluations: ClassVar[int] = 1

    @property
    def deterministic(self) -> bool:
        """Whether a step draws no noise."""
        return True

    @property
    def order(self) -> float:
        """Declared order of the law's error."""
        return self.weak_order

    def step(
        self, x: Array, t: float, s: float, *, score: Score, sde: LinearSDE, rng: Any = None
    ) -> Array:
        """One step from time t down to s.

        Args:
            x: points at time t, ``(n, d)``.
            t: current time.
            s: next time, ``0 <= s < t``.
            score: ``(x, t) -> grad log p_t(x)``.
            sde: the forward diffusion.
            rng: numpy generator, or torch generator for tensors; deterministic solvers ignore it.

        Returns:
            Points at time s, ``(n, d)``.
        """
        raise TypeError(f"{type(self).__name__} is a base class: use one of the solvers")

    def sample(
        self, score: Score, sde: LinearSDE, x: Array, times: Vector, *, rng: Any = None
    ) -> Array:
        """Steps over consecutive ``times``.

        Args:
            score: ``(x, t) -> grad log p_t(x)``.
            sde: the forward diffusion.
            x: points at ``times[0]``, ``(n, d)``.
            times: strictly decreasing, ``(N + 1,)``; see :mod:`.solver_grids`.
            rng: numpy generator, or torch generator for tensors.

        Returns:
            Points at ``times[-1]``, ``(n, d)``. Their law differs from that of ``x_t`` by the error of the
            solver, of order ``weak_order`` in the step; the start law and the score add theirs.

        Raises:
            ValueError: times out of order or range, or a solver with noise and no ``rng``.
        """
        grid = check_times(times, sde)
        if rng is None and not self.deterministic:
            raise bad("rng", None, "a generator", "pass numpy.random.default_rng(0)")
        for t, s in pairwise(grid):
            x = self.step(x, float(t), float(s), score=score, sde=sde, rng=rng)
        return x


@dataclass(frozen=True)
class EulerMaruyama(Solver):
    """``x - h [f x - (1 + eta^2)/2 g^2 score] + eta g sqrt(h) z``, coefficients at t.

    Weak order 1, strong order 1 (the noise is additive). ``eta = 0`` is Euler on the probability flow.

    Attributes:
        eta: how much noise, zero or more.

    Reference: Song et al. 2021, App. D; Kloeden & Platen 1992, ch. 10.
    """

    eta: float = 1.0

    def __post_init__(self) -> None:
        _eta(self.eta, math.inf)

    @property
    def deterministic(self) -> bool:
        """True for ``eta = 0``."""
        return self.eta == 0

    def step(
        self, x: Array, t: float, s: float, *, score: Score, sde: LinearSDE, rng: Any = None
    ) -> Array:
        """One Euler-Maruyama step, see :meth:`Solver.step`."""
        h, g = t - s, float(sde.diffusion(t))
        pull = (1 + self.eta**2) / 2 * g * g
        out = x - h * (float(sde.drift(t)) * x - pull * score(x, t))
        if self.eta == 0:
            return out
        return out + self.eta * g * math.sqrt(h) * normal_like(x, rng=rng)


@dataclass(frozen=True)
class ExponentialEuler(Solver):
    """Linear part and noise exact, score frozen over the step.

    ``x_s = x/a + (1 + eta^2)/2 I score + eta sqrt(v)/a z`` with ``I = int_s^t g(r)^2 / scale(r, s) dr`` by
    Gauss-Legendre quadrature of eight nodes.

    Attributes:
        eta: how much noise, zero or more.

    Reference: Zhang & Chen 2023, Eq. 8; the EI scheme of Pierret & Galerne 2025.
    """

    eta: float = 1.0

    def __post_init__(self) -> None:
        _eta(self.eta, math.inf)

    @property
    def deterministic(self) -> bool:
        """True for ``eta = 0``."""
        return self.eta == 0

    def step(
        self, x: Array, t: float, s: float, *, score: Score, sde: LinearSDE, rng: Any = None
    ) -> Array:
        """One step of the exponential integrator, see :meth:`Solver.step`."""
        kernel = sde.kernel(t, s)
        a, v = float(kernel.scale), float(kernel.variance)
        gain = (1 + self.eta**2) / 2 * _frozen_gain(sde, t, s)
        out = x / a + gain * score(x, t)
        if self.eta == 0:
            return out
        return out + self.eta * math.sqrt(v) / a * normal_like(x, rng=rng)


@dataclass(frozen=True)
class Ancestral(Solver):
    """The DDPM step for every linear diffusion, from the exact two-time kernel.

    ``x_s = (x + v score)/a + c z``: the mean of ``x_s`` given ``x_t`` and ``x_0 = E[x_0 | x_t]``. ``c^2`` is the
    posterior variance ``v sd_s^2 / sd_t^2`` ("beta tilde") or the forward one ``v`` ("beta"); the step to
    ``sd_s = 0`` has no noise.

    Attributes:
        variance: which of the two.

    Reference: Ho et al. 2020, Eq. 7 and 11.
    """

    variance: Literal["posterior", "forward"] = "posterior"

    def __post_init__(self) -> None:
        if self.variance not in ("posterior", "forward"):
            raise bad("variance", repr(self.variance), '"posterior" or "forward"', "pick one")

    @property
    def deterministic(self) -> bool:
        """False."""
        return False

    def step(
        self, x: Array, t: float, s: float, *, score: Score, sde: LinearSDE, rng: Any = None
    ) -> Array:
        """One ancestral step, see :meth:`Solver.step`."""
        kernel = sde.kernel(t, s)
        a, v = float(kernel.scale), float(kernel.variance)
        before, now = float(sde.kernel(s).variance), float(sde.kernel(t).variance)
        out = (x + v * score(x, t)) / a
        if before == 0:
            return out
        c = math.sqrt(v if self.variance == "forward" else v * before / now)
        return out + c * normal_like(x, rng=rng)


@dataclass(frozen=True)
class DDIM(Solver):
    """``x_s = alpha_s x0 + sqrt(sd_s^2 - c^2) eps + c z`` with ``c^2 = eta^2 v sd_s^2 / sd_t^2``.

    ``x0`` and ``eps`` are the predictions that the score stands for. Written in score form,
    ``x/a + sd_t (v/a^2 + c^2) / (sd_t/a + sqrt(sd_s^2 - c^2)) score + c z``, nothing cancels for short steps
    and nothing is divided by ``alpha_t``. ``eta = 0`` is Euler in ``sd/alpha`` on the probability flow, exact for
    the linear part.

    Attributes:
        eta: 0 deterministic, 1 the posterior variance of :class:`Ancestral`.

    Reference: Song, Meng & Ermon 2021, Eq. 12 and 16.
    """

    eta: float = 0.0

    def __post_init__(self) -> None:
        _eta(self.eta, 1.0)

    @property
    def deterministic(self) -> bool:
        """True for ``eta = 0``."""
        return self.eta == 0

    def step(
        self, x: Array, t: float, s: float, *, score: Score, sde: LinearSDE, rng: Any = None
    ) -> Array:
        """One DDIM step, see :meth:`Solver.step`."""
        kernel = sde.kernel(t, s)
        a, v = float(kernel.scale), float(kernel.variance)
        before, now = float(sde.kernel(s).variance), float(sde.kernel(t).variance)
        added = self.eta**2 * v * before / now
        # sd_s^2 - c^2 with both terms positive
        kept = before * (a * a * before + (1 - self.eta**2) * v) / now
        root = math.sqrt(now)
        gain = root * (v / (a * a) + added) / (root / a + math.sqrt(kept))
        out = x / a + gain * score(x, t)
        return out + math.sqrt(added) * normal_like(x, rng=rng) if added > 0 else out


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)


def _frozen_gain(sde: LinearSDE, t: float, s: float) -> float:
    times = s + (t - s) * (_NODES + 1) / 2
    terms = np.square(sde.diffusion(times)) / sde.kernel(times, s).scale
    return float((t - s) / 2 * (_WEIGHTS @ terms))


def _eta(eta: float, top: float) -> None:
    if not 0 <= eta <= top:
        raise bad("eta", eta, f"a number in [0, {top:g}]", "0 is deterministic, 1 the reverse SDE")
