"""The chart of an error budget: W2 of the links, signed differences stacked, the price of score errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...theory.protocols import Vector
from ..report.pictures import listed

if TYPE_CHECKING:
    from .budget import ErrorBudget

_MOST = 6  #: directions that are shown, those that are most off
_SEEN = 1e-9  #: relative; smaller differences are rounding


def figure(budget: ErrorBudget) -> dict[str, Any]:
    """Panels of the chart, as :mod:`..report.pictures` draws them."""
    return {"kind": "panels", "panels": panels(budget)}


def panels(budget: ErrorBudget) -> list[dict[str, Any]]:
    """W2 by link; differences of variance and, where there are any, of mean; the sensitivity."""
    links, whole = budget.links, budget.whole
    values = [link.w2 for link in links] + [whole.w2]
    made: list[dict[str, Any]] = [
        {
            "kind": "bars",
            "title": f"Error budget at {budget.steps} steps",
            "ylabel": "W2",
            "labels": [*(link.name for link in links), "whole"],
            "series": [{"label": "", "values": listed(np.array(values))}],
            "alt": f"{budget.sentence()}.",
            "caption": "The whole is at most the sum of the links.",
        }
    ]
    variances = budget.chain.variances
    spreads = np.stack([np.diag(link.spread) for link in links]) / variances
    made.append(_stacked(budget, spreads, "variance", "relative to the data"))
    means = np.stack([link.mean for link in links]) / np.sqrt(variances)
    if np.abs(means).max() > _SEEN:
        made.append(_stacked(budget, means, "mean", "in standard deviations"))
    if budget.sensitivity is not None:
        made.append(_prices(budget))
    return made


def _stacked(budget: ErrorBudget, values: Vector, what: str, unit: str) -> dict[str, Any]:
    """Links ``(L, d)`` on top of each other, a bar for each direction; they add up to the whole."""
    chosen = np.sort(np.argsort(-np.abs(values).sum(axis=0), kind="stable")[:_MOST])
    spread = np.sqrt(budget.chain.variances)
    return {
        "kind": "bars",
        "stacked": True,
        "title": f"Signed differences of the {what}",
        "ylabel": f"{what}, {unit}",
        "labels": [f"sd {spread[k]:.3g}" for k in chosen],
        "series": [
            {"label": link.name, "values": listed(row[chosen])}
            for link, row in zip(budget.links, values, strict=True)
        ],
        "alt": f"Differences of the {what} along {len(chosen)} eigen-directions, stacked by link",
        "caption": f"Eigen-directions of the data by their standard deviation; differences of the {what} "
        "add up over the links.",
    }


def _prices(budget: ErrorBudget) -> dict[str, Any]:
    found, limit = budget.sensitivity, budget.limit
    assert found is not None and limit is not None  # the caller looked
    name = "reverse SDE" if budget.eta else "probability flow"
    return {
        "kind": "lines",
        "title": f"What a score error costs, {budget.steps} steps",
        "xlabel": "noise level sd/alpha",
        "ylabel": "W2 a unit of relative error",
        "xscale": "log",
        "yscale": "log",
        "series": [
            {
                "label": budget.target[:40],
                "x": listed(found.middles),
                "y": listed(found.cost),
                "style": "line+points",
            },
            {
                "label": f"exact {name}",
                "x": listed(limit.middles),
                "y": listed(limit.cost),
                "style": "dashed",
            },
        ],
        "alt": "W2 between the outputs with and without a score error, per unit of it, by band of noise levels",
        "caption": f"The score multiplied by 1 + eps within one of {len(found.cost)} bands of equal width in "
        "log(sd/alpha); W2 of the change divided by eps.",
    }


def by_steps(budgets: list[ErrorBudget]) -> dict[str, Any]:
    """W2 of every link against the number of steps, as :mod:`..report.pictures` draws it."""
    steps = [float(b.steps) for b in budgets]
    names = [link.name for link in budgets[0].links]
    rows = np.array([[link.w2 for link in b.links] + [b.whole.w2] for b in budgets])
    kept = [k for k in range(rows.shape[1]) if (rows[:, k] > _SEEN * budgets[0].chain.size).any()]
    labels = [*names, "whole"]
    return {
        "kind": "lines",
        "title": "Error budget by number of steps",
        "xlabel": "steps",
        "ylabel": "W2",
        "xscale": "log",
        "yscale": "log",
        "series": [
            {"label": labels[k], "x": steps, "y": listed(rows[:, k]), "style": "line+points"}
            for k in kept or [len(names)]
        ],
        "alt": f"{budgets[-1].sentence()} at {budgets[-1].steps} steps",
        "caption": "From the data to the output, link by link; the whole is at most the sum.",
    }
