# SPDX-License-Identifier: BSD-3-Clause
"""Hashes of what every estimator learns and predicts: a change of structure must move no bit.

    python tools/fingerprint.py write base.json
    ...                                              # change names, files, layers
    python tools/fingerprint.py compare base.json

A case is an estimator with its parameters, a kind of data (dtype, layout) and a number of threads.
Its hash covers all fitted attributes, among them `coef_`, `intercept_` and duals, and predictions,
scores and probabilities of other rows. Times in `history_` are left out. Bits depend on processor,
compiler and libraries, so a file of hashes holds for one machine and is not kept in the repository.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse as sp

import hingex
import hingex.text

LAYOUTS = {
    "dense float64": lambda X: X,
    "dense float32": lambda X: X.astype(np.float32),
    "dense float64, F order": np.asfortranarray,
    "CSR float64 int32": lambda X: with_indices(sp.csr_array(X), np.int32),
    "CSR float32 int64": lambda X: with_indices(sp.csr_array(X.astype(np.float32)), np.int64),
}
OUTPUTS = ("predict", "decision_function", "predict_proba", "transform", "score_samples",
           "similarity")
TIMES = ("seconds", "time")  # in names of fields of history_ and cv_results_
WORDS = ("we", "see", "long", "short", "red", "green", "cat", "dog", "bird", "runs", "flies", "the")


def with_indices(X, dtype):
    X.indices, X.indptr = X.indices.astype(dtype), X.indptr.astype(dtype)
    return X


# ---------------------------------------------------------------------------------------- hashes


def update(digest, value):
    """Let a digest take in a value, of any kind that fitted attributes have."""
    if sp.issparse(value):
        value = [value.shape, value.data, value.indices, value.indptr]
    if isinstance(value, np.ndarray) and value.dtype.names:
        for name in value.dtype.names:
            if name not in TIMES:
                update(digest, [name, np.ascontiguousarray(value[name])])
    elif isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, dict):
        for name in sorted(value, key=str):
            if not any(time in str(name) for time in TIMES):
                update(digest, [str(name), value[name]])
    elif isinstance(value, list | tuple | np.ndarray):
        digest.update(str(len(value)).encode())
        for item in value:
            update(digest, item)
    elif hasattr(value, "get_params"):
        update(digest, fitted(value))
    else:
        digest.update(f"{type(value).__name__}:{value!r}".encode())


def fitted(model):
    return {name: value for name, value in vars(model).items()
            if name.endswith("_") and not name.startswith("_")}


def hash_of(model, *rows):
    """Hash of what a fitted model holds and of what it says of these rows."""
    digest = hashlib.sha256()
    update(digest, fitted(model))
    for name in OUTPUTS:
        if rows and hasattr(model, name):
            update(digest, [name, getattr(model, name)(*rows)])
    return digest.hexdigest()[:16]


# ----------------------------------------------------------------------------------------- cases


def table(n, d, classes, seed=0, spread=0.8):
    """Rows of some classes with a third of zeros, and other rows of the same kind."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    centres = rng.normal(size=(classes, d))
    X, Z = (spread * centres[y] + rng.normal(size=(n, d)) for _ in range(2))
    X[rng.random((n, d)) < 0.33] = 0
    Z[rng.random((n, d)) < 0.33] = 0
    return X, y, Z


def linear_models():
    for loss in ("hinge", "squared_hinge"):
        for options in ({}, {"intercept": "regularized"}, {"fit_intercept": False}):
            yield f"LinearSVC {loss} {options}", hingex.LinearSVC(loss, random_state=0, **options)
        for kind in ("crammer_singer", "weston_watkins", "lee_lin_wahba"):
            yield f"LinearSVC {loss}, {kind}", hingex.LinearSVC(
                loss, multi_class=kind, random_state=0)
    yield "LinearSVC balanced", hingex.LinearSVC(class_weight="balanced", C=10.0, random_state=0)
    yield "LinearSVCCV", hingex.LinearSVCCV(Cs=[0.1, 1.0], cv=3, random_state=0)
    for loss, penalty in (("logistic", "l2"), ("logistic", "l1"), ("squared_hinge", "l1"),
                          ("modified_huber", "l2"), ("smooth_hinge", "elasticnet")):
        yield f"LinearClassifier {loss} {penalty}", hingex.LinearClassifier(loss, penalty=penalty)
    for name in ("PegasosClassifier", "PassiveAggressiveClassifier", "AROWClassifier"):
        yield name, getattr(hingex, name)(random_state=0)


def kernel_models():
    for kernel in ("linear", "rbf", "poly", "sigmoid", "laplacian"):
        yield f"SVC {kernel}", hingex.SVC(kernel=kernel)
    yield "SVC probability", hingex.SVC(probability=True, random_state=0)
    yield "SVC ovr", hingex.SVC(multi_class="ovr", C=10.0)
    yield "SVC nystroem", hingex.SVC(approximation="nystroem", n_components=30, random_state=0)
    yield "NuSVC", hingex.NuSVC(nu=0.3)
    yield "SVR", hingex.SVR(C=2.0)
    yield "NuSVR", hingex.NuSVR(C=2.0)
    yield "OneClassSVM", hingex.OneClassSVM(nu=0.2)
    yield "CalibratedClassifier", hingex.CalibratedClassifier(hingex.LinearSVC(random_state=0))
    yield "LMNN", hingex.LMNN(n_neighbors=3, max_iter=50)
    yield "OASIS", hingex.OASIS(n_triplets=2000, max_iter=3, random_state=0)


