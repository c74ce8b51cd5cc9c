"""Error budgets beside the verdicts on the law of a sampler: a sentence for every step count, and two charts."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from ...numerics.exact_law import Refused
from ..problems import Problem
from ..verdict import Verdict
from .budget import BANDS, ErrorBudget, of_law, with_sensitivity
from .budget_picture import by_steps
from .calls import Caller
from .exact import Affine, KnownLaw

_STEPS = 32  #: the sensitivity is charted at the largest step count up to here
_WORK = 4e6  #: (steps x dimension)^2 at most


@dataclass
class Budgets:
    """The budgets of one sampler on one problem, step count by step count.

    Attributes:
        caller: calls the sampler.
        problem: the problem.
        counts: step counts, increasing.
        charts: whether charts are made.
    """

    caller: Caller
    problem: Problem
    counts: Sequence[int]
    charts: bool
    made: list[ErrorBudget] = field(default_factory=list)

    def attach(self, verdict: Verdict, known: KnownLaw, steps: int) -> Verdict:
        """The verdict with the budget in its finding, and a chart where one belongs.

        Args:
            verdict: on the law at ``steps`` steps.
            known: that law; nothing is attached unless it is an affine one.
            steps: number of steps.
        """
        if not isinstance(known, Affine) or known.target is not self.problem.law:
            return verdict
        budget = of_law(self.problem, known.law, steps, self.caller.name)
        self.made.append(budget)
        said = replace(verdict, finding=f"{verdict.finding} {budget.sentence()}.")
        if not self.charts:
            return said
        charted = max([k for k in self.counts if k <= _STEPS] or [self.counts[0]])
        if steps == charted and (steps * self.problem.dim) ** 2 <= _WORK:
            with suppress(Refused):  # the chart does without
                budget = with_sensitivity(budget, self.caller, self.problem, known.law, BANDS)
            return replace(said, figure=budget.figure)
        if steps == self.counts[-1] and len(self.made) > 1:
            return replace(said, figure=by_steps(self.made))
        return said
