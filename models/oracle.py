"""The exact score as a network: what a perfectly trained model would be."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn


class TimeField(Protocol):
    """Anything with ``score(x, t)``, e.g. a problem of the validation room."""

    def score(self, x: Any, t: Any) -> Any:
        """``grad log p_t(x)`` in the shape of ``x``."""
        ...


class Oracle(nn.Module):
    """``forward(x, t) = grad log p_t(x)`` exactly, in the dtype and on the device of ``x``.

    Args:
        field: object with ``score(x, t)``; ``x`` is ``(n, *shape)``, ``t`` a scalar or ``(n,)``.

    It has one parameter, ``gain``, equal to one, so that optimisers, EMA and checkpoints accept it.
    """

    def __init__(self, field: TimeField) -> None:
        super().__init__()
        self.field = field
        self.gain = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, x: Tensor, t: Tensor | float) -> Tensor:
        """``grad log p_t(x)``, shape of ``x``."""
        return self.field.score(x, t) * self.gain.to(x.dtype)
