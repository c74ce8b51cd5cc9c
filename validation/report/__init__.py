"""The report: terminal table, JSON, JUnit XML and one self-contained HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...theory._lazy import lazy

if TYPE_CHECKING:
    from .files import load as load
    from .files import save as save
    from .html import render as render
    from .pictures import draw as draw
    from .pictures import listed as listed
    from .text import summary as summary

_EXPORTS = {
    "draw": "pictures",
    "listed": "pictures",
    "load": "files",
    "render": "html",
    "save": "files",
    "summary": "text",
}
__all__ = sorted(_EXPORTS)  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = lazy(__name__, _EXPORTS)
