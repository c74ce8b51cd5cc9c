"""Pictures of a verdict: plain numbers in, inline SVG out.

``verdict.figure`` is a mapping that JSON can hold. Every kind takes

    kind      "lines" | "field" | "images" | "bars" | "panels"
    title     heading (LaTeX between $ is allowed in titles, axis labels and series labels)
    alt       one sentence for readers who cannot see it; default the title
    caption   one sentence below the picture; default none

``lines``: curves, ladders of errors, marginals over time::

    xlabel, ylabel, xscale, yscale        scales "linear" (default) | "log" | "symlog"
    xlim, ylim                            [low, high], optional
    series  [{label, x, y, low?, high?, style?, colour?}]
            low, high: a band (curves) or error bars (points), same length as y
            style "line" (default) | "dashed" | "dotted" | "points" | "line+points" | "steps"
            colour: index into the palette, so that curves which belong together share it
    levels  [{y, label?}]                 horizontal reference lines, e.g. a tolerance
    slopes  [p, ...]                      reference slopes y ~ x^p on two log axes

``field``: a score field on a grid, with contours of the log-density::

    x (nx,), y (ny,), u (ny, nx), v (ny, nx)
    density (ny, nx)                      log-density, optional
    points  [[x, y], ...]                 optional draws or modes
    xlabel, ylabel                        optional

The length of an arrow grows with |(u, v)| but saturates, so that far arrows stay readable.

``images``: a contact sheet::

    rows    [{label, images: [pixels, ...]}]    pixels (h, w) grey or (h, w, 3) colour
    columns [label, ...]                  optional heads of the columns
    vmin, vmax                            black and white (default: range of the pixels)

``bars``: grouped bars::

    labels  [name, ...]                   one a group
    stacked                               true piles the series up (negative ones downwards) instead
    series  [{label, values, low?, high?}]
    ylabel, yscale                        scale "linear" (default) | "log" | "symlog"
    allowed [low, high]                   optional band; an end may be null

``panels``: ``panels [figure, ...]``, drawn side by side where the page is wide enough.

Numbers that are not finite leave gaps; they may be the strings "nan", "inf", "-inf" of the JSON
form. ``listed`` turns an array into lists with few digits, to keep report.json small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...theory._checks import bad

KINDS = ("lines", "field", "images", "bars", "panels")


def draw(figure: Mapping[str, Any]) -> str:
    """Renders a figure to inline SVG, the same bytes for the same numbers.

    Args:
        figure: a mapping as described in the module's text.

    Returns:
        One ``<svg>`` element with ``aria-label`` and ``<title>`` (several for ``panels``).

    Raises:
        ValueError: unknown kind, a missing or misshapen part.
    """
    from . import plots, sheet

    drawers: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "lines": plots.lines,
        "field": plots.field,
        "bars": plots.bars,
        "images": sheet.images,
        "panels": _panels,
    }
    kind = figure.get("kind") if isinstance(figure, Mapping) else None
    if not isinstance(kind, str) or kind not in drawers:
        raise bad("figure kind", repr(kind)[:40], f"one of {', '.join(KINDS)}", "correct it")
    try:
        return drawers[kind](figure)
    except KeyError as error:
        raise bad(f"figure {kind}", f"no {error}", "that entry", "add it") from error
    except (TypeError, AttributeError, IndexError, OverflowError) as error:
        why = " ".join(str(error).split())[:120]
        raise bad(
            f"figure {kind}", f"a misshapen part ({why})", "its schema", "correct it"
        ) from error


def _panels(figure: Mapping[str, Any]) -> str:
    if any(p.get("kind") == "panels" for p in figure["panels"]):
        raise bad("figure panels", "panels within panels", "plain figures", "flatten them")
    return "".join(draw(p) for p in figure["panels"])


def listed(array: Any, *, digits: int = 4) -> Any:
    """Nested lists of an array's numbers (a float for a number) rounded to ``digits`` significant digits.

    Raises:
        ValueError: ``array`` is not numeric.
    """
    if hasattr(array, "detach"):
        array = array.detach().cpu().numpy()
    values = np.asarray(array, dtype=np.float64)
    short = np.array([float(f"{v:.{digits - 1}e}") for v in values.ravel()], dtype=np.float64)
    return short.reshape(values.shape).tolist()
