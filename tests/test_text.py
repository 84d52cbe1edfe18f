# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: RUF001 - letters that look like others are what is tested
"""Raw text to features: scikit-learn's rows for the same options, all of Unicode, bad input."""

import gzip
import os
import pickle
import re
import sys
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.pipeline import make_pipeline
from sklearn.utils import murmurhash3_32

import hingex
from hingex import model_io
from hingex._core import kernels
from hingex.text import Texts, TextVectorizer, read_tsv
from hingex.text._characters import ENGLISH, characters

DATA = Path(os.environ.get("HINGEX_DATA", Path(__file__).parents[2] / "shared" / "data"))
PATTERN = r"(?u)\b\w\w+\b"

# What goes wrong first: lower case that is longer, shorter or depends on its neighbours, marks,
# characters beyond 16 bits, white space of all kinds, lone surrogates, NUL, sizes around 8 and 16.
NASTY = [
    "",
    " ",
    "a",
    "é",
    "éa",
    "plain ASCII text, with some_underscores and 12 numbers 3.14",
    "ΟΔΥΣΣΕΥΣ ΣΑΣ ΣΣ Σ ΑΣ. ΑΣΑ Α'Σ ΑΣ'Α ΑΣ\u0301 ΑΣ\u0301Α aΣ\u00adb",
    "İstanbul IİI İ İİ DİYARBAKIR",
    "\u1e9eharp STRASSE ß Straße ﬁne Ǆ ǅ ǆ",
    "\u212aelvin \u212bngstrom \u2126hm Ⱥ Ⱦ ȺȾⱯ",
    "re\u0301sume\u0301 résumé a\u0300b क्षि ที่นี่",
    "emoji 😀😀 👩‍👩‍👧 a😀b 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐐀𐐁𐐂 𐐨𐐩",
    "٣٤٥ ۱۲۳ ½¼ ²³ ⅷ Ⅷ ①②③ ९०",
    "a\x00b \x00\x00 ab\x00cd\x00",
    "x\x1cy\x1dz\x1e  q\x85r\xa0s\u2003\u2003t\u3000u\u200bv\ufeffw",
    "tab\tnew\nline\r\nform\x0cfeed\x0bvertical   many    blanks",
    "surrogates \ud800 a\udc80b \udfff\udfff x\ud83d\ude00y",
    "_ __ ___ _a a_ a_b",
    "don't can't l'été O'Neill rock'n'roll e.g. U.S.A.",
    "seven77 eight888 nine99999 fifteen15151515 sixteen161616161 seventeen17171717 "
    + "w" * 31 + " " + "w" * 32 + " " + "w" * 33 + " " + "ü" * 40,
    "漢字かな交じり文 中文 한국어 ไทย עברית العربية",
    "the the the cat sat on the mat and the cat saw the other cat",
    "K" * 15 + "é" + "A" * 16 + "É" + "z" * 17 + "ÉÉÉ É",
]


def peer(**params):
    """scikit-learn's estimator for our parameters, at float64."""
    params.setdefault("dtype", np.float64)
    if params.pop("method", "vocabulary") == "vocabulary":
        return TfidfVectorizer(**params)
    idf = {k: params.pop(k) for k in ("use_idf", "smooth_idf", "sublinear_tf") if k in params}
    norm = params.pop("norm", "l2")
    first = HashingVectorizer(norm=None, **params)
    return make_pipeline(first, TfidfTransformer(norm=norm, **idf))


def same_rows(ours, theirs, rtol=1e-12):
    assert ours.shape == theirs.shape
    theirs.sort_indices()
    np.testing.assert_array_equal(ours.indptr, theirs.indptr)
    np.testing.assert_array_equal(ours.indices, theirs.indices)
    np.testing.assert_allclose(ours.data, theirs.data, rtol=rtol, atol=0)


def compare(documents, rtol=1e-12, **params):
    """Both libraries on the same documents; returns our fitted vectorizer."""
    ours = TextVectorizer(dtype=params.pop("dtype", np.float64), **params)
    theirs = peer(**params)
    expected = theirs.fit_transform(documents)
    same_rows(ours.fit_transform(documents), expected, rtol)
    same_rows(TextVectorizer(**ours.get_params()).fit(documents).transform(documents), expected,
              rtol)
    if params.get("method", "vocabulary") == "vocabulary":
        assert list(ours.get_feature_names_out()) == list(theirs.get_feature_names_out())
        assert ours.vocabulary_ == theirs.vocabulary_
        if params.get("use_idf", True):
            np.testing.assert_allclose(ours.idf_, theirs.idf_, rtol=1e-15)
    return ours


# ----------------------------------------------------------------------------- as scikit-learn


