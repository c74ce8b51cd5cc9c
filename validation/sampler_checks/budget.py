"""``error_budget``: what a sampler's distance from the data is made of, and what an error of the score would cost.

On Gaussian data, where the law of every stage is known without sampling: the data, the diffused data at ``t_min``,
what the exact reversal makes of the start, the sampler with the exact score, the sampler with a score that errs, and
last the same with rounded numbers (that one from paired draws).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...numerics.error_budget import (
    Chain,
    Link,
    Sensitivity,
    Stage,
    band_edges,
    exact_reverse,
    exact_sensitivity,
)
from ...numerics.exact_law import AffineLaw
from ...numerics.gaussian_law import EigenLaw, GaussianReverse
from ...theory._checks import bad, positive
from ...theory.mixtures import GaussianMixture
from ...theory.protocols import Vector
from ..adapters.adapter import Adapter
from ..problems import PROBLEMS, Problem
from .calls import Caller, Sampler, backend_of
from .erring import Erring, Rounded, Rounding, ScoreError, Share
from .exact import Prober

BANDS = 8
_SEEN = 1e-12  #: relative; smaller distances are rounding and are said to be zero
_PAIRS = 4096  #: paired draws for the link of rounding
_NUDGE, _COARSE = (
    1e-4,
    1e-2,
)  #: relative score error of a difference quotient, in float64 and with float32 inside


@dataclass(frozen=True)
class ErrorBudget:
    """The chain from the data to the output of a sampler, and the price of score errors.

    Attributes:
        target: name of the sampler.
        problem: name of the problem.
        steps: number of steps.
        eta: reverse family of the link ``start``: 0 probability flow, 1 reverse SDE.
        chain: the laws; its links are ``truncation``, ``start``, ``discretisation`` and, if asked for, ``score`` and
            ``rounding``.
        sensitivity: of the sampler, measured; None where it was not asked for.
        limit: of the exact reversal, in closed form.
    """

    target: str
    problem: str
    steps: int
    eta: float
    chain: Chain
    sensitivity: Sensitivity | None = None
    limit: Sensitivity | None = field(default=None, repr=False)

    @property
    def links(self) -> tuple[Link, ...]:
        """What every stage adds."""
        return self.chain.links

    @property
    def whole(self) -> Link:
        """From the data to the output."""
        return self.chain.whole

    @property
    def figure(self) -> dict[str, Any]:
        """The chart, for :func:`scoreproof.validation.report.draw`."""
        from .budget_picture import figure

        return figure(self)

    @property
    def svg(self) -> str:
        """The chart as SVG."""
        from ..report.pictures import draw

        return draw(self.figure)

    def sentence(self) -> str:
        """The links in one sentence."""
        links, whole = self.links, self.whole
        least = _SEEN * self.chain.size
        parts = ", ".join(f"{k.name} {k.w2 if k.w2 > least else 0:.3g}" for k in links)
        total = sum(link.w2 for link in links)
        return f"W2 by link: {parts}; together {total:.3g}, the whole {whole.w2:.3g}"

    def __str__(self) -> str:
        size = self.chain.size
        rows = [f"{self.target} on {self.problem}, {self.steps} steps, W2 of Gaussian laws"]
        rows.append(f"{'link':<16}{'W2':>12}{'share of sd':>14}{'mean':>12}{'variance':>12}")
        for link in (*self.links, replace(self.whole, name="whole")):
            mean, spread = _worst(link.mean), _worst(np.diag(link.spread))
            share = 100 * link.w2 / size
            rows.append(
                f"{link.name:<16}{link.w2:>12.3g}{share:>12.3g} %{mean:>+12.3g}{spread:>+12.3g}"
            )
        if self.links[-1].high > self.links[-1].w2:
            rows.append(
                f"W2 of the link {self.links[-1].name} is at most {self.links[-1].high:.3g}, by paired draws"
            )
        if self.sensitivity is not None:
            rows.append(f"{'score error, noise level':<30}{'W2 a unit':>12}{'exact reversal':>18}")
            limit = (
                self.limit.cost
                if self.limit is not None
                else np.full(len(self.sensitivity.cost), np.nan)
            )
            edges = self.sensitivity.levels
            for k, (cost, ideal) in enumerate(zip(self.sensitivity.cost, limit, strict=True)):
                band = f"{edges[k + 1]:.3g} to {edges[k]:.3g}"
                rows.append(f"{band:<30}{cost:>12.3g}{ideal:>18.3g}")
        return "\n".join(rows)


def _worst(values: Vector) -> float:
    return float(values[int(np.argmax(np.abs(values)))])


def error_budget(
    sampler: Sampler,
    problem: str | Problem,
    steps: int,
    *,
    score_error: float | ScoreError | None = None,
    dtype: Rounding | None = None,
    eta: float | None = None,
    bands: int = BANDS,
    budget: int = _PAIRS,
    seed: int = 0,
    timeout: float | None = None,
    backend: str | None = None,
    device: str | None = None,
) -> ErrorBudget:
    """The error budget of a sampler on Gaussian data.

    W2 of every link and of the whole; signed differences of mean and covariance, which add up. A sampler that ends
    with a denoising step takes the truncation back in its link of discretisation.

    Args:
        sampler: as for :func:`check_sampler`.
        problem: with Gaussian data; a name or a problem.
        steps: number of steps.
        score_error: error of the score for the link ``score``: a number is relative (the score is multiplied by
            ``1 + score_error``), a function ``(x, t) -> like x`` is added to the score; it must be affine in x.
        dtype: ``"float32"`` or ``"bfloat16"``: start, arguments and answers of the model are rounded to it, for
            the link ``rounding``.
        eta: which exact reversal the link ``start`` belongs to: 0 the probability flow, 1 the reverse SDE; by
            default 0 for a sampler that draws no noise on the way, else 1.
        bands: bands of noise levels of the sensitivity; 0 leaves it out.
        budget: paired draws for the link ``rounding``.
        seed: entropy.
        timeout: seconds a call of the sampler.
        backend: ``"numpy"`` or ``"torch"``.
        device: torch device.

    Raises:
        ValueError: arguments out of range, or data that are not Gaussian.
        Refused: the output is no affine map of the sampler's noise; the message says why.
    """
    if isinstance(problem, str) and problem not in PROBLEMS:
        raise bad("problem", repr(problem), f"a name among {', '.join(PROBLEMS)}", "correct it")
    if isinstance(steps, bool) or int(steps) != steps or steps < 1:
        raise bad("steps", steps, "a positive integer", "pass e.g. 32")
    if dtype not in (None, "float32", "bfloat16"):
        raise bad("dtype", repr(dtype), "'float32', 'bfloat16' or None", "correct it")
    if int(bands) != bands or bands < 0:
        raise bad("bands", bands, "a number of bands, zero or more", "pass e.g. 8")
    if int(budget) != budget or budget < 64:
        raise bad("budget", budget, "an integer of at least 64", "allow more draws")
    chosen = PROBLEMS[problem] if isinstance(problem, str) else problem.fresh()
    if isinstance(sampler, Adapter):
        chosen = sampler.truth(chosen)
        backend = sampler.backend if backend is None else backend
    if not gaussian(chosen):
        raise bad("problem", repr(chosen), "Gaussian data", "pass e.g. 'gaussian-2d'")
    caller = Caller(sampler, backend_of(backend, sampler, device), device, timeout, seed)
    law = Prober(caller, chosen, None).affine(steps).law
    made = of_law(chosen, law, steps, caller.name, eta=eta)
    stages = list(made.chain.stages)
    if score_error is not None:
        erring = _erring(chosen, score_error)
        last = Prober(caller, erring, None).affine(steps).law
        stages.append(Stage("score", last.mean, last.covariance))
        chosen_last: Problem = erring
    else:
        chosen_last = chosen
    if dtype is not None:
        stages.append(_rounding(caller, chosen_last, steps, dtype, int(budget), stages[-1]))
    made = replace(made, chain=Chain.of(stages))
    return with_sensitivity(made, caller, chosen, law, int(bands)) if bands else made


def gaussian(problem: Problem) -> bool:
    """Whether the data of a problem are one Gaussian."""
    return isinstance(problem.law, GaussianMixture) and problem.law.components == 1


def of_law(
    problem: Problem, law: AffineLaw, steps: int, target: str, *, eta: float | None = None
) -> ErrorBudget:
    """The budget of a sampler with the exact score, whose output law is known.

    Args:
        problem: with Gaussian data.
        law: of the output.
        steps: number of steps.
        target: name of the sampler.
        eta: see :func:`error_budget`.
    """
    if eta is None:
        eta = 1.0 if _noisy(law) else 0.0
    elif eta != 0:
        positive(eta, "eta")
    reverse = GaussianReverse(EigenLaw.of(problem.law), problem.sde)
    t, s = problem.t_max, problem.t_min
    begin = reverse.marginal(t)
    if problem.start == "prior":
        usual = float(problem.sde.kernel(t).variance)
        begin = EigenLaw(0 * begin.mean, np.full_like(begin.variance, usual), begin.vectors)
    stages = (
        Stage.of("data", reverse.target),
        Stage.of("truncation", reverse.marginal(s)),
        Stage.of("start", begin.push(exact_reverse(reverse, t, s, eta=eta))),
        Stage("discretisation", law.mean, law.covariance),
    )
    return ErrorBudget(target, problem.name, steps, float(eta), Chain.of(stages))


def _noisy(law: AffineLaw) -> bool:
    """Whether noise is drawn on the way, and not multiplied by zero."""
    if law.gains is None:
        return any(not start for _, start in law.draws)
    size = float(np.sqrt(np.trace(law.covariance)))
    return any(gain.size and np.abs(gain).max() > _SEEN * size for gain in law.gains)


def with_sensitivity(
    made: ErrorBudget, caller: Caller, problem: Problem, law: AffineLaw, bands: int
) -> ErrorBudget:
    """The budget with the price of score errors, by central differences of exact laws.

    Args:
        made: the budget so far.
        caller: calls the sampler.
        problem: its problem.
        law: of its output.
        bands: number of bands, positive.
    """
    reverse = GaussianReverse(EigenLaw.of(problem.law), problem.sde)
    edges = band_edges(reverse, problem.t_max, problem.t_min, bands)
    eps = _COARSE if law.single else _NUDGE
    mean, spread = [], []
    for k in range(bands):
        low = 0.0 if k == bands - 1 else float(edges[k + 1])
        high = np.inf if k == 0 else float(edges[k])
        up, down = (
            Prober(caller, Erring.scaled(problem, _band(low, high, e)), None)
            .affine(made.steps)
            .law
            for e in (eps, -eps)
        )
        mean.append((up.mean - down.mean) / (2 * eps))
        spread.append((up.covariance - down.covariance) / (2 * eps))
    levels = np.array([float(problem.sde.noise_level(t)) for t in edges])
    measured = Sensitivity.of(levels, np.stack(mean), np.stack(spread), law.covariance)
    limit = exact_sensitivity(reverse, edges, eta=made.eta)
    return replace(made, sensitivity=measured, limit=limit)


def _band(low: float, high: float, eps: float) -> Share:
    """``eps`` for ``low < t <= high``, else zero."""
    return lambda t: eps if low < t <= high else 0.0


def _erring(problem: Problem, error: float | ScoreError) -> Problem:
    if callable(error):
        return Erring.added(problem, error)
    try:
        share = float(error)
    except (TypeError, ValueError):
        raise bad(
            "score_error", repr(error)[:60], "a number or a function (x, t)", "pass e.g. 0.01"
        ) from None
    if not np.isfinite(share):
        raise bad("score_error", share, "a finite number", "pass e.g. 0.01")
    return Erring.scaled(problem, lambda t: share)


def _rounding(
    caller: Caller, problem: Problem, steps: int, dtype: Rounding, n: int, before: Stage
) -> Stage:
    """The stage with rounded numbers: moments move by what paired draws from the same generator say."""
    rounded = Rounded.of(problem, dtype)
    plain, coarse = (
        caller.run(one, n, steps, caller.generator("rounding", problem.name)).draws
        for one in (problem, rounded)
    )
    moved = coarse - plain
    mean = moved.mean(axis=0)
    off, centred = moved - mean, plain - plain.mean(axis=0)
    cross = centred.T @ off / (n - 1)
    covariance = before.covariance + cross + cross.T + off.T @ off / (n - 1)
    coupled = float(np.sqrt((moved**2).sum(axis=1).mean()))
    return Stage("rounding", before.mean + mean, covariance, coupled)
