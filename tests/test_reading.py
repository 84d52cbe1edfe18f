# SPDX-License-Identifier: BSD-3-Clause
"""How a training file was read is in the model; what is read and written loses nothing."""

import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("click")

from click.testing import CliRunner

import hingex
from hingex import LinearSVC, PegasosClassifier, load_svmlight_file, model_io
from hingex.blocks import SvmlightBlocks, save_blocks
from hingex.cli._app import app
from hingex.structured import ChainSVM, read_tagged, word_features
from hingex.text import TextClassifier, Texts, TextVectorizer, TsvBlocks, read_tsv

RUN = [sys.executable, "-c", "import sys; from hingex.cli import main; sys.exit(main())"]
ODD = ["", "a\rb", "a\x0bb", "a\x0cb", "a\x1cb", "a\x85b", "a\u2028b", "a\u2029b", "b\r"]


def run(*args, code=0, **options):
    result = CliRunner().invoke(app, [str(a) for a in args], **options)
    assert result.exit_code == code, (result.stderr, result.exception)
    if code == 1:
        assert result.stderr.splitlines()[-1].startswith("error: ")
        assert not result.stdout
    return result


def spawn(*args, env=(), **options):
    return subprocess.run([*RUN, *map(str, args)], capture_output=True, timeout=60, check=False,
                          env=os.environ | dict(env), **options)


# ------------------------------------------------------------------------------------- svmlight


@pytest.fixture
def svm(tmp_path):
    """The label is the sign of feature 1; with indices from 0 feature 0 is noise."""
    rng = np.random.default_rng(0)
    lines = []
    for i in range(60):
        label = 1 if i % 2 else -1
        lines.append(f"{label} 0:{rng.normal():.3f} 1:{label} 2:{-label if i % 3 else label}\n")
    (tmp_path / "zero").write_text("".join(lines))
    (tmp_path / "one").write_text("".join(line.split(" ", 1)[0] + " " + " ".join(
        line.split()[2:]) + "\n" for line in lines))  # the same rows, without index 0
    return tmp_path


def test_zero_based_is_kept(svm):
    run("train", svm / "zero", svm / "m", "--zero-based")
    assert hingex.load(svm / "m").reading_ == {"format": "svmlight", "zero_based": True}
    facts = json.loads(run("evaluate", svm / "m", svm / "one", "--json").stdout)
    assert facts["accuracy"] == 1
    found = run("predict", svm / "m", svm / "one").stdout.split()
    assert found == [str(int(v)) for v in load_svmlight_file(svm / "one")[1]]
    assert run("predict", svm / "m", svm / "one", "--zero-based").stdout.split() == found
    for command in ("predict", "evaluate"):
        error = run(command, svm / "m", svm / "one", "--one-based", code=1).stderr
        assert "--one-based contradicts it" in error
    run("train", svm / "one", svm / "m1")
    assert hingex.load(svm / "m1").reading_["zero_based"] is False
    assert "--zero-based contradicts it" in run(
        "predict", svm / "m1", svm / "one", "--zero-based", code=1).stderr
    assert "zero_based False" in run("info", svm / "m1").stdout
    shown = json.loads(run("info", svm / "m", "--json").stdout)
    assert shown["reading"] == {"format": "svmlight", "zero_based": True}
    refused = run("train", svm / "zero", svm / "l", "--zero-based", "--liblinear", code=2)
    assert "counts features from 1" in refused.stderr


def test_models_that_do_not_tell_leave_the_choice(svm):
    X, y = load_svmlight_file(svm / "zero", zero_based=True)
    LinearSVC().fit(X, y).save(svm / "m")
    assert not hasattr(hingex.load(svm / "m"), "reading_")
    assert json.loads(run("evaluate", svm / "m", svm / "zero", "--zero-based", "--json").stdout)[
        "accuracy"] == 1
    assert "--zero-based" in run("evaluate", svm / "m", svm / "zero", code=1).stderr
    model_io.save_liblinear(hingex.load(svm / "m"), svm / "l")
    run("predict", svm / "l", svm / "zero", "--zero-based")