@pytest.mark.parametrize("params", [
    {},
    {"ngram_range": (1, 2)},
    {"ngram_range": (2, 4)},
    {"ngram_range": (3, 3), "use_idf": False},
    {"lowercase": False},
    {"lowercase": False, "ngram_range": (1, 3)},
    {"stop_words": ["the", "on", "été", "can", "w" * 32]},
    {"stop_words": ["the", "cat"], "ngram_range": (1, 3), "norm": "l1"},
    {"token_pattern": r"(?u)\b\w+\b"},
    {"token_pattern": r"\w+", "ngram_range": (1, 2)},
    {"token_pattern": r"[a-zé]+"},
    {"token_pattern": r"(\w)\w*", "ngram_range": (2, 2)},
    {"token_pattern": r"\w*"},  # which finds empty tokens
    {"token_pattern": r"\S+\s?", "lowercase": False, "ngram_range": (1, 2)},
    {"strip_accents": "unicode"},
    {"strip_accents": "ascii", "ngram_range": (1, 2)},
    {"strip_accents": "unicode", "lowercase": False, "token_pattern": r"\w+."},
    {"strip_accents": "ascii", "analyzer": "char", "ngram_range": (1, 3)},
    {"min_df": 2},
    {"min_df": 0.05, "max_df": 0.5},
    {"max_df": 1, "binary": True},
    {"binary": True, "norm": None},
    {"sublinear_tf": True, "norm": "l1"},
    {"sublinear_tf": True, "use_idf": False, "norm": None},
    {"smooth_idf": False},
    {"use_idf": False, "norm": None},
    {"vocabulary": ["cat", "the", "mat", "missing", "οδυσσευς"]},
    {"vocabulary": {"été": 1, "l": 2, "résumé": 0}, "use_idf": False},
    {"vocabulary": {"the", "cat sat", "can"}, "ngram_range": (1, 2), "binary": True},
])  # fmt: skip
@pytest.mark.filterwarnings("ignore:1 of the 3 terms of vocabulary")  # "l": too short for a word
def test_words(params):
    compare(NASTY, **params)


@pytest.mark.parametrize("analyzer", ["char", "char_wb"])
@pytest.mark.parametrize("params", [
    {},
    {"ngram_range": (2, 3)},
    {"ngram_range": (1, 5), "use_idf": False},
    {"ngram_range": (3, 20), "lowercase": False},
    {"ngram_range": (7, 9), "sublinear_tf": True},
    {"ngram_range": (40, 41)},
    {"ngram_range": (1, 1), "min_df": 3},
])
def test_characters(analyzer, params):
    compare(NASTY, analyzer=analyzer, **params)


@pytest.mark.parametrize("params", [
    {"use_idf": False},
    {"use_idf": False, "ngram_range": (1, 2)},
    {"use_idf": False, "norm": None, "n_features": 7},
    {"use_idf": False, "norm": "l1", "n_features": 16, "binary": True},
    {"use_idf": False, "n_features": 1},
    {"use_idf": False, "n_features": 2**31 - 2},
    {"use_idf": False, "alternate_sign": False, "n_features": 100},
    {"use_idf": False, "lowercase": False, "stop_words": ["the", "cat"]},
    {"use_idf": False, "token_pattern": r"[a-z]+"},
    {"n_features": 64, "alternate_sign": False, "sublinear_tf": True},
    {"n_features": 1000, "ngram_range": (1, 2)},
    {"use_idf": False, "analyzer": "char", "ngram_range": (2, 5)},
    {"use_idf": False, "analyzer": "char_wb", "ngram_range": (2, 5), "n_features": 997},
])
def test_hashing(params):
    # scikit-learn cannot hash lone surrogates.
    documents = [text.encode(errors="replace").decode() for text in NASTY]
    compare(documents, method="hashing", **params)


def test_sublinear_counts_of_both_signs():
    documents = [" ".join(["aa"] * 3 + ["bb"] * 5 + ["cc"] * 2 + ["dd"])]
    counts = TextVectorizer("hashing", use_idf=False, norm=None, dtype=np.float64)
    X = counts.transform(documents)
    assert (X.data < 0).any()
    assert (X.data > 0).any()
    Y = counts.set_params(sublinear_tf=True).transform(documents)
    np.testing.assert_allclose(Y.data, np.sign(X.data) * (1 + np.log(abs(X.data))))


def test_signs_that_cancel():
    terms = [f"w{i}" for i in range(60)]
    counts = TextVectorizer("hashing", use_idf=False, norm=None, n_features=2)
    X = counts.transform([" ".join(terms)])
    signs = [murmurhash3_32(term) for term in terms]
    columns = np.array([abs(h) % 2 for h in signs])
    expected = [np.sign(signs)[columns == j].sum() for j in (0, 1)]
    np.testing.assert_array_equal(X.toarray()[0], expected)


def test_most_frequent_terms():
    documents = ["bb cc dd ee ff", "bb cc dd aa aa aa", "bb cc gg", "bb gg gg gg"]
    # bb 4, gg 4, aa 3, cc 3, dd 2, ee 1, ff 1
    for limit, kept in ((2, "bb gg"), (3, "aa bb gg"), (4, "aa bb cc gg"),
                        (6, "aa bb cc dd ee gg"), (9, "aa bb cc dd ee ff gg")):  # fmt: skip
        ours = TextVectorizer(max_features=limit).fit(documents)
        assert list(ours.get_feature_names_out()) == kept.split()
        X = TextVectorizer(max_features=limit, use_idf=False, norm=None).fit_transform(documents)
        counts = CountVectorizer(vocabulary=kept.split()).fit_transform(documents)
        np.testing.assert_array_equal(X.toarray(), counts.toarray())
    # By documents: bb 4, cc 3, dd 2, gg 2, aa ee ff 1
    for limit, kept in ((3, "bb cc dd"), (5, "aa bb cc dd gg")):
        ours = TextVectorizer(max_features=limit, binary=True).fit(documents)
        assert list(ours.get_feature_names_out()) == kept.split()
    ours = TextVectorizer(max_features=2, max_df=3, n_jobs=2).fit(documents)
    assert list(ours.get_feature_names_out()) == ["aa", "gg"]


