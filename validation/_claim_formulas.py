"""What the formulas of a user's claim may be made of; everything else is refused in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..theory._checks import bad

if TYPE_CHECKING:
    from ..theory.symbolic.domain import Domain


@dataclass(frozen=True)
class Scene:
    """What the formulas of a claim may be made of.

    Attributes:
        domain: coordinates, parameters, density and fields.
        density: ``p(x, ...)``.
        rename: ``L(x)`` -> ``log p(x)``, where the user writes the density as ``exp(L)``.
    """

    domain: Domain
    density: Any
    rename: Mapping[Any, Any]

    def admit(self, expr: Any, argument: str) -> Any:
        """A scalar formula of exact numbers and declared names, all functions at the coordinates.

        Raises:
            ValueError: anything else.
        """
        import sympy as sp
        from sympy.core.function import AppliedUndef

        d, at = self.domain, self.density.args
        try:
            e: Any = sp.sympify(expr)
            e = e.subs(self.rename).doit()
        except (sp.SympifyError, TypeError, AttributeError) as error:
            got = repr(expr)[:60]
            raise bad(
                argument, got, "a sympy expression", "build it from sympy objects"
            ) from error
        loose = sorted(map(str, getattr(e, "free_symbols", set()) - set(d.symbols)))
        if loose:
            known = ", ".join(map(str, d.symbols))
            remedy = "pass its value in parameters, or make it an argument of the density"
            raise bad(argument, f"the symbol {loose[0]}", f"declared symbols ({known})", remedy)
        for f in sorted(e.atoms(AppliedUndef), key=str):
            if f.func not in d.functions:
                known = ", ".join(str(k(*at)) for k in d.functions)
                raise bad(
                    argument, f"the function {f}", f"{known}", "say in model what stands for it"
                )
            if f.args != at:
                raise bad(argument, f"{f}", f"{f.func(*at)}", "take functions at the coordinates")
        if e.has(sp.Integral, sp.Sum, sp.Subs):
            raise bad(argument, f"{e}"[:60], "no integral, sum or substitution", "write it out")
        try:
            return d.admit(e)
        except ValueError as error:
            raise ValueError(str(error).replace("expr:", f"{argument}:", 1)) from error


def declared(density: Any, fields: Mapping[Any, Any], values: Mapping[Any, Any]) -> Scene:
    """Coordinates from the density, signs of parameters from their values.

    Raises:
        ValueError: a density, field or parameter of another form.
    """
    import sympy as sp
    from sympy.core.function import AppliedUndef

    from ..theory.symbolic.domain import POSITIVE, REAL, Domain

    inner = density.args[0] if isinstance(density, sp.exp) else density
    at = getattr(inner, "args", ())
    plain = isinstance(inner, AppliedUndef) and all(v.is_Symbol for v in at)
    if not plain or len({str(v) for v in at}) < len(at):
        wanted = "p(x) or exp(L(x)), undefined, of symbols with distinct names"
        raise bad("density", repr(density)[:60], wanted, 'take p = sympy.Function("p")')
    p = inner if inner is density else sp.Function(f"p_{inner.func.__name__}")(*at)
    rename = {} if inner is density else {inner: sp.log(p)}
    functions: dict[Any, str] = {p.func: "positive"}
    for s in fields:
        if not isinstance(s, AppliedUndef) or s.args != at or s.func in (p.func, inner.func):
            wanted = f"undefined functions of {', '.join(map(str, at))} other than the density"
            raise bad("model", f"{s}", wanted, "write model={s(x): ...}")
        functions[s.func] = "real"
    symbols: dict[Any, Any] = dict.fromkeys(at, REAL)
    for c, value in values.items():
        number: Any = sp.sympify(value)
        if not getattr(c, "is_Symbol", False) or c in at:
            wanted = "symbols other than the coordinates"
            raise bad("parameters", f"{c}", wanted, "write parameters={c: 2}")
        if not number.is_Rational or number == 0:
            wanted = "a rational number other than zero"
            raise bad(f"parameters[{c}]", f"{value}", wanted, "write Rational(1, 10) or put it in")
        symbols[c] = POSITIVE if number > 0 else (-sp.oo, sp.Integer(0))
    return Scene(Domain(symbols, functions), p, rename)


def same_shape(sides: Mapping[str, Any]) -> None:
    """Refuses sides of several entries, and first of all those of different shapes.

    Raises:
        ValueError: naming the side.
    """
    shapes = {
        name: np.shape(e) if isinstance(e, list | tuple) else tuple(getattr(e, "shape", ()))
        for name, e in sides.items()
    }
    first = shapes["left"]
    for name, shape in shapes.items():
        if shape != first:
            wanted = f"shape {first} like left"
            raise bad(name, f"shape {shape}", wanted, "both sides must be of one shape")
        if shape:
            raise bad(name, f"shape {shape}", "a scalar expression", "make a claim of each entry")
