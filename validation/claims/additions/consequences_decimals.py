"""What the wrong decimals of the worked example do to the calculation that goes on with them."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np

from ....theory.protocols import Vector
from ...claim import Check, Context
from ...evidence import Evidence
from ..decimals import Example
from ..tools import EPS, number
from . import Addition
from .tools import consequence

EXAMPLE = Example()
STEP, SCORE = (
    "0.4563",
    "1.0227",
)  #: where the example ends and the score that it finds, in the text


def _numbers(example: Example = EXAMPLE) -> dict[str, float]:
    return {name: float(value) for name, value in example.numbers().items()}


def _grid(nodes: int = 8001) -> tuple[Vector, Vector]:
    """Nodes and density of the example's law, by the trapezoidal rule."""
    mode = float(EXAMPLE.mode)
    x = np.linspace(-mode - 10, mode + 10, nodes)
    density = np.exp(-0.5 * (x - mode) ** 2) + np.exp(-0.5 * (x + mode) ** 2)
    return x, density / (2 * math.sqrt(2 * math.pi))


def _half(text: str) -> float:
    """Half a unit of the last digit."""
    return 0.5 * 10.0 ** -len(text.split(".")[1])


def _word(ratio: float) -> str:
    return "large" if ratio > 1 else "small"


def _likelihood(text: str) -> Check:
    """Excess of a log-likelihood whose density has the printed ratio to the right one: log 2."""

    def check(ctx: Context) -> Evidence:
        right = _numbers()["density"]
        x, density = _grid()
        mass = float(np.sum(density) * (x[1] - x[0])) * float(text) / right
        excess = math.log(mass)
        slack = 2 * _half(text) / right
        return number(
            excess,
            error=64 * EPS,
            allowed=(math.log(2) - slack, math.log(2) + slack),
            n=len(x),
            message=f"A density computed in this way has total mass {mass:.3f}: every log-likelihood comes out "
            f"{excess:.3f} nats too high, {100 * excess:.0f} for a hundred points.",
        )

    return check


def _other_side(slope: str, density: str | None = None) -> Check:
    """End of the step when the printed slope is divided by the right density: the drift is doubled."""

    def check(ctx: Context) -> Evidence:
        n, doubled = _numbers(), _numbers(Example(drift_share="1"))["step"]
        h, z, x = (float(v) for v in (EXAMPLE.step, EXAMPLE.z, EXAMPLE.x))
        score = float(slope) / (n["density"] if density is None else float(density))
        end = x + 0.5 * h * score + math.sqrt(h) * z
        right, side = n["step"], "right" if end > x else "left"
        return number(
            end,
            error=64 * EPS,
            allowed=(doubled - 1e-4, doubled + 1e-4),  # the digits of the slope leave 3e-5
            message=f"Over the right density {n['density']:.4f} the printed slope {slope} gives the score "
            f"{score:.4f}, {score / n['score']:.2f} times the right one, and the step ends at {end:.4f}, to the "
            f"{side} of its start {x:g}, instead of at {right:.4f}.",
        )

    return check


def _tempered(text: str) -> Check:
    """Variance of ``p^r``, r the ratio of the printed to the right score, over that of p, less one.

    To first order it is ``(r - 1) Cov_p(log p, (x - m)^2) / Var_p``.
    """

    def check(ctx: Context) -> Evidence:
        n = _numbers()
        x, p = _grid()
        log_p, square = np.log(p), x * x  # the mean is zero

        def variance(power: float) -> float:
            weight = np.exp(power * log_p)
            return float(weight @ square / weight.sum())

        def slope(power: float) -> float:
            weight = np.exp(power * log_p)
            weight /= weight.sum()
            return float(weight @ (log_p * square) - (weight @ log_p) * (weight @ square))

        printed = float(SCORE) / n["score"]
        expected = (printed - 1) * slope(1.0) / variance(1.0)
        ratio = float(text) / n["score"]
        found = variance(ratio) / variance(1.0) - 1
        h, z, start = (float(v) for v in (EXAMPLE.step, EXAMPLE.z, EXAMPLE.x))
        end = start + 0.5 * h * float(text) + math.sqrt(h) * z
        return number(
            found,
            error=1e-12,
            # the second order is a thousandth of the first
            allowed=(0.99 * expected, 1.01 * expected),
            kind="quadrature",
            n=len(x),
            message=f"The printed score is {abs(1 - ratio):.3%} too {_word(ratio)}. One step ends at {end:.4f} with "
            f"it and at {n['step']:.4f} with the right one; a sampler with this error in every score draws from "
            f"p^{ratio:.5f}, whose variance is {abs(found):.4%} too {_word(1 + found)}.",
        )

    return check


