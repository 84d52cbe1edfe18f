# SPDX-License-Identifier: BSD-3-Clause
"""Linear models."""

from ._classifier import LinearClassifier
from ._cv import CVState, LinearSVCCV
from ._path import LinearPath
from ._pegasos import AROWClassifier, PassiveAggressiveClassifier, PegasosClassifier
from ._svc import LinearSVC

__all__ = ["AROWClassifier", "CVState", "LinearClassifier", "LinearPath", "LinearSVC",
           "LinearSVCCV", "PassiveAggressiveClassifier", "PegasosClassifier"]
