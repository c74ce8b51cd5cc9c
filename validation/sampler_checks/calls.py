"""Calls of a user's sampler: its own copy of the problem, its own generator, outputs as ``(n, d)``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...numerics.rng import substream
from ...theory._checks import bad
from ...theory.protocols import Array, Vector
from .._user_code import as_draws, call_user
from ..problems import Problem

Sampler = Callable[..., Any]


@dataclass(frozen=True)
class Call:
    """One call of a sampler.

    Attributes:
        draws: ``(n, d)`` float64.
        evaluations: calls of the score, denoiser, noise or velocity.
    """

    draws: Vector
    evaluations: int


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

    def run(self, problem: Problem, n: int, steps: int, rng: Any) -> Call:
        """Runs the sampler once.

        Raises:
            UserCodeError: it raised, hung, or returned NaN or the wrong shape.
        """
        answer, evaluations = call_user(
            _run,
            self.sampler,
            problem.fresh(),
            n,
            steps,
            rng,
            name="the sampler",
            timeout=self.timeout,
        )
        draws, _ = as_draws(answer, n, problem.dim, name="the sampler")
        return Call(draws, evaluations)

    def source(self, problem: Problem, steps: int) -> Callable[..., Vector]:
        """``draw(n, *, rng) -> (n, d)`` of the sampler at ``steps`` steps, for :func:`check_samples`."""

        def draw(n: int, *, rng: np.random.Generator) -> Any:
            answer, _ = _run(self.sampler, problem.fresh(), n, steps, self._bridge(rng))
            return _rows(answer, n)

        return draw

    def _bridge(self, rng: np.random.Generator) -> Any:
        if self.backend == "numpy":
            return rng
        from ...numerics.rng import torch_generator

        return torch_generator(rng, self.device or "cpu")


def backend_of(backend: str | None, sampler: Sampler, device: str | None) -> str:
    """The library that the sampler wants: as named, else torch where a device is named, else numpy.

    Raises:
        ValueError: not callable, or an unknown backend.
    """
    if not callable(sampler):
        raise bad(
            "sampler",
            type(sampler).__name__,
            "a function (problem, n, *, steps, rng) -> (n, *shape)",
            "pass one",
        )
    if backend not in (None, "numpy", "torch"):
        raise bad("backend", repr(backend), "'numpy', 'torch' or None", "correct it")
    return backend or ("torch" if device else "numpy")


def _run(sampler: Sampler, problem: Problem, n: int, steps: int, rng: Any) -> tuple[Any, int]:
    answer = sampler(problem, n, steps=steps, rng=rng)
    return answer, problem.evaluations


def _rows(answer: Array, n: int) -> Array:
    """``(n, *shape)`` as ``(n, d)`` where that is possible; what is not is left for the check to name."""
    shape = getattr(answer, "shape", ())
    return answer.reshape(n, -1) if len(shape) > 2 and shape[0] == n else answer
