"""Ledger, worked examples: S4, S5 and S8, numbers that a text prints, held against exact arithmetic.

Every number is computed in 30-digit arithmetic and must lie within half a unit of the last digit printed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..claim import Check, Claim, Context
from ..evidence import Evidence
from .tools import EPS, named, number, printed

DIGITS = 30
SOURCE = ("000",)


@dataclass(frozen=True)
class Example:
    """Langevin step of source 000: the parameters that mutants change.

    ``p = w N(-m, 1) + (1-w) N(m, 1)`` at ``x``, then ``x + drift_factor s + noise_factor z``.
    """

    x: str = "0.5"
    mode: str = "2"
    half_width: str = "2"  #: the exponent is -(x -+ m)^2 / half_width
    prior: str = "0.5"
    norm_power: str = "0.5"  #: the density divides by (2 pi)^norm_power
    step: str = "0.1"
    z: str = "-0.3"
    drift_share: str = "0.5"
    noise_power: str = "0.5"

    def numbers(self) -> dict[str, Any]:
        """All quantities of the example, as high-precision numbers."""
        import mpmath

        mp = mpmath.mp.clone()
        mp.dps = DIGITS
        f = mp.mpf
        x, m, h, z = f(self.x), f(self.mode), f(self.step), f(self.z)
        norm = f(self.prior) / (2 * mp.pi) ** f(self.norm_power)
        left = mp.exp(-((x + m) ** 2) / f(self.half_width))
        right = mp.exp(-((x - m) ** 2) / f(self.half_width))
        density = norm * (left + right)
        slope = norm * (-(x + m) * left - (x - m) * right)
        drift = f(self.drift_share) * h * slope / density
        noise = h ** f(self.noise_power) * z
        return {
            "density": density,
            "derivative": slope,
            "score": slope / density,
            "step": x + drift + noise,
            "left": left,
            "sum": left + right,
            "pull-left": (x + m) * left,
            "pull-right": -(x - m) * right,
            "drift": drift,
            "cancelled": abs(drift + noise) / abs(drift),
        }


def _value(key: str, text: str, example: Example | None = None) -> Check:
    def check(ctx: Context) -> Evidence:
        value = float((example or Example()).numbers()[key])
        return printed(value, text, error=EPS * (1 + abs(value)))

    return check


def _decimal(
    id: str,
    statement: str,
    key: str,
    wrong: dict[str, Example],
    shown: str,
    right: str | None = None,
) -> Claim:
    """A printed decimal and, where it is wrong, the right one.

    Args:
        id: claim id.
        statement: LaTeX text with ``VALUE`` where the number stands.
        key: quantity of :meth:`Example.numbers`.
        wrong: mutants by name.
        shown: the number as printed.
        right: the number that stands in the correction.
    """

    def claim(text: str, correction: Claim | None, printed_by_source: bool) -> Claim:
        return Claim(
            id,
            statement.replace("VALUE", text),
            checks={"value": _value(key, text)},
            mutants={"value": [named(_value(key, text, e), name) for name, e in wrong.items()]},
            source=SOURCE if printed_by_source else (),
            assumptions=("within half a unit of the last digit printed",),
            correction=correction,
            finding=lambda evidence: evidence["value"].message,
            role="printed" if printed_by_source else "required",
            group="ledger",
        )

    correction = claim(right, None, False) if right is not None else None
    return claim(shown, correction, True)


_SHIFTED = Example(mode="1.5")
_WIDE = Example(half_width="1")


def _quotient(numerator: str, denominator: str, text: str) -> Check:
    def check(ctx: Context) -> Evidence:
        import mpmath

        value = float(mpmath.mpf(numerator) / mpmath.mpf(denominator))
        return printed(value, text, error=EPS * (1 + abs(value)))

    return check


def _quotient_claim(text: str, correction: Claim | None, role: str) -> Claim:
    return Claim(
        "S8.e",
        rf"$0.1504 / 0.1471 = {text}$",
        checks={"value": _quotient("0.1504", "0.1471", text)},
        mutants={
            "value": [
                named(_quotient("0.1471", "0.1504", text), "inverted"),
                named(_quotient("0.3771", "0.2507", text), "other-numbers"),
            ]
        },
        source=SOURCE if role == "printed" else (),
        assumptions=("the quotient of the two printed decimals, to the digits printed",),
        correction=correction,
        finding=lambda evidence: evidence["value"].message,
        role="printed" if role == "printed" else "required",
        group="ledger",
    )


def _cancels(low: float, high: float, example: Example | None = None) -> Check:
    def check(ctx: Context) -> Evidence:
        rest = float((example or Example()).numbers()["cancelled"])
        return number(
            rest,
            error=8 * EPS,
            allowed=(low, high),
            message=f"drift plus noise is {rest:.3f} of the drift in size",
        )

    return check


_NEARLY = "'nearly cancels' is read as: at most one fifth of the drift remains"


def _training(key: str, value: Callable[[float, float, float, float], float], text: str) -> Check:
    def check(ctx: Context) -> Evidence:
        x, eps, sigma, predicted = 2.0, 0.8, 0.5, 0.6
        return printed(
            value(x, eps, sigma, predicted), text, error=16 * EPS, message=f"{key}: {text}"
        )

    return check


CLAIMS: tuple[Claim, ...] = (
    _decimal(
        "S4.density",
        r"for $p = \frac12\mathcal{N}(-2,1) + \frac12\mathcal{N}(2,1)$ at $x = 0.5$: $p = VALUE$",
        "density",
        {"modes-at-1.5": _SHIFTED, "variance-one-half": _WIDE},
        "0.1471",
        "0.0735",
    ),
    _decimal(
        "S4.derivative",
        r"for $p = \frac12\mathcal{N}(-2,1) + \frac12\mathcal{N}(2,1)$ at $x = 0.5$: $p' = VALUE$",
        "derivative",
        {"modes-at-1.5": _SHIFTED, "variance-one-half": _WIDE},
        "0.1504",
        "0.0752",
    ),
    _decimal(
        "S4.score",
        r"for $p = \frac12\mathcal{N}(-2,1) + \frac12\mathcal{N}(2,1)$ at $x = 0.5$: $p'/p = VALUE$",
        "score",
        {"modes-at-1.5": _SHIFTED, "variance-one-half": _WIDE},
        "1.0227",
        "1.0232",
    ),
    _decimal(
        "S4.step",
        r"$x + \frac{h}{2} s + \sqrt{h} z$ with $x = 0.5$, $h = 0.1$, $z = -0.3$ gives $VALUE$",
        "step",
        {
            "full-step": Example(drift_share="1"),
            "noise-h": Example(noise_power="1"),
            "sign-of-noise": Example(z="0.3"),
        },
        "0.4563",
    ),
    Claim(
        "S5",
        r"$x = 2$, $\varepsilon = 0.8$, $\sigma = 0.5$, predicted noise $0.6$: $\tilde x = 2.4$, loss $0.04$, "
        r"implied score $-1.2$, conditional score $-1.6$",
        checks={
            "noised": _training("noised point", lambda x, e, s, p: x + s * e, "2.4"),
            "loss": _training("loss", lambda x, e, s, p: (p - e) ** 2, "0.04"),
            "implied": _training("implied score", lambda x, e, s, p: -p / s, "-1.2"),
            "conditional": _training("conditional score", lambda x, e, s, p: -e / s, "-1.6"),
        },
        mutants={
            "noised": [
                named(_training("", lambda x, e, s, p: x + s**2 * e, "2.4"), "variance-for-sigma")
            ],
            "loss": [named(_training("", lambda x, e, s, p: (p - e) ** 2 / 2, "0.04"), "halved")],
            "implied": [
                named(_training("", lambda x, e, s, p: -p / s**2, "-1.2"), "variance-for-sigma")
            ],
            "conditional": [named(_training("", lambda x, e, s, p: e / s, "-1.6"), "sign")],
        },
        source=SOURCE,
        assumptions=("to the digits printed",),
        role="printed",
        group="ledger",
    ),
    _decimal(
        "S8.a",
        r"$e^{-3.125} = VALUE$",
        "left",
        {"wrong-point": Example(x="0.4"), "variance-one-half": _WIDE},
        "0.0440",
        "0.0439",
    ),
    _decimal(
        "S8.b",
        r"$e^{-3.125} + e^{-1.125} = VALUE$",
        "sum",
        {"modes-at-1.5": _SHIFTED, "variance-one-half": _WIDE},
        "0.3687",
        "0.3686",
    ),
    _decimal(
        "S8.c",
        r"$2.5\,e^{-3.125} = VALUE$",
        "pull-left",
        {"modes-at-1.5": _SHIFTED, "variance-one-half": _WIDE},
        "0.1100",
        "0.1098",
    ),
    _decimal(
        "S8.d",
        r"$1.5\,e^{-1.125} = VALUE$",
        "pull-right",
        {"modes-at-1.5": _SHIFTED, "variance-one-half": _WIDE},
        "0.4871",
        "0.4870",
    ),
    _quotient_claim("1.0227", _quotient_claim("1.0224", None, "required"), "printed"),
    _decimal(
        "S8.f",
        r"the drift term $\frac{h}{2} s = VALUE$",
        "drift",
        {"full-step": Example(drift_share="1"), "modes-at-1.5": _SHIFTED},
        "0.0511",
        "0.0512",
    ),
    Claim(
        "S8.g",
        r"the noise $\sqrt{h} z$ nearly cancels the drift $\frac{h}{2} s$",
        checks={"rest": _cancels(0.0, 0.2)},
        mutants={
            "rest": [
                named(_cancels(0.0, 0.2, Example(z="0.3")), "sign-of-noise"),
                named(_cancels(0.0, 0.2, Example(noise_power="1")), "noise-h"),
            ]
        },
        source=SOURCE,
        assumptions=(_NEARLY,),
        correction=Claim(
            "S8.g",
            r"the noise $\sqrt{h} z = -0.0949$ outweighs the drift $\frac{h}{2} s = 0.0512$: their sum is "
            r"between $-0.9$ and $-0.8$ of the drift",
            checks={"rest": _cancels(0.8, 0.9)},
            mutants={
                "rest": [
                    named(_cancels(0.8, 0.9, Example(z="-0.17")), "smaller-noise"),
                    named(_cancels(0.8, 0.9, Example(drift_share="1")), "full-step"),
                ]
            },
            group="ledger",
        ),
        finding=lambda evidence: evidence["rest"].message,
        role="printed",
        group="ledger",
    ),
)
