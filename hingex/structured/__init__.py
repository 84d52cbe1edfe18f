# SPDX-License-Identifier: BSD-3-Clause
"""Structured prediction: SVMs whose outputs are sequences and other compounds of labels."""

from ._assignment import Assignment
from ._chain import Chain
from ._chain_svm import ChainSVM
from ._graph import Graph
from ._graph_lp import GraphLP
from ._multiclass import Multiclass
from ._multilabel import Multilabel
from ._multilabel_svm import MultilabelSVM
from ._svm import StructuredSVM
from ._tagged import read_tagged
from ._tokens import word_features
from ._tree import Tree

__all__ = ["Assignment", "Chain", "ChainSVM", "Graph", "GraphLP", "Multiclass", "Multilabel",
           "MultilabelSVM", "StructuredSVM", "Tree", "read_tagged", "word_features"]
