"""Pictures from plain numbers, numbers as text, strips: what is drawn is what was given."""

import math
import re
import xml.etree.ElementTree as ET
import zlib
from base64 import b64decode

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoreproof.validation.evidence import Allowed, Evidence, Measured, Outcome, plain
from scoreproof.validation.report import draw, listed
from scoreproof.validation.report import printing as p
from scoreproof.validation.report.strips import strip

GRID = np.linspace(-2, 3, 9)
X, Y = np.meshgrid(GRID, GRID[:7])
FIGURES = {
    "lines": {
        "kind": "lines",
        "series": [
            {
                "label": s,
                "x": [1, 2, 3],
                "y": [1.0, math.nan, 4.0],
                "low": [0, 1, 2],
                "high": [2, 3, 5],
                "style": s,
            }
            for s in ("line", "dashed", "dotted", "points", "line+points", "steps")
        ],
        "xlim": [0, 4],
    },
    "ladder": {
        "kind": "lines",
        "xscale": "log",
        "yscale": "log",
        "series": [{"x": [4, 8, 16], "y": [0.1, 0.02, 0.006]}],
        "slopes": [-2],
        "levels": [{"y": 0.01, "label": "tolerance"}],
    },
    "field": {
        "kind": "field",
        "x": GRID.tolist(),
        "y": GRID[:7].tolist(),
        "u": (-X).tolist(),
        "v": (1 - 3 * Y).tolist(),
        "density": (-(X**2) / 2 - (1 - 3 * Y) ** 2 / 6).tolist(),
        "points": [[0, 1 / 3]],
    },
    "images": {
        "kind": "images",
        "title": "digits",
        "rows": [{"label": "a", "images": [[[0, 1], [2, math.inf]], [[3, 4], [math.nan, 4]]]}],
        "columns": ["first", "second"],
        "vmin": 0,
        "vmax": 4,
    },
    "colour": {"kind": "images", "rows": [{"images": [np.ones((2, 3, 3)).tolist()]}], "vmin": 0},
    "bars": {
        "kind": "bars",
        "labels": ["start", "steps"],
        "series": [
            {"values": [1, -math.inf], "low": [0.5, 0], "high": [1.5, 1]},
            {"values": [2, 3]},
        ],
        "allowed": [None, 2.5],
    },
}
FIGURES["panels"] = {"kind": "panels", "panels": [FIGURES["ladder"], FIGURES["bars"]]}


@pytest.mark.parametrize("name", FIGURES)
def test_every_kind_is_drawn_the_same_twice(name):
    figure = FIGURES[name] | {"alt": 'a "picture" of <x> & y'}
    svg = draw(figure)
    assert svg == draw(plain(figure))  # numbers that went through JSON draw the same bytes
    root = ET.fromstring(f"<svgs>{svg}</svgs>")
    assert len(root) == (2 if name == "panels" else 1)
    if name != "panels":
        assert root[0].get("aria-label") == root[0].findtext("title") == figure["alt"]
    assert "http" not in svg and "<style" not in svg and "<!--" not in svg and "nan" not in svg
    assert len(svg) < 100_000
    ids = re.findall(r'\bid="([^"]+)"', svg)
    assert len(ids) == len(set(ids))
    used = re.findall(r'href="#([^"]+)"', svg) + re.findall(r"url\(#([^)]+)\)", svg)
    assert set(used) <= set(ids)


def test_drawing_leaves_matplotlib_as_it_was():
    import matplotlib

    before = dict(matplotlib.rcParams)
    draw(FIGURES["ladder"])
    assert dict(matplotlib.rcParams) == before


def test_long_curves_are_thinned():
    x = np.linspace(0, 1, 20_000)
    svg = draw({"kind": "lines", "series": [{"x": x.tolist(), "y": np.sin(40 * x).tolist()}]})
    assert len(svg) < 60_000


def test_contact_sheet_holds_the_pixels():
    svg = draw(FIGURES["images"])
    data = b64decode(re.findall(r"base64,([^\"]+)", svg)[0])
    start = data.index(b"IDAT") + 4
    size = int.from_bytes(data[start - 8 : start - 4], "big")
    rows = np.frombuffer(zlib.decompress(data[start : start + size]), np.uint8).reshape(2, 6)[
        :, 1:
    ]
    # Grey is rint(255 v / 4); what is not finite is mid-grey; a white column parts the images.
    assert rows.tolist() == [[0, 64, 255, 191, 255], [128, 128, 255, 128, 255]]


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        ({}, "figure kind"),
        ({"kind": "pie"}, "figure kind"),
        ({"kind": ["lines"]}, "figure kind"),
        ({"kind": "lines"}, "no 'series'"),
        ({"kind": "lines", "series": []}, "figure series"),
        ({"kind": "lines", "series": [{"x": [1, 2], "y": [1]}]}, "lengths 2, 1"),
        ({"kind": "lines", "series": [{"x": ["a"], "y": [1]}]}, "figure x"),
        ({"kind": "lines", "series": [{"x": [1], "y": [1], "style": "wavy"}]}, "figure style"),
        ({"kind": "lines", "series": [{"x": [1], "y": [1]}], "yscale": "cubic"}, "figure yscale"),
        ({"kind": "lines", "series": 3}, "misshapen"),
        (FIGURES["field"] | {"u": X.T.tolist()}, r"figure u.*transpose"),
        ({"kind": "images", "rows": [{"images": [[[1]], [[1, 2]]]}]}, "2 shapes"),
        ({"kind": "images", "rows": []}, "0 shapes"),
        ({"kind": "images", "rows": [{"images": [[[[1, 2]]]]}]}, "2 channels"),
        ({"kind": "bars", "labels": ["a"], "series": [{"values": [1, 2]}]}, "figure values"),
        ({"kind": "panels", "panels": [FIGURES["panels"]]}, "panels within panels"),
    ],
)
def test_bad_figures_give_one_line(figure, said):
    with pytest.raises(ValueError, match=said) as caught:
        draw(figure)
    assert "\n" not in str(caught.value)


