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

    def at_law(self, expr: Any, *, higher: bool = False) -> Any:
        """An integrand with model and parameters in place.

        Raises:
            NotInJets: it needs more of the law than two derivatives, unless ``higher``.
        """
        from ..theory.symbolic.law_jets import in_jets

        return in_jets(
            expr,
            self.jets,
            density=self.density,
            fields=self.fields,
            values=self.values,
            higher=higher,
        )

    def require_tame(self, expr: Any, argument: str) -> None:
        """Refuses what is not known to be smooth and to grow like a polynomial at most.

        Also where nothing but the proof will look at it: the proof takes it for granted that the flux decays.

        Raises:
            ValueError: naming the part.
        """
        import sympy as sp

        from ..theory.symbolic.law_jets import NotInJets
        from ..theory.symbolic.tame import untamed

        try:
            part = untamed(self.at_law(expr, higher=True))
        except NotInJets as error:
            wanted = "functions whose derivatives are known"
            raise bad(argument, f"{error}", wanted, "write the derivative out") from error
        if part is not None:
            shown = part.xreplace({d: sp.Symbol(d.name) for d in part.atoms(sp.Dummy)})
            raise bad(
                argument,
                f"{shown}, not known to be smooth or to grow like a polynomial at most",
                "polynomials, roots, quotients and logarithms of what is above a positive number, exp of what is "
                "not positive, sin, cos, tanh, erf, atan, sech",
                "rewrite it with these, so that the means exist and the flux decays",
            )

    def require_difference(self, wrong: Any, right: Any, argument: str) -> None:
        """Refuses a wrong formula that the model makes equal to the right one at every point.

        Raises:
            ValueError: naming it.
        """
        from ..theory.symbolic.law_jets import NotInJets

        try:
            same = self.at_law(wrong - right).expand() == 0
        except NotInJets:
            return
        if same:
            got = "what is the right side for this model"
            raise bad(argument, got, "a formula that differs there", "take a less special model")

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
        """Points on the line where the flux does not go on smoothly, and by how much it jumps there.

        NaN where the law ends or has a kink, and the flux cannot be evaluated.
        """
        from ..theory.symbolic.law_jets import NotInJets

        places = {float(b) for b in getattr(self.law, "breaks", ())}
        places |= {float(e) for e in getattr(self.law, "support", ()) if np.isfinite(e)}
        if self.dim != 1 or not places:
            return []
        try:
            flux = self.numeric(self.flux[0] / self.density)
        except NotInJets:
            return [(place, float("nan")) for place in sorted(places)]

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
