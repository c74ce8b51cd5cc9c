"""The slips, grouped by the part of a formula that they are made in."""

from __future__ import annotations

import math

from ._fingerprint_course import Model, Slip

_MODELS: tuple[Model, ...] = ("score", "noise", "data", "velocity")
_WORDS = {
    "next": "the model is told the time at the end of the step",
    "before": "the model is told the time of the step before",
    "truncated": "the time told to the model is truncated",
    "level": "the model is told the noise level in the place of the time",
    "log-level": "the model is told log(sigma) / 4 in the place of the time",
    "turned": "the model is told the time from the wrong end",
}

#: The same slip for every prediction that a solver may ask for: what is told wrong acts differently on each.
_CLOCK = tuple(
    Slip(words, told=told, model=model)  # type: ignore[arg-type]
    for told, words in _WORDS.items()
    for model in _MODELS
)
_ANSWER = tuple(
    Slip(f"the {words} of the prediction", answer=factor, model=model)
    for factor, words in ((-1.0, "opposite"), (2.0, "double"), (0.5, "half"))
    for model in ("score", "data", "velocity")
)
STARTS = (
    Slip("the start has the variance for its deviation", start="squared"),
    Slip("the start has deviation one", start="unit"),
    Slip("the start is twice too wide", start="doubled"),
    Slip("the start has half of its width", start="halved"),
)
_STEPS = (
    Slip("the last step is left out", steps="last-dropped"),
    Slip("the first step is left out", steps="first-dropped"),
    Slip("the last step is taken twice", steps="last-repeated"),
    Slip("steps go to t - T/n in the place of the next time", steps="goal"),
    Slip("steps go to t - T//n, rounded down, in the place of the next time", steps="stride"),
)
COMMON = (*_CLOCK, *_ANSWER, *STARTS, *_STEPS)

DRIFT = (
    Slip("the linear drift is left out", drift=0.0),
    Slip("the linear drift has the opposite sign", drift=-1.0),
    Slip("the linear drift is doubled", drift=2.0),
    Slip("the linear drift is halved", drift=0.5),
    Slip("g in the place of g^2 before the score", bare=True),
)
TIME_STEP = (
    Slip("drift and diffusion are taken at the end of the step", late=True),
    Slip("equal step sizes on a grid that is not", equal=True),
)
NOISE = (
    Slip("no noise is added", noise="none"),
    Slip("the noise has its variance for a deviation", noise="variance"),
    Slip("the noise is drawn twice", spread=math.sqrt(2)),
    Slip("the noise has twice its deviation", spread=2.0),
    Slip("the noise has half of its deviation", spread=0.5),
    Slip("the noise has half of its variance", spread=math.sqrt(0.5)),
    Slip("one draw of noise is used in all steps", reused=True),
)
ROOT = (
    Slip("the noise lacks the square root of the step", noise="step"),
    Slip("the noise lacks the step", noise="bare"),
)
SINGLE = (Slip("a factor two is missing in the variance of the noise", noise="single"),)
DATA = (
    Slip("sigma in the place of sigma^2 in the prediction of data", power=-1),
    Slip("sigma^2 in the place of sigma in the prediction of data", power=1),
    Slip("the prediction of data is not divided by the scale", unscaled=True),
)
LEVEL = (Slip("the noise carried on has the level of the start of the step", kept="start"),)
KEPT = (*LEVEL, Slip("noise is added and none is taken off", kept="whole"))
DOWN = (Slip("the step goes to sigma before noise is added, not to sigma_down", kept="whole"),)
SCALE = (
    Slip("the step is not divided by its scale", unscaled=True),
    Slip("the root of beta in the place of beta before the score", bare=True),
)
_POINTS = (
    Slip("the second stage is evaluated at the point of the first", stage="point"),
    Slip("the second stage is evaluated at the time of the first", stage="time"),
)
STAGE = (
    *_POINTS,
    Slip("two slopes are added in the place of their mean", stage="sum"),
    Slip("the second slope alone is used", stage="second"),
)
MIDDLE = (*_POINTS, Slip("the stage is a whole step away", stage="whole"))
HISTORY = (
    Slip("the ratio of two steps is upside down", history="inverted"),
    Slip("a factor 1/2 is missing before the difference of predictions", history="unhalved"),
    Slip("the difference of predictions has the opposite sign", history="sign"),
    Slip("the earlier prediction is one step too old", history="stale"),
    Slip("the earlier and the newest prediction are swapped", history="swapped"),
    Slip("weights of equal steps on a grid that is not", history="constant"),
    Slip("the earlier prediction is never renewed", history="frozen"),
)
#: Without a name: they are no defects.
SOUND = (Slip(), Slip(quiet=True))
