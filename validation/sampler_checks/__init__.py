"""Checks of samplers against exact truth."""
