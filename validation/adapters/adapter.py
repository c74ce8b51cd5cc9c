"""What an adapter tells :func:`check_sampler` about a sampler of another library."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

from ...theory._checks import bad
from ...theory.protocols import Array, Vector
from ..problems import Problem

Clock = Literal["t", "sigma"]


@dataclass(frozen=True)
class Gaps:
    """Two readings of the noise level that should agree, one entry a call of the model.

    Attributes:
        check: name of the comparison.
        sentence: what should be equal to what.
        gaps: signed differences, in ``unit``.
        unit: what one is, e.g. a timestep of the training schedule.
        resolution: a difference up to here cannot be told to the model more finely.
        rounding: error of a reading.
        where: what the model was told at each call.
    """

    check: str
    sentence: str
    gaps: Vector
    unit: str
    resolution: float
    rounding: float
    where: Vector


class Adapter(ABC):
    """A sampler of another library, driven as its users drive it.

    Attributes:
        name: the target string; reports call it so.
        order: order that the library's documentation declares, or None.
        order_quote: the sentence that declares it, and where it stands.
        deterministic: whether it draws noise only for the start; None where the documentation leaves it open.
        backend: library of its arrays.
        clock: ``"t"`` if the model decodes the time that it is handed, as a trained network does; ``"sigma"``
            if it is told the noise level that the sampler uses.
        rungs: step counts at each of which its grid is that of the count before with halved strides, coarse to
            fine; None where doubled counts are such.
        no_clock: why there are no readings of the clock, where there are none.
        fixed_ends: whether its grid is smooth in log-SNR with both ends the same at all step counts, so that the
            order of a run is that of the formula.
    """

    name: str
    order: float | None = None
    order_quote: str = ""
    deterministic: bool | None = None
    backend: str = "torch"
    clock: Clock = "t"
    rungs: tuple[int, ...] | None = None
    no_clock: str = (
        "a function reads the time itself; the clock is compared for adapters of libraries only"
    )
    fixed_ends: bool = False

    @property
    def __name__(self) -> str:
        return self.name

    def truth(self, problem: Problem) -> Problem:
        """The problem's law under the diffusion that the sampler is made for; the problem itself if it will do."""
        return problem

    def readings(self, problem: Problem, steps: int) -> tuple[Gaps, ...]:
        """What the model is told, what the sampler uses and where the state is, compared.

        Args:
            problem: a result of :meth:`truth`.
            steps: number of steps.
        """
        return ()

    def on(self, clock: Clock) -> Adapter | None:
        """The same sampler with the model on another clock; None where the two cannot differ."""
        return None

    @abstractmethod
    def __call__(self, problem: Problem, n: int, *, steps: int, rng: Any) -> Array:
        """``n`` draws of the data law of ``problem``, as :func:`check_sampler` asks for them."""


def library(module: str, *, install: str) -> Any:
    """A module of another library.

    Args:
        module: dotted name.
        install: what to type if it is missing.

    Raises:
        ValueError: it cannot be imported; one line with the remedy.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        said = (str(error).splitlines() or [""])[0]
        raise bad(
            "target", f"{module}, which cannot be imported ({said})", "it", install
        ) from None