@pytest.mark.parametrize("make", [LinearSVC, PegasosClassifier])
def test_auto_is_kept_as_decided(svm, make):
    for name, zero in (("zero", True), ("one", False)):
        model = make().fit_stream(str(svm / name))
        model.save(svm / "m")
        assert hingex.load(svm / "m").reading_ == {"format": "svmlight", "zero_based": zero}
    model = make().fit_stream(str(svm / "zero"))
    model.save(svm / "m")
    assert json.loads(run("evaluate", svm / "m", svm / "one", "--json").stdout)["accuracy"] == 1
    # Rows of arrays have no such convention, and a fit on them forgets that of the last one.
    X, y = load_svmlight_file(svm / "zero")
    assert not hasattr(model.fit(X, y), "reading_")
    model.fit_stream(str(svm / "zero"))
    assert not hasattr(model.fit_stream([(X, y)]), "reading_")
    model.fit_stream(save_blocks(SvmlightBlocks(svm / "zero"), svm / "npz"))
    assert not hasattr(model, "reading_")


def test_checkpoints_know_how_rows_were_read(svm):
    blocks = [SvmlightBlocks(svm / "one", zero_based=zero, n_features=4) for zero in (True, False)]
    LinearSVC().fit_stream(blocks[0], checkpoint=svm / "c")
    LinearSVC().fit_stream(blocks[0], checkpoint=svm / "c")
    with pytest.raises(ValueError, match="of another fit: reading was"):
        LinearSVC().fit_stream(blocks[1], checkpoint=svm / "c")


@pytest.mark.parametrize("reading", [
    1, {}, {"format": "csv"}, {"format": ["svmlight"]}, {"format": "svmlight"},
    {"format": "svmlight", "zero_based": 1}, {"format": "svmlight", "zero_based": True, "more": 1},
    {"format": "tsv", "encoding": "latin-1", "label_column": 0, "text_column": 1, "columns": None,
     "escapes": False},
    {"format": "tagged", "encoding": "utf-8", "word_column": -1, "tag_column": 1, "columns": None},
    np.zeros(3),
])
def test_readings_are_checked(svm, monkeypatch, reading):
    model = LinearSVC().fit([[0.0], [1.0]], [0, 1])
    model.reading_ = reading
    with pytest.raises(ValueError, match="reading_ "):
        model.save(svm / "m")
    with monkeypatch.context() as m:
        m.setattr(model_io, "check_reading", lambda found: None)
        model.save(svm / "m")
    with pytest.raises(model_io.ModelFormatError, match="m: reading_ "):
        hingex.load(svm / "m")


# ----------------------------------------------------------------------------------------- text

ESCAPED = "".join(f"{'spam' if i % 2 else 'ham'}\tx\\n{'buy' if i % 2 else 'hello'}\\ty\n"
                  for i in range(40))


@pytest.mark.parametrize("stream", [False, True])
def test_escapes_are_kept(tmp_path, stream):
    (tmp_path / "t").write_text(ESCAPED)
    run("text", "train", tmp_path / "t", tmp_path / "m", "--escapes", *["--stream"][:stream])
    model = hingex.load(tmp_path / "m")
    assert model.reading_ == {"format": "tsv", "encoding": "utf-8", "label_column": 0,
                              "text_column": 1, "columns": None, "escapes": True}
    assert sorted(model.vectorizer_.vocabulary_) == ["buy", "hello"]
    lines = "x\\nbuy\\ty\nx\\nhello\\ty\n"  # without --escapes "nbuy": no known word
    assert run("text", "predict", tmp_path / "m", input=lines).stdout == "spam\nham\n"
    assert run("text", "predict", tmp_path / "m", "--escapes", input=lines).stdout == "spam\nham\n"
    shown = run("text", "explain", tmp_path / "m", "--json", input=lines).stdout.splitlines()
    assert [json.loads(line)["terms"][0][0] for line in shown] == ["buy", "hello"]
    for command in ("predict", "explain"):
        error = run("text", command, tmp_path / "m", "--no-escapes", input=lines, code=1).stderr
        assert "--no-escapes contradicts it" in error
    assert "escapes True" in run("info", tmp_path / "m").stdout
    run("text", "train", tmp_path / "t", tmp_path / "m")
    assert "--escapes contradicts it" in run("text", "predict", tmp_path / "m", "--escapes",
                                             input=lines, code=1).stderr


