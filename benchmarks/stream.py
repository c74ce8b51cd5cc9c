"""One stream through the refuting machine alone, as ``check_samples(..., exact=True)`` runs it.

Effects, mutants, evidence and words are left out; the e-value is the same, which ``bench_false_alarms.py`` measures.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from bank import Entry, find
from scoreproof.numerics.gaussianise import Gaussianiser, gaussianiser
from scoreproof.numerics.rng import substream
from scoreproof.validation import check_samples
from scoreproof.validation._sample_run import Run
from scoreproof.validation.sample_checks import batch_edges, samples_needed


@cache
def _control(name: str) -> tuple[Entry, Gaussianiser]:
    entry = find(name)
    return entry, gaussianiser(entry.target)


def default_budget(name: str) -> int:
    """Draws that ``check_samples`` allows itself for this target."""
    return min(samples_needed(_control(name)[0].target), 1_000_000)


def stream(name: str, draws: int, seed: int, level: float) -> Run:
    """Reads draws until ``1/level`` is reached or they end."""
    entry, shape = _control(name)
    run = Run(shape, entry.target, 0.05, True, level, seed, entry.single)
    edges = batch_edges(draws, int(entry.target.dim), exact=True)
    for k, size in enumerate(np.diff(edges).tolist()):
        x = np.asarray(entry.draw(size, rng=substream(seed, "draws", k)))
        run.add(x.astype(np.float64), x.dtype == np.float32)
        if run.refuting.refuted(level):
            break
    return run


def peak(name: str, draws: int, seed: int, level: float) -> float:
    """``log10 sup E`` over every look."""
    return stream(name, draws, seed, level).refuting.peak / math.log(10)


def whole(name: str, draws: int, seed: int, level: float) -> float:
    """The same number out of ``check_samples``."""
    entry, _ = _control(name)
    verdict = check_samples(
        entry.draw,
        entry.target,
        exact=True,
        budget=draws,
        false_alarm=level,
        seed=seed,
        dtype="float32" if entry.single else "float64",
    )
    said = next(v for v in verdict.evidence if v.check == "exact")
    assert said.log10_e is not None
    return said.log10_e
