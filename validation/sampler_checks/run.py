"""``check_sampler``: any sampler, fed with exact scores, against the exact law of what it should return.

Where the law of the output can be known without sampling it is: on Gaussian data from the affine map of the
noise, in one dimension by pushing quantiles through a deterministic sampler. Then W2 to the data is measured against
``[0, sqrt(tr Cov) min(1, tolerance (N/n)^p)]``, N the largest step count and p the declared order (1 if none).
Elsewhere the law is judged on samples (the effects of :func:`check_samples`), with the tolerance
``tolerance (N/n)^p`` at n steps, and the verdict says why.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...numerics.exact_law import Refused
from ...theory._checks import bad, positive
from ...theory.empirical import PointMasses
from ..adapters.adapter import Adapter
from ..evidence import Outcome
from ..problems import PROBLEMS, Problem
from ..provenance import now, provenance
from ..sample_checks import check_samples, samples_needed
from ..verdict import NotChecked, Report, Verdict
from .attached import Budgets
from .behaviour import finite, reproducible, rows_independent
from .calls import Call, Caller, Sampler, backend_of
from .clock import clock
from .diagnoses import Diagnoses
from .exact import KnownLaw, Prober, law_verdict
from .invariance import equivariant
from .ladder import ladder_verdicts
from .pushed_ladder import pushed_verdicts
from .steps import decided_step_order

DEFAULT_PROBLEMS = ("mixture-1d", "gaussian-2d", "mixture-8d")
#: Beyond this the tolerance of an effect on samples leaves nothing that could be refuted.
CAP = 0.5
_MOST = 1_000_000  #: draws for one law by default
_NUMBERS = 100_000_000  #: numbers drawn beyond what an exact sampler needs: memory in thousands of dimensions
_FINE = Outcome.SUPPORTED
_UNSTEADY = "the same generator gives other draws, see the verdict on reproducible"
_FAILED = "the sampler failed: see the verdict on finite"
_NEEDS_LAW = (
    "needs an output that is an affine map of its noise, on Gaussian data, or a deterministic "
    "sampler in one dimension"
)
_NEEDS_MAP = "needs an output that is an affine map of its noise, on Gaussian data"


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
    progress: Callable[[Verdict | NotChecked], None] | None = None,
) -> Report:
    """Checks a sampler of a diffusion model against exact truth.

    Args:
        sampler: ``(problem, n, *, steps, rng) -> (n, *problem.shape)``. It calls ``problem.score(x, t)`` (or
            ``denoiser``, ``noise``, ``velocity``), starts from ``problem.prior(n, rng=rng)`` and may use
            ``problem.times(steps)`` and ``problem.sde``. On the torch backend ``rng`` is a torch generator and
            all arrays are tensors. An adapter of another library (see ``scoreproof.validation.adapters``) brings
            its backend, its declared order and whether it is deterministic; its problems are put under the
            diffusion that it is made for, and its law is measured on both clocks.
        problems: names of :data:`PROBLEMS` or problems; three small ones by default.
        steps: step counts.
        order: declared order of the method's formula; it scales the tolerance at fewer steps.
        deterministic: declared; a sampler that draws noise on the way is refuted where True, one that draws
            none where False. None leaves it open.
        tolerance: at the largest step count, below 1/2: W2 in units of ``sqrt(tr Cov)`` where the law is known; on
            samples of every effect, probability for weights and distribution functions, standard deviations for
            means, relative for variances.
        budget: draws for one law; by default four times what an exact sampler needs, so that one that uses up
            half of the tolerance is still decided.
        false_alarm: rate for the whole call, split evenly over the laws.
        seed: entropy of the call.
        timeout: seconds a call of the sampler; then it runs in a process of its own.
        backend: ``"numpy"`` or ``"torch"``.
        device: torch device.
        dtype: ``"float32"`` if the sampler rounds to float32 inside, where draws may repeat by rounding.
        progress: told of each result when it is there.

    Returns:
        A report with the claims ``finite``, ``reproducible``, ``rows-independent``, ``equivariant``, ``law`` (one
        verdict a problem, step count and clock), ``consistent`` and ``order`` (on Gaussian data, and for deterministic
        samplers in one dimension), ``step-order`` on Gaussian data, and for adapters ``clock``; what does not apply
        stands in ``not_checked``. On Gaussian data the error budget stands beside the law (:func:`error_budget`), and
        the diagnosis of what fails names the nearest known mistake (:mod:`scoreproof.validation.fingerprints`) and
        the first wrong step.

    Raises:
        ValueError: unknown problem, bad step counts, tolerance, budget or backend. What the sampler does wrong
            is no exception but an ERROR in the report, and the rest goes on.
    """
    counts = _counts(steps)
    rate = positive(false_alarm, "false_alarm")
    limit = positive(tolerance, "tolerance")
    if limit >= CAP:
        raise bad("tolerance", f"{limit:g}", f"a number below {CAP:g}", "pass e.g. 0.05")
    if dtype not in ("float64", "float32"):
        raise bad("dtype", repr(dtype), "'float64' or 'float32'", "correct it")
    if budget is not None and (int(budget) != budget or budget < 64):
        raise bad("budget", budget, "an integer of at least 64", "allow more draws")
    if timeout is not None:
        positive(timeout, "timeout")
    adapter = sampler if isinstance(sampler, Adapter) else None
    chosen = _problems(problems)
    if adapter is not None:
        order = adapter.order if order is None else order
        deterministic = adapter.deterministic if deterministic is None else deterministic
        backend = adapter.backend if backend is None else backend
        chosen = [adapter.truth(problem) for problem in chosen]
    p = 1.0 if order is None else positive(order, "order")
    caller = Caller(sampler, backend_of(backend, sampler, device), device, timeout, seed)
    started, begun = now(), time.perf_counter()
    run = _Run(
        caller,
        counts,
        order,
        deterministic,
        tuple(limit * (counts[-1] / k) ** p for k in counts),
        budget,
        rate / (len(chosen) * len(counts) * (1 if adapter is None else 2)),
        dtype,
    )
    verdicts: list[Verdict] = []
    missing: list[NotChecked] = []
    for problem in chosen:
        for one in run.on(problem):
            if progress is not None:
                progress(one)
            (missing if isinstance(one, NotChecked) else verdicts).append(one)  # type: ignore[arg-type]
    return Report(
        verdicts=tuple(verdicts),
        not_checked=tuple(missing),
        provenance=provenance(seed=seed, started=started, seconds=time.perf_counter() - begun),
        profile="custom",
        false_alarm=rate,
    )


@dataclass(frozen=True)
class _Run:
    """What is common to all problems of one call."""

    caller: Caller
    counts: tuple[int, ...]
    order: float | None
    deterministic: bool | None
    tolerances: tuple[float, ...]  #: of the law, one a step count
    budget: int | None
    level: float
    dtype: str

    def on(self, problem: Problem) -> Iterator[Verdict | NotChecked]:
        """All verdicts on one problem; a step count that failed is left out of the later ones."""
        subject = {"problem": problem.name, "target": self.caller.name}
        yield self._clock(problem, subject)
        verdict, calls = finite(self.caller, problem, self.counts)
        yield verdict
        steady = False
        mixing: bool | None = None
        if calls:
            least = min(calls)
            verdict, steady = reproducible(
                self.caller, problem, least, calls[least], deterministic=self.deterministic
            )
            yield verdict
            if steady:
                rows = rows_independent(self.caller, problem, least, calls[least])
                yield rows
                mixing = None if isinstance(rows, NotChecked) else rows.outcome is not _FINE
                yield equivariant(self.caller, problem, least, calls[least], mixing=mixing)
            else:
                for claim in ("rows-independent", "equivariant"):
                    yield NotChecked(claim=claim, subject=subject, reason=_UNSTEADY)
        else:
            for claim in ("reproducible", "rows-independent", "equivariant"):
                yield NotChecked(claim=claim, subject=subject, reason=_FAILED)
        prober = Prober(self.caller, problem, mixing)
        kinds: set[str | None] = set()
        causes = Diagnoses(prober, tuple(calls), self.order, self._rungs)
        for law in self._laws(prober, calls, steady):
            kinds |= {law.kinds["strongest"]} if isinstance(law, Verdict) else set()
            yield causes.told(law) if "exact" in kinds and isinstance(law, Verdict) else law
        other = self._other_clock()
        if other is not None and calls:
            _, again = finite(other.caller, problem, tuple(calls))
            twin = Prober(other.caller, problem, mixing)
            yield from other._laws(twin, again, steady, sampled=False)
        if "exact" in kinds:
            for one in (
                *self._ladder(prober, subject, affine=True),
                self._step_order(causes, subject),
            ):
                yield causes.told(one) if isinstance(one, Verdict) else one
        elif "quadrature" in kinds:
            yield from self._ladder(prober, subject, affine=False)
            yield NotChecked(claim="step-order", subject=subject, reason=_NEEDS_MAP)
        else:
            for claim in ("consistent", "order", "step-order"):
                yield NotChecked(claim=claim, subject=subject, reason=_NEEDS_LAW)

    def _clock(self, problem: Problem, subject: dict[str, Any]) -> Verdict | NotChecked:
        sampler = self.caller.sampler
        if not isinstance(sampler, Adapter):
            return NotChecked(claim="clock", subject=subject, reason=Adapter.no_clock)
        limit = self.caller.timeout
        return clock(sampler, problem, subject, timeout=limit, seed=self.caller.seed)

    def _other_clock(self) -> _Run | None:
        """The run with the model told the sampler's own noise level, where it was not."""
        sampler = self.caller.sampler
        if not isinstance(sampler, Adapter) or sampler.clock != "t":
            return None
        other = sampler.on("sigma")
        return None if other is None else replace(self, caller=replace(self.caller, sampler=other))

    @property
    def _rungs(self) -> tuple[int, ...] | None:
        sampler = self.caller.sampler
        return sampler.rungs if isinstance(sampler, Adapter) else None

    def _step_order(self, causes: Diagnoses, subject: dict[str, Any]) -> Verdict | NotChecked:
        if isinstance(causes.path, str):
            return NotChecked(claim="step-order", subject=subject, reason=causes.path)
        sampler = self.caller.sampler
        one = decided_step_order(
            causes.prober, causes.path, self.order, subject, finer=self._rungs is None
        )
        return (
            _of_library(one, sampler)
            if isinstance(one, Verdict) and isinstance(sampler, Adapter)
            else one
        )

    def _ladder(
        self, prober: Prober, subject: dict[str, Any], *, affine: bool
    ) -> Iterator[Verdict | NotChecked]:
        sampler, most = self.caller.sampler, self.counts[-1]
        about = dict(subject)
        for one in (
            ladder_verdicts(
                prober.affine, prober.problem, most, self.order, about, rungs=self._rungs
            )
            if affine
            else pushed_verdicts(prober, most, self.order, about, rungs=self._rungs)
        ):
            if isinstance(one, Verdict) and one.claim == "order" and isinstance(sampler, Adapter):
                yield _of_library(one, sampler)
            else:
                yield one

    def _laws(
        self, prober: Prober, calls: dict[int, Call], steady: bool, *, sampled: bool = True
    ) -> Iterator[Verdict | NotChecked]:
        """The law at every step count, on the clock of the sampler."""
        problem = prober.problem
        told = getattr(self.caller.sampler, "clock", "t")
        subject = {"problem": problem.name, "target": self.caller.name, "clock": told}
        budgets = Budgets(self.caller, problem, self.counts, charts=sampled)
        for k, allowed in zip(self.counts, self.tolerances, strict=True):
            if k not in calls:
                yield NotChecked(claim="law", subject={**subject, "steps": k}, reason=_FAILED)
                continue
            known: KnownLaw | None = None
            why = _UNSTEADY
            if steady:
                try:
                    known = prober.law(k, calls[k])
                except Refused as error:
                    why = str(error)
            if known is None and not sampled:
                reason = f"this clock is measured where the law is known exactly: {why}"
                yield NotChecked(claim="law", subject={**subject, "steps": k}, reason=reason)
                continue
            if allowed >= (CAP if known is None else 1.0):
                reason = f"the tolerance at {k} steps would be {allowed:.3g}, which leaves nothing to refute"
                yield NotChecked(claim="law", subject={**subject, "steps": k}, reason=reason)
                continue
            about = {**subject, "steps": k, "evaluations": calls[k].evaluations}
            if known is not None:
                said = law_verdict(known, allowed, k, about, self.caller.seed)
                yield budgets.attach(said, known, k)
            else:
                yield self._law(problem, k, allowed, about, why)

    def _law(
        self, problem: Problem, steps: int, tolerance: float, subject: dict[str, Any], why: str
    ) -> Verdict:
        """The law of the output at one step count, by the effects of :func:`check_samples`."""
        # Point masses have no density to compare with: they are judged at the end of sampling.
        atoms = isinstance(problem.law, PointMasses)
        target = problem.marginal(problem.t_min) if atoms else problem.law
        verdict = check_samples(
            self.caller.source(problem, steps),
            target,
            tolerance=tolerance,
            budget=self._draws(target, tolerance) if self.budget is None else self.budget,
            false_alarm=self.level,
            seed=self.caller.seed,
            dtype=self.dtype,
        )
        at = f"t = {problem.t_min:g}" if atoms else "t = 0"
        return replace(
            verdict,
            claim="law",
            statement=f"the draws of {steps} steps have the law of the data at {at}, within {tolerance:.3g}",
            subject=subject,
            assumptions=(*verdict.assumptions, f"judged on samples at {at}: {why}"),
            finding=f"Judged on samples: {why}.",
        )

    def _draws(self, target: Any, tolerance: float) -> int | None:
        """Intervals shrink like the root of the number of draws: four times as many halve them."""
        try:
            needed = samples_needed(target, tolerance=tolerance, false_alarm=self.level)
        except ValueError:  # a law without an exact map to normals: check_samples says so
            return None
        roomy = max(needed, _NUMBERS // int(target.dim))
        return min(4 * needed, roomy, _MOST)


def _of_library(order: Verdict, sampler: Adapter) -> Verdict:
    """The order with the sentence that declares it; the formula is judged only where both ends of the grid stay.

    A function of the user's has no such sentence: the order is what the caller asks of it.
    """
    source = (sampler.order_quote,) if sampler.order_quote else ()
    if sampler.fixed_ends or not source:
        return replace(order, source=source)
    return replace(
        order,
        role="informative",
        source=source,
        assumptions=(
            *order.assumptions[:1],
            "on the library's own grid, whose last step shrinks with the number of steps: an order below that of "
            "the formula is no defect",
        ),
    )


def _counts(steps: Sequence[int]) -> tuple[int, ...]:
    try:
        given = [float(k) for k in steps]
    except (TypeError, ValueError):
        given = []
    if not given or not all(k >= 1 and k == int(k) for k in given):
        shown = repr(steps)[:60]
        raise bad("steps", shown, "positive integers", "pass e.g. steps=(8, 16, 32)")
    return tuple(sorted({int(k) for k in given}))


def _problems(problems: Sequence[str | Problem] | str | Problem | None) -> list[Problem]:
    if problems is None:
        problems = DEFAULT_PROBLEMS
    elif isinstance(problems, str | Problem):
        problems = (problems,)
    chosen = [_problem(one) for one in problems]
    if not chosen:
        raise bad("problems", "none", "at least one problem", "leave it out for three small ones")
    names = [problem.name for problem in chosen]
    for name in names:
        if names.count(name) > 1:
            raise bad("problems", f"{name!r} twice", "each name once", "rename one of them")
    return chosen


def _problem(one: str | Problem) -> Problem:
    if isinstance(one, Problem):
        return one.fresh()
    if one not in PROBLEMS:
        raise bad("problems", repr(one), f"names among {', '.join(PROBLEMS)}", "correct the name")
    return PROBLEMS[one]
