"""The ledger: every printed formula as a claim with checks and mutants."""
