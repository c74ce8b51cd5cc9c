"""Runs of claims: in process, in isolated workers or on any executor, with a journal on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..theory._checks import bad
from .claim import Claim
from .plan import Job, decode, execute, execute_packed, failed, plan, select
from .verdict import Report, Verdict

if TYPE_CHECKING:
    from .journal import Journal

_LOOK = 0.25  #: seconds between looks at what is running


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """State of a run, as ``progress`` is told.

    Attributes:
        done: number of finished claims.
        total: number of claims.
        running: ids of the claims at work.
        verdict: the one just finished, or None.
        resumed: how many of ``done`` were taken from the journal.
    """

    done: int
    total: int
    running: tuple[str, ...] = ()
    verdict: Verdict | None = None
    resumed: int = 0


def run_claims(
    only: str | Claim | Iterable[str | Claim] | None = None,
    *,
    profile: str = "standard",
    seed: int = 0,
    false_alarm: float = 1e-6,
    timeout: float | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    executor: Executor | None = None,
    jobs: int | None = None,
    memory: int | None = None,
    progress: Callable[[Progress], object] | None = None,
) -> Report:
    """Decides claims and gathers the verdicts in a report.

    The verdicts depend on the seed and on the claims, not on their order, ``jobs`` or ``executor``. The
    false-alarm rate is that of the whole run, split over all checks and mutants of all its claims.

    Args:
        only: ids, group names (``ledger``, ``digits``, ``laws``, ``network``) or claims; None for the
            whole ledger.
        profile: ``quick``, ``standard`` or ``deep``: how many draws a check may take.
        seed: entropy; the same seed gives the same numbers.
        false_alarm: probability that the run refutes something that holds.
        timeout: seconds a claim, after which it is stopped and comes out ERROR; None without limit.
        out: folder for ``journal.jsonl`` (each verdict as soon as it is there) and for the report.
        resume: take over the verdicts that an interrupted run left in ``out``.
        executor: where to run, e.g. a ``ProcessPoolExecutor``; not shut down.
        jobs: number of isolated workers; None runs in process, unless ``timeout`` or ``memory`` is set.
        memory: bytes by which a claim may enlarge its worker; None without limit.
        progress: called with a :class:`Progress` at the start, then whenever it changes.

    Returns:
        The report, verdicts in the order of the ledger. With ``out`` it is saved there.

    Raises:
        ValueError: an unknown id, a parameter out of range, a folder that cannot be made, or a
            journal of another run.
        KeyboardInterrupt: on Ctrl-C; the message says how to go on.
    """
    from .claims import CLAIMS, Ledger
    from .claims.ball_evidence import left_out

    started, clock = _now(), time.perf_counter()
    claims = select(only, CLAIMS)
    if jobs is not None and (isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1):
        raise bad("jobs", repr(jobs), "an integer, one or more", "pass the number of workers")
    if executor is not None and jobs is not None:
        raise bad("jobs", f"{jobs} and an executor", "one of the two", "leave out one")
    if executor is not None and not hasattr(executor, "submit"):
        raise bad("executor", type(executor).__name__, "an Executor", "pass concurrent.futures'")
    if resume and out is None:
        raise bad("resume", "True without out", "the folder of the run", "pass out as well")
    todo = plan(
        claims,
        CLAIMS,
        by_id=isinstance(CLAIMS, Ledger),
        profile=profile,
        seed=seed,
        false_alarm=false_alarm,
        timeout=timeout,
    )
    run = _Run(todo, {c.id: c for c in claims}, progress, clock)
    if out is not None:
        run.open(out, started=started, resume=resume, false_alarm=false_alarm)
    try:
        if executor is not None:
            run.on(executor, packed=True, memory=memory)
        elif jobs is None and timeout is None and memory is None:
            run.here(run.left())
        else:
            run.isolated(jobs or 1, timeout=timeout, memory=memory)
        report = Report(
            verdicts=tuple(run.verdicts[j.id] for j in todo),
            not_checked=left_out(claims),
            provenance=run.provenance(seed, started),
            profile=profile,
            false_alarm=false_alarm,
        )
        if out is not None:
            report.save(out)
        return report
    except KeyboardInterrupt:
        raise KeyboardInterrupt(run.farewell(out)) from None
    finally:
        if run.journal is not None:
            run.journal.close()


def _now() -> str:
    from .provenance import now

    return now()


class _Run:
    """The verdicts of a run as they come in."""

    def __init__(
        self,
        jobs: list[Job],
        claims: dict[str, Claim],
        progress: Callable[[Progress], object] | None,
        clock: float,
    ) -> None:
        self.jobs, self.claims = jobs, claims
        self.verdicts: dict[str, Verdict] = {}
        self.journal: Journal | None = None
        self._progress, self._clock = progress, clock
        self._resumed = 0
        self._before = 0.0

    def open(self, out: str | Path, *, started: str, resume: bool, false_alarm: float) -> None:
        from .journal import Journal
        from .provenance import version

        key = {
            "version": version(),
            "seed": self.jobs[0].seed,
            "profile": self.jobs[0].profile,
            "false_alarm": false_alarm,
            "plan": [[j.id, self.claims[j.id].pieces] for j in self.jobs],
        }
        self.journal = Journal(out, key=key, started=started, resume=resume)
        self.verdicts.update(self.journal.verdicts)
        self._resumed, self._before = len(self.verdicts), self.journal.elapsed

    def elapsed(self) -> float:
        return self._before + time.perf_counter() - self._clock

    def provenance(self, seed: int, started: str) -> dict[str, Any]:
        from .provenance import provenance

        first = self.journal.started if self.journal is not None else started
        return provenance(seed=seed, started=first, seconds=self.elapsed())

    def farewell(self, out: str | Path | None) -> str:
        count = f"interrupted after {len(self.verdicts)} of {len(self.jobs)} claims"
        if out is None:
            return f"{count}; pass out, and the next run can go on with the rest"
        return f"{count}; they are in {str(out)!r}: the same call with resume=True does the rest"

    def left(self) -> list[Job]:
        """Jobs without a verdict; says so to ``progress`` too."""
        self.tell()
        return [j for j in self.jobs if j.id not in self.verdicts]

    def tell(self, *, running: tuple[str, ...] = (), verdict: Verdict | None = None) -> None:
        if self._progress is None:
            return
        done, total = len(self.verdicts), len(self.jobs)
        self._progress(
            Progress(
                done=done,
                total=total,
                running=running,
                verdict=verdict,
                resumed=self._resumed,
            )
        )

    def add(self, verdict: Verdict, *, cut: bool = False, running: tuple[str, ...] = ()) -> None:
        if self.journal is not None:
            self.journal.add(verdict, elapsed=self.elapsed(), cut=cut)
        self.verdicts[verdict.claim] = verdict
        self.tell(running=running, verdict=verdict)

    def here(self, jobs: list[Job], note: str = "") -> None:
        """Runs jobs in this process, one after the other."""
        from dataclasses import replace

        for job in jobs:
            self.tell(running=(job.id,))
            verdict = decode(execute(job))
            if note:
                verdict = replace(verdict, assumptions=(*verdict.assumptions, note))
            self.add(verdict)

    def isolated(self, jobs: int, *, timeout: float | None, memory: int | None) -> None:
        """Runs the jobs that are left in workers of our own."""
        from .isolation import Pool

        # A worker without a claim would only cost its thread: whatever number is asked for.
        most = max(1, len(self.jobs) - len(self.verdicts))
        pool = Pool(min(jobs, most), timeout=timeout, memory=memory)
        try:
            self.on(pool, packed=False, memory=memory)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def on(self, executor: Executor, *, packed: bool, memory: int | None) -> None:
        """Runs the jobs that are left on an executor; what cannot be sent runs here, and says so."""
        from .isolation_errors import CannotPickle
        from .pickling import dumps

        futures: dict[Future[str], Job] = {}
        stay: dict[str, str] = {}
        try:
            for job in self.left():
                try:
                    if packed:
                        payload = dumps(job)
                        future = executor.submit(execute_packed, payload, job.timeout, memory)
                    else:
                        future = executor.submit(execute, job)
                    futures[future] = job
                except CannotPickle as error:
                    stay[job.id] = str(error)
                except Exception as error:
                    self._lost(job, error)
            for future, job in _finished(futures, self.tell):
                try:
                    text = future.result()
                except CannotPickle as error:
                    stay[job.id] = str(error)
                except Exception as error:
                    self._lost(job, error)
                else:
                    self.add(decode(text), running=_running(futures))
        except BaseException:
            for future in futures:
                future.cancel()
            raise
        for job in self.jobs:
            if job.id in stay:
                why = stay[job.id]
                self.here([job], f"ran in process, without limits: cannot be pickled ({why})")

    def _lost(self, job: Job, error: Exception) -> None:
        """The task did not come back: a limit, a dead worker or a broken executor."""
        said = str(error) or "no message"
        if not isinstance(error, TimeoutError):
            said = f"{type(error).__name__}: {said}"
        self.add(failed(self.claims[job.id], said), cut=True)


def _running(futures: dict[Future[str], Job]) -> tuple[str, ...]:
    return tuple(job.id for future, job in futures.items() if future.running())


def _finished(
    futures: dict[Future[str], Job], tell: Callable[..., None]
) -> Iterator[tuple[Future[str], Job]]:
    """Futures as they finish; tells what is running whenever that changes."""
    waiting, before = set(futures), ()
    while waiting:
        # A wait with an end lets Ctrl-C in, and lets the running claims be shown.
        done, waiting = wait(waiting, timeout=_LOOK, return_when=FIRST_COMPLETED)
        for future in sorted(done, key=lambda f: list(futures).index(f)):
            yield future, futures[future]
        running = _running(futures)
        if waiting and running != before:
            before = running
            tell(running=running)
