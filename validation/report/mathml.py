"""Statements typeset: text with LaTeX between dollar signs becomes escaped HTML with MathML."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from functools import lru_cache

from markupsafe import Markup, escape

from .printing import clean

_SPACE = "http://www.w3.org/1998/Math/MathML"
_TAG_NAMES = """
    math mrow mi mn mo ms mtext mspace mstyle mfrac msqrt mroot msub msup msubsup munder mover
    munderover mmultiscripts mprescripts none mtable mtr mtd mpadded mphantom menclose
"""
_TAGS = frozenset(_TAG_NAMES.split())
_ATTRIBUTE_NAMES = """
    display mathvariant mathsize stretchy fence form separator largeop movablelimits symmetric
    accent accentunder lspace rspace width height depth voffset linethickness scriptlevel
    displaystyle minsize maxsize rowspacing columnspacing columnalign rowalign columnlines
    rowlines frame notation open close bevelled numalign denomalign mathcolor
"""
_ATTRIBUTES = frozenset(_ATTRIBUTE_NAMES.split())
_FORMULA = re.compile(r"(?<!\\)\$\$(.+?)(?<!\\)\$\$|(?<!\\)\$(.+?)(?<!\\)\$", re.DOTALL)
_ACCENTS = frozenset("~^\u02dc\u02c6\u00af\u02c9\u2192\u02d9\u00a8")
_ROWS = frozenset({"math", "mrow", "mstyle", "mtd", "msqrt"})
_SIGNS = frozenset({"\u2212", "+", "\u00b1"})
_CLOSING = frozenset({")", "]", "}", "|", "\u2016", "\u27e9", "!", "\u2032"})
_BEFORE = frozenset({"mi", "mn", "msub", "msup", "msubsup", "mfrac", "msqrt", "mrow"})


def typeset(text: str) -> Markup:
    r"""HTML of a text: formulas between ``$`` (or ``$$``) as MathML, all else escaped.

    A formula that cannot be converted stands as escaped source in ``<code>``. A dollar sign
    without partner, or written ``\$``, is a dollar sign.
    """
    text = clean(text)
    parts, end = [], 0
    for found in _FORMULA.finditer(text):
        parts.append(_prose(text[end : found.start()]))
        display, inline = found.group(1), found.group(2)
        parts.append(formula(display or inline, display=bool(display)))
        end = found.end()
    parts.append(_prose(text[end:]))
    return Markup("").join(parts)


def _prose(text: str) -> Markup:
    return escape(text.replace("\\$", "$"))


@lru_cache(maxsize=4096)
def formula(latex: str, *, display: bool = False) -> Markup:
    """MathML of one formula, or its escaped source in ``<code>`` where that fails."""
    try:
        return Markup(_mathml(latex, display))
    # The converter raises whatever its parser meets (IndexError, KeyError, its own classes).
    except Exception:
        return Markup("<code>{}</code>").format(latex)


def _mathml(latex: str, display: bool) -> str:
    r"""Converts, then rebuilds the tree from known tags and attributes only.

    The converter copies text and attribute values unescaped, so that its output cannot be
    trusted: ``\text{<b>}`` gives a tag. What does not parse, or holds anything unknown, is refused.

    Raises:
        ValueError: an unknown tag, attribute or command.
    """
    from latex2mathml.converter import convert

    raw = convert(latex, display="block" if display else "inline")
    root = ET.fromstring(raw)
    for node in root.iter():
        node.tag = node.tag.removeprefix(f"{{{_SPACE}}}")
        if node.tag not in _TAGS or not _ATTRIBUTES.issuperset(node.attrib):
            raise ValueError(f"unknown element {node.tag}")
        if "\\" in (node.text or "") or (node.tail or "").strip():
            raise ValueError("unknown command")
        if node.tag == "mover" and (node[-1].text or "") in _ACCENTS:
            node.set("accent", "true")
            node[-1].set(
                "stretchy", "false"
            )  # a font without a table of sizes drops a stretched bar
    root.set("display", "block" if display else "inline")
    _join(root)
    _space(root)
    return ET.tostring(root, encoding="unicode")


def _join(root: ET.Element) -> None:
    r"""``\mathrm{tr}`` as one word and not as letters side by side, for the eye and for those who listen."""
    for row in root.iter("mrow"):
        letters = [c.text or "" for c in row if c.get("mathvariant") == "normal"]
        if len(letters) == len(row) > 1 and all(c.tag == "mi" for c in row):
            row[:] = [ET.Element("mi")]
            row[0].text = "".join(letters)


def _space(root: ET.Element) -> None:
    """Spacing as in print: thin around a named function (``log p``), none after a sign (``= -x``)."""
    for node in root.iter("mo"):
        if _named(node):
            node.tag = "mi"  # as an operator it would be spaced like a plus sign
        elif node.text == "/":
            node.attrib |= {"lspace": "0", "rspace": "0"}
    for parent in list(root.iter()):
        if parent.tag not in _ROWS:
            continue
        for k in range(len(parent) - 1, 0, -1):
            left, right = parent[k - 1], parent[k]
            if right.text in _SIGNS and left.tag == "mo" and left.text not in _CLOSING:
                right.attrib |= {"form": "prefix", "lspace": "0", "rspace": "0"}
            touching = (_named(left) and (right.tag in _BEFORE or right.text == "\u2207")) or (
                _named(right) and (left.tag in _BEFORE or left.text == "\u2207")
            )
            if touching:
                parent.insert(k, ET.Element("mspace", width="0.167em"))


def _named(node: ET.Element) -> bool:
    if node.tag in ("msub", "msup", "msubsup", "munder") and len(node):
        node = node[0]
    text = node.text or ""
    return node.tag in ("mi", "mo") and len(text) > 1 and text.isalpha() and text.isascii()
