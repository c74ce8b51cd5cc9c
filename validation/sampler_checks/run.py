"""``check_sampler``: any sampler, fed with exact scores, against the exact law of what it should return.

The law of the output is judged on samples (the effects of :func:`check_samples`). With N the largest step
count and p the declared order (1 if none), the tolerance at n steps is ``tolerance * (N/n)^p``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from ...theory._checks import bad, positive
from ..problems import PROBLEMS, Problem
from ..provenance import now, provenance
from ..sample_checks import check_samples
from ..verdict import NotChecked, Report, Verdict
from .behaviour import finite, reproducible, rows_independent
from .calls import Caller, Sampler, backend_of

DEFAULT_PROBLEMS = ("mixture-1d", "gaussian-2d", "mixture-8d")
#: Beyond this the tolerance of an effect leaves nothing that could be refuted.
CAP = 0.5
_NEEDS_LAW = "needs the exact law of the sampler's output; the law was judged on samples"


def check_sampler(
    sampler: Sampler,
    *,
    problems: Sequence[str | Problem] | None = None,
    steps: Sequence[int] = (8, 16, 32, 64, 128),
    order: float | None = None,
    deterministic: bool | None = None,
    tolerance: float = 0.05,
    budget: int | None = None,
    false_alarm: float = 1e-6,
    seed: int = 0,
    timeout: float | None = None,
    backend: str | None = None,
    device: str | None = None,
    dtype: str = "float64",
) -> Report:
    """Checks a sampler of a diffusion model against exact truth.

    Args:
        sampler: ``(problem, n, *, steps, rng) -> (n, *problem.shape)``. It calls ``problem.score(x, t)`` (or
            ``denoiser``, ``noise``, ``velocity``), starts from ``problem.prior(n, rng=rng)`` and may use
            ``problem.times(steps)`` and ``problem.sde``. On the torch backend ``rng`` is a torch generator and
            all arrays are tensors.
        problems: names of :data:`PROBLEMS` or problems; three small ones by default.
        steps: step counts.
        order: declared order of the method's formula; it scales the tolerance at fewer steps.
        deterministic: declared; None leaves it open. (Used where the exact law is known.)
        tolerance: of every effect at the largest step count: probability for weights and distribution functions,
            standard deviations for means, relative for variances.
        budget: draws for one law.
        false_alarm: rate for the whole call, split evenly over the laws.
        seed: entropy of the call.
        timeout: seconds a call of the sampler; then it runs in a process of its own.
        backend: ``"numpy"`` or ``"torch"``.
        device: torch device.
        dtype: dtype in which draws are judged; float64.

    Returns:
        A report with the claims ``finite``, ``reproducible``, ``rows-independent`` and ``law`` (one verdict a problem
        and step count); what needs the exact law of the output stands in ``not_checked``.

    Raises:
        ValueError: unknown problem, bad step counts, tolerance or backend.
    """
    counts = _counts(steps)
    limit, rate = positive(tolerance, "tolerance"), positive(false_alarm, "false_alarm")
    if dtype != "float64":
        raise bad("dtype", repr(dtype), "'float64'", "samples are judged in float64")
    p = 1.0 if order is None else positive(order, "order")
    chosen = [_problem(one) for one in (DEFAULT_PROBLEMS if problems is None else problems)]
    if not chosen:
        raise bad("problems", "none", "at least one problem", "leave it out for three small ones")
    caller = Caller(sampler, backend_of(backend, sampler, device), device, timeout, seed)
    share = rate / (len(chosen) * len(counts))
    verdicts: list[Verdict] = []
    missing: list[NotChecked] = []
    started, clock = now(), time.perf_counter()
    for problem in chosen:
        subject = {"problem": problem.name, "target": caller.name}
        first = finite(caller, problem, counts)
        verdicts.append(first)
        if first.user_code_failed:
            reason = "the sampler failed: see the verdict on finite"
            for claim in (
                "reproducible",
                "rows-independent",
                "law",
                "consistent",
                "order",
                "step-order",
            ):
                missing.append(NotChecked(claim=claim, subject=subject, reason=reason))
            continue
        verdicts.append(reproducible(caller, problem, counts[0]))
        rows = rows_independent(caller, problem, counts[0])
        (missing if isinstance(rows, NotChecked) else verdicts).append(rows)  # type: ignore[arg-type]
        for k in counts:
            allowed = limit * (counts[-1] / k) ** p
            if allowed >= CAP:
                reason = f"the tolerance at {k} steps would be {allowed:.3g}, which nothing could exceed"
                missing.append(
                    NotChecked(claim="law", subject={**subject, "steps": k}, reason=reason)
                )
                continue
            verdicts.append(_law(caller, problem, k, allowed, budget, share))
        for claim in ("consistent", "order", "step-order"):
            missing.append(NotChecked(claim=claim, subject=subject, reason=_NEEDS_LAW))
    missing.append(
        NotChecked(
            claim="clock", subject={"target": caller.name}, reason="adapters of libraries only"
        )
    )
    return Report(
        verdicts=tuple(verdicts),
        not_checked=tuple(missing),
        provenance=provenance(seed=seed, started=started, seconds=time.perf_counter() - clock),
        profile="custom",
        false_alarm=rate,
    )


def _law(
    caller: Caller,
    problem: Problem,
    steps: int,
    tolerance: float,
    budget: int | None,
    level: float,
) -> Verdict:
    """The law of the output at one step count, by the effects of :func:`check_samples`."""
    from ...theory.empirical import PointMasses

    atoms = isinstance(problem.law, PointMasses)
    target = problem.marginal(problem.t_min) if atoms else problem.law
    verdict = check_samples(
        caller.source(problem, steps),
        target,
        tolerance=tolerance,
        budget=budget,
        false_alarm=level,
        seed=caller.seed,
        timeout=caller.timeout,
    )
    time = f"t = {problem.t_min:g}" if atoms else "t = 0"
    evaluations = caller.run(
        problem, 2, steps, caller.generator("evaluations", problem.name, steps)
    )
    return replace(
        verdict,
        claim="law",
        statement=f"the draws of {steps} steps have the law of the data at {time}, to the tolerance {tolerance:.3g}",
        subject={
            "problem": problem.name,
            "target": caller.name,
            "steps": steps,
            "evaluations": evaluations.evaluations,
            "clock": "t",
        },
        assumptions=(*verdict.assumptions, f"judged on samples at {time}"),
    )


def _counts(steps: Sequence[int]) -> tuple[int, ...]:
    counts = sorted({int(k) for k in steps}) if all(int(k) == k for k in steps) else []
    if not counts or counts[0] < 1:
        raise bad("steps", list(steps), "positive integers", "pass e.g. steps=(8, 16, 32)")
    return tuple(counts)


def _problem(one: str | Problem) -> Problem:
    if isinstance(one, Problem):
        return one.fresh()
    if one not in PROBLEMS:
        raise bad("problems", repr(one), f"names among {', '.join(PROBLEMS)}", "correct the name")
    return PROBLEMS[one]
