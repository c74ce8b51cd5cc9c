"""Multistep exponential integrators: predictions of earlier steps in the place of stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from ..theory._checks import bad
from ..theory.protocols import Array, Vector
from ..theory.sde import LinearSDE
from .exponential import ExponentialSinglestep, Rule, combine
from .solver_grids import check_times
from .solvers import Score, Solver


@dataclass(frozen=True)
class ExponentialMultistep(Solver):
    """One evaluation a step, and the predictions of the steps before.

    Attributes:
        steps: number of predictions that a step interpolates, 1 to 4: the order of the formula.
        rule: what is interpolated, see :class:`.Rule`.
        corrector: after the evaluation at the new point the step is taken again with it (UniPC), which gives the
            point from which the next step starts, and one order more; without noise only.
        start: how the first steps are taken: by single steps of the order below, which keeps the order of the whole,
            or by the same rule with fewer predictions (``"lower"``, as most libraries do: the first is of order 1).

    Reference: Lu et al. 2022b, Algorithm 2; Zhao et al. 2023, Algorithms 1 and 2; Zhang & Chen 2023, Eq. 15.
    """

    steps: int = 2
    rule: Rule = Rule()  # noqa: RUF009 - frozen
    corrector: bool = False
    start: Literal["single", "lower"] = "single"

    def __post_init__(self) -> None:
        if self.steps not in (1, 2, 3, 4):
            raise bad("steps", self.steps, "1, 2, 3 or 4", "pick one")
        if self.start not in ("single", "lower"):
            raise bad("start", repr(self.start), '"single" or "lower"', "pick one")
        if self.corrector and self.rule.eta > 0:
            raise bad("corrector", True, "False with noise", "take eta = 0, or no corrector")

    @property
    def deterministic(self) -> bool:
        """True for ``eta = 0``."""
        return self.rule.eta == 0

    @property
    def formula_order(self) -> float:
        """Order of one step from exact state and history."""
        return float(self.steps + self.corrector) if self.deterministic else min(self.steps, 2.0)

    @property
    def order(self) -> float:
        """Order of the whole run: that of the formula, or one more than that of the first step."""
        return min(self.formula_order, self._first + 1.0)

    @property
    def _first(self) -> int:
        if self.start == "lower" or not self.deterministic:
            return 1
        return int(min(max(self.formula_order - 1, 1), 3))

    def step(
        self, x: Array, t: float, s: float, *, score: Score, sde: LinearSDE, rng: Any = None
    ) -> Array:
        """A first step, which knows no history, see :meth:`Solver.step`."""
        known = [self.rule.predict(x, t, score=score, sde=sde)]
        return combine(self.rule, x, t, s, known, [t], sde, rng)

    def advance(
        self, x: Array, t: float, s: float, known: Sequence[Array], times: Sequence[float],
        *, score: Score, sde: LinearSDE, rng: Any = None,
    ) -> tuple[Array, Array | None]:  # fmt: skip
        """One step with history.

        Args:
            x: points at time t, ``(n, d)``.
            t: current time.
            s: next time.
            known: predictions, the newest first, that at t among them; more than ``steps`` are left aside.
            times: their times.
            score: ``(x, t) -> grad log p_t(x)``.
            sde: the forward diffusion.
            rng: generator; needed with noise.

        Returns:
            Points at s, and the prediction there; None at zero noise.
        """
        bare = float(sde.kernel(s).std) == 0
        used = 1 if bare and not self.rule.reaches_zero() else self.steps
        known, times = list(known[:used]), list(times[:used])
        out = combine(self.rule, x, t, s, known, times, sde, rng)
        if bare:
            return out, None
        value = self.rule.predict(out, s, score=score, sde=sde)
        if self.corrector:
            out = combine(self.rule, x, t, s, [value, *known], [s, *times], sde, None)
        return out, value

    def sample(
        self, score: Score, sde: LinearSDE, x: Array, times: Vector, *, rng: Any = None
    ) -> Array:
        """Steps over consecutive ``times``, see :meth:`Solver.sample`."""
        grid = [float(t) for t in check_times(times, sde)]
        if rng is None and not self.deterministic:
            raise bad("rng", None, "a generator", "pass numpy.random.default_rng(0)")
        known = [self.rule.predict(x, grid[0], score=score, sde=sde)]
        past = [grid[0]]
        for t, s in pairwise(grid):
            short = len(known) < self.steps or (self.corrector and len(known) < 2)
            if short and self._first > 1 and float(sde.kernel(s).std) > 0:
                single = ExponentialSinglestep(self._first, self.rule)
                x = single.step(x, t, s, score=score, sde=sde)
                value = self.rule.predict(x, s, score=score, sde=sde) if s != grid[-1] else None
            else:
                x, value = self.advance(x, t, s, known, past, score=score, sde=sde, rng=rng)
            if value is None:
                break
            known, past = [value, *known[: self.steps - 1]], [s, *past[: self.steps - 1]]
        return x
