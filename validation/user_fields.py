"""Score models of users, called safely: eval mode, no gradients, one dtype, errors in one sentence."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..theory._checks import bad
from ..theory.protocols import Vector
from ._user_code import as_draws, call_user, library_of

_DTYPES = ("float64", "float32")


@dataclass(frozen=True)
class UserField:
    """A function ``(x, t) -> like x`` with the library, device and dtype that it wants.

    Attributes:
        function: user code.
        backend: ``"numpy"`` or ``"torch"``.
        device: torch device, or None.
        dtype: ``"float64"`` or ``"float32"``.
        timeout: seconds a call, or None.
    """

    function: Callable[..., Any]
    backend: str
    device: str | None = None
    dtype: str = "float64"
    timeout: float | None = None

    @classmethod
    def of(
        cls,
        function: Callable[..., Any],
        *,
        backend: str | None,
        device: str | None,
        dtype: str,
        timeout: float | None,
    ) -> UserField:
        """Chooses torch for a torch module or where a device is named, else numpy.

        Raises:
            ValueError: not callable, an unknown backend or dtype, or a device that is not there.
        """
        if not callable(function):
            raise bad("score", type(function).__name__, "a function (x, t) -> like x", "pass one")
        if dtype not in _DTYPES:
            raise bad("dtype", repr(dtype), f"one of {', '.join(_DTYPES)}", "correct it")
        torch = sys.modules.get("torch")  # a torch module cannot exist where torch is not loaded
        module = torch is not None and isinstance(function, torch.nn.Module)
        chosen = library_of(backend, device, module=module)
        return cls(function, chosen, device, dtype, timeout)

    @property
    def name(self) -> str:
        """What reports call it."""
        return getattr(self.function, "__name__", type(self.function).__name__)

    def __call__(self, x: Vector, t: float, *more: float) -> Vector:
        """Values ``(n, d)`` in float64 at ``x`` ``(n, *shape)`` and time ``t``, and at further times if it takes them.

        Raises:
            UserCodeError: the function raised, hung, or returned NaN, inf or another shape.
        """
        run = _call_torch if self.backend == "torch" else _call_numpy
        answer = call_user(
            run,
            self.function,
            x,
            (float(t), *more),
            self.dtype,
            self.device,
            name="score",
            timeout=self.timeout,
        )
        n, dim = x.shape[0], int(np.prod(x.shape[1:]))
        values, _ = as_draws(answer, n, dim, name="score")
        return values


def _call_numpy(
    f: Callable[..., Any], x: Vector, times: tuple[float, ...], dtype: str, device: str | None
) -> Any:
    return f(x.astype(dtype), *times)  # a copy: user code may write into it


def _call_torch(
    f: Callable[..., Any], x: Vector, times: tuple[float, ...], dtype: str, device: str | None
) -> Any:
    from .user_fields_torch import call

    return call(f, x, times, dtype, device)
