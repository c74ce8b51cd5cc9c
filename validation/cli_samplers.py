"""``scoreproof check-sampler``: a target, the options, progress, and the report in its folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ..theory._checks import bad
from .verdict import NotChecked, Report, Verdict


def check(
    target: str,
    rest: Sequence[str],
    *,
    steps: Sequence[str],
    problems: Sequence[str],
    order: float | None,
    tolerance: float,
    seed: int,
    timeout: float,
    out: Path,
    say: Callable[[str], None],
) -> Report:
    """Runs the checks and stores the report.

    Args:
        target: see :func:`.adapters.target.sampler_at`.
        rest: further words of the command line: step counts after ``--steps``, names after ``--problem``.
        steps: step counts, also several in one word with commas.
        problems: names of problems, likewise.
        order: declared order, or None for that of the library's documentation.
        tolerance: at the largest step count.
        seed: entropy.
        timeout: seconds a call of the sampler.
        out: folder of the report.
        say: prints one line of progress.

    Raises:
        ValueError: a target, an option or a word that is not understood.
    """
    from .adapters.target import sampler_at
    from .sampler_checks.run import check_sampler

    counts, names = _words(steps), _words(problems)
    for word in _words(rest):
        if word.isdigit() and counts:
            counts.append(word)
        elif not word.isdigit() and names:
            names.append(word)
        else:
            wanted = "one target, --steps with step counts, --problem with names"
            raise bad("arguments", repr(word), wanted, "see --help")
    wrong = [word for word in counts if not word.isdigit()]
    if wrong:
        raise bad("steps", repr(wrong[0]), "positive integers", "pass e.g. --steps 8,16,32")
    sampler = sampler_at(target)
    if sampler.order_quote:
        say(f"declared order {sampler.order:g}: {sampler.order_quote}")
    started = time.perf_counter()

    def progress(one: Verdict | NotChecked) -> None:
        words = [str(one.subject[k]) for k in ("problem", "clock", "steps") if k in one.subject]
        outcome = "not checked" if isinstance(one, NotChecked) else str(one.outcome)
        spent = time.perf_counter() - started
        say(f"{spent:7.1f} s  {one.claim:<16} {outcome:<11} {', '.join(words)}")

    named = {"steps": [int(word) for word in counts]} if counts else {}
    report = check_sampler(
        sampler,
        problems=names or None,
        order=order,
        tolerance=tolerance,
        seed=seed,
        timeout=timeout,
        backend=sampler.backend,
        progress=progress,
        **named,  # type: ignore[arg-type]
    )
    report.save(out)
    return report


def _words(given: Sequence[str]) -> list[str]:
    return [part for word in given for part in word.split(",") if part]
