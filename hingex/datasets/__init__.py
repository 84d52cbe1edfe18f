# SPDX-License-Identifier: BSD-3-Clause
"""Data that come with hingex."""

from ._wordnet import Glosses, load_wordnet_glosses

__all__ = ["Glosses", "load_wordnet_glosses"]
