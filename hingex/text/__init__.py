# SPDX-License-Identifier: BSD-3-Clause
"""Raw text to sparse features, and files of labelled text."""

from ._texts import Texts, read_tsv
from ._vectorizer import TextVectorizer

__all__ = ["TextVectorizer", "Texts", "read_tsv"]
