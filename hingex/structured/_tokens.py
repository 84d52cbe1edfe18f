# SPDX-License-Identifier: BSD-3-Clause
"""Features of tokens: by name, hashed to columns; and names of features for words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import _validate as check
from .._core import kernels

NAMES, NUMBERS = "features by name", "rows of numbers"


def listed(X: Any, stacked: bool) -> Any:
    """X as what can be gone through twice: a list of sequences, or (`stacked`) one sequence.

    Iterators, columns of data frames and arrays of objects become lists; tables of numbers stay
    what they are.

    Raises
    ------
    TypeError
        For X that is no collection of sequences, such as a dict or a string.
    """
    if isinstance(X, Mapping | str | bytes) or not hasattr(X, "__iter__"):
        got = "a dict" if isinstance(X, Mapping) else check._show(X)
        raise TypeError(f"X must be a list of sequences; got {got}")
    X = _plain(X)
    return [_plain(x) for x in X] if isinstance(X, list | tuple) and not stacked else X


def _plain(x: Any) -> Any:
    """A sequence or a token as a list, unless it is a table of numbers or no sequence at all."""
    if isinstance(x, list | tuple | Mapping | set | frozenset | str | bytes):
        return x
    if check.is_sparse(x) or hasattr(x, "columns"):
        return x
    kind = getattr(getattr(x, "dtype", None), "kind", "O")  # polars' and torch's have none
    if isinstance(x, np.ndarray) or (hasattr(x, "to_numpy") and len(np.shape(x)) == 1):
        return x if kind not in "OSUT" else list(x) if np.ndim(x) != 2 else x.tolist()
    return list(x) if hasattr(x, "__iter__") and not hasattr(x, "__array__") else x


def kind_of(sequences: Iterable[Any]) -> str | None:
    """What all tokens of all sequences have: NAMES or NUMBERS; None where no token tells.

    Parameters
    ----------
    sequences : iterable of sequences
        As `listed` returns them.

    Raises
    ------
    TypeError
        For a string in the place of a token.
    ValueError
        For a mixture; the message says where.
    """
    seen: dict[str, str] = {}
    blank = False
    for i, sequence in enumerate(sequences):
        if not isinstance(sequence, list | tuple):
            if check.is_sparse(sequence) or hasattr(sequence, "shape"):
                seen.setdefault(NUMBERS, f"sequence {i}")
            continue
        for j, token in enumerate(sequence):
            if isinstance(token, str | bytes):
                raise TypeError(
                    f"sequence {i}, token {j} is the text {check._show(token)}: a token must be a "
                    "list of names of features, such as word_features(sentence) makes of a list of "
                    "words, or a dict of names to values, or a row of numbers")
            kind = _token_kind(token)
            if kind is not None:
                seen.setdefault(kind, f"sequence {i}, token {j}")
            blank |= kind is None and isinstance(token, list | tuple)
    if len(seen) == 2:
        raise ValueError(f"X mixes two kinds of tokens: {seen[NAMES]} has {NAMES}, {seen[NUMBERS]} "
                         f"has numbers; give all tokens the one or the other")
    return next(iter(seen), NAMES if blank else None)


def _token_kind(token: Any) -> str | None:
    """Of one token; None if it has no features, or is a number by itself."""
    if isinstance(token, Mapping | set | frozenset):
        return NAMES
    if not isinstance(token, list | tuple):
        if not hasattr(token, "__iter__"):
            return None
        if isinstance(token := _plain(token), np.ndarray) or not isinstance(token, list):
            return NUMBERS
    if not token:
        return None
    if type(token[0]) is str or any(isinstance(name, str) for name in token):
        return NAMES
    return NUMBERS


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
                hasher.add(token if type(token) in (list, dict) else _plain(token))
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
