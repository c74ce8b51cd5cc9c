"""Validation of parameters: every message names argument, what came, what was wanted, the remedy."""

from __future__ import annotations

from typing import Any

import numpy as np

from .protocols import Vector


def bad(argument: str, got: object, wanted: str, remedy: str) -> ValueError:
    """The one form of a refusal, to be raised by the caller."""
    return ValueError(f"{argument}: got {got}, wanted {wanted}; {remedy}")


def parameter(value: Any, argument: str, ndim: int | tuple[int, ...]) -> Vector:
    """A finite float64 copy of a numeric parameter, frozen against later writes.

    Raises:
        ValueError: not numeric, complex, wrong number of axes, empty, or not finite.
    """
    if hasattr(value, "detach"):  # a torch tensor, on whatever device
        value = value.detach().cpu().numpy()
    try:
        raw = np.asarray(value)
        if np.iscomplexobj(raw):
            raise TypeError("complex")
        array = np.array(raw, dtype=np.float64)
    except (TypeError, ValueError) as error:
        shown = " ".join(repr(value).split())[:60]
        raise bad(argument, shown, "real numbers", "pass a numeric array") from error
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if array.ndim not in allowed:
        wanted = " or ".join(str(n) for n in allowed)
        raise bad(argument, f"shape {array.shape}", f"an array with {wanted} axes", "reshape it")
    if array.size == 0:
        raise bad(argument, f"shape {array.shape}", "at least one entry", "pass data")
    if not np.isfinite(array).all():
        count = int((~np.isfinite(array)).sum())
        raise bad(
            argument,
            f"{count} entries that are not finite",
            "finite numbers",
            "remove NaN and inf",
        )
    array.setflags(write=False)
    return array


def simplex(weights: Any, argument: str = "weights", size: int | None = None) -> Vector:
    """Positive weights that sum to one within the rounding of their own sum.

    Raises:
        ValueError: negative or zero entries, wrong length, or a sum other than one.
    """
    w = parameter(weights, argument, 1)
    if size is not None and w.shape[0] != size:
        raise bad(
            argument, f"{w.shape[0]} entries", f"{size}, one a component", "match the lengths"
        )
    if (w <= 0).any():
        raise bad(
            argument, f"smallest entry {w.min():g}", "positive entries", "drop empty components"
        )
    # float32 weights that were normalised in float32 are off by up to K * 6e-8.
    slack = max(1e-12, 1.2e-7 * w.shape[0]) if w.shape[0] > 1 else 1e-12
    slack = min(slack, 1e-4)
    if abs(w.sum() - 1.0) > slack:
        raise bad(argument, f"sum {w.sum():.10g}", "sum 1", f"divide {argument} by their sum")
    w = w / w.sum()
    w.setflags(write=False)
    return w


def positive(value: Any, argument: str) -> float:
    """A finite positive number.

    Raises:
        ValueError: zero, negative, not finite or not a number.
    """
    number = float(parameter(value, argument, 0))
    if number <= 0:
        raise bad(argument, f"{number:g}", "a positive number", "check sign and units")
    return number
