"""Curves, fields and bars, drawn by matplotlib on figures of their own (never pyplot)."""

from __future__ import annotations

import re
import textwrap
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...theory._checks import bad
from ._svg import PALETTE, array, inline
from .printing import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLES: Mapping[str, Mapping[str, Any]] = {
    "line": {"linestyle": "-"},
    "dashed": {"linestyle": "--"},
    "dotted": {"linestyle": ":"},
    "points": {"linestyle": "none", "marker": "o", "markersize": 4},
    "line+points": {"linestyle": "-", "marker": "o", "markersize": 4},
    "steps": {"linestyle": "-", "drawstyle": "steps-mid"},
}
_MARKERS = "osD^vPX"
_SCALES = ("linear", "log", "symlog")
_POINTS = 400  # a curve of the printed size shows no more
_ARROWS, _CELLS, _DEPTH = 17, 40, 12.0


def lines(figure: Mapping[str, Any]) -> str:
    """Curves with bands, points with error bars, reference levels and slopes.

    Raises:
        ValueError: arrays of different lengths, an unknown style or scale.
    """
    plot, axes = _axes(figure, (5.6, 3.5))
    if not figure["series"]:
        raise bad("figure series", "none", "at least one", "add a series")
    for k, series in enumerate(figure["series"]):
        _curve(axes, k, series)
    _scales(axes, figure)
    for slope in figure.get("slopes", ()):
        _slope(axes, float(slope), figure["series"])
    for level in figure.get("levels", ()):
        text = _label(level.get("label", ""))
        axes.axhline(
            float(level["y"]), color="#555", linewidth=1, linestyle="-.", label=text or None
        )
    for name in ("xlim", "ylim"):
        if figure.get(name):
            getattr(axes, f"set_{name}")(*array(figure[name], name, 1)[:2])
    return _finished(plot, axes, figure)


def _thin(size: int) -> np.ndarray:
    return np.unique(np.linspace(0, size - 1, min(size, _POINTS)).round().astype(int))


def _curve(axes: Axes, k: int, series: Mapping[str, Any]) -> None:
    x, y = array(series["x"], "x", 1), array(series["y"], "y", 1)
    band = [array(series[n], n, 1) for n in ("low", "high") if series.get(n) is not None]
    if x.size == 0 or any(v.size != x.size for v in (y, *band)):
        sizes = ", ".join(str(v.size) for v in (x, y, *band))
        raise bad("figure series", f"lengths {sizes}", "equal lengths, not zero", "match them")
    style = series.get("style", "line")
    if style not in _STYLES:
        raise bad("figure style", repr(style), f"one of {', '.join(_STYLES)}", "correct it")
    keep = _thin(x.size)
    x, y, band = x[keep], y[keep], [b[keep] for b in band]
    x, y = (np.where(np.isfinite(v), v, np.nan) for v in (x, y))
    colour = PALETTE[int(series.get("colour", k)) % len(PALETTE)]
    options = dict(_STYLES[style])
    if "marker" in options:
        options["marker"] = _MARKERS[k % len(_MARKERS)]
    if len(band) == 2 and "marker" in options:
        bars = np.abs(np.stack([y - band[0], band[1] - y]))
        bars = np.where(np.isfinite(bars), bars, 0.0)
        axes.errorbar(x, y, bars, fmt="none", ecolor=colour, elinewidth=1, capsize=2)
    elif len(band) == 2:
        axes.fill_between(x, band[0], band[1], color=colour, alpha=0.18, linewidth=0)
    text = _label(series.get("label", ""))
    axes.plot(x, y, color=colour, linewidth=1.5, label=text or None, **options)


def _slope(axes: Axes, slope: float, series: list[Mapping[str, Any]]) -> None:
    """A line of the given slope on log axes, below the last series and as long as it."""
    x, y = array(series[-1]["x"], "x", 1), array(series[-1]["y"], "y", 1)
    good = np.isfinite(x) & np.isfinite(y) & (x > 0) & (y > 0)
    if good.sum() < 2:
        return
    x, y = x[good], y[good]
    shifted = np.log(y) - slope * np.log(x)
    line = np.exp(shifted.min() + slope * np.log(x)) / 1.6
    order = np.argsort(x)
    axes.plot(
        x[order], line[order], color="#777", linewidth=1, linestyle="--", label=f"slope {slope:g}"
    )


