# SPDX-License-Identifier: BSD-3-Clause
"""Features of tokens: by name, hashed to columns; and names of features for words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .._core import kernels


def hash_tokens(sequences: Iterable[Any], n_features: int) -> tuple[Any, np.ndarray]:
    """Rows of all tokens of all sequences, and the lengths of these.

    Parameters
    ----------
    sequences : iterable of sequences of tokens
        A token is a list of names, each with the value 1, or a dict of names to numbers, strings
        (then the feature is name=value) or booleans.
    n_features : int
        Columns. The column of a name is what MurmurHash3 (32 bits, seed 0, of its UTF-8) says,
        modulo this, and the hash's sign is that of the value: as scikit-learn's FeatureHasher.

    Returns
    -------
    CSR array (tokens, n_features) of float32, int64 ndarray (sequences,)

    Raises
    ------
    TypeError, ValueError
        For tokens that are something else; the message names sequence and token.
    """
    from scipy.sparse import csr_array

    hasher = kernels("hashing").Hasher(n_features, True)
    lengths = []
    for i, sequence in enumerate(sequences):
        count = 0
        try:
            for token in sequence:
                hasher.add(token)
                count += 1
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"sequence {i}, token {count}: {error}") from None
        if not count:
            raise ValueError(f"sequence {i} of X has no tokens")
        lengths.append(count)
    if not lengths:
        raise ValueError("X has no sequences")
    values, indices, ends = hasher.rows()
    X = csr_array((values, indices, ends), shape=(len(ends) - 1, n_features))
    X.sum_duplicates()
    return X, np.array(lengths, dtype=np.int64)


def word_features(words: Sequence[str]) -> list[list[str]]:
    """Names of features for each word of a sentence: the word, its ends, its shape, its neighbours.

    Parameters
    ----------
    words : sequence of str

    Returns
    -------
    list of list of str

    Examples
    --------
    >>> word_features(["Go", "home"])[1][:4]
    ['w=home', '-1=e', '-2=me', '-3=ome']
    """
    low = ["<<", "<", *(word.lower() for word in words), ">", ">>"]
    out = []
    for i, word in enumerate(words, 2):
        w = low[i]
        before, after = low[i - 1], low[i + 1]
        out.append([
            f"w={w}", f"-1={w[-1:]}", f"-2={w[-2:]}", f"-3={w[-3:]}", f"-4={w[-4:]}",
            f"+1={w[:1]}", f"+2={w[:2]}", f"+3={w[:3]}", f"shape={_shape(word)}",
            f"first={i == 2},{word[:1].isupper()}", f"before={before}", f"after={after}",
            f"before2={low[i - 2]}", f"after2={low[i + 2]}", f"before-3={before[-3:]}",
            f"after-3={after[-3:]}", f"pair={before} {w}", f"next={w} {after}",
            f"digit={any(map(str.isdigit, word))}", f"dash={'-' in word}",
        ])  # fmt: skip
    return out


def _shape(word: str) -> str:
    """Kinds of characters, each run of the same kind as one: X, x, 9, or the character."""
    shape = ""
    for c in word:
        kind = "X" if c.isupper() else "x" if c.islower() else "9" if c.isdigit() else c
        if shape[-1:] != kind:
            shape += kind
    return shape
