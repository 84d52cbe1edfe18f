# SPDX-License-Identifier: BSD-3-Clause
"""What coordinate descent on all rows, and on blocks of them, have in common."""

import math

BLOCK = 64  # classes a block can hold: the bits of a row's mask
WARM_EPOCHS = 2  # before the intercept starts to move by proximal steps
SMALL = 0.05  # curvature of those steps, in mean squared row norms
# and at least this over sum C_i: with a small C the duals are small, and so is what moves the
# intercept. 0.5 / sum C_i is the inverse curvature of the squared hinge in the intercept.
SMALL_LEAST = 0.5
# A penalised intercept is size sum_i alpha_i y_i, size = scaling^2, at most size sum C_i (hinge).
# While that is small its feature is visited as it is: it is not stiff yet, and proximal steps would
# take up to 20 times as many epochs to move it there. The longer the rows beside it, the longer
# that holds. Measured on text, dense and binary data; further on, up to 4 times as many epochs are
# needed without proximal steps.
PLAIN = 60.0
# True gap over estimated gap, before it is known. The estimate takes each row as of its visit,
# since when w has moved for an epoch; from there to the end of the epoch it is less by half or
# more. Measured on text: 0.1 to 1 with the hinge, 0.05 to 0.5 with the squared hinge.
FIRST_FACTOR = {"hinge": 0.5, "squared_hinge": 0.25}


def small_feature(size: float, total: float, mean_sq: float) -> float:
    """Squared value of the feature that stands for the intercept in a sweep.

    By the squared value `size` of the one that it has, sum C_i, and the rows' mean squared norm.
    """
    if 0 < size < math.inf and size * total <= PLAIN * max(1.0, mean_sq / size):
        return math.inf
    return max(SMALL * mean_sq, SMALL_LEAST / total)
