# SPDX-License-Identifier: BSD-3-Clause
"""Cross-validation over C: folds, scores, choice, threads, interrupts."""

import os
import signal
import threading
import tracemalloc
from time import perf_counter

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array

import hingex
from hingex import LinearSVC, LinearSVCCV
from hingex.linear._folds import SCORINGS, make_scorer

LOSSES = ["hinge", "squared_hinge"]
CS = [0.01, 0.1, 1.0]


def data(n=150, d=6, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    y[:classes * 6] = np.arange(classes * 6) % classes
    centres = rng.normal(size=(classes, d))
    return centres[y] + rng.normal(size=(n, d)), y


def folds_of(y, k):
    """Stratified: the j-th row of a class goes where its class's share says. By brute force."""
    first = sorted(set(y), key=list(y).index)
    dealt = sorted(first.index(v) for v in y)
    out = np.empty(len(y), int)
    for c, label in enumerate(first):
        each = [sum(v == c for v in dealt[f::k]) for f in range(k)]
        out[np.asarray(y) == label] = np.repeat(np.arange(k), each)
    return [(np.flatnonzero(out != f), np.flatnonzero(out == f)) for f in range(k)]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("solver", ["dual_cd", "second"])
@pytest.mark.parametrize("sparse", [False, True])
def test_scores_are_those_of_fits_on_the_folds(loss, classes, solver, sparse):
    if solver == "second":
        solver = "interior_point" if loss == "hinge" else "newton"
    X, y = data(classes=classes)
    X[np.abs(X) < 0.3] = 0
    given = csr_array(X) if sparse else X
    weights = np.random.default_rng(1).integers(1, 4, len(y)).astype(float)
    cv = LinearSVCCV(loss, Cs=CS, cv=4, solver=solver, tol=1e-8, class_weight="balanced",
                     max_iter=100_000)
    cv.fit(given, y, sample_weight=weights)
    expected = np.empty((4, 3))
    for k, (train, test) in enumerate(folds_of(y, 4)):
        for j, C in enumerate(CS):
            one = LinearSVC(loss, C=C, solver=solver, tol=1e-8, class_weight="balanced",
                            max_iter=100_000)
            one.fit(X[train], y[train], sample_weight=weights[train])
            expected[k, j] = one.score(X[test], y[test], sample_weight=weights[test])
    assert_allclose(cv.scores_, expected, atol=1e-12)
    assert (cv.fold_gaps_ <= 1e-8).all()
    assert CS[int(np.argmax(expected.mean(axis=0)))] == cv.C_
    assert cv.best_score_ == pytest.approx(expected.mean(axis=0).max())
    # What comes out is LinearSVC at that C, to the bit.
    last = LinearSVC(loss, C=cv.C_, solver=solver, tol=1e-8, class_weight="balanced",
                     max_iter=100_000).fit(given, y, sample_weight=weights)
    assert np.array_equal(cv.coef_, last.coef_)
    assert np.array_equal(cv.intercept_, last.intercept_)
    assert np.array_equal(cv.predict(given), last.predict(given))


def test_results_table():
    X, y = data()
    cv = LinearSVCCV(Cs=[1.0, 0.01, 0.1, 1.0], cv=3).fit(X, y)
    table = cv.cv_results_
    assert table["param_C"].tolist() == [1.0, 0.01, 0.1, 1.0] == cv.Cs_.tolist()
    assert_allclose(table["mean_test_score"], cv.scores_.mean(axis=0))
    assert_allclose(table["std_test_score"], cv.scores_.std(axis=0))
    assert_allclose(table["split2_test_score"], cv.scores_[2])
    assert_allclose(table["max_gap"], cv.fold_gaps_.max(axis=0))
    mean = table["mean_test_score"]
    assert table["rank_test_score"].tolist() == [1 + int((mean > m).sum()) for m in mean]
    assert cv.Cs_[cv.best_index_] == cv.C_
    assert cv.n_splits_ == 3
    assert (table["mean_n_iter"] > 0).all()
    assert np.array_equal(cv.scores_[:, 0], cv.scores_[:, 3])


def test_one_standard_error():
    X, y = data(n=300)
    best = LinearSVCCV(Cs=20, cv=10).fit(X, y)
    one = LinearSVCCV(Cs=20, cv=10, select="one_standard_error").fit(X, y)
    mean = best.scores_.mean(axis=0)
    limit = mean.max() - best.scores_[:, mean.argmax()].std(ddof=1) / np.sqrt(10)
    assert best.Cs_[np.flatnonzero(mean >= limit)[0]] == one.C_
    assert one.C_ < best.C_ or mean.argmax() == 0


@pytest.mark.parametrize("classes", [2, 4])
def test_threads_do_not_matter(classes):
    X, y = data(n=400, classes=classes)
    one = LinearSVCCV(Cs=6, n_jobs=1).fit(X, y)
    for n_jobs in (2, 3, 8):
        more = LinearSVCCV(Cs=6, n_jobs=n_jobs).fit(X, y)
        assert np.array_equal(one.scores_, more.scores_)
        assert np.array_equal(one.fold_gaps_, more.fold_gaps_)
        assert np.array_equal(one.coef_, more.coef_)


def test_ways_to_say_folds():
    X, y = data()
    pairs = folds_of(y, 3)
    cv = LinearSVCCV(Cs=CS, cv=3).fit(X, y)
    masks = [(np.isin(np.arange(len(y)), a), np.isin(np.arange(len(y)), b)) for a, b in pairs]

    class Splitter:
        def split(self, X, y=None, groups=None):
            yield from pairs

    for same in (pairs, iter(pairs), masks, Splitter()):
        assert np.array_equal(LinearSVCCV(Cs=CS, cv=same).fit(X, y).scores_, cv.scores_)


def test_cv_none_makes_fewer_folds_for_a_small_class():
    X, y = data(n=60)
    assert LinearSVCCV(Cs=CS).fit(X, y).n_splits_ == 5
    y[:] = 0
    y[[3, 40, 50]] = 1
    assert LinearSVCCV(Cs=CS).fit(X, y).n_splits_ == 3
    y[[40, 50]] = 0
    with pytest.raises(ValueError, match="class 1 has 1 rows, fewer than cv=2"):
        LinearSVCCV(Cs=CS).fit(X, y)


def test_repeated_training_rows_weigh_more():
    X, y = data(n=60)
    train, test = np.arange(40), np.arange(40, 60)
    twice = LinearSVCCV("hinge", Cs=[0.3], cv=[(np.concatenate([train, train[:10]]), test)],
                        tol=1e-9, scoring=lambda m, X, y: float(m.primal_objective_[0]),
                        max_iter=100_000).fit(X, y)
    rows = np.concatenate([train, train[:10]])
    one = LinearSVC("hinge", C=0.3, tol=1e-9, max_iter=100_000).fit(X[rows], y[rows])
    assert twice.scores_[0, 0] == pytest.approx(one.primal_objective_[0], rel=1e-8)


def test_rows_of_weight_zero_might_as_well_be_gone():
    X, y = data()
    weights = (np.random.default_rng(3).random(len(y)) < 0.7).astype(float)
    keep = weights > 0
    cv = LinearSVCCV(Cs=CS, cv=3, tol=1e-8).fit(X, y, sample_weight=weights)
    less = LinearSVCCV(Cs=CS, cv=3, tol=1e-8).fit(X[keep], y[keep])
    assert_allclose(cv.scores_, less.scores_, atol=1e-12)
    assert cv.C_ == less.C_
    assert_allclose(cv.coef_, less.coef_, atol=1e-3)


# ------------------------------------------------------------------------------------ scores


def test_scores_against_pairs_and_counts():
    """Every named score by its definition, with integer weights as repetitions."""
    rng = np.random.default_rng(0)
    true, f, w = rng.integers(0, 2, 40), rng.integers(-3, 4, 40) / 2, rng.integers(0, 3, 40)
    again = np.repeat(np.arange(40), w)
    t, s = true[again], f[again]
    p = (s > 0).astype(int)
    pairs = [(a > b) + 0.5 * (a == b) for a in s[t == 1] for b in s[t == 0]]
    tp, fp, fn, tn = (((p == a) & (t == b)).sum() for a, b in [(1, 1), (1, 0), (0, 1), (0, 0)])
    f1, f0 = 2 * tp / (2 * tp + fp + fn), 2 * tn / (2 * tn + fp + fn)
    expected = {"roc_auc": np.mean(pairs), "accuracy": (p == t).mean(), "f1": f1,
                "f1_macro": (f1 + f0) / 2, "f1_micro": (p == t).mean(),
                "balanced_accuracy": (tp / (tp + fn) + tn / (tn + fp)) / 2}  # fmt: skip
    assert set(expected) == set(SCORINGS)
    for name, value in expected.items():
        score = make_scorer(name, true.astype(np.int32), 2)
        assert score(true, f[:, None], w.astype(float)) == pytest.approx(value), name


def test_callable_scoring_gets_models_and_rows():
    X, y = data()
    seen = []

    def scoring(model, X, y):
        seen.append((model.C, len(y), type(X).__name__))
        assert model.duality_gap_.max() <= 1e-3
        return -abs(model.C - 0.1) + 0 * model.score(X, y)

    cv = LinearSVCCV(Cs=CS, cv=3, scoring=scoring, n_jobs=1).fit(csr_array(X), y)
    assert cv.C_ == 0.1
    assert [C for C, *_ in seen] == CS * 3
    assert {kind for *_, kind in seen} == {"csr_array"}
    assert sum(n for C, n, _ in seen if C == 0.1) == len(y)


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_an_error_in_scoring_comes_through(n_jobs):
    def scoring(model, X, y):
        raise RuntimeError("no score")

    X, y = data()
    with pytest.raises(RuntimeError, match="no score"):
        LinearSVCCV(Cs=CS, scoring=scoring, n_jobs=n_jobs).fit(X, y)


# --------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(("params", "said"), [
    ({"Cs": []}, "at least one C"), ({"Cs": [0.0]}, "positive"), ({"cv": 1}, "at least 2"),
    ({"cv": "five"}, "a number of folds"), ({"cv": 40}, "fewer than cv=40"),
    ({"cv": []}, "no folds"), ({"cv": [3]}, "pair"), ({"cv": [([], [1])]}, "no train rows"),
    ({"cv": [([0], [99])]}, "0..29"),
    ({"cv": [([0.5], [1])]}, "integers"), ({"scoring": "acc"}, "scoring must be"),
    ({"select": "worst"}, "select must be"), ({"C": 1.0}, "unexpected keyword"),
    ({"cv": [([0, 1], [2])]}, r"training rows of fold 0 hold no row of class 'c'"),
    ({"scoring": "roc_auc"}, "two classes"), ({"scoring": "f1"}, "3 classes"),
    ({"tol": 0.0}, "tol must be"), ({"solver": "interior_point"}, "is not for"),
])  # fmt: skip
def test_bad_parameters(params, said):
    X = np.random.default_rng(0).normal(size=(30, 3))
    y = np.array(list("abc") * 10)
    with pytest.raises((ValueError, TypeError), match=said):
        LinearSVCCV(**params).fit(X, y)


