# SPDX-License-Identifier: BSD-3-Clause
"""Documents to weighted counts of their terms."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, NoReturn, Self

import numpy as np

from .. import _validate as check
from .._available import available
from .._core import kernels
from .._estimator import Estimator
from .._interop import Transformer, framed
from .._result import not_fitted, warn
from .._storable import Storable
from .._threads import n_threads
from ._characters import ENGLISH, characters
from ._consistency import Analysis, about_stop_words, about_vocabulary
from ._texts import Texts

TOKEN_PATTERN = r"(?u)\b\w\w+\b"
# Patterns that the kernels know, and the least number of characters of their tokens.
_NATIVE = {
    TOKEN_PATTERN: 2, r"\b\w\w+\b": 2, r"(?u)\w\w+": 2, r"\w\w+": 2, r"\w{2,}": 2,
    r"(?u)\b\w+\b": 1, r"\b\w+\b": 1, r"(?u)\w+": 1, r"\w+": 1,
}  # fmt: skip
_MOST_FEATURES = 2**31 - 1
_LONGEST = 2**30  # terms in words, characters or bytes: no document has more bytes


class _Plan(NamedTuple):
    """The parameters, checked, as the kernels want them."""

    hashing: bool
    analyzer: str
    min_n: int
    max_n: int
    min_chars: int
    lowercase: bool
    stop: Any
    prepare: Callable[[str], Any] | None
    prepare_ascii: bool
    given: list[str] | None
    n_features: int
    dtype: np.dtype


def _refuse_names(vectorizer: TextVectorizer) -> None:
    """Raise AttributeError unless the columns have names."""
    if vectorizer.method == "hashing":
        raise AttributeError("method='hashing' keeps no terms; use method='vocabulary'")


class TextVectorizer(Storable, Transformer, Estimator):
    r"""Sparse features from raw text: weighted counts of words or of n-grams.

    A term t in a document d has the value

    .. math:: \mathrm{tf}(t, d) \cdot \mathrm{idf}(t), \qquad
              \mathrm{idf}(t) = 1 + \log \frac{1 + n}{1 + \mathrm{df}(t)}

    with its count tf and the number df of the n documents of `fit` that contain it; then rows are
    divided by their norm. Counts, columns and weights are those of scikit-learn's TfidfVectorizer
    with the same parameters (of CountVectorizer with use_idf=False, norm=None; of HashingVectorizer
    with method="hashing", use_idf=False), computed in float64 and rounded once.

    Parameters
    ----------
    method : {"vocabulary", "hashing"}, default "vocabulary"
        A column for each term of the documents of `fit`, sorted by code points; or the column that
        a hash of the term says, which needs no vocabulary, and with use_idf=False no `fit` either.
    analyzer : {"word", "char", "char_wb"}, default "word"
        Terms are n-grams of words, of characters, or of characters inside words, with a blank on
        both sides of a word.
    ngram_range : (int, int), default (1, 1)
        Smallest and largest n.
    lowercase : bool, default True
        As `str.lower`.
    strip_accents : {None, "ascii", "unicode"}, default None
        Decompose characters (NFKD) and drop all that is not ASCII, or only combining marks. Slow
        for documents that are not ASCII.
    stop_words : {None, "english"} or iterable of str, default None
        Words to leave out before n-grams are made, as they are after `lowercase`. "english" is a
        list of this library's own, of some 200 function words.
    token_pattern : str or compiled pattern, default ``(?u)\b\w\w+\b``
        What a word is; if it has a group, words are what the group matches. The default (and
        ``\w+``) is built in; others are searched for by `re`, which is slow.
    min_df, max_df : int or float, default 1 and 1.0
        Drop terms that occur in fewer, or in more, documents; a float is a fraction of n.
    max_features : int or None, default None
        Keep the terms with the most occurrences; among equals those that come first.
    vocabulary : mapping of str to int, iterable of str, or None, default None
        Terms with their columns, or in the order of their columns (a set: sorted); then `fit`
        learns only the idf.
    binary : bool, default False
        Count every term of a document once.
    sublinear_tf : bool, default False
        1 + log(tf) instead of tf; -1 - log(-tf) where signs of a hash make a count negative.
    use_idf : bool, default True
        Weigh by idf; with "hashing", by documents per column.
    smooth_idf : bool, default True
        Without, idf is :math:`1 + \log (n / \mathrm{df})`, and a term of no document counts as one
        of a single document.
    norm : {"l2", "l1", None}, default "l2"
    n_features : int, default 2**20
        Columns of "hashing".
    alternate_sign : bool, default True
        Let hashed terms count as -1 or 1, so that collisions cancel on average.
    dtype : dtype, default "float32"
        float32 or float64.
    decode_error : {"strict", "ignore", "replace"}, default "strict"
        Documents may be bytes. What to do with bytes that are no UTF-8: refuse the document by
        name, drop them, or take them for U+FFFD.
    n_jobs : int or None, default None
        Threads; None: as many as there are CPUs (OMP_NUM_THREADS). Results do not depend on it.

    Attributes
    ----------
    vocabulary_ : dict of str to int
        Columns by term. Made when asked for.
    idf_ : ndarray (d,) of float64
        With use_idf.
    n_documents_ : int
        Documents of `fit`; hashing without idf works without it.
    term_bytes_, term_ends_ : ndarray of uint8, ndarray (d,) of int64
        The vocabulary as it is kept: UTF-8 of the terms, one behind the other, and their ends.

    See Also
    --------
    hingex.text.read_tsv : Files of labelled documents.

    Notes
    -----
    Words, white space and lower case are those of the running Python (``\w`` of `re`, `str.lower`).
    No Python object is made for a token. The defaults suit linear classifiers of topics: words,
    idf, rows of Euclidean norm 1.

    The hash is MurmurHash3 (32 bits, seed 0) of the term in UTF-8: its absolute value modulo
    `n_features` is the column, its sign the sign.

    Examples
    --------
    >>> from hingex.text import TextVectorizer
    >>> vectorizer = TextVectorizer(use_idf=False, norm=None)
    >>> vectorizer.fit_transform(["To be, or not to be", "Être ou ne pas être"]).toarray()
    array([[2., 0., 1., 1., 0., 0., 2., 0.],
           [0., 1., 0., 0., 1., 1., 0., 2.]], dtype=float32)
    >>> list(vectorizer.get_feature_names_out())
    ['be', 'ne', 'not', 'or', 'ou', 'pas', 'to', 'être']
    """

    def __init__(
        self,
        method: str = "vocabulary",
        *,
        analyzer: str = "word",
        ngram_range: Any = (1, 1),
        lowercase: bool = True,
        strip_accents: str | None = None,
        stop_words: Any = None,
        token_pattern: Any = TOKEN_PATTERN,
        min_df: float = 1,
        max_df: float = 1.0,
        max_features: int | None = None,
        vocabulary: Any = None,
        binary: bool = False,
        sublinear_tf: bool = False,
        use_idf: bool = True,
        smooth_idf: bool = True,
        norm: str | None = "l2",
        n_features: int = 2**20,
        alternate_sign: bool = True,
        dtype: Any = "float32",
        decode_error: str = "strict",
        n_jobs: int | None = None,
    ) -> None:
        self.method = method
        self.analyzer = analyzer
        self.ngram_range = ngram_range
        self.lowercase = lowercase
        self.strip_accents = strip_accents
        self.stop_words = stop_words
        self.token_pattern = token_pattern
        self.min_df = min_df
        self.max_df = max_df
        self.max_features = max_features
        self.vocabulary = vocabulary
        self.binary = binary
        self.sublinear_tf = sublinear_tf
        self.use_idf = use_idf
        self.smooth_idf = smooth_idf
        self.norm = norm
        self.n_features = n_features
        self.alternate_sign = alternate_sign
        self.dtype = dtype
        self.decode_error = decode_error
        self.n_jobs = n_jobs

    # ------------------------------------------------------------------------------- fitting

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn vocabulary and idf.

        Parameters
        ----------
        X : iterable of str or bytes, Texts, pandas or Arrow string column
            Documents; bytes are UTF-8. Empty ones count as documents without terms.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there are no documents, no terms, or none that min_df and max_df keep; for a missing
            document; for parameters that make no sense.
        UnicodeDecodeError
            (a ValueError) For bytes that are no UTF-8; the message names document or line.
        TypeError
            If a document is neither str nor bytes, or X no collection of documents.

        Warns
        -----
        UserWarning
            For terms of `vocabulary` that can be in no document (in upper case, say), and for
            `stop_words` that leave a token of theirs in; the first of them are named.
        """
        self._learn((X,), keep_rows=False)
        return self

    def fit_stream(self, blocks: Any) -> Self:
        """Learn vocabulary and idf from documents that come in blocks, of which it holds one.

        Parameters
        ----------
        blocks : iterable of documents as `fit` takes them

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As `fit`, for all documents together.
        """
        self._learn(blocks, keep_rows=False)
        return self

    @framed
    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Learn from documents and return their features; reads `X` once.

        Parameters
        ----------
        X, y
            As `fit` has them.

        Returns
        -------
        scipy.sparse.csr_matrix, shape (documents, d)
            As `transform` gives it.

        Raises
        ------
        ValueError, TypeError
            As `fit`.
        """
        plan, counter = self._learn((X,), keep_rows=True)
        return self._rows(plan, counter)

    @framed
    def transform(self, X: Any) -> Any:
        """Features of documents.

        Parameters
        ----------
        X : iterable of str or bytes, Texts, pandas or Arrow string column

        Returns
        -------
        scipy.sparse.csr_matrix, shape (documents, d)
            Of `dtype`; a row for each document, indices sorted, int32. Terms that are not in the
            vocabulary are left out; a document without terms has an empty row.

        Raises
        ------
        NotFittedError
            Before `fit`, unless hashing without idf.
        ValueError, TypeError
            As `fit`, for documents.
        """
        plan = self._plan()
        if not self.__sklearn_is_fitted__():
            raise not_fitted(self)
        if "n_documents_" not in vars(self):
            self._warn_of_options(plan)
        known = None if plan.hashing else self._known()
        counter = self._counter(plan, known, keep_rows=True)
        self._feed(counter, X)
        return self._rows(plan, counter)

    def _learn(self, blocks: Iterable[Any], keep_rows: bool) -> tuple[_Plan, Any]:
        plan = self._plan()
        least, most, limit = self._limits(plan)
        self._warn_of_options(plan)
        known = None if plan.given is None else _table(*_packed(plan.given))
        counter = self._counter(plan, known, keep_rows, plan.hashing and self.use_idf,
                                limit is not None and not self.binary)
        for block in blocks:
            self._feed(counter, block)
        n = counter.n
        if n == 0:
            raise ValueError("there are no documents to learn from")
        learned: dict[str, Any] = {}
        if plan.hashing or plan.given is not None:
            df = np.zeros(plan.n_features if plan.given is None else len(plan.given), np.int64)
            if not plan.hashing or self.use_idf:
                counter.frequencies(df)
            if plan.given is not None:
                learned["term_bytes_"], learned["term_ends_"] = _packed(plan.given)
        else:
            df = self._choose(counter, n, least, most, limit, learned, plan)
        if self.use_idf:
            smooth = int(bool(self.smooth_idf))
            seen = np.maximum(df, 1) if not smooth else df + 1
            learned["idf_"] = np.log((n + smooth) / seen) + 1.0
        for key in [key for key in vars(self) if key.endswith("_") or key == "_terms"]:
            delattr(self, key)
        self.n_documents_ = n
        vars(self).update(learned)
        return plan, counter

    def _choose(self, counter: Any, n: int, least: float, most: float, limit: int | None,
                learned: dict[str, Any], plan: _Plan) -> np.ndarray:
        """Keep the terms that the limits allow; returns their document frequencies."""
        size = counter.merge()
        if size == 0:
            raise ValueError(f"the {n} documents hold no terms: {self._why_no_terms(plan)}")
        df = np.zeros(size, np.int64)
        tf = None if limit is None or self.binary else np.zeros(size, np.int64)
        counter.statistics(df, tf)
        least = least if isinstance(self.min_df, int | np.integer) else least * n
        most = most if isinstance(self.max_df, int | np.integer) else most * n
        if most < least:
            raise ValueError(f"max_df={self.max_df!r} allows terms of at most {most:g} of {n} "
                             f"documents, min_df={self.min_df!r} asks for at least {least:g}")
        kept = np.flatnonzero((df >= least) & (df <= most))
        if limit is not None and len(kept) > limit:
            often = df if tf is None else tf
            kept = np.sort(kept[np.argsort(-often[kept], kind="stable")[:limit]])
        if len(kept) == 0:
            raise ValueError(f"none of the {size} terms has a document frequency from min_df="
                             f"{self.min_df!r} to max_df={self.max_df!r}; lower min_df or raise "
                             "max_df")
        columns = np.full(size, -1, np.int32)
        columns[kept] = np.arange(len(kept), dtype=np.int32)
        count, width = counter.choose(columns)
        text, ends = np.empty(width, np.uint8), np.empty(count, np.int64)
        counter.write_terms(text, ends)
        learned["term_bytes_"], learned["term_ends_"] = text, ends
        return df[kept]

    def _why_no_terms(self, plan: _Plan) -> str:
        """What may be the reason that no document has a term."""
        words = plan.analyzer == "word"
        why = ["they are empty"]
        if plan.min_n > 1 and plan.analyzer != "char_wb":  # which has a term for each word
            what = "words" if words else "characters"
            why.append(f"they have fewer than {plan.min_n} {what}, as many as the smaller n of "
                       f"ngram_range={self.ngram_range!r} asks for")
        if words and plan.stop is not None:
            why.append("all their words are stop_words")
        if words:
            why.append("none of their words is long enough for token_pattern"
                       if self.token_pattern in _NATIVE else "token_pattern finds no word in them")
        return ", or ".join(why)

    # ---------------------------------------------------------------------------- parameters

    def _plan(self) -> _Plan:
        hashing = check.choice("method", self.method, ("vocabulary", "hashing")) == "hashing"
        analyzer = check.choice("analyzer", self.analyzer, ("word", "char", "char_wb"))
        try:
            least, most = self.ngram_range
        except (TypeError, ValueError):
            raise ValueError("ngram_range must be a pair (smallest n, largest n); got "
                             f"{self.ngram_range!r}") from None
        min_n = check.integer("the smaller of ngram_range", least)
        max_n = check.integer("the larger of ngram_range", most)
        if min_n > max_n:
            raise ValueError("ngram_range (--ngrams) must have the smaller n first; got "
                             f"{self.ngram_range!r}")
        if max_n > _LONGEST:
            raise ValueError(f"ngram_range (--ngrams) may go up to {_LONGEST}, as no document has "
                             f"more bytes; got {self.ngram_range!r}: lower the larger n")
        for name in ("lowercase", "binary", "sublinear_tf", "use_idf", "smooth_idf",
                     "alternate_sign"):
            check.boolean(name, getattr(self, name))
        if self.strip_accents is not None:
            check.choice("strip_accents", self.strip_accents, ("ascii", "unicode"))
        if self.norm is not None:
            check.choice("norm", self.norm, ("l2", "l1"))
        check.choice("decode_error", self.decode_error, ("strict", "ignore", "replace"))
        n_features = check.integer("n_features", self.n_features)
        if n_features > _MOST_FEATURES:
            raise ValueError(f"n_features may be up to {_MOST_FEATURES}; got {n_features}")
        dtype = np.dtype(self.dtype)
        if dtype not in (np.float32, np.float64):
            raise ValueError(f"dtype must be float32 or float64; got {self.dtype!r}")
        if analyzer != "word" and (self.stop_words is not None
                                   or self.token_pattern != TOKEN_PATTERN):
            raise ValueError(f"analyzer={analyzer!r} knows no words: stop_words and token_pattern "
                             "need analyzer='word'")
        stop = _stop_words(self.stop_words)
        given = None
        if self.vocabulary is not None:
            if hashing:
                raise ValueError("method='hashing' has no vocabulary; use method='vocabulary'")
            given = _given(self.vocabulary)
        min_chars, pattern = self._pattern()
        return _Plan(hashing, analyzer, min_n, max_n, min_chars, bool(self.lowercase), stop,
                     self._prepare(pattern), pattern is not None, given,
                     n_features if hashing else 0, dtype)

    def _pattern(self) -> tuple[int, re.Pattern[str] | None]:
        """Least length of a word, and None, or the pattern that is left to `re`."""
        pattern = self.token_pattern
        if isinstance(pattern, str) and pattern in _NATIVE:
            return _NATIVE[pattern], None
        try:
            compiled = re.compile(pattern)
        except (re.error, TypeError) as error:
            raise ValueError(f"token_pattern={pattern!r} is no regular expression: {error}"
                             ) from None
        if not isinstance(compiled.pattern, str):
            raise TypeError(f"token_pattern must be a pattern of str; got {pattern!r}")
        if compiled.groups > 1:
            raise ValueError(f"token_pattern may have one group, which is the token; {pattern!r} "
                             f"has {compiled.groups}")
        return 1, compiled

    def _prepare(self, pattern: re.Pattern[str] | None) -> Callable[[str], Any] | None:
        """What is done in Python with a document before the kernels count it."""
        if self.strip_accents is None and pattern is None:
            return None
        lowercase, strip = self.lowercase, _STRIP[self.strip_accents]

        def prepare(text: str) -> Any:
            if lowercase:
                text = text.lower()
            if strip is not None:
                text = strip(text)
            return text if pattern is None else pattern.findall(text)

        return prepare

    def _limits(self, plan: _Plan) -> tuple[float, float, int | None]:
        limits = [check.real(name, value, positive=False)
                  for name, value in (("min_df", self.min_df), ("max_df", self.max_df))]
        for name, value in (("min_df", self.min_df), ("max_df", self.max_df)):
            whole = isinstance(value, int | np.integer)
            if (whole and value < 1) or (not whole and value > 1):
                raise ValueError(f"{name} must be a number of documents (an int of at least 1) or "
                                 f"a fraction of them (a float from 0 to 1); got {value!r}")
        limit = None
        if self.max_features is not None:
            limit = check.integer("max_features", self.max_features)
        unused = limit is not None or (self.min_df, self.max_df) != (1, 1.0)
        if unused and (plan.hashing or plan.given is not None):
            what = "method='hashing'" if plan.hashing else "a given vocabulary"
            raise ValueError(f"{what} keeps all its columns: leave min_df, max_df and max_features "
                             "at their defaults")
        return limits[0], limits[1], limit

    def _warn_of_options(self, plan: _Plan) -> None:
        """Warn of stop words and of a given vocabulary that can match nothing."""
        if self.stop_words is None and plan.given is None:
            return
        analysis = Analysis(
            plan.analyzer, (plan.min_n, plan.max_n), plan.lowercase, self.strip_accents,
            _STRIP[self.strip_accents], re.compile(self.token_pattern))  # fmt: skip
        stop: set[str] = set()
        if self.stop_words is not None:
            stop = set(ENGLISH if isinstance(self.stop_words, str) else self.stop_words)
            message = about_stop_words(stop, analysis)
            if message:
                warn(message)
        if plan.given is not None:
            found = self._found_alone(plan) if analysis.sees_terms_alone else None
            message = about_vocabulary(plan.given, found, stop, analysis)
            if message:
                warn(message)

    def _found_alone(self, plan: _Plan) -> np.ndarray:
        """Whether each given term is a term of the document that it is itself."""
        terms = plan.given or []
        counter = self._counter(plan, _table(*_packed(terms)), keep_rows=True)
        counter.feed(terms, _name, _refuse)
        indptr = np.empty(counter.n + 1, np.int64)
        counter.finish(indptr)
        data, indices = np.empty(int(indptr[-1]), np.float32), np.empty(int(indptr[-1]), np.int32)
        counter.write(data, indices, indptr, None, False, False, None)
        row = np.repeat(np.arange(len(terms)), np.diff(indptr))
        found = np.zeros(len(terms), dtype=bool)
        found[row[indices == row]] = True
        return found

    # ------------------------------------------------------------------------------- kernels

    def _counter(self, plan: _Plan, known: Any, keep_rows: bool, count_df: bool = False,
                 count_tf: bool = False) -> Any:
        return kernels("text").Counter(
            plan.analyzer, plan.min_n, plan.max_n, plan.min_chars, plan.lowercase, plan.stop,
            known, plan.n_features, self.alternate_sign, keep_rows, count_df, count_tf,
            self.decode_error, characters, plan.prepare, plan.prepare_ascii,
            n_threads(self.n_jobs),
        )

    def _feed(self, counter: Any, X: Any) -> None:
        if isinstance(X, Texts):
            before = counter.n
            counter.feed_buffer(X._buffer, X._starts, X._ends, lambda i: X.name(i - before))
            return
        arrow = _arrow(X)
        if arrow is not None:
            kernel = kernels("text")
            kernel.feed_arrow(counter, kernel.ArrowText(arrow), _name, _refuse)
            return
        counter.feed(_documents(X), _name, _refuse)

    def _rows(self, plan: _Plan, counter: Any) -> Any:
        from scipy.sparse import csr_matrix

        indptr = np.empty(counter.n + 1, np.int64)
        counter.finish(indptr)
        nnz = int(indptr[-1])
        data, indices = np.empty(nnz, plan.dtype), np.empty(nnz, np.int32)
        idf = None
        if self.use_idf:
            idf = self.idf_
        counter.write(data, indices, indptr, idf, self.binary, self.sublinear_tf, self.norm)
        if nnz <= np.iinfo(np.int32).max:
            indptr = indptr.astype(np.int32)
        d = plan.n_features if plan.hashing else len(self.term_ends_)
        X = csr_matrix((data, indices, indptr), shape=(counter.n, d), copy=False)
        X.has_sorted_indices = X.has_canonical_format = True
        return X

    def _known(self) -> Any:
        """The table of the vocabulary, made when it is needed first."""
        text, ends = self.term_bytes_, self.term_ends_
        cached = vars(self).get("_terms")
        if cached is None or cached[0] is not text or cached[1] is not ends:
            cached = self._terms = text, ends, _table(text, ends)
        return cached[2]

    # ---------------------------------------------------------------------------- attributes

    term_bytes_: np.ndarray
    term_ends_: np.ndarray
    idf_: np.ndarray
    n_documents_: int

    @property
    def vocabulary_(self) -> dict[str, int]:
        """Columns by term; a new dict each time."""
        return {term: k for k, term in enumerate(self._names())}

    @available(_refuse_names)
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Terms by column.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray (d,) of str objects

        Raises
        ------
        NotFittedError
            Before `fit`.
        AttributeError
            With "hashing", whose columns have no names.
        """
        return np.array(self._names(), dtype=object)

    def _names(self) -> list[str]:
        _refuse_names(self)
        if "term_ends_" not in vars(self):
            raise not_fitted(self)
        text, start, names = self.term_bytes_.tobytes(), 0, []
        for end in self.term_ends_.tolist():
            names.append(text[start:end].decode("utf-8", "surrogatepass"))
            start = end
        return names

    def _check_params(self) -> None:
        self._limits(self._plan())
        n_threads(self.n_jobs)

    def _check_arrays(self) -> None:
        """Raise ValueError unless terms differ and idf_ has an entry for each column."""
        if self.method != "hashing" and "term_ends_" in vars(self):
            try:
                self._known()
            except ValueError as error:
                raise ValueError(f"term_bytes_ and term_ends_ are no vocabulary: {error}") from None
        idf = vars(self).get("idf_")
        if idf is None:
            return
        d = self.n_features if self.method == "hashing" else len(vars(self).get("term_ends_", ()))
        if np.shape(idf) != (d,):
            raise ValueError(f"idf_ has shape {np.shape(idf)}, but there are {d} columns")

    def _params_to_store(self) -> dict[str, Any]:
        """Parameters in types that model files have; the given vocabulary is in the arrays."""
        plan = self._plan()
        params = self.get_params(deep=False)
        params |= {"ngram_range": (plan.min_n, plan.max_n), "vocabulary": None,
                   "dtype": plan.dtype.name}
        if self.stop_words is not None and not isinstance(self.stop_words, str):
            params["stop_words"] = sorted(self.stop_words)
        if not isinstance(self.token_pattern, str):
            # Flags of a compiled pattern, at its beginning.
            flags = "".join(f for f, bit in _FLAGS if self.token_pattern.flags & bit)
            pattern = self.token_pattern.pattern
            params["token_pattern"] = f"(?{flags}:{pattern})" if flags else pattern
        return params

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.pop("_terms", None)
        return state

    def __sklearn_is_fitted__(self) -> bool:
        if self.method == "hashing":
            return not self.use_idf or "idf_" in vars(self)
        return "term_ends_" in vars(self) and (not self.use_idf or "idf_" in vars(self))

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import TransformerTags

        tags = super().__sklearn_tags__()
        tags.transformer_tags = TransformerTags(preserves_dtype=[])
        tags.input_tags.string, tags.input_tags.two_d_array = True, False
        tags.input_tags.sparse = False
        tags.requires_fit = self.method != "hashing" or bool(self.use_idf)
        return tags


