"""Divergence of a vector field: exact, by differences with an error estimate, or by random probes.

Hutchinson (1990): ``E v' J v = tr J`` when ``E v v' = I``. Its variance for a Jacobian with symmetric part
``A`` is ``2 |A|_F^2`` for Gaussian probes and ``2 (|A|_F^2 - sum_i A_ii^2)`` for Rademacher ones.
Hutch++ (Meyer, Musco, Musco, Woodruff 2021): the trace on the range of ``J S`` exactly, the rest by probes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..theory._checks import bad
from ..theory.protocols import Vector
from .score_models import ScoreModel, as_model

Probe = Literal["rademacher", "gaussian", "sphere"]
ProbeLaw = Probe | Callable[[int, int, np.random.Generator], Vector]
_EPS = float(np.finfo(np.float64).eps)
_LEVELS = 7


@dataclass(frozen=True)
class Divergence:
    """``div s`` at n points.

    Attributes:
        value: ``(n,)``.
        error: ``(n,)``: rounding or truncation estimate for exact methods, standard error for probes
            (NaN where one probe leaves it unknown).
        evaluations: calls of the field (or products with its Jacobian) per point.
    """

    value: Vector
    error: Vector
    evaluations: int


def probes(kind: ProbeLaw, n: int, dim: int, rng: np.random.Generator) -> Vector:
    """``n`` probe vectors ``(n, d)``.

    ``rademacher`` and ``gaussian`` have ``E v v' = I``, ``sphere`` (unit length) has ``E v v' = I/d``. A
    function ``(n, d, rng) -> (n, d)`` gives any other law.

    Raises:
        ValueError: an unknown name, or a function that returns another shape.
    """
    if callable(kind):
        v = np.asarray(kind(n, dim, rng), dtype=np.float64)
        if v.shape != (n, dim):
            raise bad("probe", f"shape {v.shape}", f"({n}, {dim})", "return one vector a point")
        return v
    if kind == "rademacher":
        return np.where(rng.random((n, dim)) < 0.5, -1.0, 1.0)
    if kind not in ("gaussian", "sphere"):
        raise bad("probe", repr(kind), "rademacher, gaussian, sphere or a function", "correct it")
    v = rng.standard_normal((n, dim))
    return v if kind == "gaussian" else v / np.sqrt(np.sum(v * v, axis=1, keepdims=True))


def directional(
    score: Any, x: Vector, v: Vector, *, step: float | Vector = 0.1
) -> tuple[Vector, Vector]:
    """``(grad s)(x) v`` and a bound on its error, each ``(n, d)``.

    The model's own ``jvp`` where it has one (error: rounding); else central differences extrapolated to
    step zero (Ridders 1982), each entry at the level where two neighbours of the table agree best.

    Args:
        score: a field, see :func:`as_model`.
        x: ``(n, d)``.
        v: ``(n, d)``.
        step: largest step along ``v / |v|``, in units of x; a number or ``(n,)``.
    """
    model = as_model(score)
    if model.jvp is not None:
        out = np.asarray(model.jvp(x, v), dtype=np.float64)
        return out, 16 * _EPS * np.abs(out)
    length = np.linalg.norm(v, axis=1, keepdims=True)
    unit = v / np.where(length > 0, length, 1.0)
    h = np.broadcast_to(np.asarray(step, dtype=np.float64), (len(x),))[:, None]
    value, error = _ridders(model, x, unit, h)
    return value * length, error * length


def _ridders(model: ScoreModel, x: Vector, unit: Vector, h: Vector) -> tuple[Vector, Vector]:
    best, error = np.zeros_like(x), np.full(x.shape, np.inf)
    row: list[Vector] = []
    for level in range(_LEVELS):
        size = h / 2.0**level
        ahead, behind = x + size * unit, x - size * unit
        # The step actually taken, since x + h is rounded.
        taken = np.sum((ahead - behind) * unit, axis=1, keepdims=True)
        up, down = model(ahead), model(behind)
        noise = _EPS * (np.abs(up) + np.abs(down)) / taken
        new = [(up - down) / taken]
        for j, previous in enumerate(row):
            factor = 4.0 ** (j + 1)
            new.append((factor * new[j] - previous) / (factor - 1))
            gap = np.maximum(np.abs(new[j + 1] - new[j]), np.abs(new[j + 1] - previous))
            guess = gap + 2 * noise
            better = guess < error
            best, error = np.where(better, new[j + 1], best), np.where(better, guess, error)
        row = new
    return np.where(np.isfinite(error), best, np.nan), error


def exact_divergence(score: Any, x: Vector, *, step: float | Vector = 0.1) -> Divergence:
    """``tr grad s`` at ``x`` ``(n, d)``: declared, by ``d`` products with the Jacobian, or by differences.

    Args:
        score: a field; its own ``divergence`` is used where it has one.
        x: ``(n, d)``.
        step: largest difference step, see :func:`directional`.
    """
    model = as_model(score)
    if model.divergence is not None:
        out = np.asarray(model.divergence(x), dtype=np.float64)
        if out.shape != (len(x),):
            raise bad(
                "divergence", f"shape {out.shape}", f"({len(x)},)", "return one number a point"
            )
        return Divergence(out, 16 * _EPS * np.abs(out), 1)
    value, error = np.zeros(len(x)), np.zeros(len(x))
    for i in range(x.shape[1]):
        e = np.zeros_like(x)
        e[:, i] = 1.0
        column, bound = directional(model, x, e, step=step)
        value += column[:, i]
        error += bound[:, i]
    return Divergence(value, error, x.shape[1] * (1 if model.jvp else 2 * _LEVELS))


def hutchinson(
    score: Any,
    x: Vector,
    *,
    rng: np.random.Generator,
    count: int = 1,
    probe: ProbeLaw = "rademacher",
    step: float | Vector = 0.1,
) -> Divergence:
    """``(1/m) sum_j v_j' (grad s) v_j``, unbiased for the divergence when ``E v v' = I``.

    Args:
        score: a field.
        x: ``(n, d)``.
        rng: generator.
        count: m, probes a point.
        probe: law of v.
        step: see :func:`directional`.

    Returns:
        Values with the standard error over the probes (NaN for one probe).

    Reference:
        Hutchinson 1990; Grathwohl et al. 2019, Eq. 7.
    """
    if count < 1:
        raise bad("count", count, "one probe or more", "raise it")
    found = np.empty((count, len(x)))
    for j in range(count):
        v = probes(probe, len(x), x.shape[1], rng)
        found[j] = np.sum(v * directional(score, x, v, step=step)[0], axis=1)
    spread = found.std(axis=0, ddof=1) / np.sqrt(count) if count > 1 else np.full(len(x), np.nan)
    return Divergence(found.mean(axis=0), spread, count)


def hutch_pp(
    score: Any, x: Vector, *, rng: np.random.Generator, count: int, step: float | Vector = 0.1
) -> Divergence:
    """``tr(Q' J Q) + (1/m) sum_j g_j' P J P g_j`` with ``Q = orth(J S)``, ``P = I - Q Q'``, ``m = count // 3``.

    Unbiased for every J, since Q and the probes are independent; its error falls like ``1/count`` for
    positive semidefinite J, against ``1/sqrt(count)`` for Hutchinson.

    Args:
        score: a field.
        x: ``(n, d)``.
        rng: generator.
        count: products with the Jacobian a point, at least three.
        step: see :func:`directional`.

    Reference:
        Meyer, Musco, Musco, Woodruff 2021, Algorithm 1.
    """
    n, d = x.shape
    m = min(count // 3, d)
    if count < 3:
        raise bad("count", count, "three products or more", "raise it")
    apply = lambda v: directional(score, x, v, step=step)[0]  # noqa: E731
    sketch = np.stack([apply(probes("rademacher", n, d, rng)) for _ in range(m)], axis=2)
    q = np.linalg.qr(sketch)[0]
    value = np.zeros(n)
    for j in range(m):
        value += np.sum(q[:, :, j] * apply(np.ascontiguousarray(q[:, :, j])), axis=1)
    tails = np.empty((count - 2 * m, n))
    for j in range(len(tails)):
        g = probes("rademacher", n, d, rng)
        g -= np.einsum("nij,nj->ni", q, np.einsum("nij,ni->nj", q, g))
        tails[j] = np.sum(g * apply(g), axis=1)
    k = len(tails)
    spread = tails.std(axis=0, ddof=1) / np.sqrt(k) if k > 1 else np.full(n, np.nan)
    return Divergence(value + tails.mean(axis=0), spread, count)
