# SPDX-License-Identifier: BSD-3-Clause
"""LinearSVC as its users meet it: attributes, certificate, interrupts, memory, messages."""

import copy
import gc
import io
import os
import pickle
import re
import subprocess
import sys
import textwrap
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, csr_matrix

from hingex import ConvergenceWarning, LinearSVC, NotFittedError
from hingex.solvers import dual_cd

LOSSES = ("hinge", "squared_hinge")
INTERCEPTS = [{"fit_intercept": False}, {"intercept": "regularized", "intercept_scaling": 2.0},
         {"intercept": "unregularized"}]


def blobs(n=200, d=5, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    centres = 1.5 * rng.standard_normal((classes, d))
    return centres[y] + rng.standard_normal((n, d)), y


def sparse_problem(n=2000, d=300, classes=3, density=0.1, seed=0, dtype=np.float64):
    """Random CSR with about the same number of values in each row."""
    rng = np.random.default_rng(seed)
    per_row = max(1, int(d * density))
    indices = np.sort(rng.integers(0, d // per_row, (n, per_row)) + np.arange(per_row) * (
        d // per_row), axis=1)
    X = csr_array((rng.standard_normal(n * per_row).astype(dtype),
                   indices.ravel().astype(np.int32),
                   np.arange(0, n * per_row + 1, per_row, dtype=np.int32)), shape=(n, d))
    W = rng.standard_normal((d, classes))
    return X, (X @ W + 2 * rng.standard_normal((n, classes))).argmax(axis=1)


def certificate(model, X, y, C):
    """(primal, dual) of every lane from coef_, intercept_ and dual_coef_ alone."""
    X = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
    X = X.astype(np.float64)
    classes = model.classes_
    positive = classes[1:] if len(classes) == 2 else classes
    signs = np.where(np.asarray(y)[:, None] == positive, 1.0, -1.0)
    dual_coef = model.dual_coef_.reshape(len(X), -1)
    C = np.broadcast_to(np.asarray(C, float), (len(X),))
    primal, dual = [], []
    for s, beta, w, b in zip(signs.T, dual_coef.T, model.coef_, model.intercept_, strict=True):
        alpha = s * beta
        assert (alpha >= 0).all()
        rounding = 1e-10 * (1 + np.abs(X.T) @ alpha).max()
        # Strong convexity: the interior point's w may differ from the dual's by this much.
        apart = np.sqrt(2 * (model.primal_objective_ * model.duality_gap_).max())
        combined = X.T @ beta
        assert_allclose(w, combined, rtol=1e-7,
                        atol=rounding + apart * (model.solver_ == "interior_point"))
        slack = np.maximum(0, 1 - s * (X @ w + b))
        p, d = 0.5 * w @ w, alpha.sum() - 0.5 * combined @ combined
        if model.loss == "hinge":
            assert (alpha <= C).all()
            p += C @ slack
        else:
            p += C @ slack**2
            d -= (alpha**2 / (4 * C)).sum()
        if not model.fit_intercept:
            assert b == 0
        elif model.intercept == "regularized":
            p += 0.5 * (b / model.intercept_scaling) ** 2
            d -= 0.5 * (model.intercept_scaling * beta.sum()) ** 2
        else:
            assert abs(beta.sum()) <= 1e-9 * alpha.sum()
        primal.append(p)
        dual.append(d)
    return np.array(primal), np.array(dual)


@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("kind", INTERCEPTS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("sparse", [False, True])
def test_certificate(loss, kind, classes, tol, sparse):
    X, y = blobs(classes=classes)
    model = LinearSVC(loss, tol=tol, C=0.5, store_dual=True, class_weight={0: 2.0}, **kind,
                      max_iter=100_000)
    weights = np.random.default_rng(1).uniform(0.2, 2, len(y))
    model.fit(csr_array(X) if sparse else X, y, sample_weight=weights)
    primal, dual = certificate(model, X, y, 0.5 * weights * np.where(y == 0, 2.0, 1.0))
    lanes = 1 if classes == 2 else classes
    for name in ("primal_objective_", "dual_objective_", "duality_gap_", "margin_width_",
                 "intercept_"):
        assert getattr(model, name).shape == (lanes,), name
        assert getattr(model, name).dtype == np.float64
    assert model.coef_.shape == (lanes, 5)
    assert model.coef_.dtype == np.float64
    assert_allclose(model.primal_objective_, primal, rtol=1e-10)
    assert_allclose(model.dual_objective_, dual, rtol=1e-10)
    assert (dual <= primal * (1 + 1e-12)).all()
    gap = (primal - dual) / primal
    assert (gap <= tol + 1e-12).all()
    assert_allclose(model.duality_gap_, np.maximum(gap, 0), atol=1e-11)
    assert model.converged_ is True
    assert_allclose(model.margin_width_, 2 / np.linalg.norm(model.coef_, axis=1))
    assert model.n_features_in_ == 5
    assert isinstance(model.n_iter_, int)
    assert model.solver_
    assert model.solver_reason_


def test_history():
    X, y = sparse_problem()
    model = LinearSVC().fit(X, y)
    history = model.history_
    assert history.dtype.names == ("epoch", "seconds", "primal", "dual", "gap", "active",
                                   "certified")
    assert history["epoch"][-1] == model.n_iter_
    assert (np.diff(history["epoch"]) > 0).all()
    assert (np.diff(history["seconds"]) >= 0).all()
    assert history["certified"][-1]
    assert_allclose(history["primal"][-1], model.primal_objective_.sum())
    assert_allclose(history["dual"][-1], model.dual_objective_.sum())
    assert history["gap"][-1] == model.duality_gap_.max()


def test_support_of_known_points():
    # Margins are |x| / 4 with w = 3 C + 4 alpha = 1 / 4: x = 4 is on the margin, 10 is outside.
    X = np.array([[-1.0], [1.0], [-3.0], [4.0], [-2.0], [-10.0]])
    y = np.array(["no", "yes", "no", "yes", "yes", "no"])
    model = LinearSVC("hinge", C=0.05, tol=1e-9, store_dual=True, fit_intercept=False,
                      max_iter=100_000).fit(X, y)
    assert_allclose(model.coef_, [[0.25]], atol=1e-4)
    assert_allclose(model.dual_coef_, [-0.05, 0.05, -0.05, 0.025, 0.05, 0], atol=1e-4)
    assert_array_equal(model.support_kind_, [2, 2, 2, 1, 2, 0])
    assert_array_equal(model.support_, np.arange(5))
    assert model.support_kind_.dtype == np.int8
    assert_allclose(model.margin_width_, [8.0], rtol=1e-3)
    model = LinearSVC(C=1.0, tol=1e-9, store_dual=True, max_iter=100_000).fit(X, y)
    assert_array_equal(model.support_kind_, model.dual_coef_ != 0)


def test_duals_of_one_vs_rest():
    X, y = blobs()
    model = LinearSVC("hinge", store_dual=True, C=0.1).fit(X, y)
    assert model.dual_coef_.shape == model.support_kind_.shape == (200, 3)
    assert_array_equal(model.support_, np.flatnonzero(model.dual_coef_.any(axis=1)))
    assert ((model.support_kind_ == 0) == (model.dual_coef_ == 0)).all()


def test_duals_not_kept():
    X, y = blobs(classes=2)
    model = LinearSVC()
    with pytest.raises(AttributeError, match="has no attribute 'dual_coef_'"):
        model.dual_coef_  # noqa: B018
    model.fit(X, y)
    for name in ("dual_coef_", "support_", "support_kind_"):
        with pytest.raises(AttributeError, match=rf"{name} was not kept.*store_dual=True"):
            getattr(model, name)
        assert not hasattr(model, name)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense_'"):
        model.nonsense_  # noqa: B018
    model.set_params(store_dual=True).fit(X, y)
    assert model.dual_coef_.shape == (200,)
    model.set_params(store_dual=False).fit(X, y)
    assert not hasattr(model, "dual_coef_")


def test_labels_come_back_as_they_were():
    X, y = blobs(classes=3)
    for labels in (np.array(["spam", "ham", "other"]), np.array([10, -3, 7]),
                   np.array([1.0, 2.0, 5.0])):
        model = LinearSVC().fit(X, labels[y])
        assert_array_equal(model.classes_, np.unique(labels))
        assert model.predict(X).dtype == labels.dtype
        assert model.score(X, labels[y]) > 0.8
    model = LinearSVC().fit(X, y == 1)
    assert model.predict(X).dtype == bool


# ---- prediction


@pytest.mark.parametrize("classes", [2, 3, 70])
def test_scores_are_the_formula_for_every_layout(classes):
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((600, 23)) * (rng.random((600, 23)) < 0.4)).astype(np.float32)
    model = LinearSVC(C=0.01, tol=0.1).fit(X, np.arange(600) % classes)
    S = csr_array(X)
    wide = csr_array((S.data, S.indices.astype(np.int64), S.indptr.astype(np.int64)),
                     shape=S.shape)
    wide.indices = wide.indices.astype(np.int64)
    read_only = X.copy()
    read_only.flags.writeable = False
    layouts = [X, X.astype(float), np.asfortranarray(X), X[::-1][::-1], S, S.astype(float), wide,
               csr_matrix(S), S.tocsc(), X.tolist(), read_only]
    expected = X.astype(float) @ model.coef_.T + model.intercept_
    expected = expected[:, 0] if classes == 2 else expected
    labels = model.classes_[(expected > 0).astype(int) if classes == 2 else expected.argmax(1)]
    for layout in layouts:
        scores = model.decision_function(layout)
        assert scores.dtype == np.float64
        assert_allclose(scores, expected, rtol=1e-10, atol=1e-12)
        assert_array_equal(model.predict(layout), labels)
        many = [model.set_params(n_jobs=jobs).decision_function(layout) for jobs in (1, 2, 3)]
        assert many[0].tobytes() == many[1].tobytes() == many[2].tobytes()
    assert model.decision_function(X[:1]).shape == ((1,) if classes == 2 else (1, classes))


def test_threads_give_the_same_scores_when_there_is_much_to_do():
    X, y = sparse_problem(n=6000, d=1000, classes=5)
    model = LinearSVC(tol=0.1, n_jobs=1).fit(X, y)
    scores, labels = model.decision_function(X), model.predict(X)
    for jobs in (2, 3):
        model.n_jobs = jobs
        assert model.decision_function(X).tobytes() == scores.tobytes()
        assert_array_equal(model.predict(X), labels)
    with ThreadPoolExecutor(4) as pool:
        for again in pool.map(model.decision_function, [X] * 8):
            assert again.tobytes() == scores.tobytes()


def test_ties_go_to_the_first_class():
    X, y = blobs()
    model = LinearSVC().fit(X, y)
    model.coef_ = np.zeros((3, 5))
    model.intercept_ = np.array([-1.0, 2.0, 2.0])
    assert (model.predict(X) == 1).all()
    model.intercept_ = np.zeros(3)
    assert (model.predict(X) == 0).all()
    two = LinearSVC().fit(X[y < 2], y[y < 2])
    two.coef_, two.intercept_ = np.zeros((1, 5)), np.zeros(1)
    assert (two.predict(X) == 0).all()


def test_coefficients_may_be_replaced():
    X, y = blobs()
    model = LinearSVC().fit(X, y)
    W = np.random.default_rng(0).standard_normal((3, 5))
    for coef in (W, np.asfortranarray(W), W.astype(np.float32), W.tolist()):
        model.coef_ = np.asarray(coef)
        model.intercept_ = np.array([1, 2, 3])
        assert_allclose(model.decision_function(X),
                        X @ np.asarray(coef, float).T + [1, 2, 3], rtol=1e-12, atol=1e-12)


# ---- bits


@pytest.fixture
def always_threads(monkeypatch):
    monkeypatch.setattr(dual_cd, "THREADS_FROM", 0)


@pytest.mark.usefixtures("always_threads")
@pytest.mark.parametrize("loss", LOSSES)
def test_same_bits(loss):
    X, y = sparse_problem(n=800)
    reference = LinearSVC(loss, n_jobs=1, C=0.03).fit(X, y)
    bits = reference.coef_.tobytes(), reference.intercept_.tobytes()
    for options in ({"n_jobs": 1}, {"n_jobs": 2}, {"n_jobs": 3}, {},
                    {"n_jobs": 1, "random_state": 0},
                    {"n_jobs": 1, "callback": lambda state: False}):
        model = LinearSVC(loss, C=0.03, **options).fit(X, y)
        assert (model.coef_.tobytes(), model.intercept_.tobytes()) == bits, options
        assert model.n_iter_ == reference.n_iter_
    def seeded_bits(random_state):
        model = LinearSVC(loss, C=0.03, n_jobs=1, random_state=random_state)
        return model.fit(X, y).coef_.tobytes()

    seeded = [seeded_bits(seed) for seed in (5, 5, 6)]
    assert seeded[0] == seeded[1]
    # Newton's method has no order of rows to be random.
    assert (seeded[0] != seeded[2]) == (reference.solver_ != "newton")
    generators = [seeded_bits(np.random.default_rng(3)) for _ in range(2)]
    assert generators[0] == generators[1]


@pytest.mark.usefixtures("always_threads")
def test_many_fits_at_once():
    X, y = sparse_problem(n=500, classes=2)
    Z, z = sparse_problem(n=500, classes=4, seed=1)
    jobs = [(X, y, 1), (Z, z, 2), (X.toarray(), y, 1), (Z.toarray(), z, 2)] * 2
    fit = lambda job: LinearSVC(n_jobs=job[2], tol=0.03).fit(*job[:2]).coef_.tobytes()  # noqa: E731
    alone = [fit(job) for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fit, jobs)) == alone


# ---- stopping


def run(code, *args, timeout=60, env=None, **options):
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code), *map(str, args)],
                          capture_output=True, text=True, timeout=timeout, check=False,
                          env=os.environ | (env or {}), **options)