def _score(parts: dict[str, float]) -> float:
    return (parts["pull-right"] - parts["pull-left"]) / parts["sum"]


def _carried(key: str, text: str | None, shown: str) -> Check:
    """Relative error of the score when the calculation goes on with one printed decimal and is exact otherwise.

    Predicted to first order from the error of the decimal ``shown``.

    Args:
        key: quantity of :meth:`Example.numbers`.
        text: the decimal; None for the exact number.
        shown: the decimal of the text.
    """

    def check(ctx: Context) -> Evidence:
        exact = _numbers()
        right = _score(exact)

        def after(value: float) -> float:
            parts = {**exact, key: value}
            if key == "left":
                parts["sum"] += value - exact["left"]
                parts["pull-left"] *= value / exact["left"]
            return _score(parts)

        # derivative of the quotient with respect to the quantity, over the quotient
        pulls = exact["pull-right"] - exact["pull-left"]
        shift = float(EXAMPLE.x) + float(EXAMPLE.mode)
        slope = {
            "left": -shift / pulls - 1 / exact["sum"],
            "sum": -1 / exact["sum"],
            "pull-left": -1 / pulls,
            "pull-right": 1 / pulls,
        }[key]
        expected = slope * (float(shown) - exact[key])
        value = exact[key] if text is None else float(text)
        found = after(value) / right - 1
        h, z, start = (float(v) for v in (EXAMPLE.step, EXAMPLE.z, EXAMPLE.x))
        end = start + 0.5 * h * after(value) + math.sqrt(h) * z
        same = f"{end:.4f}" == f"{exact['step']:.4f}"
        ends = sorted((0.99 * expected, 1.01 * expected))
        return number(
            found,
            error=64 * EPS,
            allowed=(ends[0], ends[1]),
            message=f"With {value:.4f} in its place, all else exact, the score comes out as {after(value):.4f} "
            f"instead of {right:.4f}, off by {abs(found):.2%}; the step "
            + (
                f"still ends at {end:.4f}."
                if same
                else f"ends at {end:.4f}, not {exact['step']:.4f}."
            ),
        )

    return check


def _quotient(text: str) -> Check:
    """Error of the quotient of the two printed decimals over that of the printed quotient.

    Predicted to first order: the relative errors of numerator and denominator subtract.
    """

    def check(ctx: Context) -> Evidence:
        n = _numbers()
        right, above, below = n["score"], "0.1504", "0.1471"
        quotient = float(above) / float(below)
        # the text's decimals stand for twice the derivative and twice the density
        off = float(above) / (2 * n["derivative"]) - float(below) / (2 * n["density"])
        expected = abs(off) * right / abs(float(SCORE) - right)
        found = abs(quotient - right) / abs(float(text) - right)
        return number(
            found,
            error=1e4 * EPS,  # differences of numbers that agree to three digits
            allowed=(0.99 * expected, 1.01 * expected),
            message=f"Who redoes the division {above}/{below} gets {quotient:.4f} and is farther from the right score "
            f"{right:.4f} than the printed {text}, by a factor {found:.2f}.",
        )

    return check


