"""The four vector fields of a problem at one time, and how they act on a batch with one time a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..numerics.convolved import NumericalMarginal
from ..theory._checks import bad
from ..theory.arrays import device, host, is_torch_array, namespace, take_rows
from ..theory.protocols import Array, Vector
from ..theory.sde import LinearSDE


@dataclass(frozen=True)
class Field:
    """A vector field that is affine in x and the score.

    Attributes:
        value: ``(marginal, x (n, d), sde, t) -> (n, d)``.
        parts: ``(marginal, sde, t) -> (p, q)`` with ``value = p x + q score``, so that its Jacobian is
            ``p I + q hessian``.
    """

    value: Callable[[Any, Array, LinearSDE, float], Array]
    parts: Callable[[Any, LinearSDE, float], tuple[float, float]]


def _flow(p: Any, sde: LinearSDE, t: float) -> tuple[float, float]:
    return float(sde.drift(t)), -0.5 * float(sde.diffusion(t)) ** 2


def _velocity(p: Any, x: Array, sde: LinearSDE, t: float) -> Array:
    f, pull = _flow(p, sde, t)
    return f * x + pull * p.score(x)


def _tweedie(p: Any, sde: LinearSDE, t: float) -> tuple[float, float]:
    return 1 / float(p.kernel.scale), float(p.kernel.variance) / float(p.kernel.scale)


SCORE = Field(lambda p, x, sde, t: p.score(x), lambda p, sde, t: (0.0, 1.0))
DENOISER = Field(lambda p, x, sde, t: p.denoiser(x), _tweedie)
NOISE = Field(
    lambda p, x, sde, t: -float(p.kernel.std) * p.score(x),
    lambda p, sde, t: (0.0, -float(p.kernel.std)),
)
VELOCITY = Field(_velocity, _flow)


def at_one_time(field: Field, p: Any, x: Array, sde: LinearSDE, t: float) -> Array:
    """``field`` at ``x`` ``(n, d)`` under the marginal ``p``, in the dtype of ``x``."""
    if not isinstance(p, NumericalMarginal):
        return field.value(p, x, sde, t)
    # Quadrature works in numpy float64: tensors go there and back, with their gradients.
    if is_torch_array(x):
        from ._problem_fields_torch import through_numpy

        def jacobian(y: Vector) -> Vector:
            shift, gain = field.parts(p, sde, t)
            return shift * np.eye(y.shape[1]) + gain * p.hessian(y)

        return through_numpy(lambda y: field.value(p, y, sde, t), jacobian, x)
    out = field.value(p, x, sde, t)
    return out.astype(x.dtype) if out.dtype != x.dtype else out


def by_rows(
    field: Field, marginal: Callable[[float], Any], x: Array, times: Vector, sde: LinearSDE
) -> Array:
    """``field`` at ``x`` ``(n, d)`` with ``times`` of one entry, or of n, one a row.

    Rows with the same time share one marginal; their order is restored by the inverse permutation.
    """
    if times.size == 1:
        t = float(times[0])
        return at_one_time(field, marginal(t), x, sde, t)
    levels, inverse = np.unique(times, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    edges = np.cumsum(np.bincount(inverse))[:-1]
    parts = [
        at_one_time(field, marginal(float(t)), take_rows(x, rows), sde, float(t))
        for t, rows in zip(levels, np.split(order, edges), strict=True)
    ]
    return take_rows(namespace(x).concat(parts, axis=0), np.argsort(order, kind="stable"))


def row_times(t: Array, n: int) -> Vector:
    """``t`` as one time, or n of them, in numpy float64.

    Raises:
        ValueError: another number of times, or no numbers.
    """
    try:
        raw = host(t) if is_torch_array(t) else t
        times = np.asarray(raw, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError, RuntimeError):  # a tensor without data is a RuntimeError
        where = f" on {device(t)}" if is_torch_array(t) else ""
        said = f"{type(t).__name__}{where}"
        raise bad("t", said, "a number with a value, or n of them", "pass a time") from None
    if times.size not in (1, n):
        raise bad("t", f"{times.size} times", f"one, or {n}, one a row", "pass a scalar or (n,)")
    if times.size > 1 and (times == times[0]).all():
        return times[:1]
    return times


def like_start(points: Vector, z: Array) -> Array:
    """Numpy points in the library, dtype and device of ``z``."""
    return namespace(z).asarray(points, dtype=z.dtype, device=device(z))