_LONG = """
    import os, signal, sys, threading, time
    import numpy as np, scipy.sparse as sp, hingex
    kind = sys.argv[1]
    rng = np.random.default_rng(0)
    classes = {"binary": 2, "one-vs-rest": 8, "lane by lane": 8, "many": 1500, "dense": 2}[kind]
    n, d, k = (2000, 8000, 50) if kind == "many" else (40000, 30000, 100)
    if kind == "lane by lane":
        n, d = 10000, 3000
    if kind == "dense":
        X = rng.standard_normal((60000, 300))
        n = len(X)
    else:
        X = sp.csr_array((rng.standard_normal(n * k), (d * rng.random(n * k) ** 3).astype(np.int32),
                          np.arange(0, n * k + 1, k, dtype=np.int32)), shape=(n, d))
        X.sum_duplicates()
    y = np.r_[np.arange(classes), rng.integers(0, classes, n - classes)]
    if kind == "lane by lane":      # separable: few rows stay active
        X.data /= 10
        y = (X @ rng.standard_normal((d, classes))).argmax(axis=1)
    model = hingex.LinearSVC("hinge", C=1.0 if kind == "lane by lane" else 100.0, tol=1e-300,
                             max_iter=10**9, n_jobs=2, store_dual=True)
    sent = []
    def interrupt():
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)
    threading.Timer(0.8, interrupt).start()
    try:
        model.fit(X, y)
    except KeyboardInterrupt:
        print(time.perf_counter() - sent[0])
        assert model.coef_.shape == (1 if classes == 2 else classes, X.shape[1])
        assert np.isfinite(model.coef_).all() and np.isfinite(model.intercept_).all()
        assert model.coef_.any() and model.dual_coef_.any()
        assert not model.converged_
        epochs = model.history_["epoch"]
        assert model.n_iter_ == (epochs[-1] if len(epochs) else 0)
        assert (np.diff(epochs) > 0).all() and (kind != "lane by lane" or np.diff(epochs).max() > 1)
        duals = model.dual_coef_.reshape(X.shape[0], -1)
        error = np.abs(X.T @ duals - model.coef_.T).max()
        # Newton's model and duals are those of the optimum in the end only.
        # One-vs-rest may be stopped while its weights are in single precision.
        allowed = 1e-6 if kind in ("one-vs-rest", "many") else 1e-10
        if model.solver_ == "dual_cd":
            assert error <= allowed * (abs(X).T @ abs(duals)).max(), error
        assert model.predict(X[:5]).shape == (5,)
    else:
        sys.exit("not interrupted")
"""


