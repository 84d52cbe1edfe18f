# SPDX-License-Identifier: BSD-3-Clause
"""Who may call whom: imports inside hingex point downwards, and heavy packages wait for use."""

import ast
import sys
from pathlib import Path

import pytest

import hingex

ROOT = Path(hingex.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))

# From the bottom up; a module may import from the rows below its own, and from its own package.
LAYERS = [
    {"_core", "_available"},
    {"_files", "_interop", "_npz", "_open", "_reading", "_result", "_targets", "_threads"},
    {"_validate", "stop"},
    {"_scores"},
    {"_estimator", "_versions"},
    {"losses"},
    {"metrics", "kernels"},
    {"solvers"},
    {"io", "model_io"},
    {"datasets", "blocks", "_storable"},
    {"_linear_model"},
    {"linear", "kernel", "ranking", "metric", "structured"},
    {"calibration", "text"},
    {"plot"},
    {"cli"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
HEAVY = {"scipy", "sklearn", "pandas", "polars", "matplotlib", "tqdm", "click", "torch", "joblib",
         "zstandard", "compression"}  # the last is of the standard library from Python 3.14 on
HOMES = {"click": "cli"}  # where a heavy package may be imported at module level
NUMERIC = {"numpy", "scipy"}
OPTIONAL = HEAVY - {"scipy"}


def module_of(path):
    """Name parts below hingex, and whether the file is a package's __init__."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return (parts[:-1], True) if parts[-1] == "__init__" else (parts, False)


def imports(tree, parts, is_package):
    """(parts of the absolute module name, line, inside a function) of each import."""
    package = parts if is_package else parts[:-1]

    def walk(node, inside):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield tuple(alias.name.split(".")), child.lineno, inside
            elif isinstance(child, ast.ImportFrom):
                base = tuple(child.module.split(".")) if child.module else ()
                if child.level:
                    kept = package[:len(package) - child.level + 1]
                    base = ("hingex", *kept, *base)
                for alias in child.names:
                    # "from . import x" names a module; "from .x import y" mostly does not.
                    yield (*base, alias.name), child.lineno, inside
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            else:
                yield from walk(child, inside or isinstance(
                    child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))

    yield from walk(tree, False)


def problems(source, parts, is_package):
    """Complaints about the imports of one module."""
    top = parts[0] if parts else ""
    for name, line, inside in imports(ast.parse(source), parts, is_package):
        said = f"{'.'.join(parts) or '__init__'}:{line} imports {'.'.join(name)}"
        if name[0] != "hingex":
            if name[0] in HEAVY and not inside and HOMES.get(name[0]) != top:
                yield f"{said} at module level"
            elif name[0] not in HEAVY | NUMERIC | set(sys.stdlib_module_names):
                yield f"{said}, which is no dependency"
            continue
        target = name[1] if len(name) > 1 else ""
        if not target or target == "__version__":
            if top != "cli":
                yield f"{said}: name the module that defines it"
        elif target not in LEVEL:
            yield f"{said}: compiled modules are imported by _core only; others belong in LAYERS"
        elif not parts:
            yield f"{said}: the package imports its modules on first use"
        elif target == top:
            if top == "solvers" and not is_package and not name[2].startswith("_"):
                yield f"{said}: solvers do not import each other"
        elif LEVEL[target] >= LEVEL[top]:
            yield f"{said}: not below it in LAYERS"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_downwards(path):
    parts, is_package = module_of(path)
    assert not parts or parts[0] in LEVEL, "a new module needs a place in LAYERS"
    assert not list(problems(path.read_text(), parts, is_package))


def test_compiled_modules_have_one_gateway():
    """Nobody but _core and the lazy look-ups imports by a computed name."""
    users = {module_of(path)[0] or ("__init__",) for path in SOURCES
             if "import_module" in path.read_text() or "__import__" in path.read_text()}
    assert users <= {("_core",), ("__init__",), ("solvers",), ("losses",), ("model_io",)}


@pytest.mark.parametrize(("source", "module", "complaint"), [
    ("from ..linear import LinearSVC", "solvers.dual_cd", "not below it"),
    ("from .newton import f", "solvers.dual_cd", "solvers do not import each other"),
    ("from ..kernel import SVC", "linear._svc", "not below it"),
    ("from hingex import plot", "linear._svc", "not below it"),
    ("from .._dual_cd import solve", "solvers.dual_cd", "compiled modules are imported by _core"),
    ("import scipy.sparse", "io", "at module level"),
    ("try:\n    from tqdm import tqdm\nexcept ImportError:\n    pass", "stop", "at module level"),
    ("import click", "plot", "at module level"),
    ("import requests", "io", "which is no dependency"),
    ("from .linear import LinearSVC", "model_io", "not below it"),
    ("def f():\n    from .cli import main", "model_io", "not below it"),
    ("import hingex", "io", "name the module"),
])
def test_the_walk_finds(source, module, complaint):
    found = list(problems(source, tuple(module.split(".")), False))
    assert len(found) == 1
    assert complaint in found[0]


@pytest.mark.parametrize(("source", "module"), [
    ("from .._core import kernels\nfrom ..stop import Monitor\nimport numpy as np", "solvers.x"),
    ("def f():\n    from scipy.sparse import csr_array", "io"),
    ("import click\nfrom .. import plot\nfrom ..linear import LinearSVC", "cli.demo"),
    ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas", "io"),
    ("from ._format import header", "solvers.x"),
])
def test_the_walk_allows(source, module):
    assert not list(problems(source, tuple(module.split(".")), False))