def test_text_models_of_python(tmp_path):
    (tmp_path / "t").write_text(ESCAPED)
    texts, labels = read_tsv(tmp_path / "t", escapes=True)
    kept = {"format": "tsv", "encoding": "utf-8", "label_column": 0, "text_column": 1,
            "columns": None, "escapes": True}  # fmt: skip
    model = TextClassifier().fit(texts[::-1], labels[::-1])
    assert model.reading_ == kept
    assert not hasattr(model.fit(list(texts), labels), "reading_")
    model.save(tmp_path / "m")
    run("text", "predict", tmp_path / "m", "--escapes", input=b"buy\n")  # the user's choice
    blocks = TsvBlocks(tmp_path / "t", escapes=True)
    folder = tmp_path / "c"
    assert TextClassifier().fit_stream(blocks, checkpoint=folder).reading_ == kept
    again = TextClassifier().fit_stream(blocks, checkpoint=folder)
    assert again.reading_ == kept
    assert not hasattr(again.vectorizer_, "reading_")
    with pytest.raises(ValueError, match="of another fit: its file was read by"):
        TextClassifier().fit_stream(TsvBlocks(tmp_path / "t"), checkpoint=folder)
    assert Texts(b"ab", [0], [1]).reading is None


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "t").write_bytes(b"a\tone \xff\nb\ttwo\n" * 5)
    run("text", "train", tmp_path / "t", tmp_path / "m", "--decode-errors", "ignore")
    assert run("text", "predict", tmp_path / "m", input=b"one\xff\n").stdout == "a\n"
    assert "--decode-errors replace contradicts" in run(
        "text", "predict", tmp_path / "m", "--decode-errors", "replace", input=b"x\n", code=1
    ).stderr
    assert "line 1" in run("text", "predict", tmp_path / "m", "--decode-errors", "strict",
                           input=b"one\xff\n", code=1).stderr


def test_columns_of_texts_to_predict(tmp_path):
    rows = "".join(f"{i}\t{'good' if i % 2 else 'bad'}\t{'pos' if i % 2 else 'neg'}\tnote\n"
                   for i in range(20))
    (tmp_path / "t").write_text(rows)
    options = ["--text-column", 1, "--columns", 4]
    error = run("text", "train", tmp_path / "t", tmp_path / "m", "--text-column", 1,
                "--label-column", 2, code=1).stderr
    assert "need 3 columns with tabs between them; the line has 4" in error
    assert "--columns 4" in error
    run("text", "train", tmp_path / "t", tmp_path / "m", *options, "--label-column", 2)
    assert sorted(hingex.load(tmp_path / "m").vectorizer_.vocabulary_) == ["bad", "good"]
    found = run("text", "predict", tmp_path / "m", tmp_path / "t", *options)
    assert found.stdout.split() == ["neg", "pos"] * 10
    assert "labels" not in found.stderr
    # Lines with labels in the place they had in training are no plain texts.
    assert "seem to have labels" in run("text", "predict", tmp_path / "m", tmp_path / "t").stderr
    assert "seem to" not in run("text", "predict", tmp_path / "m", input=b"very\tgood\n").stderr
    run("text", "predict", tmp_path / "m", "--columns", 4, input=b"", code=2)


