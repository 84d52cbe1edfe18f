# SPDX-License-Identifier: BSD-3-Clause
"""`import hingex` is light, its names are found on first use."""

import importlib.util
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import hingex

HEAVY = ("scipy", "sklearn", "pandas", "matplotlib", "tqdm", "click", "torch", "joblib")


def run(code):
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True,
                          timeout=120).stdout


def exists(name):
    home = hingex._HOMES.get(name, name)
    return importlib.util.find_spec("hingex." + home) is not None


def test_import_takes_at_most_15_ms_more_than_numpy():
    code = """if 1:
        import importlib.util, sys, time
        import numpy
        importlib.util.find_spec("hingex")  # an editable install builds itself here
        start = time.perf_counter()
        import hingex
        print(time.perf_counter() - start)
    """
    assert statistics.median(float(run(code)) for _ in range(5)) < 0.015


def test_import_loads_nothing_heavy():
    code = f"""if 1:
        import sys, hingex
        print([m for m in {HEAVY} if m in sys.modules], "numpy" in sys.modules)
    """
    assert run(code).split("\n")[0] == "[] False"


def test_public_names_resolve_without_heavy_packages():
    names = [name for name in hingex.__all__ if exists(name)]
    code = f"""if 1:
        import sys, hingex
        for name in {names}:
            assert getattr(hingex, name) is getattr(hingex, name)
            print(name, [m for m in {HEAVY} if m in sys.modules])
    """
    assert run(code).splitlines() == [f"{name} []" for name in names]


def test_names_are_public_and_listed():
    assert set(hingex.__all__) <= set(dir(hingex))
    assert "__version__" in dir(hingex)
    with pytest.raises(AttributeError, match="module 'hingex' has no attribute 'LinearSVM'; did "
                                             "you mean 'LinearSVC'"):
        _ = hingex.LinearSVM
    with pytest.raises(AttributeError, match=r"has no attribute 'zzz'$"):
        _ = hingex.zzz


def test_build_info(capsys):
    info = hingex.build_info()
    assert info["version"] == hingex.__version__
    assert info["threads"] >= 1
    assert info["instruction_set"] in ("baseline", "avx2")
    hingex.show_versions()
    out = capsys.readouterr().out
    for word in ("python", "hingex", "compiler", "instruction set", "openmp", "numpy", "scipy"):
        assert f"{word}: " in out


def test_missing_package_is_shown_as_such(monkeypatch, capsys):
    from hingex import _versions

    monkeypatch.setattr(_versions, "_PACKAGES", ("surely-not-a-package",))
    hingex.show_versions()
    assert "surely-not-a-package: not installed" in capsys.readouterr().out


def test_missing_build_is_explained():
    from hingex._core import kernels

    with pytest.raises(ImportError, match="hingex's compiled module _nothing cannot be imported"):
        kernels("nothing")


def test_from_the_source_folder_without_a_build(tmp_path):
    (tmp_path / "hingex").mkdir()
    for name in ("__init__", "_core", "_versions", "_threads"):
        source = importlib.util.find_spec(f"hingex.{name}" if name != "__init__" else "hingex")
        (tmp_path / "hingex" / f"{name}.py").write_text(Path(source.origin).read_text())
    code = f"""if 1:
        import sys
        sys.meta_path[:] = [f for f in sys.meta_path if "editable" not in type(f).__module__]
        sys.path.insert(0, {str(tmp_path)!r})
        import hingex
        assert hingex.__file__.startswith({str(tmp_path)!r})
        try:
            hingex.__version__
        except ImportError as error:
            print(error)
    """
    assert "holds no compiled code" in run(code)
