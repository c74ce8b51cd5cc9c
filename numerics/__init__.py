"""Randomness and approximation; every result carries its error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..theory._lazy import lazy

if TYPE_CHECKING:
    from .rng import draw as draw
    from .rng import substream as substream

_EXPORTS = {
    "draw": "rng",
    "substream": "rng",
}
__all__ = sorted(_EXPORTS)  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = lazy(__name__, _EXPORTS)
