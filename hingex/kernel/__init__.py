# SPDX-License-Identifier: BSD-3-Clause
"""Kernel machines."""

from ._nu import NuSVC, OneClassSVM
from ._svc import SVC
from ._svr import SVR, NuSVR

__all__ = ["SVC", "SVR", "NuSVC", "NuSVR", "OneClassSVM"]
