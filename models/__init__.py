"""Networks and training; its modules import torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..theory._lazy import lazy

if TYPE_CHECKING:
    from .corrupt import Biased as Biased
    from .corrupt import Blurred as Blurred
    from .corrupt import Scaled as Scaled
    from .corrupt import TimeDropped as TimeDropped
    from .corrupt import TimeSwapped as TimeSwapped
    from .data import digit_images as digit_images
    from .data import digit_mixture as digit_mixture
    from .data import photo_mixture as photo_mixture
    from .data import photo_patches as photo_patches
    from .oracle import Oracle as Oracle

_EXPORTS = {
    "Biased": "corrupt",
    "Blurred": "corrupt",
    "Oracle": "oracle",
    "Scaled": "corrupt",
    "TimeDropped": "corrupt",
    "TimeSwapped": "corrupt",
    "digit_images": "data",
    "digit_mixture": "data",
    "photo_mixture": "data",
    "photo_patches": "data",
}
__all__ = sorted(_EXPORTS)  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = lazy(__name__, _EXPORTS)
