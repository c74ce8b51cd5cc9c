"""The output law of a configuration at every step count that is asked for, without sampling where it can."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..numerics.distances import GaussianGap
from ..numerics.exact_law import AffineLaw, Refused, probe
from ..numerics.rng import kept_random_state
from ._scoreboard_problem import Closed
from .adapters.adapter import Adapter
from .problems import Problem

FIRST = 13  #: the count at which the map is looked at first; it divides no schedule
DRAWS = 40_000  #: where there is no map
_FAR = 4.5
_DOUBLE, _SINGLE = 1e-9, 1e-4  #: relative departure from superposition, as in the exact law


@dataclass
class Laws:
    """Output laws of a sampler on one clock, each found once.

    Attributes:
        adapter: the sampler.
        problem: under the sampler's own diffusion.
        exact: whether laws are those of an affine map; otherwise they are moments of draws.
        why: the reason where they are not.
        moving: whether noise is drawn on the way.
        evaluations: calls of the network by step count.
        lowest: smallest noise level that the network was asked at, by step count.
        jump: ratio of the level before to it.
    """

    adapter: Adapter
    problem: Problem
    exact: bool = True
    why: str = ""
    moving: bool = True
    single: bool = False
    evaluations: dict[int, int] = field(default_factory=dict)
    lowest: dict[int, float] = field(default_factory=dict)
    jump: dict[int, float] = field(default_factory=dict)
    _found: dict[int, AffineLaw] = field(default_factory=dict)

    @classmethod
    def of(cls, adapter: Adapter, problem: Problem, *, first: int = FIRST) -> Laws:
        """Looks at the map at a first step count.

        Args:
            adapter: the sampler.
            problem: the data.
            first: the count.

        Raises:
            Exception: what the sampler raises.
        """
        made = cls(adapter, Closed.of(adapter.truth(problem)))
        try:
            law = made._probed(first)
            made.single = law.single
            made.moving = any(not start for _, start in law.draws)
            made._found[first] = law
        except Refused as refused:
            made.exact, made.why = False, str(refused)
        return made

    def at(self, steps: int) -> AffineLaw:
        """The law after ``steps`` steps.

        Raises:
            Exception: what the sampler raises.
            NotFinite: it returned numbers that are not finite.
        """
        if steps not in self._found:
            if not self.exact:
                self._found[steps] = self._drawn(steps)
            elif self.moving:
                self._found[steps] = self._probed(steps)
            else:
                self._found[steps] = self._pushed(steps)
        return self._found[steps]

    def w2(self, steps: int) -> float:
        """Distance to the data."""
        return self.gap(self.at(steps)).w2()

    def gap(self, law: AffineLaw) -> GaussianGap:
        """Signed distances of a law to the data."""
        target: Any = self.problem.law
        return law.gap(target)

    def _probed(self, steps: int) -> AffineLaw:
        play = self._noting(steps)
        return probe(play, self.problem, steps, rng=_generator())

    def _pushed(self, steps: int) -> AffineLaw:
        """Five points and combinations far out, through a sampler that draws nothing on the way."""
        import torch

        problem = self.problem
        start = problem.marginal(problem.t_max)
        mean, covariance = np.asarray(start.mean), np.asarray(start.covariance)
        root = np.linalg.cholesky(covariance)
        d = len(mean)
        z = np.random.default_rng(5).standard_normal((2, d)) * _FAR
        rows = mean + np.concatenate([np.zeros((1, d)), np.eye(d), z, -z]) @ root.T
        given = Closed.of(problem, torch.as_tensor(rows))
        out = self._noting(steps)(given, len(rows), steps=steps, rng=_generator())
        y = out.detach().numpy().astype(np.float64).reshape(len(rows), -1)
        response, far = y[1 : d + 1] - y[0], y[d + 1 :] - y[0]
        size = float(max(np.abs(y).max(), 1e-300))
        defect = float(np.abs(far - np.concatenate([z, -z]) @ response).max())
        if not defect <= (_SINGLE if self.single else _DOUBLE) * size:
            self.exact = False
            self.why = (
                f"at {steps} steps the output is not affine in the start, by {defect / size:.1g}"
            )
            return self._drawn(steps)
        return AffineLaw(y[0], response.T @ response, defect, self.single, len(rows))

    def _drawn(self, steps: int) -> AffineLaw:
        """Moments of draws, with their standard error as the defect."""
        problem = Closed.of(self.problem)
        out = self._noting(steps)(problem, DRAWS, steps=steps, rng=_generator())
        y = out.detach().numpy().astype(np.float64).reshape(DRAWS, -1)
        covariance = np.cov(y.T)
        error = math.sqrt(float(np.trace(covariance)) / DRAWS)
        return AffineLaw(y.mean(axis=0), covariance, error, self.single, DRAWS)

    def _noting(self, steps: int) -> Any:
        def play(problem: Any, n: int, *, steps: int, rng: Any) -> Any:
            import torch

            before = problem.evaluations
            with kept_random_state():
                torch.manual_seed(
                    0
                )  # for those that draw from the global generator; it is put back
                out = self.adapter(problem, n, steps=steps, rng=rng)
            self.evaluations[steps] = problem.evaluations - before
            if problem.levels:
                low = self.lowest[steps] = min(problem.levels)
                above = [v for v in problem.levels if v > low * (1 + 1e-6)]
                self.jump[steps] = min(above, default=low) / low
            if not bool(torch.isfinite(out).all()):
                raise NotFinite(f"numbers that are not finite after {steps} steps")
            return out

        return play


class NotFinite(Exception):
    """The output holds NaN or infinity."""


def _generator() -> Any:
    import torch

    return torch.Generator().manual_seed(1)
