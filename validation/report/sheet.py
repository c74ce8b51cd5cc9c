"""Contact sheets: all pixels in one embedded PNG, the labels as text."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import escape

from ...theory._checks import bad
from ._svg import array, wrapped
from .printing import clean

_TILE = 44.0  # printed side of an image, in CSS pixels
_LETTER = 6.1  # mean width of a letter of the labels
_PIXELS = 4_000_000
_TEXT = '<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="#222">{text}</text>'


def png(pixels: np.ndarray) -> bytes:
    """PNG file of uint8 pixels, (h, w) grey or (h, w, 3) colour; without dates, so always the same."""
    height, width = pixels.shape[:2]
    colour = 2 if pixels.ndim == 3 else 0
    lines = pixels.reshape(height, -1)
    raw = np.concatenate([np.zeros((height, 1), np.uint8), lines], axis=1).tobytes()

    def chunk(name: bytes, data: bytes) -> bytes:
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    packed = zlib.compress(raw, 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )


def _tiles(figure: Mapping[str, Any]) -> list[list[np.ndarray]]:
    rows = []
    for row in figure["rows"]:
        tiles = []
        for image in row["images"]:
            depth = np.ndim(np.asarray(image, dtype=object))
            tiles.append(array(image, "image", 3 if depth == 3 else 2))
        rows.append(tiles)
    shapes = {t.shape for r in rows for t in r}
    if len(shapes) != 1 or 0 in next(iter(shapes)):
        raise bad("figure images", f"{len(shapes)} shapes", "images of one shape", "pad them")
    shape = next(iter(shapes))
    if len(shape) == 3 and shape[2] != 3:
        raise bad("figure images", f"{shape[2]} channels", "3", "put the channels last")
    return rows


def images(figure: Mapping[str, Any]) -> str:
    """A contact sheet, one row of images a label; see the schema in ``pictures``.

    Raises:
        ValueError: no images, or images of several shapes.
    """
    rows = _tiles(figure)
    shape = next(t.shape for r in rows for t in r)
    h, w = shape[:2]
    across = max(len(r) for r in rows)
    if (h + 1) * (w + 1) * across * len(rows) > _PIXELS:
        raise bad("figure images", f"more than {_PIXELS:,} pixels", "fewer", "show fewer images")
    known = np.concatenate([t.ravel() for r in rows for t in r])
    known = known[np.isfinite(known)]
    low = float(figure.get("vmin", known.min() if known.size else 0.0))
    high = float(figure.get("vmax", known.max() if known.size else 1.0))
    depth = shape[2:]
    canvas = np.full((len(rows) * (h + 1) - 1, across * (w + 1) - 1, *depth), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, tile in enumerate(row):
            grey = np.clip((tile - low) / ((high - low) or 1.0), 0, 1)
            grey = np.where(np.isfinite(tile), grey, 0.5)
            top, left = i * (h + 1), j * (w + 1)
            canvas[top : top + h, left : left + w] = np.rint(255 * grey).astype(np.uint8)
    return _page(figure, canvas, (h, w))


def _page(figure: Mapping[str, Any], canvas: np.ndarray, tile: tuple[int, int]) -> str:
    scale = _TILE / max(tile)
    labels = [clean(r.get("label", "")) for r in figure["rows"]]
    heads = [clean(c) for c in figure.get("columns", ())]
    title = clean(figure.get("title", ""))
    margin = 16 + min(_LETTER * max(map(len, labels), default=0), 260.0)
    top = 10 + (22 if title else 0) + (16 if heads else 0)
    wide, tall = canvas.shape[1] * scale, canvas.shape[0] * scale
    total = max(margin + wide + 10, 7.4 * len(title) + 20), top + tall + 10
    data = base64.b64encode(png(canvas)).decode()
    parts = [f'<rect width="{total[0]:.1f}" height="{total[1]:.1f}" fill="#fff"/>']
    if title:
        parts.append(_TEXT.format(x=10, y=20, size=13, anchor="start", text=escape(title)))
    for j, head in enumerate(heads):
        x = margin + (j + 0.5) * (tile[1] + 1) * scale
        parts.append(_TEXT.format(x=x, y=top - 5, size=10, anchor="middle", text=escape(head)))
    for i, label in enumerate(labels):
        y = top + (i * (tile[0] + 1) + tile[0] / 2) * scale + 4
        shown = label if len(label) <= 42 else label[:40] + "\u2026"
        parts.append(_TEXT.format(x=margin - 8, y=y, size=11, anchor="end", text=escape(shown)))
    parts.append(
        f'<image x="{margin:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{tall:.1f}" '
        f'style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'
    )
    return wrapped(f"0 0 {total[0]:.1f} {total[1]:.1f}", total[0], figure, "".join(parts))
