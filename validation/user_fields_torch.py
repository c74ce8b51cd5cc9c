"""The torch half of user fields: tensors in, a numpy array out, the module's mode restored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..theory.protocols import Vector
from ._user_code import UserCodeError


def call(
    f: Callable[..., Any], x: Vector, times: tuple[float, ...], dtype: str, device: str | None
) -> Any:
    """``f(x, *times)`` with times of shape ``(n,)``, in eval mode and without gradients.

    The device is the one that is named, else that of the module's first parameter, else the CPU.

    Raises:
        UserCodeError: the module failed and holds numbers of another dtype; the message says so.
    """
    module = f if isinstance(f, torch.nn.Module) else None
    first = next(module.parameters(), None) if module is not None else None
    place = torch.device(device) if device else (first.device if first is not None else "cpu")
    kind = getattr(torch, dtype)
    points = torch.tensor(x, dtype=kind, device=place)
    rows = [torch.full((len(x),), t, dtype=kind, device=place) for t in times]
    modes = [(m, m.training) for m in module.modules()] if module is not None else []
    try:
        if module is not None:
            module.eval()
        with torch.no_grad():
            answer = f(points, *rows)
    except RuntimeError as error:
        own = first.dtype if first is not None else kind
        if own == kind:
            raise
        text = str(error).strip().splitlines()[0][:160]
        name = str(own).removeprefix("torch.")
        raise UserCodeError(
            f"score raised RuntimeError: {text}; its parameters are {name}: pass dtype={name!r}"
        ) from error
    finally:
        for part, mode in modes:
            part.training = mode
    return answer.detach().cpu().numpy() if isinstance(answer, torch.Tensor) else answer
