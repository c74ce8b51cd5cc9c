"""Numbers of a draw whose law is known although that of the draw has no map: projections, and log p itself.

A law may offer ``project(direction)``, the law of ``w'x``, and ``log_prob_law``, that of ``log p(x)`` under itself;
each goes through its own distribution function to normals, which the refuting machine watches in one dimension.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..numerics.e_processes import log_mean
from ..numerics.gaussianise import Gaussianised, Gaussianiser, gaussianiser
from ..numerics.goodness import RefutingMachine
from ..numerics.views import Directions
from ..theory.protocols import Vector
from ._sample_mutants import exact_shift, price
from ._user_code import UserCodeError, call_user
from .evidence import Outcome
from .verdict import Mutant

_COORDINATES, _RANDOM = 8, 8
UNKNOWN = "not watched: laws of projections and of log p, which this law does not offer (project, log_prob_law)"


@dataclass
class _Line:
    """One number of a draw, the map of its law to normals, and the machine that watches them."""

    name: str
    number: Callable[[Vector], Vector]
    shape: Gaussianiser
    machine: RefutingMachine


class LineRun:
    """All known lines of one law, with equal weights.

    Args:
        target: a law with ``project`` or ``log_prob_law``.
        rng: generator of directions and labels.
    """

    def __init__(self, target: Any, rng: np.random.Generator) -> None:
        self._rng, self.n = rng, 0
        self.lines: list[_Line] = []
        self.first: list[Vector] = []  #: normals of the first line
        d = int(target.dim)
        if hasattr(target, "project"):
            raw = rng.standard_normal((_RANDOM if d > 1 else 0, d))
            raw /= np.linalg.norm(raw, axis=1, keepdims=True)
            for j, w in enumerate(np.concatenate([np.eye(d)[:_COORDINATES], raw])):
                name = f"coordinate {j}" if j < min(d, _COORDINATES) else f"random projection {j}"
                law = call_user(target.project, w.copy(), name="the target's project")
                self._follow(name, law, lambda x, w=w: x @ w)
        if hasattr(target, "log_prob_law"):
            self._follow("log p", target.log_prob_law, lambda x: log_density(target, x))

    @staticmethod
    def knows(target: Any) -> bool:
        """Whether the law offers any line."""
        return hasattr(target, "project") or hasattr(target, "log_prob_law")

    def _follow(self, name: str, law: Any, number: Callable[[Vector], Vector]) -> None:
        try:
            shape = gaussianiser(law)
            if int(law.dim) != 1 or shape.dim != 1:
                raise ValueError
        except (ValueError, AttributeError) as error:
            raise UserCodeError(
                f"the target's law of {name}: got {type(law).__name__}, wanted a one-dimensional law with cdf"
            ) from error
        machine = RefutingMachine(shape.weights, shape.dim, error=shape.error, frame=shape.frame)
        self.lines.append(_Line(name, number, shape, machine))

    def add(self, x: Vector) -> None:
        """Adds draws ``(n, d)``; every machine looks."""
        plain = Directions(np.zeros((1, 0)))
        for k, line in enumerate(self.lines):
            view = plain.view(line.shape(line.number(x)[:, None], rng=self._rng))
            line.machine.update(view)
            if k == 0:
                self.first.append(view.z[:, 0])
        self.n += len(x)

    @property
    def log_e(self) -> float:
        """Average over lines at the last look."""
        return log_mean([line.machine.log_e for line in self.lines])

    @property
    def leading(self) -> str:
        """The line that says most, and in which family."""
        best = max(self.lines, key=lambda line: line.machine.peak)
        return f"{best.name}, {best.machine.leading}"

    def mutant(self, level: float, parts: int) -> Mutant:
        """The normals of the first line shifted by twice what is sure to be seen; other families count as zero.

        Args:
            level: of the run.
            parts: e-processes that are averaged with this one.
        """
        line = self.lines[0]
        needed = price(line.machine, "means", level) + math.log(parts * len(self.lines))
        size = 2 * exact_shift(self.n, 1, needed)
        z = np.concatenate(self.first)[:, None]
        away = z + math.copysign(size, float(z.sum()))
        # one component: labels that were made up would refute by themselves
        machine = RefutingMachine(np.ones(1), 1)
        labels = np.zeros(len(z), dtype=np.int64)
        machine.update(Directions(np.zeros((1, 0))).view(Gaussianised(labels, away)))
        log_e = machine.families["means"] - needed - math.log(level)
        return Mutant(
            name="line shifted",
            outcome=Outcome.REFUTED if log_e >= -math.log(level) else Outcome.UNDECIDED,
            check="exact",
            message=f"{line.name} shifted by {size:.3g} standard deviations: log10 e {log_e / math.log(10):.1f}",
        )


def log_density(target: Any, x: Vector) -> Vector:
    """``log p(x)``, or up to its constant, ``(n,)``, of a law whose code is the user's.

    Raises:
        UserCodeError: it raises, has another shape, or is not a number somewhere.
    """
    f = target.log_density if hasattr(target, "log_density") else target.log_prob
    out = np.asarray(call_user(f, x.copy(), name="the target's log_prob"), dtype=np.float64)
    if out.shape != (len(x),):
        raise UserCodeError(
            f"the target's log_prob: got shape {out.shape}, wanted {(len(x),)}; see theory/protocols"
        )
    if np.isnan(out).any():
        raise UserCodeError("the target's log_prob is not a number at some draws")
    return out
