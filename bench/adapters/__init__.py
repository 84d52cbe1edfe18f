# SPDX-License-Identifier: BSD-3-Clause
"""One file per library: `schedule(loss)` and `fit(X, y, task, setting)` -> (coef, intercept)."""
