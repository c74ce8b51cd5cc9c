"""The verdict on one stream of draws of a law without a map to normals, and what is off in words."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from ._sample_run import Batches
from ._stein_run import BLIND
from ._unmapped import Unmapped
from ._user_code import UserCodeError
from .evidence import Evidence, Outcome
from .verdict import Diagnosis, Verdict


def judge(
    run: Unmapped, bare: Verdict, budget: int | None, source: Callable[[int], Batches]
) -> Verdict:
    """The verdict on one stream; what the draws or the law's own code do wrong is in it as ERROR.

    Args:
        run: the law and how it is judged.
        bare: the verdict without evidence.
        budget: draws; None: as many as an exact sampler needs.
        source: batches of so many draws.
    """
    start = time.perf_counter()
    try:
        run.prepare()
        run.go(source(run.wanted if budget is None else int(budget)))
        evidence, finding = run.evidence(time.perf_counter() - start), run.finding
    except UserCodeError as error:
        seconds = time.perf_counter() - start
        failed = Evidence.error("draw", str(error), kind="confidence", seconds=seconds)
        return replace(bare, evidence=(failed,), samples_used=run.n)
    verdict = replace(
        bare,
        evidence=evidence,
        finding=finding,
        samples_used=run.n,
        exact_refuted=run.exact_refuted,
        assumptions=(*bare.assumptions, *run.assumptions),
    )
    verdict = replace(verdict, mutants=tuple(run.mutants(verdict.decided)))
    return replace(verdict, diagnosis=diagnosis(run, verdict.decided))


def diagnosis(run: Unmapped, outcome: Outcome) -> Diagnosis | None:
    """What is off, worst first."""
    if outcome is Outcome.SUPPORTED and not run.exact_refuted:
        return None
    if run.pairs is not None:
        wrong = [e for e in run.pairs.effects(run.false_alarm) if e.low > run.tolerance]
        if wrong:
            text = "; ".join(
                f"{e.name} off by {e.signed:+.3g} in direction {e.worst % run.pairs.directions.shape[1]}"
                for e in wrong[:3]
            )
            return Diagnosis(text=text, cause=wrong[0].name, distance=wrong[0].value)
    if run.lines is not None and run.exact_refuted and run.lines.log_e > 0:
        text = f"not exactly this law (e-process, strongest line: {run.lines.leading})"
        return Diagnosis(text=text, cause="lines", distance=None)
    if run.stein is not None and run.stein.n:
        name, value = run.stein.leading()
        return Diagnosis(
            text=f"largest Stein term: {name}, {value:+.3g} standard deviations; {BLIND}",
            cause="stein",
            distance=abs(value),
        )
    return None