_FLAGS = (("a", re.A), ("i", re.I), ("m", re.M), ("s", re.S), ("x", re.X))


def _to_ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")


def _without_marks(text: str) -> str:
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


_STRIP: dict[str | None, Callable[[str], str] | None] = {
    None: None, "ascii": _to_ascii, "unicode": _without_marks,
}  # fmt: skip


def _name(i: int) -> str:
    return f"documents[{i}]"


def _refuse(document: Any, i: int) -> NoReturn:
    missing = document is None or type(document).__name__ in ("NAType", "NaTType") or (
        isinstance(document, float) and math.isnan(document))
    if missing:
        raise ValueError(f"{_name(i)} is missing ({document!r}): leave it out, or fill in an empty "
                         "string")
    raise TypeError(f"{_name(i)} is of type {type(document).__name__}; documents are str, or bytes "
                    "in UTF-8")


def _documents(X: Any) -> Iterable[Any]:
    """What yields the documents of X."""
    if isinstance(X, str | bytes | bytearray | memoryview):
        raise TypeError("X must be a collection of documents; got a single one: put it into a list")
    if isinstance(X, Mapping) or hasattr(X, "columns") or check.is_sparse(X):
        raise TypeError(f"X must be a collection of documents; got {type(X).__name__}"
                        + (": choose one of its columns" if hasattr(X, "columns") else ""))
    if isinstance(X, np.ndarray):
        if X.ndim != 1:
            raise ValueError(f"X must be a 1-D array of documents; got shape {X.shape}")
        return X if X.dtype.kind == "O" else X.tolist()
    try:
        return iter(X)
    except TypeError:
        raise TypeError("X must be a collection of documents, such as a list of str; got "
                        f"{type(X).__name__}") from None


