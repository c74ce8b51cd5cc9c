"""What accuses a configuration: rules on the numbers of its row, written once and the same for every library.

No rule knows a class, an option or a defect. Causes that were looked up by hand are joined afterwards, and an
accusation without one is ours to explain.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ._scoreboard_causes import OURS, Cause, causes
from ._scoreboard_problem import DEVIATIONS
from ._scoreboard_row import EVEN, ODD

SIZE = math.sqrt(sum(s * s for s in DEVIATIONS))  #: sqrt(tr Cov) of the data
_SHARE = 1e-3  #: of it: a floor below is none
_LINE = 1.25  #: times the larger neighbour is out of line
_SLACK = 0.2  #: of an order
_NEAR = 0.25  #: of a whole order: from there limits can be extrapolated
_STILL, _STALL = (
    0.85,
    0.02,
)  #: of W2 at fewer steps, which should fall; and of SIZE, below which it need not
_LAW_FROM = 30  #: with fewer steps the signs of errors decide
_MANY = 50  #: from here on more steps must not be worse than fewer
_SAMPLED = 4.0  #: standard errors of sampled laws


def accusations(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Every rule on one row.

    Returns:
        ``{"rule", "text", "size"}``, the size for sorting.
    """
    found = [*_failures(row)]
    for clock, one in row.get("clocks", {}).items():
        found += _out_of_line(one, clock, row)
        found += _floor(one, clock, row)
        found += _stalls(one, clock, row)
    found += _mixture(row)
    found += _orders(row)
    found += _told(row)
    if row.get("end", {}).get("idle") and not row.get("moving"):
        level = row["end"]["output"]
        text = f"the last step leads from noise level {level:.3g} to the same level: it is spent on nothing"
        found.append({"rule": "idle-step", "text": text, "size": 0.0})
    return found


def _failures(row: dict[str, Any]) -> Iterable[dict[str, Any]]:
    seen = set()
    judged = [f for f in row["failures"] if not (isinstance(f["at"], int) and f["at"] < min(ODD))]
    for one in judged:
        if one["kind"] not in ("crash", "nan") or (one["kind"], one["type"]) in seen:
            continue
        seen.add((one["kind"], one["type"]))
        counts = [str(f["at"]) for f in judged if f["kind"] == one["kind"]]
        counts = list(dict.fromkeys(counts))
        at = (
            f"in the {counts[0]}" if counts == ["constructor"] else f"at {', '.join(counts)} steps"
        )
        if one["kind"] == "nan":
            text = f"numbers that are not finite {at}"
        else:
            text = f"{one['type']} {at}, {one['place']}: {one['message']}"
        yield {"rule": one["kind"], "text": text, "size": math.inf}


def _out_of_line(one: dict[str, Any], clock: str, row: dict[str, Any]) -> list[dict[str, Any]]:
    """The law at a step count is worse than at its neighbours, which divide 1,000; or worse than with fewer steps."""
    w2 = {int(k): float(v) for k, v in one["w2"].items()}
    slack = _SHARE * SIZE + _explained(one) + _noise(one, row)
    worst: tuple[float, int, float] | None = None
    for count, value in w2.items():
        if count < (_MANY if count in EVEN else _LAW_FROM):
            continue
        near = sorted(k for k in w2 if k in EVEN and k != count)
        # Two below: steps that come in pairs end otherwise at odd counts.
        around = [k for k in near if k < count][-2:] + [k for k in near if k > count][:1]
        limit = max((w2[k] for k in around), default=math.inf)
        if value > _LINE * limit + slack and (worst is None or value / limit > worst[0]):
            worst = value / limit, count, limit
    if worst is None:
        return []
    ratio, count, limit = worst
    text = (
        f"W2 at {count} steps is {w2[count]:.3g}, {_times(ratio)} times that of its neighbours ({limit:.3g})"
        f"{_on(clock, row)}"
    )
    return [{"rule": "law", "text": text, "size": w2[count] - limit}]


def _times(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2g}"


