# SPDX-License-Identifier: BSD-3-Clause
"""Paths over C, cross-validation and indicator targets, beside what they replace.

Everything is timed as CPU time of one thread in one process, the things compared in turn, and the
least of the repeats counts: the ratios hold on a busy machine, too.

 - path: `LinearSVC.path` over 20 C from 1e-3 to 1e3 against one cold fit at the C that takes the
   longest, and against 20 cold fits;
 - held_out: a fit that gives a fifth of the rows weight 0 against one on a copy of the others: what
   sharing X among folds costs;
 - cv, cv_ovr (20 classes): `LinearSVCCV` against scikit-learn's GridSearchCV over its LinearSVC;
   the same folds and problem (regularized intercept), hingex certified to 1e-3, scikit-learn by
   its default tolerance;
 - multilabel: an indicator y against OneVsRestClassifier over scikit-learn's LinearSVC.
"""

import time

import numpy as np

from . import data, linear

CS = np.logspace(-3, 3, 20)
FEW = np.logspace(-2, 2, 5)
FEWER = np.logspace(-1, 1, 3)
PARTS = ("path", "held_out", "multilabel", "cv", "cv_ovr")


def run(losses, repeats, out, parts):
    run_id = time.strftime("%Y-%m-%dT%H:%M:%S")
    X, y, real = data.load("20news")
    binary = (y == 0).astype(np.int64)
    work = {
        "path": lambda loss: _path(X, binary, loss, repeats),
        "held_out": lambda loss: _held_out(X, binary, loss, repeats),
        "multilabel": lambda loss: _multilabel(loss, repeats),
        "cv": lambda loss: _cv(X, binary, "binary", FEW, loss, repeats),
        "cv_ovr": lambda loss: _cv(X, y, "ovr", FEWER, loss, 1),
    }
    for part in parts:
        for loss in losses:
            _emit(out, run_id, real, work[part](loss))


def _emit(out, run_id, real, record):
    record = {"area": "path", "run": run_id, "real": real} | record
    linear.append(out, [record])
    print(", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}"
                    for k, v in record.items() if k not in ("area", "run", "real")), flush=True)


def _timed(*actions, repeats):
    """Least CPU seconds of each action, taken in turn, and what each returned last."""
    seconds, results = np.full((repeats, len(actions)), np.inf), [None] * len(actions)
    for r in range(repeats):
        for a, action in enumerate(actions):
            start = time.process_time()
            results[a] = action()
            seconds[r, a] = time.process_time() - start
    return seconds.min(axis=0).tolist(), results


def _path(X, y, loss, repeats):
    from hingex import LinearSVC

    svc = LinearSVC(loss, n_jobs=1)
    cold = [_timed(lambda C=C: LinearSVC(loss, C=C, n_jobs=1).fit(X, y), repeats=3)[0][0]
            for C in CS]
    hardest = float(CS[int(np.argmax(cold))])
    (whole, one), (path, _) = _timed(
        lambda: svc.path(X, y, CS), lambda: LinearSVC(loss, C=hardest, n_jobs=1).fit(X, y),
        repeats=max(3, repeats))
    return {"what": "path", "loss": loss, "seconds": whole, "hardest_C": hardest, "cold": one,
            "ratio": whole / one, "all_cold": sum(cold), "faster": sum(cold) / whole,
            "max_gap": float(path.gaps.max()), "epochs": int(path.n_iter.sum())}


def _held_out(X, y, loss, repeats):
    from hingex import LinearSVC

    keep = np.arange(len(y)) % 5 != 0
    part, labels, weights = X[keep], y[keep], keep.astype(float)
    (masked, copied), _ = _timed(
        lambda: LinearSVC(loss, n_jobs=1).fit(X, y, sample_weight=weights),
        lambda: LinearSVC(loss, n_jobs=1).fit(part, labels), repeats=max(5, repeats))
    return {"what": "held_out", "loss": loss, "weight 0": masked, "copy": copied,
            "ratio": masked / copied}


def _cv(X, y, task, Cs, loss, repeats):
    import warnings

    from hingex import LinearSVCCV

    try:
        from sklearn.model_selection import GridSearchCV
        from sklearn.svm import LinearSVC
    except ImportError:
        return {"what": "cv", "skipped": "scikit-learn is not installed"}

    def theirs():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return GridSearchCV(LinearSVC(loss=loss), {"C": Cs}, cv=5).fit(X, y)

    (ours, other), (cv, grid) = _timed(
        lambda: LinearSVCCV(loss, Cs=Cs, cv=5, intercept="regularized", n_jobs=1).fit(X, y),
        theirs, repeats=repeats)
    apart = np.abs(cv.cv_results_["mean_test_score"] - grid.cv_results_["mean_test_score"])
    return {"what": "cv", "task": task, "loss": loss, "hingex": ours, "sklearn": other,
            "ratio": other / ours, "C": cv.C_, "sklearn_C": float(grid.best_params_["C"]),
            "scores_apart": float(apart.max()), "max_gap": float(cv.fold_gaps_.max())}


def _multilabel(loss, repeats):
    import warnings

    from hingex import LinearSVC

    path = data.folder()
    if path is None:
        rng = np.random.default_rng(0)
        X = rng.normal(size=(1500, 103))
        Y = (X @ rng.normal(size=(103, 14)) + rng.normal(size=(1500, 14)) > 5).astype(int)
    else:
        import scipy.sparse as sp

        z = np.load(path / "yeast" / "train.npz")
        X = sp.csr_matrix((z["data"], z["indices"], z["indptr"]), shape=tuple(z["shape"])).toarray()
        Y = z["y"].astype(int)
    try:
        from sklearn import multiclass, svm
    except ImportError:
        return {"what": "multilabel", "skipped": "scikit-learn is not installed"}

    def theirs():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return multiclass.OneVsRestClassifier(svm.LinearSVC(loss=loss)).fit(X, Y)

    (ours, other), (model, rest) = _timed(
        lambda: LinearSVC(loss, intercept="regularized", n_jobs=1).fit(X, Y), theirs,
        repeats=repeats)
    signs = np.where(Y > 0, 1.0, -1.0)
    power = 1 if loss == "hinge" else 2

    def objective(f, W, b):
        return float(0.5 * (W**2).sum() + 0.5 * (b**2).sum()
                     + (np.maximum(0, 1 - signs * f) ** power).sum())

    W = np.vstack([e.coef_ for e in rest.estimators_])
    b = np.concatenate([e.intercept_ for e in rest.estimators_])
    mine = objective(model.decision_function(X), model.coef_, model.intercept_)
    return {"what": "multilabel", "loss": loss, "hingex": ours, "sklearn": other,
            "ratio": other / ours, "solver": model.solver_, "objective": mine,
            "sklearn_objective": objective(X @ W.T + b, W, b),
            "max_gap": float(model.duality_gap_.max())}
