# SPDX-License-Identifier: BSD-3-Clause
"""The command line: results, files, exit codes, and what goes to which stream."""

import importlib
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest

pytest.importorskip("click")

from click.testing import CliRunner
from scipy.sparse import csr_matrix

import hingex
from hingex import model_io
from hingex.cli import main
from hingex.cli._app import app
from hingex.text import TextVectorizer

RUN = [sys.executable, "-c", "import sys; from hingex.cli import main; sys.exit(main())"]


def write_svm(path, X, y, first=1):
    """An svmlight file in the plainest way: exact numbers, zeros left out."""
    with open(path, "w") as file:
        for row, label in zip(X.tolist(), y.tolist(), strict=True):
            pairs = " ".join(f"{j + first}:{v!r}" for j, v in enumerate(row) if v)
            file.write(f"{label!r} {pairs}\n")


def make(n, labels, d=6, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.asarray(labels)
    codes = np.arange(n) % len(labels)
    centers = np.random.default_rng(99).normal(size=(len(labels), d))
    X = np.round(centers[codes] + rng.normal(size=(n, d)), 3)
    X[rng.random((n, d)) < 0.2] = 0
    return X, labels[codes]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Folder with train and test data of two classes (b) and of four (m), and their models."""
    folder = tmp_path_factory.mktemp("cli")
    for name, labels in (("b", [-1, 1]), ("m", [0, 1, 2, 30])):
        write_svm(folder / f"{name}.train", *make(200, labels))
        write_svm(folder / f"{name}.test", *make(100, labels, seed=1))
        done = run("train", folder / f"{name}.train", folder / f"{name}.hgx")
        assert done.exit_code == 0
    return folder


def run(*args, code=0, **options):
    result = CliRunner().invoke(app, [str(a) for a in args], **options)
    if code is not None:
        assert result.exit_code == code, (result.stderr, result.exception)
    if code == 1:
        lines = result.stderr.splitlines()
        assert lines[-1].startswith("error: ")
        assert sum(line.startswith("error") for line in lines) == 1
        assert "Traceback" not in result.stderr
        assert not result.stdout
    return result


def spawn(*args, **options):
    return subprocess.run([*RUN, *map(str, args)], capture_output=True, timeout=60, check=False,
                          **options)


# ------------------------------------------------------------------------------------------ train


@pytest.mark.parametrize("name", ["b", "m"])
def test_train_is_linear_svc(files, tmp_path, name):
    labels = {"b": [-1, 1], "m": [0, 1, 2, 30]}[name]
    X, y = make(200, labels)
    result = run("train", files / f"{name}.train", tmp_path / "m.hgx", "--json", "-C", 0.5,
                 "--tol", 1e-4, "--seed", 3, "--loss", "hinge", "--max-iter", 5000)
    facts = json.loads(result.stdout)
    model = hingex.load(tmp_path / "m.hgx")
    direct = hingex.LinearSVC(loss="hinge", C=0.5, tol=1e-4, random_state=3, max_iter=5000)
    direct.fit(csr_matrix(X), y)
    np.testing.assert_array_equal(model.coef_, direct.coef_)
    assert model.classes_.tolist() == labels
    assert model.classes_.dtype.kind == "i"
    assert model.get_params() == direct.get_params()
    assert facts["converged"] is True
    assert facts["duality_gap"] <= 1e-4
    assert facts["rows"] == 200
    assert facts["features"] == 6
    assert facts["classes"] == len(labels)
    assert facts["bytes"] == (tmp_path / "m.hgx").stat().st_size
    assert facts["primal_objective"] == pytest.approx(model.primal_objective_.sum())


@pytest.mark.parametrize(("options", "params"), [
    (["--cost", "2"], {"C": 2.0}),
    (["--intercept", "regularized", "--intercept-scaling", "3"],
     {"intercept": "regularized", "intercept_scaling": 3.0}),
    (["--no-intercept"], {"fit_intercept": False}),
    (["--class-weight", "balanced"], {"class_weight": "balanced"}),
    (["--class-weight", "-1=2", "--class-weight", "1=0.5"], {"class_weight": {-1: 2.0, 1: 0.5}}),
    (["--class-weight", "1.0=3"], {"class_weight": {1: 3.0}}),
    (["--max-time", "60", "-j", "1"], {"max_time": 60.0, "n_jobs": None}),
    (["--float32", "--quiet"], {}),
])
def test_train_options(files, tmp_path, options, params):
    result = run("train", files / "b.train", tmp_path / "m", *options)
    model = hingex.load(tmp_path / "m")
    assert {k: model.get_params()[k] for k in params} == params
    assert model.callback is None
    assert model.verbose is False
    if "--quiet" in options:
        assert result.output == ""
    else:
        assert "gap" in result.stdout
        assert "read " in result.stderr


def test_n_features_and_base(files, tmp_path):
    run("train", files / "b.train", tmp_path / "m", "--n-features", 20)
    assert hingex.load(tmp_path / "m").n_features_in_ == 20
    run("predict", tmp_path / "m", files / "b.test")
    result = run("train", files / "b.train", tmp_path / "m2", "--n-features", 3, code=1)
    assert "b.train" in result.stderr
    X, y = make(200, [-1, 1])
    write_svm(tmp_path / "zero", X, y, first=0)
    run("train", tmp_path / "zero", tmp_path / "m0", "--zero-based")
    np.testing.assert_array_equal(hingex.load(tmp_path / "m0").coef_,
                                  hingex.load(files / "b.hgx").coef_)
    result = run("train", tmp_path / "zero", tmp_path / "m2", code=1)
    assert "--zero-based" in result.stderr
    assert not (tmp_path / "m2").exists()


def test_train_liblinear(files, tmp_path):
    facts = json.loads(run("train", files / "m.train", tmp_path / "m", "--liblinear",
                           "--json").stdout)
    assert facts["format"] == "liblinear"
    assert (tmp_path / "m").read_text().startswith("solver_type L2R_L2LOSS_SVC_DUAL\n")
    assert (run("predict", tmp_path / "m", files / "m.test").stdout
            == run("predict", files / "m.hgx", files / "m.test").stdout)


def test_not_converged_is_a_warning(files, tmp_path):
    result = run("train", files / "b.train", tmp_path / "m", "--max-iter", 1, "--tol", 1e-9, "-q")
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("warning: LinearSVC stopped at a relative duality gap of")
    assert hingex.load(tmp_path / "m").converged_ is False
    assert "NOT converged" in run("info", tmp_path / "m").stdout


@pytest.mark.parametrize("options", [
    ["--cost", "0"], ["--cost", "x"], ["--tol", "-1"], ["--loss", "log"], ["--nope"],
    ["--class-weight", "1"], ["--class-weight", "a=1"], ["--class-weight", "1=b"],
    ["--class-weight", "inf=1"], ["--class-weight", "balanced", "--class-weight", "1=1"],
    ["--class-weight", "1=1", "--class-weight", "1.0=2"],
    ["--max-iter", "0"], ["--max-time", "0"], ["--seed", "-1"], ["--n-features", "0"],
    ["-j", "0"], ["-j", "100000"], ["extra"],
])
def test_wrong_usage(files, tmp_path, options):
    result = run("train", files / "b.train", tmp_path / "m", *options, code=2)
    assert "Usage:" in result.stderr
    assert not (tmp_path / "m").exists()


def test_wrong_commands():
    run("trian", code=2)
    run("train", code=2)
    assert "Commands" in run(code=None).output


def test_bad_data(files, tmp_path):
    for name, text in {
        "malformed": "1 1:2\n-1 2:x\n", "empty": "", "one": "1 1:1\n1 1:2\n",
        "labels": "1.5 1:1\n2 1:2\n", "nan": "1 1:nan\n2 1:1\n",
    }.items():
        (tmp_path / name).write_text(text)
        run("train", tmp_path / name, tmp_path / "m", code=1)
    assert "malformed" in run("predict", files / "b.hgx", tmp_path / "malformed", code=1).stderr
    assert "no rows" in run("predict", files / "b.hgx", tmp_path / "empty", code=1).stderr
    assert "none" in run("train", tmp_path / "none", tmp_path / "m", code=1).stderr
    assert not (tmp_path / "m").exists()


def test_targets_are_checked_before_the_work(tmp_path):
    for target in (tmp_path, tmp_path / "no" / "model"):
        stderr = run("train", tmp_path / "no data", target, code=1).stderr
        assert "folder" in stderr
        assert "no data" not in stderr


# ---------------------------------------------------------------------------------------- predict


@pytest.mark.parametrize("name", ["b", "m"])
def test_predict(files, tmp_path, name):
    model = hingex.load(files / f"{name}.hgx")
    X, _ = make(100, model.classes_, seed=1)
    expected = model.predict(X)
    result = run("predict", files / f"{name}.hgx", files / f"{name}.test")
    assert result.stdout.split("\n") == [*map(str, expected.tolist()), ""]
    result = run("predict", files / f"{name}.hgx", files / f"{name}.test", "-o", tmp_path / "out")
    assert result.stdout == ""
    assert (tmp_path / "out").read_text() == "\n".join(map(str, expected.tolist())) + "\n"

    lines = run("predict", files / f"{name}.hgx", files / f"{name}.test", "--decision",
                "-q").stdout.splitlines()
    scores = np.array([[float(t) for t in line.split()[1:]] for line in lines])
    np.testing.assert_allclose(scores, model.decision_function(X).reshape(100, -1), rtol=1e-12,
                               atol=1e-12)
    assert [line.split()[0] for line in lines] == list(map(str, expected.tolist()))

    args = ["predict", files / f"{name}.hgx", files / f"{name}.test", "--json"]
    facts = json.loads(run(*args).stdout)
    assert facts["labels"] == expected.tolist()
    assert "decision" not in facts
    facts = json.loads(run(*args, "--decision").stdout)
    np.testing.assert_array_equal(np.reshape(facts["decision"], (100, -1)), scores)
    facts = json.loads(run(*args, "-o", tmp_path / "out2").stdout)
    assert facts["rows"] == 100
    assert (tmp_path / "out2").read_text() == (tmp_path / "out").read_text()


def test_blocks_of_rows(files, monkeypatch):
    """Results do not depend on how many rows are scored at a time."""
    from hingex.cli import _common, predict

    model = hingex.load(files / "m.hgx")
    X = csr_matrix(make(100, model.classes_, seed=1)[0])
    texts = _common.label_texts(model.classes_)
    whole = "".join(predict._lines(model, X, texts, True))
    monkeypatch.setattr(predict, "_LINES", 7)

    class Many(list):
        def __len__(self):
            return (1 << 22) // 17

    blocks = list(_common.in_blocks(model, X, True))
    assert len(blocks) == 1
    classes = model.classes_
    monkeypatch.setattr(model, "classes_", Many(classes))
    blocks = list(_common.in_blocks(model, X, True))
    assert len(blocks) == 6
    assert "".join(predict._lines(model, X, texts, True)) == whole
    np.testing.assert_array_equal(classes[np.concatenate([codes for _, _, codes in blocks])],
                                  hingex.load(files / "m.hgx").predict(X))


def test_features_of_data_and_model(files, tmp_path):
    (tmp_path / "few").write_text("1 2:1\n-1\n")
    lines = run("predict", files / "b.hgx", tmp_path / "few", "--decision").stdout.split()
    model = hingex.load(files / "b.hgx")
    assert float(lines[3]) == model.intercept_[0]
    (tmp_path / "more").write_text("1 2:1 9:1\n")
    for command in ("predict", "evaluate"):
        stderr = run(command, files / "b.hgx", tmp_path / "more", code=1).stderr
        assert "has 9 features" in stderr
        assert "trained on 6" in stderr


def test_labels_are_printed_as_they_are(tmp_path):
    X, _ = make(60, [0, 1])
    write_svm(tmp_path / "data", X, np.zeros(60))
    for labels, expected in [
        (np.array([1.0, 3.0]), {"1", "3"}),
        (np.array(["ham", "späm"]), {"ham", "späm"}),
        (np.array([b"ham", b"spam"]), {"ham", "spam"}),
        (np.array([False, True]), {"False", "True"}),
    ]:
        hingex.LinearSVC().fit(X, labels[np.arange(60) % 2]).save(tmp_path / "m")
        assert set(run("predict", tmp_path / "m", tmp_path / "data").stdout.split()) == expected
    hingex.LinearSVC().fit(X, np.array(["a\nb", "c"])[np.arange(60) % 2]).save(tmp_path / "m")
    assert "--json" in run("predict", tmp_path / "m", tmp_path / "data", code=1).stderr
    facts = json.loads(run("predict", tmp_path / "m", tmp_path / "data", "--json").stdout)
    assert set(facts["labels"]) == {"a\nb", "c"}
    assert "are text" in run("evaluate", tmp_path / "m", tmp_path / "data", code=1).stderr


@pytest.mark.parametrize("command", ["predict", "evaluate", "info"])
def test_bad_models(files, tmp_path, command):
    data = [] if command == "info" else [files / "b.test"]
    (tmp_path / "m").write_text("not a model\n")
    assert "neither" in run(command, tmp_path / "m", *data, code=1).stderr
    (tmp_path / "m").write_bytes((files / "b.hgx").read_bytes()[:-1])
    assert "cut off" in run(command, tmp_path / "m", *data, code=1).stderr
    assert "No such file" in run(command, tmp_path / "none", *data, code=1).stderr


# --------------------------------------------------------------------------------------- evaluate


@pytest.mark.parametrize("name", ["b", "m"])
def test_evaluate(files, name):
    metrics = pytest.importorskip("sklearn.metrics")
    model = hingex.load(files / f"{name}.hgx")
    X, y = make(100, model.classes_, seed=1)
    p = model.predict(X)
    facts = json.loads(run("evaluate", files / f"{name}.hgx", files / f"{name}.test",
                           "--json").stdout)
    assert facts["accuracy"] == pytest.approx(metrics.accuracy_score(y, p))
    assert facts["f1_macro"] == pytest.approx(metrics.f1_score(y, p, average="macro"))
    assert facts["f1_micro"] == pytest.approx(metrics.f1_score(y, p, average="micro"))
    assert facts["hinge"] == pytest.approx(metrics.hinge_loss(y, model.decision_function(X)))
    assert facts["hinge_kind"] == {"b": "binary", "m": "crammer_singer"}[name]
    assert facts["duality_gap"] == model.duality_gap_.max()
    assert facts["rows_of_unknown_labels"] == 0
    text = run("evaluate", files / f"{name}.hgx", files / f"{name}.test").stdout
    assert re.search(rf"accuracy +{facts['accuracy']:.4f}", text)
    assert "most frequent confusions" in text
    assert "converged (from training)" in text


def test_judge():
    metrics = pytest.importorskip("sklearn.metrics")
    from hingex.cli.evaluate import judge

    rng = np.random.default_rng(0)
    true = rng.choice([-3, 2, 5, 8], size=500, p=[0.1, 0.2, 0.3, 0.4])
    said = np.where(rng.random(500) < 0.6, true, rng.choice([2, 5, 8, 9], size=500))
    result = judge(true, said, 3)
    precision, recall, f1, rows = metrics.precision_recall_fscore_support(
        true, said, zero_division=0)
    labels = np.union1d(true, said)
    assert result["f1_macro"] == pytest.approx(f1.mean())
    table = dict(zip(labels.tolist(), zip(precision, recall, f1, rows, strict=True), strict=True))
    assert len(result["worst_classes"]) == 3
    assert [c["f1"] for c in result["worst_classes"]] == sorted(f1)[:3]
    for c in result["worst_classes"]:
        assert (c["precision"], c["recall"], c["f1"], c["rows"]) == pytest.approx(
            table[c["label"]])
    matrix = metrics.confusion_matrix(true, said)
    np.fill_diagonal(matrix, 0)
    assert [c["rows"] for c in result["confusions"]] == sorted(matrix.ravel().tolist())[:-4:-1]
    for c in result["confusions"]:
        i, j = np.searchsorted(labels, [c["true"], c["predicted"]])
        assert matrix[i, j] == c["rows"]
        assert c["share"] == pytest.approx(c["rows"] / (true == c["true"]).sum())
    perfect = judge(true, true, 3)
    assert perfect["accuracy"] == perfect["f1_macro"] == 1
    assert perfect["worst_classes"] == perfect["confusions"] == []


def test_hinge_by_hand():
    from hingex.cli.evaluate import hinge_sum

    assert hinge_sum(np.array([0.5, -3.0, 2.0]), np.array([1, 1, 0])) == 0.5 + 4 + 3
    scores = np.array([[2.0, 0.0, -1.0], [2.0, 0.0, -1.0], [2.0, 0.0, -1.0]])
    assert hinge_sum(scores, np.array([0, 1, 2])) == 0 + 3 + 4
    assert scores[0, 0] == 2


def test_unknown_labels(files, tmp_path):
    lines = (files / "m.test").read_text().splitlines()
    (tmp_path / "t").write_text("\n".join(["77" + line[line.index(" "):] for line in lines[:10]]
                                          + lines[10:]))
    facts = json.loads(run("evaluate", files / "m.hgx", tmp_path / "t", "--json").stdout)
    assert facts["rows_of_unknown_labels"] == 10
    model = hingex.load(files / "m.hgx")
    X, y = make(100, model.classes_, seed=1)
    assert facts["accuracy"] == pytest.approx(model.score(X[10:], y[10:]) * 0.9)
    from hingex.cli.evaluate import hinge_sum

    codes = np.searchsorted(model.classes_, y[10:])
    assert facts["hinge"] == pytest.approx(hinge_sum(model.decision_function(X[10:]), codes) / 90)
    assert "10 rows of labels" in run("evaluate", files / "m.hgx", tmp_path / "t").stdout
    (tmp_path / "t").write_text("77 1:1\n")
    facts = json.loads(run("evaluate", files / "m.hgx", tmp_path / "t", "--json").stdout)
    assert facts["hinge"] is None
    assert "none of the labels" in run("evaluate", files / "m.hgx", tmp_path / "t").stdout


# ------------------------------------------------------------------------------------------- info


def test_a_vectorizer_is_shown_but_predicts_nothing(files, tmp_path):
    path = tmp_path / "v"
    TextVectorizer(max_df=0.9).fit(["one two", "two three", "five"]).save(path)
    text = run("info", path).stdout
    assert "TextVectorizer(max_df=0.9)" in text
    assert "4, a term each" in text
    facts = json.loads(run("info", path, "--json").stdout)
    assert (facts["features"], facts["documents"]) == (4, 3)
    for command in ("predict", "evaluate"):
        result = run(command, path, files / "m.test", code=1)
        assert "holds a TextVectorizer, which is no model" in result.stderr


def test_info_of_every_class(tmp_path):
    """It ended in AttributeError or TypeError for some of them."""
    rng = np.random.default_rng(0)
    A, labels = rng.normal(size=(24, 3)), np.arange(24) % 3
    texts = ["the cat sat", "the dog ran", "a cat ran", "the old dog sat"]
    words, tags = [[["a", "b"], ["c"]], [["a"], ["c", "d"]]], [["x", "z"]] * 2
    chain = hingex.structured.ChainSVM(max_iter=5, n_features=16, cost={("x", "z"): 2.0})
    unfitted = [hingex.LinearSVC(), hingex.LinearSVCCV(Cs=2, cv=2), hingex.LinearRankSVC(),
                hingex.SVC(), hingex.SVR(), hingex.LMNN(max_iter=3), hingex.OASIS(max_iter=1)]
    hashed = TextVectorizer("hashing", n_features=256, use_idf=False)
    streamed = hingex.text.TextClassifier(vectorizer=hashed)
    streamed.fit_stream([(["a good film", "a bad film"], [0, 1])])
    loss = 0.5 * hingex.losses.Hinge() + hingex.losses.Logistic()
    nested = hingex.CalibratedClassifier(
        hingex.LinearClassifier(loss, class_weight={0: 2.0, 1: 1.0}), cv=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hingex.ConvergenceWarning)
        models = [model.fit(A, labels) for model in unfitted] + [
            hingex.OneClassSVM().fit(A), chain.fit(words, tags), TextVectorizer().fit(texts),
            hingex.text.TextClassifier().fit(texts, ["c", "d", "c", "d"]), hashed, streamed,
            nested.fit(A, labels % 2)]
    for model in models:
        model.save(tmp_path / "m")
        text = run("info", tmp_path / "m").stdout
        facts = json.loads(run("info", tmp_path / "m", "--json").stdout)
        shown = model.estimator if isinstance(model, hingex.CalibratedClassifier) else model
        name = type(shown).__name__
        assert name in text or name == "TextClassifier"
        assert facts["estimator"] == name or name == "TextClassifier"
        assert ("calibration" in facts) == (shown is not model)
        if hasattr(model, "classes_") and not isinstance(model, hingex.LMNN):
            assert f"{len(model.classes_)}: " in text
            assert len(facts["classes"]) == len(model.classes_)
    assert facts["params"]["class_weight"] == {"0": 2.0, "1": 1.0}


def test_info(files, tmp_path):
    model = hingex.load(files / "m.hgx")
    facts = json.loads(run("info", files / "m.hgx", "--json").stdout)
    assert facts["classes"] == [0, 1, 2, 30]
    assert facts["params"]["C"] == 1.0
    assert facts["n_iter"] == model.n_iter_
    assert facts["intercept"] == model.intercept_.tolist()
    assert facts["features"] == facts["features_used"] == 6
    text = run("info", files / "m.hgx").stdout
    assert "4: 0, 1, 2, 30" in text
    assert f"by hingex {hingex.__version__}" in text
    assert "margin width" in text

    model_io.save_liblinear(model, tmp_path / "m")
    text = run("info", tmp_path / "m").stdout
    assert "LIBLINEAR model, L2R_L2LOSS_SVC_DUAL" in text
    assert "unknown" in text
    facts = json.loads(run("info", tmp_path / "m", "--json").stdout)
    assert facts["duality_gap"] is None

    model.set_params(class_weight={-1.0: 2.0}, callback=print)
    model.margin_width_ = np.full(4, np.inf)
    model.save(tmp_path / "m")
    facts = json.loads(run("info", tmp_path / "m", "--json").stdout)
    assert facts["params"]["class_weight"] == {"-1": 2.0}
    assert facts["omitted"] == ["callback"]
    assert re.search("not stored +callback", run("info", tmp_path / "m").stdout)


# ---------------------------------------------------------------------------------- kernel models


@pytest.fixture(scope="module")
def kernel_files(tmp_path_factory):
    """Kernel models of three labels, of two, of numbers and of none; and their data."""
    folder = tmp_path_factory.mktemp("kernels")
    X, y = make(150, [-2, 0, 7])
    models = {
        "three": hingex.SVC(C=5, gamma=0.5).fit(X, y),
        "rest": hingex.SVC(C=5, gamma=0.5, multi_class="ovr").fit(X, y),
        "linear": hingex.SVC(kernel="linear").fit(X, y),
        "two": hingex.NuSVC(nu=0.2, kernel="poly", coef0=1.0).fit(X, y == 7),
        "numbers": hingex.SVR(C=5).fit(X, 3.0 * X[:, 0]),
        "linear_numbers": hingex.SVR(kernel="linear").fit(X, 3.0 * X[:, 0]),
        "none": hingex.OneClassSVM(nu=0.3).fit(X),
        "low_rank": hingex.SVC(approximation="nystroem", n_components=20).fit(X, y),
    }
    Z, z = make(80, [-2, 0, 7], seed=3)
    write_svm(folder / "labels", Z, z)
    write_svm(folder / "halves", Z, (z == 7).astype(float))
    write_svm(folder / "values", Z, 3.0 * Z[:, 0])
    for name, model in models.items():
        model.save(folder / name)
    model_io.save_libsvm(models["three"], folder / "libsvm")
    return folder, models, Z


@pytest.mark.parametrize("name", ["three", "rest", "linear", "two", "numbers", "linear_numbers",
                                  "none", "low_rank", "libsvm"])
def test_predict_with_kernels(kernel_files, name):
    """As `predict`, which for three classes counts votes: not the highest of scores."""
    folder, models, Z = kernel_files
    model = models["three" if name == "libsvm" else name]
    expected = model.predict(Z).tolist()
    lines = run("predict", folder / name, folder / "labels").stdout.split()
    facts = json.loads(run("predict", folder / name, folder / "labels", "--json").stdout)
    if hasattr(model, "classes_"):
        assert lines == list(map(str, expected))
        assert facts["labels"] == expected
    else:
        np.testing.assert_allclose(list(map(float, lines)), expected, rtol=1e-12)
        np.testing.assert_allclose(facts["labels"], expected, rtol=1e-12)
    if name in ("numbers", "linear_numbers"):
        args = ["predict", folder / name, folder / "labels", "--decision"]
        assert "no scores" in run(*args, code=1).stderr
        return
    lines = run("predict", folder / name, folder / "labels", "--decision").stdout.splitlines()
    scores = np.array([[float(t) for t in line.split()[1:]] for line in lines])
    np.testing.assert_allclose(scores, model.decision_function(Z).reshape(80, -1), atol=1e-9)


def test_evaluate_kernels(kernel_files):
    folder, models, Z = kernel_files
    facts = json.loads(run("evaluate", folder / "three", folder / "labels", "--json").stdout)
    right = models["three"].predict(Z) == make(80, [-2, 0, 7], seed=3)[1]
    assert facts["accuracy"] == pytest.approx(right.mean())
    assert facts["hinge"] is None
    assert "votes by pairs" in run("evaluate", folder / "three", folder / "labels").stdout
    facts = json.loads(run("evaluate", folder / "two", folder / "halves", "--json").stdout)
    f, y = models["two"].decision_function(Z), make(80, [-2, 0, 7], seed=3)[1] == 7
    assert facts["hinge"] == pytest.approx(np.maximum(0, 1 - np.where(y, f, -f)).mean())
    facts = json.loads(run("evaluate", folder / "numbers", folder / "values", "--json").stdout)
    error = models["numbers"].predict(Z) - 3.0 * Z[:, 0]
    assert facts["r2"] == pytest.approx(models["numbers"].score(Z, 3.0 * Z[:, 0]))
    assert facts["mean_absolute_error"] == pytest.approx(np.abs(error).mean())
    assert facts["root_mean_squared_error"] == pytest.approx((error**2).mean() ** 0.5)
    assert "R^2" in run("evaluate", folder / "numbers", folder / "values").stdout
    assert "no labels" in run("evaluate", folder / "none", folder / "labels", code=1).stderr


def test_info_of_kernels(kernel_files):
    folder, models, _ = kernel_files
    for name, model in models.items():
        facts = json.loads(run("info", folder / name, "--json").stdout)
        assert facts["n_iter"] == int(np.sum(model.n_iter_))
        assert facts["duality_gap"] == pytest.approx(float(np.max(model.duality_gap_)))
        key = "landmarks" if name == "low_rank" else "support_vectors"
        assert facts[key] == len(model.support_)
        assert facts["kernel"]["kernel"] == model.kernel
        text = run("info", folder / name).stdout
        assert type(model).__name__ in text
        assert "converged" in text
    assert "gamma=0.5" in run("info", folder / "three").stdout
    assert "3: -2, 0, 7" in run("info", folder / "three").stdout
    text = run("info", folder / "libsvm").stdout
    assert "LIBSVM model, c_svc with kernel rbf" in text
    assert "unknown" in text
    assert json.loads(run("info", folder / "libsvm", "--json").stdout)["duality_gap"] is None


def test_rows_are_no_input_of_precomputed_kernels(kernel_files, tmp_path):
    _, _, Z = kernel_files
    hingex.SVC(kernel="precomputed").fit(Z @ Z.T, Z[:, 0] > 0).save(tmp_path / "m")
    write_svm(tmp_path / "data", Z, np.ones(80))
    assert "precomputed" in run("predict", tmp_path / "m", tmp_path / "data", code=1).stderr
    assert "precomputed" in run("info", tmp_path / "m").stdout


# ------------------------------------------------------------------------------ the process itself


def test_version_and_help():
    assert run("--version").stdout == f"hingex {hingex.__version__}\n"
    text = run("--help").stdout
    for command in ("train", "predict", "evaluate", "info", "demo"):
        assert re.search(rf"^  {command} ", text, re.MULTILINE)
    for command in ("train", "predict", "evaluate", "info"):
        assert "Usage: " in run(command, "--help").stdout


def test_main_returns_codes(files, capsys):
    assert main(["info", str(files / "b.hgx")]) == 0
    assert main(["info", str(files / "none")]) == 1
    assert main(["nothing"]) == 2
    assert "error: " in capsys.readouterr().err


def test_help_imports_little():
    code = ("import sys; from hingex.cli import main; main(['--help']); "
            "print([m for m in ('numpy', 'scipy', 'sklearn', 'tqdm') if m in sys.modules])")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == "[]"


def test_without_click():
    code = ("import sys; sys.modules['click'] = None; from hingex.cli import main; "
            "sys.exit(main())")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 1
    assert done.stderr == 'error: the command line needs click: pip install "hingex[cli]"\n'


def test_bugs_are_not_hidden(files, monkeypatch):
    def broken(path):
        raise KeyError("a bug")

    monkeypatch.setattr(model_io, "load", broken)
    result = run("info", files / "b.hgx", code=None)
    assert isinstance(result.exception, KeyError)


def test_exit_codes_of_the_process(files, tmp_path):
    done = spawn("predict", files / "b.hgx", files / "b.test", "-q")
    assert done.returncode == 0
    assert done.stderr == b""
    assert len(done.stdout.split()) == 100
    done = spawn("predict", files / "b.hgx", tmp_path / "a\nb")
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == 1
    assert spawn("predict").returncode == 2


def test_standard_input(files):
    with open(files / "m.test", "rb") as file:
        done = spawn("predict", files / "m.hgx", "-", stdin=file)
    assert done.returncode == 0
    assert done.stdout.decode() == run("predict", files / "m.hgx", files / "m.test").stdout


@pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="no pipes of this kind")
def test_reader_goes_away(files, tmp_path):
    (tmp_path / "long").write_bytes((files / "b.test").read_bytes() * 500)
    child = subprocess.Popen([*RUN, "predict", str(files / "b.hgx"), str(tmp_path / "long"), "-q"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout.readline() in (b"1\n", b"-1\n")
    child.stdout.close()
    assert child.stderr.read() == b""
    child.stderr.close()
    assert child.wait(30) == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux")
def test_full_and_closed_outputs(files):
    with open("/dev/full", "w") as full:
        done = subprocess.run([*RUN, "info", str(files / "b.hgx")], stdout=full,
                              stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == b"error: No space left on device\n"
    args = " ".join([*map(repr, RUN), "predict", str(files / "b.hgx"), str(files / "b.test")])
    done = subprocess.run(["sh", "-c", args + " -q >&-"], stderr=subprocess.PIPE, timeout=60,
                          check=False)
    assert b"Traceback" not in done.stderr


def hard_data(path):
    """Noise, which keeps coordinate descent busy for long at a large C.

    A feature far out makes it too wide for a second-order solver.
    """
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 1200)) * (rng.random((3000, 1200)) < 0.03)
    X = np.pad(X, ((0, 0), (0, 2000)))
    X[0, -1] = 1
    write_svm(path, np.round(X, 4), rng.choice([-1, 1], size=3000))


def test_interrupt(tmp_path):
    hard_data(tmp_path / "data")
    (tmp_path / "model").write_bytes(model_io.MAGIC + b"the old one")
    child = subprocess.Popen(
        [*RUN, "train", str(tmp_path / "data"), str(tmp_path / "model"), "-C", "1e6", "--tol",
         "1e-15", "--max-iter", "1000000000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert child.stderr.readline().startswith(b"read ")
        time.sleep(0.7)
        child.send_signal(signal.SIGINT)
        start = time.perf_counter()
        stdout, stderr = child.communicate(timeout=30)
        assert time.perf_counter() - start < 5
    finally:
        child.kill()
        child.wait()
    assert child.returncode == 130
    assert stdout == b""
    assert stderr.splitlines()[-1] == b"error: interrupted"
    assert b"Traceback" not in stderr
    assert (tmp_path / "model").read_bytes() == model_io.MAGIC + b"the old one"


def test_plain_lines_and_bar(tmp_path):
    hard_data(tmp_path / "data")
    args = ["train", str(tmp_path / "data"), str(tmp_path / "model"), "-C", "1e6", "--tol",
            "1e-15", "--max-iter", "1000000000", "--max-time", "1.6"]
    done = spawn(*args)
    assert done.returncode == 0
    text = done.stderr.decode()
    assert re.search(r"^epoch \d+: gap ~?\d\.\d\de[-+]\d+, \d\.\d s$", text, re.MULTILINE)
    assert "\r" not in text
    assert text.splitlines()[-1].startswith("warning: ")

    pytest.importorskip("tqdm")
    pty = pytest.importorskip("pty")
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("4H", 24, 120, 0, 0))
    with subprocess.Popen([*RUN, *args], stdout=subprocess.DEVNULL, stderr=child) as process:
        os.close(child)
        shown = b""
        while True:
            try:
                piece = os.read(parent, 4096)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            shown += piece
    os.close(parent)
    assert process.returncode == 0
    assert b"%|" in shown
    assert b"gap" in shown
    assert b"warning: " in shown


# -- what is read, and what is no model, is never replaced


@pytest.fixture
def copies(files, tmp_path):
    for name in ("b.train", "b.test", "b.hgx"):
        (tmp_path / name).write_bytes((files / name).read_bytes())
    return tmp_path


def test_train_keeps_its_data(copies):
    before = (copies / "b.train").read_bytes()
    (copies / "link").symlink_to(copies / "b.train")
    for model in ("b.train", "link"):
        done = run("train", copies / "b.train", copies / model, code=1)
        assert "is TRAIN itself and would be replaced" in done.stderr
    assert (copies / "b.train").read_bytes() == before


def test_train_replaces_models_only(copies):
    for text in (b"1 1:2\n", b"notes"):
        (copies / "other").write_bytes(text)
        done = run("train", copies / "b.train", copies / "other", code=1)
        assert "exists and is no model" in done.stderr
        assert (copies / "other").read_bytes() == text
    (copies / "other").write_bytes(b"")
    for options in ([], ["--liblinear"], ["--liblinear"], []):
        run("train", copies / "b.train", copies / "other", *options)
    assert model_io.describe(copies / "other")["format"] == "hingex"


@pytest.mark.parametrize(("output", "name"), [("b.hgx", "MODEL"), ("b.test", "DATA")])
def test_predict_keeps_its_inputs(copies, output, name):
    before = (copies / output).read_bytes()
    done = run("predict", copies / "b.hgx", copies / "b.test", "-o", copies / output, code=1)
    assert f"is {name} itself and would be replaced" in done.stderr
    assert (copies / output).read_bytes() == before


def test_predict_keeps_standard_input(copies):
    before = (copies / "b.test").read_bytes()
    with open(copies / "b.test", "rb") as data:
        done = spawn("predict", copies / "b.hgx", "-", "-o", copies / "b.test", stdin=data)
    assert done.returncode == 1
    assert (copies / "b.test").read_bytes() == before


def test_predictions_replace_a_file_when_complete(copies, monkeypatch):
    out = copies / "labels"
    out.write_text("old\n")
    arguments = ("predict", copies / "b.hgx", copies / "b.test", "-o", out)

    def fail(*_):
        yield "1\n"
        raise OSError(28, "No space left on device")

    predict = importlib.import_module("hingex.cli.predict")
    with monkeypatch.context() as patch:
        patch.setattr(predict, "_lines", fail)
        run(*arguments, code=1)
    assert out.read_text() == "old\n"
    run(*arguments)
    assert len(out.read_text().splitlines()) == 100
    assert not list(copies.glob(".hingex-*"))
    assert "is a folder" in run(*arguments[:-1], copies, code=1).stderr
    if os.path.exists("/dev/null"):
        run(*arguments[:-1], "/dev/null")


def test_train_with_a_named_solver(files, tmp_path):
    done = run("train", files / "b.train", tmp_path / "m", "--loss", "hinge", "--solver",
               "interior_point")
    assert done.exit_code == 0
    assert hingex.load(tmp_path / "m").solver_ == "interior_point"
    done = run("train", files / "b.train", tmp_path / "n", "--solver", "interior_point", code=1)
    assert "'auto' or 'dual_cd' or 'newton'" in done.stderr
    assert not (tmp_path / "n").exists()
