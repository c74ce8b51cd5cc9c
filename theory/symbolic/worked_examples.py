"""Worked examples of the texts whose numbers are rational: one step of denoising, a quotient of two decimals."""

from __future__ import annotations

from typing import Any

import sympy as sp

from .derivation import Derivation, equal, greater
from .domain import POSITIVE, REAL, Domain
from .zero import REFUTED

_X, _Y, _E, _EHAT, _S, _U = sp.symbols("x y e ehat sigma u")
_DOMAIN = Domain({**dict.fromkeys((_X, _Y, _E, _EHAT), REAL), _S: POSITIVE, _U: POSITIVE})


def _decimal(text: str) -> Any:
    return sp.Rational(text)


def denoising_example(wrong: str | None = None) -> Derivation:
    """``x = 2, eps = 0.8, sigma = 0.5``, predicted noise 0.6: 2.4, 0.04, -1.2, -1.6."""
    spread = _S**2 if wrong == "variance-for-sigma" else _S
    half = sp.Rational(1, 2) if wrong == "loss-halved" else 1
    sign = -1 if wrong == "wrong-sign" else 1
    noised = _X + spread * _E
    loss = half * (_EHAT - _E) ** 2
    implied, conditional = -sign * _EHAT / spread, -sign * _E / spread
    values = {_X: 2, _E: _decimal("0.8"), _S: _decimal("0.5"), _EHAT: _decimal("0.6")}
    target = sp.Derivative(-((_Y - _X) ** 2) / (2 * _S**2), _Y)
    printed = {
        "the noised point x + σe": (noised, "2.4"),
        "the loss (ehat − e)²": (loss, "0.04"),
        "the implied score −ehat/σ": (implied, "-1.2"),
        "the conditional score −e/σ": (conditional, "-1.6"),
    }
    return Derivation(
        "denoising-example",
        title="a worked step of denoising score matching",
        statement="x = 2, e = 0.8, σ = 0.5 and the predicted noise ehat = 0.6 give x~ = x + σe = 2.4, the loss "
        "(ehat − e)² = 0.04, the implied score −ehat/σ = −1.2 and the conditional score −e/σ = −1.6, exactly.",
        formula=r"\tilde x=2.4,\quad(\hat\epsilon-\epsilon)^2=0.04,\quad-\frac{\hat\epsilon}\sigma=-1.2,\quad"
        r"-\frac\epsilon\sigma=-1.6",
        domain=_DOMAIN,
        steps=(
            equal(
                "the conditional score at x~ = x + σe", target, conditional, using={_Y: _X + _S * _E},
                because="the derivative of the logarithm of the kernel N(x, σ²) at x~",
            ),
            equal(
                "the loss is σ² times that of the scores", _S**2 * (-_EHAT / _S + _E / _S) ** 2, loss,
            ),
            *(
                equal(f"{name} = {value}", formula, _decimal(value), using=values)
                for name, (formula, value) in printed.items()
            ),
        ),
        source="Vincent 2011, Sec. 4.2, for the formulas",
        wrong=wrong,
        mutants={"variance-for-sigma": REFUTED, "loss-halved": REFUTED, "wrong-sign": REFUTED},
    )  # fmt: skip


def decimal_quotient(wrong: str | None = None) -> Derivation:
    """``0.1504 / 0.1471`` is 1.0224 to four decimals, and not 1.0227."""
    shown = {"last-digit": "1.0227", "inverted": "0.9781", "two-units-below": "1.0222"}.get(
        wrong or "", "1.0224"
    )
    numerator, denominator = _decimal("0.1504"), _decimal("0.1471")
    half_unit = _decimal("0.00005")
    low, high = _decimal(shown) - half_unit, _decimal(shown) + half_unit
    ends = [f"{shown[:-1]}{int(shown[-1]) + k}5" for k in (-1, 0)]
    return Derivation(
        "decimal-quotient",
        title="the quotient of two decimals",
        statement="0.1504/0.1471 lies within half a unit of the last digit of 1.0224, and so farther from 1.0227. "
        "u > 0 stands for any positive common factor of the two numbers.",
        formula=r"1.02235<\frac{0.1504}{0.1471}<1.02245",
        domain=_DOMAIN,
        steps=(
            greater(f"the numerator exceeds {ends[0]} of the denominator", _U * numerator, _U * low * denominator),
            greater(f"and is below {ends[1]} of it", _U * high * denominator, _U * numerator),
        ),
        source="exact arithmetic",
        wrong=wrong,
        mutants={"last-digit": REFUTED, "inverted": REFUTED, "two-units-below": REFUTED},
    )  # fmt: skip