def test_a_term_of_no_document():
    ours = TextVectorizer(vocabulary=["here", "nowhere"], smooth_idf=False).fit(["here", "here"])
    np.testing.assert_allclose(ours.idf_, [1, 1 + np.log(2)])
    np.testing.assert_allclose(ours.transform(["nowhere"]).toarray(), [[0, 1]])


def test_float32_is_float64_rounded():
    double = TextVectorizer(dtype=np.float64).fit_transform(NASTY)
    single = TextVectorizer().fit_transform(NASTY)
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single.data, double.data.astype(np.float32))
    assert single.indices.dtype == single.indptr.dtype == np.int32
    assert single.has_sorted_indices
    assert single.has_canonical_format


def raw(name, split):
    path = DATA / name / f"{split}.tsv.gz"
    if not path.exists():
        pytest.skip("the data are not there")
    texts, labels = read_tsv(path, escapes=True)
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        lines = [line.rstrip("\n").split("\t") for line in file]
    stand_for = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}
    documents = [re.sub(r"\\([ntr\\])", lambda m: stand_for[m[1]], line[1]) for line in lines]
    assert list(labels) == [line[0] for line in lines]
    return texts, documents


@pytest.mark.large
@pytest.mark.parametrize("name", ["20news", "debian_sections", "wordnet_gloss", "sms_spam"])
def test_all_of(name):
    texts, documents = raw(name, "train")
    test, unseen = raw(name, "test")
    assert list(texts) == documents
    theirs = TfidfVectorizer()
    expected, later = theirs.fit_transform(documents), theirs.transform(unseen)
    ours = TextVectorizer(dtype=np.float64)
    same_rows(ours.fit_transform(texts), expected)
    assert list(ours.get_feature_names_out()) == list(theirs.get_feature_names_out())
    same_rows(ours.transform(test), later)
    same_rows(ours.transform(iter(unseen)), later)
    counts = CountVectorizer(ngram_range=(1, 2), min_df=2)
    same_rows(TextVectorizer(ngram_range=(1, 2), min_df=2, use_idf=False, norm=None)
              .fit_transform(documents), counts.fit_transform(documents), 0)
    hashed = TextVectorizer("hashing", use_idf=False, dtype=np.float64)
    same_rows(hashed.transform(texts), HashingVectorizer().transform(documents))


# ------------------------------------------------------------------------------------- Unicode


def test_every_character():
    """Each code point twice, between letters, and alone: words and lower case are Python's."""
    every = [chr(code) for code in range(sys.maxunicode + 1)]
    documents = [" ".join(f"{c}{c} A{c}Z" for c in every[k:k + 4096])
                 for k in range(0, len(every), 4096)]
    ours = TextVectorizer(use_idf=False, norm=None)
    theirs = CountVectorizer()
    same_rows(ours.fit_transform(documents), theirs.fit_transform(documents), 0)
    assert list(ours.get_feature_names_out()) == list(theirs.get_feature_names_out())


def test_every_white_space():
    spaces = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]
    documents = [f"a{c}b{c}{c}c {c}d" for c in spaces]
    for analyzer in ("char", "char_wb"):
        compare(documents, analyzer=analyzer, ngram_range=(1, 4))


@pytest.mark.large
def test_character_tables():
    flags, upper, lower = characters()
    for code in range(sys.maxunicode + 1):
        c = chr(code)
        assert (flags[code] & 1 > 0) == (c.isalnum() or c == "_")
        assert (flags[code] & 2 > 0) == c.isspace()
        assert (flags[code] & 4 > 0) == (c.lower() != c)
    assert [chr(code).lower() for code in upper] == [
        int(packed & 0xFFFFFFFF).to_bytes(4, "little")[:int(packed) >> 32 & 0xFF].decode()
        for packed in lower.tolist()
    ]


odd = st.text(st.one_of(
    st.characters(),
    st.sampled_from("ΣσςİIßẞéÉ\u0301\u0307\u00ad'.:·_ \t\n\x1c\x85\xa0\u3000aAzZ09𐐀😀\x00"
                    "\ud800\udc80"),
), max_size=60)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(odd, min_size=1, max_size=5), st.booleans(), st.sampled_from(
    [("word", 1, 1), ("word", 1, 3), ("char", 1, 2), ("char_wb", 2, 3), ("char_wb", 1, 9)]))
def test_odd_text(documents, lowercase, kind):
    analyzer, least, most = kind
    params = {"analyzer": analyzer, "ngram_range": (least, most), "lowercase": lowercase}
    theirs = CountVectorizer(**params)
    ours = TextVectorizer(use_idf=False, norm=None, **params)
    try:
        expected = theirs.fit_transform(documents)
    except ValueError:
        with pytest.raises(ValueError, match="hold no terms"):
            ours.fit_transform(documents)
        return
    same_rows(ours.fit_transform(documents), expected, 0)
    assert ours.vocabulary_ == theirs.vocabulary_


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.binary(max_size=40), st.lists(st.sampled_from([
    b"a", b"bcdefghi", "é".encode(), "漢".encode(), "😀".encode(), b"\xed\xa0\x80", b"\xc0\xaf",
    b"\xf4\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf", b"\xff",
    b"\x80", b"\xf0\x9f\x98", b"\xe6\xbc"]), max_size=8).map(b"".join)))
