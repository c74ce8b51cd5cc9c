"""Draws the README's picture: a score field, and a skewed law on its way to noise.

Usage: python examples/picture.py docs/picture.svg
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scoreproof.numerics import draw
from scoreproof.validation import PROBLEMS
from scoreproof.validation.report import draw as render
from scoreproof.validation.report import listed


def field() -> dict[str, object]:
    """The score of a mixture in the plane at t = 0.2, with 60 exact draws."""
    law = PROBLEMS["mixture-2d"].marginal(0.2)
    x, y = np.linspace(-3.2, 3.2, 19), np.linspace(-2.6, 3.6, 19)
    fine_x, fine_y = np.meshgrid(x, y)
    points = np.stack([fine_x, fine_y], axis=-1)
    score = law.score(points)
    return {
        "kind": "field",
        "title": "Exact score of a skewed mixture",
        "x": listed(x),
        "y": listed(y),
        "u": listed(score[..., 0]),
        "v": listed(score[..., 1]),
        "density": listed(law.log_prob(points)),
        "points": listed(draw(law, 60, rng=np.random.default_rng(2))),
    }


def marginals() -> dict[str, object]:
    """Densities of a mixture on the line under VP at five times."""
    problem = PROBLEMS["mixture-1d"]
    x = np.linspace(-3.5, 4.5, 161)
    return {
        "kind": "lines",
        "title": "Marginals of a law on the line, from data to noise",
        "xlabel": "x",
        "ylabel": "density",
        "series": [
            {
                "label": f"t = {t:g}",
                "x": listed(x),
                "y": listed(np.exp(problem.marginal(t).log_prob(x[:, None]))),
            }
            for t in (1e-3, 0.05, 0.15, 0.3, 0.8)
        ],
    }


def main(path: str) -> None:
    """Writes both panels as one SVG file."""
    left, right = render(field()), render(marginals())
    # Two <svg> elements side by side in one: each keeps its own viewBox.
    panes = []
    for k, pane in enumerate((left, right)):
        start = pane.index("<svg") + 4
        panes.append(
            pane[:start] + f' x="{k * 480}" y="0" width="470" height="360"' + pane[start:]
        )
    joined = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 950 360" width="950" height="360" role="img">'
        '<rect width="950" height="360" fill="white"/>' + "".join(panes) + "</svg>"
    )
    out = Path(path)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(joined, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "docs/picture.svg")
