"""Ledger, noising: D7, one Euler-Maruyama step beside the transition of a discrete chain."""

from __future__ import annotations

import numpy as np

from ...theory.diffusions import VE, VP
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from .tools import named, number


def _one_step(kind: str, drift: float = 0.5, power: float = 0.5) -> Check:
    """Order in the step of the gap between an Euler-Maruyama step and the chain's transition."""

    def check(ctx: Context) -> Evidence:
        h = 2.0 ** -np.arange(8, 13)
        if kind == "ddpm":
            b = VP().beta(0.5) * h
            gaps = np.abs(1 - drift * b - np.sqrt(1 - b)) + np.abs(b ** (2 * power) - b)
        else:
            sde = VE(sigma_min=0.1, sigma_max=10.0)
            step = h ** (2 * power) * float(sde.diffusion(0.5)) ** 2
            chain = np.array([float(sde.kernel(0.5 + d, 0.5).variance) for d in h])
            gaps = np.abs(step - chain)
        orders = np.log2(gaps[:-1] / gaps[1:])
        return number(
            float(orders[-1]),
            error=abs(float(orders[-1] - orders[-2])),
            allowed=(1.95, 2.05),
            kind="quadrature",
            n=len(h),
            message=f"one step and the {kind} transition differ by O(h^{orders[-1]:.3f})",
        )

    return check


def _one_step_constant(kind: str, factor: float = 1.0) -> Check:
    """The gap of one step over its leading term: ``(beta h)^2/8`` in the mean, ``(g^2)' h^2/2`` in the variance."""

    def check(ctx: Context) -> Evidence:
        h = 2.0 ** -np.arange(10, 15)
        if kind == "ddpm":
            b = VP().beta(0.5) * h
            # 1 - b/2 is subtracted from sqrt(1 - b) without cancellation
            gap = b**2 / 4 / (np.sqrt(1 - b) + 1 - b / 2)
            ratio, what = gap / (factor * b**2 / 8), "(beta h)^2/8 in the factor of the mean"
        else:
            sde = VE(sigma_min=0.1, sigma_max=10.0)
            g2, growth = float(sde.diffusion(0.5)) ** 2, 2 * np.log(100.0)
            gap = [float(sde.kernel(0.5 + d, 0.5).variance) - g2 * float(d) for d in h]
            # g^2 grows at the rate 2 log(sigma_max/sigma_min)
            ratio = np.array(gap) / (factor * growth * g2 * h**2 / 2)
            what = "(g^2)' h^2/2 in the variance"
        limits = 2 * ratio[1:] - ratio[:-1]
        return number(
            float(limits[-1]),
            error=abs(float(limits[-1] - limits[-2])) + 1e-6,
            allowed=(1 - 1e-4, 1 + 1e-4),
            kind="quadrature",
            n=len(h),
            message=f"{what} to leading order ({limits[-1]:.6f} of it)",
        )

    return check


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "D7",
        r"one Euler-Maruyama step has the form of the SMLD / DDPM transition",
        checks={
            "ddpm": _one_step("ddpm"),
            "smld": _one_step("smld"),
            "ddpm-gap": _one_step_constant("ddpm"),
            "smld-gap": _one_step_constant("smld"),
        },
        mutants={
            "ddpm": [
                named(_one_step("ddpm", drift=1.0), "drift-doubled"),
                named(_one_step("ddpm", power=0.55), "root-of-the-step-missed"),
            ],
            "smld": [
                named(_one_step("smld", power=0.45), "root-of-the-step-missed"),
                named(_one_step("smld", power=1.0), "step-for-its-root"),
            ],
            "ddpm-gap": [
                named(_one_step_constant("ddpm", 2.0), "quarter-for-an-eighth"),
                named(_one_step_constant("ddpm", 0.5), "sixteenth-for-an-eighth"),
            ],
            "smld-gap": [
                named(_one_step_constant("smld", 2.0), "not-halved"),
                named(_one_step_constant("smld", 0.5), "quartered"),
            ],
        },
        source=("004",),
        assumptions=(
            "'has the form' is read as: both are Gaussian with a linear mean, and mean factor and variance "
            "agree to second order in the step",
        ),
        finding=lambda evidence: (
            f"{evidence['ddpm'].message}: {evidence['ddpm-gap'].message}, with equal variances, so that they are "
            r"$(\beta h)^2 |x| / 8$ apart in $W_2$ from a point $x$. "
            f"{evidence['smld'].message}: {evidence['smld-gap'].message}, with equal means, so that they are "
            r"$\frac14 (g^2)' h^{3/2} / g$ apart in $W_2$ in each coordinate."
        ),
        role="printed",
        group="ledger",
    ),
)