@pytest.mark.parametrize("stream", [False, True])
def test_text_after_a_second_tab_is_kept(tmp_path, stream):
    (tmp_path / "t").write_bytes(b"a\tone\ttwo\t\tthree\r\nb\tfour\n")
    run("text", "train", tmp_path / "t", tmp_path / "m", *["--stream"][:stream])
    vocabulary = hingex.load(tmp_path / "m").vectorizer_.vocabulary_
    assert sorted(vocabulary) == ["four", "one", "three", "two"]


def test_other_columns_are_not_dropped_in_silence(tmp_path):
    path = tmp_path / "t"
    path.write_bytes(b"text\tlabel\nmore\tlabel\tlost\n")
    with pytest.raises(ValueError, match=r"t, line 2: .* need 2 columns .*has 3.*columns=3"):
        read_tsv(path, 1, 0)
    path.write_bytes(b"a\tb\tc\nd\te\tf\n")
    texts, labels = read_tsv(path, columns=3)
    assert (list(texts), labels.tolist()) == (["b", "e"], ["a", "d"])
    path.write_bytes(b"a\tb\tc\nd\te\tf\tg\n")
    for bad, n in ((3, 4), (4, 3)):
        with pytest.raises(ValueError, match=f"expected {bad} columns .* got {n}"):
            read_tsv(path, columns=bad)
    with pytest.raises(ValueError, match="columns must be"):
        read_tsv(path, columns=1)
    path.write_bytes(b"the\tDET\tO\ncat\tNOUN\tO\n")
    with pytest.raises(ValueError, match=r"t, line 1: expected 2 columns .*got 3.*columns=3"):
        read_tagged(path)
    assert read_tagged(path, columns=3) == ([["the", "cat"]], [["DET", "NOUN"]])
    assert read_tagged(path, 0, 2) == ([["the", "cat"]], [["O", "O"]])
    path.write_bytes(b"the\tDET\n\t\ncat\tNOUN\n")
    with pytest.raises(ValueError, match="line 2: column 0 is empty"):
        read_tagged(path)


# ----------------------------------------------------------------------------------------- tags


def test_columns_of_tags_are_kept(tmp_path):
    words = [["the", "cat", "sleeps"], ["a", "dog", "barks"]]
    tags = ["DET", "NOUN", "VERB"]
    text = "\n".join("".join(f"{t}\t{i}\t{w}\n" for i, (w, t) in enumerate(
        zip(s, tags, strict=True))) for s in words)
    (tmp_path / "t").write_text(text)
    options = ["-C", 1, "--features", 4096, "--word-column", 2, "--tag-column", 0]
    run("tag", "train", tmp_path / "t", tmp_path / "m", *options)
    assert hingex.load(tmp_path / "m").reading_ == {
        "format": "tagged", "encoding": "utf-8", "word_column": 2, "tag_column": 0, "columns": None}
    expected = "the\tDET\ncat\tNOUN\nsleeps\tVERB\n\na\tDET\ndog\tNOUN\nbarks\tVERB\n\n"
    assert run("tag", "predict", tmp_path / "m", tmp_path / "t").stdout == expected
    assert run("tag", "predict", tmp_path / "m", "--word-column", 2,
               tmp_path / "t").stdout == expected
    alone = "\n".join("".join(f"{w}\n" for w in s) for s in words)
    assert run("tag", "predict", tmp_path / "m", input=alone).stdout == expected
    assert "--word-column 0 contradicts it" in run(
        "tag", "predict", tmp_path / "m", "--word-column", 0, input=alone, code=1).stderr
    for bad, text in ((b"x\tthe\n", "2 columns"), (b"x\t1\tthe\tmore\n", "expected 3 columns"),
                      (b"the\n1\t2\tcat\n", "expected 1 columns")):
        assert text in run("tag", "predict", tmp_path / "m", input=bad, code=1).stderr
    assert "word_column 2" in run("info", tmp_path / "m").stdout
    # A model of Python has no columns: they are the user's choice, as before.
    tagger = ChainSVM(1.0, n_features=4096).fit([word_features(s) for s in words], [tags, tags])
    tagger.save(tmp_path / "p")
    assert run("tag", "predict", tmp_path / "p", "--word-column", 2,
               tmp_path / "t").stdout == expected
    loaded = hingex.load(tmp_path / "m")
    assert not hasattr(loaded.fit([word_features(s) for s in words], [tags, tags]), "reading_")