def tables():
    """Cases on tables of several shapes, dtypes and layouts."""
    shapes = {"2 classes": (160, 8, 2), "3 classes": (150, 8, 3), "tall": (4000, 5, 2),
              "wide": (60, 300, 3)}
    for shape, size in shapes.items():
        X, y, Z = table(*size)
        for layout, make in LAYOUTS.items():
            for threads in (1, 2):
                models = dict(linear_models())
                if shape in ("2 classes", "3 classes"):
                    models |= dict(kernel_models())
                for name, model in models.items():
                    if "n_jobs" in model.get_params():
                        model.set_params(n_jobs=threads)
                    elif threads == 2:
                        continue
                    yield f"{name} | {shape}, {layout}, {threads}", model, (make(X), y), make(Z)


def rankings():
    X, y, Z = table(200, 6, 4)
    qid = np.arange(200) // 10
    for loss in ("hinge", "squared_hinge"):
        for threads in (1, 2):
            model = hingex.LinearRankSVC(loss, n_jobs=threads)
            yield f"LinearRankSVC {loss} | {threads}", model, (X, y, qid), Z
            yield (f"AUCMaximizer {loss} | {threads}", hingex.AUCMaximizer(loss, n_jobs=threads),
                   (X, y > 1), Z)


def sequences():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, size=60)
    ends = np.cumsum(lengths)[:-1]
    X = rng.normal(size=(lengths.sum(), 6))
    y = np.split((X[:, :4] + 0.5 * rng.normal(size=(len(X), 4))).argmax(axis=1), ends)
    words = [[[f"w{k}", "bias"] for k in rng.integers(0, 40, size=n)] for n in lengths]
    tags = [[f"t{int(token[0][1:]) % 3}" for token in line] for line in words]
    L = (X[:, :5] + rng.normal(size=(len(X), 5)) > 0.5).astype(int)
    for threads in (1, 2):
        for solver in ("bcfw", "one_slack", "subgradient"):
            model = hingex.ChainSVM(solver=solver, max_iter=20, n_jobs=threads, random_state=0)
            yield f"ChainSVM {solver} | {threads}", model, (np.split(X, ends), y), np.split(
                X[::-1].copy(), ends)
        model = hingex.ChainSVM(max_iter=20, n_jobs=threads, random_state=0)
        yield f"ChainSVM words | {threads}", model, (words, tags), words[::-1]
        model = hingex.MultilabelSVM(max_iter=20, n_jobs=threads, random_state=0)
        yield f"MultilabelSVM | {threads}", model, (X, L), X[::-1].copy()


def texts():
    rng = np.random.default_rng(0)
    lines = [" ".join(rng.choice(WORDS, size=n)) for n in rng.integers(1, 12, size=200)]
    labels = ["animal" if {"cat", "dog", "bird"} & set(line.split()) else "other" for line in lines]
    for threads in (1, 2):
        for options in ({}, {"ngram_range": (1, 2), "sublinear_tf": True}, {"use_idf": False},
                        {"analyzer": "char_wb", "ngram_range": (2, 3)}):
            model = hingex.text.TextVectorizer(n_jobs=threads, **options)
            yield f"TextVectorizer {options} | {threads}", model, (lines,), lines[::-1]
    yield "TextClassifier", hingex.text.TextClassifier(), (lines, labels), lines[::-1]


def streams():
    """Models that learn from files, and those of a path."""
    X, y, Z = table(400, 10, 3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.svm"
        hingex.dump_svmlight_file(X, y, path)
        for name in ("LinearSVC", "PegasosClassifier", "AROWClassifier"):
            blocks = hingex.blocks.SvmlightBlocks(path, block_size=4000, n_features=10)
            model = getattr(hingex, name)(random_state=0)
            yield f"fit_stream {name}", hash_of(model.fit_stream(blocks), Z)
    found = hingex.LinearSVC("hinge", random_state=0).path(X, y, Cs=[0.01, 0.1, 1.0, 10.0])
    digest = hashlib.sha256()
    update(digest, {name: getattr(found, name) for name in ("coef", "intercept", "gap")
                    if hasattr(found, name)})
    yield "LinearSVC.path", digest.hexdigest()[:16]


def hashes():
    """Name and hash of each case; what a case raises stands in the place of its hash."""
    for cases in (tables, rankings, sequences, texts):
        for name, model, given, rows in cases():
            try:
                yield name, hash_of(model.fit(*given), rows)
            except Exception as error:
                yield name, f"{type(error).__name__}: {error}"
    yield from streams()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("write", "compare"))
    parser.add_argument("file")
    args = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = dict(hashes())
    if args.action == "write":
        Path(args.file).write_text(json.dumps(found, indent=0) + "\n", encoding="utf-8")
        print(f"{len(found)} cases, {sum(':' in value for value in found.values())} of them errors")
        return 0
    base = json.loads(Path(args.file).read_text(encoding="utf-8"))
    moved = [name for name in base if found.get(name) != base[name]]
    for name in moved:
        print(f"{name}: {base[name]} -> {found.get(name, 'absent')}")
    print(f"{len(base)} cases, {len(moved)} of them with other bits")
    return int(bool(moved))


if __name__ == "__main__":
    sys.exit(main())