def field(figure: Mapping[str, Any]) -> str:
    """Arrows of a vector field over contours of a log-density.

    Raises:
        ValueError: shapes that do not match the grid.
    """
    x, y = array(figure["x"], "x", 1), array(figure["y"], "y", 1)
    names = ["u", "v"] + (["density"] if figure.get("density") is not None else [])
    grids = {name: array(figure[name], name, 2) for name in names}
    for name, grid in grids.items():
        if grid.shape != (y.size, x.size):
            wanted = f"({y.size}, {x.size}), that of (y, x)"
            raise bad(f"figure {name}", f"shape {grid.shape}", wanted, "transpose it")
    plot, axes = _axes(figure, (4.6, 4.0))
    if "density" in grids:
        rows, columns = (np.arange(0, n, max(1, -(-n // _CELLS))) for n in (y.size, x.size))
        density = grids["density"][np.ix_(rows, columns)]
        top = density[np.isfinite(density)].max(initial=-np.inf)
        if np.isfinite(top) and density.shape > (1, 1):
            shown = np.ma.masked_invalid(np.maximum(density - top, -_DEPTH - 1))
            levels = np.linspace(-_DEPTH, 0, 9)
            axes.contourf(
                x[columns], y[rows], shown, levels, cmap="Blues", vmin=-_DEPTH, vmax=_DEPTH
            )
    rows, columns = (
        np.linspace(0, n - 1, min(n, _ARROWS)).round().astype(int) for n in (y.size, x.size)
    )
    u, v = (grids[n][np.ix_(rows, columns)] for n in ("u", "v"))
    length = np.hypot(u, v)
    usable = length[np.isfinite(length) & (length > 0)]
    typical = float(np.median(usable)) if usable.size else 1.0
    # Direction and a length that saturates: |s| / (|s| + median) lies in [0, 1).
    u, v = (np.where(np.isfinite(w), w / (length + typical), 0.0) for w in (u, v))
    cell = max(len(columns), 1) * 0.65
    axes.quiver(x[columns], y[rows], u, v, scale=cell, width=0.004, color="#222", pivot="mid")
    if figure.get("points") is not None and len(figure["points"]):
        points = array(figure["points"], "points", 2)
        points = points[_thin(len(points))]
        axes.plot(points[:, 0], points[:, 1], "o", color=PALETTE[1], markersize=3.5)
    axes.set_aspect("equal", adjustable="box")
    return _finished(plot, axes, figure, grid=False)


def bars(figure: Mapping[str, Any]) -> str:
    """Grouped or stacked bars with whiskers and the band of allowed values.

    Raises:
        ValueError: a series whose length is not that of the labels.
    """
    labels = [_label(clean(name)[:28]) for name in figure["labels"]]
    series = figure["series"]
    long = max((len(name) for name in labels), default=0) * len(labels) > 64
    plot, axes = _axes(figure, (min(9.0, max(5.6, 0.45 * len(labels) * len(series))), 3.5))
    limits = figure.get("allowed")
    if limits is not None:
        low, high = (np.nan if v is None else float(v) for v in limits)
        if np.isfinite(low) and np.isfinite(high):
            axes.axhspan(low, high, color="#999", alpha=0.25, linewidth=0, label="allowed")
        for end in (low, high):
            if np.isfinite(end):
                axes.axhline(end, color="#555", linewidth=1, linestyle="-.")
    stacked = bool(figure.get("stacked"))
    width = 0.5 if stacked else 0.8 / max(len(series), 1)
    above, below = np.zeros(len(labels)), np.zeros(len(labels))
    for k, entry in enumerate(series):
        values = array(entry["values"], "values", 1)
        if values.size != len(labels):
            raise bad(
                "figure values", f"{values.size}", f"{len(labels)} values", "match the labels"
            )
        place = np.arange(len(labels)) + (0.0 if stacked else (k - (len(series) - 1) / 2) * width)
        values = np.where(np.isfinite(values), values, np.nan)
        # What is positive is piled upwards from zero, what is negative downwards.
        bottom = np.where(values >= 0, above, below) if stacked else np.zeros(len(labels))
        above, below = (
            pile + side(np.where(np.isfinite(values), values, 0.0), 0.0)
            for pile, side in ((above, np.maximum), (below, np.minimum))
        )
        colour = PALETTE[k % len(PALETTE)]
        text = _label(entry.get("label", ""))
        axes.bar(place, values, width * 0.92, bottom=bottom, color=colour, label=text or None)
        if entry.get("low") is not None and entry.get("high") is not None:
            ends = [array(entry[n], n, 1) for n in ("low", "high")]
            spread = np.abs(np.stack([values - ends[0], ends[1] - values]))
            spread = np.where(np.isfinite(spread), spread, 0.0)
            axes.errorbar(
                place, values, spread, fmt="none", ecolor="#222", elinewidth=1, capsize=2
            )
    if stacked:
        axes.axhline(0.0, color="#222", linewidth=0.8)
    axes.set_xticks(
        np.arange(len(labels)),
        labels,
        rotation=35 if long else 0,
        ha="right" if long else "center",
    )
    _scales(axes, {"yscale": figure.get("yscale", "linear")})
    # Letters of 8 pt are about .065 in wide; turned by 35 degrees they reach down by sin 35.
    reach = 0.037 * max(map(len, labels), default=0) if long else 0.0
    plot.set_figheight(plot.get_figheight() + reach)
    return _finished(plot, axes, figure, below=reach)


def _axes(figure: Mapping[str, Any], size: tuple[float, float]) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    plot = Figure(figsize=size)
    axes = plot.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(which="both", labelsize=8)
    axes.set_xlabel(_broken(figure.get("xlabel", ""), 12 * size[0]), fontsize=9)
    axes.set_ylabel(_broken(figure.get("ylabel", ""), 11 * size[1]), fontsize=9)
    axes.set_title(_broken(figure.get("title", ""), 11 * size[0]), fontsize=10, loc="left")
    return plot, axes


def _tick(value: float, _: int | None = None) -> str:
    return re.sub(r"e([+-])0", r"e\1", f"{value:g}").replace("-", "\u2212")


def _plain_ticks(axes: Axes) -> None:
    """Ticks as plain text: setting formulas takes most of the time of a log axis."""
    from matplotlib.ticker import (
        FuncFormatter,
        LogFormatter,
        NullFormatter,
        NullLocator,
        ScalarFormatter,
    )

    class Minor(LogFormatter):
        """Labels minor ticks only where less than a decade is shown."""

        def __call__(self, x: float, pos: int | None = None) -> str:
            return _tick(x) if super().__call__(x, pos) else ""

    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "linear":
            if isinstance(axis.get_major_formatter(), ScalarFormatter):  # not the names of bars
                axis.set_major_formatter(FuncFormatter(_tick))
            continue
        axis.set_major_formatter(FuncFormatter(_tick))
        axis.set_minor_formatter(NullFormatter())
        low, high = sorted(axis.get_view_interval())
        if axis.get_scale() == "log" and high < 30 * low:
            axis.set_minor_formatter(Minor(minor_thresholds=(1, 0.4)))
        else:
            axis.set_minor_locator(NullLocator())


def _margins(plot: Figure, axes: Axes, below: float) -> None:
    """Margins from the lengths of the labels; an automatic layout draws every picture twice."""
    wide, tall = plot.get_figwidth(), plot.get_figheight()
    low, high = sorted(axes.get_ylim())
    ticks = [_tick(v) for v in axes.get_yticks() if low <= v <= high]
    names = axes.get_ylabel()
    # Digits of 8 pt are .071 in wide, lines of 9 pt .15 in high.
    left = 0.2 + 0.071 * max(map(len, ticks), default=4)
    left += 0.16 * (1 + names.count("\n")) if names else 0.0
    top = 0.34 + 0.17 * axes.get_title(loc="left").count("\n")
    bottom = (0.52 if axes.get_xlabel() else 0.34) + below
    plot.subplots_adjust(
        left=left / wide, right=1 - 0.14 / wide, bottom=bottom / tall, top=1 - top / tall
    )


def _scales(axes: Axes, figure: Mapping[str, Any]) -> None:
    for name in ("xscale", "yscale"):
        scale = figure.get(name, "linear")
        if scale not in _SCALES:
            raise bad(f"figure {name}", repr(scale), f"one of {', '.join(_SCALES)}", "correct it")
        if name in figure:
            getattr(axes, f"set_{name}")(scale)


def _finished(
    plot: Figure, axes: Axes, figure: Mapping[str, Any], *, grid: bool = True, below: float = 0.0
) -> str:
    if grid:
        axes.grid(color="#ddd", linewidth=0.6)
        axes.set_axisbelow(True)
    handles, _ = axes.get_legend_handles_labels()
    if len(handles) > 4:
        rows = -(-len(handles) // 3)
        plot.set_figheight(plot.get_figheight() + 0.2 * rows)
        below += 0.2 * rows + 0.05
        plot.legend(loc="lower center", fontsize=8, frameon=False, ncols=3)
    elif handles:
        axes.legend(fontsize=8, framealpha=0.85, edgecolor="none")
    _plain_ticks(axes)
    _margins(plot, axes, below)
    with warnings.catch_warnings():
        # A letter that the font lacks, or a log axis without positive data, spoils no report.
        warnings.simplefilter("ignore")
        return inline(plot, figure)


def _broken(text: Any, width: float) -> str:
    """A label on at most two lines; a break within a formula would spoil it."""
    label = _label(text)
    return label if "$" in label else textwrap.fill(label, round(width), max_lines=2)


def _label(text: Any) -> str:
    """A label whose formulas matplotlib can set; else its dollar signs are printed as such."""
    from matplotlib.mathtext import MathTextParser

    label = clean(text).replace("\n", " ")
    if "$" not in label:
        return label
    try:
        if label.count("$") % 2:
            raise ValueError("a dollar sign without partner")
        MathTextParser("path").parse(label)
    except ValueError:
        return label.replace("$", r"\$")
    return label
