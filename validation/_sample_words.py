"""The verdict on samples in evidence and in words."""

from __future__ import annotations

import math

import numpy as np

from ..numerics.e_processes import rare_ceiling
from ..numerics.effects import Effect
from ._sample_families import axis_words, family_words, weight_words
from ._sample_mutants import exact_shift, price
from ._sample_run import Run
from .evidence import Allowed, Evidence, Kind, Measured, Outcome
from .verdict import Diagnosis, Verdict

NOT_CHECKED = (
    "certified are the effects named in the evidence; not checked: total variation, divergences, moments beyond "
    "the second, covariances other than along the projections, mass beyond 6 standard deviations except its size"
)
ROUNDED = (
    "exact draws are rounded once, to the stated precision, and made from at least 52 random bits a number (22 in "
    "single precision): that is how often they may repeat"
)
_MEANING = {
    "weights": "largest error of a component weight",
    "cumulated": "largest error of a sum of the first component weights",
    "cdf": "largest distance of distribution functions over coordinates and projections",
    "radius": "distance of the distribution functions of the whitened radius",
    "mean": "largest mean shift in standard deviations",
    "variance": "largest relative error of a mean square",
    "beyond": "largest mass beyond 6 standard deviations",
    "neighbours": "largest excess of like signs in consecutive draws",
}


def pieces(run: Run, *, wanted: int, seconds: float) -> tuple[Evidence, ...]:
    """Evidence of both machines; one allowed interval ``[0, tolerance]`` for every family."""
    kind: Kind = "quadrature" if run.shape.error else "confidence"
    top = Allowed(0.0, run.tolerance)
    share = seconds / (len(run.effects) + 2)
    out = []
    for e in run.effects:
        out.append(
            Evidence(
                check=e.name,
                kind=kind,
                measured=Measured(e.value, e.low, e.high),
                allowed=top,
                deciding=not run.exact,
                level=run.level,
                n=run.looked,
                detectable=e.detectable,
                seed=run.seed,
                seconds=share,
                message=_sentence(e, run, wanted),
            )
        )
    if run.ties is not None:
        out.append(_repeats(run, top, share))
    out.append(_test(run, share))
    return tuple(out)


def _repeats(run: Run, top: Allowed, seconds: float) -> Evidence:
    """Repeated draws, less those that rounding explains: anything from none to the ceiling of exact draws."""
    assert run.ties is not None
    n, rows, watched = run.n, run.ties.repeats / run.n, run.ties.watched
    low = run.repeated_share
    # Where only some values are watched, the number of those that came twice is known up to the root of its estimate.
    more = 0.0 if watched == 1 else 4 * math.sqrt(rows / (watched * n))
    # The share of copies fluctuates by the root of n, the ceiling is allowed for.
    ceiling = rare_ceiling(run.ties.expected, run.repeats_level) / (watched * n)
    detectable = ceiling + math.sqrt(math.log(1e4) / (2 * n))
    return Evidence(
        check="repeats",
        kind="confidence",
        measured=Measured(rows, low, rows + more),
        allowed=top,
        deciding=not run.exact,
        level=run.repeats_level,
        n=n,
        detectable=detectable,
        seed=run.seed,
        seconds=seconds,
        message=_ties(run)
        or f"{run.ties.rows} of {n} draws repeat an earlier one; up to {run.ties.expected:.2g} are expected of "
        "exact draws of this precision"
        + ("" if watched == 1 else f"; one in {1 / watched:g} values is watched"),
    )


def _test(run: Run, seconds: float) -> Evidence:
    peak = run.refuting.peak
    needed = -math.log(run.false_alarm)
    text = (
        f"log10 e reached {peak / math.log(10):.2f}, {needed / math.log(10):.1f} refutes exactness"
    )
    if run.refuting.leading:
        text += f"; strongest: {run.refuting.leading}"
    if run.tied:
        text += f"; {_ties(run)}"
    detectable = None
    if run.shape.dim:
        detectable = exact_shift(
            run.n, run.shape.dim, price(run.refuting, "means", run.false_alarm)
        )
        text += f"; a shift of one direction by {detectable:.2g} standard deviations is sure to be seen"
    return Evidence(
        check="exact",
        kind="test",
        deciding=run.exact,
        log10_e=peak / math.log(10),
        level=run.false_alarm,
        n=run.n,
        detectable=detectable,
        seed=run.seed,
        seconds=seconds,
        message=text,
    )


def _sentence(e: Effect, run: Run, wanted: int) -> str:
    text = f"{_MEANING[e.name]}: {e.value:.3g}, certified in [{e.low:.3g}, {e.high:.3g}]"
    if e.low <= run.tolerance < e.high:
        text += f"; {_more(e, run, wanted)}"
    return text


