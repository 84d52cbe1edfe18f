# SPDX-License-Identifier: BSD-3-Clause
"""Data that come with hingex."""

from ._wordnet import Glosses, load_wordnet_glosses, load_wordnet_texts

__all__ = ["Glosses", "load_wordnet_glosses", "load_wordnet_texts"]