def _arrow(X: Any) -> Any:
    """The object with Arrow's C interface that X is or wraps without a copy, or None."""
    if hasattr(X, "columns") or isinstance(X, np.ndarray):
        return None
    if hasattr(X, "array") and hasattr(X, "dtype"):  # a column of pandas
        stored = getattr(X.dtype, "storage", None) == "pyarrow" or hasattr(X.dtype, "pyarrow_dtype")
        return X.array.__arrow_array__() if stored else None
    if hasattr(X, "__arrow_c_stream__") or hasattr(X, "__arrow_c_array__"):
        return X
    return None


def _stop_words(words: Any) -> Any:
    if words is None:
        return None
    if isinstance(words, str):
        if words != "english":
            raise ValueError("stop_words must be None, 'english' or a list of words; got "
                             f"{words!r}")
        words = ENGLISH
    try:
        listed = sorted(set(words))
        return _table(*_packed(listed))
    except (TypeError, AttributeError):
        raise TypeError(f"stop_words must be None, 'english' or an iterable of str; got {words!r}"
                        ) from None


def _given(vocabulary: Any) -> list[str]:
    """The terms of the parameter `vocabulary`, in the order of their columns."""
    if isinstance(vocabulary, str | bytes):
        raise TypeError(f"vocabulary must be a mapping or a list of terms; got {vocabulary!r}")
    if isinstance(vocabulary, Mapping):
        columns = list(vocabulary.values())
        if set(columns) != set(range(len(columns))):
            raise ValueError(f"the {len(columns)} columns of vocabulary must be 0, 1, ..., each "
                             "for one term")
        terms = sorted(vocabulary, key=vocabulary.__getitem__)
    else:
        terms = sorted(vocabulary) if isinstance(vocabulary, set | frozenset) else list(vocabulary)
    if not terms:
        raise ValueError("vocabulary is empty")
    for term in terms:
        if not isinstance(term, str):
            raise TypeError(f"the terms of vocabulary must be str; got {term!r}")
    if len(set(terms)) < len(terms):
        twice = next(term for k, term in enumerate(terms) if term in terms[:k])
        raise ValueError(f"vocabulary has the term {twice!r} twice")
    return terms


def _packed(terms: list[str]) -> tuple[np.ndarray, np.ndarray]:
    encoded = [term.encode("utf-8", "surrogatepass") for term in terms]
    ends = np.cumsum([len(term) for term in encoded], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), np.uint8), ends


def _table(text: np.ndarray, ends: np.ndarray) -> Any:
    return kernels("text").Terms(text, ends)
