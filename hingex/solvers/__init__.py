# SPDX-License-Identifier: BSD-3-Clause
"""The functional layer: one file per solver, from a view of the data to a `Fit`."""
