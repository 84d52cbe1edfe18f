# SPDX-License-Identifier: BSD-3-Clause
"""Vocabularies and stop words that cannot match what the other parameters make of documents."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

_SHOWN = 5
# What a pattern finds of a term that stands alone says nothing if it looks at its neighbours.
_LOOKS_AROUND = ("(?=", "(?<=")


class Analysis(NamedTuple):
    """What becomes of a document."""

    analyzer: str
    ngrams: tuple[int, int]
    lowercase: bool
    strip_accents: str | None
    strip: Callable[[str], str] | None
    pattern: re.Pattern[str]

    @property
    def sees_terms_alone(self) -> bool:
        """Whether a term is found in a document of nothing else, if it is ever found."""
        return self.analyzer != "word" or not (
            self.pattern.groups or any(part in self.pattern.pattern for part in _LOOKS_AROUND))

    def prepared(self, text: str) -> str:
        """Text as it is before words are searched for."""
        text = text.lower() if self.lowercase else text
        return text if self.strip is None else self.strip(text)


def about_stop_words(words: Iterable[str], analysis: Analysis) -> str | None:
    """The warning for stop words whose tokens stay in the features, or None."""
    listed = sorted(str(word) for word in set(words))
    known, useless = set(listed), []
    for word in listed:
        text = analysis.prepared(word)
        found = analysis.pattern.findall(text) if analysis.sees_terms_alone else [text]
        left = [token for token in found if token not in known]
        if left:
            useless.append(f"{word!r} (documents have {', '.join(map(repr, left))})")
    if not useless:
        return None
    return (f"stop_words are inconsistent with lowercase, strip_accents or token_pattern: "
            f"{len(useless)} of {len(listed)} stay in the features as other words: "
            f"{_some(useless)}. Give those as well")


def about_vocabulary(terms: Sequence[str], found: np.ndarray | None, stop: set[str],
                     analysis: Analysis) -> str | None:
    """The warning for terms that no document can hold, or None.

    Parameters
    ----------
    terms : list of str
    found : bool array, or None
        Whether each is a term of the document that it is itself; None: this was not tried.
    stop : set of str
        Words to leave out.
    """
    if found is None:
        useless = [term for term in terms if analysis.prepared(term) != term]
    else:
        useless = [terms[i] for i in np.flatnonzero(~found).tolist()
                   if not (analysis.analyzer == "char_wb" and terms[i] == " ")]
    if not useless:
        return None
    shown = [f"{str(term)!r} ({_reason(term, stop, analysis)})" for term in useless[:_SHOWN]]
    return (f"{len(useless)} of the {len(terms)} terms of vocabulary can be in no document, and "
            f"their columns stay empty: {_some(shown, len(useless))}")


def _reason(term: str, stop: set[str], analysis: Analysis) -> str:
    lowered = term.lower() if analysis.lowercase else term
    if lowered != term:
        return f"lowercase=True makes it {lowered!r}"
    stripped = analysis.prepared(term)
    if stripped != term:
        return f"strip_accents={analysis.strip_accents!r} makes it {stripped!r}"
    if analysis.analyzer == "word":
        words = analysis.pattern.findall(term)
        if " ".join(words) != term or not words:
            return f"token_pattern finds {words} in it"
        left_out = [word for word in words if word in stop]
        if left_out:
            return f"{left_out[0]!r} is a stop word"
        n, unit = len(words), "words"
    else:
        n, unit = len(term), "characters"
    if not analysis.ngrams[0] <= n <= analysis.ngrams[1]:
        return f"it has {n} {unit}, and ngram_range is {analysis.ngrams}"
    return f"analyzer={analysis.analyzer!r} makes no such term"


def _some(shown: list[str], total: int | None = None) -> str:
    """The first of them."""
    total = len(shown) if total is None else total
    return ", ".join(shown[:_SHOWN]) + (", ..." if total > _SHOWN else "")