def test_bad_weights():
    X, y = data(n=40)
    with pytest.raises(ValueError, match="row 0"):
        LinearSVCCV().fit(X, y, sample_weight=np.r_[np.nan, np.ones(39)])
    weights = np.ones(40)
    weights[np.flatnonzero(y == 1)[2:]] = 0
    with pytest.raises(ValueError, match="class 1 has 2 rows of positive weight, fewer than cv=3"):
        LinearSVCCV(cv=3).fit(X, y, sample_weight=weights)
    test = np.flatnonzero(y == 0)[:3]
    weights = np.ones(40)
    weights[test] = 0
    with pytest.raises(ValueError, match="test rows of fold 0 have weight 0"):
        LinearSVCCV(cv=[(np.arange(40), test)]).fit(X, y, sample_weight=weights)


# -------------------------------------------------------------------------- time, interrupts


def hard(n=20_000, d=200):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, d)) * np.logspace(0, 3, d), (rng.random(n) < 0.5).astype(int)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_max_time_holds_for_everything(n_jobs):
    X, y = hard()
    begin = perf_counter()
    with pytest.warns(hingex.ConvergenceWarning):
        cv = LinearSVCCV(solver="dual_cd", max_time=2.0, tol=1e-9, n_jobs=n_jobs).fit(X, y)
    assert perf_counter() - begin < 4.0  # reading X, certificates, and a busy machine
    assert np.isnan(cv.scores_).any()
    assert cv.coef_.shape == (1, 200)


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("solver", ["dual_cd", "interior_point"])
def test_ctrl_c(n_jobs, solver):
    X, y = hard()
    cv = LinearSVCCV("hinge", solver=solver, tol=1e-10, n_jobs=n_jobs)
    sent = []

    def interrupt():
        sent.append(perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Timer(0.8, interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        cv.fit(X, y)
    assert perf_counter() - sent[0] < 1.5
    assert cv.scores_.shape == (5, 20)
    assert np.isnan(cv.scores_[:, -1]).all()
    assert not hasattr(cv, "coef_")
    assert threading.active_count() < 4


def test_ctrl_c_leaves_no_model_of_another_fit():
    """It would stand beside scores and a C that are not its own."""
    X, y = data()
    cv = LinearSVCCV(Cs=CS, cv=4, n_jobs=1).fit(X, y)

    def callback(state):
        if state.done == 5:
            raise KeyboardInterrupt

    cv.set_params(callback=callback)
    with pytest.raises(KeyboardInterrupt):
        cv.fit(X, y)
    assert np.isfinite(cv.scores_).any()
    for name in ("coef_", "intercept_", "classes_", "duality_gap_", "converged_"):
        assert not hasattr(cv, name)


def test_callback():
    X, y = data()
    seen = []
    LinearSVCCV(Cs=CS, cv=4, callback=seen.append, n_jobs=2).fit(X, y)
    assert [s.done for s in seen] == list(range(1, 13))
    assert {s.total for s in seen} == {12}
    assert {s.fold for s in seen} == {0, 1, 2, 3}
    assert max(s.gap for s in seen) <= 1e-3
    with pytest.warns(hingex.ConvergenceWarning, match="callback stopped"):
        cv = LinearSVCCV(Cs=CS, cv=4, callback=lambda s: s.done == 5, n_jobs=1).fit(X, y)
    assert np.isfinite(cv.scores_).sum() == 5
    assert cv.C_ in CS
    assert cv.converged_


def test_progress_bar(capfd):
    X, y = data()
    LinearSVCCV(Cs=CS, cv=4, verbose=True, n_jobs=2).fit(X, y)
    err = capfd.readouterr().err
    assert "12 of 12" in err
    assert "gap" in err
    assert "score" in err


def test_no_copy_of_X_per_fold():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 500))
    y = (X[:, 0] + rng.normal(size=4000) > 0).astype(int)
    tracemalloc.start()
    LinearSVCCV(Cs=[1e-4, 1e-3], cv=8, n_jobs=2, solver="dual_cd").fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.25 * X.nbytes


def test_model_files(tmp_path):
    X, y = data()
    cv = LinearSVCCV(Cs=CS, cv=3).fit(X, y)
    cv.save(tmp_path / "m")
    again = hingex.load(tmp_path / "m")
    assert type(again) is LinearSVCCV
    assert again.get_params() == cv.get_params()
    assert np.array_equal(again.predict(X), cv.predict(X))
    assert np.array_equal(again.scores_, cv.scores_)
    assert again.C_ == cv.C_


def test_path_of_the_same_parameters():
    X, y = data()
    path = LinearSVCCV("hinge", class_weight="balanced").path(X, y, CS)
    other = LinearSVC("hinge", class_weight="balanced").path(X, y, CS)
    assert np.array_equal(path.coefs, other.coefs)
    assert type(path.model(0)) is LinearSVC
