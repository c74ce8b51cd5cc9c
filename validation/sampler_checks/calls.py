"""Calls of a user's sampler: its own copy of the problem, its own generator, outputs as ``(n, d)``."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...numerics.designed_noise import tapped
from ...numerics.noise_log import NoiseLog
from ...numerics.rng import substream, torch_generator
from ...theory._checks import bad
from ...theory.protocols import Vector
from .._user_code import as_draws, call_user, library_of
from ..problems import Problem

Sampler = Callable[..., Any]
Seen = Sequence[tuple[float, Vector]]


@dataclass(frozen=True)
class Call:
    """One call of a sampler.

    Attributes:
        draws: ``(n, d)`` float64.
        evaluations: calls of the score, denoiser, noise or velocity.
        single: whether the draws came in float32.
        log: the noise that was drawn, if it was listened to.
        seen: times and rows that the model was asked for, if the problem kept them (:class:`.trajectory.Watched`).
    """

    draws: Vector
    evaluations: int
    single: bool
    log: NoiseLog | None = None
    seen: Seen = ()


@dataclass(frozen=True)
class Caller:
    """Calls ``sampler(problem, n, steps=..., rng=...)`` with what the backend wants.

    Attributes:
        sampler: user code.
        backend: ``"numpy"`` (a numpy Generator) or ``"torch"`` (a torch Generator on ``device``).
        device: torch device.
        timeout: seconds a call, or None.
        seed: entropy of the generators.
    """

    sampler: Sampler
    backend: str = "numpy"
    device: str | None = None
    timeout: float | None = None
    seed: int = 0

    @property
    def name(self) -> str:
        """What reports call the sampler."""
        return getattr(self.sampler, "__name__", type(self.sampler).__name__)

    def generator(self, *names: str | int) -> Any:
        """A fresh generator of the backend for a named part of the run."""
        return self._bridge(substream(self.seed, "check_sampler", *names))

    def run(
        self,
        problem: Problem,
        n: int,
        steps: int,
        rng: Any,
        *,
        state: int = 0,
        log: NoiseLog | None = None,
    ) -> Call:
        """Runs the sampler once.

        Args:
            problem: what it is given, as a copy with its counter at zero.
            n: number of draws.
            steps: number of steps.
            rng: generator of the backend.
            state: seed of the global generators during the call; the caller's are put back after it.
            log: listens to the noise that is drawn, or designs it; the filled one is in the answer.

        Raises:
            UserCodeError: it raised, hung, or returned NaN or the wrong shape.
        """
        answer, evaluations, heard, seen = call_user(
            _run,
            self.sampler,
            problem.fresh(),
            n,
            steps,
            rng,
            state,
            log,
            name="the sampler",
            timeout=self.timeout,
        )
        draws, single = as_draws(answer, n, problem.dim, name="the sampler")
        return Call(draws, evaluations, single, heard, seen)

    def source(self, problem: Problem, steps: int) -> Callable[..., Any]:
        """``draw(n, *, rng) -> (n, d)`` of the sampler at ``steps`` steps, for :func:`check_samples`."""

        def draw(n: int, *, rng: np.random.Generator) -> Any:
            # Batches must not repeat each other where a sampler draws from a global generator.
            state = int(rng.integers(2**32))
            call = self.run(problem, n, steps, self._bridge(rng), state=state)
            return call.draws.astype(np.float32) if call.single else call.draws

        return draw

    def _bridge(self, rng: np.random.Generator) -> Any:
        return rng if self.backend == "numpy" else torch_generator(rng, self.device or "cpu")


def backend_of(backend: str | None, sampler: Sampler, device: str | None) -> str:
    """The library that the sampler wants: as named, else torch where a device is named, else numpy.

    Raises:
        ValueError: not callable, an unknown backend, or a device that is not there.
    """
    if not callable(sampler):
        raise bad(
            "sampler",
            type(sampler).__name__,
            "a function (problem, n, *, steps, rng) -> (n, *shape)",
            "pass one",
        )
    return library_of(backend, device)


def _run(
    sampler: Sampler,
    problem: Problem,
    n: int,
    steps: int,
    rng: Any,
    state: int,
    log: NoiseLog | None,
) -> tuple[Any, int, NoiseLog | None, Seen]:
    np.random.seed(state)  # noqa: NPY002 (whoever calls this puts the global states back)
    random.seed(state)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(state)
    if log is None:
        answer = sampler(problem, n, steps=steps, rng=rng)
    else:
        with tapped(rng, log) as given:
            answer = sampler(problem, n, steps=steps, rng=given)
    # A call in a process of its own fills copies: what they hold goes back with the answer.
    return answer, problem.evaluations, log, getattr(problem, "seen", ())
