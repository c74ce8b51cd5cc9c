"""``mean_claim``: a user's own identity between two means, with proof, enclosure, draws and their mutants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..numerics.enclosure_laws import ExactMixture
from ..theory._checks import bad, positive
from ..theory.empirical import PointMasses
from ..theory.mixtures import GaussianMixture
from ._claim_formulas import declared, same_shape
from ._mean_checks import controlled, draws, enclosure, jumping, proof, seen, unseen
from ._mean_identity import MeanIdentity
from ._user_code import has_infinite_moments, law_or_refuse
from .claim import Check, Claim
from .claims.averages import KURTOSIS
from .claims.ball_evidence import attached, available
from .claims.tools import named

HYPOTHESES = "p is positive and smooth, the fields are smooth, all means are finite, and the flux decays at infinity"

#: of draws of a mixture in one or two dimensions, which have good control variates, and of all others
TOLERANCES = 0.01, 0.1


def mean_claim(
    id: str,
    statement: str,
    *,
    left: Any,
    right: Any,
    density: Any,
    law: Any,
    wrong: Mapping[str, Any],
    flux: Any = 0,
    model: Mapping[Any, Any] | None = None,
    parameters: Mapping[Any, Any] | None = None,
    sampler: Callable[..., Any] | None = None,
    tolerance: float | None = None,
    source: Sequence[str] = (),
    assumptions: Sequence[str] = (),
) -> Claim:
    """The claim ``E_p left(x) = E_p right(x)`` for every smooth positive p and all smooth fields.

    Three checks, of which each refutes every formula in ``wrong``:

    * ``proof``: ``p (left - right) = div flux`` at every point, for undefined p and fields; refuted where a
      variation of the difference in p or a field does not vanish;
    * ``enclosure``: the difference at ``law`` and ``model`` in ball arithmetic, on the line;
    * ``draws``: the same difference over exact draws of ``law``, or over those of ``sampler``.

    What cannot be run is left out, and the assumptions of the claim say so.

    Args:
        id: stable identifier.
        statement: the sentence.
        left: sympy expression in the coordinates, the density, the fields and their derivatives.
        right: the other side.
        density: ``p(x)`` or ``exp(L(x))``, undefined; ``p(x, y)`` in two dimensions. Its arguments are the
            coordinates.
        law: the law at which the means are taken; of scoreproof.theory, or with ``dim``, ``score(x)``,
            ``hessian(x)``, ``log_prob(x)`` and ``transport(u, z)`` as far as the identity needs them. Balls want a
            mixture of Gaussians on the line, e.g. an ``ExactMixture``.
        wrong: name -> a right-hand side that does not hold.
        flux: expression, or one a coordinate; 0 where the integrands are equal.
        model: undefined field ``s(x)`` -> the expression that stands for it at the law; without other fields.
        parameters: symbol -> number that it takes at the law; the proof is for all numbers of that sign.
        sampler: ``(n, *, rng) -> (n, d)``, draws that are put in the place of those of the law.
        tolerance: largest difference between means over draws that counts as none, in root mean squares of both
            sides together; None: 0.01 for draws of a mixture of Gaussians in one or two dimensions, else 0.1.
        source: who prints the identity.
        assumptions: further hypotheses.

    Raises:
        ValueError: an undeclared symbol or function, a rounded number, a side that is not a scalar, a flux of
            another length, a field at another point, a law of another dimension or without a density, no ``wrong``
            formula or one that is ``right`` itself, or what is not known to be smooth and to grow like a polynomial
            at most.

    Reference:
        Hyvärinen 2005, Theorem 1, for the best known claim of this form.
    """
    scene = declared(density, model or {}, parameters or {})
    p = scene.density
    fields = {s: scene.admit(e, f"model[{s}]") for s, e in (model or {}).items()}
    if not isinstance(wrong, Mapping) or not wrong:
        got = "none" if not wrong else type(wrong).__name__
        raise bad("wrong", got, "name -> a right side that does not hold", "add a mutant")
    sides = {"left": left, "right": right} | {f"wrong[{k!r}]": e for k, e in wrong.items()}
    same_shape(sides)
    admitted = {name: scene.admit(e, name) for name, e in sides.items()}
    first, second, *others = admitted.values()
    for name, e in list(admitted.items())[2:]:
        if (e - second).expand() == 0:
            raise bad(name, "the right side itself", "a formula that differs", "change a factor")
    parts = list(flux) if isinstance(flux, list | tuple) else [flux]
    if len(parts) == 1 and parts[0] == 0:
        parts = [0] * len(p.args)
    if len(parts) != len(p.args):
        wanted = f"{len(p.args)}, one a coordinate"
        raise bad("flux", f"{len(parts)} components", wanted, "pass a list of them")
    flow = tuple(scene.admit(e, "flux") for e in parts)
    exact = law if isinstance(law, ExactMixture) else None
    law = floating(exact) if exact is not None else law
    _law_fits(law, len(p.args), sampler)
    values = dict(parameters or {})
    identity = MeanIdentity(first, flow, p, fields, values, scene.domain, law, exact)
    for s, e in fields.items():
        identity.require_tame(e, f"model[{s}]")
    for name, e in admitted.items():
        identity.require_tame(e, name)
    for e in flow:
        identity.require_tame(e / p, "flux")
    for name, e in list(admitted.items())[2:]:
        identity.require_difference(e, second, name)
    formulas = dict(zip(wrong, others, strict=True))
    if tolerance is None:
        tolerance = TOLERANCES[sampler is not None or not controlled(law)]
    tolerance = positive(tolerance, "tolerance")
    checks, mutants, notes = _checks(identity, second, formulas, tolerance, sampler)
    at = ", ".join(f"{s} = {e}" for s, e in fields.items())
    return Claim(
        id,
        statement,
        checks=checks,
        mutants=mutants,
        source=source,
        assumptions=(HYPOTHESES, *assumptions, *notes),
        subject={"law": repr(exact or law)} | ({"model": at} if at else {}),
    )


def floating(law: ExactMixture) -> GaussianMixture:
    """The mixture with its parameters rounded to float64."""
    parts = ([float(v) for v in part] for part in (law.weights, law.means, law.variances))
    weights, means, variances = parts
    return GaussianMixture(weights, [[m] for m in means], variances)


def _law_fits(law: Any, dim: int, sampler: Callable[..., Any] | None) -> None:
    law_or_refuse(law, "law")
    if int(law.dim) != dim:
        wanted = f"{dim}, as the density has arguments"
        raise bad("law", f"dimension {law.dim}", wanted, "write p(x, y) in two dimensions")
    if isinstance(law, PointMasses):
        wanted = "a law with a density"
        raise bad("law", f"{law!r}", wanted, "add noise with marginal(p, sde, t)")
    if has_infinite_moments(law):
        wanted = "a law all of whose moments are finite"
        raise bad("law", f"{law!r}", wanted, "intervals of draws hold for lighter tails only")
    if sampler is not None and not callable(sampler):
        wanted = "a function (n, *, rng) -> (n, d)"
        raise bad("sampler", type(sampler).__name__, wanted, "pass a callable")


def _checks(
    identity: MeanIdentity,
    right: Any,
    wrong: Mapping[str, Any],
    tolerance: float,
    sampler: Callable[..., Any] | None,
) -> tuple[dict[str, Check], dict[str, Sequence[Check]], list[str]]:
    """What can be run of the three checks, their mutants, and notes."""
    from ..theory.symbolic.law_jets import NotInJets

    def drawn(i: MeanIdentity, r: Any) -> Check:
        return draws(i, r, tolerance=tolerance, sampler=sampler)

    checks: dict[str, Check] = {"proof": proof(identity, right)}
    mutants: dict[str, Sequence[Check]] = {
        "proof": [named(proof(identity, e), k) for k, e in wrong.items()]
    }
    notes = [f"under this law the flux {jumping(j)} at x = {x:g}" for x, j in identity.jumps]
    for name, make in (("enclosure", enclosure), ("draws", drawn)):
        if name == "enclosure" and not available():
            notes += attached({name: checks["proof"]}, {})[2]
            continue
        try:
            one, told = make(identity, right), dict(wrong)
            if name == "draws" and sampler is None:
                told = {k: e for k, e in wrong.items() if seen(identity, right, e, tolerance)}
            others = [named(make(identity, e), k) for k, e in told.items()]
        except (NotInJets, ValueError) as error:
            notes.append(f"not run: {name} ({error})")
            continue
        notes += [unseen(k, tolerance) for k in wrong if k not in told]
        if others:
            checks[name], mutants[name] = one, others
        else:
            notes.append(f"not run: {name} (it could not see any wrong formula)")
    if "draws" in checks:
        notes += [
            f"over draws means agree within {tolerance:g} root mean squares of both sides",
            KURTOSIS,
        ]
    return checks, mutants, notes
