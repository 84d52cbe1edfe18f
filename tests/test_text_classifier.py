# SPDX-License-Identifier: BSD-3-Clause
"""Raw text to labels: the parts' results in one object, one file and one command."""

import copy
import gzip
import json
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import hingex
from hingex import (
    LinearClassifier,
    LinearSVC,
    LinearSVCCV,
    NotFittedError,
    PegasosClassifier,
    model_io,
)
from hingex.text import TextClassifier, TextVectorizer, TsvBlocks, read_tsv

WORDS = np.array(["sun", "moon", "star", "rain", "snow", "wind", "tree", "leaf", "root", "fish",
                  "bird", "wolf", "Öl", "été", "дом", "水"])


def corpus(n=120, classes=3, seed=0):
    """Documents of which some words tell the class."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    texts = []
    for k in y:
        common = rng.choice(WORDS, 4)
        own = rng.choice(WORDS[4 * k : 4 * k + 4], 3)
        texts.append(" ".join(rng.permutation(np.r_[common, own])))
    return texts, np.array(["a", "b", "c", "d"])[y]


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("classifier", [
    None, LinearSVC("hinge", C=3.0), LinearSVC(multi_class="crammer_singer"),
    LinearClassifier("logistic"), PegasosClassifier(max_iter=5, early_stopping=None),
])
def test_is_its_parts(classifier, classes):
    X, y = corpus(classes=classes)
    vectorizer = TextVectorizer(ngram_range=(1, 2))
    model = TextClassifier(classifier, vectorizer).fit(X, y)
    rows = TextVectorizer(ngram_range=(1, 2)).fit_transform(X)
    linear = LinearSVC() if classifier is None else copy.deepcopy(classifier)
    linear.fit(rows, y)
    assert_array_equal(model.decision_function(X), linear.decision_function(rows))
    assert_array_equal(model.predict(X), linear.predict(rows))
    assert_array_equal(model.classes_, linear.classes_)
    assert model.n_features_in_ == rows.shape[1]
    assert model.score(X, y) == linear.score(rows, y) > 0.8
    # The parts that were given are as they were.
    with pytest.raises(NotFittedError):
        vectorizer.transform(X)
    if classifier is not None:
        with pytest.raises(NotFittedError):
            classifier.predict(rows)


def test_weights():
    X, y = corpus()
    weight = np.arange(len(y)) % 4.0
    model = TextClassifier().fit(X, y, weight)
    rows = TextVectorizer().fit_transform(X)
    assert_array_equal(model.classifier_.coef_, LinearSVC().fit(rows, y, weight).coef_)


def test_probabilities_if_there_are_any():
    X, y = corpus()
    model = TextClassifier(LinearClassifier("logistic")).fit(X, y)
    assert_allclose(model.predict_proba(X).sum(axis=1), 1)
    assert not hasattr(TextClassifier().fit(X, y), "predict_proba")


@pytest.mark.parametrize("classes", [2, 4])
def test_explanations_add_up(classes):
    X, y = corpus(classes=classes)
    X = [*X, "", "unheard of"]
    y = np.append(y, ["a", "b"])
    model = TextClassifier(LinearSVC(tol=1e-6)).fit(X, y)
    scores = model.decision_function(X)
    predicted = model.predict(X)
    for i, told in enumerate(model.explain(X, top=100)):
        assert told.label == predicted[i] != told.other
        if classes == 2:
            margin = abs(scores[i])
        else:
            ranked = np.sort(scores[i])
            margin = ranked[-1] - ranked[-2]
            at = {label: k for k, label in enumerate(model.classes_)}
            assert scores[i, at[told.other]] == ranked[-2]
        assert_allclose(told.margin, margin, rtol=1e-12)
        parts = [part for _, part in told.terms]
        assert_allclose(sum(parts) + told.intercept, margin, rtol=1e-6, atol=1e-9)
        assert parts == sorted(parts, key=abs, reverse=True)
        assert {term for term, _ in told.terms} <= set(X[i].lower().split())
    assert model.explain([""])[0].terms == []
    best = model.explain([X[0]], top=1)[0].terms
    assert best == model.explain([X[0]])[0].terms[:1]


@pytest.mark.parametrize("model", [
    TextClassifier(),
    TextClassifier(LinearClassifier(0.5 * hingex.losses.Hinge() + 0.5 * hingex.losses.Logistic()),
                   TextVectorizer(analyzer="char_wb", ngram_range=(2, 3), stop_words=None)),
    TextClassifier(PegasosClassifier(callback=lambda state: False, max_iter=3,
                                     early_stopping=None), TextVectorizer(stop_words=["sun"])),
    TextClassifier(LinearSVC("hinge"), TextVectorizer(method="hashing", n_features=500)),
])
def test_saved_and_pickled(model, tmp_path):
    X, y = corpus()
    model.fit(X, y)
    model.save(tmp_path / "m")
    for other in (hingex.load(tmp_path / "m"), copy.deepcopy(model)):
        assert_array_equal(other.decision_function(X), model.decision_function(X))
        assert type(other.classifier_) is type(model.classifier_)
        # What was read is trained as what was written.
        other.fit(X, y)
        assert_array_equal(other.decision_function(X), model.decision_function(X))
    if model.classifier is None:
        again = pickle.loads(pickle.dumps(model))
        assert_array_equal(again.predict(X), model.predict(X))


def test_damaged_files_are_refused(tmp_path):
    X, y = corpus()
    model = TextClassifier().fit(X, y)
    path = tmp_path / "m"
    model.save(path)
    data = bytearray(path.read_bytes())
    for place in (20, len(data) // 2, len(data) - 3):
        damaged = data.copy()
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        with pytest.raises(model_io.ModelFormatError):
            hingex.load(path)
    path.write_bytes(data[:-1])
    with pytest.raises(model_io.ModelFormatError):
        hingex.load(path)
    model.classifier_.coef_ = model.classifier_.coef_[:, :-1].copy()
    with pytest.raises(ValueError, match="coef_ has shape"):
        model.save(path)
    model.classifier_.n_features_in_ -= 1
    with pytest.raises(ValueError, match=r"the vectorizer has \d+ terms, the classifier"):
        model.save(path)


def test_bad_input():
    X, y = corpus()
    for kind in (42, hingex.CalibratedClassifier(), TextVectorizer()):
        with pytest.raises(TypeError, match="classifier must be one of LinearSVC"):
            TextClassifier(kind).fit(X, y)
    with pytest.raises(TypeError, match="vectorizer must be a TextVectorizer; got str"):
        TextClassifier(vectorizer="tfidf").fit(X, y)
    with pytest.raises(NotFittedError):
        TextClassifier().predict(X)
    with pytest.raises(AttributeError):
        _ = TextClassifier().classes_
    with pytest.raises(ValueError, match="120"):
        TextClassifier().fit(X, y[:-1])
    with pytest.raises(UnicodeDecodeError, match=r"documents\[1\]"):
        TextClassifier().fit([b"a good one", b"\xff"], ["a", "b"])
    with pytest.raises(AttributeError, match="keeps no terms"):
        TextClassifier(vectorizer=TextVectorizer(method="hashing")).fit(X, y).explain(X)
    with pytest.raises(ValueError, match="top"):
        TextClassifier().fit(X, y).explain(X, top=0)


# ---- command line -------------------------------------------------------------------------------


def run(*args, code=0, **options):
    pytest.importorskip("click")
    from click.testing import CliRunner

    from hingex.cli._app import app

    result = CliRunner().invoke(app, [str(a) for a in args], **options)
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def files(tmp_path):
    for name, seed in (("train", 0), ("test", 1)):
        X, y = corpus(300, seed=seed)
        lines = "".join(f"{label}\t{text}\n" for text, label in zip(X, y, strict=True))
        (tmp_path / f"{name}.tsv").write_text(lines, encoding="utf-8")
        with gzip.open(tmp_path / f"{name}.tsv.gz", "wt", encoding="utf-8") as file:
            file.write(lines)
        (tmp_path / f"{name}.txt").write_text("\n".join(X) + "\n", encoding="utf-8")
    return tmp_path


def test_train_predict_explain(files):
    done = run("text", "train", files / "train.tsv", files / "m", "--test", files / "test.tsv.gz",
               "--ngrams", 1, 2, "--min-df", 2, "--sublinear-tf", "-C", 2)
    assert "300 documents" in done.stderr
    assert "MB/s" in done.stdout
    model = hingex.load(files / "m")
    texts, labels = read_tsv(files / "train.tsv")
    same = TextClassifier(LinearSVC("squared_hinge", C=2.0), TextVectorizer(
        ngram_range=(1, 2), min_df=2, sublinear_tf=True)).fit(texts, labels)
    assert_array_equal(model.classifier_.coef_, same.classifier_.coef_)
    test, true = read_tsv(files / "test.tsv")
    assert f"accuracy  {same.score(test, true):.4f} on" in done.stdout

    found = run("text", "predict", files / "m", files / "test.txt")
    assert found.stdout.split("\n")[:-1] == same.predict(test).tolist()
    assert "300 lines" in found.stderr
    piped = run("text", "predict", files / "m", "-q", input=(files / "test.txt").read_bytes())
    assert piped.stdout == found.stdout
    assert piped.stderr == ""
    # The last line may lack its end, and lines may be empty or end as on Windows.
    odd = run("text", "predict", files / "m", input="sun moon\r\n\nöl été".encode())
    assert odd.stdout.split() == same.predict(["sun moon", "", "öl été"]).tolist()

    told = run("text", "explain", files / "m", "--json", "-n", 3, input=b"sun moon star\n\n")
    first, second = (json.loads(line) for line in told.stdout.splitlines())
    exact = same.explain(["sun moon star"], top=3)[0]
    assert first["label"] == exact.label
    assert [tuple(term) for term in first["terms"]] == exact.terms
    assert second["terms"] == []
    plain = run("text", "explain", files / "m", input=b"sun moon star\n").stdout
    assert plain.startswith(f"{exact.label} (not {exact.other}, by ")

    shown = run("info", files / "m")
    assert "TextVectorizer(" in shown.stdout
    assert "LinearSVC(" in shown.stdout
    assert json.loads(run("info", files / "m", "--json").stdout)["documents"] == 300


def test_blocks_do_not_matter(files, monkeypatch):
    from hingex.cli import text as command

    run("text", "train", files / "train.tsv", files / "m", "-q")
    whole = run("text", "predict", files / "m", files / "test.txt").stdout
    monkeypatch.setattr(command, "_BLOCK", 97)
    assert run("text", "predict", files / "m", files / "test.txt").stdout == whole
    bad = b"sun\n" * 100 + b"\xff moon\n"
    assert "standard input, line 101" in run("text", "predict", files / "m", input=bad,
                                             code=1).stderr
    loose = run("text", "predict", files / "m", "--decode-errors", "ignore", input=bad)
    assert len(loose.stdout.split()) == 101


def test_errors_of_the_command_line(files):
    run("text", "train", files / "train.tsv", files / "m", "-q")
    (files / "one.tsv").write_text("a\tsun\nb moon\n")
    assert "line 2" in run("text", "train", files / "one.tsv", files / "x", code=1).stderr
    assert not (files / "x").exists()
    assert "is TRAIN itself" in run(
        "text", "train", files / "train.tsv", files / "train.tsv", code=1).stderr
    assert "use `hingex text`" in run("predict", files / "m", files / "train.tsv", code=1).stderr
    X, y = np.eye(4), [0, 1, 0, 1]
    LinearSVC().fit(X, y).save(files / "svm")
    assert "holds a LinearSVC" in run("text", "predict", files / "svm", code=1, input=b"").stderr
    assert run("text", "train", files / "none.tsv", files / "x", code=1).stderr.startswith("error")
    data = json.loads(run("text", "train", files / "train.tsv", files / "m", "--json").stdout)
    assert data["documents"] == 300
    assert data["converged"] is True


# ---- more text than memory ---------------------------------------------------------------------


@pytest.fixture
def tsv(tmp_path):
    rng = np.random.default_rng(0)
    words = np.array([f"w{i}" for i in range(300)] + ["été", "naïve"])
    lines = []
    for i in range(500):
        label = "spam" if i % 3 == 0 else "ham"
        chosen = rng.choice(words, 12)
        lines.append(f"{label}\t{' '.join(chosen)} {label if rng.random() < 0.8 else ''}")
    path = tmp_path / "train.tsv"
    path.write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("size", [1, 40, 1000, 10**6])
def test_blocks_of_a_file_are_all_of_it(tsv, size):
    texts, labels = read_tsv(tsv)
    blocks = TsvBlocks(tsv, block_size=size)
    for _ in range(2):
        parts = list(blocks)
        assert [text for part, _ in parts for text in part] == list(texts)
        assert np.array_equal(np.concatenate([part for _, part in parts]), labels)
        named = [part.name(i) for part, _ in parts for i in range(len(part))]
        assert named == [texts.name(i) for i in range(len(texts))]


def test_a_fit_on_blocks_is_that_on_all(tsv, tmp_path):
    texts, labels = read_tsv(tsv)
    whole = TextClassifier(LinearSVC(tol=1e-6)).fit(texts, labels)
    blocks = TsvBlocks(tsv, block_size=2000)
    for model in (TextClassifier(LinearSVC(tol=1e-6)).fit_stream(blocks),
                  TextClassifier(LinearSVC(tol=1e-6)).fit_stream(list(blocks)),
                  TextClassifier(LinearSVC(tol=1e-6)).fit_stream(str(tsv))):  # fmt: skip
        assert model.vectorizer_.vocabulary_ == whole.vectorizer_.vocabulary_
        assert np.array_equal(model.vectorizer_.idf_, whole.vectorizer_.idf_)
        np.testing.assert_allclose(model.classifier_.primal_objective_,
                                   whole.classifier_.primal_objective_, rtol=2e-6)  # fmt: skip
        assert (model.predict(texts) == whole.predict(texts)).mean() > 0.99
    hashed = TextVectorizer("hashing", n_features=1024, use_idf=False)
    stepwise = TextClassifier(PegasosClassifier(), hashed).fit_stream(blocks, 5)
    assert stepwise.score(texts, labels) > 0.8
    # A checkpoint: the second time all is there, and nothing is learned.
    folder = tmp_path / "kept"
    first = TextClassifier().fit_stream(blocks, checkpoint=folder)
    again = TextClassifier().fit_stream(blocks, checkpoint=folder)
    assert np.array_equal(first.classifier_.coef_, again.classifier_.coef_)
    with pytest.raises(ValueError, match="of another fit"):
        TextClassifier(vectorizer=TextVectorizer(min_df=2)).fit_stream(blocks, checkpoint=folder)


def test_wrong_lines_of_blocks_are_named(tsv):
    with open(tsv, "ab") as file:
        file.write(b"\nham\t\xff\xfe\nham")
    blocks = TsvBlocks(tsv, block_size=500)
    with pytest.raises(UnicodeDecodeError, match=r"train.tsv, line 501"):
        TextClassifier().fit_stream(UpTo(blocks, 501))
    with pytest.raises(ValueError, match=r"train.tsv, line 502.*has 1"):
        TextClassifier(vectorizer=TextVectorizer(decode_error="ignore")).fit_stream(blocks)
    with pytest.raises(TypeError, match="go through twice"):
        TextClassifier().fit_stream(iter(blocks))
    with pytest.raises(TypeError, match="LinearClassifier has no fit_stream"):
        TextClassifier(LinearClassifier()).fit_stream(blocks)
    with pytest.raises(TypeError, match="LinearSVCCV has no fit_stream"):
        LinearSVCCV().fit_stream([([[1.0]], [1])])
    tsv.write_bytes(b"")
    with pytest.raises(ValueError, match="the file is empty"):
        TextClassifier().fit_stream(tsv)


class UpTo:
    """The blocks up to those that come to a line."""

    def __init__(self, blocks, line):
        self.blocks, self.line = blocks, line

    def __iter__(self):
        seen = 0
        for block in self.blocks:
            yield block
            seen += len(block[0])
            if seen >= self.line:
                return


@pytest.mark.parametrize("use_idf", [False, True])
@pytest.mark.parametrize("checkpoint", [False, True])
def test_streamed_models_that_hash_are_kept(tmp_path, use_idf, checkpoint):
    """Without idf the vectorizer needs no fit, and so has no number of documents to store."""
    texts = ["good film", "bad film", "very good day", "bad bad day"]
    blocks = [(texts[:2], ["p", "n"]), (texts[2:], ["p", "n"])]
    vectorizer = TextVectorizer("hashing", n_features=256, use_idf=use_idf)
    more = {"checkpoint": str(tmp_path / "folder")} if checkpoint else {}
    model = TextClassifier(vectorizer=vectorizer).fit_stream(blocks, **more)
    model.save(tmp_path / "m")
    again = hingex.load(tmp_path / "m")
    assert_array_equal(again.decision_function(texts), model.decision_function(texts))
    TextClassifier(vectorizer=vectorizer).fit_stream(blocks, **more).save(tmp_path / "n")
    assert (tmp_path / "n").read_bytes() == (tmp_path / "m").read_bytes()


def test_a_vectorizer_that_needs_no_fit_is_kept(tmp_path):
    vectorizer = TextVectorizer("hashing", n_features=256, use_idf=False)
    vectorizer.save(tmp_path / "m")
    found = hingex.load(tmp_path / "m").transform(["good film", "film"])
    assert (found != vectorizer.transform(["good film", "film"])).nnz == 0
    for params in ({}, {"method": "hashing"}):
        with pytest.raises(hingex.NotFittedError):
            TextVectorizer(**params).save(tmp_path / "n")
