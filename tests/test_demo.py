# SPDX-License-Identifier: BSD-3-Clause
import json
import sys

import pytest

pytest.importorskip("click")
from click.testing import CliRunner

from hingex.cli.demo import demo_command


def run(*args):
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


def test_without_matplotlib_the_demo_goes_on(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = run("--out", str(tmp_path), "--tol", "0.1")
    assert 'pip install "hingex[plot]"' in result.output
    assert "Strongest words" in result.output
    assert not list(tmp_path.iterdir())
