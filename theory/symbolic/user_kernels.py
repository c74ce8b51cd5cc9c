"""The kernel of a diffusion that a user gives, and the diffusion of a kernel: found by any means, proved.

How a closed form is found (integration, a solver of differential equations) does not matter: it is handed out as
PROVED only with the certificate of :mod:`kernels`, and only where scale and variance are shown to be smooth, the
scale positive and g^2 not negative. Whatever is not shown gives UNKNOWN with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

from .._checks import bad, positive
from ._limits import within
from .derivation import Derivation, equal, point
from .domain import Domain, Expr, Interval
from .kernels import Kernel, certificate, mutants
from .positivity import is_positive
from .regular import is_regular, positive_throughout
from .zero import PROVED, REFUTED, UNKNOWN, Status, is_zero


@dataclass(frozen=True)
class KernelProof:
    """A diffusion ``dx = f x dt + g dw`` with the kernel ``N(scale x_0, variance I)`` at t.

    Attributes:
        status: PROVED, or UNKNOWN with the reason.
        reason: why it is not proved; empty where it is.
        kernel: f, g^2, scale and variance; None where no closed form was found.
        derivation: its certificate, None where there is no kernel.
    """

    status: Status
    reason: str
    kernel: Kernel | None = None
    derivation: Derivation | None = None


def kernel_of(
    f: Any,
    g2: Any,
    t: sp.Symbol,
    *,
    t_max: Any = 1,
    parameters: Mapping[sp.Symbol, Interval] | None = None,
    scale: Any = None,
    variance: Any = None,
    timeout: float = 10.0,
) -> KernelProof:
    """The kernel of ``dx = f(t) x dt + g(t) dw`` from ``g2 = g^2``.

    Args:
        f: drift factor, an expression of t and the parameters.
        g2: square of the diffusion coefficient.
        t: the time, a plain symbol on (0, t_max).
        t_max: end, rational or infinite.
        parameters: symbol -> open interval.
        scale: closed form to be proved, with ``variance``; found if not given.
        variance: likewise.
        timeout: seconds for the search.

    Raises:
        ValueError: undeclared symbols, floats, infinite terms, g^2 negative somewhere, or only one of
            ``scale`` and ``variance``.
    """
    domain = Domain({t: (0, t_max), **(parameters or {})})
    f, g2 = domain.admit(f), domain.admit(g2)
    _not_negative(g2, domain)
    if (scale is None) != (variance is None):
        raise bad("scale, variance", "one of them", "both or none", "pass the other too")
    if scale is not None:
        pairs: list[tuple[Any, Any]] = [(domain.admit(scale), domain.admit(variance))]
        why = ""
    else:
        found = within(positive(timeout, "timeout"), __name__, "_search", (f, g2, t, domain))
        pairs, why = list(found.answers), found.why
        pairs.append(_as_integrals(f, g2, t))
    best = KernelProof(UNKNOWN, why or "no closed form was found")
    for pair in pairs:
        kernel = Kernel(f=f, g2=g2, scale=pair[0], variance=pair[1], symbols=domain.symbols, t=t)
        best = _proof(kernel, "kernel", "kernel of a given diffusion")
        if best.status == PROVED:
            return best
    return replace(best, reason=f"{why}; {best.reason}") if why else best


def sde_of(
    alpha: Any,
    sigma: Any,
    t: sp.Symbol,
    *,
    t_max: Any = 1,
    parameters: Mapping[sp.Symbol, Interval] | None = None,
) -> KernelProof:
    """The diffusion with ``x_t = alpha x_0 + sigma eps``: ``f = alpha'/alpha``, ``g^2 = (sigma^2)' - 2 f sigma^2``.

    Args:
        alpha: scale, an expression of t and the parameters.
        sigma: standard deviation of the noise.
        t: the time, a plain symbol on (0, t_max).
        t_max: end, rational or infinite.
        parameters: symbol -> open interval.

    Raises:
        ValueError: undeclared symbols, floats, ``alpha(0) != 1``, ``sigma(0) != 0``, alpha not positive somewhere, or
            sigma / alpha decreasing somewhere, so that no diffusion has this kernel.
    """
    domain = Domain({t: (0, t_max), **(parameters or {})})
    a, s = domain.admit(alpha), domain.admit(sigma)
    for name, e, wanted in (("alpha(0)", a, 1), ("sigma(0)", s, 0)):
        first = _start(e, t)
        if first is None:
            return KernelProof(UNKNOWN, f"{name} is not defined")
        if is_zero(first - wanted, domain=domain).status == REFUTED:
            raise bad(name, str(first), str(wanted), "x_0 is data: rescale, or shift the time")
    below = is_positive(a, domain=domain)
    if below.witness is not None:
        raise bad(
            "alpha",
            f"a negative value at {point(below.witness)}",
            "a positive scale",
            "lower t_max",
        )
    f = sp.together(a.diff(t) / a)
    v = sp.expand(s**2)
    g2 = sp.together(a**2 * sp.together((v / a**2).diff(t)))
    _not_negative(g2, domain, "sigma")
    kernel = Kernel(f=f, g2=g2, scale=a, variance=v, symbols=domain.symbols, t=t)
    return _proof(kernel, "diffusion", "diffusion of a given kernel")


def _proof(kernel: Kernel, name: str, title: str) -> KernelProof:
    domain, t = Domain(kernel.symbols), kernel.t
    if _start(kernel.scale, t) is None or _start(kernel.variance, t) is None:
        return KernelProof(UNKNOWN, "scale or variance is not defined at t = 0", kernel)
    try:
        derivation = _derivation(kernel, name, title)
        if not derivation.proved:
            return KernelProof(UNKNOWN, "; ".join(derivation.failures()), kernel, derivation)
    except ValueError as error:  # a residual or an initial value that is infinite
        return KernelProof(UNKNOWN, f"no certificate: {error}", kernel)
    if not positive_throughout(kernel.scale, domain=domain):
        return KernelProof(
            UNKNOWN,
            "the scale was not shown to be positive and smooth up to t_max",
            kernel,
            derivation,
        )
    if not is_regular(kernel.variance, domain=domain):
        return KernelProof(
            UNKNOWN, "the variance was not shown to be smooth up to t_max", kernel, derivation
        )
    if not (kernel.g2 == 0 or _never_negative(kernel.g2, domain)):
        return KernelProof(UNKNOWN, "g^2 was not shown to be nonnegative", kernel, derivation)
    return KernelProof(PROVED, "", kernel, derivation)


def _derivation(kernel: Kernel, name: str, title: str) -> Derivation:
    tex = sp.latex(kernel.scale), sp.latex(kernel.variance)
    return Derivation(
        name, title=title, domain=kernel.domain, mutants=mutants(kernel),
        statement=f"dx = f x dt + g dw with f = {kernel.f} and g² = {kernel.g2} has the kernel N(α x₀, σ² I) with "
        f"α = {kernel.scale} and σ² = {kernel.variance}.",
        formula=rf"\alpha={tex[0]},\quad\sigma^2={tex[1]}",
        steps=(
            *certificate(kernel),
            equal("the lemma of α and σ", kernel.f * kernel.scale, sp.Derivative(kernel.scale, kernel.t)),
        ),
    )  # fmt: skip


def _start(e: Expr, t: sp.Symbol) -> Expr | None:
    """The value at t = 0, None where substitution gives nothing finite."""
    value = e.subs(t, 0)
    return (
        value
        if isinstance(value, sp.Expr) and not value.has(sp.nan, sp.zoo, sp.oo, sp.AccumBounds)
        else None
    )


def _not_negative(g2: Expr, domain: Domain, name: str = "g2") -> None:
    found = is_positive(g2, domain=domain)
    if found.status == REFUTED and found.witness is not None:
        got = f"g^2 < 0 at {point(found.witness)}"
        raise bad(
            name, got, "g^2 >= 0", "no diffusion loses noise: check the signs, or lower t_max"
        )


def _never_negative(g2: Expr, domain: Domain) -> bool:
    plain = g2.xreplace({s: domain.stand_in(s) for s in g2.free_symbols})
    return bool(plain.is_nonnegative) or positive_throughout(g2, domain=domain)


def _search(f: Expr, g2: Expr, t: sp.Symbol, domain: Domain) -> Iterator[tuple[Any, Any]]:
    """Closed forms until one has a certificate."""
    stand_in = {s: domain.stand_in(s) for s in domain.symbols}
    back = {v: s for s, v in stand_in.items()}
    for make in (_by_integrals, _by_solver):
        try:
            made = list(make(f.xreplace(stand_in), g2.xreplace(stand_in), stand_in[t]))
        except (
            Exception
        ):  # sympy raises whatever its algorithms meet; the other route may do better
            continue
        for pair in made:
            scale, variance = (_real_logarithms(e.xreplace(back), domain) for e in pair)
            yield scale, variance
            kernel = Kernel(
                f=f, g2=g2, scale=scale, variance=variance, symbols=domain.symbols, t=t
            )
            try:
                if _derivation(kernel, "kernel", "").proved:
                    return
            except ValueError:
                continue


def _real_logarithms(e: Expr, domain: Domain) -> Expr:
    """``log(t - 2)``, as integration writes it, by ``log(2 - t) + i pi`` where t is below 2; then i cancels."""
    turned = {}
    for log in e.atoms(sp.log):
        if is_positive(-log.args[0], domain=domain).status == PROVED:
            turned[log] = sp.log(-log.args[0]) + sp.I * sp.pi
    return sp.expand(e.xreplace(turned)) if turned else e


def _as_integrals(f: Expr, g2: Expr, t: sp.Symbol) -> tuple[Any, Any]:
    """The kernel by variation of constants, with integrals that are left as they stand."""
    r, q = sp.Dummy("r"), sp.Dummy("q")
    if f.is_rational_function(t):
        grown = sp.integrate(f, t)
        grown -= grown.subs(t, 0)
    else:
        grown = sp.Integral(f.xreplace({t: q}), (q, 0, t))
    spread = (g2 * sp.exp(-2 * grown)).subs(t, r)
    return sp.exp(grown), sp.exp(2 * grown) * sp.Integral(spread, (r, 0, t))


def _by_integrals(f: Expr, g2: Expr, t: sp.Symbol) -> Iterator[tuple[Expr, Expr]]:
    for grown in _antiderivatives(f, t):
        scale = sp.simplify(sp.exp(grown - grown.subs(t, 0)))
        for spread in _antiderivatives(sp.simplify(g2 / scale**2), t):
            yield scale, sp.simplify(scale**2 * (spread - spread.subs(t, 0)))


def _antiderivatives(e: Expr, t: sp.Symbol) -> list[Expr]:
    found: Any = sp.integrate(e, t)
    if found.has(sp.Integral):
        return []
    if not found.has(sp.Piecewise):
        return [found]
    folded: Any = sp.piecewise_fold(found)
    return [value for value, _ in folded.args]


def _by_solver(f: Expr, g2: Expr, t: sp.Symbol) -> Iterator[tuple[Expr, Expr]]:
    m, v = sp.Function("m"), sp.Function("v")
    scale: Any = sp.dsolve(m(t).diff(t) - f * m(t), m(t), ics={m(0): 1})
    variance: Any = sp.dsolve(v(t).diff(t) - 2 * f * v(t) - g2, v(t), ics={v(0): 0})
    yield sp.simplify(scale.rhs), sp.simplify(variance.rhs)
