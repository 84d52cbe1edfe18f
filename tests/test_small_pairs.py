# SPDX-License-Identifier: BSD-3-Clause
"""Many small classes: pairs solved together, their scores, votes and probabilities."""

import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import hingex
from hingex import SVC, NuSVC
from hingex._core import kernels
from hingex.kernel import _pairs, _probability
from hingex.solvers import small_pairs, smo

sparse = pytest.importorskip("scipy.sparse")
svm = pytest.importorskip("sklearn.svm")


def classes_of(K, rows=(2, 8), d=8, spread=0.7, seed=0):
    """Rows of K classes of different sizes in random order."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(K), rng.integers(rows[0], rows[1] + 1, K))
    X = rng.normal(size=(K, d))[y] + spread * rng.normal(size=(len(y), d))
    order = rng.permutation(len(y))
    return X[order], y[order]


def gram(X, kernel, gamma=0.2):
    if kernel == "linear":
        return X @ X.T
    if kernel == "poly":
        return (gamma * X @ X.T + 1) ** 3
    return np.exp(-gamma * ((X[:, None] - X[None]) ** 2).sum(axis=2))


def pairs_of(model, y):
    """(rows, sign, signed duals) of each pair of classes, from the layout of dual_coef_."""
    K, place = len(model.classes_), {row: s for s, row in enumerate(model.support_)}
    for i in range(K):
        for j in range(i + 1, K):
            rows = np.concatenate([np.flatnonzero(y == i), np.flatnonzero(y == j)])
            sign = np.where(y[rows] == i, 1.0, -1.0)
            sets = np.where(y[rows] == i, j - 1, i)
            yield rows, sign, np.array([
                model.dual_coef_[s, place[row]] if row in place else 0.0
                for s, row in zip(sets, rows, strict=True)])


PARAMETERS = {"linear": {}, "poly": {"gamma": 0.2, "coef0": 1.0}, "rbf": {"gamma": 0.2}}


@pytest.mark.parametrize("kernel", ["linear", "poly", "rbf"])
@pytest.mark.parametrize("C", [0.05, 1.0, 100.0])
def test_the_certificate_of_each_pair(kernel, C):
    X, y = classes_of(9)
    weights = np.random.default_rng(1).uniform(0.5, 2, len(y))
    model = SVC(C, kernel=kernel, tol=1e-4, **PARAMETERS[kernel]).fit(X, y, weights)
    assert model.converged_
    G = gram(X, kernel)
    for o, (rows, sign, b) in enumerate(pairs_of(model, y)):
        f, cost, c = G[np.ix_(rows, rows)] @ b, C * weights[rows], model.intercept_[o]
        assert abs(b.sum()) < 1e-12 * C
        assert (b * sign >= 0).all()
        assert (b * sign <= cost).all()
        dual = b @ sign - b @ f / 2
        primal = b @ f / 2 + cost @ np.maximum(0, 1 - sign * (f + c))
        assert_allclose(model.dual_objective_[o], dual, rtol=1e-9)
        assert_allclose(model.duality_gap_[o], (primal - dual) / primal, atol=1e-9)
        assert model.duality_gap_[o] <= 1e-4
        rise, fall = sign - f, sign - f
        up, down = b < np.where(sign > 0, cost, 0), b > np.where(sign > 0, 0, -cost)
        violation = rise[up].max() - fall[down].min()
        assert_allclose(model.kkt_violation_[o], max(0, violation), atol=1e-9)
        assert violation <= 1e-4
        for shift in (-0.1, -1e-3, 1e-3, 0.1):      # no other intercept is better
            other = b @ f / 2 + cost @ np.maximum(0, 1 - sign * (f + c + shift))
            assert primal <= other * (1 + 1e-12)
        assert_allclose(model.margin_width_[o], 2 / np.sqrt(b @ f))
    P = 9 * 8 // 2
    for name in ("intercept_", "n_iter_", "loo_error_bound_", "cache_hit_rate_"):
        assert getattr(model, name).shape == (P,)


@pytest.mark.parametrize("kernel", ["linear", "poly", "rbf"])
@pytest.mark.parametrize("K", [3, 25])
def test_the_same_as_scikit_learn(kernel, K):
    X, y = classes_of(K)
    model = SVC(3.0, kernel=kernel, tol=1e-7, **PARAMETERS[kernel]).fit(X, y)
    theirs = svm.SVC(C=3.0, kernel=kernel, tol=1e-8, **PARAMETERS[kernel]).fit(X, y)
    assert_allclose(model.intercept_, theirs.intercept_, atol=1e-5)
    if kernel != "linear":      # where duals are unique
        assert_array_equal(model.n_support_, theirs.n_support_)
        assert_array_equal(model.support_, theirs.support_)
        assert_allclose(model.dual_coef_, theirs.dual_coef_, atol=1e-4)
    Z = np.random.default_rng(5).normal(size=(200, X.shape[1]))
    assert_array_equal(model.predict(Z), theirs.predict(Z))
    assert_allclose(model.decision_function(Z), theirs.decision_function(Z), rtol=1e-6, atol=1e-5)
    for m in (model, theirs):
        m.set_params(decision_function_shape="ovo")
    assert_allclose(model.decision_function(Z), theirs.decision_function(Z), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("nu", [0.1, 0.5])
def test_nu_is_the_same_as_in_scikit_learn(kernel, nu):
    X, y = classes_of(12, rows=(4, 6))
    model = NuSVC(nu=nu, kernel=kernel, tol=1e-8, **PARAMETERS[kernel]).fit(X, y)
    theirs = svm.NuSVC(nu=nu, kernel=kernel, tol=1e-10, **PARAMETERS[kernel]).fit(X, y)
    assert model.converged_
    assert_allclose(model.intercept_, theirs.intercept_, atol=1e-5)
    Z = np.random.default_rng(5).normal(size=(100, X.shape[1]))
    assert_allclose(model.decision_function(Z), theirs.decision_function(Z), atol=1e-5)


def test_a_nu_that_is_too_large_names_the_pair():
    X, y = classes_of(4, rows=(2, 2))
    y = np.where(y == 2, 1, y)
    with pytest.warns(UserWarning, match=r"nu is infeasible: 0\.9 is more than twice the share of "
                                         r"class 0 against class 1, which is 0\.333"):
        NuSVC(nu=0.9).fit(X, y)


@pytest.mark.parametrize("Model", [SVC, NuSVC])
def test_tables_kernels_and_layouts_give_the_same(Model):
    X, y = classes_of(10, rows=(3, 6))
    args = {"nu": 0.2} if Model is NuSVC else {}
    base = Model(kernel="linear", tol=1e-9, **args).fit(X, y)
    for model, table in (
        (Model(kernel="linear", tol=1e-9, n_jobs=1, **args), X),
        (Model(kernel="linear", tol=1e-9, **args), np.asfortranarray(X)),
        (Model(kernel="linear", tol=1e-9, **args), sparse.csr_array(X)),
        (Model(kernel="precomputed", tol=1e-9, **args), X @ X.T),
        (Model(kernel=lambda A, B: A @ B.T, tol=1e-9, **args), X),
    ):
        model.fit(table, y)
        assert_array_equal(model.support_, base.support_)
        assert_allclose(model.dual_coef_, base.dual_coef_, rtol=1e-6, atol=1e-9)
        assert_allclose(model.decision_function(table), base.decision_function(X), atol=1e-7)


@pytest.mark.parametrize("kernel", ["linear", "rbf", "laplacian", "sigmoid"])
@pytest.mark.parametrize("wide", [False, True])
def test_bits_do_not_depend_on_threads(kernel, wide):
    X, y = classes_of(40, d=30)
    if wide:        # tiles of CSR rows have only the features that occur
        X = sparse.random_array((len(y), 3000), density=0.01, rng=np.random.default_rng(0)).tocsr()
    fits = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for jobs in (1, 2, 3):
            model = SVC(kernel=kernel, gamma=0.05, n_jobs=jobs, probability=True,
                        random_state=0).fit(X, y)
            fits.append([model.dual_coef_, model.intercept_, model.duality_gap_, model.n_iter_,
                         model.probability_slopes_, model.predict_proba(X),
                         model.decision_function(X)])
    for other in fits[1:]:
        for a, b in zip(fits[0], other, strict=True):
            assert_array_equal(a, b)


def test_weights_of_zero_are_rows_left_out():
    X, y = classes_of(8, rows=(5, 9))
    weights = np.ones(len(y))
    weights[::4] = 0
    keep = weights > 0
    model = SVC(kernel="linear", class_weight={2: 3.0}).fit(X, y, weights)
    other = SVC(kernel="linear", class_weight={2: 3.0}).fit(X[keep], y[keep])
    assert_array_equal(model.support_, np.flatnonzero(keep)[other.support_])
    assert_array_equal(model.dual_coef_, other.dual_coef_)


def test_large_classes_among_small_ones():
    """Pairs with a class that is too large are solved as they were, the others together."""
    X, y = classes_of(8)
    rng = np.random.default_rng(3)
    X, y = np.vstack([X, rng.normal(size=(400, X.shape[1]))]), np.r_[y, np.repeat([8, 9], 200)]
    model = SVC(tol=1e-6).fit(X, y)
    theirs = svm.SVC(tol=1e-8).fit(X, y)
    assert model.converged_
    assert_allclose(model.intercept_, theirs.intercept_, atol=1e-5)
    assert_array_equal(model.predict(X), theirs.predict(X))


def test_small_pairs_and_the_solver_of_any_size_agree(monkeypatch):
    X, y = classes_of(7, rows=(10, 20))
    ours = SVC(2.0, gamma=0.2, tol=1e-6).fit(X, y)
    monkeypatch.setattr(small_pairs, "MOST", 1)
    monkeypatch.setattr(small_pairs, "solve", None)
    other = SVC(2.0, gamma=0.2, tol=1e-6).fit(X, y)
    assert_allclose(ours.dual_objective_, other.dual_objective_, rtol=2e-6)
    assert_allclose(ours.intercept_, other.intercept_, atol=1e-4)
    assert_array_equal(ours.n_support_, other.n_support_)
    assert_array_equal(ours.support_kind_, other.support_kind_)
    assert_allclose(ours.loo_error_bound_, other.loo_error_bound_)


def test_hard_margins():
    X, y = classes_of(10, rows=(2, 6), d=60, spread=0.3)
    model = SVC(np.inf, kernel="linear", tol=1e-7).fit(X, y)
    theirs = svm.SVC(C=1e8, kernel="linear", tol=1e-10).fit(X, y)
    assert model.converged_
    Z = np.random.default_rng(0).normal(size=(50, 60))
    assert_allclose(model.decision_function(Z), theirs.decision_function(Z), atol=1e-5)
    assert model.support_kind_.max() == 1
    same = X.copy()
    same[np.flatnonzero(y == 1)[0]] = X[np.flatnonzero(y == 0)[0]]
    with pytest.raises(hingex.NotSeparableError, match="no plane"):
        SVC(np.inf, kernel="linear").fit(same, y)


def test_warm_starts():
    X, y = classes_of(12)
    model = SVC(1.0, tol=1e-6, warm_start=True).fit(X, y)
    first = model.n_iter_.sum()
    assert model.fit(X, y).n_iter_.sum() <= first / 100
    model.set_params(C=1.1).fit(X, y)
    assert model.n_iter_.sum() < first
    cold = SVC(1.1, tol=1e-6).fit(X, y)
    assert_allclose(model.dual_objective_, cold.dual_objective_, rtol=2e-6)
    assert abs(model.set_params(C=0.3).fit(X, y).dual_coef_).max() <= 0.3
    with pytest.raises(ValueError, match=f"had {len(y)} rows and 12 classes; got 10 rows and"):
        model.fit(X[:10], y[:10])


def test_limits_and_callbacks():
    X, y = classes_of(6)
    with pytest.warns(hingex.ConvergenceWarning, match="max_iter=3 iterations in 1[0-5] of 15"):
        model = SVC(max_iter=3, tol=1e-6).fit(X, y)
    assert model.n_iter_.max() == 3
    with pytest.warns(hingex.ConvergenceWarning, match="seconds in 15 of 15 problems"):
        model = SVC(max_time=1e-9).fit(X, y)
    assert_allclose(model.duality_gap_, 1.0)
    counts = np.bincount(y)
    i, j = np.triu_indices(6, 1)
    assert_array_equal(model.intercept_, np.sign(counts[i] - counts[j]))
    seen = []
    model = SVC(callback=seen.append).fit(X, y)
    assert [s.epoch for s in seen] == list(range(1, 16))
    assert_allclose(seen[-1].dual, model.dual_objective_.sum())
    X, y = classes_of(200)      # some hundred pairs at a time
    with pytest.warns(hingex.ConvergenceWarning, match="as the callback asked"):
        model = SVC(callback=lambda s: s.epoch >= 5).fit(X, y)
    assert 0 < np.count_nonzero(model.n_iter_) < 19900
    assert len(model.predict(X)) == len(y)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to threads here")
def test_ctrl_c():
    X, y = classes_of(1200, rows=(5, 5), d=64)
    sent = []

    def interrupt():
        time.sleep(0.5)
        sent.append(time.process_time())
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    model = SVC(100.0, kernel="linear", tol=1e-6)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    taken = time.process_time() - sent[0]
    thread.join()
    assert model.converged_ is False
    assert np.count_nonzero(model.n_iter_) < len(model.n_iter_)
    assert taken < 1        # of the CPU, in all threads; 0.2 seconds as a rule


def test_rounding_leaves_pairs_to_the_other_solver(monkeypatch):
    """A gap that rounding may have made small is not taken for one."""
    given, solve = [], smo.solve

    def watched(problems, *args):
        given.extend(problems)
        return solve(problems, *args)

    monkeypatch.setattr(smo, "solve", watched)
    X, y = classes_of(4)
    SVC(kernel="rbf", gamma=0.2).fit(X, y)
    assert not given
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        SVC(kernel="poly", degree=2, gamma=1.0).fit(np.c_[X, np.full(len(y), 1e7)], y)
    assert given


def test_runs_of_classes():
    layout = _pairs.Layout(np.array([2, 0, 1, 0, 2]), np.array([1, 1, 1, 1, 0], bool), 3, False)
    assert_array_equal(layout.order, [1, 3, 2, 0])
    assert_array_equal(layout.start, [0, 2, 3, 4])
    for K in (3, 4, 30):
        i, j = np.triu_indices(K, 1)
        assert_array_equal(small_pairs.pair_of(np.arange(len(i)), K), [i, j])
        outputs = SVC()._outputs(K)
        for c in range(K):
            others = [o for o in range(K) if o != c]
            expected = [np.flatnonzero((i == min(c, o)) & (j == max(c, o)))[0] for o in others]
            assert_array_equal(outputs[c], expected)


# --------------------------------------------------------------------- votes and probabilities


def votes_of(scores, K, least):
    """By loops."""
    votes, sums = np.zeros((len(scores), K)), np.zeros((len(scores), K))
    for o, (i, j) in enumerate(zip(*np.triu_indices(K, 1), strict=True)):
        first = scores[:, o] >= 0 if least else scores[:, o] > 0
        votes[:, i] += first
        votes[:, j] += ~first
        sums[:, i] += scores[:, o]
        sums[:, j] -= scores[:, o]
    return votes, sums


@pytest.mark.parametrize("n", [1, 3, 16, 17, 200])
@pytest.mark.parametrize("kernel", ["rbf", "precomputed"])
def test_votes_are_those_of_the_scores(n, kernel):
    X, y = classes_of(20)
    Z = np.random.default_rng(2).normal(size=(n, X.shape[1]))
    if kernel == "precomputed":
        G = np.exp(-0.2 * ((X[:, None] - X[None]) ** 2).sum(axis=2))
        Z = np.exp(-0.2 * ((Z[:, None] - X[None]) ** 2).sum(axis=2))
        X = G
    model = SVC(kernel=kernel, gamma=0.2).fit(X, y)
    assert model._reads(20)
    scores = model.set_params(decision_function_shape="ovo").decision_function(Z)
    votes, _ = votes_of(scores, 20, least=False)
    assert_array_equal(model.predict(Z), votes.argmax(axis=1))
    votes, sums = votes_of(scores, 20, least=True)
    expected = votes + sums / (3 * (np.abs(sums) + 1))
    model.set_params(decision_function_shape="ovr")
    assert_allclose(model.decision_function(Z), expected, rtol=1e-13)
    model.set_params(break_ties=True)
    assert_array_equal(model.predict(Z), model.decision_function(Z).argmax(axis=1))
    assert_array_equal(model.decision_function(Z)[:2], model.decision_function(Z[:2]))


def coupled_exactly(pairs, K):
    """By elimination with a Lagrange multiplier."""
    out = []
    i, j = np.triu_indices(K, 1)
    for row in pairs:
        r = np.zeros((K, K))
        r[i, j] = np.clip(row, 1e-7, 1 - 1e-7)
        r[j, i] = 1 - r[i, j]
        system = np.ones((K + 1, K + 1))
        system[:K, :K] = np.diag((r**2).sum(axis=0)) - r * r.T
        system[K, K] = 0
        p = np.clip(np.linalg.solve(system, np.r_[np.zeros(K), 1.0])[:K], 0, None)
        out.append(p / p.sum())
    return np.array(out)


@pytest.mark.parametrize("K", [3, 10, 60])
def test_coupling(K):
    rng = np.random.default_rng(K)
    P = K * (K - 1) // 2
    for pairs in (rng.uniform(size=(20, P)), rng.uniform(0.4, 0.6, size=(20, P)),
                  (rng.uniform(size=(20, P)) > 0.5).astype(float),
                  rng.beta(0.05, 0.05, size=(20, P))):
        assert_allclose(_probability.coupled(pairs, K), coupled_exactly(pairs, K), atol=1e-9)
    p = rng.dirichlet(np.ones(K), 20)       # where the problem's matrix is singular
    i, j = np.triu_indices(K, 1)
    p = np.maximum(p, 1e-3)
    p /= p.sum(axis=1, keepdims=True)
    assert_allclose(_probability.coupled(p[:, i] / (p[:, i] + p[:, j]), K), p, atol=1e-7)


def test_slopes_of_all_pairs_are_those_of_each():
    minimize = pytest.importorskip("scipy.optimize").minimize_scalar
    rng = np.random.default_rng(0)
    K, counts = 5, np.array([4, 3, 6, 2, 5])
    codes = np.repeat(np.arange(K), counts)
    scores, w = rng.normal(size=(20, K - 1)), rng.uniform(0.5, 2, 20)
    got = _probability.fit_all_slopes(scores, np.arange(20), counts, w, 2)
    for o, (i, j) in enumerate(zip(*np.triu_indices(K, 1), strict=True)):
        first, second = codes == i, codes == j
        f = np.r_[scores[first, j - 1], scores[second, i]]
        up, down = w[first].sum(), w[second].sum()
        t = np.repeat([(up + 1) / (up + 2), 1 / (down + 2)], [first.sum(), second.sum()])
        v = np.r_[w[first], w[second]]
        for side, slope in ((f <= 0, got[o, 0]), (f > 0, got[o, 1])):
            def loss(x, g=f[side], t=t[side], v=v[side]):
                z = np.exp(x) * g
                return v @ (np.logaddexp(0, z) - t * z)

            middle = -np.log(np.abs(f[side]).mean()) if side.any() else 0.0
            best = minimize(loss, bounds=(middle - 20, middle + 20), method="bounded",
                            options={"xatol": 1e-10})
            assert loss(np.log(slope)) <= best.fun + 1e-12


def test_probabilities():
    X, y = classes_of(15, rows=(4, 8), spread=1.2)
    model = SVC(gamma=0.2, probability=True, random_state=0).fit(X, y)
    Z = np.random.default_rng(2).normal(size=(150, X.shape[1]))
    p = model.predict_proba(Z)
    assert_allclose(p.sum(axis=1), 1)
    assert_array_equal(model.classes_[p.argmax(axis=1)], model.predict(Z))
    scores = model.set_params(decision_function_shape="ovo").decision_function(Z)
    expected = coupled_exactly(_probability.sigmoids(scores, model.probability_slopes_), 15)
    assert_allclose(np.sort(p, axis=1), np.sort(expected, axis=1), atol=1e-9)
    assert_array_equal(model.predict_proba(Z[:5]), p[:5])
    # Slopes are those of scores of rows that models were not trained on.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = svm.SVC(gamma=0.2, probability=True, random_state=0).fit(X, y).predict_proba(X)
    ours = model.predict_proba(X)
    loss = [-np.log(q[np.arange(len(y)), y]).mean() for q in (ours, theirs)]
    assert loss[0] < loss[1] + 0.1


def test_readers_refuse_what_does_not_match():
    Reader, start = kernels("pair_scores").Reader, np.array([0, 1, 2, 4])
    coef, c = np.zeros((2, 4)), np.zeros(3)
    with pytest.raises(ValueError, match="coefficients"):
        Reader(coef, start, c[:2], "votes")
    with pytest.raises(ValueError, match="coefficients"):
        Reader(coef[:, :3].copy(), start, c, "votes")
    with pytest.raises(KeyError):
        Reader(coef, start, c, "other")
    with pytest.raises(IndexError):
        Reader(coef, start, c, "own", codes=np.array([0, 3]))
    with pytest.raises(ValueError, match="values"):
        Reader(coef, start, c, "votes").read_given(np.zeros((2, 3)), 0, np.zeros((2, 3)))
    with pytest.raises(ValueError, match="wrong shape"):
        Reader(coef, start, c, "votes").read_given(np.zeros((2, 4)), 0, np.zeros((2, 2)))
    with pytest.raises(ValueError, match="no examples"):
        kernels("small_pairs").Batch(None, np.arange(4), np.array([0, 0, 2, 4]), np.ones(4), 10,
                                     1e-3, 0.0, 1.0, 0.0, 0, False, 512, 1)


# ------------------------------------------------------------------------------------- memory

_GROWTH = """
import sys
import numpy as np
from {module} import SVC

