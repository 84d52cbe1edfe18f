# SPDX-License-Identifier: BSD-3-Clause
import importlib.resources
import lzma
import re
import shutil
from collections import Counter

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hingex import LinearSVC, datasets
from hingex.datasets import _wordnet


@pytest.fixture(scope="module")
def splits():
    return {name: datasets.load_wordnet_glosses(name) for name in ("train", "test", "all")}


def test_shapes_and_splits(splits):
    train, test, whole = splits["train"], splits["test"], splits["all"]
    assert whole.X.shape == (82115, 18735)
    assert train.X.shape[0] + test.X.shape[0] == 82115
    assert 0.19 < test.X.shape[0] / 82115 < 0.21
    assert len(whole.target_names) == 26
    assert whole.target_names[2] == "noun.animal"
    for data in splits.values():
        assert data.X.dtype == np.float32
        assert data.X.format == "csr"
        assert data.X.has_sorted_indices
        assert len(data.y) == data.X.shape[0]
        assert set(np.unique(data.y)) == set(range(26))
        assert "test split" in data.DESCR
        assert repr(data).startswith("Glosses(")


def test_rows_are_unit_tf_idf(splits):
    train = splits["train"]
    sums = np.asarray(train.X.multiply(train.X).sum(axis=1)).ravel()
    empty = np.diff(train.X.indptr) == 0
    assert_allclose(sums[~empty], 1, rtol=1e-5)
    assert (sums[empty] == 0).all()
    # Within a row with two words that occur once, the rarer one weighs more, by idf.
    df = np.bincount(train.X.indices, minlength=train.X.shape[1])
    idf = 1 + np.log((1 + train.X.shape[0]) / (1 + df))
    x = train.X[0]
    ratio = x.data / idf[x.indices]
    assert_allclose(ratio, np.round(ratio / ratio.min()) * ratio.min(), rtol=1e-5)


def test_words_belong_to_their_glosses(splits):
    # The definition of the first synset of data.noun, word by word.
    whole = splits["all"]
    words = whole.feature_names[whole.X[0].indices]
    text = ("that which is perceived or known or inferred to have its own distinct existence "
            "(living or nonliving)")
    assert set(words) == set(re.findall("[a-z]+", text))
    assert whole.target_names[whole.y[0]] == "noun.Tops"
    texts, labels = datasets.load_wordnet_texts("all")
    assert (texts[0], labels[0]) == (text, "noun.Tops")


@pytest.mark.parametrize("split", ["train", "test", "all"])
def test_texts_are_those_of_the_rows(splits, split):
    data = splits[split]
    texts, labels = datasets.load_wordnet_texts(split)
    assert len(texts) == data.X.shape[0]
    np.testing.assert_array_equal(labels, np.array(data.target_names)[data.y])
    for row in range(0, len(texts), 997):
        x = data.X[row]
        counts = Counter(re.findall("[a-z]+", texts[row].lower()))
        assert set(data.feature_names[x.indices]) == set(counts) & set(data.feature_names)


def test_words_are_those_of_three_definitions(splits):
    texts, _ = datasets.load_wordnet_texts("all")
    df = Counter(word for text in texts for word in set(re.findall("[a-z]+", text.lower())))
    expected = sorted((word for word, n in df.items() if n >= 3), key=lambda w: (-df[w], w))
    assert splits["all"].feature_names.tolist() == expected


def test_a_linear_model_learns_it(splits):
    train, test = splits["train"], splits["test"]
    model = LinearSVC(tol=1e-2).fit(train.X, train.y)
    assert model.converged_
    assert model.score(test.X, test.y) > 0.8


def test_errors(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match='split must be "train" or "test" or "all"'):
        datasets.load_wordnet_glosses("dev")
    with pytest.raises(ValueError, match='split must be "train" or "test" or "all"'):
        datasets.load_wordnet_texts("dev")
    source = importlib.resources.files(datasets) / "data" / "wordnet_glosses.tsv.xz"
    monkeypatch.setattr(_wordnet, "files", lambda package: tmp_path)
    for load in (datasets.load_wordnet_glosses, datasets.load_wordnet_texts):
        with pytest.raises(FileNotFoundError, match="reinstall hingex"):
            load()
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "wordnet_glosses.tsv.xz"
    shutil.copy(source, file)
    assert datasets.load_wordnet_glosses("test").X.nnz > 0
    whole = source.read_bytes()
    flipped = bytearray(whole)
    flipped[300_000] ^= 1
    lines = lzma.decompress(whole).splitlines(keepends=True)[:1000]
    for content in (
        whole[:500_000], b"", b"no archive", bytes(flipped), lzma.compress(b""),
        *(lzma.compress(b"".join([*lines[:100], line, *lines[100:]]))
          for line in (b"noun.act\n", b"noun.act\ta\tb\n", b"noun.act\t\xff\n")),
    ):  # fmt: skip
        file.write_bytes(content)
        for load in (datasets.load_wordnet_glosses, datasets.load_wordnet_texts):
            with pytest.raises(ValueError, match=r"damaged .*; reinstall hingex"):
                load()


def test_licence_is_shipped():
    text = (importlib.resources.files(datasets) / "data" / "LICENSE.wordnet").read_text()
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in text
