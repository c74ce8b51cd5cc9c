"""Networks on real images: the exact score passes, and five known defects of a network are refuted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..claim import Check, Claim, Context
from ..evidence import Evidence, Outcome
from .tools import named, worst

TOLERANCE = 0.05


def _judged(build: Callable[[Any], Any]) -> Check:
    """The worst noise level of ``check_score`` for a network built on the problem ``digits``."""

    def check(ctx: Context) -> Evidence:
        from ..problems import PROBLEMS
        from ..score_checks import check_score

        problem = PROBLEMS["digits"]
        n = 600 if ctx.profile == "quick" else 2000
        report = check_score(
            build(problem),
            problem,
            tolerance=TOLERANCE,
            budget=n,
            false_alarm=ctx.level,
            seed=ctx.seed,
            only=("esm",),
        )
        verdict = report.verdicts[0]
        if verdict.outcome is Outcome.ERROR:
            return Evidence.error("", verdict.explain(), kind="confidence")
        n = max(e.n for e in verdict.evidence)
        return worst(verdict.evidence, ctx, n=n, message="noise levels")

    return check


def _oracle(problem: Any) -> Any:
    from ...models.oracle import Oracle

    return Oracle(problem)


def _scaled(problem: Any) -> Any:
    from ...models.corrupt import Scaled

    return Scaled(_oracle(problem), 0.7)


def _biased(problem: Any) -> Any:
    from ...models.corrupt import Biased

    return Biased(_oracle(problem), 0.4)


def _clock(problem: Any) -> Any:
    from ...models.corrupt import TimeSwapped

    return TimeSwapped(_oracle(problem), problem.t_min, problem.t_max)


def _dropped(problem: Any) -> Any:
    from ...models.corrupt import TimeDropped

    return TimeDropped(_oracle(problem), 0.05, 0.5)


def _blurred(problem: Any) -> Any:
    from ...models.corrupt import Blurred

    return Blurred(_oracle(problem))


_DEFECTS: Mapping[str, Callable[[Any], Any]] = {
    "scaled-by-0.7": _scaled,
    "biased": _biased,
    "clock-reversed": _clock,
    "time-range-dropped": _dropped,
    "output-blurred": _blurred,
}

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "network-oracle",
        rf"the exact score of the digits, as a network, has $\mathbb{{E}}|s - s^*|^2 \le {TOLERANCE}\,"
        r"\mathbb{E}|s^*|^2$ at every noise level",
        checks={"esm": _judged(_oracle)},
        mutants={"esm": [named(_judged(build), name) for name, build in _DEFECTS.items()]},
        assumptions=("five noise levels; the mutants are networks with controlled defects",),
        finding=lambda evidence: f"{evidence['esm'].message}.",
        group="network",
        subject={"problem": "digits", "target": "Oracle"},
    ),
)
