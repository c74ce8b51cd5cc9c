"""The diffusions ``dx = f(t) x dt + g(t) dw``; t = 0 is data, t = t_max is noise.

==================  ======================  ===========================  ==============================
diffusion           f                       g^2                          variance of x_t given x_0
==================  ======================  ===========================  ==============================
VP                  -beta/2                 beta                         1 - e^-B,  B = int_0^t beta
SubVP               -beta/2                 beta (1 - e^-2B)             (1 - e^-B)^2
VE                  0                       (sigma^2)'                   sigma(t)^2 - sigma(0)^2
OU                  -theta                  sigma^2                      sigma^2 (1 - e^-2 theta t)/2 theta
EDM                 0                       2 t                          t^2
StraightPath        -1/(1 - t)              2 t/(1 - t)                  t^2
ExponentialNoise    0                       e^2t                         (e^2t - 1)/2
==================  ======================  ===========================  ==============================

The base class and the kernels live in ``linear.py``, the named diffusions in ``diffusions.py``.
"""

from __future__ import annotations

from .diffusions import EDM, OU, VE, VP, ExponentialNoise, StraightPath, SubVP
from .linear import Interpolant, Kernel, LinearSDE

__all__ = [
    "EDM",
    "OU",
    "VE",
    "VP",
    "ExponentialNoise",
    "Interpolant",
    "Kernel",
    "LinearSDE",
    "StraightPath",
    "SubVP",
]
