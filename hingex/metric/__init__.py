# SPDX-License-Identifier: BSD-3-Clause
"""Metrics and similarities that are learnt."""

from ._lmnn import LMNN
from ._oasis import OASIS

__all__ = ["LMNN", "OASIS"]
