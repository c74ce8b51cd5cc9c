"""Deterministic closed forms."""
