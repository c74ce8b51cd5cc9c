"""Torch's normals, recorded or designed.

Listening at the level of dispatch finds every draw, in scripted code too, but every operator pays for it. Calls on
designed noise therefore replace the four functions that draw normals, and are repeated at the level of dispatch
where they heard less than the recorded call.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .noise_log import NoiseLog, listener

_NORMALS = ("randn", "randn_like", "normal", "normal_", "normal_functional")


class _Ear(TorchDispatchMode):
    """Sees every operator below autograd; torch itself tags those that draw."""

    def __init__(self, log: NoiseLog) -> None:
        super().__init__()
        self._log = log

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **named)
        name = func._schema.name.split("::")[-1]
        given = {a.name: a.default_value for a in func._schema.arguments if a.has_default_value()}
        given |= dict(zip((a.name for a in func._schema.arguments), args, strict=False)) | named
        if name not in _NORMALS:
            if not _still(name, given):
                self._log.other(f"torch's {name}")
            return func(*args, **named)
        mean, std = given.get("mean", 0.0), given.get("std", 1.0)
        if self._log.plan is None:
            drawn = func(*args, **named)
            self._log.note(_standard(drawn, mean, std).cpu().numpy())
            return drawn
        made = _designed(self._log, _empty(name, given), mean, std)
        return func(*args, **named) if made is None else made


def _designed(log: NoiseLog, target: torch.Tensor, mean: Any, std: Any) -> torch.Tensor | None:
    z = log.wanted(tuple(target.shape))
    if z is None:
        return None
    noise = torch.as_tensor(z, device=target.device, dtype=target.dtype)
    plain = (
        isinstance(std, int | float) and std == 1 and isinstance(mean, int | float) and mean == 0
    )
    with torch.no_grad():
        return target.copy_(noise if plain else noise * std + mean)


def _empty(name: str, given: dict[str, Any]) -> torch.Tensor:
    """A tensor for the answer; the generator must not move, as it would if it made one."""
    if given.get("out") is not None:
        return given["out"]
    if name == "normal_":
        return given["self"]
    options = {k: given[k] for k in ("dtype", "device", "layout") if given.get(k) is not None}
    if "self" in given:
        return torch.empty_like(given["self"], **options)
    if "size" in given:
        return torch.empty(given["size"], **options)
    tensors = [v for v in (given["mean"], given["std"]) if isinstance(v, torch.Tensor)]
    shape = torch.broadcast_shapes(*(v.shape for v in tensors))
    return torch.empty(shape, dtype=tensors[0].dtype, device=tensors[0].device)


def _standard(drawn: torch.Tensor, mean: Any, std: Any) -> torch.Tensor:
    spread = torch.as_tensor(std, dtype=torch.float64, device=drawn.device)
    off = drawn.detach().to(torch.float64) - mean
    # Where the deviation is zero the noise has no effect, whatever it was.
    return torch.where(spread == 0, torch.zeros_like(off), off / spread)


def _still(name: str, given: dict[str, Any]) -> bool:
    """Dropout outside training, or of rate zero, draws nothing."""
    return "dropout" in name and (given.get("train") is False or given.get("p") == 0)


_LOCK = threading.Lock()
_PLAIN: dict[str, Any] = {}  #: torch's own functions while they are replaced
_users = 0


def _replaced(name: str, given_of: Callable[..., dict[str, Any]]) -> Callable[..., Any]:
    def function(*args: Any, **named: Any) -> Any:
        plain = _PLAIN[name]
        log = listener()  # other threads, and calls that are recorded, draw as ever
        if log is None or log.plan is None or not log.quick:
            return plain(*args, **named)
        given = given_of(*args, **named)
        target = _empty(name, given)
        made = _designed(log, target, given.get("mean", 0.0), given.get("std", 1.0))
        if made is None:
            return plain(*args, **named)
        return made.requires_grad_() if named.get("requires_grad") else made

    return function


def _randn(*size: Any, **named: Any) -> dict[str, Any]:
    shape = size[0] if len(size) == 1 and not isinstance(size[0], int) else size
    return {"size": named.pop("size", shape), **named}


def _randn_like(x: Any = None, **named: Any) -> dict[str, Any]:
    return {"self": named.pop("input", x), **named}


def _normal(mean: Any = 0.0, std: Any = 1.0, size: Any = None, **named: Any) -> dict[str, Any]:
    return {"mean": mean, "std": std, **({} if size is None else {"size": size}), **named}


def _normal_(x: Any, mean: Any = 0.0, std: Any = 1.0, **named: Any) -> dict[str, Any]:
    return {"self": x, "mean": mean, "std": std, **named}


_PLACES: tuple[tuple[Any, str, Callable[..., dict[str, Any]]], ...] = (
    (torch, "randn", _randn),
    (torch, "randn_like", _randn_like),
    (torch, "normal", _normal),
    (torch.Tensor, "normal_", _normal_),
)


@contextlib.contextmanager
def _replacing() -> Iterator[None]:
    global _users
    with _LOCK:
        _users += 1
        if _users == 1:
            for place, name, given_of in _PLACES:
                _PLAIN[name] = getattr(place, name)
                setattr(place, name, _replaced(name, given_of))
    try:
        yield
    finally:
        with _LOCK:
            _users -= 1
            if _users == 0:
                for place, name, _ in _PLACES:
                    setattr(place, name, _PLAIN[name])


@contextlib.contextmanager
def heard_by(log: NoiseLog) -> Iterator[None]:
    """The draws of torch inside are told to ``log``, of whatever generator."""
    log.quick = log.plan is not None and not log.plan.thorough
    with _replacing() if log.quick else _Ear(log):
        yield