# --------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize("label", ODD)
def test_labels_that_are_no_line_are_refused_in_training(tmp_path, label):
    path = tmp_path / "t"
    path.write_bytes(f"ham\thello\n{label}\tbuy\n".encode())
    for stream in ([], ["--stream"]):
        error = run("text", "train", path, tmp_path / "m", *stream, code=1).stderr
        assert f"{path}, line 2: the label " in error
    if label and not label.endswith("\r"):
        path.write_bytes(f"the\tDET\ncat\t{label}\n".encode())
        error = run("tag", "train", path, tmp_path / "m", code=1).stderr
        assert f"{path}, line 2: the tag " in error
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("label", [*ODD, "b\n", "\ud800"])
def test_labels_that_are_no_line_are_not_printed(tmp_path, label):
    y = ["ham", label] * 5
    (tmp_path / "x").write_text("1 1:1\n")
    TextClassifier().fit(["hello", "buy"] * 5, y).save(tmp_path / "text")
    LinearSVC().fit([[0.0], [1.0]] * 5, y).save(tmp_path / "svm")
    ChainSVM(1.0, n_features=64).fit([word_features(["hello", "buy"])] * 5, [["ham", label]] * 5
                                     ).save(tmp_path / "tag")
    said = "has a name that is empty or of several lines"
    assert said in run("text", "predict", tmp_path / "text", input=b"buy\n", code=1).stderr
    assert said in run("text", "explain", tmp_path / "text", input=b"buy\n", code=1).stderr
    assert said in run("tag", "predict", tmp_path / "tag", input=b"buy\n", code=1).stderr
    assert said in run("predict", tmp_path / "svm", tmp_path / "x", code=1).stderr
    assert said in run("predict", tmp_path / "svm", tmp_path / "x", "-o", tmp_path / "o",
                       code=1).stderr
    found = json.loads(run("predict", tmp_path / "svm", tmp_path / "x", "--json").stdout)
    assert found["labels"] == [label]
    for name in ("text", "svm", "tag"):  # a label takes no line of its own in the table
        lines = run("info", tmp_path / name).stdout
        assert len(lines.splitlines()) == lines.count("\n")


def test_labels_come_out_as_they_were_read(tmp_path):
    labels = ["a b", r"c\nd", "é\u00a0", "\\"]
    (tmp_path / "t").write_bytes("".join(f"{k}\tword{i} word{i}\n" for i, k in enumerate(labels))
                                 .encode())
    for escapes in ([], ["--escapes"]):
        run("text", "train", tmp_path / "t", tmp_path / "m", *escapes)
        found = run("text", "predict", tmp_path / "m", input=b"word0\nword1\nword2\nword3\n")
        assert found.stdout == "".join(label + "\n" for label in labels)
    (tmp_path / "t").write_bytes(b"a\tx\na\0\ty\n")  # arrays of str would make one label of them
    with pytest.raises(ValueError, match=r"line 2: the label 'a.x00' ends with a NUL"):
        read_tsv(tmp_path / "t")


def test_terms_with_line_ends_are_escaped(tmp_path):
    model = TextClassifier(vectorizer=TextVectorizer(analyzer="char", ngram_range=(2, 2)))
    model.fit(["a\u2028b", "c d"] * 5, ["x", "y"] * 5).save(tmp_path / "m")
    shown = run("text", "explain", tmp_path / "m", input="a\u2028b\n".encode()).stdout
    assert len(shown.splitlines()) == 1
    assert r"'a\u2028' +" in shown


# ------------------------------------------------------------------------------ files and output


