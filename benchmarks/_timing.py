"""Routes timed side by side: interleaved runs, so that drift of the clock rate hits all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Timings:
    """Seconds of every run of every route."""

    seconds: Mapping[str, list[float]]

    def median(self, route: str) -> float:
        """Median seconds of one run."""
        return statistics.median(self.seconds[route])

    def ratio(self, route: str, baseline: str) -> tuple[float, float, float]:
        """Median, smallest and largest ratio of the runs of one round."""
        pairs = zip(self.seconds[route], self.seconds[baseline], strict=True)
        ratios = sorted(a / b for a, b in pairs)
        return statistics.median(ratios), ratios[0], ratios[-1]

    def line(self, route: str, baseline: str, limit: str = "") -> str:
        """One printed line."""
        middle, low, high = self.ratio(route, baseline)
        return (
            f"  {route} / {baseline}: {middle:.2f} (from {low:.2f} to {high:.2f}; "
            f"{1e3 * self.median(route):.1f} ms / {1e3 * self.median(baseline):.1f} ms)"
            + (f"  {limit}" if limit else "")
        )


def side_by_side(routes: Mapping[str, Callable[[], object]], *, repeats: int = 9) -> Timings:
    """Runs all routes in turn, ``repeats`` times, after one warming round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in routes}
    for turn in range(repeats + 1):
        for name, route in routes.items():
            start = time.perf_counter()
            route()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return Timings(seconds)
