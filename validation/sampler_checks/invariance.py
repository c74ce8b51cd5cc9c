"""``equivariant``: a sampler knows no axes and no origin, so that its output turns and moves with the problem.

Rotating the data rotates every score. A deterministic sampler must then return the rotated points from rotated
starting points; one with noise must return the rotated law, which is known on Gaussian data. A shift of the data by c
moves ``x_t`` by ``alpha_t c``: rules that solve the linear part exactly follow it, others lag by the error of their
steps, unless the diffusion has no linear part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...numerics.exact_law import Refused
from ...numerics.rng import substream
from ...theory.mixtures import GaussianMixture
from ...theory.protocols import Vector
from .._user_code import UserCodeError
from ..evidence import Allowed, Evidence, Measured, Outcome
from ..problems import Problem
from ..verdict import Mutant, NotChecked, Verdict
from .behaviour import ROWS, started
from .calls import Call, Caller
from .exact import Prober

_MOST = 256  #: dimensions; covariances are turned as full matrices
_ULPS = 1024  #: a step and a dimension: products of rotations and sums over axes in another order


@dataclass(frozen=True)
class _Motion:
    """A rigid motion of the data: ``x -> Q x + c``."""

    rotation: Vector
    shift: Vector

    def of(self, problem: Problem) -> Problem:
        """The problem with moved data."""
        law, q = problem.law, self.rotation
        moved = GaussianMixture(
            law.weights,
            law.means @ q.T + self.shift,
            np.stack([_symmetric(q @ c @ q.T) for c in law.covariances]),
        )
        start: Any = problem.start
        return Problem(
            problem.name,
            moved,
            problem.sde,
            t_min=problem.t_min,
            t_max=problem.t_max,
            shape=problem.shape,
            start=start,
        )


def _symmetric(c: Vector) -> Vector:
    return (c + c.T) / 2


def equivariant(
    caller: Caller, problem: Problem, steps: int, first: Call, *, mixing: bool | None
) -> Verdict | NotChecked:
    """Holds the output on a rotated and on a shifted problem against the moved output.

    Args:
        caller: calls the sampler.
        problem: with a mixture of Gaussians as its data.
        steps: number of steps.
        first: a recorded call at these steps.
        mixing: what the verdict on independent rows says; None if the sampler does not start from the prior.
    """
    bare: dict[str, Any] = {
        "claim": "equivariant",
        "subject": {"problem": problem.name, "target": caller.name, "steps": steps},
    }
    law = problem.law
    if not isinstance(law, GaussianMixture):
        return NotChecked(
            **bare, reason="the data are no mixture of Gaussians, which can be moved"
        )
    if problem.dim > _MOST:
        return NotChecked(**bare, reason=f"more than {_MOST} dimensions are not turned")
    noisy = first.log is None or any(not draw.start for draw in first.log.draws)
    try:
        noisy = noisy and (mixing is None or not _idle(caller, problem, steps))
    except UserCodeError as error:
        failed = Evidence.error("rotation", str(error))
        return Verdict(**bare, role="informative", evidence=(failed,))
    if noisy and law.components > 1:
        reason = (
            "the sampler draws noise on the way, and the law of its output is not known exactly"
        )
        return NotChecked(**bare, reason=reason)
    if mixing is None and not noisy:
        return NotChecked(**bare, reason="the output does not depend on problem.prior alone")
    moves = _by_law if noisy else _by_points
    rng = substream(caller.seed, "equivariant", problem.name)
    turn = _Motion(_rotation(problem.dim, rng), np.zeros(problem.dim))
    spread = np.sqrt(np.diag(np.atleast_2d(law.covariance)).mean())
    move = _Motion(np.eye(problem.dim), spread * (1 + rng.random(problem.dim)))
    try:
        turned, limit, size, n = moves(caller, problem, steps, turn)
        pieces = [_piece("rotation", turned, limit, size, n, caller.seed)]
        lag = None
        if problem.start == "marginal":
            lag, allowed, size, n = moves(caller, problem, steps, move)
            # Without a linear part nothing can lag.
            flat = float(problem.sde.kernel(problem.t_max).scale) == 1.0
            if flat or lag <= allowed:
                pieces.append(_piece("shift", lag, allowed, size, n, caller.seed))
    except UserCodeError as error:
        failed = Evidence.error("rotation", str(error))
        return Verdict(**bare, role="informative", evidence=(failed,))
    except Refused as error:
        return NotChecked(**bare, reason=str(error))
    wrong = [p for p in pieces if p.outcome is not Outcome.SUPPORTED]
    said = "; ".join(p.message for p in wrong)
    if lag is not None and len(pieces) == 1:
        lags = (
            f"under a shift the output lags by {lag:.2g}: steps are not exact in the linear part"
        )
        said = f"{said}; {lags}" if said else lags
    return Verdict(
        **bare,
        statement="the output turns with the data, and moves with them where steps are exact in the linear part",
        role="informative",
        evidence=tuple(pieces),
        mutants=tuple(_leaning(p, caller.seed) for p in pieces),
        samples_used=sum(p.n for p in pieces),
        finding=f"{said}." if said else "",
    )


def _idle(caller: Caller, problem: Problem, steps: int) -> bool:
    """Whether noise on the way is multiplied by zero: other generators, the same outputs."""
    rng = substream(caller.seed, "equivariant", "idle", problem.name)
    start = np.asarray(problem.prior(ROWS, rng=rng)).reshape(ROWS, -1)
    one, other = (
        caller.run(started(problem, start, caller), ROWS, steps, caller.generator(name)).draws
        for name in ("one", "other")
    )
    return bool(np.array_equal(one, other))


def _by_points(
    caller: Caller, problem: Problem, steps: int, move: _Motion
) -> tuple[float, float, float, int]:
    """Largest distance of outputs from the moved outputs, what rounding may make of it, size, rows."""
    rng = substream(caller.seed, "equivariant", "start", problem.name)
    start = np.asarray(problem.prior(ROWS, rng=rng)).reshape(ROWS, -1)
    other = move.of(problem)
    scale = float(problem.sde.kernel(problem.t_max).scale)
    begun = start @ move.rotation.T + scale * move.shift
    outs = []
    for one, rows in ((problem, start), (other, begun)):
        call = caller.run(
            started(one, rows, caller), ROWS, steps, caller.generator("start", problem.name)
        )
        outs.append(call)
    off = outs[1].draws - outs[0].draws @ move.rotation.T
    size = float(np.abs(outs[0].draws).max())
    gap = min(float(np.abs(off - end * move.shift).max()) for end in _ends(problem))
    # What is large on the way leaves its rounding.
    limit = _limit(outs[0].single, steps, problem.dim) * max(size, float(np.abs(start).max()))
    return gap, limit, size, 2 * ROWS


def _by_law(
    caller: Caller, problem: Problem, steps: int, move: _Motion
) -> tuple[float, float, float, int]:
    """The same for mean and covariance of the exact laws; covariances by their roots' size."""
    plain = Prober(caller, problem, False).affine(steps).law
    moved = Prober(caller, move.of(problem), False).affine(steps).law
    q = move.rotation
    size = float(np.sqrt(np.trace(plain.covariance)) + np.abs(plain.mean).max())
    wide = np.abs(moved.covariance - q @ plain.covariance @ q.T).max() / size
    off = moved.mean - q @ plain.mean
    gap = min(float(np.abs(off - end * move.shift).max()) for end in _ends(problem))
    limit = 4 * (plain.radius + moved.radius)
    limit += _limit(plain.single, steps, problem.dim) * size
    return max(gap, float(wide)), limit, size, plain.rows + moved.rows


