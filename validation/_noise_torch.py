"""Uniforms and normals from a torch generator, on its device, in float64 where the device has it."""

from __future__ import annotations

import torch


def noise(n: int, dim: int, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """``u ~ U(0, 1)`` of shape ``(n,)`` and ``z ~ N(0, I)`` of shape ``(n, dim)``."""
    dtype = torch.float32 if rng.device.type == "mps" else torch.float64
    u = torch.rand(n, generator=rng, dtype=dtype, device=rng.device)
    z = torch.randn((n, dim), generator=rng, dtype=dtype, device=rng.device)
    return u, z
