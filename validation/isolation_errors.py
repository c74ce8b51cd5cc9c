"""What can end a task from outside: a limit, or the death of the process that ran it."""

from __future__ import annotations


class IsolationError(RuntimeError):
    """The task did not come to an end of its own."""


class TimeLimit(IsolationError, TimeoutError):
    """The task took longer than it was given, and its worker was stopped."""


class WorkerDied(IsolationError):
    """The worker's process ended in the middle of the task."""


class CannotPickle(TypeError):
    """The task has no form as bytes that another process can load."""