def test_compressed_input_of_every_command(tmp_path, svm):
    tsv = "".join(f"{'spam' if i % 2 else 'ham'}\t{'buy' if i % 2 else 'hello'}\n"
                  for i in range(20)).encode()
    tags = b"the\tDET\ncat\tNOUN\n\na\tDET\ndog\tNOUN\n"
    data = (svm / "one").read_bytes()
    for pack in (gzip.compress, bz2.compress, lzma.compress):
        for name, content in (("t", tsv), ("g", tags), ("s", data)):
            (tmp_path / name).write_bytes(pack(content))
        run("text", "train", tmp_path / "t", tmp_path / "tm", "--test", tmp_path / "t")
        run("tag", "train", tmp_path / "g", tmp_path / "gm", "--test", tmp_path / "g")
        run("train", tmp_path / "s", tmp_path / "sm")
        packed = pack(b"buy\nhello\n")
        (tmp_path / "l").write_bytes(packed)
        for more, options in ((["-"], {"input": packed}), ([tmp_path / "l"], {})):
            assert run("text", "predict", tmp_path / "tm", *more,
                       **options).stdout == "spam\nham\n"
            assert len(run("text", "explain", tmp_path / "tm", *more,
                           **options).stdout.splitlines()) == 2
        assert run("tag", "predict", tmp_path / "gm", input=pack(b"the\ndog\n")).stdout == (
            "the\tDET\ndog\tNOUN\n\n")
        for options in ({"input": pack(data)}, {}):
            source = "-" if options else tmp_path / "s"
            assert len(run("predict", tmp_path / "sm", source, **options).stdout.split()) == 60
            run("evaluate", tmp_path / "sm", source, **options)


def test_files_that_are_cut_off(tmp_path, svm):
    rng = np.random.default_rng(0)
    text = "".join(f"{'ab'[i % 2]}\t{rng.random()}\n" for i in range(500)).encode()
    (tmp_path / "t.tsv.gz").write_bytes(gzip.compress(text)[:-100])
    (tmp_path / "ok.tsv").write_bytes(text)
    run("text", "train", tmp_path / "ok.tsv", tmp_path / "m", "--analyzer", "char")
    run("train", svm / "one", tmp_path / "s")
    (tmp_path / "s.gz").write_bytes(gzip.compress((svm / "one").read_bytes())[:-3])
    for args in (("text", "train", tmp_path / "t.tsv.gz", tmp_path / "x"),
                 ("text", "train", "--stream", tmp_path / "t.tsv.gz", tmp_path / "x"),
                 ("text", "train", tmp_path / "ok.tsv", tmp_path / "x", "--test",
                  tmp_path / "t.tsv.gz"),
                 ("text", "predict", tmp_path / "m", tmp_path / "t.tsv.gz"),
                 ("text", "explain", tmp_path / "m", tmp_path / "t.tsv.gz"),
                 ("tag", "train", tmp_path / "t.tsv.gz", tmp_path / "x"),
                 ("train", tmp_path / "s.gz", tmp_path / "x"),
                 ("predict", tmp_path / "s", tmp_path / "s.gz"),
                 ("evaluate", tmp_path / "s", tmp_path / "s.gz")):  # fmt: skip
        result = CliRunner().invoke(app, [str(a) for a in args])
        assert result.exit_code == 1
        assert "Aborted" not in result.stderr
        last = result.stderr.splitlines()[-1]
        assert last.startswith("error: ")
        assert ".gz: broken compressed data: gzip: the file is cut off" in last


