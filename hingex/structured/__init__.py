# SPDX-License-Identifier: BSD-3-Clause
"""Structured prediction: SVMs whose outputs are sequences and other compounds of labels."""

from ._chain import Chain
from ._multiclass import Multiclass
from ._svm import StructuredSVM

__all__ = ["Chain", "Multiclass", "StructuredSVM"]
