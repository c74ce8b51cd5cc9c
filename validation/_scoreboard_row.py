"""One configuration of a library, measured: a dictionary of plain numbers, one row of the scoreboard."""

from __future__ import annotations

import math
import os
import time
import traceback
import warnings
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..numerics.exact_law import AffineLaw
from ._scoreboard_laws import FIRST, Laws, NotFinite
from ._scoreboard_problem import space
from .adapters.adapter import Adapter
from .adapters.target import LIBRARIES, sampler_at
from .sampler_checks.ladder import Ladder, _between, _ends, _moments

EVALUATIONS = (10, 20, 50, 100)
ODD = (7, 13, 30, 150, 300)  #: divide no training schedule of 1,000
EVEN = (10, 20, 25, 50, 100, 200)  #: divide it
RUNGS = (16, 32, 64, 128, 256)
_COARSE = (
    25,
    50,
    100,
    200,
)  #: where noise on the way makes laws dear: counts that are there anyway
_GROUPED = (24, 48, 96, 192)  #: whole groups of two and three steps
_CLOCKED = (13, 30)  #: step counts at which the clock is read
_FALLBACKS = (FIRST, 10, 20)  #: where the first look fails
_SAMPLED = (7, 10, 13, 20, 30, 50, 100, 150, 300)  #: counts where laws are sampled
_JUMP = 1.5  #: ratio of the last two levels at the finest rung
_ALIKE = 0.01  #: relative: ends of the grid that are the same


