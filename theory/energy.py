"""Laws known through an energy alone: ``p(x) = exp(-E(x)) / Z`` with ``Z`` unknown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Never

import numpy as np

from ._checks import bad
from .arrays import as_points, is_torch_array, namespace
from .protocols import Array, Vector

_STEP = 2e-3  #: difference step, relative to 1 + |x|: 48 E^(5) step^4/480 balances rounding / step


class Energy:
    """``p(x) = exp(-energy(x)) / Z``: a score, no constant, no draws.

    On a torch tensor missing derivatives come from autograd. On numpy they come from central
    differences with steps ``h`` and ``h / 2`` combined by Richardson's rule, ``h = 2e-3 (1 + |x|)``: the
    error is about ``h^4 |d^5 E| / 480 + 2e-16 |E| / h``, see :meth:`score_error` for its estimate.

    Args:
        energy: E, from ``(..., d)`` to ``(...)``, on arrays of the library that is used.
        dim: d.
        gradient: ``grad E``, from ``(..., d)`` to ``(..., d)``.
        hessian: ``grad grad E``, from ``(..., d)`` to ``(..., d, d)``.

    Raises:
        ValueError: ``energy`` is no function, or ``dim`` is no positive integer.
    """

    def __init__(
        self,
        energy: Callable[[Array], Array],
        dim: int,
        *,
        gradient: Callable[[Array], Array] | None = None,
        hessian: Callable[[Array], Array] | None = None,
    ) -> None:
        for argument, f in (("energy", energy), ("gradient", gradient), ("hessian", hessian)):
            if not callable(f) and (f is not None or argument == "energy"):
                raise bad(argument, type(f).__name__, "a function of x", "pass a callable")
        if isinstance(dim, bool) or not isinstance(dim, int) or dim < 1:
            raise bad("dim", repr(dim), "a positive integer", "pass the size of the last axis")
        self.dim = dim
        self._energy, self._gradient, self._hessian = energy, gradient, hessian

    def log_density(self, x: Array) -> Array:
        """``-E(x)``: the log-density up to the unknown constant, shape ``(...)``.

        Raises:
            ValueError: ``x`` or the energy's answer has the wrong shape.
        """
        return -self._values(as_points(x, self.dim))

    def log_prob(self, x: Array) -> Never:
        """Refused: the constant is unknown.

        Raises:
            ValueError: always.
        """
        raise bad(
            "log_prob",
            "an Energy, whose constant is unknown",
            "a normalised law",
            "use log_density, which leaves the constant out",
        )

    def score(self, x: Array) -> Array:
        """``-grad E(x)``, shape ``(..., d)``.

        Raises:
            ValueError: a shape is wrong, or the library has no derivatives and no ``gradient`` is given.
        """
        y = as_points(x, self.dim)
        if self._gradient is not None:
            return -_shaped(self._gradient(y), y.shape, "gradient")
        if is_torch_array(y):
            return -_torch_gradient(self._values, y)
        return -self._numeric(self._values, y, "gradient")[0]

    def score_error(self, x: Array) -> Vector:
        """Estimated error of :meth:`score` in numpy: the change made by Richardson's rule, or zero.

        Raises:
            ValueError: ``x`` is no numpy array of shape ``(..., d)``.
        """
        y = as_points(x, self.dim)
        if self._gradient is not None:
            return np.zeros(y.shape)
        return self._numeric(self._values, y, "gradient")[1]

    def hessian(self, x: Array) -> Array:
        """``-grad grad E(x)``, shape ``(..., d, d)``.

        Raises:
            ValueError: a shape is wrong, or the library has no derivatives and no ``hessian`` is given.
        """
        y = as_points(x, self.dim)
        if self._hessian is not None:
            return -_shaped(self._hessian(y), (*y.shape, self.dim), "hessian")
        if is_torch_array(y):
            return _torch_jacobian(self.score, y)
        xp = namespace(y)
        rows = [
            self._numeric(lambda p, i=i: self.score(p)[..., i], y, "hessian")[0]
            for i in range(self.dim)
        ]
        raw = xp.stack(rows, axis=-2)
        return 0.5 * (raw + xp.matrix_transpose(raw))

    def divergence(self, x: Array) -> Array:
        """Trace of :meth:`hessian`, shape ``(...)``."""
        full = self.hessian(x)
        return sum(full[..., i, i] for i in range(1, self.dim)) + full[..., 0, 0]

    def _values(self, y: Array) -> Array:
        return _shaped(self._energy(y), y.shape[:-1], "energy")

    def _numeric(
        self, f: Callable[[Array], Array], y: Array, missing: str
    ) -> tuple[Vector, Vector]:
        if not isinstance(y, np.ndarray):
            raise bad(
                missing,
                f"none, for an array of {type(y).__module__}",
                f"{missing}= or an array of torch or numpy",
                f"pass {missing}= to Energy",
            )
        step = _STEP * (1 + np.abs(y))
        out, change = np.empty(y.shape), np.empty(y.shape)
        for i in range(self.dim):
            unit = np.zeros(self.dim)
            unit[i] = 1.0
            coarse, fine = (
                (f(y + h * unit) - f(y - h * unit)) / (2 * h[..., i]) for h in (step, 0.5 * step)
            )
            out[..., i] = fine + (fine - coarse) / 3
            change[..., i] = np.abs(fine - coarse) / 3
        return out, change

    def __repr__(self) -> str:
        return f"Energy(dim={self.dim})"


def _shaped(value: Array, shape: tuple[int, ...], argument: str) -> Array:
    if tuple(value.shape) != tuple(shape):
        raise bad(
            argument,
            f"an answer of shape {tuple(value.shape)}",
            f"{tuple(shape)}",
            "keep the batch axes of x",
        )
    return value


def _torch_gradient(f: Callable[[Array], Array], y: Array) -> Array:
    """Gradient that itself can be differentiated when ``y`` carries gradients."""
    import torch

    keep = y.requires_grad
    with torch.enable_grad():
        leaf = y if keep else y.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(f(leaf).sum(), leaf, create_graph=True)
    return gradient if keep else gradient.detach()


def _torch_jacobian(score: Callable[[Array], Array], y: Array) -> Array:
    import torch

    keep = y.requires_grad
    with torch.enable_grad():
        leaf = y if keep else y.detach().requires_grad_(True)
        value = score(leaf)
        rows = []
        for i in range(y.shape[-1]):
            part = value[..., i].sum()
            row = torch.zeros_like(leaf)
            if part.requires_grad:
                (got,) = torch.autograd.grad(part, leaf, create_graph=True, allow_unused=True)
                row = row if got is None else got
            rows.append(row)
        out = torch.stack(rows, dim=-2)
    return out if keep else out.detach()