def _more(e: Effect, run: Run, wanted: int) -> str:
    if run.looked < 0.9 * wanted:
        return f"{wanted} draws decide for an exact sampler"
    gap = abs(run.tolerance - e.value)
    width = e.high - e.value if e.value < run.tolerance else e.value - e.low
    if gap <= 0.02 * run.tolerance:
        return "the effect is at the tolerance itself, so that no number of draws decides"
    return f"about {int(np.ceil(run.looked * (width / gap) ** 2 * 1.1)):,} draws would decide"


def _ties(run: Run) -> str:
    found = run.found() if run.tied or run.repeated_share > 0 else None
    if found is None:
        return ""
    heaped = found.heap is not None and run.target.dim == 1 and 3 * found.heap[2] > found.rows
    if found.rows and found.first is not None and not heaped:
        copy, original = found.first
        text = f"{found.rows} of {run.n} draws repeat earlier ones: draw {copy} equals draw {original}"
        return text + (f"; draws repeat every {found.period}" if found.period else "")
    if found.heap is not None:
        j, value, hits = found.heap
        return f"coordinate {j} takes its extreme value {value:.6g} {hits} times: the support is clipped"
    return ""


def diagnosis(run: Run, verdict: Verdict, *, wanted: int) -> Diagnosis | None:
    """What is wrong, worst first; None for a supported law that is not refuted either."""
    if verdict.decided is Outcome.SUPPORTED and not verdict.exact_refuted:
        return None
    ties = _ties(run)
    if ties and (run.tied or run.repeated_share > run.tolerance):
        return Diagnosis(text=ties, cause="repeats", distance=run.repeated_share)
    ranked = sorted(run.effects, key=lambda e: (-(e.low > run.tolerance), -_excess(e)))
    said = [e for e in ranked if e.low > run.tolerance]
    if said:
        text = "; ".join(describe(e, run) for e in said[:3])
        other = said[1].name if len(said) > 1 else None
        return Diagnosis(text=text, cause=said[0].name, distance=said[0].value, runner_up=other)
    if verdict.exact_refuted:
        return _exact_words(run, ranked)
    if ranked:
        e = max(run.effects, key=lambda e: e.high)
        if run.exact or e.high <= run.tolerance:
            return None
        return Diagnosis(text=_sentence(e, run, wanted), cause=None, distance=e.value)
    return None


def _excess(e: Effect) -> float:
    """How many noise widths the effect is away from zero."""
    return e.value / max(e.high - e.value, 1e-300)


def _exact_words(run: Run, ranked: list[Effect]) -> Diagnosis:
    name = run.refuting.leading
    text = f"not exactly this law (e-process, strongest in: {name})"
    said = family_words(run, name)
    return Diagnosis(
        text=f"{text}; {said}" if said else text,
        cause=name,
        distance=None,
        runner_up=ranked[0].name if ranked else None,
    )


def describe(e: Effect, run: Run) -> str:
    """One effect in words and numbers."""
    d = run.shape.dim
    axis = axis_words(run, e.worst) if e.worst < d else f"random projection {e.worst - d}"
    low = f"at least {e.low:.3g}"
    if e.name == "weights":
        return weight_words(run.sums.counts / run.n, run, k=e.worst)
    if e.name == "cumulated":
        truth = float(run.shape.weights[: e.worst + 1].sum())
        return (
            f"components 0 to {e.worst} have weight {truth + e.signed:.3g} instead of {truth:.3g}"
        )
    if e.name == "mean":
        return f"the mean of whitened {axis} is off by {e.signed:+.3g} standard deviations ({low})"
    if e.name == "variance":
        side = "large" if e.signed > 0 else "small"
        return (
            f"the variance along whitened {axis} is {100 * abs(e.signed):.3g} % too {side} ({low})"
        )
    if e.name == "cdf":
        followed = min(d, 64)
        inside = e.worst < followed
        axis = axis_words(run, e.worst) if inside else f"random projection {e.worst - followed}"
        return f"the distribution function of whitened {axis} is off by {e.signed:+.3g} ({low})"
    if e.name == "radius":
        return (
            f"the distribution function of the whitened radius is off by {e.signed:+.3g} ({low})"
        )
    if e.name == "beyond":
        return f"a mass of {e.value:.3g} lies beyond 6 standard deviations of whitened {axis}"
    more = "share" if e.signed > 0 else "differ in"
    return f"consecutive draws {more} the sign of coordinate {e.worst % d} too often ({e.signed:+.3g})"
