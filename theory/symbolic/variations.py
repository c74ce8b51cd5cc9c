r"""Identities between means, ``E_p left = E_p right`` for every density p and all fields, decided in both directions.

Proved where the integrands differ by the divergence of a flux that is given. That they do not differ by the
divergence of *this* flux refutes nothing, another one may do. What refutes is a variation. With
``F = int f dx``, ``f = p (left - right)``, and the Euler operator

    E_u f = sum_k (-D)^k (df / du_k),      u_k: the derivatives of u,      D: the total derivative,

``E_s f != 0`` at a point means that F changes with s; ``D E_p f != 0`` that it changes with p though ``int p = 1``.
Either way F is not zero for every p and s. Where ``E_p f`` is a number c, F is c plus the integral of a divergence.

References:
    Olver 1993, Applications of Lie Groups to Differential Equations, Theorem 4.7.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef

from ._limits import within
from .derivation import point, same_integral
from .domain import Domain, Expr
from .zero import PROVED, REFUTED, UNKNOWN, ZeroTest, is_zero


def same_mean(
    left: Any,
    right: Any,
    *,
    flux: Mapping[sp.Symbol, Any],
    density: Any,
    fields: Sequence[Any],
    domain: Domain,
    timeout: float | None = None,
) -> ZeroTest:
    """Tests ``E_p left = E_p right`` for every positive smooth p and all smooth fields for which the flux decays.

    Args:
        left: integrand, without the density.
        right: the other one.
        flux: coordinate -> component of a flux with ``p (left - right) = div flux``.
        density: ``p(x, ...)``.
        fields: ``s(x, ...)`` and others, undefined functions of all coordinates.
        domain: of the coordinates, parameters and functions.
        timeout: seconds; None works in this process without limit, a number in a subprocess that is ended.

    Returns:
        PROVED by the flux, REFUTED by a variation, else UNKNOWN; ``method`` gives the reason in words.

    Raises:
        ValueError: undeclared names, floats or infinite terms.
    """
    start = time.perf_counter()
    given = (left, right, dict(flux), density, tuple(fields), domain)
    if timeout is None:
        found = _test(*given)
    else:
        answers = within(timeout, __name__, "_answers", given)
        found = answers.answers[-1] if answers.answers else ZeroTest(UNKNOWN, answers.why)
    return replace(found, seconds=time.perf_counter() - start)


def _answers(*given: Any) -> Iterator[ZeroTest]:
    yield _test(*given)


def _test(
    left: Expr, right: Expr, flux: dict[Any, Any], p: Expr, fields: tuple[Any, ...], domain: Domain
) -> ZeroTest:
    (rest,) = same_integral("", p * left, p * right, flux=flux).checks
    rest = rest.doit()
    shown = is_zero(rest, domain=domain)
    if shown.status == PROVED:
        by_parts = any(component != 0 for component in flux.values())
        said = "by the divergence of the flux" if by_parts else "the integrands are equal"
        return ZeroTest(PROVED, said)
    f = (p * (left - right)).doit()
    tests = []
    for u in fields:
        one = is_zero(variation(f, u), domain=domain)
        if one.status == REFUTED:
            return _refuted(f"the difference of the means changes with {u}", one)
        tests.append(one)
    by_density = variation(f, p)
    one = is_zero(by_density, domain=domain)
    for x in p.args if one.status == REFUTED else ():
        moved = is_zero(by_density.diff(x).doit(), domain=domain)
        if moved.status == REFUTED:
            return _refuted(f"the difference of the means changes with {p}", moved)
    c = sp.simplify(by_density) if one.status == REFUTED else sp.Integer(0)
    free = not c.atoms(AppliedUndef, sp.Derivative) and not c.free_symbols & set(p.args)
    if one.status == REFUTED and free and is_zero(rest - c * p, domain=domain).status == PROVED:
        return ZeroTest(REFUTED, f"the means differ by {c}", witness=one.witness)
    tests.append(one)
    if all(t.status == PROVED for t in tests):
        where = f" (not at {point(shown.witness)})" if shown.witness else ""
        return ZeroTest(
            UNKNOWN,
            f"the integrands do not differ by the divergence of this flux{where}, but by that of another one: every "
            "variation vanishes; correct the flux",
        )
    return ZeroTest(UNKNOWN, next(t.method for t in (shown, *tests) if t.status != PROVED))


def _refuted(said: str, test: ZeroTest) -> ZeroTest:
    where = f": its variation is not zero at {point(test.witness)}" if test.witness else ""
    return ZeroTest(REFUTED, said + where, witness=test.witness)


def variation(f: Expr, u: Any) -> Expr:
    """``E_u f``, the variational derivative of ``int f`` in the undefined function u of all coordinates."""
    taken = [d for d in f.atoms(sp.Derivative) if d.expr == u]
    jets = {d: sp.Dummy(real=True) for d in [*sorted(taken, key=sp.default_sort_key), u]}
    back = {dummy: d for d, dummy in jets.items()}
    plain, total = f.xreplace(jets), sp.Integer(0)
    for d, dummy in jets.items():
        part = plain.diff(dummy).xreplace(back)
        orders = d.variable_count if d != u else ()
        for x, n in orders:
            part = (-1) ** n * sp.diff(part, (x, n))
        total += part
    return total.doit()
