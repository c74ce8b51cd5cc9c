"""Langevin steps: the two conventions are one scheme, and the Metropolis correction is exact."""

from __future__ import annotations

from typing import Any

import sympy as sp

from .derivation import Derivation, equal, rule
from .domain import POSITIVE, REAL, Domain
from .zero import REFUTED

_X, _Y, _Z, _D, _H, _MU, _T = sp.symbols("x y z d h mu t")
_PI, _K, _S, _LOG, _P = (sp.Function(n) for n in ("pi", "q", "s", "l", "p"))
_DOMAIN = Domain(
    {**dict.fromkeys((_X, _Y, _Z, _MU), REAL), **dict.fromkeys((_D, _H, _T), POSITIVE)},
    {_PI: "positive", _K: "positive", _P: "positive", _S: "real", _LOG: "real"},
)


def conventions(wrong: str | None = None) -> Derivation:
    """Steps ``(d, sqrt(2d))`` and ``(h/2, sqrt(h))`` are one scheme with ``h = 2d``."""
    h: Any = {"equal-steps": _D, "four": 4 * _D}.get(wrong or "", 2 * _D)
    s, p = _S(_X), _P(_X)
    first = _X + _D * s + sp.sqrt(2 * _D) * _Z
    second = _X + h / 2 * s + sp.sqrt(h) * _Z
    slow = -sp.Derivative(s * p, _X) / 2 + sp.Derivative(p, (_X, 2)) / 2
    fast = -sp.Derivative(s * p, _X) + sp.Derivative(p, (_X, 2))
    ratio = h / _D
    return Derivation(
        "conventions",
        title="two conventions of Langevin steps",
        statement="x + d s(x) + √(2d) z and x + (h/2) s(x) + √h z are the same step for h = 2d, for every s, and the "
        "processes dX = s dt + √2 dW and dX = ½ s dt + dW are one in the times d and h. Each coordinate is alike.",
        formula=r"x+d\,s(x)+\sqrt{2d}\,z=x+\tfrac h2s(x)+\sqrt h\,z\quad(h=2d)",
        domain=_DOMAIN,
        steps=(
            equal("drift of a step", _D * s, h / 2 * s),
            equal("variance of its noise", 2 * _D, h),
            equal("the whole step, for every z", first, second),
            equal(
                "the two Fokker-Planck operators, in the two times", fast, ratio * slow,
                because="the second process runs at half the speed, which h = 2d makes up for",
            ),
        ),
        source="Song and Ermon 2019, Eq. 4; Roberts and Tweedie 1996",
        wrong=wrong,
        mutants={"equal-steps": REFUTED, "four": REFUTED},
    )  # fmt: skip


def mala(wrong: str | None = None) -> Derivation:
    """The Metropolis-Hastings correction satisfies detailed balance; its log-ratio for Langevin proposals."""
    here, there = _PI(_X) * _K(_X, _Y), _PI(_Y) * _K(_Y, _X)
    ratio = there / here
    if wrong == "no-proposal-ratio":
        ratio = _PI(_Y) / _PI(_X)
    if wrong == "ratio-turned":
        ratio = here / there
    back = ratio.xreplace({_X: _Z}).xreplace({_Y: _X}).xreplace({_Z: _Y})
    lx, ly = _LOG(_X), _LOG(_Y)
    sx, sy = _S(_X), _S(_Y)
    forth = -((_Y - _X - _H * sx / 2) ** 2) / (2 * _H)
    home = -((_X - _Y - _H * sy / 2) ** 2) / (2 * _H)
    eighth = 0 if wrong == "no-step-term" else _H / 8
    closed = ly - lx - (_Y - _X) * (sx + sy) / 2 + eighth * (sx**2 - sy**2)
    normal = {
        lx: -((_X - _MU) ** 2) / (2 * _D), ly: -((_Y - _MU) ** 2) / (2 * _D),
        sx: -(_X - _MU) / _D, sy: -(_Y - _MU) / _D,
    }  # fmt: skip
    return Derivation(
        "mala",
        title="the Metropolis-Hastings correction leaves the law stationary",
        statement="With the acceptance α(x, y) = min(1, π(y)q(y, x) / π(x)q(x, y)), π(x)q(x, y)α(x, y) is symmetric "
        "in x and y for every positive π and q, so that π is stationary exactly, whatever the step. For Langevin "
        "proposals N(x + (h/2)s(x), h) the log-ratio is l(y) − l(x) − ½(y−x)(s(x)+s(y)) + (h/8)(s(x)² − s(y)²), each "
        "coordinate alike; l is log π.",
        formula=r"\pi(x)\,q(x,y)\,\alpha(x,y)=\pi(y)\,q(y,x)\,\alpha(y,x),\quad"
        r"\alpha(x,y)=\min\left(1,\frac{\pi(y)q(y,x)}{\pi(x)q(x,y)}\right)",
        domain=_DOMAIN,
        steps=(
            equal(
                "the two ratios are inverse to each other, so that one of them is at most 1", ratio * back, 1,
            ),
            equal(
                "where the move x → y has a ratio below 1", here * ratio, there,
                because="then α(x, y) is the ratio and α(y, x) = 1",
            ),
            equal(
                "where the move y → x has a ratio below 1", here, there * back,
                because="then α(x, y) = 1 and α(y, x) is its ratio",
            ),
            rule(
                "integrated over x", "∫ π(x) K(x, dy) dx with the rejected part staying at x", "π(y)",
                by="detailed balance", hypotheses=("q(x, ·) is a positive density for every x", "π is a density"),
            ),
            equal(
                "log-ratio for a Langevin proposal", ly - lx + home - forth, closed,
                because="the proposal densities have equal constants; the terms in (y − x)² cancel",
            ),
            equal(
                "for the target N(μ, d)", closed.xreplace(normal),
                _H * ((_X - _MU) ** 2 - (_Y - _MU) ** 2) / (8 * _D**2),
                because="of first order in h: without the correction the chain is not reversible for this law",
            ),
        ),
        source="Hastings 1970; Roberts and Tweedie 1996, Sec. 1.4",
        wrong=wrong,
        mutants={"no-proposal-ratio": REFUTED, "ratio-turned": REFUTED, "no-step-term": REFUTED},
    )  # fmt: skip
