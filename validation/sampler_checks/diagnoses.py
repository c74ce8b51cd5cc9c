"""What a failed verdict on Gaussian data is told besides: the nearest known mutation and the first wrong step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from ...numerics.exact_law import Refused
from ..evidence import Outcome
from ..fingerprints import NONE, nearest
from ..verdict import Diagnosis, Verdict
from .exact import Prober
from .steps import Path, path_or_reason
from .trajectory import times_told

_CLAIMS = ("law", "consistent", "order", "step-order")
_LEAST = 4  #: steps: with fewer of them rules with a history are what they are without
_MOST = 32  #: steps: more cost time and tell no more


@dataclass(frozen=True)
class Diagnoses:
    """Causes of what fails on one problem; nothing is computed before something does.

    Attributes:
        prober: finds laws and trajectories.
        counts: step counts of the call that did not fail.
        order: declared.
        rungs: step counts of the trajectories, see :class:`..adapters.adapter.Adapter`.
    """

    prober: Prober
    counts: tuple[int, ...]
    order: float | None
    rungs: tuple[int, ...] | None = None

    def told(self, verdict: Verdict) -> Verdict:
        """The verdict, with the likely cause if it is refuted."""
        fails = verdict.claim in _CLAIMS and verdict.outcome is Outcome.REFUTED
        if not fails or verdict.diagnosis is None or self.likely is None:
            return verdict
        likely = self.likely
        more = [likely.text]
        wrong = None if isinstance(self.path, str) else self.path.wrong(self.order)
        if wrong is not None and wrong[1] not in verdict.diagnosis.text:
            more.append(wrong[1])
        text = "; ".join((*more, verdict.diagnosis.text))
        return replace(verdict, diagnosis=replace(likely, text=text))

    @cached_property
    def likely(self) -> Diagnosis | None:
        """The nearest mutation; None where the law is not known."""
        found = None
        for steps in self._steps:
            # Counts that divide the schedule hide mistakes: the first that gives a name is believed.
            found = self._at(steps)
            if found is None or found.cause != NONE:
                break
        return found

    def _at(self, steps: int) -> Diagnosis | None:
        try:
            law, told = self.prober.affine(steps).law, times_told(self.prober, steps)
        except Refused:
            return None
        try:
            return nearest(law, self.prober.problem, steps, told=told, order=self.order)
        except ValueError as error:
            return Diagnosis(text=str(error), cause=NONE)

    @cached_property
    def path(self) -> Path | str:
        """The trajectories, or why there are none."""
        return path_or_reason(self.prober, self.rungs)

    @property
    def _steps(self) -> list[int]:
        fair = sorted(n for n in self.counts if _LEAST <= n <= _MOST)
        return fair[:2] or [_LEAST]
