"""``ScoreSdeVeScheduler`` of diffusers, whose loop corrects and predicts on scores."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from ...theory._checks import bad
from ...theory.diffusions import EDM
from ...theory.protocols import Array
from ..problems import Problem
from .adapter import Adapter, Gaps


class ScoreVeAdapter(Adapter):
    """Correctors and predictors as the pipeline of diffusers runs them; the last mean is returned.

    Args:
        made: the class.
        options: of its constructor, and ``start`` (``marginal`` or ``prior``).
        target: as the user wrote it.
    """

    deterministic = False

    def __init__(self, made: Any, options: dict[str, Any], target: str) -> None:
        self.name, self._made = target, made
        self._start = options.get("start", "marginal")
        self._config = {k: v for k, v in options.items() if k != "start"}
        unknown = [k for k in self._config if k not in inspect.signature(made).parameters]
        if unknown:
            wanted = ", ".join(inspect.signature(made).parameters)
            raise bad("target", f"option {unknown[0]!r} in {target!r}", wanted, "correct it")
        config = made(**self._config).config
        self._low, self._high = float(config.sigma_min), float(config.sigma_max)
        self._sde = EDM(self._high * (1 + 1e-6))

    def truth(self, problem: Problem) -> Problem:
        """The law under ``x_0 + sigma eps``."""
        if problem.sde is self._sde:
            return problem
        return Problem(
            problem.name,
            problem.law,
            self._sde,
            t_min=self._low,
            t_max=self._high,
            shape=problem.shape,
            start=self._start,
        )

    def __call__(self, problem: Problem, n: int, *, steps: int, rng: Any) -> Array:
        """``n`` draws; the score is asked once a corrector and once a predictor."""
        truth = self.truth(problem)
        scheduler = self._scheduler(steps)
        x = mean = truth.prior(n, rng=rng)
        for k, t in enumerate(scheduler.timesteps):
            sigma = min(float(scheduler.sigmas[k]), truth.t_max)
            for _ in range(scheduler.config.correct_steps):
                score = truth.score(x, sigma)
                x = scheduler.step_correct(score, x, generator=rng, return_dict=False)[0]
            score = truth.score(x, sigma)
            x, mean = scheduler.step_pred(score, t, x, generator=rng, return_dict=False)
        if truth is not problem:
            problem.evaluations += truth.evaluations
        return mean

    def readings(self, problem: Problem, steps: int) -> tuple[Gaps, ...]:
        """The level told against that of the predictor."""
        scheduler = self._scheduler(steps)
        last = len(scheduler.timesteps) - 1
        told = np.log([float(s) for s in scheduler.sigmas])
        index = (scheduler.timesteps * last).long()
        used = np.log([float(scheduler.discrete_sigmas[i]) for i in index])
        return (
            Gaps(
                check="told-is-used",
                sentence="the level that the model is told is the level that the scheduler uses",
                gaps=used - told,
                unit="log sigma",
                # A truncated index is less than one level off.
                resolution=float(np.log(self._high / self._low) / max(last, 1)),
                rounding=1e-5,
                where=told,
            ),
        )

    def _scheduler(self, steps: int) -> Any:
        scheduler = self._made(**self._config)
        scheduler.set_timesteps(steps)
        scheduler.set_sigmas(steps)
        return scheduler
