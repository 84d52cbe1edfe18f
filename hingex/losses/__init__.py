# SPDX-License-Identifier: BSD-3-Clause
"""Losses: value, derivative, conjugate and theory of every loss of the hinge family."""

from .margin import *  # noqa: F403
from .margin import __all__ as _margin
from .multiclass import *  # noqa: F403
from .multiclass import __all__ as _multiclass

__all__ = [*_margin, *_multiclass]  # noqa: PLE0604
