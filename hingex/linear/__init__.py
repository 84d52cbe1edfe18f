# SPDX-License-Identifier: BSD-3-Clause
"""Linear models."""

from ._classifier import LinearClassifier
from ._cv import CVState, LinearSVCCV
from ._path import LinearPath
from ._svc import LinearSVC

__all__ = ["CVState", "LinearClassifier", "LinearPath", "LinearSVC", "LinearSVCCV"]
