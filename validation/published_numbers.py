"""Wasserstein errors of samplers on Gaussian images, as printed by Pierret & Galerne (ICML 2025, arXiv 2405.14250).

Table 1 and its long form: W2 to the data at the end time eps, started at ``p_T`` and at ``N(0, I)``, with the NFE of
each column. Numbers are kept as they are printed, so that the digits that were printed can be told.
"""

from __future__ import annotations

SOURCE = "Pierret & Galerne, ICML 2025, arXiv 2405.14250, Table 1 and its long form"
COLUMNS = (50, 250, 500, 1000)

#: (scheme, eps as printed) -> two words a column of :data:`COLUMNS`: start at p_T, start at N(0, I)
DISCRETE: dict[tuple[str, str], tuple[str, ...]] = {
    ("EM", "0"): ("4.78 4.78", "0.65 0.66", "0.32 0.32", "0.16 0.16"),
    ("EM", "1e-5"): ("4.77 4.77", "0.66 0.66", "0.32 0.32", "0.16 0.16"),
    ("EM", "1e-3"): ("4.68 4.68", "0.70 0.70", "0.40 0.40", "0.27 0.27"),
    ("EI", "0"): ("2.81 2.81", "0.57 0.57", "0.30 0.30", "0.16 0.16"),
    ("EI", "1e-5"): ("2.81 2.81", "0.57 0.57", "0.30 0.30", "0.16 0.16"),
    ("EI", "1e-3"): ("2.91 2.91", "0.67 0.67", "0.41 0.41", "0.29 0.29"),
    ("DDPM", "0"): ("6.82 6.82", "0.97 0.97", "0.47 0.47", "0.23 0.23"),
    ("DDPM", "1e-5"): ("6.82 6.82", "0.97 0.97", "0.47 0.47", "0.24 0.23"),
    ("DDPM", "1e-3"): ("6.74 6.74", "1.00 1.00", "0.53 0.53", "0.32 0.32"),
    ("Euler", "0"): ("1.72 1.78", "0.38 0.44", "0.20 0.26", "0.10 0.17"),
    ("Euler", "1e-5"): ("1.72 1.78", "0.38 0.44", "0.20 0.26", "0.10 0.17"),
    ("Euler", "1e-3"): ("1.73 1.79", "0.42 0.48", "0.27 0.32", "0.21 0.25"),
    ("Heun", "1e-5"): ("23.42 23.42", "2.86 2.87", "1.05 1.06", "0.37 0.38"),
    ("Heun", "1e-3"): ("0.58 0.59", "0.13 0.15", "0.16 0.18", "0.17 0.19"),
    ("RK4", "1e-5"): ("67.32 67.32", "5.49 5.49", "2.11 2.11", "0.77 0.77"),
    ("RK4", "1e-3"): ("2.60 2.60", "0.09 0.12", "0.15 0.17", "0.17 0.19"),
}

#: (equation, eps as printed) -> start at p_T, start at N(0, I); what is left without any discretisation
CONTINUOUS: dict[tuple[str, str], str] = {
    ("SDE", "0"): "0 6.7E-04",
    ("SDE", "1e-5"): "4.1E-3 4.2E-03",
    ("SDE", "1e-3"): "0.18 0.18",
    ("ODE", "0"): "0 0.07",
    ("ODE", "1e-5"): "4.1E-3 0.07",
    ("ODE", "1e-3"): "0.18 0.19",
}


def allowed(printed: str) -> tuple[float, float]:
    """The numbers that a printed one may stand for: half a unit of its last digit to either side."""
    digits, _, power = printed.upper().partition("E")
    scale = 10.0 ** int(power or 0)
    decimals = len(digits.partition(".")[2])
    half = 0.5 * 10.0**-decimals * scale if decimals else 0.0
    value = float(digits) * scale
    return value - half, value + half
