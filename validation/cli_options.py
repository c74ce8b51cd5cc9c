"""Parsers of options whose refusals say what came and what was wanted."""

from __future__ import annotations

from collections.abc import Callable

import typer


def integer(name: str) -> Callable[[str], int]:
    """A parser of integers whose refusal names the option."""

    def parse(text: str) -> int:
        try:
            return int(text)
        except ValueError:
            raise typer.BadParameter(
                f"{name}: got {str(text)!r}, wanted an integer; pass e.g. --{name} 1"
            ) from None

    return parse


def number(name: str) -> Callable[[str], float]:
    """A parser of numbers whose refusal names the option."""

    def parse(text: str) -> float:
        try:
            return float(text)
        except ValueError:
            raise typer.BadParameter(
                f"{name}: got {str(text)!r}, wanted a number; pass e.g. --{name} 1"
            ) from None

    return parse


def seconds(text: str) -> float:
    """A number of seconds."""
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(
            f"timeout: got {text!r}, wanted a number of seconds; pass e.g. --timeout 60"
        ) from None