@pytest.mark.parametrize("kind", ["binary", "one-vs-rest", "lane by lane", "many", "dense"])
def test_ctrl_c(kind, record_property):
    for _ in range(3):  # machines that others use stand still at times
        done = run(_LONG, kind)
        assert done.returncode == 0, done.stderr
        latency = float(done.stdout)
        if latency < 1.0:
            break
    record_property("seconds to KeyboardInterrupt", latency)
    print(f"Ctrl-C, {kind}: {1e3 * latency:.0f} ms")
    assert latency < 1.0


@pytest.mark.parametrize("classes", [2, 6])
def test_max_time(classes):
    X, y = sparse_problem(n=20_000, d=2000, classes=classes, density=0.02)
    model = LinearSVC("hinge", C=1e3, tol=1e-12, max_iter=10**9, max_time=0.5)
    for _ in range(3):  # machines that others use stand still at times
        begin = time.perf_counter()
        with pytest.warns(ConvergenceWarning, match="max_time was reached after"):
            model.fit(X, y)
        seconds = time.perf_counter() - begin
        if seconds < 0.55 + 0.25:
            break
    assert 0.4 < seconds < 0.55 + 0.25
    assert not model.converged_
    assert np.isfinite(model.duality_gap_).all()
    with pytest.warns(ConvergenceWarning, match="max_time"):
        model.set_params(max_time=1e-9).fit(X, y)
    assert np.isfinite(model.coef_).all()
    assert LinearSVC(max_time=1e9).fit(X[:100], y[:100]).converged_


