"""Times of a diffusion: which are allowed, and in which order."""

from __future__ import annotations

from ._checks import bad
from ._timewise import on_meta
from .arrays import device, is_array, namespace
from .protocols import Array


class Clock:
    """Base of the diffusions: time runs from data, ``t = 0``, to noise, ``t = t_max``."""

    t_max: float

    def check_time(self, t: Array, argument: str = "t") -> Array:
        """Refuses times outside ``[0, t_max]``; integer arrays become float64.

        Raises:
            ValueError: some entry is negative, beyond ``t_max`` or NaN, or ``t`` is no real number.
        """
        remedy = f"t = 0 is data, t = {self.t_max:g} is noise"
        if is_array(t):
            xp = namespace(t)
            if xp.isdtype(t.dtype, "integral"):
                t = xp.astype(t, xp.float64)
            if not xp.isdtype(t.dtype, "real floating"):
                raise bad(argument, f"dtype {t.dtype}", "real times", "convert it to float")
            # A time that was rounded to float32 may lie beyond the end by that rounding.
            slack = 1 + 1e-6 if t.dtype != xp.float64 else 1 + 1e-12
            if on_meta(t) or bool(xp.all((t >= 0) & (t <= self.t_max * slack))):
                return t
            got = f"values in [{float(xp.min(t)):.6g}, {float(xp.max(t)):.6g}]"
        else:
            try:
                t = float(t)
            except (TypeError, ValueError):
                raise bad(argument, repr(t)[:60], "a number or an array", "pass a time") from None
            if 0 <= t <= self.t_max * (1 + 1e-12):
                return t
            got = f"{t:.6g}"
        raise bad(argument, got, f"times in [0, {self.t_max:g}]", remedy)

    def _order(self, t: Array, s: Array) -> tuple[Array, Array]:
        t, s = self.check_time(t), self.check_time(s, "s")
        if is_array(t) and is_array(s):
            namespace(t, s)
            for what, a, b in (("dtype", s.dtype, t.dtype), ("device", device(s), device(t))):
                if a != b:
                    raise bad(
                        "s", f"{what} {a}", f"{what} {b} like t", f"convert s to that {what}"
                    )
        late = s > t
        if is_array(late):
            late = not on_meta(late) and bool(namespace(late).any(late))
        if late:
            got, remedy = "a time after t", "swap them: the kernel runs from data to noise"
            raise bad("s", got, "s <= t", remedy)
        return t, s
