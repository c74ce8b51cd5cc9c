"""An identity between two means with a law, a model and a flux: what the checks of ``mean_claim`` share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..theory._checks import bad
from ..theory.protocols import Vector

if TYPE_CHECKING:
    from ..theory.symbolic.domain import Domain
    from ..theory.symbolic.law_jets import Jets

_NEAR = 1e-9  #: distance from a kink or an end of the support, in standard deviations
_JUMP = 1e-6  #: of the flux, relative to its size in the bulk, that counts as none


@dataclass(frozen=True)
class MeanIdentity:
    """``E_p left = E_p right`` with ``p (left - right) = div flux``.

    Attributes:
        left: integrand.
        flux: one component a coordinate.
        density: ``p(x, ...)``.
        fields: ``s(x, ...)`` -> the model that stands for it.
        values: parameter -> number that it takes.
        domain: of coordinates, parameters and functions.
        law: p.
        exact: the same law with rational parameters; None where the binary ones of ``law`` are meant.
    """

    left: Any
    flux: tuple[Any, ...]
    density: Any
    fields: Mapping[Any, Any]
    values: Mapping[Any, Any]
    domain: Domain
    law: Any
    exact: Any = None

    @property
    def dim(self) -> int:
        """Number of coordinates."""
        return len(self.density.args)

    @cached_property
    def jets(self) -> Jets:
        """Symbols for a point and for what the law knows there."""
        from ..theory.symbolic.law_jets import Jets

        return Jets.of(self.density.args)

    def at_law(self, expr: Any) -> Any:
        """An integrand with model and parameters in place.

        Raises:
            NotInJets: it needs more of the law than two derivatives.
        """
        from ..theory.symbolic.law_jets import in_jets

        return in_jets(
            expr, self.jets, density=self.density, fields=self.fields, values=self.values
        )

    def require_tame(self, expr: Any, argument: str) -> None:
        """Refuses what is not known to be smooth and to grow like a polynomial at most.

        Raises:
            ValueError: naming the part.
        """
        from ..theory.symbolic.law_jets import NotInJets
        from ..theory.symbolic.tame import untamed

        try:
            part = untamed(self.at_law(expr))
        except NotInJets:
            return  # nothing but the proof will look at it
        if part is not None:
            raise bad(
                argument,
                f"{part}, not known to be smooth or to grow like a polynomial at most",
                "polynomials, roots, quotients and logarithms of what is above a positive number, exp of what is "
                "not positive, sin, cos, tanh, erf, atan, sech",
                "rewrite it with these, so that the means exist and the flux decays",
            )

    def numeric(self, expr: Any) -> Callable[[Vector], Vector]:
        """An integrand at the law as ``(n, d) -> (n,)``, printed for numpy: without care for rounding.

        Raises:
            NotInJets: it needs more of the law than it knows.
        """
        import sympy as sp

        from ..theory.symbolic.law_jets import NotInJets

        jets, law, e = self.jets, self.law, self.at_law(expr)
        names = [*jets.at, *jets.known]
        function = sp.lambdify(names, e, ["scipy", "numpy"], cse=True)
        used = e.free_symbols
        for method, symbols in (
            ("log_prob", {jets.log, jets.density}),
            ("score", set(jets.first)),
            ("hessian", set(jets.second.values())),
        ):
            if used & symbols and not callable(getattr(law, method, None)):
                raise NotInJets(f"a law with the method {method}(x)")

        def values(x: Vector) -> Vector:
            n = len(x)
            nothing = np.zeros(n)
            log = first = second = None
            if used & {jets.log, jets.density}:
                log = np.asarray(law.log_prob(x), dtype=np.float64)
            if used & set(jets.first):
                first = np.asarray(law.score(x), dtype=np.float64)
            if used & set(jets.second.values()):
                second = np.asarray(law.hessian(x), dtype=np.float64)
            given = [
                *x.T,
                nothing if log is None else np.exp(log),
                nothing if log is None else log,
            ]
            given += [nothing if first is None else first[:, i] for i in range(len(jets.first))]
            given += [nothing if second is None else second[:, i, j] for i, j in jets.second]
            with np.errstate(all="ignore"):
                found = np.asarray(function(*given), dtype=np.float64)
            return np.broadcast_to(found, (n,))

        return values

    @cached_property
    def jumps(self) -> list[tuple[float, float]]:
        """Points on the line where the flux does not go on smoothly, and by how much it jumps there."""
        from ..theory.symbolic.law_jets import NotInJets

        places = {float(b) for b in getattr(self.law, "breaks", ())}
        places |= {float(e) for e in getattr(self.law, "support", ()) if np.isfinite(e)}
        if self.dim != 1 or not places:
            return []
        try:
            flux = self.numeric(self.flux[0] / self.density)
        except NotInJets:
            return []

        def through(x: Vector) -> Vector:
            with np.errstate(all="ignore"):
                density = np.exp(np.asarray(self.law.log_prob(x), dtype=np.float64))
                return np.where(density > 0, density * flux(x), 0.0)

        sd = float(np.sqrt(np.asarray(self.law.covariance)[0, 0]))
        bulk = float(np.asarray(self.law.mean)[0]) + sd * np.linspace(-3, 3, 60)
        size = float(np.max(np.abs(through(bulk[:, None]))))
        found = []
        for place in sorted(places):
            before, after = through(place + sd * np.array([[-_NEAR], [_NEAR]]))
            if not abs(after - before) <= _JUMP * size:
                found.append((place, float(after - before)))
        return found


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
    if not plain or len(set(at)) < len(at):
        wanted = "p(x) or exp(L(x)), undefined, of distinct symbols"
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
