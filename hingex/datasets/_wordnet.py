# SPDX-License-Identifier: BSD-3-Clause
"""WordNet noun glosses; tools/make_wordnet_glosses.py makes the file and says what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np

from .. import _validate as check

_DESCRIPTION = """\
Definitions of WordNet 3.0 noun synsets (without the synset's own words and without example
sentences), labelled by lexicographer file: animal, artifact, person, ... Features are words that
occur in at least 3 definitions, tf-idf weighted (tf * (1 + log((1 + n) / (1 + df))), df over the
training split) with rows of Euclidean norm 1. Every fifth gloss, by a hash of its number, is in
the test split. WordNet 3.0 Copyright 2006 by Princeton University; licence: LICENSE.wordnet.
"""


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
        The words.
    DESCR : str
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
    """
    from lzma import LZMAError
    from zipfile import BadZipFile

    from scipy.sparse import csr_matrix

    check.choice("split", split, ("train", "test", "all"))
    try:
        lengths, ids, tf, y, words, names = _read()
    except (BadZipFile, EOFError, KeyError, LZMAError, ValueError) as error:
        raise ValueError(f"the data file of the WordNet glosses is damaged ({error}); "
                         "reinstall hingex") from None
    except FileNotFoundError:
        raise FileNotFoundError(
            "the data file of the WordNet glosses is missing from the installed package; "
            "reinstall hingex"
        ) from None
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    n, d = len(y), len(words)
    # Fibonacci hashing of the gloss number: about one in five, spread over all categories.
    in_test = (np.arange(n, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)
    in_test = in_test % np.uint64(5) == 0

    rows = np.repeat(np.arange(n), lengths)
    in_train = ~in_test
    df = np.bincount(ids[in_train[rows]], minlength=d)
    idf = 1.0 + np.log((1 + in_train.sum()) / (1 + df))
    values = tf * idf[ids]
    norms = np.sqrt(np.bincount(rows, weights=values * values, minlength=n))
    values /= norms[rows]
    X = csr_matrix((values.astype(np.float32), ids.astype(np.int32), indptr), shape=(n, d))
    if split != "all":
        chosen = in_test if split == "test" else in_train
        X, y = X[chosen], y[chosen]
    return Glosses(X, y, names, words)


def _read() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Words per gloss, word ids, counts, labels, words and names of the categories."""
    import lzma

    with (files(__package__) / "data" / "wordnet_glosses.npz").open("rb") as file:
        stored = np.load(file, allow_pickle=False)
        raw = {name: stored[name].tobytes() for name in stored.files if name != "shape"}
        n, d, nnz = stored["shape"].tolist()
    raw = {name: lzma.decompress(data) for name, data in raw.items()}
    lengths = np.frombuffer(raw["lengths"], np.uint8).astype(np.int64)
    planes = np.frombuffer(raw["steps"], np.uint8).reshape(2, -1).astype(np.int64)
    steps = planes[0] + 256 * planes[1]
    counts = np.frombuffer(raw["counts"], np.uint8) + 1.0
    labels = np.frombuffer(raw["labels"], np.uint8).astype(np.int64)
    words = np.array(raw["words"].decode().split("\n"))
    names = raw["target_names"].decode().split("\n")
    if ((len(lengths), len(words)) != (n, d) or {len(steps), len(counts), lengths.sum()} != {nnz}
            or len(labels) != n):
        raise ValueError("lengths do not match")
    # Ids are stored as differences within a gloss.
    total = np.cumsum(steps)
    first = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    before = np.where(first > 0, total[first - 1], 0)
    return lengths, total - np.repeat(before, lengths), counts, labels - labels.min(), words, names
