"""Stochastic samplers around others: EDM with churn, predictor-corrector, ancestral steps of optimal variance."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from ..theory._checks import bad, positive
from ..theory.protocols import Array, Vector
from ..theory.sde import LinearSDE
from .flow_solvers import Heun
from .langevin import ula_step
from .rng import normal_like
from .solver_grids import check_times
from .solvers import Ancestral, Score, Solver

_MOST = math.sqrt(2) - 1  #: largest relative rise of the noise level in a step


@dataclass(frozen=True)
class Churn(Solver):
    """Noise forward, then further back: before a step from t, the forward process is run up to a later time.

    The level ``kappa`` rises by ``gamma = min(churn / N, sqrt(2) - 1)`` of itself, where it lies in ``[low, high]``;
    the inner solver steps from there. Forward noise of scale 1 is exact, so the law has the order of the inner solver.
    The rise stops at the last time of the diffusion, so a step that starts there adds none.

    Attributes:
        churn: ``S_churn``; 0 is the inner solver.
        low: ``S_tmin``, in units of ``kappa = sd/alpha``.
        high: ``S_tmax``.
        noise: ``S_noise``; other than 1 the law is biased, however small the steps.
        inner: Heun's rule in ``kappa``, as published, or another solver of the flow.

    Reference: Karras et al. 2022, Algorithm 2.
    """

    churn: float = 40.0
    low: float = 0.0
    high: float = math.inf
    noise: float = 1.0
    inner: Solver = Heun(variable="sigma")  # noqa: RUF009 - frozen
    weak_order: ClassVar[float] = 2.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.churn) and self.churn >= 0):
            raise bad("churn", self.churn, "zero or more", "the paper has 0 to 80")
        if not 0 <= self.low <= self.high:
            raise bad("low", self.low, f"a level in [0, {self.high:g}]", "swap the ends")
        positive(self.noise, "noise")
        if not self.inner.deterministic:
            raise bad("inner", repr(self.inner), "a deterministic solver", "pass e.g. Heun()")

    @property
    def deterministic(self) -> bool:
        """True without churn."""
        return self.churn == 0

    @property
    def order(self) -> float:
        """That of the inner solver."""
        return self.inner.order

    def step(
        self, x: Array, t: float, s: float, *, score: Score, sde: LinearSDE, rng: Any = None
    ) -> Array:
        """One step of a run of one step, see :meth:`Solver.step`."""
        return self._step(x, t, s, 1, score, sde, rng)

    def sample(
        self, score: Score, sde: LinearSDE, x: Array, times: Vector, *, rng: Any = None
    ) -> Array:
        """Steps over consecutive ``times``; the churn is shared among them, see :meth:`Solver.sample`."""
        grid = check_times(times, sde)
        if rng is None and not self.deterministic:
            raise bad("rng", None, "a generator", "pass numpy.random.default_rng(0)")
        for t, s in pairwise(grid):
            x = self._step(x, float(t), float(s), len(grid) - 1, score, sde, rng)
        return x

    def _step(
        self, x: Array, t: float, s: float, count: int, score: Score, sde: LinearSDE, rng: Any
    ) -> Array:
        level = float(sde.noise_level(t))
        rise = min(self.churn / count, _MOST) if self.low <= level <= self.high else 0.0
        top = min(level * (1 + rise), float(sde.noise_level(sde.t_max)))
        if top > level:
            later = float(sde.time_of_noise_level(top))
            kernel = sde.kernel(later, t)
            spread = self.noise * float(kernel.std)
            x, t = float(kernel.scale) * x + spread * normal_like(x, rng=rng), later
        return self.inner.step(x, t, s, score=score, sde=sde, rng=rng)


@dataclass(frozen=True)
class PredictorCorrector(Solver):
    """A step of any solver, then Langevin steps at the new time.

    The corrector ``x + h score + sqrt(2h) z`` has ``h = 2 (ratio sd_s)^2``: the rule of the paper with the norms of
    noise and score at their expected sizes, so that rows stay independent. It leaves ``p_s`` only approximately, for
    any number of steps: along a direction of variance v the bias is ``1/(1 - h/(2v))``, a floor and not an order.

    Attributes:
        predictor: any solver.
        corrections: Langevin steps after each of its steps.
        ratio: signal-to-noise ratio r of the corrector.

    Reference: Song et al. 2021, Algorithms 4 and 5.
    """

    predictor: Solver = Ancestral()  # noqa: RUF009 - frozen
    corrections: int = 1
    ratio: float = 0.1

    def __post_init__(self) -> None:
        if int(self.corrections) != self.corrections or self.corrections < 0:
            raise bad("corrections", self.corrections, "an integer, zero or more", "pass e.g. 1")
        positive(self.ratio, "ratio")

    @property
    def deterministic(self) -> bool:
        """Only without corrections."""
        return self.corrections == 0 and self.predictor.deterministic

    @property
    def order(self) -> float:
        """That of the predictor; the corrector adds a floor."""
        return self.predictor.order

    def step(
        self, x: Array, t: float, s: float, *, score: Score, sde: LinearSDE, rng: Any = None
    ) -> Array:
        """Prediction and corrections, see :meth:`Solver.step`; none at zero noise."""
        x = self.predictor.step(x, t, s, score=score, sde=sde, rng=rng)
        spread = float(sde.kernel(s).std)
        if spread > 0:
            size = 2 * (self.ratio * spread) ** 2
            for _ in range(self.corrections):
                x = ula_step(lambda y: score(y, s), x, step=size, rng=rng)
        return x


@dataclass(frozen=True)
class OptimalAncestral(Solver):
    """Ancestral steps with the reverse variance that is best in relative entropy among isotropic ones.

    ``c^2 = v sd_s^2/sd_t^2 + (alpha_s v / sd_t^2)^2 r``, ``r = (sd_t/alpha_t)^2 (1 - sd_t^2 E|score|^2/d)``: the
    posterior variance, and the mean variance r of ``x_0`` given ``x_t`` that comes through the mean. Exact for
    isotropic Gaussians at every number of steps.

    Attributes:
        information: ``t -> E|grad log p_t|^2 / d``.

    Reference: Bao et al. 2022, Theorem 1.
    """

    information: Callable[[float], float]

    @property
    def deterministic(self) -> bool:
        """False."""
        return False

    def step(
        self, x: Array, t: float, s: float, *, score: Score, sde: LinearSDE, rng: Any = None
    ) -> Array:
        """One step, see :meth:`Solver.step`.

        Raises:
            ValueError: an information beyond ``1/sd_t^2``, which no noised law has.
        """
        kernel, now, then = sde.kernel(t, s), sde.kernel(t), sde.kernel(s)
        a, v = float(kernel.scale), float(kernel.variance)
        before, total = float(then.variance), float(now.variance)
        mean = (x + v * score(x, t)) / a
        share = 1 - total * float(self.information(t))
        if not -1e-9 <= share <= 1:  # rounding of the difference
            wanted = f"E|score|^2/d in [0, {1 / total:g}] at t = {t:g}"
            raise bad("information", f"{(1 - share) / total:g}", wanted, "divide by the dimension")
        # alpha_s v/sd_t^2 times sd_t/alpha_t, squared, with alpha_t = a alpha_s
        through = v * v / (a * a * total) * max(share, 0.0)
        c = math.sqrt(v * before / total + through)
        return mean + c * normal_like(x, rng=rng)
