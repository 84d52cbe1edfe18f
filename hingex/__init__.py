# SPDX-License-Identifier: BSD-3-Clause
"""hingex: max-margin learning, whole.

Everything public is here and imported on first use, so that ``import hingex`` costs next to
nothing: a name is looked up below, and its module is imported then.
"""

from importlib import import_module
from typing import Any

# Public name -> the module that defines it.
_HOMES = {
    "LinearSVC": "linear",
    "LinearSVCCV": "linear",
    "LinearClassifier": "linear",
    "PegasosClassifier": "linear",
    "PassiveAggressiveClassifier": "linear",
    "AROWClassifier": "linear",
    "SVC": "kernel",
    "NuSVC": "kernel",
    "SVR": "kernel",
    "NuSVR": "kernel",
    "OneClassSVM": "kernel",
    "LinearRankSVC": "ranking",
    "AUCMaximizer": "ranking",
    "LMNN": "metric",
    "OASIS": "metric",
    "StructuredSVM": "structured",
    "ChainSVM": "structured",
    "MultilabelSVM": "structured",
    "CalibratedClassifier": "calibration",
    "load": "model_io",
    "load_svmlight_file": "io",
    "load_svmlight_files": "io",
    "dump_svmlight_file": "io",
    "build_info": "_versions",
    "show_versions": "_versions",
    "ConvergenceWarning": "_result",
    "NotFittedError": "_result",
    "NotSeparableError": "_result",
    "__version__": "_versions",
}
_SUBMODULES = (
    "linear", "kernel", "kernels", "ranking", "metric", "structured", "calibration", "losses",
    "metrics", "solvers", "io", "model_io", "blocks", "datasets", "text", "plot",
)

__all__ = [*_HOMES, *_SUBMODULES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module("hingex." + name)  # which also makes it an attribute
    if name in _HOMES:
        value = getattr(import_module("hingex." + _HOMES[name]), name)
        globals()[name] = value  # the next access does not come here
        return value
    from difflib import get_close_matches

    close = get_close_matches(name, __all__, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise AttributeError(f"module 'hingex' has no attribute {name!r}{hint}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
