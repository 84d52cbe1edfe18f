# SPDX-License-Identifier: BSD-3-Clause
"""WordNet noun glosses; tools/make_wordnet_glosses.py makes the file and says what is in it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from importlib.resources import files
from itertools import count
from typing import Any

import numpy as np

from .. import _validate as check

_DESCRIPTION = """\
Definitions of WordNet 3.0 noun synsets (without the synset's own words and without example
sentences), labelled by lexicographer file: animal, artifact, person, ... Features are words, runs
of letters in lower case, that occur in at least 3 definitions, tf-idf weighted
(tf * (1 + log((1 + n) / (1 + df))), df over the training split) with rows of Euclidean norm 1.
Every fifth gloss, by a hash of its number, is in the test split. WordNet 3.0 Copyright 2006 by
Princeton University; licence: LICENSE.wordnet.
"""
_SPLITS = ("train", "test", "all")
_MIN_DOCUMENTS = 3
# Letters in lower case, ends of lines as they are, spaces for all else.
_LETTERS = bytes(c if chr(c).islower() or c == 10 else c + 32 if chr(c).isupper() else 32
                 for c in range(128)) + b" " * 128  # fmt: skip


@dataclass(frozen=True, repr=False)
class Glosses:
    """A split of the glosses.

    Attributes
    ----------
    X : scipy.sparse.csr_matrix (n, d) of float32
    y : ndarray (n,) of int64
        Index into `target_names`.
    target_names : list of str
        "noun.animal", ...
    feature_names : ndarray (d,) of str
        The words, those of the most definitions first.
    DESCR : str

    Examples
    --------
    >>> from hingex.datasets import load_wordnet_glosses
    >>> glosses = load_wordnet_glosses("test")
    >>> glosses.target_names[int(glosses.y[0])]
    'noun.Tops'
    """

    X: Any
    y: np.ndarray
    target_names: list[str]
    feature_names: np.ndarray
    DESCR: str = _DESCRIPTION

    def __repr__(self) -> str:
        n, d = self.X.shape
        return f"Glosses({n} glosses, {d} words, {len(self.target_names)} categories)"


def load_wordnet_glosses(split: str = "train") -> Glosses:
    """Load the bundled WordNet glosses as a sparse tf-idf matrix.

    Parameters
    ----------
    split : {"train", "test", "all"}, default "train"

    Returns
    -------
    Glosses

    Raises
    ------
    ValueError
        For another split, or a damaged file.
    FileNotFoundError
        If the file is not installed.

    Examples
    --------
    >>> from hingex.datasets import load_wordnet_glosses
    >>> train = load_wordnet_glosses()
    >>> train.X.shape[0] == len(train.y), len(train.target_names)
    (True, 26)
    """
    check.choice("split", split, _SPLITS)
    texts, labels = _read()
    names, y = np.unique(labels, return_inverse=True)
    n = len(y)
    X, words = _count(texts)
    in_train = _rows("train", n)
    df = np.bincount(X[in_train].indices, minlength=X.shape[1])
    X.data *= (1.0 + np.log((1 + in_train.sum()) / (1 + df)))[X.indices]
    rows = np.repeat(np.arange(n), np.diff(X.indptr))
    X.data /= np.sqrt(np.bincount(rows, weights=X.data * X.data, minlength=n))[rows]
    X = X.astype(np.float32)
    if split != "all":
        chosen = _rows(split, n)
        X, y = X[chosen], y[chosen]
    return Glosses(X, y, names.tolist(), words)


def load_wordnet_texts(split: str = "train") -> tuple[list[str], np.ndarray]:
    """Load the bundled WordNet glosses as raw text.

    Parameters
    ----------
    split : {"train", "test", "all"}, default "train"

    Returns
    -------
    texts : list of str
        The definitions as they stand in WordNet, in the order of `load_wordnet_glosses`.
    labels : ndarray of str
        The category of each: "noun.animal", ...

    Raises
    ------
    ValueError
        For another split, or a damaged file.
    FileNotFoundError
        If the file is not installed.

    Examples
    --------
    >>> from hingex.datasets import load_wordnet_texts
    >>> texts, labels = load_wordnet_texts()
    >>> texts[0], str(labels[0])
    ('an entity that has physical existence', 'noun.Tops')
    """
    check.choice("split", split, _SPLITS)
    texts, labels = _read()
    chosen = np.flatnonzero(_rows(split, len(texts)))
    return [texts[i] for i in chosen.tolist()], np.array(labels)[chosen]


def _rows(split: str, n: int) -> np.ndarray:
    """Which glosses are in a split: all, or about one in five, spread over all categories."""
    if split == "all":
        return np.ones(n, dtype=bool)
    # Fibonacci hashing of the gloss number.
    hashed = (np.arange(n, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)
    return (hashed % np.uint64(5) == 0) == (split == "test")


def _read() -> tuple[list[str], list[str]]:
    """Definitions and labels."""
    import lzma

    try:
        packed = (files(__package__) / "data" / "wordnet_glosses.tsv.xz").read_bytes()
        lines = lzma.decompress(packed).decode("ascii").removesuffix("\n").split("\n")
        # One tab in each: a short or a long line does not fit.
        labels, texts = zip(*(line.split("\t") for line in lines), strict=True)
    except (EOFError, lzma.LZMAError, ValueError) as error:
        raise ValueError(f"the data file of the WordNet glosses is damaged ({error}); "
                         "reinstall hingex") from None
    except FileNotFoundError:
        raise FileNotFoundError(
            "the data file of the WordNet glosses is missing from the installed package; "
            "reinstall hingex"
        ) from None
    return list(texts), list(labels)


def _count(texts: list[str]) -> tuple[Any, np.ndarray]:
    """How often a word is in a text, as CSR of float64, and the words."""
    from scipy.sparse import csr_matrix

    body = "\n".join(texts).encode("ascii").translate(_LETTERS)
    place: defaultdict[bytes, int] = defaultdict(count().__next__)  # new words get the next number
    ids = np.fromiter(map(place.__getitem__, body.split()), dtype=np.int32)
    ends = np.cumsum([0] + [len(line.split()) for line in body.split(b"\n")])
    X = csr_matrix((np.ones(len(ids)), ids, ends), shape=(len(texts), len(place)))
    X.sum_duplicates()
    df = np.bincount(X.indices, minlength=len(place))
    words = np.array([word.decode() for word in place])
    order = np.lexsort((words, -df))
    order = order[df[order] >= _MIN_DOCUMENTS]
    X = X[:, order]
    X.sort_indices()
    return X, words[order]
