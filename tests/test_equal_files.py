# SPDX-License-Identifier: BSD-3-Clause
"""Two equal fits make equal files, byte for byte, of every class that has `save`."""

import os
import subprocess
import sys

import numpy as np
import pytest

import hingex
from hingex import model_io, stop
from hingex.text import TextClassifier, TextVectorizer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4))
Y = (X[:, 0] > 0).astype(int)
CLASSES = np.digitize(X[:, 0] + 0.3 * X[:, 1], [-0.5, 0.5])
DOCUMENTS = [" ".join(RNG.choice(["red", "green", "blue", "fast", "slow"], 6)) for _ in X]
TAGS = [(np.abs(x[:, 0]) > 0.5).astype(int) for x in X.reshape(18, 5, 4)]

FITS = {
    "LinearSVC": lambda: hingex.LinearSVC(store_dual=True).fit(X, CLASSES),
    "LinearSVCCV": lambda: hingex.LinearSVCCV(Cs=3, cv=3).fit(X, Y),
    "LinearClassifier": lambda: hingex.LinearClassifier(penalty="l1").fit(X, Y),
    "PegasosClassifier": lambda: hingex.PegasosClassifier(n_jobs=2).fit(X, CLASSES),
    "PassiveAggressiveClassifier": lambda: hingex.PassiveAggressiveClassifier(
        max_iter=5, early_stopping=None).fit(X, Y),
    "AROWClassifier": lambda: hingex.AROWClassifier(max_iter=5, early_stopping=None).fit(X, Y),
    "SVC": lambda: hingex.SVC(probability=True).fit(X, CLASSES),
    "NuSVC": lambda: hingex.NuSVC(nu=0.2).fit(X, Y),
    "SVR": lambda: hingex.SVR().fit(X, X[:, 1]),
    "NuSVR": lambda: hingex.NuSVR().fit(X, X[:, 1]),
    "OneClassSVM": lambda: hingex.OneClassSVM().fit(X),
    "LinearRankSVC": lambda: hingex.LinearRankSVC().fit(X, CLASSES),
    "AUCMaximizer": lambda: hingex.AUCMaximizer().fit(X, Y),
    "LMNN": lambda: hingex.LMNN().fit(X, CLASSES),
    "OASIS": lambda: hingex.OASIS(max_iter=5).fit(X, CLASSES),
    "ChainSVM": lambda: hingex.ChainSVM(n_jobs=2).fit(list(X.reshape(18, 5, 4)), TAGS),
    "TextVectorizer": lambda: TextVectorizer(stop_words={"slow", "fast", "red"}).fit(DOCUMENTS),
    "TextClassifier": lambda: TextClassifier().fit(DOCUMENTS, Y),
    "CalibratedClassifier": lambda: hingex.CalibratedClassifier(hingex.LinearSVC()).fit(X, Y),
    "StructuredSVM": lambda: hingex.StructuredSVM().fit(list(X.reshape(18, 5, 4)), TAGS),
    "MultilabelSVM": lambda: hingex.MultilabelSVM().fit(X, np.column_stack([Y, 1 - Y])),
}
OTHERS = {
    "stream": lambda: hingex.LinearSVC().fit_stream([(X[:40], Y[:40]), (X[40:], Y[40:])]),
    "steps": lambda: hingex.PegasosClassifier().fit_stream([(X[:40], Y[:40]), (X[40:], Y[40:])]),
    "path": lambda: hingex.LinearSVC().path(X, Y, Cs=3).model(1),
    "nystroem": lambda: hingex.SVC(approximation="nystroem", n_components=20).fit(X, Y),
    "text stream": lambda: TextClassifier().fit_stream([(DOCUMENTS, list(Y))]),
    "text pegasos": lambda: TextClassifier(hingex.PegasosClassifier()).fit(DOCUMENTS, Y),
}


def test_no_class_is_missing():
    assert set(model_io._CLASSES) <= set(FITS)
    for name in hingex.__all__:
        thing = getattr(hingex, name)
        if isinstance(thing, type) and hasattr(thing, "save"):
            assert name in FITS


@pytest.mark.parametrize("name", [*FITS, *OTHERS])
@pytest.mark.filterwarnings("ignore::hingex.ConvergenceWarning")
def test_equal_files(name, tmp_path):
    make = (FITS | OTHERS)[name]
    first = make()
    if not hasattr(first, "save"):
        pytest.skip(f"{name} has no save")
    first.save(tmp_path / "first")
    second = make()
    courses = [m.history_ for m in (second, getattr(second, "classifier_", None))
               if len(getattr(m, "history_", ()))]
    for course in courses:
        course["seconds"] += 1.5  # a fit on a slow machine
    second.save(tmp_path / "second")
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    assert all((course["seconds"] >= 1.5).all() for course in courses)  # the object keeps its own
    again = hingex.load(tmp_path / "second")
    again = getattr(again, "classifier_", again)
    for course in courses:
        assert (again.history_["seconds"] == 0).all()
        for field in set(stop.HISTORY_DTYPE.names) - {"seconds"}:
            np.testing.assert_array_equal(again.history_[field], course[field])


def test_equal_texts(tmp_path):
    """LIBLINEAR's and LIBSVM's formats."""
    for make, save in ((lambda: hingex.LinearSVC().fit(X, CLASSES), model_io.save_liblinear),
                       (lambda: hingex.LinearClassifier().fit(X, Y), model_io.save_liblinear),
                       (lambda: hingex.SVC(probability=True).fit(X, CLASSES), model_io.save_libsvm),
                       (lambda: hingex.SVR().fit(X, X[:, 1]), model_io.save_libsvm)):
        save(make(), tmp_path / "first")
        save(make(), tmp_path / "second")
        assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


SCRIPT = """
import sys
import numpy as np
from hingex import LinearSVC
from hingex.text import TextClassifier, TextVectorizer
documents = ["the red fox ran", "a green tree grew", "a red tree fell", "the green fox slept"] * 9
model = TextClassifier(LinearSVC(class_weight={"b": 2.0, "a": 1.0}),
                       TextVectorizer(stop_words={"the", "a", "ran", "fell"}, vocabulary={
                           "red", "green", "fox", "tree"}))
model.fit(documents, ["a", "b"] * 18).save(sys.argv[1])
"""


def test_other_processes_write_the_same(tmp_path):
    """Whatever the order of sets is there."""
    for seed in "01":
        subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path / seed)], check=True,
                       env=os.environ | {"PYTHONHASHSEED": seed})
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes()


def test_command_line_writes_the_same(tmp_path, capsys):
    pytest.importorskip("click", reason="click is not installed")
    from hingex.cli import main

    hingex.dump_svmlight_file(X, Y, tmp_path / "rows", zero_based=False)
    for name in "01":
        assert main(["train", str(tmp_path / "rows"), str(tmp_path / name)]) == 0
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes()
    capsys.readouterr()
    assert main(["info", str(tmp_path / "0")]) == 0
    assert "fit time" not in capsys.readouterr().out  # which the file does not know
    assert main(["info", "--json", str(tmp_path / "0")]) == 0
    assert '"seconds": null' in capsys.readouterr().out


def test_picture_of_a_loaded_model(tmp_path):
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    matplotlib.use("Agg")
    model = hingex.LinearSVC().fit(X, Y)
    model.save(tmp_path / "model")
    ax = hingex.plot.history(hingex.load(tmp_path / "model"))
    shown = model.history_[model.history_["gap"] > 0]
    assert ax.get_xlabel() == "epochs"
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), shown["epoch"])
    matplotlib.pyplot.close("all")