def _floor(one: dict[str, Any], clock: str, row: dict[str, Any]) -> list[dict[str, Any]]:
    """Many steps do not lead to the data, nor where start and end of the grid explain."""
    floor = one.get("floor")
    if not floor:
        return []
    gap = float(floor["gap"]) - float(floor["error"])
    order = float(one["order"][0])
    if not abs(order - max(1, round(order) if math.isfinite(order) else 1)) <= _NEAR:
        return []  # no order that an extrapolation could rest on
    seen = [float(v) for k, v in one["w2"].items() if int(k) >= _MANY]
    if not gap > _SHARE * SIZE or min(seen, default=0.0) < 0.5 * float(floor["gap"]):
        return []  # none, or an extrapolation that measured distances contradict
    if clock == "t" and _rounded(row) and not _floor_of(row, "sigma"):
        return []  # whole timesteps are all that a network can be told, and they are told as well as they can be
    data, near = float(floor["w2"]), float(floor["gap"])
    text = (
        f"many steps lead {data:.3g} away from the data in W2, and no nearer than {near:.3g} to "
        f"{floor['near'].rstrip(',')}{_on(clock, row)}"
    )
    return [{"rule": "floor", "text": text, "size": float(floor["gap"])}]


def _stalls(one: dict[str, Any], clock: str, row: dict[str, Any]) -> list[dict[str, Any]]:
    """Two and a half times as many steps do not bring the law nearer."""
    w2 = {int(k): float(v) for k, v in one["w2"].items()}
    most = max(w2, default=0)
    fewer = max((k for k in w2 if 2.5 * k <= most), default=None)
    if fewer is None or len(set(one["evaluations"].values())) < 2:
        return []  # an adaptive method takes what it takes
    slack = _STALL * SIZE + _explained(one) + _noise(one, row)
    if w2[most] <= max(_STILL * w2[fewer], slack):
        return []
    text = (
        f"W2 is {w2[most]:.3g} at {most} steps and {w2[fewer]:.3g} at {fewer}: more steps do not help"
        f"{_on(clock, row)}"
    )
    return [{"rule": "stalls", "text": text, "size": w2[most]}]


def _floor_of(row: dict[str, Any], clock: str) -> bool:
    one = row["clocks"].get(clock)
    return one is None or bool(_floor(one, clock, row))


