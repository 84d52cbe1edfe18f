# SPDX-License-Identifier: BSD-3-Clause
"""Linear models."""

from ._classifier import LinearClassifier
from ._svc import LinearSVC

__all__ = ["LinearSVC", "LinearClassifier"]
