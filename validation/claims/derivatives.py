"""Derivatives of densities by reverse-mode differentiation: a route to scores that shares no closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...theory.protocols import Vector


def gradient(f: Callable[[Any], Any], x: Vector) -> Vector:
    """Gradient ``(n, d)`` of a scalar field ``f: (n, d) -> (n,)`` of torch tensors."""
    import torch

    y = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(f(y).sum(), y)
    return slope.numpy()


def divergence(f: Callable[[Any], Any], x: Vector) -> Vector:
    """Divergence ``(n,)`` of a field ``f: (n, d) -> (n, d)`` of torch tensors, row by row independent."""
    import torch

    y = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    values = f(y)
    total = np.zeros(len(x))
    for i in range(x.shape[1]):
        (slope,) = torch.autograd.grad(values[:, i].sum(), y, retain_graph=True)
        total += slope[:, i].numpy()
    return total


def laplacian(f: Callable[[Any], Any], x: Vector) -> Vector:
    """Laplacian ``(n,)`` of a scalar field ``f: (n, d) -> (n,)`` of torch tensors."""
    import torch

    def field(y: Any) -> Any:
        (slope,) = torch.autograd.grad(f(y).sum(), y, create_graph=True)
        return slope

    return divergence(field, x)


def log_kernel(centre: Vector, std: float) -> Callable[[Any], Any]:
    """``y -> log N(y; centre, std^2 I)`` for tensors, up to a constant."""
    import torch

    at = torch.as_tensor(centre, dtype=torch.float64)
    return lambda y: -0.5 * ((y - at) ** 2).sum(-1) / std**2


def log_slope(steps: Vector, errors: Vector) -> Vector:
    """Local orders ``log(e_i / e_{i+1}) / log(h_i / h_{i+1})`` between successive refinements."""
    e, h = np.log(np.abs(errors)), np.log(steps)
    return (e[:-1] - e[1:]) / (h[:-1] - h[1:])
