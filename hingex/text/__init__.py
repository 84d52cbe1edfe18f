# SPDX-License-Identifier: BSD-3-Clause
"""Raw text to sparse features and to labels, and files of labelled text."""

from ._classifier import Explanation, TextClassifier
from ._texts import Texts, TsvBlocks, read_tsv
from ._vectorizer import TextVectorizer

__all__ = ["Explanation", "TextClassifier", "TextVectorizer", "Texts", "TsvBlocks", "read_tsv"]