def test_bytes(data):
    try:
        data.decode()
        position = None
    except UnicodeDecodeError as error:
        position = error.start
    assert kernels("text").utf8_error(data) == position
    for policy in ("replace", "ignore"):
        v = TextVectorizer("hashing", use_idf=False, analyzer="char", decode_error=policy,
                           n_features=512, n_jobs=1)
        a, b = v.transform([data]), v.transform([data.decode(errors=policy)])
        assert (a != b).nnz == 0
    v.set_params(decode_error="strict")
    if position is None:
        assert (v.transform([data]) != v.transform([data.decode()])).nnz == 0
    else:
        with pytest.raises(UnicodeDecodeError, match=r"in documents\[1\] \(decode_error="):
            v.transform([b"fine", data])


def test_murmur3():
    rng = np.random.default_rng(0)
    for length in [*range(40), 1000]:
        data = rng.bytes(length)
        assert kernels("text").murmur3(data) == murmurhash3_32(data, positive=True)


# ------------------------------------------------------------------------------------- threads


def many_documents(n=4000, seed=0):
    """About 2 MB, so that there are several chunks."""
    rng = np.random.default_rng(seed)
    words = np.array([f"{'äb'[i % 2]}{i:x}" for i in range(50_000)])
    return [" ".join(words[np.minimum(rng.zipf(1.2, k) - 1, len(words) - 1)])
            for k in rng.integers(0, 200, n)]


@pytest.mark.parametrize("params", [
    {}, {"ngram_range": (1, 2), "min_df": 2, "max_features": 5000},
    {"analyzer": "char_wb", "ngram_range": (2, 3)},
    {"method": "hashing", "n_features": 1000}, {"vocabulary": ["ä0", "b1", "ä2"]},
])
def test_same_bits_for_any_number_of_threads(params):
    documents = many_documents()
    results = []
    for n_jobs in (1, 2, 3):
        v = TextVectorizer(n_jobs=n_jobs, **params)
        X = v.fit_transform(documents)
        Y = v.transform(documents[::-1])
        parts = [X.data, X.indices, X.indptr, Y.data, Y.indices, Y.indptr, v.idf_]
        if "term_bytes_" in vars(v):
            parts += [v.term_bytes_, v.term_ends_]
        results.append([part.tobytes() for part in parts])
    assert results[0] == results[1] == results[2]
    if not params:
        compare(documents)


