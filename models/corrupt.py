"""Controlled defects of a score network: the mutants that a check of scores must refute.

Each takes a network ``(x, t) -> score`` and returns one with a known fault, of a size that is stated, so that
a check can say whether it was able to see it. With a relative squared error ``r`` of the score the defects below
have ``r`` as given in their docstrings.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..theory._checks import bad

Network = Callable[[Tensor, Tensor], Tensor]


class _Corrupted(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        # A module registers itself, so that device moves and eval mode reach it.
        self.network = network

    @property
    def label(self) -> str:
        """Name of the defect, for reports."""
        return type(self).__name__.lower()


class Scaled(_Corrupted):
    """``factor * s``: relative squared error ``(factor - 1)^2`` at every level."""

    def __init__(self, network: Network, factor: float = 0.7) -> None:
        super().__init__(network)
        self.factor = factor

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """The network's output times the factor."""
        return self.factor * self.network(x, t)


class Biased(_Corrupted):
    """``s + offset * rms(s)`` in every coordinate: relative squared error about ``offset^2``."""

    def __init__(self, network: Network, offset: float = 0.4) -> None:
        super().__init__(network)
        self.offset = offset

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """The network's output plus a constant of its own size."""
        out = self.network(x, t)
        return out + self.offset * torch.sqrt(torch.mean(out**2))


class TimeSwapped(_Corrupted):
    """Reads the clock backwards: ``s(x, t_min + t_max - t)``, as a sign error in the embedding does."""

    def __init__(self, network: Network, t_min: float, t_max: float) -> None:
        super().__init__(network)
        if not t_min < t_max:
            raise bad("t_min, t_max", f"{t_min}, {t_max}", "t_min < t_max", "swap them")
        self.t_min, self.t_max = t_min, t_max

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """The network at the mirrored time."""
        return self.network(x, self.t_min + self.t_max - t)


class TimeDropped(_Corrupted):
    """Zero for ``low <= t <= high``, as after training that never saw these times: error 1 there."""

    def __init__(self, network: Network, low: float, high: float) -> None:
        super().__init__(network)
        if not low < high:
            raise bad("low, high", f"{low}, {high}", "low < high", "swap them")
        self.low, self.high = low, high

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """The network's output, zero inside the dropped range."""
        time = torch.as_tensor(t, dtype=x.dtype, device=x.device)
        keep = ((time < self.low) | (time > self.high)).to(x.dtype)
        return self.network(x, t) * keep.reshape(keep.shape + (1,) * (x.ndim - keep.ndim))


class Blurred(_Corrupted):
    """The output of an image network averaged over 3 x 3 pixels: its high frequencies are lost."""

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """The network's output ``(n, c, h, w)``, blurred.

        Raises:
            ValueError: ``x`` is not a batch of images.
        """
        if x.ndim != 4:
            raise bad("x", f"shape {tuple(x.shape)}", "images (n, c, h, w)", "blur needs pixels")
        padded = functional.pad(self.network(x, t), (1, 1, 1, 1), mode="replicate")
        return functional.avg_pool2d(padded, 3, stride=1)