def test_long_lines_of_every_command(tmp_path, svm):
    run("train", svm / "one", tmp_path / "s")
    (tmp_path / "t").write_bytes(b"a\tone\nb\ttwo\n")
    run("text", "train", tmp_path / "t", tmp_path / "tm")
    run("tag", "train", tmp_path / "t", tmp_path / "gm")
    limit = ["--max-line-bytes", 4]
    for args in (("train", svm / "one", tmp_path / "x"), ("predict", tmp_path / "s", svm / "one"),
                 ("evaluate", tmp_path / "s", svm / "one"),
                 ("text", "train", tmp_path / "t", tmp_path / "x"),
                 ("text", "train", "--stream", tmp_path / "t", tmp_path / "x"),
                 ("text", "predict", tmp_path / "tm", tmp_path / "t"),
                 ("text", "explain", tmp_path / "tm", tmp_path / "t"),
                 ("tag", "train", tmp_path / "t", tmp_path / "x"),
                 ("tag", "predict", tmp_path / "gm", tmp_path / "t")):  # fmt: skip
        assert "line 1: longer than 4 bytes" in run(*args, *limit, code=1).stderr


def test_marks_at_the_beginning_are_no_text(tmp_path):
    (tmp_path / "t").write_bytes(b"a\tbx\nb\tcx\n" * 5)
    run("text", "train", tmp_path / "t", tmp_path / "m", "--analyzer", "char", "--ngrams", 1, 2)
    shown = [run("text", "explain", tmp_path / "m", "--json", input=start + b"bx\n").stdout
            for start in (b"", b"\xef\xbb\xbf")]
    assert shown[0] == shown[1]


@pytest.mark.parametrize("env", [{"PYTHONIOENCODING": "cp1252"}, {"PYTHONIOENCODING": "ascii"},
                                 {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}])
def test_output_is_utf8_whatever_the_locale(tmp_path, env):
    label, word = "приве́т", "мир"
    (tmp_path / "t").write_bytes(f"{label}\t{word} да\nham\thello\n".encode() * 5)
    (tmp_path / "g").write_bytes(f"{word}\t{label}\nhello\tX\n\n".encode() * 5)
    run("text", "train", tmp_path / "t", tmp_path / "m")
    run("tag", "train", tmp_path / "g", tmp_path / "g.m")
    LinearSVC().fit([[0.0], [1.0]] * 5, ["ham", label] * 5).save(tmp_path / "svm")
    (tmp_path / "x").write_text("1 1:1\n")
    line = f"{word}\n".encode()
    for args, expected in (
        (("text", "predict", tmp_path / "m"), f"{label}\n"),
        (("text", "explain", tmp_path / "m"), f"{label} (not ham"),
        (("tag", "predict", tmp_path / "g.m"), f"{word}\t{label}\n\n"),
        (("predict", tmp_path / "svm", tmp_path / "x"), f"{label}\n"),
    ):
        done = spawn(*args, env=env, input=line)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(expected.encode())
    done = spawn("predict", tmp_path / "svm", tmp_path / "x", "-o", tmp_path / "o", env=env)
    assert (tmp_path / "o").read_bytes() == f"{label}\n".encode()
    for name in ("m", "g.m", "svm"):
        done = spawn("info", tmp_path / name, env=env)
        assert label.encode() in done.stdout
    done = spawn("text", "predict", tmp_path / f"{word}.none", env=env, input=line)
    assert done.returncode == 1
    assert f"{word}.none".encode() in done.stderr


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are Unicode there")
def test_names_of_files_that_are_no_utf8(tmp_path):
    (tmp_path / "t").write_bytes(b"a\tone\nb\ttwo\n")
    path = os.fsencode(tmp_path) + b"/m\xff"
    done = subprocess.run([*RUN, "text", "train", str(tmp_path / "t"), path], timeout=60,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"/m\xff (" in done.stdout
    assert os.path.exists(path)


def test_output_of_the_caller_is_left_alone(tmp_path, capfd):
    code = """if 1:
        import sys
        from hingex.cli import main
        assert main(["info", "none"]) == 1
        print(sys.stdout.encoding, sys.stdout.errors, sys.stderr.encoding)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
                          check=True, env=os.environ | {"PYTHONIOENCODING": "cp1252:replace"})
    assert done.stdout.split() == ["cp1252", "replace", "cp1252"]
