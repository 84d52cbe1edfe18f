# SPDX-License-Identifier: BSD-3-Clause
"""Linear models."""

from ._svc import LinearSVC

__all__ = ["LinearSVC"]
