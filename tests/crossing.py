"""What tests of the ledger ask of every verdict beside its outcome."""

from __future__ import annotations

from scoreproof.validation.evidence import worst

KINDS = {"proof": "proof", "enclosure": "enclosure", "confidence": "confidence"}


def by_kind(verdict):
    """Outcome of the deciding evidence of every kind: proof, enclosure, confidence, and exact numbers."""
    found = {}
    for piece in verdict.evidence:
        if piece.deciding:
            found.setdefault(KINDS.get(piece.kind, "numbers"), []).append(piece.outcome)
    return {kind: worst(outcomes) for kind, outcomes in found.items()}


def assert_kinds_agree(verdict):
    """No kind of evidence says SUPPORTED where another says REFUTED, in the verdict and its corrections."""
    for one in verdict.nested():
        assert len(set(by_kind(one).values())) == 1, (one.claim, by_kind(one))