def test_labels_with_broken_formulas_are_drawn():
    for label in (r"$\nope$", "$5", "$x_{$", "得分"):
        assert "<svg" in draw(FIGURES["ladder"] | {"title": label, "xlabel": label})


def test_listed_keeps_digits():
    assert listed(np.array([[1 / 3, 2e-7 / 3], [12345.6, 0.0]]), digits=3) == [
        [0.333, 6.67e-08],
        [12300.0, 0.0],
    ]


@given(st.floats(-1e300, 1e300), st.integers(2, 9))
def test_number_is_near_what_was_given(value, digits):
    # d significant digits are within half a unit of the last: 5 * 10^-d relative.
    shown = float(p.number(value, digits).replace(",", ""))
    assert abs(shown - value) <= 5.001 * 10.0**-digits * abs(value)


@given(*[st.floats(-1e150, 1e150)] * 2)
def test_printed_interval_holds_the_measured_one(a, b):
    low, high = min(a, b), max(a, b)
    value, ends = p.measured(low / 2 + high / 2, low, high)
    if not ends:
        assert low == high
        return
    left, right = (float(v) for v in ends[1:-1].split(", "))
    assert left <= low and high <= right
    # Two digits of the width w: each end moves by at most one unit, w / 10; the last 17 digits
    # of the larger end bound it where the interval is narrower than float64 prints.
    slack = 0.1001 * (high - low) + 1e-15 * max(abs(low), abs(high))
    assert low - left <= slack and right - high <= slack
    assert low - slack <= float(value) <= high + slack


def test_numbers_as_text():
    assert p.number(1.2345e-7) == "1.2345e-07" and p.number(100_000) == "100,000"
    assert p.measured(1.0227, 1.0221, 1.0233) == ("1.0227", "[1.0221, 1.0233]")
    assert p.measured(0, -1.2e-16, 1.1e-16) == ("0", "[-1.2e-16, 1.1e-16]")
    assert p.allowed(Allowed(-math.inf, 0.05)) == "at most 0.05"
    assert p.allowed(Allowed(0, 0)) == "exactly 0"
    assert [p.seconds(s) for s in (0.0031, 41.66, 250)] == ["3 ms", "41.7 s", "4 min 10 s"]


def piece(low, high, allowed, value=None):
    middle = (low + high) / 2 if value is None else value
    return Evidence(
        check="c", kind="exact", measured=Measured(middle, low, high), allowed=Allowed(*allowed)
    )


@given(
    *[st.floats(allow_nan=False)] * 2,
    *[st.floats(allow_nan=False)] * 2,
)
def test_strip_lies_in_its_frame(a, b, c, d):
    low, high = sorted((a, b))
    value = low if math.isinf(high) else high
    svg = str(strip(piece(low, high, sorted((c, d)), value)))
    root = ET.fromstring(svg)
    for node in root:
        for name in ("x", "x1", "x2", "cx"):
            assert 0 <= float(node.get(name, 0)) <= 168
        assert float(node.get("width", 0)) >= 0


def at(node, path, name) -> str:
    found = node.find(path)
    assert found is not None
    return found.attrib[name]


def test_strip_shows_where_the_interval_lies():
    def dot_and_band(e):
        root = ET.fromstring(str(strip(e)))
        left = float(at(root, "rect[@class='band']", "x"))
        right = left + float(at(root, "rect[@class='band']", "width"))
        return float(at(root, "circle", "cx")), left, right, at(root, "circle", "class")

    dot, left, right, name = dot_and_band(piece(0.02, 0.03, (-0.05, 0.05)))
    assert left < dot < right and "SUPPORTED" in name
    dot, left, right, name = dot_and_band(piece(1.0, 1.2, (-0.05, 0.05)))
    assert right < dot and "REFUTED" in name
    dot, left, right, name = dot_and_band(piece(-3, -2, (0, math.inf)))
    # The band has a margin of one pixel on either side and runs off the right edge.
    assert dot < left and right >= 168
    e = Evidence(check="e", kind="test", log10_e=4.0, level=1e-8)
    root = ET.fromstring(str(strip(e)))
    bar, edge = (float(at(root, *q)) for q in (("rect", "width"), ("line[@class='edge']", "x1")))
    # The bar ends at 4 of 8, in printed tenths of a pixel.
    assert abs(bar / edge - 0.5) < 0.1 / 146
    assert str(strip(Evidence.error("c", "raised"))) == ""


def test_finding_names_the_end_that_matters():
    assert p.finding(piece(1.0, 1.2, (-0.05, 0.05))) == "1.1 > 0.05"
    assert p.finding(piece(-3, -2, (0, math.inf))) == "-2.5 < 0"
    assert p.finding(piece(0.04, 0.06, (-math.inf, 0.05))) == "0.05 +- 0.01 ? 0.05"
    assert p.finding(piece(0.02, 0.03, (-0.05, 0.05))) == "0.025 <= 0.05"
    assert p.finding(piece(0, 0, (0, 0))) == "0 = 0"
    assert p.finding(Evidence.error("c", "raised\nlater")) == "raised"
    assert piece(0, 0, (0, 0)).outcome is Outcome.SUPPORTED


def test_numpy_numbers_are_printed_like_plain_ones():
    plain = p.measured(0.97, 0.951, 0.99)
    assert p.measured(*np.array([0.97, 0.951, 0.99])) == plain
