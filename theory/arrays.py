"""The only door to the array API: one body of mathematics for numpy, torch and strict arrays.

``asarray`` is never applied to a user's array, because it may cut gradients or move a tensor;
parameters are moved to the user's array instead (:func:`like`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace, device, is_array_api_obj, is_torch_array, size

from .protocols import Array

__all__ = [
    "alike",
    "as_points",
    "device",
    "is_array",
    "is_torch_array",
    "like",
    "logsumexp",
    "namespace",
    "size",
    "softmax",
    "take_rows",
    "uniforms_and_normals",
]


def _is_number(a: object) -> bool:
    """Python scalars; numpy scalars are arrays without axes, although float64 is a float."""
    return isinstance(a, int | float) and not isinstance(a, np.generic)


def is_array(value: Any) -> bool:
    """Whether ``value`` is an array of a library that the standard covers (numbers are not)."""
    # The general test looks at every library in turn; plain numbers are the common case.
    return type(value) not in (float, int) and is_array_api_obj(value)


def namespace(*arrays: Array) -> Any:
    """The array namespace that all ``arrays`` share; python scalars are ignored.

    Raises:
        ValueError: the arrays come from different libraries, or are no arrays.
    """
    objects = [a for a in arrays if a is not None and not _is_number(a)]
    for a in objects:
        if not is_array_api_obj(a):
            raise ValueError(
                f"x: got {type(a).__name__}, wanted an array; convert it with numpy.asarray or torch.as_tensor"
            )
    if not objects:
        kinds = ", ".join(type(a).__name__ for a in arrays)
        raise ValueError(
            f"x: got {kinds}, wanted an array; convert it with numpy.asarray or torch.as_tensor"
        )
    try:
        return array_namespace(*objects)
    except TypeError as error:
        kinds = ", ".join(type(a).__module__ for a in objects)
        raise ValueError(
            f"x: got arrays of different libraries ({kinds}), wanted one; convert all to the same library"
        ) from error


def alike(a: Array, b: Array, name: str, other: str) -> None:
    """Refuses two arrays of different libraries, floating dtypes or devices.

    Raises:
        ValueError: naming ``name``, which is ``a``, and what ``other``, which is ``b``, has.
    """
    xp = namespace(a, b)
    both_real = all(xp.isdtype(v.dtype, "real floating") for v in (a, b))
    pairs = [("device", device(a), device(b))]
    pairs += [("dtype", a.dtype, b.dtype)] if both_real else []
    for what, got, wanted in pairs:
        if got != wanted:
            raise ValueError(
                f"{name}: got {what} {got}, wanted {what} {wanted} like {other}; "
                f"convert {name} to that {what}"
            )


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
    if not is_array(x):
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


def host(x: Array) -> np.ndarray[Any, Any]:
    """The numbers of ``x`` as a numpy array, cut off from gradients, for decisions only."""
    if not is_torch_array(x):
        return np.asarray(x)
    try:
        return np.asarray(x.detach().cpu())
    except RuntimeError:  # inside torch.func a tensor has no memory of its own
        return np.asarray(x.detach().tolist())


def softmax(x: Array, axis: int = -1) -> Array:
    """``exp x / sum exp x`` along ``axis``, without overflow; a NaN stays in its own row."""
    xp = namespace(x)
    raised = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
    return raised / xp.sum(raised, axis=axis, keepdims=True)


def take_rows(x: Array, rows: np.ndarray[Any, Any]) -> Array:
    """``x[rows]`` along the first axis for row numbers in a numpy array; gradients pass through."""
    xp = namespace(x)
    return xp.take(x, xp.asarray(rows, dtype=xp.int64, device=device(x)), axis=0)


def uniforms_and_normals(u: Array, z: Array, dim: int) -> Any:
    """Checks the two inputs of an exact draw and returns their namespace.

    Args:
        u: ``(n,)``.
        z: ``(n, dim)``, of the library, dtype and device of ``u``.
        dim: dimension of the law.

    Raises:
        ValueError: shapes that do not match, or a mixture of libraries, dtypes or devices.
    """
    as_points(z, dim, "z")
    xp = namespace(u, z)
    if u.ndim != 1 or z.ndim != 2 or u.shape[0] != z.shape[0]:
        raise ValueError(
            f"u: got shape {tuple(u.shape)} beside z of shape {tuple(z.shape)}, "
            f"wanted (n,) and (n, {dim}); pass one uniform a row"
        )
    if u.dtype != z.dtype or device(u) != device(z):
        raise ValueError(
            f"u: got {u.dtype} on {device(u)} beside z of {z.dtype} on {device(z)}, "
            "wanted one dtype and one device; convert one of them"
        )
    return xp
