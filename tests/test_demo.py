# SPDX-License-Identifier: BSD-3-Clause
import json
import subprocess
import sys

import pytest

from hingex.cli import demo
from hingex.cli.demo import percent_above, run_demo


def run(*args):
    pytest.importorskip("click")
    from click.testing import CliRunner

    from hingex.cli.demo import demo_command

    result = CliRunner().invoke(demo_command, args, catch_exceptions=False)
    assert result.exit_code == 0
    return result


def test_demo_tells_what_it_found(tmp_path):
    pytest.importorskip("matplotlib")
    out = run("--out", str(tmp_path), "--tol", "0.01").output
    assert "26 categories" in out
    assert "converged" in out
    assert "no weights whatever lower the objective" in out
    animal = next(line for line in out.splitlines() if "noun.animal" in line)
    assert len(animal.split(",")) == 5
    assert " taken for " in out
    assert out.count(" -> noun.") == 5
    picture = tmp_path / "hingex_demo.png"
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert str(picture) in out


def test_json_for_machines(tmp_path):
    result = json.loads(run("--json", "--no-plot", "--loss", "hinge", "--tol", "0.01").stdout)
    assert result["converged"]
    assert 0 <= result["duality_gap"] <= 0.01
    assert result["accuracy"] > 0.79
    assert result["picture"] is None
    assert len(result["strongest_words"]) == 26
    assert "process" in result["strongest_words"]["noun.process"]


def test_examples_and_mistakes_are_facts():
    result = run_demo(tol=0.01, out=None, quiet=True)
    assert len(result["examples"]) == 5
    names = set(result["strongest_words"])
    for example in result["examples"]:
        assert len(example["words"]) == 6
        assert {example["category"], example["predicted"]} <= names
    rows = [pair["rows"] for pair in result["mistakes"]]
    assert rows == sorted(rows, reverse=True)
    assert all(pair["category"] != pair["predicted"] for pair in result["mistakes"])
    assert result["accuracy_of_largest_category"] < 0.2
    again = run_demo(tol=0.01, out=None, quiet=True)
    timeless = {key for key in result if not key.endswith("_seconds")}
    assert {key: again[key] for key in timeless} == {key: result[key] for key in timeless}


def test_run_demo_without_click():
    code = ("import sys; sys.modules['click'] = None\n"
            "from hingex.cli.demo import run_demo; run_demo(tol=0.1, out=None)")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Strongest words" in out.stdout
    assert "wrong, it is" in out.stdout or "(right)" in out.stdout


def test_a_printed_bound_is_never_below_the_gap():
    assert percent_above(3.1493e-4) == "0.032%"
    assert percent_above(0) == "0%"
    assert percent_above(1e-3) == "0.1%"
    for k in range(1, 400):
        gap = 1.7 * 0.97**k
        printed = float(percent_above(gap)[:-1]) / 100
        assert gap * (1 - 1e-9) <= printed <= gap * 1.1


def test_a_missing_folder_is_told_before_the_fit(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        run_demo(out=tmp_path / "none" / "picture.png")
    with pytest.raises(AttributeError, match="no attribute 'other'"):
        demo.other  # noqa: B018


def test_without_matplotlib_the_demo_goes_on(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = run("--out", str(tmp_path), "--tol", "0.1")
    assert 'pip install "hingex[plot]"' in result.output
    assert "Strongest words" in result.output
    assert not list(tmp_path.iterdir())
