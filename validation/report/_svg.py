"""What every picture shares: palette, checked numbers, the SVG element around it."""

from __future__ import annotations

import hashlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import escape

from ...theory._checks import bad
from .printing import clean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Okabe and Ito's palette without its yellow: distinct for colour-blind readers, dark on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_LONG = re.compile(r"-?\d+\.\d{3,}")
_PATH = re.compile(r'(?<= d=")[^"]+|(?<= x=")[^"]+|(?<= y=")[^"]+')
_IDS = re.compile(r'(\bid="|href="#|url\(#)')
_DROPPED = re.compile(r"<!--.*?-->|<metadata>.*?</metadata>|<style[^>]*>.*?</style>", re.DOTALL)


def array(value: Any, name: str, ndim: int) -> np.ndarray:
    """Numbers of a figure as float64, with the number of axes checked.

    Raises:
        ValueError: not numeric, ragged, or of another number of axes.
    """
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise bad(f"figure {name}", repr(value)[:40], "numbers", "pass nested lists") from error
    if numbers.ndim != ndim:
        raise bad(f"figure {name}", f"shape {numbers.shape}", f"{ndim} axes", "reshape it")
    return numbers


def alt(figure: Mapping[str, Any]) -> str:
    """The sentence for readers who cannot see the picture."""
    return clean(figure.get("alt") or figure.get("title") or f"figure of kind {figure['kind']}")


def wrapped(view_box: str, width: float, figure: Mapping[str, Any], body: str) -> str:
    """An ``<svg>`` element with its alternative text; ``width`` is the largest on the page."""
    label = escape(alt(figure))
    text = (
        f'<svg class="picture" viewBox="{view_box}" style="max-width:{width:.0f}px;'
        f'stroke-linejoin:round;stroke-linecap:butt" role="img" aria-label="{label}">'
        f"<title>{label}</title>{body}</svg>"
    )
    ET.fromstring(text)  # a picture that does not parse would spoil the page around it
    return text


def inline(plot: Figure, figure: Mapping[str, Any]) -> str:
    """The SVG of a matplotlib figure, made fit to stand in a page among others.

    Prolog, metadata, comments and page-wide styles go, coordinates are cut to 1/100 pt, and ids
    get a prefix made of the content, since ids are shared by the whole page.
    """
    import io

    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    FigureCanvasSVG(plot)
    stream = io.StringIO()
    settings = {"svg.hashsalt": "scoreproof", "svg.fonttype": "path", "svg.id": None}
    known: Any = {k: v for k, v in settings.items() if k in matplotlib.rcParams}
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with matplotlib.rc_context(known):
        plot.savefig(stream, format="svg", metadata=nothing, facecolor="white")
    raw = _DROPPED.sub("", stream.getvalue())
    head = re.search(r'<svg [^>]*viewBox="([^"]+)"[^>]*>', raw)
    if head is None:
        raise bad("figure", "no picture", "an svg element", "check matplotlib")
    body = raw[head.end() : raw.rindex("</svg>")].replace("xlink:href", "href")
    body = _PATH.sub(lambda m: _LONG.sub(_short, m.group()), body)
    body = re.sub(r">\s+<", "><", re.sub(r"\n\s*", " ", body)).strip()
    prefix = "p" + hashlib.sha256((body + alt(figure)).encode()).hexdigest()[:10] + "-"
    body = _IDS.sub(lambda m: m.group() + prefix, body)
    return wrapped(head.group(1), plot.get_figwidth() * 96, figure, body)


def _short(match: re.Match[str]) -> str:
    text = f"{float(match.group()):.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
