"""Fields that exist in numpy only, applied to tensors with gradients from their Jacobian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..theory.protocols import Vector


class _ThroughNumpy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        value: Callable[[Vector], Vector],
        jacobian: Callable[[Vector], Vector],
    ) -> Tensor:
        y = x.detach().cpu().double().numpy()
        ctx.jacobian, ctx.points = jacobian, y
        return torch.as_tensor(value(y), dtype=x.dtype, device=x.device)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (g,) = gradients
        pulled = np.einsum("nij,ni->nj", ctx.jacobian(ctx.points), g.cpu().double().numpy())
        return torch.as_tensor(pulled, dtype=g.dtype, device=g.device), None, None


def through_numpy(
    value: Callable[[Vector], Vector], jacobian: Callable[[Vector], Vector], x: Tensor
) -> Tensor:
    """``value`` at ``x`` ``(n, d)``; first derivatives flow through ``jacobian`` ``(n, d) -> (n, d, d)``."""
    out = _ThroughNumpy.apply(x, value, jacobian)
    assert isinstance(out, Tensor)
    return out