def _mixture(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Four times as many steps do not bring the paths of a mixture nearer to their ends."""
    if "mixture" not in row:
        return []
    few, many = (float(e) for e in row["mixture"]["errors"])
    if not math.isfinite(few + many):
        return []  # the Gaussian says so too
    floor = max((_explained(one) for one in row["clocks"].values()), default=0.0)
    if many <= max(_STILL * few, _STALL * SIZE + floor):
        return []
    least, most = row["mixture"]["steps"]
    text = (
        f"on a mixture the error of the paths is {few:.3g} at {least} steps, {many:.3g} at {most}"
    )
    return [{"rule": "mixture", "text": text, "size": many}]


def _orders(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The measured order is below the declared one."""
    declared = row.get("declared")
    if declared is None:
        return []
    formula = row.get("formula")
    if formula is not None and formula["order"] is not None:
        local = [float(v) for v in formula["local"]]
        best = max(formula["order"], _ahead(local, float(formula["order"])))
        if best < declared - _SLACK:
            shown = ", ".join(f"{v:.2f}" for v in local)
            text = (
                f"the formula is of order {best:.2f}, declared {declared:g}: local orders {shown} between fixed ends, "
                f"from exact history"
            )
            return [{"rule": "order", "text": text, "size": declared - best}]
        return []
    clocks = row.get("clocks", {})
    one = next((c for k in ("sigma", "t") if "order" in (c := clocks.get(k, {}))), {})
    high = float(one.get("order", [math.nan] * 3)[2])
    if not one.get("fixed_ends") or not math.isfinite(high):
        return []
    # A multistep formula starts at order one, whose single step costs an error of order two.
    started = min(declared, 2.0) if _multistep(one) else declared
    if high < started - _SLACK:
        shown = ", ".join(f"{float(v):.2f}" for v in one["local"])
        text = f"a whole run is of order {high:.2f} at most, expected {started:g}: local orders {shown}"
        return [{"rule": "order", "text": text, "size": started - high}]
    return []


def _ahead(local: list[float], last: float) -> float:
    """Local orders ``p + O(h)`` carried on by one halving, where they still move."""
    at = local.index(last) if last in local else 0
    return 2 * local[at] - local[at - 1] if at else last


def _multistep(one: dict[str, Any]) -> bool:
    said = one.get("by_evaluations", {}).get("50", {})
    return bool(said) and said["evaluations"] <= said["steps"] + 2


def _told(row: dict[str, Any]) -> list[dict[str, Any]]:
    """What the model is told is not what the sampler uses, or not where the state is."""
    worst: dict[str, dict[str, Any]] = {}
    for one in row.get("told", ()):
        excess = abs(float(one["gap"])) - one["allowed"]
        if excess > 0 and excess > worst.get(one["check"], {"excess": 0.0})["excess"]:
            worst[one["check"]] = {**one, "excess": excess}
    return [
        {
            "rule": check,
            "text": (
                f"{check}: off by {abs(float(one['gap'])):.3g} {one['unit']} at {one['steps']} steps, where the model "
                f"is told {float(one['where']):.4g} (allowed {one['allowed']:.3g})"
            ),
            "size": abs(float(one["gap"])),
        }
        for check, one in worst.items()
    ]


def _rounded(row: dict[str, Any]) -> bool:
    """The scheduler tells a level that it does not use, within the resolution of its network."""
    gaps = [one for one in row.get("told", ()) if one["check"] == "told-is-used"]
    return any(abs(float(g["gap"])) > 0.01 for g in gaps) and all(
        abs(float(g["gap"])) <= g["allowed"] for g in gaps
    )


def _explained(one: dict[str, Any]) -> float:
    floor = one.get("floor")
    return float(floor["explained"]) if floor else 0.0


def _noise(one: dict[str, Any], row: dict[str, Any]) -> float:
    if row.get("exact"):
        return float(one.get("radius", 0.0))
    noise = float(one.get("noise", 0.0))
    return _SAMPLED * noise if math.isfinite(noise) else 0.0


def _on(clock: str, row: dict[str, Any]) -> str:
    return f" ({clock}-clock)" if len(row["clocks"]) > 1 else ""


def judged(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows with their accusations, the defects with their causes, and the counts of both."""
    used: dict[str, dict[str, Any]] = {}
    made = []
    for row in rows:
        found = accusations(row)
        for one in found:
            cause = _cause(row, one["rule"], {a["rule"] for a in found})
            one["class"] = cause.kind if cause else OURS
            one["cause"] = cause.name if cause else None
            if cause:
                entry = used.setdefault(
                    cause.name, {**cause.as_dict(), "rows": [], "evidence": {}}
                )
                if row["target"] not in entry["rows"]:
                    entry["rows"].append(row["target"])
                best = entry["evidence"].get(one["rule"])
                if best is None or one["size"] > best["size"]:
                    entry["evidence"][one["rule"]] = {
                        "target": row["target"],
                        "text": one["text"],
                        "size": one["size"],
                    }
            one["size"] = float(one["size"]) if math.isfinite(one["size"]) else "inf"
        made.append({**row, "accusations": found, "status": _status(row, found)})
    for entry in used.values():
        for best in entry["evidence"].values():
            best["size"] = best["size"] if math.isfinite(best["size"]) else "inf"
    statuses = [row["status"] for row in made]
    classes: dict[str, int] = {}
    for row in made:
        for name in {one["class"] for one in row["accusations"]}:
            classes[name] = classes.get(name, 0) + 1
    return {
        "summary": {
            "configurations": len(made),
            "statuses": {s: statuses.count(s) for s in sorted(set(statuses))},
            "accused_by_class": dict(sorted(classes.items())),
            "by_library": {
                name: sum(r["library"] == name for r in made)
                for name in dict.fromkeys(r["library"] for r in made)
            },
        },
        "defects": [used[c.name] for c in causes() if c.name in used],
        "rows": made,
    }


def _status(row: dict[str, Any], found: list[dict[str, Any]]) -> str:
    if found:
        return "accused"
    if row.get("clocks"):
        return "sound"
    kinds = {one["kind"] for one in row["failures"]}
    return "refused" if kinds == {"refused"} else "not measured"


def _cause(row: dict[str, Any], rule: str, accused: set[str]) -> Cause | None:
    return next((cause for cause in causes() if cause.explains(row, rule, accused)), None)