def _limit(single: bool, steps: int, dim: int) -> float:
    eps = float(np.finfo(np.float32 if single else np.float64).eps)
    return _ULPS * eps * steps * dim


def _ends(problem: Problem) -> tuple[float, float]:
    """Factor of a shift where the output is at ``t_min``, and where it is denoised to the data."""
    return float(problem.sde.kernel(problem.t_min).scale), 1.0


def _rotation(dim: int, rng: np.random.Generator) -> Vector:
    """A random orthogonal matrix that reflects: in one dimension there is no other motion."""
    q, r = np.linalg.qr(rng.standard_normal((dim, dim)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) < 0 else q * np.where(np.arange(dim) == 0, -1.0, 1.0)


def _piece(check: str, gap: float, limit: float, size: float, n: int, seed: int) -> Evidence:
    return Evidence(
        check=check,
        kind="exact",
        measured=Measured(gap, gap, gap),
        allowed=Allowed(0.0, limit),
        n=n,
        seed=seed,
        message=f"under a {check} of the problem the output is off by {gap:.2g}, {gap / size:.2g} of its size",
    )


def _leaning(piece: Evidence, seed: int) -> Mutant:
    """The moved output leans on an axis, by four times what is allowed."""
    assert piece.allowed is not None  # kind exact
    limit = piece.allowed.high
    wrong = _piece(piece.check, piece.value + 4 * limit, limit, 1.0, piece.n, seed)
    return Mutant(
        name="an-axis-is-preferred",
        outcome=wrong.outcome,
        check=piece.check,
        message=wrong.message,
    )
