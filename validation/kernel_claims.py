"""``kernel_claim``: a user's own diffusion or interpolant with its kernel, by four routes, and their mutants."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from ..theory._checks import bad, positive
from ._kernel_claim_checks import (
    FORMULAS,
    KernelFormulas,
    defect,
    draws,
    enclosure,
    proof,
    quadrature,
)
from ._mean_checks import unseen
from .claim import Check, Claim
from .claims.ball_evidence import attached, available
from .claims.tools import named

_GRID = 32  #: times at which the formulas must have values


def kernel_claim(
    id: str,
    statement: str,
    *,
    time: Any,
    f: Any,
    g2: Any,
    scale: Any,
    variance: Any,
    wrong: Mapping[str, Mapping[str, Any]],
    t_max: Any = 1,
    parameters: Mapping[Any, Any] | None = None,
    tolerance: float = 0.05,
    source: Sequence[str] = (),
    assumptions: Sequence[str] = (),
) -> Claim:
    """The claim that ``dx = f x dt + g dw`` has the kernel ``x_t | x_0 ~ N(scale x_0, variance I)`` on (0, t_max).

    An interpolant ``x_t = alpha x_0 + sigma eps`` is ``scale=alpha, variance=sigma**2``; its diffusion is
    ``f = alpha'/alpha``, ``g^2 = (sigma^2)' - 2 f sigma^2``. Four checks, each of which refutes every set of formulas
    in ``wrong``:

    * ``proof``: mean and variance solve ``m' = f m``, ``v' = 2 f v + g^2`` with the right initial values;
    * ``enclosure``: ``exp(int f)`` and ``scale^2 int g^2 / scale^2`` in ball arithmetic at three times;
    * ``quadrature``: the kernel that the library finds from f and g;
    * ``draws``: mean and variance of simulated paths.

    Args:
        id: stable identifier.
        statement: the sentence.
        time: the symbol t.
        f: drift factor, a sympy expression in t and the parameters.
        g2: square of the diffusion coefficient.
        scale: alpha.
        variance: sigma^2.
        wrong: name -> those of the four formulas that are replaced by wrong ones.
        t_max: end, a rational number.
        parameters: symbol -> number that it takes; the proof is for all numbers of that sign.
        tolerance: largest difference over paths that counts as none, in standard deviations and variances.
        source: who prints the kernel.
        assumptions: further hypotheses.

    Raises:
        ValueError: an undeclared symbol, a rounded number, ``scale(0) != 1``, ``variance(0) != 0``, a scale that is
            not positive, a variance or g^2 that is negative, a formula without finite values, or no ``wrong``.

    Reference:
        Song et al. 2021, App. B; Särkkä and Solin 2019, Section 6.1, for the equations of the moments.
    """
    given = {"f": f, "g2": g2, "scale": scale, "variance": variance}
    kernel = _admitted(given, time, t_max, parameters or {})
    _exists(kernel, "")
    if not wrong:
        raise bad("wrong", "none", "name -> formulas that do not hold", "add a mutant")
    others: dict[str, KernelFormulas] = {}
    for name, changes in wrong.items():
        label = f"wrong[{name!r}]"
        if not isinstance(changes, Mapping) or not changes or not set(changes) <= set(FORMULAS):
            wanted = f"some of {', '.join(FORMULAS)}"
            raise bad(label, f"{changes}"[:60], wanted, "write {'variance': ...}")
        one = _admitted({**given, **changes}, time, t_max, parameters or {}, f"{label} ")
        if all((one.formulas[k] - kernel.formulas[k]).expand() == 0 for k in FORMULAS):
            raise bad(label, "the formulas themselves", "one that differs", "change a factor")
        _real(one, f"{label} ", ("f", "g2"))
        others[name] = one
    tolerance = positive(tolerance, "tolerance")
    _defect(kernel, "")
    sizes = {name: _defect(k, f"wrong[{name!r}] ") for name, k in others.items()}
    seen = {name: k for name, k in others.items() if sizes[name] > 2 * tolerance}
    makers: dict[str, tuple[Any, Mapping[str, KernelFormulas]]] = {
        "proof": (proof, others),
        "enclosure": (enclosure, others),
        "quadrature": (quadrature, others),
        "draws": (lambda k: draws(k, tolerance=tolerance), seen),
    }
    checks: dict[str, Check] = {}
    mutants: dict[str, Sequence[Check]] = {}
    notes = [unseen(name, tolerance) for name in others if name not in seen]
    for name, (make, wrongs) in makers.items():
        if name == "enclosure" and not available():
            notes += attached({name: checks["proof"]}, {})[2]
            continue
        try:
            one = make(kernel)
            made = [named(make(k), label) for label, k in wrongs.items()]
        except ValueError as error:
            notes.append(f"not run: {name} ({error})")
            continue
        if made:
            checks[name], mutants[name] = one, made
        else:
            notes.append(f"not run: {name} (it could not see any wrong formula)")
    notes.append(f"over paths numbers agree within {tolerance:g} standard deviations or variances")
    return Claim(
        id,
        statement,
        checks=checks,
        mutants=mutants,
        source=source,
        assumptions=(
            "f and g are smooth, so that x_t given x_0 is Gaussian",
            *assumptions,
            *notes,
        ),
        subject={"diffusion": f"f = {kernel.formulas['f']}, g^2 = {kernel.formulas['g2']}"},
    )


def _admitted(
    formulas: Mapping[str, Any], time: Any, t_max: Any, values: Mapping[Any, Any], label: str = ""
) -> KernelFormulas:
    import sympy as sp

    from ..theory.symbolic.domain import Domain

    end: Any = sp.sympify(t_max)
    if not end.is_Rational or end <= 0:
        raise bad("t_max", f"{t_max}", "a positive rational number", "write Rational(9, 10)")
    if not getattr(time, "is_Symbol", False):
        raise bad("time", f"{time}", "the symbol of the time", 'pass t = sympy.Symbol("t")')
    symbols: dict[Any, Any] = {time: (0, end)}
    for c, value in values.items():
        number: Any = sp.sympify(value)
        if not number.is_Rational or number == 0 or c == time:
            wanted = "a rational number other than zero"
            raise bad(f"parameters[{c}]", f"{value}", wanted, "write Rational(1, 10) or put it in")
        symbols[c] = (0, sp.oo) if number > 0 else (-sp.oo, 0)
    domain = Domain(symbols)
    admitted = {}
    for name, e in formulas.items():
        try:
            admitted[name] = domain.admit(e)
        except ValueError as error:
            text = str(error).replace("expr:", f"{label}{name}:", 1)
            raise ValueError(
                text.replace("add it to the domain", "pass its value in parameters")
            ) from error
    numbers = {c: sp.sympify(v) for c, v in values.items()}
    return KernelFormulas(admitted, time, Fraction(int(end.p), int(end.q)), domain, numbers)


def _exists(kernel: KernelFormulas, label: str) -> None:
    """Refuses formulas that are no kernel of a diffusion."""
    for name, wanted in (("scale", 1.0), ("variance", 0.0)):
        got = kernel.at(name, Fraction(0))
        if not abs(got - wanted) < 1e-12:
            raise bad(
                f"{name} at t = 0",
                f"{got:g}",
                f"{wanted:g}",
                "x_0 is data: rescale, or shift the time",
            )
    _real(kernel, label, FORMULAS)
    for k in range(1, _GRID + 1):
        share = Fraction(k, _GRID)
        t = float(share * kernel.end)
        for name, least in (("scale", 0.0), ("variance", 0.0)):
            value = kernel.at(name, share)
            if not value > least:
                remedy = "no diffusion has this kernel: check the signs, or lower t_max"
                raise bad(name, f"{value:g} at t = {t:g}", "a positive number", remedy)


def _defect(kernel: KernelFormulas, label: str) -> float:
    try:
        return defect(kernel)
    except (ValueError, ArithmeticError) as error:
        got = f"no kernel ({error})"
        wanted = "a diffusion that can be integrated up to t_max"
        raise bad(f"{label}f, g2", got, wanted, "look for poles, or lower t_max") from error


def _real(kernel: KernelFormulas, label: str, names: Sequence[str]) -> None:
    for k in range(1, _GRID + 1):
        share = Fraction(k, _GRID)
        t = float(share * kernel.end)
        for name in names:
            value = kernel.at(name, share)
            if not math.isfinite(value) or abs(value) > 1e15:
                got = f"no finite value at t = {t:g}"
                raise bad(f"{label}{name}", got, "finite values up to t_max", "lower t_max")
            if name == "g2" and value < 0:
                remedy = "no diffusion loses noise: check the signs, or lower t_max"
                raise bad(f"{label}g2", f"{value:g} at t = {t:g}", "g^2 >= 0", remedy)
