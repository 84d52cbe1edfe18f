# SPDX-License-Identifier: BSD-3-Clause
"""Metrics that are learnt."""

from ._lmnn import LMNN

__all__ = ["LMNN"]