def _added(drift: str) -> Check:
    """``x + drift + noise`` in the decimals of the text, in units of the last digit, against the printed end."""

    def check(ctx: Context) -> Evidence:
        noise = Decimal(f"{math.sqrt(float(EXAMPLE.step)) * float(EXAMPLE.z):.4f}")
        end = Decimal(EXAMPLE.x) + Decimal(drift) + noise
        off = float((end - Decimal(STEP)) / Decimal("0.0001"))
        right = f"{_numbers()['drift']:.4f}"
        other = Decimal(EXAMPLE.x) + Decimal(right) + noise
        return number(
            off,
            error=0.0,
            allowed=(-1.0, -1.0),
            message=f"Adding up the printed {EXAMPLE.x} + {drift} - {-noise} gives {end}, the text has {STEP}; with "
            f"the drift {right} it is {other}.",
        )

    return check


def _density_after(z: str) -> Check:
    """Change of ``log p`` over the step; where drift and noise cancel it is zero."""

    def check(ctx: Context) -> Evidence:
        before = _numbers()
        end = _numbers(Example(z=z))["step"]
        after = _numbers(Example(x=repr(end)))["density"]
        change = after / before["density"] - 1
        # the printed draw, to second order in the move: p' d + p'' d^2 / 2 over p, with p'' by the two modes
        move = before["step"] - float(EXAMPLE.x)
        mode, x = float(EXAMPLE.mode), float(EXAMPLE.x)
        left = before["left"] / before["sum"]
        second = left * (x + mode) ** 2 + (1 - left) * (x - mode) ** 2 - 1
        expected = before["score"] * move + 0.5 * second * move**2
        kept = abs(end - x) / before["drift"]
        return number(
            change,
            error=64 * EPS,
            allowed=(1.02 * expected, 0.98 * expected),
            message=f"Who takes the chain to stay at {x:g} finds it at {end:.4f}: {kept:.0%} of the drift is left, in "
            f"the other direction, and the density falls by {-change:.2%}.",
        )

    return check


def _cancelling() -> str:
    """The draw for which the printed sentence would be true."""
    example: dict[str, Any] = EXAMPLE.numbers()
    return repr(float(-example["drift"] / math.sqrt(float(EXAMPLE.step))))


def _digit(key: str, shown: str, right: str) -> Addition:
    return consequence(
        _carried(key, shown, shown),
        wrong=[
            ("corrected-decimal", _carried(key, right, shown)),
            ("exact-number", _carried(key, None, shown)),
        ],
    )


ADDED: dict[str, Addition] = {
    "S4.density": consequence(
        _likelihood("0.1471"),
        wrong=[
            ("corrected-decimal", _likelihood("0.0735")),
            ("both-halves-left-out", _likelihood("0.2941")),
        ],
    ),
    "S4.derivative": consequence(
        _other_side("0.1504"),
        wrong=[
            ("corrected-decimal", _other_side("0.0752")),
            ("printed-density-too", _other_side("0.1504", "0.1471")),
        ],
    ),
    "S4.score": consequence(
        _tempered(SCORE),
        wrong=[
            ("corrected-decimal", _tempered("1.0232")),
            ("quotient-of-the-decimals", _tempered("1.0224")),
        ],
    ),
    "S8.a": _digit("left", "0.0440", "0.0439"),
    "S8.b": _digit("sum", "0.3687", "0.3686"),
    "S8.c": _digit("pull-left", "0.1100", "0.1098"),
    "S8.d": _digit("pull-right", "0.4871", "0.4870"),
    "S8.e": consequence(
        _quotient(SCORE),
        wrong=[("corrected-quotient", _quotient("1.0224")), ("nearer", _quotient("1.0230"))],
    ),
    "S8.f": consequence(
        _added("0.0511"),
        wrong=[("corrected-decimal", _added("0.0512")), ("full-step", _added("0.1023"))],
    ),
    "S8.g": consequence(
        _density_after(EXAMPLE.z),
        wrong=[
            ("noise-that-cancels", _density_after(_cancelling())),
            ("sign-of-the-noise", _density_after("0.3")),
        ],
    ),
}
