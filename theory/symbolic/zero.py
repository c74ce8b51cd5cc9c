r"""A zero test that never says "proved" of what is not zero.

PROVED means: zero at every point of the domain, and for all functions as declared, where the expression is
defined. The expression was rewritten, by rules that hold on the whole domain, into a rational function whose
numerator expands to the zero polynomial. REFUTED means: at an exhibited rational point (and with exhibited
values of the undefined functions and their derivatives there) a ball or an exact rational excludes zero.
Everything else is UNKNOWN.

The trusted base is sympy's polynomial arithmetic, the rules of ``normal_form.py`` and Arb (without
python-flint, the intervals of mpmath).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from random import Random
from typing import Any, Literal

import sympy as sp
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.function import AppliedUndef

from .._checks import positive
from ._limits import within
from .balls import excludes_zero, flint
from .domain import Domain, Expr
from .fractions import Field, TooLarge
from .normal_form import Generators, Undefined, root_order

Status = Literal["PROVED", "REFUTED", "UNKNOWN"]
PROVED: Status = "PROVED"
REFUTED: Status = "REFUTED"
UNKNOWN: Status = "UNKNOWN"

_POINTS, _DIGITS, _MORE_DIGITS = 6, 40, 400
_BRANCHES = 32


@dataclass(frozen=True)
class ZeroTest:
    """What is known of an expression.

    Attributes:
        status: PROVED zero, REFUTED, or UNKNOWN.
        method: how it was decided, or why it was not.
        seconds: wall time.
        witness: where REFUTED, the point and the values of functions there at which it is not zero.
    """

    status: Status
    method: str
    seconds: float = 0.0
    witness: Mapping[str, str] | None = None

    def __bool__(self) -> bool:
        raise TypeError("a zero test has three outcomes; compare .status with PROVED")


def is_zero(
    expr: Any,
    *,
    domain: Domain,
    using: Mapping[Any, Any] | None = None,
    timeout: float | None = None,
    seed: int = 0,
) -> ZeroTest:
    """Tests whether an expression is zero on a domain.

    Args:
        expr: scalar sympy expression of exact numbers, declared symbols and declared functions.
        domain: where, see :class:`Domain`.
        using: hypotheses as replacements, e.g. ``{m(t).diff(t): f(t) * m(t)}``. They are applied as they stand.
        timeout: seconds; None works in this process without limit, a number in a subprocess that is killed.
        seed: of the random points.

    Raises:
        ValueError: floats, infinite terms, undeclared symbols or functions, a limit that is not positive.
    """
    start = time.perf_counter()
    e = domain.admit(expr)
    rules = {domain.admit(k): domain.admit(v) for k, v in (using or {}).items()}
    if timeout is not None:
        found = _limited(e, domain, rules, positive(timeout, "timeout"), seed)
    else:
        found = _test(e, domain, rules, seed)
    return replace(found, seconds=time.perf_counter() - start)


def _test(e: Expr, domain: Domain, rules: Mapping[Any, Any], seed: int) -> ZeroTest:
    e = e.replace(lambda d: isinstance(d, sp.Derivative), lambda d: d.doit(deep=False))
    e = e.replace(_empty, lambda i: sp.Integer(0))
    if rules:
        e = e.xreplace(dict(rules))
    jets = Jets(e, domain, rules)
    plain = e.xreplace(jets.stand_in)
    witness = _refute(plain, domain, jets, seed, _DIGITS)
    if witness is not None:
        return ZeroTest(REFUTED, _excluded(_DIGITS), witness=witness)
    try:
        forms = [_normal(branch, domain, jets) for branch in _branches(plain)]
    except Undefined:
        return ZeroTest(UNKNOWN, "a denominator is zero identically")
    except (TooLarge, RecursionError, MemoryError):
        return ZeroTest(UNKNOWN, "the normal form is too large")
    except _TooManyBranches:
        return ZeroTest(UNKNOWN, "too many branches")
    except (sp.PolynomialError, NotImplementedError, TypeError, ArithmeticError) as error:
        return ZeroTest(UNKNOWN, f"no normal form: {type(error).__name__}")
    if all(forms):
        return ZeroTest(PROVED, "the numerator of its normal form expands to zero")
    witness = _refute(plain, domain, jets, seed + 1, _MORE_DIGITS)
    if witness is not None:
        return ZeroTest(REFUTED, _excluded(_MORE_DIGITS), witness=witness)
    return ZeroTest(UNKNOWN, "its normal form is not zero, and no ball excludes zero")


def _excluded(digits: int) -> str:
    kind = "a ball" if flint() is not None else "an interval"
    return f"{kind} of {digits} digits excludes zero"


def _empty(e: Any) -> bool:
    """Whether an expression is an integral from a point to itself."""
    if not isinstance(e, sp.Integral):
        return False
    limits: Any = e.limits
    return any(len(k) == 3 and k[1] == k[2] for k in limits)


class Jets:
    """Undefined functions and their derivatives as symbols: the values at a point are free.

    A smooth function may have any values and derivatives at a point, so that a counterexample in these symbols
    is one in functions. That fails where a function stands at two points that may coincide, where derivatives
    are taken at composite arguments, and where a hypothesis binds a derivative that is left; then
    ``free`` is false and nothing is refuted.
    """

    def __init__(self, e: Expr, domain: Domain, rules: Mapping[Any, Any]) -> None:
        self.free = True
        self.stand_in: dict[Any, sp.Dummy] = {}
        self.positive: set[sp.Symbol] = set()
        self.real: set[sp.Symbol] = set()
        self.places: dict[Any, set[tuple[Any, ...]]] = {}
        for node in sorted(e.atoms(ExprWithLimits, sp.Subs), key=sp.default_sort_key):
            self.stand_in[node] = sp.Dummy(
                compact(node)
            )  # replaced whole: its variables are bound
            self.free = False
        for node in sorted(e.atoms(sp.Derivative), key=sp.default_sort_key):
            inner = node.expr
            self.stand_in[node] = sp.Dummy(
                compact(node), real=isinstance(inner, AppliedUndef) or None
            )
            if isinstance(inner, AppliedUndef):
                self.real.add(self.stand_in[node])
                self.places.setdefault(inner.func, set()).add(inner.args)
                distinct = len(set(inner.args)) == len(inner.args)
                self.free &= distinct and all(a.is_Symbol for a in inner.args)
            else:
                self.free = False
        several = at_several_points(e)
        for node in e.atoms(AppliedUndef):
            sign = domain.functions[node.func]
            name = str(node) if node.func in several else compact(node)
            self.stand_in[node] = sp.Dummy(name, **{sign: True})
            self.places.setdefault(node.func, set()).add(node.args)
            (self.positive if sign == "positive" else self.real).add(self.stand_in[node])
        left = [d for d in self.stand_in if isinstance(d, sp.Derivative)]
        if any(_binds(rule, d) for rule in rules for d in left) or (left and _crossed(rules)):
            self.free = False

    def values(
        self, at: Mapping[sp.Symbol, Fraction], rng: Random
    ) -> dict[sp.Symbol, Fraction] | None:
        """Random values of all stand-ins at a point; None where they are not free."""
        if not self.free:
            return None
        exact = {s: sp.Rational(v.numerator, v.denominator) for s, v in at.items()}
        for places in self.places.values():
            if len(places) > 1:
                seen = [tuple(a.xreplace(exact) for a in args) for args in places]
                if not all(v.is_Rational for args in seen for v in args) or len(set(seen)) < len(
                    seen
                ):
                    return None
        drawn = {}
        for dummy in sorted(self.stand_in.values(), key=lambda d: (d.name, d.sort_key())):
            size = Fraction(rng.randint(1, 96), 32)
            drawn[dummy] = size if dummy in self.positive else size * rng.choice((-1, 1))
        return drawn


def _binds(rule: Any, left: sp.Derivative) -> bool:
    """Whether a derivative that is left is one of what a rule replaced, and so not free."""
    inner = rule.expr if isinstance(rule, sp.Derivative) else rule
    if inner != left.expr:
        return False
    taken = _orders(rule) if isinstance(rule, sp.Derivative) else {}
    orders = _orders(left)
    return all(orders.get(v, 0) >= n for v, n in taken.items())


def _orders(derivative: Any) -> dict[Any, int]:
    return {v: int(n) for v, n in derivative.variable_count}


def _crossed(rules: Mapping[Any, Any]) -> bool:
    """Whether one function has derivatives in several variables given: their mixed derivatives must agree."""
    seen: dict[Any, set[Any]] = {}
    for rule in rules:
        if isinstance(rule, sp.Derivative):
            seen.setdefault(rule.expr, set()).update(_orders(rule))
    return any(len(variables) > 1 for variables in seen.values())


def compact(node: Any) -> str:
    """``p_xx`` for the second derivative of p(x, t) in x, ``p`` for p(x, t)."""
    if isinstance(node, sp.Derivative) and isinstance(node.expr, AppliedUndef):
        marks = "".join(str(v) * int(n) for v, n in _orders(node).items())
        return f"{node.expr.func.__name__}_{marks}"
    if isinstance(node, AppliedUndef):
        return node.func.__name__ if all(a.is_Symbol for a in node.args) else str(node)
    return str(node)


def at_several_points(e: Any) -> set[Any]:
    """Functions that stand at more than one point, whose values need their arguments beside them."""
    nodes = e.atoms(AppliedUndef)
    seen = [node.func for node in nodes]
    return {f for f in seen if seen.count(f) > 1}


def _refute(
    e: Expr, domain: Domain, jets: Jets, seed: int, digits: int
) -> Mapping[str, str] | None:
    return search(e, domain, jets, seed, lambda at: bool(excludes_zero(e, at, digits)))


def search(
    e: Expr,
    domain: Domain,
    jets: Jets,
    seed: int,
    found: Callable[[Mapping[Any, Fraction]], bool],
) -> Mapping[str, str] | None:
    """The first of a few random points at which ``found`` is true, as a witness."""
    rng = Random(seed)
    for _ in range(_POINTS):
        at = {s: domain.point(s, rng) for s in sorted(domain.symbols, key=lambda s: s.name)}
        values = jets.values(at, rng)
        if values is not None and found({**at, **values}):
            return {s.name: str(v) for s, v in {**at, **values}.items() if s in e.free_symbols}
    return None


class _TooManyBranches(Exception):
    pass


def _branches(e: Expr) -> list[Expr]:
    """All choices of the branches of Piecewise parts: the value is that of one of them."""
    parts = [p for p in e.atoms(sp.Piecewise) if not p.args[0][0].has(sp.Piecewise)]
    if not parts:
        return [e]
    found = []
    for values in product(*([v for v, _ in part.args] for part in parts)):
        if len(found) >= _BRANCHES:
            raise _TooManyBranches
        found += _branches(e.xreplace(dict(zip(parts, values, strict=True))))
    return found


def _normal(e: Expr, domain: Domain, jets: Jets) -> bool:
    # Declared anew without assumptions, as symbols of the line.
    free = {d: sp.Dummy(d.name) for d in jets.real}
    wide = domain.with_symbols({s: (-sp.oo, sp.oo) for s in free.values()})
    e = e.xreplace(free)
    generators = Generators(wide, frozenset(jets.positive), root_order(e))
    return Field(generators.rewrite(e), generators).is_zero()


def _limited(e: Any, domain: Domain, rules: Any, limit: float, seed: int) -> ZeroTest:
    found = within(limit, __name__, "_answers", (e, domain, rules, seed))
    return found.answers[-1] if found.answers else ZeroTest(UNKNOWN, found.why)


def _answers(*arguments: Any) -> Iterator[ZeroTest]:
    yield _test(*arguments)
