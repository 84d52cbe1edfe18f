# SPDX-License-Identifier: BSD-3-Clause
"""Linear models."""

from ._cv import CVState, LinearSVCCV
from ._path import LinearPath
from ._svc import LinearSVC

__all__ = ["CVState", "LinearPath", "LinearSVC", "LinearSVCCV"]
