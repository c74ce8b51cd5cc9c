"""Diffusions whose coefficients depend on the point: ``dx = b(x, t) dt + sigma(x, t) dw``.

With ``D = sigma sigma'`` the density moves by ``d_t p = -div(b p) + 1/2 div div(D p)``, that is by
``d_t p = -div(v p)`` with the velocity ``v = b - 1/2 (div D + D grad log p)``, where
``(div D)_i = sum_j d_j D_ij``. The reversal needs this divergence; it vanishes where D is free of x.

Reference:
    Anderson 1982; Haussmann and Pardoux 1986.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from ._checks import bad, positive
from .arrays import as_points, is_array, is_torch_array, like, namespace
from .clock import Clock
from .protocols import Array

_STEP = 0.02  #: first step of the differences, relative to 1 + |x|


class SDE(Clock):
    """``dx = drift(x, t) dt + diffusion(x, t) dw`` on ``[0, t_max]``, ``x_0`` data.

    Args:
        drift: b, a function of ``x`` ``(..., d)`` and ``t`` with values ``(..., d)``.
        diffusion: sigma, likewise, with values of shape ``()`` or ``(...)`` (a multiple of the identity),
            ``(..., d)`` (diagonal) or ``(..., d, m)`` (a matrix, for m Brownian motions).
        divergence: ``div D`` ``(..., d)`` as a function of ``x`` and ``t``. If None it is found by
            differentiation of ``diffusion`` for torch tensors, to rounding, and by Richardson differences for
            other arrays, with relative error about 1e-9 in float64 where sigma changes over lengths of order
            ``1 + |x|``; float32 leaves about four digits.
        t_max: end of the time interval.

    Raises:
        ValueError: coefficients that are not callable, or ``t_max`` not positive.
    """

    name = "sde"

    def __init__(
        self,
        drift: Callable[[Any, Any], Any],
        diffusion: Callable[[Any, Any], Any],
        *,
        divergence: Callable[[Any, Any], Any] | None = None,
        t_max: float = 1.0,
    ) -> None:
        for argument, f in (("drift", drift), ("diffusion", diffusion)):
            if not callable(f):
                raise bad(
                    argument, type(f).__name__, "a function of x and t", "pass lambda x, t: ..."
                )
        if divergence is not None and not callable(divergence):
            got = type(divergence).__name__
            raise bad("divergence", got, "a function of x and t, or None", "leave it out")
        self._drift, self._diffusion, self._divergence = drift, diffusion, divergence
        self.t_max = positive(t_max, "t_max")

    def drift(self, x: Array, t: Array) -> Array:
        """``b(x, t)``, shape ``(..., d)``.

        Args:
            x: ``(..., d)``.
            t: a time, or one a row, shape ``(...)``.

        Raises:
            ValueError: times out of range, or a value of another shape.
        """
        x, t = self._ready(x, t)
        return self._vector(self._drift(x, t), x, "drift")

    def diffusion(self, x: Array, t: Array) -> Array:
        """``sigma(x, t)``: shape ``()``, ``(...)``, ``(..., d)`` or ``(..., d, m)``; arguments as in :meth:`drift`."""
        x, t = self._ready(x, t)
        sigma = self._diffusion(x, t)
        if not is_array(sigma):
            return float(sigma)
        shape, rows = tuple(sigma.shape), tuple(x.shape[:-1])
        if shape in ((), rows, tuple(x.shape)) or shape[:-1] == tuple(x.shape):
            return sigma
        wanted = f"(), {rows}, {tuple(x.shape)} or {(*tuple(x.shape), 'm')}"
        raise bad("diffusion(x, t)", f"shape {shape}", wanted, "keep the rows of x")

    def spread(self, x: Array, t: Array, direction: Array) -> Array:
        """``D(x, t) direction`` with ``D = sigma sigma'``, for ``direction`` ``(..., d)``."""
        sigma = self.diffusion(x, t)
        if is_array(sigma):
            xp = namespace(sigma, direction)
            if sigma.ndim == x.ndim + 1:
                inner = xp.matmul(xp.matrix_transpose(sigma), direction[..., None])
                return xp.matmul(sigma, inner)[..., 0]
            if 0 < sigma.ndim < x.ndim:
                sigma = sigma[..., None]
        return sigma**2 * direction

    def divergence(self, x: Array, t: Array) -> Array:
        """``(div D)_i = sum_j d_j D_ij``, shape ``(..., d)``; arguments as in :meth:`drift`."""
        x, t = self._ready(x, t)
        if self._divergence is not None:
            return self._vector(self._divergence(x, t), x, "divergence")
        total = x * 0
        for j in range(x.shape[-1]):
            along = like(np.eye(x.shape[-1])[j], x) + x * 0
            total = total + _directional(lambda y, e=along: self.spread(y, t, e), x, along)
        return total

    def _ready(self, x: Array, t: Array) -> tuple[Array, Array]:
        t = self.check_time(t)
        if not is_array(x) or x.ndim < 1:
            raise bad("x", type(x).__name__, "an array of shape (..., d)", "write x[..., None]")
        x = as_points(x, x.shape[-1])
        if is_array(t) and t.ndim > 0 and tuple(t.shape) != tuple(x.shape[:-1]):
            wanted = f"a number or shape {tuple(x.shape[:-1])}, one a row of x"
            raise bad("t", f"shape {tuple(t.shape)}", wanted, "match the rows of x")
        return x, t

    def _vector(self, value: Any, x: Array, name: str) -> Array:
        if not is_array(value):
            return x * 0 + value
        if tuple(value.shape) != tuple(x.shape):
            shape = tuple(x.shape)
            raise bad(
                f"{name}(x, t)", f"shape {tuple(value.shape)}", f"{shape}", "one vector a row"
            )
        return value

    def __repr__(self) -> str:
        return f"{type(self).__name__}(t_max={self.t_max:g})"


def _directional(f: Callable[[Array], Array], x: Array, along: Array) -> Array:
    """Derivative of ``f`` at ``x`` in the constant direction ``along``, row by row."""
    if is_torch_array(x):
        return _twice_backward(f, x, along)
    xp = namespace(x)
    # One step a row: the largest coordinate sets the scale.
    step = _STEP * (1 + xp.max(xp.abs(x), axis=-1, keepdims=True))
    rows = []
    for k in range(4):
        h = step / 2**k
        rows.append((f(x + h * along) - f(x - h * along)) / (2 * h))
    for k in (1, 2, 3):  # the error of a central difference is a series in h^2
        rows = [(4**k * b - a) / (4**k - 1) for a, b in pairwise(rows)]
    return rows[0]


def _twice_backward(f: Callable[[Array], Array], x: Array, along: Array) -> Array:
    """Directional derivative of tensors: the map ``v -> J' v`` is linear, and its transpose is J.

    Sums keep torch from loading its compiler, as forward mode or a vector of outputs would, for seconds.
    """
    import torch

    followed = torch.is_grad_enabled() and (x.requires_grad or f(x).requires_grad)
    with torch.enable_grad():
        y = x if x.requires_grad else x.detach().requires_grad_()
        out = f(y)
        found = None
        if out.requires_grad:
            v = torch.zeros_like(out).requires_grad_()
            paired = (out * v).sum()
            (back,) = torch.autograd.grad(paired, y, create_graph=True, allow_unused=True)
            if back is not None and back.requires_grad:
                paired = (back * along).sum()
                (found,) = torch.autograd.grad(paired, v, create_graph=followed, allow_unused=True)
    if found is None:
        return x * 0
    return found if followed else found.detach()