def test_warning_states_the_gap_and_what_to_change():
    X, y = sparse_problem()
    with pytest.warns(ConvergenceWarning) as caught:
        model = LinearSVC(max_iter=2, tol=1e-8).fit(X, y)
    message = str(caught[0].message)
    assert f"gap of {model.duality_gap_.max():.2e}, above tol=1e-08" in message
    assert "max_iter=2 was reached" in message
    for hint in ("max_iter", "max_time", "tol", "scale the features", "lower C"):
        assert hint in message
    assert caught[0].filename == __file__
    assert model.n_iter_ >= 2
    assert not model.converged_


def test_callback():
    X, y = sparse_problem()
    states = []
    model = LinearSVC(tol=1e-8, callback=states.append).fit(X, y)
    assert states[-1].certified
    assert states[-1].gap == model.duality_gap_.max()
    assert [s.epoch for s in states] == sorted(s.epoch for s in states)
    assert {s.epoch for s in states} == set(range(1, model.n_iter_ + 1))
    assert all(0 <= s.active <= 2000 for s in states)

    model.set_params(callback=lambda state: state.epoch >= 3)
    with pytest.warns(ConvergenceWarning, match="the callback stopped it after 3 epochs"):
        model.fit(X, y)
    assert model.n_iter_ == 3

    # Asking to stop when there is nothing left to do is no failure.
    model.set_params(callback=lambda state: state.certified and state.gap <= 1e-3, tol=1e-3)
    assert model.fit(X, y).converged_


