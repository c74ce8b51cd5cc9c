"""Time of enclosures at 15, 30 and 100 digits, beside plain quadrature of mpmath at as many digits.

Run ``python benchmarks/bench_enclosures.py``; ``--deep`` adds mpmath at 100 digits and networks at 30.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import mpmath
import sympy as sp
import torch
from scoreproof.numerics import (
    ESM,
    ISM,
    ExactMixture,
    ExpressionScore,
    PolynomialScore,
    RationalScore,
    TanhScore,
    enclose,
    enclose_dsm,
    enclose_entropy,
    enclose_entropy_rate,
    enclose_information,
)
from scoreproof.numerics.enclosure_torch import exact_network

LAW = ExactMixture.make(["0.3", "0.7"], ["-3/2", 1], ["1/4", "9/16"])


def density(x: Any) -> tuple[Any, Any]:
    """``p`` and ``p'`` in the precision of mpmath."""
    p = slope = mpmath.mpf(0)
    for w, m, v in zip(LAW.weights, LAW.means, LAW.variances, strict=True):
        w, m, v = (mpmath.mpf(f.numerator) / f.denominator for f in (w, m, v))
        e = w * mpmath.exp(-((x - m) ** 2) / (2 * v)) / mpmath.sqrt(2 * mpmath.pi * v)
        p, slope = p + e, slope - (x - m) / v * e
    return p, slope


def quad_explicit(f: Callable[[Any], Any], digits: int) -> tuple[Any, float]:
    """``E (s - p'/p)^2 / 2`` by mpmath, with no error statement, and seconds."""
    start = time.perf_counter()
    with mpmath.workdps(digits + 5):

        def integrand(x: Any) -> Any:
            p, slope = density(x)
            return p * (f(x) - slope / p) ** 2 / 2

        reach = LAW.box(digits)
        value = mpmath.quad(integrand, [-reach, -6, -3, -2, -1, 0, 1, 2, 3, 6, reach])
    return value, time.perf_counter() - start


def network(*sizes: int) -> torch.nn.Sequential:
    """A network of Linear and Tanh with torch's usual start."""
    torch.manual_seed(0)
    parts: list[torch.nn.Module] = []
    for a, b in pairwise(sizes):
        parts += [torch.nn.Linear(a, b), torch.nn.Tanh()]
    return torch.nn.Sequential(*parts[:-1])


def timed(compute: Callable[[], Any]) -> tuple[Any, float]:
    """A result and its seconds."""
    start = time.perf_counter()
    found = compute()
    return found, time.perf_counter() - start


def bench_models(deep: bool) -> None:
    """Explicit and implicit loss by family, and the ratio to mpmath where that runs."""
    x = sp.Symbol("x")
    third = sp.Rational(1, 3)
    families: dict[str, tuple[Any, Callable[[Any], Any]]] = {
        "linear": (PolynomialScore(["1/4", "-5/4"]), lambda t: mpmath.mpf(1) / 4 - 5 * t / 4),
        "cubic": (PolynomialScore(["1/4", -1, 0, "-1/8"]), lambda t: 0.25 - t - t**3 / 8),
        "rational": (RationalScore([1, -1], [1, 0, 1]), lambda t: (1 - t) / (1 + t * t)),
        "expression": (
            ExpressionScore(third - sp.tanh(x)),
            lambda t: mpmath.mpf(1) / 3 - mpmath.tanh(t),
        ),
        "network 1-2-1": (
            TanhScore([[["1/2"], [-1]], [["-3/4", 1]]], [[0, "1/4"], [0]]),
            lambda t: -0.75 * mpmath.tanh(t / 2) + mpmath.tanh(0.25 - t),
        ),
    }
    print("family           digits   ESM s   ISM s   calls   certified   mpmath s   ESM / mpmath")
    for name, (model, f) in families.items():
        for digits in (15, 30, 100):
            ball, explicit = timed(lambda m=model, d=digits: enclose(ESM(LAW), m, digits=d))
            _, implicit = timed(lambda m=model, d=digits: enclose(ISM(LAW), m, digits=d))
            row = f"{name:16} {digits:6} {explicit:7.2f} {implicit:7.2f} {ball.evaluations:7} {ball.digits:9}"
            if digits < 100 or deep:
                _, seconds = quad_explicit(f, digits)
                row += f" {seconds:12.2f} {explicit / seconds:12.2f}"
            print(row)


def bench_networks(deep: bool) -> None:
    """Networks of torch."""
    for sizes in ((1, 8, 1), (1, 64, 1), (1, 32, 32, 1), (1, 64, 64, 1)):
        model = exact_network(network(*sizes))
        for digits in (13, 30) if deep else (13,):
            ball, explicit = timed(lambda m=model, d=digits: enclose(ESM(LAW), m, digits=d))
            _, implicit = timed(lambda m=model, d=digits: enclose(ISM(LAW), m, digits=d))
            name = "-".join(map(str, sizes))
            print(
                f"{name:16} {digits:6} {explicit:7.2f} {implicit:7.2f} {ball.evaluations:7} {ball.digits:9}"
            )


def bench_constants() -> None:
    """Fisher information, entropy, its rate, and denoising score matching."""
    line = PolynomialScore(["1/4", "-5/4"])
    tasks: dict[str, Callable[[int], Any]] = {
        "information": lambda d: enclose_information(LAW, digits=d),
        "entropy": lambda d: enclose_entropy(LAW, digits=d),
        "entropy rate": lambda d: enclose_entropy_rate(LAW, digits=d),
        "DSM": lambda d: enclose_dsm(LAW, line, variance="1/3", digits=d),
    }
    print("constant         digits  seconds   calls   certified")
    for name, task in tasks.items():
        for digits in (15, 30, 100):
            ball, seconds = timed(lambda t=task, d=digits: t(d))
            print(f"{name:16} {digits:6} {seconds:8.2f} {ball.evaluations:7} {ball.digits:9}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deep", action="store_true", help="mpmath at 100 digits, networks at 30")
    asked = parser.parse_args()
    bench_models(asked.deep)
    bench_networks(asked.deep)
    bench_constants()
