"""What the e-processes say, in words and numbers: one sentence for the family that refutes exactness."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from ..numerics.tilts import EDGES, MASS, NORMAL
from ..theory.mixtures import GaussianMixture
from ..theory.protocols import Vector
from ._sample_run import Run

_OUTSIDE = 100.0  #: relative variance beyond which its number says nothing
_NAMED = 6  #: coordinates of a direction that are listed at most


def family_words(run: Run, family: str) -> str:
    """What is off, as the family sees it; empty if there is nothing to add."""
    if run.shape.dim and np.abs(run.refuting.squares / run.refuting.n - 1).max() > _OUTSIDE:
        return "draws lie far outside the law"
    words: dict[str, Callable[[Run], str]] = {
        "labels": _weights,
        "mixing": _weights,
        "components": _components,
        "refits": _components,
        "means": _means,
        "all means": _means,
        "learned mean": _means,
        "scales": _scales,
        "profiles": _scales,
        "radius": _scales,
        "one direction": _direction,
        "learned scale": _direction,
        "covariance": _direction,
        "pairs": _pairs,
        "coordinates": _pixels,
        "marginals": _shape,
        "projections": _shape,
        "histogram": _shape,
        "quantiles": _shape,
        "radius histogram": _radius,
        "curvature": _curvature,
        "triples": _triples,
        "lag": _lag,
        "memory": _lag,
        "blocks": _blocks,
        "drifts": _drifts,
    }
    return words[family](run) if family in words else ""


def axis_words(run: Run, j: int) -> str:
    """A whitened coordinate, by its eigenvalue where the law has axes."""
    frame = run.shape.frame
    if run.shape.dim == 1:
        return "the normal score"
    if frame is None:
        return f"coordinate {j}"
    value = frame.spectrum[j]
    ends = {
        float(frame.spectrum.min()): "the smallest ",
        float(frame.spectrum.max()): "the largest ",
    }
    which = ends.get(float(value), "") if frame.spectrum.min() < frame.spectrum.max() else ""
    return f"coordinate {j}, the direction of {which}eigenvalue {value:.3g}"


def weight_words(shares: Any, run: Run, *, k: int | None = None) -> str:
    """Which weight is off, and where its component sits."""
    weights = run.shape.weights
    if k is None:
        spread = np.sqrt(np.maximum(weights * (1 - weights), 1e-12))
        k = int(np.argmax(np.abs(shares - weights) / spread))
    if weights[k] == 0:
        return f"a share of {shares[k]:.3g} of the draws is none of the atoms"
    law = run.target
    while not isinstance(law, GaussianMixture) and hasattr(law, "law"):
        law = law.law
    where = ""
    if isinstance(law, GaussianMixture) and law.dim <= 3:
        where = f" at ({', '.join(f'{m:.3g}' for m in law.means[k])})"
    return f"component {k}{where} has weight {shares[k]:.3g} instead of {weights[k]:.3g}"


def _weights(run: Run) -> str:
    return weight_words(run.refuting.counts / run.refuting.n, run)


def _components(run: Run) -> str:
    machine = run.refuting
    assert machine.parts is not None
    size = np.maximum(machine.counts, 1)[:, None]
    means, squares = machine.parts / size
    pooled = (squares.mean(axis=1) - 1) * np.sqrt(size[:, 0] * run.shape.dim / 2)
    shift, scale = means * np.sqrt(size), (squares - 1) * np.sqrt(size / 2)
    tops = [float(np.abs(v).max()) for v in (shift, scale, pooled)]
    if tops[2] >= max(tops[0], tops[1]):
        k = int(np.argmax(np.abs(pooled)))
        return f"in component {k} {_percent(squares[k].mean() - 1, 'all variances together')}"
    if tops[0] >= tops[1]:
        k, j = np.unravel_index(int(np.argmax(np.abs(shift))), shift.shape)
        return f"the mean of component {k} is off by {means[k, j]:+.3g} sd along {axis_words(run, int(j))}"
    k, j = np.unravel_index(int(np.argmax(np.abs(scale))), scale.shape)
    return f"in component {k} {_percent(squares[k, j] - 1, f'the variance along {axis_words(run, int(j))}')}"


def _percent(change: float, what: str) -> str:
    return f"{what} is {100 * abs(change):.3g} % too {'large' if change > 0 else 'small'}"


def _means(run: Run) -> str:
    machine = run.refuting
    mean = machine.sums / machine.n
    noise = np.sqrt(1 / machine.n)
    frame = run.shape.frame
    if frame is not None and frame.axes is not None and run.shape.dim > 1:
        sizes = np.linalg.norm(frame.axes, axis=1)
        pulled = frame.axes @ mean / sizes
        j = int(np.argmax(np.abs(pulled)))
        if abs(pulled[j]) > max(np.abs(mean).max(), 4 * noise):
            return (
                f"coordinate {j} of the draws is shifted by {pulled[j] / sizes[j]:+.3g} of its sd"
            )
    j = int(np.argmax(np.abs(mean)))
    length = float(np.sqrt(max(mean @ mean - len(mean) / machine.n, 0)))
    text = f"the mean of {axis_words(run, j)} is off by {mean[j]:+.4f} standard deviations"
    if run.shape.dim > 1 and length > 1.5 * abs(mean[j]):
        text += f"; over all directions by {length:.3g}"
    return text


def _scales(run: Run) -> str:
    machine = run.refuting
    ratio = machine.squares / machine.n - 1
    if len(ratio) == 1:
        return _percent(ratio[0], "the variance of the normal score")
    j = int(np.argmax(np.abs(ratio)))
    text = f"over all directions {_percent(float(ratio.mean()), 'the variance')}"
    return f"{text}; {_percent(ratio[j], f'along {axis_words(run, j)}, it')}"


def _direction(run: Run) -> str:
    machine = run.refuting
    assert machine.scatter is not None
    values, vectors = np.linalg.eigh(machine.scatter / machine.n)
    noise = np.sqrt(len(values) / machine.n)
    top = values[-1] - (1 + noise) ** 2 > (1 - noise) ** 2 - values[0]
    value, v = (values[-1], vectors[:, -1]) if top else (values[0], vectors[:, 0])
    main = np.argsort(-np.abs(v))[:_NAMED]
    kept = [j for j in main if abs(v[j]) > 0.3] or [int(main[0])]
    along = ", ".join(f"{v[j]:+.2f} z_{j}" for j in kept)
    return f"{_percent(value - 1, 'the variance')} in one direction of whitened space (mainly {along})"


def _pairs(run: Run) -> str:
    machine = run.refuting
    assert machine.scatter is not None
    c = machine.scatter / machine.n
    np.fill_diagonal(c, 0)
    i, j = np.unravel_index(int(np.argmax(np.abs(c))), c.shape)
    return f"whitened coordinates {min(i, j)} and {max(i, j)} have correlation {c[i, j]:+.3g} instead of 0"


def _pixels(run: Run) -> str:
    machine, frame = run.refuting, run.shape.frame
    assert machine.scatter is not None and frame is not None and frame.axes is not None
    # coordinate j of x is c_j' z in units of its standard deviation
    c = frame.axes * frame.spectrum
    c /= np.linalg.norm(c, axis=1, keepdims=True)
    seen, due = c @ (machine.scatter / machine.n) @ c.T, c @ c.T
    sd = np.sqrt(np.diag(seen))
    b = frame.axes / np.linalg.norm(frame.axes, axis=1, keepdims=True)
    off = b @ (machine.scatter / machine.n - np.eye(run.shape.dim)) @ b.T
    score = np.triu(np.abs(off) / np.sqrt(1 + (b @ b.T) ** 2))
    i, j = np.unravel_index(int(np.argmax(score)), score.shape)
    if i == j:
        return _percent(sd[i] ** 2 - 1, f"the variance of coordinate {i} of the draws")
    now = seen[i, j] / (sd[i] * sd[j])
    return f"coordinates {i} and {j} of the draws have correlation {now:.4g} instead of {due[i, j]:.4g}"


def _shape(run: Run) -> str:
    machine = run.refuting
    assert machine.histograms is not None
    counts, name = machine.histograms.worst()
    below = np.cumsum(counts)[:-1] / counts.sum() - EDGES
    at = int(np.argmax(np.abs(below) / np.sqrt(EDGES * (1 - EDGES))))
    if EDGES[at] > 0.5:
        seen, due, side = counts[at + 1 :].sum() / counts.sum(), MASS[at + 1 :].sum(), "above"
    else:
        seen, due, side = counts[: at + 1].sum() / counts.sum(), EDGES[at], "below"
    which = {"whole": "draws", "pooled": "whitened coordinates together"}.get(
        name, f"whitened {name}"
    )
    return f"of the {which}, a share of {seen:.4g} instead of {due:.4g} lies {side} {NORMAL[at]:+.2f} sd"


def _radius(run: Run) -> str:
    machine = run.refuting
    assert machine.histograms is not None
    counts: Vector = machine.histograms.radius[0]
    tail = np.cumsum(counts[::-1])[::-1][1:]
    due = 1 - EDGES
    score = np.abs(tail - machine.n * due) / np.sqrt(machine.n * due * EDGES)
    at = int(np.argmax(np.where(machine.n * due >= 1, score, 0)))
    reach = float(np.sqrt(special.chdtri(run.shape.dim, due[at])))
    share = tail[at] / machine.n
    return f"a share of {share:.4g} instead of {due[at]:.4g} lies farther than {reach:.3g} sd from the centre"


def _curvature(run: Run) -> str:
    found = run.refuting.curvature
    assert found is not None
    i, j = found.worst()
    return f"mean or spread of whitened coordinate {j} depends on coordinate {i}, nonlinearly"


def _triples(run: Run) -> str:
    found = run.refuting.triples
    assert found is not None
    (i, j, k), share = found.worst()
    return (
        f"the product of whitened coordinates {i}, {j}, {k} is positive in a share {share:.3g} "
        "of the draws, not 1/2"
    )


def _drifts(run: Run) -> str:
    return _scales(run) if run.shape.dim > 1 else _shape(run)


def _blocks(run: Run) -> str:
    found = run.refuting.blocks
    assert found is not None
    length, share = found.worst()
    if share < 0:
        return f"draws of one block of {length} depend on each other: their sums vary too little"
    return f"draws of one block of {length} share a part {share:.3g} of their variance"


def _lag(run: Run) -> str:
    cross, early, late = run.refuting.memory_sums
    rho = cross.sum() / np.sqrt(early.sum() * late.sum())
    return f"consecutive draws depend on each other: correlation {rho:+.3g} from one to the next"
