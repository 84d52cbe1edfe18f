# SPDX-License-Identifier: BSD-3-Clause
"""Benchmark data: real sets from the folder HINGEX_DATA, or synthetic ones of the same shape."""

import os
import zlib
from pathlib import Path

import numpy as np
import scipy.sparse as sp

# name: (rows, features, nonzeros per row, classes), for the synthetic stand-ins
SHAPES = {
    "sms_spam": (4459, 3648, 12, 2),
    "20news": (11314, 56415, 151, 20),
    "20news_bigrams": (11314, 1195987, 441, 20),
    "wordnet_gloss": (94127, 30837, 11, 45),
    "debian_sections": (48837, 35326, 42, 53),
    "webkb": (2803, 7288, 77, 4),
    "a9a": (32561, 123, 14, 2),
    "mushrooms": (6499, 112, 21, 2),
    "phishing": (8844, 68, 30, 2),
    "svmguide1": (2471, 4, 4, 2),
    "splice": (2540, 60, 60, 2),
    "letter": (15000, 16, 16, 26),
    "satimage": (4435, 36, 36, 6),
    "usps_zip": (7291, 256, 256, 10),
    "lambdarank": (3005, 301, 95, 5),
    "yeast": (1500, 103, 103, 2),
    "ocr_letters": (52152, 128, 28, 26),
    "clusters1000": (30000, 100000, 70, 1000),
}
BINARY = ("20news", "20news_bigrams", "wordnet_gloss", "debian_sections", "sms_spam")
OVR = ("20news", "wordnet_gloss", "debian_sections")
LARGEST = ("20news_bigrams", "debian_sections", "20news")  # by nonzeros
CLUSTERS = "clusters1000"  # always synthetic


def folder():
    """Folder of the real data, or None."""
    path = Path(os.environ.get("HINGEX_DATA", Path(__file__).parents[2] / "shared" / "data"))
    return path if path.is_dir() else None


def load(name, split="train"):
    """(X as float32 CSR with int32 indices, class codes 0..K-1, whether the data are real)."""
    path = folder()
    if path is None or name == CLUSTERS:
        X, y = _synthetic(name, split)
        return _plain(X), y, False
    if name == "ocr_letters":
        z = np.load(path / name / "letters.npz")
        X = sp.csr_matrix(z["X"].astype(np.float32))
        y = z["y"]
    else:
        z = np.load(path / name / f"{split}.npz")
        X = sp.csr_matrix((z["data"], z["indices"], z["indptr"]), shape=tuple(z["shape"]))
        y = z["y"]
    if y.ndim == 2:  # multilabel: its first label
        y = y[:, 0]
    return _plain(X), np.unique(y, return_inverse=True)[1], True


def load_task(name, task, split="train"):
    """As `load`; the task "binary" has the upper half of the classes against the lower."""
    X, y, real = load(name, split)
    classes = int(y.max()) + 1
    if task == "binary" and classes > 2:
        y = (y >= classes // 2).astype(y.dtype)
    return X, y, real


def _plain(X):
    X = sp.csr_matrix(X, dtype=np.float32)
    X.sum_duplicates()  # sorts, too
    X.indptr, X.indices = X.indptr.astype(np.int32), X.indices.astype(np.int32)
    return X


def _synthetic(name, split):
    """Zipf-distributed features for wide data, Gaussian ones for narrow; classes overlap."""
    n, d, per_row, classes = SHAPES[name]
    rng = np.random.default_rng(zlib.crc32(f"{name}/{split}".encode()))
    y = rng.integers(0, classes, n)
    if per_row == d:
        centres = np.random.default_rng(0).normal(size=(classes, d))
        return sp.csr_matrix((rng.normal(size=(n, d)) + centres[y]).astype(np.float32)), y
    words = np.minimum(rng.zipf(1.3, (n, per_row)) - 1, d - 1)
    own = rng.random((n, per_row)) < 0.15  # words typical of the class
    words = np.where(own, (words * 7919 + (y[:, None] + 1) * 104729) % d, words)
    rows = np.repeat(np.arange(n), per_row)
    X = sp.csr_matrix((np.ones(rows.size, np.float32), (rows, words.ravel())), shape=(n, d))
    X.data = 1 + np.log(X.data)
    X.data /= np.repeat(np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel()),
                        np.diff(X.indptr)).astype(np.float32)
    return X, y