def measure(target: str) -> dict[str, Any]:
    """All that is measured of a configuration.

    Args:
        target: as for :func:`.adapters.target.sampler_at`.

    Returns:
        The row; failures of the library are in it, not raised.
    """
    import torch

    torch.set_num_threads(1)
    begun = time.perf_counter()
    library, _, rest = target.partition(":")
    row: dict[str, Any] = {"target": target, "library": library, "name": rest.split("?")[0]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries, about their own future
        _quiet()
        try:
            adapter = sampler_at(target)
        except Exception as error:
            row["failures"] = [{"at": "constructor", **failure(error)}]
        else:
            _remembering(adapter)
            _fill(row, adapter)
    row["seconds"] = round(time.perf_counter() - begun, 2)
    return row


def _fill(row: dict[str, Any], adapter: Adapter) -> None:
    row |= {
        "declared": adapter.order,
        "quote": adapter.order_quote,
        "deterministic": adapter.deterministic,
        "failures": [],
        "clocks": {},
    }
    laws = _first(adapter, row)
    if laws is None:
        return
    row["exact"], row["why"], row["single"] = laws.exact, laws.why, laws.single
    row["moving"] = laws.moving if laws.exact else None
    row["clocks"][adapter.clock] = _clock(laws, row, adapter, whole=True)
    other = adapter.on("sigma") if adapter.clock == "t" else None
    if other is not None and laws.exact:
        twin = _first(other, {"failures": []})
        if twin is not None:
            row["clocks"]["sigma"] = _clock(twin, {"failures": []}, other, whole=False)
    if laws.exact:
        _told(row, adapter, laws)
        _formula(row, adapter, laws)
    if laws.exact and not laws.moving:
        _mixed(row, adapter, laws)
    row["end"] = _end(laws, adapter)


def _remembering(adapter: Adapter) -> None:
    """Levels and kernels are asked for again at every step of every run: each is found once."""
    family: Any = getattr(adapter, "_family", None)
    if family is not None:
        for name in ("level", "told"):
            setattr(family, name, cache(getattr(family, name)))
        family.sde.kernel = cache(family.sde.kernel)


def _first(adapter: Adapter, row: dict[str, Any]) -> Laws | None:
    """The laws, begun at the first count that does not fail."""
    for count in _FALLBACKS:
        try:
            return Laws.of(adapter, space(), first=count)
        except Exception as error:
            row["failures"].append({"at": count, **failure(error)})
    return None


def _clock(laws: Laws, row: dict[str, Any], adapter: Adapter, *, whole: bool) -> dict[str, Any]:
    """Distances, orders and the limit on one clock."""
    found: dict[str, Any] = {"w2": {}, "evaluations": {}}
    counts = sorted({*ODD, *EVEN} if whole else {10, 20, 50, 100})
    for count in counts if laws.exact else _SAMPLED:
        _note(laws, count, found, row)
    found["by_evaluations"] = _by_evaluations(laws, found, row)
    if laws.exact and (whole or not laws.moving):
        _climb(laws, adapter, found, row, whole=whole)
    elif not laws.exact:
        found["noise"] = 3 * max((laws.at(int(k)).defect for k in found["w2"]), default=math.nan)
    return found


def _note(laws: Laws, count: int, found: dict[str, Any], row: dict[str, Any]) -> AffineLaw | None:
    try:
        law = laws.at(count)
    except Exception as error:
        known = {f["at"] for f in row["failures"]}
        if count not in known:
            row["failures"].append({"at": count, **failure(error)})
        return None
    found["w2"][str(count)] = float(laws.gap(law).w2())
    found["evaluations"][str(count)] = laws.evaluations[count]
    return law


def _by_evaluations(laws: Laws, found: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """Distance at the largest step count that costs no more than so many evaluations."""
    known = {int(k): e for k, e in found["evaluations"].items()}
    if not {10, 20} <= set(known):
        return {}
    rate = (known[20] - known[10]) / 10
    said: dict[str, Any] = {}
    if rate <= 0:  # adaptive: it takes what it takes
        return said
    for wanted in EVALUATIONS:
        steps = int((wanted - known[10] + 10 * rate) / rate + 1e-9)
        while steps >= 1:
            law = _note(laws, steps, {"w2": {}, "evaluations": {}}, {"failures": []})
            if law is None or laws.evaluations[steps] <= wanted:
                break
            steps -= 1
        else:
            law = None
        if law is not None:
            said[str(wanted)] = {
                "steps": steps,
                "evaluations": laws.evaluations[steps],
                "w2": float(laws.gap(law).w2()),
            }
    return said


def _climb(
    laws: Laws, adapter: Adapter, found: dict[str, Any], row: dict[str, Any], *, whole: bool
) -> None:
    """Local orders at refined grids, and the limit of many steps."""
    most = 260 if whole else 140
    grouped = hasattr(getattr(adapter, "_template", None), "order_list")
    coarse = _GROUPED if grouped else _COARSE
    rungs = coarse if laws.moving else adapter.rungs or RUNGS
    rungs = tuple(k for i, k in enumerate(rungs) if k <= most or i < 4)
    known = [_note(laws, k, {"w2": {}, "evaluations": {}}, row) for k in rungs]
    if any(law is None for law in known):
        return
    values = np.stack([np.concatenate([law.offset, law.covariance.ravel()]) for law in known])  # type: ignore[union-attr]
    noise = max(law.radius * (1 + 2 * math.sqrt(np.trace(law.covariance))) for law in known)  # type: ignore[union-attr]
    # The bound is for points far out; the moments of a law round far less.
    heard = 0.025 * noise if laws.single else noise
    climbed = Ladder(rungs, values, heard, 0).convergence()
    lowest = [laws.lowest[k] for k in rungs]
    found |= {
        "rungs": list(rungs),
        "local": [float(v) for v in climbed.local],
        "order": [climbed.order, climbed.low, climbed.high],
        "fixed_ends": _fixed(adapter, lowest, laws.jump[rungs[-1]]),
        "noise": float(noise),
        "radius": float(max(law.radius for law in known)),  # type: ignore[union-attr]
        "floor": _floor(laws, climbed.limit, climbed.before, noise),
    }


def _fixed(adapter: Adapter, lowest: list[float], jump: float) -> bool:
    """Whether both ends of the grid stay, and its steps are small in log-SNR, so that orders show."""
    if adapter.fixed_ends or type(adapter).__name__ in ("AzulaAdapter", "TorchsdeAdapter"):
        return True
    return max(lowest) <= (1 + _ALIKE) * min(lowest) and jump < _JUMP


def _floor(laws: Laws, limit: np.ndarray, before: np.ndarray, noise: float) -> dict[str, Any]:
    """Where many steps lead, and which law that a right sampler may end at is nearest."""
    from ..numerics.distances import GaussianGap

    problem = laws.problem
    ends = _ends(problem)
    here, there = (_moments(v, problem.dim) for v in (limit, before))
    gaps = {name: GaussianGap.between(*here, end).w2() for name, end in ends.items()}
    name = min(gaps, key=lambda k: gaps[k])
    return {
        "w2": gaps["the data"],
        "near": name,
        "gap": gaps[name],
        "error": _between(here, there) + 2 * noise,
        "explained": GaussianGap.between(
            ends[name].mean, ends[name].covariance, ends["the data"]
        ).w2(),
    }


def _told(row: dict[str, Any], adapter: Adapter, laws: Laws) -> None:
    """What the model is told, what the sampler uses and where the state is, compared call by call."""
    row["told"] = []
    for count in _CLOCKED:
        try:
            gaps = adapter.readings(laws.problem, count)
        except Exception as error:
            row["told_failed"] = failure(error)["message"]
            return
        for one in gaps:
            worst = int(np.argmax(np.abs(one.gaps)))
            row["told"].append(
                {
                    "check": one.check,
                    "steps": count,
                    "gap": float(one.gaps[worst]),
                    "allowed": one.resolution + one.rounding,
                    "unit": one.unit,
                    "where": float(one.where[worst]),
                }
            )


def _formula(row: dict[str, Any], adapter: Adapter, laws: Laws) -> None:
    """The order of the formula, where a table of noise levels can be replaced."""
    if row["library"] != "diffusers" or laws.moving:
        return
    from ._scoreboard_formula import formula_order
    from .adapters.diffusers import SchedulerAdapter

    if not isinstance(adapter, SchedulerAdapter):
        return
    try:
        found = formula_order(adapter, space(), single=laws.single)
    except Exception as error:
        row["formula_failed"] = failure(error)["message"]
        return
    if found is not None:
        row["formula"] = found


def _mixed(row: dict[str, Any], adapter: Adapter, laws: Laws) -> None:
    """Errors of paths on a mixture, whose score is not affine."""
    from ._scoreboard_mixture import mixture_errors

    try:
        row["mixture"] = mixture_errors(adapter, laws.problem)
    except Exception as error:  # on the Gaussian the same call did not fail
        row["mixture_failed"] = failure(error)["message"]


def _end(laws: Laws, adapter: Adapter) -> dict[str, Any]:
    """The lowest noise level that the model is asked at, that of the output, and whether the last step moves."""
    levels = sorted(laws.lowest.items())
    found: dict[str, Any] = {}
    if levels:
        found |= {"steps": levels[-1][0], "level": levels[-1][1]}
    from .adapters.diffusers import Run, SchedulerAdapter

    if not isinstance(adapter, SchedulerAdapter):
        return found
    try:
        run = Run(deepcopy(adapter._template), adapter._family, FIRST, {}, None)
        held = getattr(run.scheduler, "sigmas", None)
    except Exception:  # the run itself has said so
        return found
    if held is not None and len(held) == run.calls + 1:
        before, last = (float(v) for v in held[-2:])
        found |= {"output": last, "idle": bool(last == before)}
    return found


def failure(error: BaseException) -> dict[str, Any]:
    """What failed: its kind (``refused``, ``crash``, ``nan`` or ``ours``), message and place in the library.

    An exception that the library raises itself, in a ``raise`` of its own and with words, refuses the configuration;
    any other is a crash.
    """
    if isinstance(error, NotFinite):
        return {"kind": "nan", "type": "NotFinite", "message": str(error), "place": ""}
    source = error.__cause__ if error.__cause__ is not None else error
    frames = traceback.extract_tb(source.__traceback__)
    own = [(f, p) for f in frames if (p := _place(f.filename))]
    said = " ".join(str(source).split())[:300]
    found = {"type": type(source).__name__, "message": said, "place": ""}
    if not own:  # our side, before the library was reached
        return {"kind": "ours", **found}
    frame, place = own[-1]
    found["place"] = f"{place}:{frame.lineno}"
    raised = frame is frames[-1] and (frame.line or "").startswith(("raise ", "assert "))
    meant = isinstance(source, ValueError | NotImplementedError | AssertionError | TypeError)
    return {"kind": "refused" if raised and meant and said else "crash", **found}


def _place(filename: str) -> str:
    """A file of a library from the name of its package on, or nothing."""
    parts = Path(filename).parts
    for library in LIBRARIES:
        if library in parts:
            return "/".join(parts[parts.index(library) :])
    return ""


def _quiet() -> None:
    """Libraries log warnings about options; rows say what matters."""
    import logging

    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    logging.getLogger("diffusers").setLevel(logging.ERROR)
