# SPDX-License-Identifier: BSD-3-Clause
"""The command line on every kind of saved model: each command works, or says why not."""

import json
import re
import warnings

import numpy as np
import pytest

pytest.importorskip("click")

from click.testing import CliRunner

import hingex
from hingex import model_io
from hingex.cli._app import app
from hingex.metric import LMNN, OASIS
from hingex.structured import ChainSVM, word_features
from hingex.text import TextClassifier, TextVectorizer

rng = np.random.default_rng(0)
X = np.round(rng.normal(size=(40, 3)), 3)
y = (X[:, 0] > 0).astype(int)
Y = np.c_[y, 1 - y, X[:, 2] > 0.3].astype(int)
Y[:, 1] &= X[:, 1] > -0.5  # some rows have no label
DOCUMENTS = ["good film", "fine film", "bad film", "poor play"] * 3
LABELS = ["p", "p", "n", "n"] * 3
SETS = np.array([[1, 0, 1], [1, 0, 0], [0, 1, 1], [0, 0, 0]] * 3)
SENTENCES, TAGS = [["the", "dog"], ["a", "cat"]], [["D", "N"], ["D", "N"]]


def models():
    """Each class that files hold, fitted, and some in each other."""
    for name in ("LinearSVC", "LinearSVCCV", "LinearClassifier", "PegasosClassifier",
                 "PassiveAggressiveClassifier", "AROWClassifier", "AUCMaximizer", "SVC",
                 "NuSVC", "SVR", "NuSVR", "OneClassSVM"):  # fmt: skip
        yield name, model_io._class(name)().fit(X, y)
    yield "LinearRankSVC", hingex.LinearRankSVC().fit(X, y)
    yield "LMNN", LMNN(n_neighbors=2).fit(X, y)
    yield "OASIS", OASIS(max_iter=2).fit(X, y)
    yield "ChainSVM", ChainSVM(n_features=64).fit([word_features(s) for s in SENTENCES], TAGS)
    yield "TextVectorizer", TextVectorizer().fit(DOCUMENTS)
    yield "TextClassifier", TextClassifier().fit(DOCUMENTS, LABELS)
    yield "multilabel", hingex.LinearSVC().fit(X, Y)
    yield "text multilabel", TextClassifier().fit(DOCUMENTS, SETS)
    calibrated = hingex.CalibratedClassifier
    yield "CalibratedClassifier", calibrated(hingex.LinearSVC(), cv=2).fit(X, y)
    yield "calibrated isotonic", calibrated(hingex.SVC(), method="isotonic", cv=2).fit(X, y)
    yield "calibrated three", calibrated(cv=2).fit(X, y + (X[:, 1] > 0.5))
    yield "calibrated text", calibrated(TextClassifier(), cv=2).fit(DOCUMENTS, LABELS)