class Boom(Exception):
    pass


def boom(state):
    if state.epoch == 2:
        raise Boom("from the callback")


def test_callback_that_raises_leaves_no_bar():
    tqdm = pytest.importorskip("tqdm")
    X, y = sparse_problem()
    text = io.StringIO()
    with redirect_stderr(text), pytest.raises(Boom, match="from the callback"):
        LinearSVC(callback=boom, verbose=True, tol=1e-9).fit(X, y)
    assert "epoch 2" in text.getvalue()
    assert text.getvalue().endswith("\n")
    assert not list(tqdm.tqdm._instances)


def test_callback_that_interrupts_keeps_the_model():
    def callback(state):
        if state.epoch == 3:
            raise KeyboardInterrupt

    X, y = sparse_problem()
    model = LinearSVC(callback=callback, tol=1e-9)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert model.n_iter_ == 3
    assert np.isfinite(model.coef_).all()


@pytest.mark.parametrize("tqdm", [True, False])
def test_verbose(monkeypatch, tqdm):
    if tqdm:
        pytest.importorskip("tqdm")
    else:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    X, y = sparse_problem()
    text, out = io.StringIO(), io.StringIO()
    with redirect_stderr(text), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        model = LinearSVC(verbose=True, tol=1e-5).fit(X, y)
    last = re.split(r"[\r\n]+", text.getvalue().strip())[-1]
    assert "LinearSVC" in last
    assert f"epoch {model.n_iter_}, gap {model.duality_gap_.max():.2e}" in last
    assert " s" in last
    assert ("100%" in last) == tqdm
    assert text.getvalue().endswith("\n")
    assert out.getvalue() == ""
    quiet = io.StringIO()
    with redirect_stderr(quiet):
        LinearSVC().fit(X, y)
    assert quiet.getvalue() == ""


def test_errors_leave_no_bar():
    tqdm = pytest.importorskip("tqdm")
    X, y = blobs(classes=2)
    model = LinearSVC(warm_start=True, verbose=True)
    with redirect_stderr(io.StringIO()):
        model.fit(X, y)
    text = io.StringIO()
    with redirect_stderr(text):
        with pytest.raises(ValueError, match="warm_start") as first:
            model.fit(X[:50], y[:50])
        with pytest.raises(ValueError, match="scale the features") as second:
            LinearSVC(verbose=True).fit(np.diag([1.0, 1e25]), [0, 1])
    assert first
    assert second  # whose frames kept the bar alive
    assert text.getvalue() == ""
    assert not list(tqdm.tqdm._instances)


