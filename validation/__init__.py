"""The harness: claims, checks, verdicts, runner, report and command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..theory._lazy import lazy

if TYPE_CHECKING:
    from .chain_checks import check_chains as check_chains
    from .claim import Claim as Claim
    from .claim import Context as Context
    from .claims import CLAIMS as CLAIMS
    from .equilibrium_checks import check_balance as check_balance
    from .equilibrium_checks import check_stationary as check_stationary
    from .evidence import Evidence as Evidence
    from .evidence import Outcome as Outcome
    from .flow_checks import check_flow_map as check_flow_map
    from .flow_checks import check_inverse as check_inverse
    from .identity import check_identity as check_identity
    from .kernel_checks import check_kernel as check_kernel
    from .kernel_claims import kernel_claim as kernel_claim
    from .mean_claims import mean_claim as mean_claim
    from .problems import PROBLEMS as PROBLEMS
    from .problems import Problem as Problem
    from .runner import run_claims as run_claims
    from .sample_checks import check_samples as check_samples
    from .sample_checks import samples_needed as samples_needed
    from .sampler_checks import ErrorBudget as ErrorBudget
    from .sampler_checks import check_sampler as check_sampler
    from .sampler_checks import error_budget as error_budget
    from .score_checks import check_score as check_score
    from .verdict import Report as Report
    from .verdict import Verdict as Verdict

_EXPORTS = {
    "CLAIMS": "claims",
    "Claim": "claim",
    "Context": "claim",
    "ErrorBudget": "sampler_checks",
    "Evidence": "evidence",
    "Outcome": "evidence",
    "PROBLEMS": "problems",
    "Problem": "problems",
    "Report": "verdict",
    "Verdict": "verdict",
    "check_balance": "equilibrium_checks",
    "check_chains": "chain_checks",
    "check_flow_map": "flow_checks",
    "check_identity": "identity",
    "check_inverse": "flow_checks",
    "check_kernel": "kernel_checks",
    "check_sampler": "sampler_checks",
    "check_samples": "sample_checks",
    "check_score": "score_checks",
    "check_stationary": "equilibrium_checks",
    "error_budget": "sampler_checks",
    "kernel_claim": "kernel_claims",
    "mean_claim": "mean_claims",
    "run_claims": "runner",
    "samples_needed": "sample_checks",
}
__all__ = sorted(_EXPORTS)  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = lazy(__name__, _EXPORTS)
