"""``check_samples``: do these draws have that law?

Two machines read one stream. The supporting machine certifies bounded effects for whatever law the draws have and
decides by ``tolerance``; the refuting machine, an e-process against "independent and exactly from the law",
gives ``exact_refuted`` and decides with ``exact=True``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..numerics.effect_plans import samples_for
from ..numerics.gaussianise import Gaussianiser, gaussianiser
from ..numerics.rng import substream
from ..theory._checks import bad, positive
from ..theory.protocols import Vector
from ._line_run import LineRun
from ._sample_mutants import Stream, bounded_mutants, exact_mutants, repeated_mutant
from ._sample_pictures import figure
from ._sample_run import LOOKS, Batches, Run
from ._sample_words import NOT_CHECKED, ROUNDED, diagnosis, pieces
from ._unmapped import Unmapped
from ._unmapped_verdict import judge
from ._user_code import UserCodeError, as_draws, call_user, law_or_refuse, library_of
from .evidence import Evidence, Outcome
from .verdict import Mutant, Verdict

_BATCHES = 32  #: calls of ``draw`` that follow a tolerance, of geometrically growing sizes
_FIRST = 500
_PACE = 1.05  #: ratio of the looks with ``exact=True``
_CELLS = 1 << 23  #: numbers that one call of ``draw`` is asked for at most
_MOST = 1_000_000  #: default budgets end here
_LEAST = 64


def samples_needed(target: Any, *, tolerance: float = 0.05, false_alarm: float = 1e-6) -> int:
    """Number of draws with which an exact sampler of ``target`` is SUPPORTED with probability 1 - 1e-4.

    Args:
        target: the law.
        tolerance: as in :func:`check_samples`.
        false_alarm: as in :func:`check_samples`.

    Raises:
        ValueError: arguments out of range, or a law without an exact map to normals.
    """
    _ranges(tolerance, false_alarm)
    return _needed(gaussianiser(target), tolerance, false_alarm)


def check_samples(
    draw: Callable[..., Any] | Any,
    target: Any,
    *,
    tolerance: float = 0.05,
    exact: bool = False,
    budget: int | None = None,
    false_alarm: float = 1e-6,
    seed: int = 0,
    timeout: float | None = None,
    backend: str | None = None,
    device: Any = None,
    dtype: str = "float64",
) -> Verdict:
    """Checks draws against a law; claim id ``samples``.

    Args:
        draw: ``(n, *, rng) -> (n, d)``, or an array ``(n, d)`` (``(n,)`` in one dimension).
        target: the law.
        tolerance: allowed size of every effect: probability for distribution functions and weights,
            standard deviations for means, relative for variances.
        exact: decide by the e-process alone (REFUTED or UNDECIDED, never SUPPORTED).
        budget: largest number of draws; None: :func:`samples_needed`, at most a million.
        false_alarm: probability of a false REFUTED, and of a false SUPPORTED.
        seed: entropy; the same seed gives the same verdict.
        timeout: seconds for each call of ``draw``; None runs it in process without limit.
        backend: ``"torch"`` gives ``draw`` a torch.Generator as ``rng``; None or ``"numpy"`` a numpy one.
        device: device of that generator.
        dtype: ``"float32"`` if ``draw`` rounds to float32 inside, where rows may repeat by rounding.

    Returns:
        A verdict; what ``draw`` does wrong is in it as ERROR.

    Raises:
        ValueError: arguments out of range, ``draw`` neither callable nor an array, or ``target`` no law.
    """
    _ranges(tolerance, false_alarm)
    if dtype not in ("float64", "float32"):
        raise bad("dtype", repr(dtype), "'float64' or 'float32'", "correct it")
    backend = library_of(backend, device)
    if timeout is not None:
        positive(timeout, "timeout")
    law_or_refuse(target, "target")
    if not callable(draw) and not hasattr(draw, "__len__"):
        raise bad("draw", type(draw).__name__, "a function (n, *, rng) or an array", "pass one")
    if budget is not None and (int(budget) != budget or budget < _LEAST):
        raise bad("budget", budget, f"an integer of at least {_LEAST}", "allow more draws")
    extent = "exactly" if exact else "as far as the effects below go, within the tolerance"
    reading = (
        f"tolerance {tolerance:g}: probability for distribution functions and weights, standard deviations for means, "
        "relative for variances"
    )
    if exact:
        reading = "the effects are measured beside the test and do not decide"
    bare = Verdict(
        claim="samples",
        statement=f"The draws are independent and their law is {target!r}, {extent}.",
        assumptions=(
            "draws are independent: antithetic, quasi-random or stratified draws are refuted",
            reading,
            NOT_CHECKED,
            ROUNDED,
        ),
        subject={"target": repr(target)},
    )
    try:
        shape = gaussianiser(target)
    except ValueError as error:
        if not (
            hasattr(target, "score")
            or hasattr(target, "draw_with")
            or hasattr(target, "transport")
            or LineRun.knows(target)
        ):
            return replace(bare, finding=f"not decided: {error}")
        other = Unmapped(target, tolerance, exact, false_alarm, seed)
        dim = int(target.dim)
        return judge(
            other,
            bare,
            budget,
            lambda n: _source(draw, dim, n, seed, timeout, backend, device, False),
        )
    wanted = _needed(shape, tolerance, false_alarm)
    n = min(wanted, _MOST) if budget is None else int(budget)
    run = Run(shape, target, tolerance, exact, false_alarm, seed, dtype == "float32")
    start = time.perf_counter()
    try:
        run.go(_source(draw, int(target.dim), n, seed, timeout, backend, device, exact))
    except UserCodeError as error:
        seconds = time.perf_counter() - start
        failed = Evidence.error("draw", str(error), kind="confidence", seconds=seconds)
        return replace(bare, evidence=(failed,), samples_used=run.n)
    verdict = _verdict(run, bare, wanted, time.perf_counter() - start)
    if not callable(draw) and run.n < len(draw):
        read = f"The first {run.n:,} of {len(draw):,} rows were read; nothing is said of the rest."
        verdict = replace(verdict, finding=read)
    return verdict


def _needed(shape: Gaussianiser, tolerance: float, false_alarm: float) -> int:
    level = false_alarm * LOOKS[-1][1]
    return samples_for(shape.weights, shape.dim, tolerance=tolerance, level=level)


def _ranges(tolerance: float, false_alarm: float) -> None:
    if not 0 < tolerance < 1:
        raise bad("tolerance", tolerance, "a number between 0 and 1", "pass e.g. 0.05")
    if not 0 < false_alarm < 0.5:
        raise bad("false_alarm", false_alarm, "a probability below 1/2", "pass e.g. 1e-6")


def _source(
    draw: Any,
    dim: int,
    n: int,
    seed: int,
    timeout: float | None,
    backend: str | None,
    device: Any,
    exact: bool,
) -> Batches:
    if not callable(draw):
        x, single = as_draws(draw, None, dim, name="draw")
        if len(x) < _LEAST:
            raise UserCodeError(
                f"draw: got {len(x)} rows, wanted at least {_LEAST}; pass more draws"
            )
        x = x[:n]
        edges = batch_edges(len(x), dim, exact=exact)
        return Batches(np.diff(edges).tolist(), lambda k, m: (x[edges[k] : edges[k] + m], single))

    def call(k: int, m: int) -> tuple[Vector, bool]:
        rng: Any = substream(seed, "draws", k)
        if backend == "torch":
            from ..numerics.rng import torch_generator

            rng = torch_generator(rng, device or "cpu")
        return as_draws(
            call_user(draw, m, name="draw", timeout=timeout, rng=rng), m, dim, name="draw"
        )

    return Batches(np.diff(batch_edges(n, dim, exact=exact)).tolist(), call)


def batch_edges(n: int, dim: int, *, exact: bool) -> np.ndarray:
    """Where batches begin and end: sizes grow geometrically, as far as memory allows."""
    if n <= _FIRST:
        return np.array([0, n])
    # A run that ends when the e-process says so looks after every five per cent.
    count = math.ceil(math.log(n / _FIRST) / math.log(_PACE)) + 1 if exact else _BATCHES
    ends = np.geomspace(_FIRST, n, count).round().astype(int)
    most = max(_FIRST, _CELLS // dim)
    return (
        np.unique(np.r_[0, ends, np.arange(ends[0], n, most)])
        if most < n // 8
        else np.unique(np.r_[0, ends])
    )


def _verdict(run: Run, bare: Verdict, wanted: int, seconds: float) -> Verdict:
    """Evidence, mutants and diagnosis of the stream."""
    verdict = replace(
        bare,
        evidence=pieces(run, wanted=wanted, seconds=seconds),
        samples_used=run.n,
        exact_refuted=run.refuting.refuted(run.false_alarm),
    )
    verdict = replace(verdict, mutants=_mutants(run, verdict.decided))
    said = diagnosis(run, verdict, wanted=wanted)
    wrong = said is not None and (verdict.decided is Outcome.REFUTED or verdict.exact_refuted)
    return replace(
        verdict, diagnosis=said, figure=figure(run, said.cause) if said and wrong else None
    )


def _mutants(run: Run, decided: Outcome) -> tuple[Mutant, ...]:
    stream = Stream(run.sums, run.sketch)
    if run.exact:
        counter = None
        if run.ties is not None:
            counter = run.counter()
            counter.update(np.repeat(run.rows, 2, axis=0))
        return tuple(exact_mutants(stream, counter, run.refuting, level=run.false_alarm))
    if decided is Outcome.REFUTED:
        stream = stream.exact(substream(run.seed, "mutants"))
    out = bounded_mutants(stream, run.effects, level=run.level, tolerance=run.tolerance)
    if run.ties is not None:
        level = run.repeats_level
        out.append(repeated_mutant(run.rows, run.counter(), level=level, tolerance=run.tolerance))
    return tuple(out)
