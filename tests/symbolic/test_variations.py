"""Universal identities between means, and what grows like a polynomial."""

from __future__ import annotations

import pytest
import sympy as sp
from scoreproof.theory.symbolic.domain import REAL, Domain
from scoreproof.theory.symbolic.law_jets import Jets, NotInJets, as_polynomial, in_jets
from scoreproof.theory.symbolic.tame import untamed
from scoreproof.theory.symbolic.variations import same_mean, variation

x, y = sp.symbols("x y")
p, s = sp.Function("p"), sp.Function("s")
P, S = p(x), s(x)
R = P.diff(x) / P
DOMAIN = Domain({x: REAL}, {p: "positive", s: "real"})


def status(left, right, flux=0):
    return same_mean(left, right, flux={x: flux}, density=P, fields=[S], domain=DOMAIN).status


@pytest.mark.parametrize(
    ("left", "right", "flux", "wanted"),
    [
        (S * R, -S.diff(x), P * S, "PROVED"),
        (S * R, -S.diff(x), 2 * P * S, "UNKNOWN"),  # another flux would do
        (S * R, S.diff(x), P * S, "REFUTED"),
        (S * R + S.diff(x), sp.Integer(1), P * S, "REFUTED"),  # off by a number
        (x * R, sp.Integer(-1), x * P, "PROVED"),
        (x * R, sp.Integer(1), x * P, "REFUTED"),
        (R**2, R.diff(x), P.diff(x), "REFUTED"),  # varies with p alone
        (S, sp.Integer(0), sp.Integer(0), "REFUTED"),
        (S**2 - S**2, sp.Integer(0), sp.Integer(0), "PROVED"),
    ],
)
def test_proved_by_a_flux_refuted_by_a_variation(left, right, flux, wanted):
    assert status(left, right, flux) == wanted


def test_the_variation_of_a_divergence_vanishes():
    q, u = p(x, y), s(x, y)
    field = q.diff(x, y) * u**2 + sp.sin(x) * u.diff(y, 2)
    for f in (field.diff(x), (q * u.diff(x)).diff(y)):
        assert sp.simplify(variation(f.doit(), q)) == 0
        assert sp.simplify(variation(f.doit(), u)) == 0
    # The Laplacian from the Dirichlet energy.
    energy = (u.diff(x) ** 2 + u.diff(y) ** 2) / 2
    assert sp.simplify(variation(energy, u) + u.diff(x, 2) + u.diff(y, 2)) == 0


LOGISTIC = 1 / (1 + sp.exp(-x))
TAME = [
    x**3, sp.tanh(x), LOGISTIC, LOGISTIC.diff(x), LOGISTIC.diff(x, 3), 1 / (1 + x**2), sp.exp(-(x**2) / 2) * x,
    sp.sqrt(1 + x**2), sp.log(1 + x**2 + y**2), 1 / (2 + sp.sin(x * y)), sp.sech(x).diff(x, 2), sp.exp(x - x**2),
    1 / (x**2 + x + 1), sp.exp(x) / (x**2 + 3 * sp.exp(x)), sp.exp(sp.sin(x)), 1 / sp.cosh(x), sp.log(1 + sp.exp(x)),
    sp.atan(x).diff(x, 2),
]  # fmt: skip
WILD = [
    sp.exp(x), 1 / x, sp.Abs(x), sp.sqrt(x), sp.log(x), sp.exp(x**2 / 4), sp.sign(x), 1 / (1 + sp.sin(x)), sp.tan(x),
    sp.cosh(x), sp.Heaviside(x), sp.exp(x**2) / (1 + sp.exp(x)), sp.exp(3 * x) / (1 + sp.exp(x)) ** 2, 1 / (x**2 - 1),
    1 / (x * y + 1), sp.exp(x * y), sp.gamma(x), 1 / (3 * x**2), sp.Piecewise((x, x > 0), (0, True)),
    # An exponential over a sum that holds it: with a factor that falls, that vanishes at 0, with an edge beside it.
    sp.exp(x) / (1 + sp.exp(x) * sp.sech(x)), sp.exp(x) / (x**4 + x**2 * sp.exp(x)),
    sp.exp(x) / (sp.exp(x) + sp.Abs(x)),
]  # fmt: skip


@pytest.mark.parametrize("expr", TAME)
def test_tame_expressions_are_smooth_and_grow_like_a_polynomial(expr):
    assert untamed(expr) is None
    numbers = [abs(float(expr.subs({x: v, y: 1}))) for v in (-30, -0.5, 0, 0.7, 30)]
    assert max(numbers) < 30**4


@pytest.mark.parametrize("expr", WILD)
def test_all_else_is_named(expr):
    assert untamed(expr) is not None


def test_jets_hold_the_score_and_its_slope():
    jets = Jets.of((x,))
    put = {"density": P, "fields": {S: sp.sin(x)}, "values": {}}
    at = jets.at[0]
    assert in_jets(S.diff(x) * R, jets, **put) == sp.cos(at) * jets.first[0]
    second = in_jets(P.diff(x, 2) / P, jets, **put)
    assert sp.expand(second - jets.second[0, 0] - jets.first[0] ** 2) == 0
    terms = as_polynomial(in_jets((S - R) ** 2 * P, jets, **put), jets)
    assert terms[1, 0, 2, 0] == 1 and terms[1, 0, 1, 0] == -2 * sp.sin(at)
    with pytest.raises(NotInJets, match="order 3"):
        in_jets(P.diff(x, 3) / P, jets, **put)
    with pytest.raises(NotInJets, match="not a polynomial"):
        as_polynomial(in_jets(sp.sqrt(1 + R**2), jets, **put), jets)
