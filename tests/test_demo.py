# SPDX-License-Identifier: BSD-3-Clause
import json
import re
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from hingex import LinearSVC
from hingex.cli import demo
from hingex.cli.demo import percent_above, run_demo
from hingex.datasets import load_wordnet_texts
from hingex.text import TextVectorizer


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
    assert re.search(r"from text to model: [\d.]+ MB/s, [\d,]+ documents/s", out)
    assert "no weights whatever lower the objective" in out
    animal = next(line for line in out.splitlines() if "noun.animal" in line)
    assert len(animal.split(",")) == 5
    assert " taken for " in out
    # A label, another, and at least one word with its part, for each of the examples.
    assert len(re.findall(r" -> noun\.\w+ \(.*\), not noun\.\w+: \w+ [+-]\d\.\d\d", out)) == 5
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
    texts, labels = load_wordnet_texts("train")
    held_out, true = load_wordnet_texts("test")
    # The same model, made without the demo.
    vectorizer = TextVectorizer()
    X, T = vectorizer.fit_transform(texts), vectorizer.transform(held_out)
    model = LinearSVC(tol=0.01, random_state=0).fit(X, labels)
    predicted = model.predict(T)
    assert result["accuracy"] == np.mean(predicted == true)
    assert result["test_documents"] == len(held_out)
    assert result["features"] == X.shape[1]

    assert len(result["examples"]) == 5
    place = {name: k for k, name in enumerate(model.classes_)}
    for example in result["examples"]:
        row = held_out.index(example["text"])
        assert len(example["text"].split()) >= 6
        assert (example["category"], example["predicted"]) == (true[row], predicted[row])
        scores = model.decision_function(T[row])[0]
        first, second = place[example["predicted"]], place[example["instead_of"]]
        assert example["margin"] == pytest.approx(scores[first] - scores[second])
        assert scores[second] == np.delete(scores, first).max()
        for word, part in example["words"]:
            assert word in example["text"].lower()
            column = vectorizer.vocabulary_[word]
            weight = model.coef_[first, column] - model.coef_[second, column]
            assert part == pytest.approx(T[row, column] * weight)

    pairs = Counter(zip(true[predicted != true].tolist(), predicted[predicted != true].tolist(),
                        strict=True))
    assert [pair["rows"] for pair in result["mistakes"]] == [n for _, n in pairs.most_common(3)]
    for pair in result["mistakes"]:
        assert pairs[pair["category"], pair["predicted"]] == pair["rows"]
    largest = Counter(labels.tolist()).most_common(1)[0][0]
    assert result["accuracy_of_largest_category"] == np.mean(true == largest)

    megabytes = sum(map(len, texts)) / 1e6
    seconds = result["fit_seconds"]
    assert result["fit_megabytes_per_second"] == pytest.approx(megabytes / seconds)
    assert result["fit_documents_per_second"] == pytest.approx(len(texts) / seconds)

    again = run_demo(tol=0.01, out=None, quiet=True)
    timeless = {key for key in result if not key.endswith(("_seconds", "_second"))}
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