def peak():
    return int(next(x for x in open("/proc/self/status") if x.startswith("VmHWM")).split()[1])

rng = np.random.default_rng(0)
y = np.repeat(np.arange({K}), 5)
X = rng.normal(size=({K}, 128))[y] + rng.normal(size=(len(y), 128))
SVC(kernel="linear", **{args}).fit(X[:40], np.arange(40) % 4)
open("/proc/self/clear_refs", "w").write("5")
before = peak()
SVC(kernel="linear", **{args}).fit(X, y)
print(peak() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("args", [{}, {"probability": True}])
def test_memory_grows_as_scikit_learns(args):
    grown = {}
    for module in ("hingex", "sklearn.svm"):
        code = _GROWTH.format(module=module, K=300, args=args)
        ran = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True,
                             text=True, check=False)
        if ran.returncode:
            pytest.skip(f"peaks cannot be reset here: {ran.stderr[-200:]}")
        grown[module] = int(ran.stdout)
    assert grown["hingex"] <= 3 * grown["sklearn.svm"]


@pytest.mark.parametrize("C", [0.01, 0.003, 0.0007])
def test_a_warm_start_has_the_intercepts_of_a_cold_one(C):
    """Duals that rounding leaves short of C leave the intercept in the middle of the best ones."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(60), 5)
    X = rng.normal(size=(300, 16)) + rng.normal(size=(60, 16))[y]
    model = SVC(kernel="linear", warm_start=True, C=5.0, decision_function_shape="ovo").fit(X, y)
    model.set_params(C=C).fit(X, y)
    theirs = svm.SVC(kernel="linear", C=C, tol=1e-8).fit(X, y)
    assert_allclose(model.intercept_, theirs.intercept_, atol=2e-3)
    assert_array_equal(model.predict(X), theirs.predict(X))
    cold = SVC(kernel="linear", C=C).fit(X, y)
    all_at_bounds = (cold.support_kind_ != 1).all()
    assert all_at_bounds == (C < 0.01)
    if all_at_bounds:
        assert_array_equal(model.support_kind_, cold.support_kind_)
        assert_allclose(model.intercept_, cold.intercept_, atol=1e-12)


@pytest.mark.parametrize("unit", [0.1, 0.3, 0.7, 1e-7 / 3])
def test_slopes_that_are_rounding_errors(unit):
    """Best intercepts are an interval where sums of bounds cancel, but for their last bits."""
    # Three rows of 1 and three of -1, one feature: w = 0, so that all c of [-1, 1] are best if
    # the sums of costs agree; u + 2u + 3u and 3 times 2u do, but for their last bits.
    y, weights = np.repeat([0, 1, 2], 3), np.array([1.0, 2.0, 3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    K = np.zeros((9, 9))
    model = SVC(kernel="precomputed", C=unit).fit(K, y, sample_weight=weights)
    assert_allclose(model.intercept_, 0, atol=1e-12)


@pytest.mark.parametrize("how", ["max_time", "callback", "interrupt"])
def test_nu_has_a_gap_where_an_end_came_first(how):
    """Weights of 0 are feasible, P = 0: relative to any D below it, the gap is 1."""
    X, y = classes_of(200)

    def callback(s):
        if how == "interrupt" and s.epoch >= 5:
            raise KeyboardInterrupt
        return s.epoch >= 5

    options = {"max_time": 1e-9} if how == "max_time" else {"callback": callback}
    model = NuSVC(nu=0.2, decision_function_shape="ovo", **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if how == "interrupt":
            with pytest.raises(KeyboardInterrupt):
                model.fit(X, y)
        else:
            model.fit(X, y)
    begun = model.n_iter_ > 0
    scores = model.decision_function(X)
    left = (scores == 0).all(axis=0)
    assert left.any()
    assert not (begun & left).any()
    assert np.isfinite(model.duality_gap_).all()
    assert (model.duality_gap_[left] == 1).all()
    assert np.isnan(model.primal_objective_[left]).all()
    assert (model.duality_gap_[~left] <= 1e-3).all()
    assert np.isfinite(model.primal_objective_[~left]).all()


def test_pairs_too_large_have_certificates_where_an_end_came_first():
    """Also those that the loop for small ones leaves to others: weights of 0 lose 2 C a row."""
    rng = np.random.default_rng(0)
    sizes = np.array([5, 5, 5, 80, 90])
    y = np.repeat(np.arange(5), sizes)
    X = rng.normal(size=(len(y), 4))
    with pytest.warns(hingex.ConvergenceWarning, match="as the callback asked"):
        model = SVC(C=0.5, callback=lambda s: True).fit(X, y)
    assert model.n_iter_[-1] == 0
    assert model.duality_gap_[-1] == 1
    assert_allclose(model.primal_objective_[-1], 2 * 0.5 * 80)
    assert model.intercept_[-1] == -1
