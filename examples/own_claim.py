"""Two claims of one's own: a weighted loss, and an interpolant with its diffusion.

Usage: python examples/own_claim.py
       scoreproof validate --only examples/own_claim.py:CLAIMS
"""

from __future__ import annotations

import sympy as sp
from scoreproof.validation import PROBLEMS, kernel_claim, mean_claim, run_claims
from scoreproof.validation.claim import Claim


def weighted_loss() -> Claim:
    """Score matching with the weight ``1 / (1 + x^2)``; the weight must be differentiated too."""
    x, p, s = sp.Symbol("x"), sp.Function("p"), sp.Function("s")
    score, w = sp.log(p(x)).diff(x), 1 / (1 + x**2)
    return mean_claim(
        "weighted-loss",
        "The explicit loss with the weight w is the implicit one, "
        "$E[w s^2 + 2 (w s)']$, and a constant.",
        left=w * (s(x) - score) ** 2,
        right=w * (s(x) ** 2 + score**2) + 2 * (w * s(x)).diff(x),
        flux=-2 * w * p(x) * s(x),
        density=p(x),
        model={s(x): sp.tanh(x)},
        law=PROBLEMS["mixture-1d"].law,
        wrong={
            "weight-not-differentiated": w * (s(x) ** 2 + score**2 + 2 * s(x).diff(x)),
            "slope-once": w * (s(x) ** 2 + score**2) + (w * s(x)).diff(x),
        },
    )


def interpolant() -> Claim:
    r"""``x_t = cos(pi t/2) x_0 + sin(pi t/2) eps``: ``f = alpha'/alpha``, ``g^2 = (sigma^2)' - 2 f sigma^2``."""
    t = sp.Symbol("t")
    alpha, sigma = sp.cos(sp.pi * t / 2), sp.sin(sp.pi * t / 2)
    rate = sp.pi * sp.tan(sp.pi * t / 2)
    return kernel_claim(
        "trigonometric-path",
        r"The path $\cos(\pi t/2) x_0 + \sin(\pi t/2) \epsilon$ has $f = -\beta/2$, $g^2 = \beta$ "
        r"with $\beta = \pi\tan(\pi t/2)$.",
        time=t,
        f=-rate / 2,
        g2=rate,
        scale=alpha,
        variance=sigma**2,
        t_max=sp.Rational(9, 10),
        wrong={"half-noise": {"g2": rate / 2}, "std-for-variance": {"variance": sigma}},
    )


CLAIMS = [weighted_loss(), interpolant()]

if __name__ == "__main__":
    report = run_claims(CLAIMS)
    print(report)
    for verdict in report.verdicts:
        print(f"\n{verdict.claim}: {verdict.outcome}")
        for piece in verdict.evidence:
            print(f"  {piece.check:10} {piece.outcome:9} {piece.message}")
        for mutant in verdict.mutants:
            print(f"  {mutant.check:10} {mutant.outcome:9} of {mutant.name}")
