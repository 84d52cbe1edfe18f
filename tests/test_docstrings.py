# SPDX-License-Identifier: BSD-3-Clause
"""Every example of every docstring and page says what the code does, and nothing lacks one."""

import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import hingex

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# hingex.solvers is for estimators: what its functions are given has been checked by these.
SUBMODULES = [name for name in hingex._SUBMODULES if name != "solvers"]
OTHERS = ["losses.counterparts.torch", "losses.counterparts.keras", "losses.counterparts.optax"]
MODULES = ["hingex", *(m.name for m in pkgutil.walk_packages(hingex.__path__, "hingex.")
                       if ".cli" not in m.name)]


@pytest.fixture(autouse=True)
def _no_windows():
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")


def needs_pictures(name):
    if name.endswith("plot"):
        pytest.importorskip("matplotlib", reason="matplotlib is not installed")


def names_in(module):
    """Public names of a module: __all__, or what it defines."""
    return getattr(module, "__all__", None) or [
        name for name, thing in vars(module).items()
        if not name.startswith("_") and getattr(thing, "__module__", "") == module.__name__]


def public():
    """All public classes, functions and objects that are called, by their names."""
    found = {}
    for where in ("", *SUBMODULES, *OTHERS):
        module = importlib.import_module(f"hingex.{where}".rstrip("."))
        for name in names_in(module):
            thing = getattr(module, name)
            if callable(thing):
                found[f"{module.__name__}.{name}"] = thing
    return found | {"hingex.stop.State": importlib.import_module("hingex.stop").State}


PUBLIC = public()
UNIQUE = {id(thing): name for name, thing in reversed(PUBLIC.items())}


def test_nothing_is_missing():
    """The lists above are those of the library."""
    assert {"hingex.LinearSVC", "hingex.kernels.rbf", "hingex.losses.hinge_loss",
            "hingex.losses.counterparts.torch.MultiMarginLoss", "hingex.io.load_svmlight_file",
            "hingex.text.TextVectorizer", "hingex.plot.losses"} <= set(PUBLIC)
    assert len(UNIQUE) > 150
    estimators = {thing for thing in PUBLIC.values()
                  if isinstance(thing, type) and hasattr(thing, "get_params")}
    assert len(estimators) > 20


@pytest.mark.parametrize("name", sorted(UNIQUE.values()))
def test_public_objects_have_examples(name):
    """A short one, which is right as it stands."""
    needs_pictures(name.rpartition(".")[0])
    thing = PUBLIC[name]
    text = inspect.getdoc(thing) or ""
    own = vars(thing if isinstance(thing, type) else type(thing)).get("__doc__")
    assert text, f"{name} has no docstring"
    assert ">>>" in text, f"the docstring of {name} has no example: add a short one"
    if isinstance(thing, type):
        assert ">>>" in (own or ""), f"{name} has the docstring of another class"
    module = importlib.import_module(getattr(thing, "__module__", type(thing).__module__))
    test = doctest.DocTestParser().get_doctest(text, dict(vars(module)), name, None, 0)
    assert test.examples
    reported = []
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(test, out=reported.append)
    assert not runner.failures, "".join(reported)


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_modules(name):
    """Those of methods and of what is not public, too."""
    needs_pictures(name)
    module = importlib.import_module(name)
    reported = []
    runner = doctest.DocTestRunner(verbose=False)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module):
        if test.examples:
            runner.run(test, out=reported.append)
    assert not runner.failures, "".join(reported)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_of_pages(page):
    failed, tried = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert not failed
    assert tried >= 3 or page.name == "model_format.md"
