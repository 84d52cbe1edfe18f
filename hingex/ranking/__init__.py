# SPDX-License-Identifier: BSD-3-Clause
"""Linear models that rank: hinges on the pairs of items of queries."""

from ._linear import AUCMaximizer, LinearRankSVC

__all__ = ["AUCMaximizer", "LinearRankSVC"]
