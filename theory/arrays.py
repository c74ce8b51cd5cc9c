"""The only door to the array API: one body of mathematics for numpy, torch and strict arrays.

``asarray`` is never applied to a user's array, because it may cut gradients or move a tensor;
parameters are moved to the user's array instead (:func:`like`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace, device, is_array_api_obj, is_torch_array, size

from .protocols import Array

__all__ = ["as_points", "device", "is_torch_array", "like", "logsumexp", "namespace", "size"]


def namespace(*arrays: Array) -> Any:
    """The array namespace that all ``arrays`` share; python scalars are ignored.

    Raises:
        ValueError: the arrays come from different libraries, or are no arrays.
    """
    objects = [a for a in arrays if not isinstance(a, int | float | None.__class__)]
    for a in objects:
        if not is_array_api_obj(a):
            raise ValueError(
                f"x: got {type(a).__name__}, wanted an array; convert it with numpy.asarray or torch.as_tensor"
            )
    try:
        return array_namespace(*objects)
    except TypeError as error:
        kinds = ", ".join(type(a).__module__ for a in objects)
        raise ValueError(
            f"x: got arrays of different libraries ({kinds}), wanted one; convert all to the same library"
        ) from error


def like(parameter: Any, x: Array) -> Array:
    """A numpy parameter as an array of the library, dtype and device of ``x``."""
    xp = namespace(x)
    raw = np.asarray(parameter)
    if is_torch_array(x):
        # Parameters are read-only, which torch cannot express: it gets a copy. mps has no float64.
        raw = np.array(raw, dtype=np.float32 if str(device(x)).startswith("mps") else raw.dtype)
    return xp.asarray(raw, dtype=x.dtype, device=device(x))


def as_points(x: Array, dim: int, name: str = "x") -> Array:
    """Checks that ``x`` has shape ``(..., dim)`` and a real floating dtype; integers become float64.

    Raises:
        ValueError: wrong last axis, complex or boolean entries, or no array at all.
    """
    if not is_array_api_obj(x):
        raise ValueError(
            f"{name}: got {type(x).__name__}, wanted an array of shape (..., {dim}); "
            "convert it with numpy.asarray or torch.as_tensor"
        )
    xp = namespace(x)
    if x.ndim < 1 or x.shape[-1] != dim:
        raise ValueError(
            f"{name}: got shape {tuple(x.shape)}, wanted (..., {dim}); the last axis is the space"
            + (", write x[..., None] for a batch of numbers" if dim == 1 else "")
        )
    if xp.isdtype(x.dtype, "real floating"):
        return x
    if xp.isdtype(x.dtype, "integral"):
        return xp.astype(x, xp.float64)
    raise ValueError(f"{name}: got dtype {x.dtype}, wanted real floating point; convert it first")


def logsumexp(x: Array, axis: int = -1) -> Array:
    """``log sum exp x`` along ``axis``, without overflow; -inf entries count as zero mass."""
    xp = namespace(x)
    top = xp.max(x, axis=axis, keepdims=True)
    # A row of -inf has no finite maximum: shifting by it would give nan instead of -inf.
    top = xp.where(xp.isfinite(top) | xp.isnan(top), top, xp.zeros_like(top))
    total = xp.log(xp.sum(xp.exp(x - top), axis=axis))
    return total + xp.squeeze(top, axis=axis)
