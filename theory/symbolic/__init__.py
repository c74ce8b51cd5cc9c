"""Derivations whose every step is checked by machine (sympy, python-flint)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy

if TYPE_CHECKING:
    from .catalogue import DERIVATIONS as DERIVATIONS
    from .catalogue import derive as derive
    from .derivation import Derivation as Derivation
    from .domain import POSITIVE as POSITIVE
    from .domain import REAL as REAL
    from .domain import UNIT as UNIT
    from .domain import Domain as Domain
    from .user_kernels import KernelProof as KernelProof
    from .user_kernels import kernel_of as kernel_of
    from .user_kernels import sde_of as sde_of
    from .zero import ZeroTest as ZeroTest
    from .zero import is_zero as is_zero

_EXPORTS = {
    "DERIVATIONS": "catalogue",
    "Derivation": "derivation",
    "KernelProof": "user_kernels",
    "POSITIVE": "domain",
    "REAL": "domain",
    "UNIT": "domain",
    "Domain": "domain",
    "ZeroTest": "zero",
    "derive": "catalogue",
    "is_zero": "zero",
    "kernel_of": "user_kernels",
    "sde_of": "user_kernels",
}
__all__ = sorted(_EXPORTS)  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = lazy(__name__, _EXPORTS)