@pytest.mark.parametrize("size", [1, 100, 5000])
def test_same_bits_for_any_batches(monkeypatch, size):
    """Batches and chunks are cut anywhere."""
    expected = TextVectorizer(ngram_range=(1, 2)).fit(NASTY)
    rows = expected.transform(NASTY)
    real = kernels("text").Counter
    monkeypatch.setattr(kernels("text"), "Counter",
                        lambda *args: real(*args, batch_bytes=size, chunk_bytes=size // 3))
    v = TextVectorizer(ngram_range=(1, 2), n_jobs=2)
    for X in (v.fit_transform(NASTY), v.transform(NASTY)):
        np.testing.assert_array_equal(X.indptr, rows.indptr)
        np.testing.assert_array_equal(X.indices, rows.indices)
        np.testing.assert_array_equal(X.data, rows.data)
    assert v.vocabulary_ == expected.vocabulary_


# -------------------------------------------------------------------------------------- inputs


def test_kinds_of_input():
    documents = [text for text in NASTY if "\ud800" not in text]
    expected = TextVectorizer().fit_transform(documents)
    packed = "".join(documents).encode()
    ends = np.cumsum([len(text.encode()) for text in documents])
    starts = np.concatenate([[0], ends[:-1]])
    for made in (
        tuple(documents), iter(documents), (text for text in documents), set(), dict(),
        np.array(documents, dtype=object), [text.encode() for text in documents],
        pd.Series(documents, dtype=object), pd.Series(documents, index=range(50, 50 + len(
            documents))), Texts(packed, starts, ends), [np.str_(text) for text in documents],
        np.array(documents, dtype=np.dtypes.StringDType()) if hasattr(np.dtypes, "StringDType")
        else documents,
    ):  # fmt: skip
        if isinstance(made, set | dict):
            continue
        X = TextVectorizer().fit_transform(made)
        np.testing.assert_array_equal(X.data, expected.data)
        np.testing.assert_array_equal(X.indices, expected.indices)
    # NumPy's own strings drop NULs at the end.
    fixed = np.array(["one two", "two", ""])
    for array in (fixed, fixed.astype("S")):
        same_rows(TextVectorizer().fit_transform(array), peer().fit_transform(fixed), 1e-6)


def test_arrow():
    pa = pytest.importorskip("pyarrow")
    documents = [text for text in NASTY if "\ud800" not in text]
    v = TextVectorizer()
    expected = v.fit_transform(documents)
    array = pa.array(documents)
    columns = [
        array, array.cast(pa.large_string()), array.cast(pa.binary()),
        pa.array([text.encode() for text in documents], pa.large_binary()),
        array.cast(pa.string_view()), pa.chunked_array([documents[:5], [], documents[5:]]),
        pa.table({"text": documents})["text"], pd.Series(documents, dtype="string[pyarrow]"),
        pd.Series(documents, dtype=pd.ArrowDtype(pa.string())),
    ]  # fmt: skip
    for column in columns:
        X = v.fit_transform(column)
        np.testing.assert_array_equal(X.data, expected.data)
        np.testing.assert_array_equal(X.indices, expected.indices)
    for column in (array, array.cast(pa.string_view()), columns[7], columns[8]):
        X = v.transform(column[3:9])
        assert (v.transform(documents[3:9]) != X).nnz == 0
    with pytest.raises(ValueError, match=r"documents\[2\] is missing"):
        v.transform(pa.array(["a", "b", None]))
    with pytest.raises(ValueError, match=r"documents\[1\] is missing"):
        v.transform(pa.array(["a", "b", None, "c"])[1:])
    with pytest.raises(TypeError, match="holds no text; cast it to string"):
        v.transform(pa.array([1, 2]))
    with pytest.raises(TypeError, match="holds no text; cast it to string"):
        v.transform(pa.array(["a", "b"]).dictionary_encode())
    with pytest.raises(UnicodeDecodeError, match=r"in documents\[1\]"):
        v.transform(pa.array([b"a", b"\xff"], pa.binary()))
    # The buffers live as long as they are needed.
    del array, columns
    assert v.transform(pa.array(documents)).shape == expected.shape


def test_empty_documents_keep_their_rows():
    v = TextVectorizer()
    X = v.fit_transform(["", "some words", " ", "a ."])
    assert X.shape == (4, 2)
    np.testing.assert_array_equal(np.diff(X.indptr), [0, 2, 0, 0])
    np.testing.assert_array_equal(np.diff(v.transform(["", "words"]).indptr), [0, 1])
    assert v.transform([]).shape == (0, 2)
    assert TextVectorizer("hashing", use_idf=False).transform([]).shape == (0, 2**20)
    assert v.n_documents_ == 4


@pytest.mark.parametrize(("X", "error", "message"), [
    ("one text", TypeError, "got a single one: put it into a list"),
    (b"one text", TypeError, "got a single one"),
    (5, TypeError, "such as a list of str; got int"),
    (None, TypeError, "got NoneType"),
    ([], ValueError, "no documents to learn from"),
    (["", " ", "a b c"], ValueError, "the 3 documents hold no terms"),
    (["fine", None], ValueError, r"documents\[1\] is missing \(None\)"),
    (["fine", "fine", float("nan")], ValueError, r"documents\[2\] is missing \(nan\)"),
    (pd.Series(["fine", pd.NA]), ValueError, r"documents\[1\] is missing"),
    (["fine", 3], TypeError, r"documents\[1\] is of type int; documents are str, or bytes"),
    (["fine", ["tokens"]], TypeError, r"documents\[1\] is of type list"),
    ([b"fine", b"bad \xe9t\xe9"], UnicodeDecodeError, r"position 4: .*, in documents\[1\]"),
    (np.array([["fine"]]), ValueError, r"1-D array of documents; got shape \(1, 1\)"),
    (pd.DataFrame({"text": ["fine"]}), TypeError, "choose one of its columns"),
    ({"a": "fine"}, TypeError, "collection of documents; got dict"),
])
def test_bad_documents(X, error, message):
    v = TextVectorizer().fit(["first words"])
    before = dict(vars(v))
    with pytest.raises(error, match=message):
        v.fit(X)
    assert vars(v) == before  # a fit that fails changes nothing


@pytest.mark.parametrize(("params", "error", "message"), [
    ({"method": "tree"}, ValueError, 'method must be "vocabulary" or "hashing"'),
    ({"analyzer": "words"}, ValueError, "analyzer must be"),
    ({"ngram_range": 2}, ValueError, "ngram_range must be a pair"),
    ({"ngram_range": (2, 1)}, ValueError, "the smaller n first"),
    ({"ngram_range": (0, 1)}, ValueError, "the smaller of ngram_range must be a positive integer"),
    ({"lowercase": "yes"}, TypeError, "lowercase must be True or False"),
    ({"strip_accents": "all"}, ValueError, "strip_accents must be"),
    ({"norm": "max"}, ValueError, "norm must be"),
    ({"decode_error": "skip"}, ValueError, "decode_error must be"),
    ({"dtype": np.int64}, ValueError, "dtype must be float32 or float64"),
    ({"stop_words": "german"}, ValueError, "'english' or a list of words; got 'german'"),
    ({"stop_words": 3}, TypeError, "iterable of str"),
    ({"stop_words": ["a", 3]}, TypeError, "iterable of str"),
    ({"stop_words": ["a"], "analyzer": "char"}, ValueError, "knows no words"),
    ({"token_pattern": "("}, ValueError, "is no regular expression"),
    ({"token_pattern": r"(\w)(\w)"}, ValueError, "may have one group"),
    ({"token_pattern": b"a"}, TypeError, "must be a pattern of str"),
    ({"min_df": 1.5}, ValueError, "min_df must be a number of documents"),
    ({"max_df": 0}, ValueError, "max_df must be a number of documents"),
    ({"min_df": 3, "max_df": 2}, ValueError, "max_df=2 allows terms of at most 2 of 2 documents"),
    ({"min_df": 2}, ValueError, "none of the 3 terms has a document frequency"),
    ({"max_features": 0}, ValueError, "max_features must be a positive integer"),
    ({"method": "hashing", "min_df": 2}, ValueError, "keeps all its columns"),
    ({"method": "hashing", "vocabulary": ["a"]}, ValueError, "has no vocabulary"),
    ({"vocabulary": ["aa"], "max_features": 2}, ValueError, "keeps all its columns"),
    ({"vocabulary": []}, ValueError, "vocabulary is empty"),
    ({"vocabulary": ["aa", "bb", "aa"]}, ValueError, "has the term 'aa' twice"),
    ({"vocabulary": {"aa": 0, "bb": 2}}, ValueError, "must be 0, 1, ..., each for one term"),
    ({"vocabulary": [3]}, TypeError, "the terms of vocabulary must be str; got 3"),
    ({"vocabulary": "aa"}, TypeError, "vocabulary must be a mapping or a list"),
    ({"n_features": 0, "method": "hashing"}, ValueError, "n_features must be"),
    ({"n_features": 2**31, "method": "hashing"}, ValueError, "n_features may be up to"),
    ({"n_jobs": 0}, ValueError, "n_jobs must be"),
])
def test_bad_parameters(params, error, message):
    with pytest.raises(error, match=message):
        TextVectorizer(**params).fit(["one two", "three"])


def test_english_stop_words():
    words = TextVectorizer(stop_words="english", ngram_range=(1, 2)).fit(
        ["The cat and the dog are not in the house, but it doesn't matter"])
    assert list(words.get_feature_names_out()) == [
        "cat", "cat dog", "dog", "dog house", "house", "house matter", "matter"]
    assert len(set(ENGLISH)) == len(ENGLISH)
    assert all(word == word.lower() for word in ENGLISH)


def test_interrupted_iterables():
    def documents():
        yield "one"
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="the disk is gone"):
        TextVectorizer().fit(documents())


def test_a_long_document_is_refused():
    counter = kernels("text").Counter
    assert counter  # the limit of a gibibyte is not tried: here with 2**28 lengths of n-grams
    with pytest.raises(ValueError, match=r"documents\[1\] has 9 bytes; at most 4 are possible"):
        TextVectorizer(analyzer="char", ngram_range=(1, 2**28)).fit(["abc", "abcdefghi"])


# ------------------------------------------------------------------------------------ protocol


def test_not_fitted():
    for v in (TextVectorizer(), TextVectorizer("hashing"), TextVectorizer(vocabulary=["aa"])):
        with pytest.raises(hingex.NotFittedError):
            v.transform(["aa"])
    with pytest.raises(hingex.NotFittedError):
        TextVectorizer().get_feature_names_out()
    assert not hasattr(TextVectorizer(), "vocabulary_")
    hashing = TextVectorizer("hashing").fit(["aa"])
    with pytest.raises(AttributeError, match="keeps no terms"):
        hashing.get_feature_names_out()
    v = TextVectorizer(use_idf=False).fit(["aa"])
    with pytest.raises(hingex.NotFittedError):
        v.set_params(use_idf=True).transform(["aa"])


def test_pickle_and_clone():
    v = TextVectorizer(ngram_range=(1, 2), stop_words=["the"]).fit(NASTY)
    rows = v.transform(NASTY)
    again = pickle.loads(pickle.dumps(v))
    np.testing.assert_array_equal(again.transform(NASTY).data, rows.data)
    assert again.vocabulary_ == v.vocabulary_
    copy = clone(v)
    assert copy.get_params() == v.get_params()
    assert not any(name.endswith("_") or name.startswith("_") for name in vars(copy))
    np.testing.assert_array_equal(copy.fit_transform(NASTY).data, rows.data)
    # A new fit forgets the old one, its table too.
    v.set_params(use_idf=False, ngram_range=(1, 1)).fit(["only these words"])
    assert v.vocabulary_ == {"only": 0, "these": 1, "words": 2}
    assert not hasattr(v, "idf_")
    np.testing.assert_array_equal(v.transform(["these"]).toarray(), [[0, 1, 0]])
    v.set_params(method="hashing").fit(["only these words"])
    assert not hasattr(v, "term_bytes_")


def test_in_a_pipeline():
    X, y = ["good fine", "fine good good", "bad poor", "poor bad bad"] * 5, [1, 1, 0, 0] * 5
    pipe = make_pipeline(TextVectorizer(), hingex.LinearSVC()).fit(X, y)
    assert pipe.score(X, y) == 1
    assert list(pipe.predict(["good", "poor"])) == [1, 0]


@pytest.mark.parametrize("params", [
    {}, {"ngram_range": (1, 2), "stop_words": {"the", "cat"}, "dtype": np.float64},
    {"method": "hashing", "n_features": 50}, {"method": "hashing", "use_idf": False},
    {"token_pattern": re.compile("[A-Z]+", re.I), "stop_words": "english", "use_idf": False},
    {"vocabulary": {"the": 1, "cat": 0}}, {"analyzer": "char", "lowercase": False},
])
def test_model_files(tmp_path, params):
    documents = NASTY if params.get("method") != "hashing" else NASTY[5:8]
    v = TextVectorizer(**params).fit(documents)
    v.save(tmp_path / "v.hnx")
    again = hingex.load(tmp_path / "v.hnx")
    a, b = v.transform(documents), again.transform(documents)
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(a, part), getattr(b, part))
    assert a.dtype == b.dtype
    assert again.ngram_range == v.ngram_range
    assert again.n_documents_ == len(documents)
    if v.method == "vocabulary":
        assert again.vocabulary_ == v.vocabulary_
    assert model_io.describe(tmp_path / "v.hnx")["omitted"] == []
    with pytest.raises(TypeError, match="LIBLINEAR's files hold the weights"):
        model_io.save_liblinear(v, tmp_path / "v.txt")


