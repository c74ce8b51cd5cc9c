"""Calls into user code: whatever it does wrong becomes one sentence, and the caller's global state survives."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..numerics.rng import kept_random_state
from ..theory._checks import bad
from ..theory.densities_1d import StudentT
from ..theory.protocols import Vector


class UserCodeError(Exception):
    """User code raised, hung, or returned what cannot be used; the message is for the report."""


def call_user(
    f: Callable[..., Any], *args: Any, name: str, timeout: float | None = None, **named: Any
) -> Any:
    """``f(*args, **named)``, in process, or in a worker that ends after ``timeout`` seconds.

    Args:
        f: user code.
        args: passed on.
        name: what messages call it.
        timeout: seconds; None runs in process.
        named: passed on by name.

    Raises:
        UserCodeError: it raised, exited, hung, or its process died.
    """
    try:
        with kept_random_state():
            if timeout is None:
                return f(*args, **named)
            from .isolation import call_isolated

            return call_isolated(_named_call, f, args, named, timeout=timeout)
    except UserCodeError:
        raise  # from a call within a call: it says already what went wrong
    except (Exception, SystemExit) as error:
        if isinstance(error, TimeoutError) and timeout is not None:
            raise UserCodeError(
                f"{name} did not return within {timeout:g} s; it hangs, or timeout is too short"
            ) from error
        text = str(error).strip().splitlines()
        first = text[0][:240] if text else ""
        raise UserCodeError(f"{name} raised {type(error).__name__}: {first}") from error


def _named_call(f: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> Any:
    return f(*args, **named)


def library_of(backend: str | None, device: Any, *, module: bool = False) -> str:
    """The library that user code wants: as named, else torch for a module or a named device, else numpy.

    Args:
        backend: ``"numpy"``, ``"torch"`` or None.
        device: torch device, or None.
        module: whether the code is a torch module.

    Raises:
        ValueError: an unknown backend, a device with numpy, or one that torch has not.
    """
    if backend not in (None, "numpy", "torch"):
        raise bad("backend", repr(backend), "'numpy', 'torch' or None", "correct it")
    chosen = backend or ("torch" if module or device else "numpy")
    if chosen == "numpy" and device not in (None, "cpu"):
        raise bad("device", repr(device), "None with numpy", "pass backend='torch'")
    if chosen == "torch" and device is not None:
        from ..numerics.rng import torch_generator

        torch_generator(np.random.default_rng(0), device)  # says which device is missing
    return chosen


def first_infinite_moment(law: Any) -> float:
    """Order from which on moments of a law of the library are infinite, with noise added or not; else infinity."""
    base = getattr(law, "base", law)
    return base.df if isinstance(base, StudentT) else math.inf


def has_infinite_moments(law: Any) -> bool:
    """Whether a law of the library has tails of a power, with noise added or not."""
    return math.isfinite(first_infinite_moment(law))


def law_or_refuse(law: Any, name: str) -> None:
    """Refuses what is no law.

    Raises:
        ValueError: no dimension, or a problem in the place of one of its laws.
    """
    if not hasattr(law, "dim"):
        raise bad(name, type(law).__name__, "a law with dim", "see scoreproof.theory")
    if hasattr(law, "sde") and hasattr(law, "marginal"):
        raise bad(name, type(law).__name__, "a law", "pass problem.law or problem.marginal(t)")


def as_reals(value: Any, *, name: str) -> tuple[np.ndarray, bool]:
    """An array of any library as a float64 copy, and whether it came in float32.

    Raises:
        UserCodeError: no array, complex, boolean, or with fewer than 24 bits.
    """
    if isinstance(value, tuple | list) and not value:
        raise UserCodeError(
            f"{name}: got an empty {type(value).__name__}, wanted an array; return numbers"
        )
    tensor: Any = value
    if hasattr(tensor, "detach"):  # torch, on whatever device and in whatever graph
        kind = str(tensor.dtype).removeprefix("torch.")
        if kind in ("float16", "bfloat16"):
            raise UserCodeError(_coarse(name, kind))
        try:
            value = tensor.detach().cpu().numpy()
        except (TypeError, RuntimeError) as error:  # no data (meta), sparse, or a type numpy lacks
            where = f"{kind} tensor on {tensor.device}"
            raise UserCodeError(
                f"{name}: got a {where} that holds no plain numbers, wanted a dense tensor with data; "
                "return one on a device with memory"
            ) from error
    try:
        raw = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserCodeError(
            f"{name}: got {type(value).__name__}, wanted an array; convert it with numpy.asarray"
        ) from error
    if raw.dtype.kind == "f" and raw.dtype.itemsize < 4:
        raise UserCodeError(_coarse(name, str(raw.dtype)))
    if raw.dtype.kind not in "fiu":
        bare = raw.dtype.kind == "O" and not isinstance(value, np.ndarray)
        got = type(value).__name__ if bare else f"dtype {raw.dtype}"
        raise UserCodeError(
            f"{name}: got {got}, wanted real floating-point numbers; convert to float64"
        )
    return np.array(raw, dtype=np.float64), raw.dtype == np.float32


def _coarse(name: str, kind: str) -> str:
    return (
        f"{name}: got dtype {kind}, which keeps 8 to 11 bits, wanted float32 or float64; "
        "compute in one of these"
    )


def as_draws(value: Any, n: int | None, dim: int, *, name: str) -> tuple[Vector, bool]:
    """Draws as a finite float64 copy ``(n, dim)``, and whether they came in float32.

    Rows of another shape with ``dim`` numbers each are flattened; ``(n,)`` is taken in one dimension.

    Raises:
        UserCodeError: naming what came and what was wanted.
    """
    x, single = as_reals(value, name=name)
    wanted = f"({'n' if n is None else n}, {dim})"
    if x.ndim == 1 and dim == 1:
        x = x[:, None]
    if x.ndim < 2 or int(np.prod(x.shape[1:])) != dim:
        raise UserCodeError(f"{name}: got shape {x.shape}, wanted {wanted}; one draw a row")
    if n is not None and x.shape[0] != n:
        few = "fewer" if x.shape[0] < n else "more"
        raise UserCodeError(
            f"{name}: got {x.shape[0]} rows, {few} than the {n} asked for; return one row a draw"
        )
    x = x.reshape(x.shape[0], dim)
    wrong = ~np.isfinite(x).all(axis=1)
    if wrong.any():
        at = int(np.argmax(wrong))
        what = "NaN" if np.isnan(x[at]).any() else "inf"
        raise UserCodeError(
            f"{name}: got {int(wrong.sum())} of {x.shape[0]} rows not finite ({what}, first in row {at}), "
            "wanted finite numbers; find where the first one arises"
        )
    return x, single
