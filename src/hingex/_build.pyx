# SPDX-License-Identifier: BSD-3-Clause
"""How this copy was built, and what it found on this machine."""
from ._par cimport HX_MAX_THREADS, HX_OPENMP, HX_OPENMP_VERSION
from ._types cimport hx_isa_get

cdef extern from "hx_config.h":
    const char *HX_VERSION
    const char *HX_COMPILER
    const bint HX_SAFE


def version():
    return HX_VERSION.decode()


def build_info():
    """Facts of the build as a dict of plain values."""
    return {
        "version": HX_VERSION.decode(),
        "compiler": HX_COMPILER.decode(),
        "instruction_set": hx_isa_get().name.decode(),
        "openmp": HX_OPENMP_VERSION if HX_OPENMP else None,
        "safe_build": bool(HX_SAFE),
    }


def max_threads():
    """OpenMP's current thread limit (OMP_NUM_THREADS, threadpoolctl); 1 without OpenMP."""
    return HX_MAX_THREADS()
