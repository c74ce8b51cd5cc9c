"""Samplers of other libraries as functions that :func:`check_sampler` takes; a library is imported when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...theory._lazy import lazy

if TYPE_CHECKING:
    from .adapter import Adapter as Adapter
    from .target import sampler_at as sampler_at

_EXPORTS = {"Adapter": "adapter", "sampler_at": "target"}
__all__ = sorted(_EXPORTS)  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = lazy(__name__, _EXPORTS)
