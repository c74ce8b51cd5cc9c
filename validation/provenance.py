"""Where numbers come from: versions, machine, seed and time; no host name, no path."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
from datetime import UTC, datetime
from typing import Any

_PACKAGES = (
    "array-api-compat",
    "mpmath",
    "numpy",
    "python-flint",
    "scikit-learn",
    "scipy",
    "sympy",
    "torch",
)


def version(package: str = "scoreproof") -> str | None:
    """The installed version of a package, which is not imported; None where it is missing."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
            for line in stream:
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def memory() -> int | None:
    """Bytes of memory that this process may use, the limit of its container included."""
    found = []
    with contextlib.suppress(OSError, ValueError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    # No limit is the word "max", which is no integer.
    with contextlib.suppress(OSError, ValueError), open("/sys/fs/cgroup/memory.max") as stream:
        found.append(int(stream.read()))
    return min((f for f in found if f > 0), default=None)


def now() -> str:
    """The time in UTC to the second, ISO 8601."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def provenance(*, seed: int, started: str, seconds: float) -> dict[str, Any]:
    """The entry ``provenance`` of a report.

    Args:
        seed: entropy of the run.
        started: when it started, as :func:`now` gives it.
        seconds: wall time, that of interrupted parts included.
    """
    return {
        "version": version() or "unknown",
        "python": platform.python_version(),
        "packages": {name: v for name in _PACKAGES if (v := version(name))},
        "machine": {
            "processor": processor(),
            "cores": cores(),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "seed": seed,
        "started": started,
        "seconds": round(seconds, 3),
    }
