"""Checks of samplers against exact truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...theory._lazy import lazy

if TYPE_CHECKING:
    from .budget import ErrorBudget as ErrorBudget
    from .budget import error_budget as error_budget
    from .run import check_sampler as check_sampler

_EXPORTS = {"ErrorBudget": "budget", "check_sampler": "run", "error_budget": "budget"}
__all__ = sorted(_EXPORTS)  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = lazy(__name__, _EXPORTS)
