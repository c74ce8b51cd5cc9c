"""Trained torch networks as exact functions: their weights are binary numbers and are taken as they are."""

from __future__ import annotations

import torch

from ..theory._checks import bad
from .enclosure_networks import TanhScore


def exact_network(module: torch.nn.Module) -> TanhScore:
    """A Linear, or a Sequential of Linear and Tanh in turn, as the real function with the same weights.

    What is enclosed is that function, not the rounded forward pass of the module.

    Args:
        module: from ``(n, 1)`` to ``(n, 1)``; nested Sequentials and Identity are seen through.

    Raises:
        ValueError: other layers, or Linear and Tanh not in turn.
    """
    weights, biases, expected = [], [], torch.nn.Linear
    for layer in _flat(module):
        if type(layer) is not expected:
            raise bad(
                "module",
                type(layer).__name__,
                f"{expected.__name__} at this place: Linear and Tanh in turn",
                "write other models as an expression",
            )
        if isinstance(layer, torch.nn.Linear):
            weight = layer.weight.detach().cpu().double()
            bias = torch.zeros(len(weight)) if layer.bias is None else layer.bias.detach()
            weights.append(weight.tolist())
            biases.append(bias.cpu().double().tolist())
            expected = torch.nn.Tanh
        else:
            expected = torch.nn.Linear
    if expected is torch.nn.Linear:
        raise bad("module", "no layer, or Tanh last", "a Linear at the end", "add one")
    return TanhScore(weights, biases)


def _flat(module: torch.nn.Module) -> list[torch.nn.Module]:
    if isinstance(module, torch.nn.Sequential):
        return [layer for part in module for layer in _flat(part)]
    return [] if isinstance(module, torch.nn.Identity) else [module]