@pytest.mark.parametrize(("damage", "message"), [
    (lambda v: vars(v).pop("n_documents_"), "n_documents_ is missing"),
    (lambda v: vars(v).pop("term_bytes_"), "one is missing"),
    (lambda v: vars(v).update(idf_=v.idf_[:-1]), "idf_ has shape"),
    (lambda v: vars(v).update(idf_=v.idf_ * np.nan), "NaN or infinity"),
    (lambda v: vars(v).update(term_ends_=v.term_ends_[::-1].copy()), "not the ends of terms"),
    (lambda v: vars(v).update(term_ends_=v.term_ends_ + 1), "not the ends of terms"),
    (lambda v: vars(v).update(term_ends_=v.term_ends_.astype(np.int32)), "term_ends_ is of int32"),
    (lambda v: vars(v).update(term_bytes_=v.term_bytes_ | 0x80), "not UTF-8"),
    (lambda v: vars(v).update(term_ends_=np.array([3, 7])), "begins inside a character"),
])
def test_model_files_that_contradict_themselves(tmp_path, damage, message):
    v = TextVectorizer().fit(["été aa"])
    damage(v)
    with pytest.raises(ValueError, match=message):
        v.save(tmp_path / "v.hnx")


def test_no_python_objects_for_tokens():
    documents = many_documents()
    n_bytes = sum(map(len, documents))
    n_tokens = sum(text.count(" ") + 1 for text in documents)
    blob = "".join(documents).encode()
    ends = np.cumsum([len(text.encode()) for text in documents])
    texts = Texts(blob, np.concatenate([[0], ends[:-1]]), ends)
    v = TextVectorizer("hashing", use_idf=False, n_features=10).fit(texts)  # tables are made
    assert n_tokens > 300_000
    tracemalloc.start()
    try:
        v.fit(texts)
        blocks = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert blocks < n_bytes / 20
    # UTF-8 of a str is not left behind in it.
    sizes = [sys.getsizeof(text) for text in documents]
    v.transform(documents)
    assert [sys.getsizeof(text) for text in documents] == sizes


