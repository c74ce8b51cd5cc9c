"""The picture beside a diagnosis: densities against the truth, quantiles with a band, weights, variances, radii."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import special

from ..numerics import confidence as ci
from ..numerics.tilts import EDGES, MASS, NORMAL
from ..theory.protocols import Vector
from ._sample_families import axis_words
from ._sample_run import Run
from .report.pictures import listed

_BARS = 12
_POINTS = 64
_FEW = 8
_MANY = 20_000
_SHOWN = slice(8, -8)  #: cells between the 0.8 and the 99.2 % points: the rest is tail


def figure(run: Run, cause: str | None) -> Mapping[str, Any] | None:
    """Panels that show what the diagnosis says; None where there is nothing to draw.

    Args:
        run: the stream.
        cause: effect or family that the diagnosis names.
    """
    if cause in ("weights", "cumulated", "labels", "mixing") or not run.shape.dim:
        return _weights(run)
    histograms = run.refuting.histograms
    if histograms is None or histograms.columns is None:
        return None
    panels = [_weights(run)] if len(run.shape.weights) > 1 else []
    counts, name = _column(run, cause)
    panels.append(_density(counts, name))
    if len(np.unique(np.cumsum(counts)[:-1])) > _FEW:  # a few values have no quantiles to speak of
        panels.append(_quantiles(counts, name, run.false_alarm))
    if run.shape.dim > 1:
        panels.append(_radius(run))
    if run.shape.dim > 2:
        panels.append(_spectrum(run))
    return {"kind": "panels", "panels": panels}


def _column(run: Run, cause: str | None) -> tuple[Vector, str]:
    """The counts to show: the column of the worst effect of that name, else the one the e-process finds worst."""
    histograms = run.refuting.histograms
    assert histograms is not None and histograms.columns is not None
    effect = next((e for e in run.effects if e.name == cause), None)
    d, first = run.shape.dim, min(run.shape.dim, 64)
    if effect is not None and cause in ("mean", "variance", "beyond", "cdf"):
        j = effect.worst
        limit = first if cause == "cdf" else d
        if j < first:
            return histograms.columns[j], axis_words(run, j)
        if j >= limit:
            k = j - limit
            return histograms.columns[first + k], f"random projection {k}"
    if cause in ("scales", "profiles", "drifts", "learned scale") and histograms.whole is None:
        j = int(np.argmax(np.abs(run.refuting.squares[:first] - run.n)))
        return histograms.columns[j], axis_words(run, j)
    counts, name = histograms.worst()
    if name.startswith("coordinate"):
        name = axis_words(run, int(name.split()[1]))
    return counts, {"whole": "the draws", "pooled": "all whitened coordinates"}.get(
        name, name.replace("projection", "random projection")
    )


def _merged(counts: Vector, ends: Vector) -> tuple[Vector, Vector, Vector]:
    """Shares of the draws between ``low`` and ``high``: inner cells, fewer of them for fewer draws."""
    width = 2 if counts.sum() > _MANY else 4
    inner = counts[1:-1][_SHOWN]
    size = len(inner) // width * width
    edges = ends[_SHOWN][: size + 1 : width]
    return inner[:size].reshape(-1, width).sum(axis=1) / counts.sum(), edges[:-1], edges[1:]


def _density(counts: Vector, name: str) -> dict[str, Any]:
    share, low, high = _merged(counts, NORMAL)
    fine = np.linspace(low[0], high[-1], 121)
    truth = {"x": listed(fine), "y": listed(np.exp(-(fine**2) / 2) / np.sqrt(2 * np.pi))}
    return {
        "kind": "lines",
        "title": f"Density along {name}",
        "xlabel": "whitened: standard deviations of the law",
        "ylabel": "density",
        "caption": "Band: two standard errors of the draws.",
        "series": [
            {"label": "truth", **truth, "style": "dashed", "colour": 1},
            _seen(share, low, high, counts.sum()),
        ],
    }


def _seen(share: Vector, low: Vector, high: Vector, n: float) -> dict[str, Any]:
    noise = 2 * np.sqrt(np.maximum(share, 1 / n) * (1 - share) / n)
    width = high - low
    return {
        "label": f"{int(n):,} draws",
        "x": listed((low + high) / 2),
        "y": listed(share / width),
        "low": listed((share - noise) / width),
        "high": listed((share + noise) / width),
        "colour": 0,
    }


def _quantiles(counts: Vector, name: str, level: float) -> dict[str, Any]:
    n = counts.sum()
    at = np.cumsum(counts)[:-1] / n
    seen = (at > 0) & (at < 1)
    edges = NORMAL[seen]
    # shares below each edge that exact draws keep to, all at once
    each = level / (2 * len(EDGES))
    least, most = (special.bdtrik(q, n, EDGES[seen]) / n for q in (each, 1 - each))
    x = _scores(at[seen])
    high = np.interp(edges, _scores(least, n), edges)
    low = np.interp(edges, _scores(most, n), edges)
    return {
        "kind": "lines",
        "title": f"Quantiles along {name}",
        "xlabel": "exact quantile, standard deviations",
        "ylabel": "quantile of the draws",
        "caption": f"Band: exact draws leave it with probability {level:g} at most.",
        "series": [
            {
                "label": "truth",
                "x": listed(edges),
                "y": listed(edges),
                "low": listed(low),
                "high": listed(high),
                "style": "dashed",
                "colour": 1,
            },
            {"label": "draws", "x": listed(x), "y": listed(edges), "style": "points", "colour": 0},
        ],
    }


def _scores(p: Vector, n: float = 1e7) -> Vector:
    return special.ndtri(np.clip(p, 0.1 / n, 1 - 0.1 / n))


def _weights(run: Run) -> dict[str, Any]:
    counts, weights, n = run.refuting.counts, run.shape.weights, run.refuting.n
    spread = np.sqrt(np.maximum(weights * (1 - weights), 1e-12))
    score = np.abs(counts / n - weights) / spread
    chosen = np.sort(np.argsort(-score)[:_BARS])
    low, high = ci.bernoulli_interval(counts[chosen], n, run.false_alarm / len(weights))
    some = "" if len(weights) <= _BARS else f" (the {_BARS} that are off most, of {len(weights)})"
    return {
        "kind": "bars",
        "title": f"Weights of the components{some}",
        "labels": ["none" if weights[k] == 0 else str(k) for k in chosen],
        "ylabel": "share of the draws",
        "caption": f"Whiskers: all weights at once, wrong with probability {run.false_alarm:g} at most.",
        "series": [
            {
                "label": "draws",
                "values": listed(counts[chosen] / n),
                "low": listed(low),
                "high": listed(high),
            },
            {"label": "truth", "values": listed(weights[chosen])},
        ],
    }


def _spectrum(run: Run) -> dict[str, Any]:
    """Variance along each whitened axis over what it should be."""
    n, squares = run.refuting.n, run.refuting.squares
    frame = run.shape.frame
    at = np.arange(len(squares)) if frame is None else frame.spectrum
    keep = np.unique(np.linspace(0, len(at) - 1, min(len(at), _POINTS)).round().astype(int))
    ratio, noise = squares[keep] / n, 3 * np.sqrt(2 / n)
    spread = frame is not None and float(at.max()) > 1.01 * float(at.min())
    x = at[keep] if spread else keep
    return {
        "kind": "lines",
        "title": "Variance of the draws over that of the law",
        "xlabel": "eigenvalue of the law" if spread else "whitened coordinate",
        "ylabel": "ratio",
        "xscale": "log" if spread else "linear",
        "caption": "Bars: three standard errors.",
        "levels": [{"y": 1.0, "label": "truth"}],
        "series": [
            {
                "label": "draws",
                "x": listed(x),
                "y": listed(ratio),
                "low": listed(ratio - noise * ratio),
                "high": listed(ratio + noise * ratio),
                "style": "points",
            }
        ],
    }


def _radius(run: Run) -> dict[str, Any]:
    """Density of the whitened radius."""
    histograms = run.refuting.histograms
    assert histograms is not None
    counts = histograms.radius[0]
    ends = np.sqrt(special.chdtri(run.shape.dim, 1 - EDGES))
    share, low, high = _merged(counts, ends)
    due, *_ = _merged(MASS * counts.sum(), ends)
    truth = {"x": listed((low + high) / 2), "y": listed(due / (high - low))}
    return {
        "kind": "lines",
        "title": "Density of the distance from the centre",
        "xlabel": "whitened radius",
        "ylabel": "density",
        "caption": "Band: two standard errors of the draws.",
        "series": [
            {"label": "truth", **truth, "style": "dashed", "colour": 1},
            _seen(share, low, high, counts.sum()),
        ],
    }
