# SPDX-License-Identifier: BSD-3-Clause
"""Losses of other libraries, on NumPy arrays: with their names, options, arguments and numbers.

`torch`, `keras` and `optax` here are modules of hingex; none of them imports its namesake::

    from hingex.losses.counterparts import torch as nn
    nn.MultiMarginLoss(p=2)(input, target)                          # a float
    nn.MultiMarginLoss(p=2).value_and_gradient(input, target)       # and the derivative

A quirk of a library is reproduced, and its docstring names it. What stays hingex's own, everywhere:

- At a kink the derivative is the subgradient of smallest norm, 0 where a hinge just meets its
  margin; of equal highest scores the first gets it. Libraries differ there, as docstrings say.
- A NaN score gives NaN. The mean of nothing is a ValueError, and so are labels that are none,
  unless the library documents what it makes of them.
- Sums are made in double precision. Values are floats, or arrays of the precision of the scores.
"""

from . import keras, optax, torch

__all__ = ["keras", "optax", "torch"]