# ----------------------------------------------------------------------------------------- TSV


def write(tmp_path, data, name="data.tsv"):
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("name", ["data.tsv", "data.tsv.gz"])
def test_tsv(tmp_path, name):
    data = "\ufeffspam\tbuy now\r\nham\thello é\textra\n\t\nspam\tno end".encode()
    texts, labels = read_tsv(write(tmp_path, data, name))
    assert list(texts) == ["buy now", "hello é\textra", "", "no end"]
    assert labels.tolist() == ["spam", "ham", "", "spam"]
    assert "4 documents" in repr(texts)
    assert texts.nbytes == 27
    assert list(texts[1:3]) == list(texts[np.array([False, True, True, False])]) == [
        "hello é\textra", ""]
    assert list(texts[[3, 0]]) == ["no end", "buy now"]
    assert texts[-1] == "no end"
    X = TextVectorizer().fit_transform(texts)
    same_rows(X, peer().fit_transform(list(texts)), 1e-6)
    texts, labels = read_tsv(write(tmp_path, data, name), None, 0)
    assert labels is None
    assert list(texts) == ["spam\tbuy now", "ham\thello é\textra", "\t", "spam\tno end"]
    texts, labels = read_tsv(write(tmp_path, b"a\tb\tc\nd\te\tf\n"), 2, 0)
    assert (list(texts), labels.tolist()) == (["a", "d"], ["c", "f"])


def test_tsv_escapes(tmp_path):
    path = write(tmp_path, rb"0	a\nb\tc\rd\\ne\qf\ " + b"\n1\t\\\\\\\n")
    texts, labels = read_tsv(path, escapes=True)
    assert list(texts) == ["a\nb\tc\rd\\ne\\qf\\ ", "\\\\"]
    assert labels.tolist() == ["0", "1"]
    assert list(read_tsv(path)[0]) == [r"a\nb\tc\rd\\ne\qf\ ", "\\\\\\"]


@pytest.mark.parametrize(("data", "error", "message"), [
    (b"", ValueError, "the file is empty"),
    (b"\xef\xbb\xbf", ValueError, "the file is empty"),
    (b"a\tb\nc\n", ValueError, r"line 2: text_column=1 and .* need 2 columns .* the line has 1"),
    (b"a\tb\n\nc\td", ValueError, "line 2: .*the line has 1"),
    (b"a\tb\n\xff\td", UnicodeDecodeError, "in the label of .*, line 2"),
])
def test_bad_tsv(tmp_path, data, error, message):
    with pytest.raises(error, match=message):
        read_tsv(write(tmp_path, data))
    with pytest.raises(FileNotFoundError):
        read_tsv(tmp_path / "missing.tsv")


def test_lines_are_named(tmp_path):
    path = write(tmp_path, b"a\tfine\nb\tgood\nc\tbad \xff\n")
    texts, _ = read_tsv(path)
    for some in (texts, texts[1:], texts[[2, 0]]):
        with pytest.raises(UnicodeDecodeError, match=r"in .*data\.tsv, line 3 \(decode_error"):
            TextVectorizer().fit(some)
    with pytest.raises(UnicodeDecodeError, match="line 3"):
        _ = texts[2]
    v = TextVectorizer(decode_error="ignore").fit(texts)
    assert list(v.vocabulary_) == ["bad", "fine", "good"]


def test_texts_refuse_places_outside():
    with pytest.raises(ValueError, match="must be places"):
        Texts(b"abc", [0], [4])
    with pytest.raises(ValueError, match="must be places"):
        Texts(b"abc", [2], [1])
    with pytest.raises(ValueError, match="must be places"):
        Texts(b"abc", [0, 1], [1])