_FORK = """
    import multiprocessing, os, sys
    import numpy as np, hingex
    from hingex.solvers import dual_cd
    dual_cd.THREADS_FROM = 0
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 60)) * (rng.random((2000, 60)) < .5)
    import scipy.sparse as sp
    X = sp.csr_array(X)
    y = np.arange(2000) % 5
    def fit(X, y):
        return hingex.LinearSVC(n_jobs=2, C=.01).fit(X, y)
    def bits(X, y):
        model = fit(X, y)
        return model.coef_.tobytes(), model.decision_function(X).tobytes()
    before = bits(X, y)
    pid = os.fork()
    if pid == 0:
        os._exit(0 if bits(X, y) == before else 3)
    assert os.waitpid(pid, 0)[1] == 0
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.starmap(bits, [(X, y)] * 3) == [before] * 3
    assert bits(X, y) == before
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fit_in_a_forked_child_does_not_hang():
    done = run(_FORK)
    assert done.returncode == 0, done.stderr


# ---- warm start


@pytest.mark.parametrize("kind", INTERCEPTS)
@pytest.mark.parametrize("loss", LOSSES)
def test_warm_start(loss, kind):
    X, y = sparse_problem()
    options = {"loss": loss, "tol": 1e-4, "C": 0.05} | kind
    model = LinearSVC(warm_start=True, **options).fit(X, y)
    cold = model.n_iter_
    assert model.fit(X, y).n_iter_ < cold
    model.set_params(C=0.06).fit(X, y)
    fresh = LinearSVC(**options).set_params(C=0.06).fit(X, y)
    assert model.n_iter_ <= fresh.n_iter_
    assert_allclose(model.primal_objective_, fresh.primal_objective_, rtol=1e-4)
    model.set_params(C=0.01).fit(X, y)
    fresh.set_params(C=0.01).fit(X, y)
    assert_allclose(model.primal_objective_, fresh.primal_objective_, rtol=1e-4)
    # Other values in the same rows, and another loss.
    other = "hinge" if loss == "squared_hinge" else "squared_hinge"
    model.set_params(loss=other).fit(2 * X, y)
    fresh.set_params(loss=other).fit(2 * X, y)
    assert_allclose(model.primal_objective_, fresh.primal_objective_, rtol=1e-4)


def test_warm_start_needs_the_same_rows_and_classes():
    X, y = blobs()
    model = LinearSVC(warm_start=True).fit(X, y)
    coef = model.coef_
    with pytest.raises(ValueError, match="had 200 rows and 3 classes; got 150 rows and 3 classes"):
        model.fit(X[:150], y[:150])
    with pytest.raises(ValueError, match=r"got 200 rows and 2 classes.*warm_start=False"):
        model.fit(X, y == 0)
    assert model.coef_ is coef
    again = pickle.loads(pickle.dumps(model)).fit(X, y)
    assert again.n_iter_ <= model.n_iter_
    assert model.set_params(warm_start=False).fit(X[:150], y[:150]).converged_
    assert model.set_params(warm_start=True).fit(X, y).converged_


# ---- memory


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize(("values", "indices"),
                         [(np.float32, np.int32), (np.float64, np.int64)])
def test_fit_copies_nothing(values, indices, classes, record_property, tmp_path):
    n = d = 20_000
    X, y = sparse_problem(n, d, classes, density=0.005, dtype=values)
    X.indices, X.indptr = X.indices.astype(indices), X.indptr.astype(indices)
    size = sum(a.nbytes for a in (X.data, X.indices, X.indptr))
    # On disk and read-only: nothing may write to it.
    for name in ("data", "indices", "indptr"):
        array = getattr(X, name)
        array.tofile(tmp_path / name)
        setattr(X, name, np.memmap(tmp_path / name, dtype=array.dtype, mode="r"))
    lanes = 1 if classes == 2 else classes
    model = LinearSVC(tol=1e-2, n_jobs=2)
    model.fit(X[:50], y[:50])  # imports
    gc.collect()
    tracemalloc.start()
    model.fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    extra = peak - (n + d) * 8 * lanes
    record_property("extra memory of fit, share of X", extra / size)
    print(f"{values.__name__} {classes} classes: {peak} bytes at peak, X {size}, extra "
          f"{100 * extra / size:.1f}% of X")
    assert extra <= 0.05 * size
    tracemalloc.start()
    model.predict(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 0.05 * size + 16 * n


@pytest.mark.parametrize("layout", ["C", "F", "csr"])
def test_inputs_are_unchanged_and_may_be_read_only(layout):
    X, y = blobs()
    weights = np.linspace(0.5, 2, len(y))
    X = {"C": X, "F": np.asfortranarray(X), "csr": csr_array(X)}[layout]
    arrays = [y, weights] + ([X.data, X.indices, X.indptr] if layout == "csr" else [X])
    before = [a.copy() for a in arrays]
    for array in arrays:
        array.flags.writeable = False
    model = LinearSVC().fit(X, y, sample_weight=weights)
    model.predict(X)
    model.score(X, y, sample_weight=weights)
    for array, copied in zip(arrays, before, strict=True):
        assert_array_equal(array, copied)


# ---- weights


def test_weights_of_zero_leave_rows_out():
    X, y = blobs(classes=2)
    weights = (np.arange(200) % 3 > 0).astype(float)
    kept = weights > 0
    options = {"tol": 1e-9, "max_iter": 100_000}
    weighted = LinearSVC(**options).fit(X, y, sample_weight=weights)
    dropped = LinearSVC(**options).fit(X[kept], y[kept])
    assert_allclose(weighted.coef_, dropped.coef_, atol=1e-4)
    assert_allclose(weighted.primal_objective_, dropped.primal_objective_, rtol=1e-8)


def test_balanced_is_what_it_says():
    X, y = blobs(classes=3)
    y[::2] = 0
    counts = np.bincount(y)
    by_hand = {k: len(y) / (3 * counts[k]) for k in range(3)}
    a = LinearSVC(class_weight="balanced", tol=1e-8, max_iter=100_000).fit(X, y)
    b = LinearSVC(class_weight=by_hand, tol=1e-8, max_iter=100_000).fit(X, y)
    assert_allclose(a.primal_objective_, b.primal_objective_, rtol=1e-7)


# ---- messages


@pytest.mark.parametrize(("params", "error", "text"), [
    ({"loss": "log"}, ValueError, 'loss must be "squared_hinge" or "hinge"; got \'log\''),
    ({"loss": None}, ValueError, "loss must be"),
    ({"C": 0}, ValueError, "C must be a positive number; got 0"),
    ({"C": -1.0}, ValueError, "C must be a positive number; got -1.0"),
    ({"C": np.nan}, ValueError, "C must be a positive number; got nan"),
    ({"C": "1"}, TypeError, "C must be a positive number; got '1'"),
    ({"C": True}, TypeError, "C must be"),
    ({"C": 1e-310}, ValueError, "C must lie between 1e-200 and 1e\\+200"),
    ({"C": 1e308}, ValueError, "C must lie between 1e-200 and 1e\\+200"),
    ({"tol": 0}, ValueError, "tol must be a positive number; got 0"),
    ({"tol": -1e-3}, ValueError, "tol must be"),
    ({"tol": np.nan}, ValueError, "tol must be"),
    ({"tol": np.inf}, ValueError, "tol must be"),
    ({"tol": None}, TypeError, "tol must be"),
    ({"intercept": "yes"}, ValueError,
     'intercept must be "unregularized" or "regularized"; got \'yes\''),
    ({"fit_intercept": 1}, TypeError, "fit_intercept must be True or False; got 1"),
    ({"intercept_scaling": 0.0}, ValueError, "intercept_scaling must be a positive number"),
    ({"intercept_scaling": np.inf}, ValueError, "intercept_scaling must be"),
    ({"intercept": "regularized", "intercept_scaling": 1e-160}, ValueError,
     "intercept_scaling must be at least 1e-100"),
    ({"max_iter": 0}, ValueError, "max_iter must be a positive integer; got 0"),
    ({"max_iter": 10.0}, TypeError, "max_iter must be a positive integer; got 10.0"),
    ({"max_time": 0}, ValueError, "max_time must be a positive number; got 0"),
    ({"max_time": "1 s"}, TypeError, "max_time must be"),
    ({"n_jobs": 0}, ValueError, "n_jobs must be a positive number"),
    ({"n_jobs": 1.5}, TypeError, "n_jobs must be an integer or None; got 1.5"),
    ({"random_state": -1}, ValueError, "random_state must be None, an integer from 0"),
    ({"random_state": "seed"}, TypeError, "random_state must be"),
    ({"warm_start": "no"}, TypeError, "warm_start must be True or False"),
    ({"verbose": 2}, TypeError, "verbose must be True or False; got 2"),
    ({"store_dual": None}, TypeError, "store_dual must be True or False"),
    ({"callback": "print"}, TypeError, "callback must be callable or None; got 'print'"),
    ({"class_weight": "even"}, ValueError, 'class_weight must be None, "balanced" or a dict'),
    ({"class_weight": {7: 1.0}}, ValueError, "class_weight names labels that are not in y: 7"),
    ({"class_weight": {0: -1.0}}, ValueError, "class_weight.0. must be a number that is not"),
    ({"class_weight": {0: 0.0}}, ValueError, "class 0 has no row with a positive weight"),
])
def test_bad_parameters(params, error, text):
    X, y = blobs(classes=2)
    model = LinearSVC().set_params(**params)
    with pytest.raises(error, match=text):
        model.fit(X, y)
    assert not hasattr(model, "coef_")


@pytest.mark.parametrize(("X", "y", "weights", "text"), [
    (np.eye(3), [0, 0, 0], None, "y has 1 distinct label .0., that is 1 class; LinearSVC needs"),
    (np.eye(3), [0, 1], None, "inconsistent numbers of samples: .3, 2."),
    (np.eye(3), None, None, "y to be passed"),
    (np.eye(3), [0, 1, np.nan], None, "Input y contains NaN: first at row 2"),
    (np.eye(3), [0.5, 1.5, 0.5], None, "Unknown label type: continuous"),
    (np.eye(3), 2 * np.eye(3, dtype=int), None, "y should be a 1d array"),
    (np.eye(3) * np.nan, [0, 1, 0], None, "Input X contains NaN: first at row 0, column 0"),
    (np.diag([1, np.inf, 1]), [0, 1, 0], None, "Input X contains infinity"),
    (np.zeros(3), [0, 1, 0], None, "Expected 2D array, got 1D array"),
    (np.zeros((3, 0)), [0, 1, 0], None, "0 feature"),
    (np.zeros((0, 3)), [], None, "0 sample"),
    (np.eye(3), [0, 1, 0], [1, 1], "sample_weight.shape == .2,., expected .3,."),
    (np.eye(3), [0, 1, 0], [1, -1, 1], "sample_weight must be finite and not negative; got -1"),
    (np.eye(3), [0, 1, 0], [0, 0, 0], "sample_weight is zero in every row"),
    (np.eye(3), [0, 1, 0], [1, 0, 1], "class 1 has no row with a positive weight"),
    (1e25 * np.eye(3), [0, 1, 0], None, "norm beyond 1e19, too large to train on; scale"),
])
@pytest.mark.parametrize("sparse", [False, True])
def test_bad_data(X, y, weights, text, sparse):
    if sparse:
        if X.ndim == 1:
            pytest.skip("has two dimensions")
        X = csr_array(X)
    model = LinearSVC()
    with pytest.raises(ValueError, match=text):
        model.fit(X, y, sample_weight=weights)
    assert not hasattr(model, "coef_")


def test_bad_data_for_prediction():
    X, y = blobs()
    model = LinearSVC()
    for method in (model.predict, model.decision_function):
        with pytest.raises(NotFittedError, match=r"not fitted yet: call fit\(X, y\)"):
            method(X)
    model.fit(X, y)
    for method in (model.predict, model.decision_function):
        with pytest.raises(ValueError, match="X has 3 features, but LinearSVC is expecting 5"):
            method(X[:, :3])
        with pytest.raises(ValueError, match="NaN"):
            method(X * np.nan)


def test_a_failed_fit_leaves_the_model_as_it_was():
    X, y = blobs()
    model = LinearSVC().fit(X, y)
    before = copy.deepcopy(vars(model))
    with pytest.raises(ValueError, match="NaN"):
        model.fit(X * np.nan, y)
    with pytest.raises(ValueError, match="norm"):
        model.fit(X * 1e25, y)
    assert vars(model).keys() == before.keys()
    assert_array_equal(model.coef_, before["coef_"])


def test_pickle_and_repr():
    X, y = blobs()
    model = LinearSVC("hinge", C=2.0, store_dual=True).fit(X, y)
    assert repr(model) == "LinearSVC(loss='hinge', C=2.0, store_dual=True)"
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model)):
        assert_array_equal(again.decision_function(X), model.decision_function(X))
        assert_array_equal(again.dual_coef_, model.dual_coef_)
        assert again.get_params() == model.get_params()
    assert pickle.loads(pickle.dumps(LinearSVC())).get_params() == LinearSVC().get_params()


def test_data_frame():
    pandas = pytest.importorskip("pandas")
    X, y = blobs()
    frame = pandas.DataFrame(X, columns=list("abcde"))
    model = LinearSVC().fit(frame, pandas.Series(y))
    assert model.feature_names_in_.tolist() == list("abcde")
    assert_array_equal(model.predict(frame), LinearSVC().fit(X, y).predict(X))
    with pytest.raises(ValueError, match="must be in the same order"):
        model.predict(frame[list("edcba")])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", [(30, 40), (200, 3)])
def test_norms_that_underflow(loss, shape):
    X = np.random.default_rng(0).standard_normal(shape)
    y = X[:, 0] > 0
    for values in (X * 1e-24, csr_array(X * 1e-24)):
        with pytest.raises(ValueError, match="norms below 3e-19, too small to train"):
            LinearSVC(loss, C=1e48).fit(values, y)
        assert LinearSVC(loss).fit(values, y).converged_    # w = 0 is as good as any
    assert LinearSVC(loss, C=1e48).fit(X * 1e-170, y).converged_
    X[1:] *= 1e-24
    assert np.isfinite(LinearSVC(loss).fit(X, y).coef_).all()  # one row is not too small
    assert LinearSVC(loss).fit(0 * X, y).converged_
