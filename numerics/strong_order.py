"""Strong order without sampling: how far apart a run and one of twice as many steps are for the same noise.

On Gaussian data the output is an affine map ``offset + A x + sum_k G_k z_k`` of independent normals. A coarse step
covers two fine ones; its normal is ``cos(a) z_1 + sin(a) z_2`` of theirs, which is again a standard normal, with ``a``
such that the two runs are as close as can be. For equal steps of a Brownian motion that is ``(z_1 + z_2)/sqrt(2)``;
where the weights of a rule vary within a step no other coupling does better. The mean square distance follows from the
maps,

    |offset - offset'|^2 + |A - A'|_F^2 + sum_k |G_k|_F^2 + |G'_{2k}|_F^2 + |G'_{2k+1}|_F^2 - 2 sqrt(a_k^2 + b_k^2),

with ``a_k = tr(G_k' G'_{2k})`` and ``b_k = tr(G_k' G'_{2k+1})``: the size of ``a_k cos + b_k sin`` at its largest.

Reference: Kloeden and Platen 1992, section 9.6 (strong convergence).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .convergence import Convergence, converge
from .exact_law import AffineLaw


@dataclass(frozen=True)
class Strong:
    """Distances for the same noise along doubled step counts.

    Attributes:
        gaps: root mean squares between successive counts.
        convergence: of their sums from each count on, which are the distances from the path of infinitely many steps.
    """

    gaps: tuple[float, ...]
    convergence: Convergence


def coupled_gap(coarse: AffineLaw, fine: AffineLaw) -> float | None:
    """Root mean square distance of two runs for the same noise; None where their draws do not pair.

    Args:
        coarse: law at some step count.
        fine: law at twice that count.
    """
    if coarse.start is None or fine.start is None or coarse.start.shape != fine.start.shape:
        return None
    few, many = coarse.gains or (), fine.gains or ()
    shapes = {g.shape for g in (*few, *many)}
    # A last step without noise leaves one fine step over.
    if not few or len(shapes) > 1 or len(many) not in (2 * len(few), 2 * len(few) + 1):
        return None
    total = float(np.sum((coarse.offset - fine.offset) ** 2))
    total += float(np.sum((coarse.start - fine.start) ** 2))
    for k, gain in enumerate(few):
        first, second = many[2 * k], many[2 * k + 1]
        a = math.atan2(float(np.sum(gain * second)), float(np.sum(gain * first)))
        total += float(np.sum((math.cos(a) * gain - first) ** 2))
        total += float(np.sum((math.sin(a) * gain - second) ** 2))
    total += sum(float(np.sum(g**2)) for g in many[2 * len(few) :])
    return math.sqrt(total)


def strong_order(laws: Sequence[AffineLaw], steps: Sequence[int]) -> Strong | None:
    """The strong order of a stochastic sampler; None where runs cannot be coupled or rounding hides the distances.

    Args:
        laws: at four or more step counts, coarse to fine.
        steps: the counts, each twice the one before.

    Raises:
        ValueError: too few counts, or counts that do not double.
    """
    found = [coupled_gap(a, b) for a, b in pairwise(laws)]
    gaps = [g for g in found if g is not None]
    if not gaps or len(gaps) < len(found):
        return None
    left = np.append(np.cumsum(gaps[::-1])[::-1], 0.0)
    order = converge(left[:, None], steps, noise=max(law.radius for law in laws))
    return Strong(tuple(gaps), order) if order.known else None