# ------------------------------------------------------------- options that cannot do anything


def said_of(v, documents=("some words",)):
    """The one warning of a fit, or None."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        v.fit(list(documents))
    assert len(caught) <= 1
    assert not caught or caught[0].filename == __file__
    return str(caught[0].message) if caught else None


@pytest.mark.parametrize(("params", "named"), [
    ({"vocabulary": ["GOOD", "bad"]}, r"'GOOD' \(lowercase=True makes it 'good'\)$"),
    ({"vocabulary": ["été"], "strip_accents": "ascii"}, "'été' .* makes it 'ete'"),
    ({"vocabulary": ["été"], "strip_accents": "unicode"}, "'été' .* makes it 'ete'"),
    ({"vocabulary": ["don't", "bad"]}, r"1 of the 2 .*\"don't\" \(token_pattern finds \['don'\]"),
    ({"vocabulary": {"a": 0, "bad": 1}}, r"'a' \(token_pattern finds \[\] in it"),
    ({"vocabulary": [""]}, "1 of the 1 .*''"),
    ({"vocabulary": ["very good"]}, r"'very good' \(it has 2 words, and ngram_range is \(1, 1\)"),
    ({"vocabulary": ["good"], "ngram_range": (2, 3)}, "'good' .*it has 1 words"),
    ({"vocabulary": ["the cat"], "ngram_range": (2, 2), "stop_words": ["the"]},
     "'the cat' .*'the' is a stop word"),
    ({"vocabulary": ["a-b"], "token_pattern": r"\w+"}, r"'a-b' .*\['a', 'b'\]"),
    ({"vocabulary": ["x", "X"], "token_pattern": r"#(\w)"}, r"1 of the 2 .*'X' \(lowercase"),
    ({"vocabulary": ["abc", "ab"], "analyzer": "char", "ngram_range": (1, 2)}, "'abc' .*3 ch"),
    ({"vocabulary": ["a  b", "a b"], "analyzer": "char", "ngram_range": (1, 4)}, "1 of .*'a  b'"),
    ({"vocabulary": ["a b", " a"], "analyzer": "char_wb", "ngram_range": (1, 3)}, "'a b' .*no s"),
    ({"stop_words": ["GOOD"]}, r"inconsistent .*'GOOD' \(documents have 'good'\)"),
    ({"stop_words": ["don't", "the"]}, r"1 of 2 .*\"don't\" \(documents have 'don'\)"),
    ({"stop_words": ["été"], "strip_accents": "unicode"}, "'été' .documents have 'ete'"),
    ({"stop_words": ["of the"]}, "'of the' .documents have 'of', 'the'"),
    ({"stop_words": ["GOOD"], "method": "hashing"}, "'GOOD' .documents have 'good'"),
])
def test_options_that_match_nothing_warn(params, named):
    assert re.search(named, said_of(TextVectorizer(**params)))
    if "stop_words" not in params and params.get("analyzer") is None:
        # It is true: the columns of the terms named stay empty even for documents made of them.
        terms = list(params["vocabulary"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            X = TextVectorizer(**params).fit_transform(terms)
            theirs = CountVectorizer(**params).fit_transform(terms)
        assert np.array_equal(X.toarray() > 0, theirs.toarray() > 0)


@pytest.mark.parametrize("params", [
    {"vocabulary": ["GOOD"], "lowercase": False}, {"vocabulary": ["été", "good"]},
    {"vocabulary": ["very good", "good"], "ngram_range": (1, 2)},
    {"vocabulary": [" ", "a ", "ab"], "analyzer": "char_wb", "ngram_range": (1, 2)},
    {"vocabulary": [" ", "\n", " b"], "analyzer": "char", "ngram_range": (1, 2)},
    {"vocabulary": ["x"], "token_pattern": r"#(\w)"},
    {"vocabulary": ["foo"], "token_pattern": r"(?<=#)\w+"},
    {"stop_words": ["don't", "don"]}, {"stop_words": ["a", "the", "c++"]},
    {"stop_words": "english"}, {"stop_words": "english", "lowercase": False},
    {"stop_words": ["GOOD"], "lowercase": False}, {"stop_words": ["été"]},
])  # fmt: skip
def test_options_that_match_do_not_warn(params):
    assert said_of(TextVectorizer(**params)) is None
    if params.get("stop_words") != "english":
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # scikit-learn agrees
            CountVectorizer(**params).fit(["some words"])


def test_warnings_name_the_first_terms():
    said = said_of(TextVectorizer(vocabulary=[f"W{i}" for i in range(20)]))
    assert said.startswith("20 of the 20 terms")
    assert "'W4'" in said
    assert "'W5'" not in said


def test_warnings_wherever_a_vectorizer_works():
    v = TextVectorizer(vocabulary=["GOOD", "bad"])
    with pytest.warns(UserWarning, match="'GOOD'"):
        v.fit_transform(["bad"])
    with pytest.warns(UserWarning, match="'GOOD'"):
        v.fit_stream([["bad"]])
    v.transform(["bad"])  # warned of by the fit already
    with pytest.warns(UserWarning, match="'GOOD'"):
        hingex.text.TextClassifier(vectorizer=v).fit(["bad", "other"], [0, 1])
    with pytest.warns(UserWarning, match="'GOOD'"):
        TextVectorizer("hashing", use_idf=False, stop_words=["GOOD"]).transform(["bad"])