ROWS = {"predict", "evaluate"}
TEXT, SHOWN = {"text predict", "text explain"}, {"text predict"}
WORKS = {
    "LMNN": set(), "OASIS": set(), "TextVectorizer": set(), "ChainSVM": {"tag predict"},
    "TextClassifier": TEXT, "text multilabel": SHOWN, "calibrated text": SHOWN,
    "LinearRankSVC": {"predict"}, "OneClassSVM": {"predict"},
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("models")
    hingex.dump_svmlight_file(X, y, path / "rows.svm", zero_based=False)
    hingex.dump_svmlight_file(X, Y, path / "sets.svm", zero_based=False, multilabel=True)
    (path / "texts").write_text("".join(f"{d}\n" for d in DOCUMENTS))
    (path / "words").write_text("the\ndog\n\n")
    return path


@pytest.fixture(scope="module")
def saved(folder):
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # how well they fit does not matter
        for name, model in models():
            path = folder / f"{name}.m"
            model.save(path)
            found[name] = path
    return found


def run(*args):
    return CliRunner().invoke(app, [str(a) for a in args])


def test_every_class_is_here(saved):
    assert {type(hingex.load(path)).__name__ for path in saved.values()} == set(model_io._CLASSES)


def test_every_command_works_or_says_why(saved, folder):
    for name, path in saved.items():
        data = {"predict": "sets.svm" if name == "multilabel" else "rows.svm",
                "text predict": "texts", "text explain": "texts", "tag predict": "words"}
        data["evaluate"] = data["predict"]
        assert run("info", path).exit_code == 0, name
        facts = json.loads(run("info", path, "--json").stdout)
        assert facts["command"] == "info"
        for command, file in data.items():
            result = run(*command.split(), path, folder / file)
            where = f"{command} of {name}: {result.output} {result.exception!r}"
            if command in WORKS.get(name, ROWS):
                assert result.exit_code == 0, where
                assert result.stdout, where
                continue
            assert result.exit_code == 1, where
            lines = result.stderr.splitlines()
            assert len(lines) == 1, where
            assert lines[0].startswith(f"error: {path}: holds a {type(hingex.load(path)).__name__}")


def test_row_predictions_are_those_of_python(saved, folder):
    for name, path in saved.items():
        if "predict" not in WORKS.get(name, ROWS) or name == "multilabel":
            continue
        expected = hingex.load(path).predict(X).tolist()
        result = run("predict", path, folder / "rows.svm", "-q", "-j", 2)
        assert [float(line) for line in result.stdout.split()] == pytest.approx(expected), name
        facts = json.loads(run("predict", path, folder / "rows.svm", "--json").stdout)
        assert facts["labels"] == pytest.approx(expected), name


@pytest.mark.parametrize("name", ["CalibratedClassifier", "calibrated isotonic"])
def test_calibrated(saved, folder, name):
    path, model = saved[name], hingex.load(saved[name])
    result = run("predict", path, folder / "rows.svm", "--decision")
    assert result.exit_code == 1
    assert "predicts by probabilities" in result.stderr
    facts = json.loads(run("evaluate", path, folder / "rows.svm", "--json").stdout)
    assert facts["accuracy"] == model.score(X, y)
    assert facts["hinge"] is None
    assert "not defined for probabilities" in run("evaluate", path, folder / "rows.svm").stdout
    facts = json.loads(run("info", path, "--json").stdout)
    assert facts["calibration"] == {"method": model.method, "cv": 2, "random_state": None}
    assert facts["classes"] == [0, 1]
    assert facts["estimator"] == type(model.estimator_).__name__
    assert re.search(rf"calibration +{model.method}, cv=2", run("info", path).stdout)


def test_texts(saved, folder):
    model = hingex.load(saved["calibrated text"])
    result = run("text", "predict", saved["calibrated text"], folder / "texts", "-q")
    assert result.stdout.split() == model.predict(DOCUMENTS).tolist()
    facts = json.loads(run("info", saved["calibrated text"], "--json").stdout)
    assert facts["documents"] == len(DOCUMENTS)
    assert facts["calibration"]["method"] == "sigmoid"
    assert "by probabilities" in run("text", "explain", saved["calibrated text"],
                                     folder / "texts").stderr
    expected = [[*np.flatnonzero(row)] for row in hingex.load(saved["text multilabel"]).predict(
        DOCUMENTS)]
    lines = run("text", "predict", saved["text multilabel"], folder / "texts", "-q").stdout
    assert [[int(k) for k in line.split(",") if k] for line in lines.split("\n")[:-1]] == expected
    assert "multilabel" in run("info", saved["text multilabel"]).stdout


def test_multilabel_predictions(saved, folder):
    model = hingex.load(saved["multilabel"])
    expected = [np.flatnonzero(row).tolist() for row in model.predict(X)]
    assert [] in expected
    assert any(len(labels) > 1 for labels in expected)
    args = ["predict", saved["multilabel"], folder / "sets.svm", "-q"]
    lines = run(*args).stdout.split("\n")
    assert lines.pop() == ""
    assert [[int(k) for k in line.split(",") if k] for line in lines] == expected
    facts = json.loads(run(*args, "--json", "--decision").stdout)
    assert facts["labels"] == expected
    np.testing.assert_allclose(facts["decision"], model.decision_function(X), rtol=1e-12)
    result = run("info", saved["multilabel"])
    assert re.search(r"labels +3, any number of them a row \(multilabel\)", result.stdout)
    assert json.loads(run("info", saved["multilabel"], "--json").stdout)["multilabel"] is True
    assert "commas" in run("predict", "--help").stdout


def test_multilabel_models_of_sparse_indicators_and_one_label(folder, tmp_path):
    from scipy.sparse import csr_matrix

    for targets in (csr_matrix(Y), csr_matrix(Y[:, :1])):
        model = hingex.LinearSVC().fit(X, targets)
        model.save(tmp_path / "m")
        found = model.predict(X)
        found = found.toarray() if hasattr(found, "toarray") else found
        lines = run("predict", tmp_path / "m", folder / "sets.svm", "-q").stdout.split("\n")[:-1]
        assert lines == [",".join(map(str, np.flatnonzero(row))) for row in found]


def test_multilabel_evaluation(saved, folder, tmp_path):
    metrics = pytest.importorskip("sklearn.metrics")
    predicted = hingex.load(saved["multilabel"]).predict(X)
    true = np.c_[Y, np.arange(40) % 5 == 0]  # label 7 is none of the model
    hingex.dump_svmlight_file(X, np.insert(true, 3, np.zeros((4, 1)), axis=1), tmp_path / "more",
                              zero_based=False, multilabel=True)
    for data, a, b in [(folder / "sets.svm", Y, predicted),
                       (tmp_path / "more", true, np.c_[predicted, np.zeros(40, int)])]:
        facts = json.loads(run("evaluate", saved["multilabel"], data, "--json").stdout)
        assert facts["accuracy"] == pytest.approx(metrics.accuracy_score(a, b))
        assert facts["hamming"] == pytest.approx(metrics.hamming_loss(a, b))
        for average in ("micro", "macro"):
            assert facts[f"f1_{average}"] == pytest.approx(
                metrics.f1_score(a, b, average=average, zero_division=0))
        by_label = metrics.f1_score(a, b, average=None, zero_division=0)
        assert [c["f1"] for c in facts["worst_classes"]] == pytest.approx(
            sorted(by_label[by_label < 1]))
        assert "confusions" not in facts
        text = run("evaluate", saved["multilabel"], data).stdout
        assert re.search(rf"Hamming +{facts['hamming']:.4f}", text)
    assert facts["rows_of_unknown_labels"] == 8


# --------------------------------------------------------------- advice for the command line


def test_index_zero(tmp_path):
    (tmp_path / "zero").write_text("0 0:1\n1 1:1\n")
    (tmp_path / "one").write_text("0 1:1\n1 2:1\n")
    assert run("train", tmp_path / "one", tmp_path / "m").exit_code == 0
    assert run("train", tmp_path / "one", tmp_path / "ll", "--liblinear").exit_code == 0
    for args in (["train", tmp_path / "zero", tmp_path / "x", "--one-based"],
                 ["predict", tmp_path / "ll", tmp_path / "zero"]):
        text = run(*args).stderr
        assert text.endswith("indices start at 1 here: give --zero-based\n")
        assert "auto" not in text
    text = run("predict", tmp_path / "m", tmp_path / "zero").stderr
    assert "--zero-based" not in text  # would contradict the model
    assert "from 1" in text
    text = run("predict", tmp_path / "ll", tmp_path / "one", "--zero-based").stderr
    assert "leave out --zero-based" in text
    assert run("predict", tmp_path / "ll", tmp_path / "one", "-q").stdout == "0\n1\n"


def test_options_that_messages_name_are_there(tmp_path):
    (tmp_path / "t").write_bytes(b"a\tbad\xff film\nb\tgood film\n")
    text = run("text", "train", tmp_path / "t", tmp_path / "m").stderr
    assert "--decode-errors on the command line" in text
    assert run("text", "train", tmp_path / "t", tmp_path / "m", "--decode-errors",
               "replace").exit_code == 0
    text = run("text", "train", tmp_path / "t", tmp_path / "m", "--ngrams", 3, 1).stderr
    assert "--ngrams" in text
    words = rng.integers(0, 9, size=(60, 2))
    rows = [f"{'DN'[int(rng.random() < 0.5)]}\tw{i} v{j}\n" for i, j in words.tolist()]
    (tmp_path / "tsv").write_text("".join(rows))
    (tmp_path / "tags").write_text("\n".join(rows))  # a sentence each
    for args in (["text", "train", tmp_path / "tsv", tmp_path / "m2"],
                 ["tag", "train", tmp_path / "tags", tmp_path / "m3", "--word-column", 1,
                  "--tag-column", 0]):
        result = run(*args, "--max-iter", 1, "--tol", 1e-12, "-C", 100)
        assert "Raise max_iter or max_time" in result.stderr  # and these are options:
        assert result.exit_code == 0
        assert run(*args, "--max-time", 60).exit_code == 0


def test_labels_are_shown_as_text(tmp_path, folder):
    hingex.LinearSVC().fit(X, np.array(["a\nb", "c"])[y]).save(tmp_path / "m")
    text = run("evaluate", tmp_path / "m", folder / "rows.svm").stderr
    assert r"such as 'a\nb';" in text
    assert "np.str_" not in text
