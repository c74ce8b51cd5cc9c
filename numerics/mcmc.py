"""Diagnostics of Markov chains: effective sample size, rank-normalised R-hat, and an exact rank test.

**Rank test** (Gandy and Scott 2020, arXiv 2001.06465). Let the kernel K be reversible with respect to p. Draw
``x ~ p`` and a place M uniform on ``0..L-1``; run K from x for ``L-1-M`` steps forward and for M steps backward (the
reverse of a reversible kernel is itself). Read in order, the L states are a stationary stretch of the chain, and
whatever M is, they have the same law: M is independent of them. So the rank of ``h(x)`` among the L values of any
statistic h, ties broken at random, is uniform on ``1..L``, exactly, and independent draws give independent ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..theory._checks import bad
from ..theory.protocols import Vector
from .rng import draw

Kernel = Callable[..., Any]  #: ``(x, *, rng) -> x'`` on points ``(n, d)``


def effective_sample_size(chains: Vector) -> Vector:
    """Smallest of bulk and tail effective sample size of each coordinate, shape ``(d,)``.

    Args:
        chains: ``(chains, draws, d)``.

    Raises:
        ValueError: not three axes, or less than four draws a chain.

    Reference: Vehtari et al. 2021, Bayesian Analysis 16(2), as arviz-stats computes it.
    """
    stats = _stats()
    x = _chains(chains)
    bulk, tail = (
        np.array([float(stats.ess(x[..., j], method=m, prob=p)) for j in range(x.shape[2])])
        for m, p in (("bulk", None), ("tail", 0.05))
    )
    return np.minimum(bulk, tail)


def rank_rhat(chains: Vector) -> Vector:
    """Rank-normalised split R-hat (bulk and folded, the larger) of each coordinate, shape ``(d,)``.

    Args:
        chains: ``(chains, draws, d)``, at least two chains.

    Raises:
        ValueError: not three axes, a single chain, or less than four draws a chain.

    Reference: Vehtari et al. 2021, Bayesian Analysis 16(2), as arviz-stats computes it.
    """
    stats = _stats()
    x = _chains(chains)
    if len(x) < 2:
        raise bad("chains", len(x), "at least two chains", "run more")
    return np.array([float(stats.rhat(x[..., j], method="rank")) for j in range(x.shape[2])])


def kernel_ranks(
    kernel: Kernel,
    law: Any,
    n: int,
    *,
    length: int,
    statistics: Sequence[Callable[[Vector], Vector]],
    rng: np.random.Generator,
) -> np.ndarray:
    """Ranks of ``n`` independent stretches of a reversible chain; uniform on ``0..length-1`` if it leaves ``law``.

    Args:
        kernel: ``(x, *, rng) -> x'`` on ``(n, d)``, reversible with respect to ``law``.
        law: a law with exact draws.
        n: number of stretches.
        length: states ``L`` of each, at least 2.
        statistics: functions ``(n, d) -> (n,)``.
        rng: generator of everything.

    Returns:
        Ranks ``(n, len(statistics))``; ties are broken at random.

    Raises:
        ValueError: ``length`` below 2, or no statistic.
    """
    if length < 2:
        raise bad("length", length, "at least two states", "pass e.g. 5")
    if not statistics:
        raise bad("statistics", "none", "at least one function (n, d) -> (n,)", "pass one")
    start = np.asarray(draw(law, n, rng=rng))
    place = rng.integers(0, length, size=n)
    values = np.empty((length, n, len(statistics)))
    values[0] = _values(statistics, start)
    here, there = start, start
    # Both runs take every step; which of them belong to a stretch is told by its place.
    forward = np.empty((length - 1, n, len(statistics)))
    backward = np.empty_like(forward)
    for k in range(length - 1):
        here, there = kernel(here, rng=rng), kernel(there, rng=rng)
        forward[k], backward[k] = _values(statistics, here), _values(statistics, there)
    for k in range(length - 1):
        late = k < length - 1 - place
        values[k + 1] = np.where(
            late[:, None], forward[k], backward[k - (length - 1 - place), np.arange(n)]
        )
    below = (values[1:] < values[0]).sum(axis=0)
    ties = (values[1:] == values[0]).sum(axis=0)
    return below + rng.integers(0, ties + 1)


def _values(statistics: Sequence[Callable[[Vector], Vector]], x: Vector) -> Vector:
    return np.stack([np.asarray(h(x), dtype=np.float64) for h in statistics], axis=1)


def _chains(chains: Vector) -> Vector:
    x = np.asarray(chains, dtype=np.float64)
    if x.ndim != 3 or x.shape[1] < 4:
        raise bad("chains", x.shape, "(chains, draws, d) with at least four draws", "keep more")
    return x


def _stats() -> Any:
    try:
        from arviz_stats.base.array import array_stats
    except ImportError as error:
        raise ImportError(
            "arviz-stats: not installed, wanted for diagnostics of chains; "
            "pip install 'scoreproof[chains]'"
        ) from error
    return array_stats
