# SPDX-License-Identifier: BSD-3-Clause
"""The interior point solver of kernel machines: optima, certificates, scales, interrupts."""

import itertools
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import svm
from sklearn.datasets import load_breast_cancer

from hingex.solvers import _kernel_interior, _kernel_systems
from hingex.solvers._kernel_interior import solve
from hingex.solvers.smo import Problem

FORMS = ["factor", "matrix"]
KINDS = ["svc", "svr", "nu_svc", "nu_svr", "one_class"]


def kernel(form, Z):
    return {"factor": Z} if form == "factor" else {"matrix": np.asarray(Z, float) @ Z.T}


def filled(most, total):
    return np.clip(total - (np.cumsum(most) - most), 0.0, most)


def svc(y, C):
    C = np.broadcast_to(C, len(y)).astype(float)
    return Problem(np.arange(len(y)), y.astype(float), np.where(y > 0, 0.0, -C),
                   np.where(y > 0, C, 0.0), np.zeros(len(y)))


def svr(y, C, epsilon):
    none, most = np.zeros(len(y)), np.full(len(y), float(C))
    return Problem(np.arange(len(y)), np.concatenate([y - epsilon, y + epsilon]),
                   np.concatenate([none, -most]), np.concatenate([most, none]),
                   np.zeros(2 * len(y)))


def nu_svc(y, nu):
    start = np.zeros(len(y))
    for s in (1, -1):
        start[y == s] = s * filled(np.ones(np.sum(y == s)), nu * len(y) / 2)
    return Problem(np.arange(len(y)), np.zeros(len(y)), np.where(y > 0, 0.0, -1.0),
                   np.where(y > 0, 1.0, 0.0), start, (y < 0).astype(np.uint8))


def nu_svr(y, C, nu):
    n = len(y)
    none, most = np.zeros(n), np.full(n, float(C))
    start = filled(most, nu * C * n / 2)
    return Problem(np.arange(n), np.concatenate([y, y]), np.concatenate([none, -most]),
                   np.concatenate([most, none]), np.concatenate([start, -start]),
                   np.repeat(np.array([0, 1], np.uint8), n))


def one_class(n, nu):
    return Problem(np.arange(n), np.zeros(n), np.zeros(n), np.ones(n), filled(np.ones(n), nu * n))


def data(n=60, d=3, seed=0):
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((n, d))
    target = Z[:, 0] + 0.5 * rng.standard_normal(n)
    return Z, np.where(target > 0, 1, -1), target


def make(kind, y, target, C=1.0):
    return {"svc": lambda: svc(y, C), "svr": lambda: svr(target, C, 0.1),
            "nu_svc": lambda: nu_svc(y, 0.6), "nu_svr": lambda: nu_svr(target, C, 0.4),
            "one_class": lambda: one_class(len(y), 0.2)}[kind]()


def sums(problem, b):
    group = np.zeros(len(b)) if problem.group is None else problem.group
    return np.array([b[group == g].sum() for g in np.unique(group)])


def check_feasible(problem, b):
    assert np.all(b >= problem.lo)
    assert np.all(b <= problem.hi)
    assert_allclose(sums(problem, b), sums(problem, problem.start), rtol=1e-12,
                    atol=1e-13 * np.abs(b).sum())


def exact(x):
    return [Fraction(float(v)) for v in x]


def exact_gap(problem, Z, b, weights, intercepts):
    """Objectives in rational numbers: P of weights (None: of b), and D of b."""
    n = len(Z)
    rows, beta = [exact(z) for z in Z], exact(b if len(b) == n else b[:n] + b[n:])
    b = exact(b)
    own = [sum((t * z[j] for t, z in zip(beta, rows, strict=True)), Fraction(0))
           for j in range(Z.shape[1])]
    w = own if weights is None else exact(weights)
    scores = [sum(a * v for a, v in zip(z, w, strict=True)) for z in rows]
    c = exact(intercepts)
    p, lo, hi = exact(problem.p), exact(problem.lo), exact(problem.hi)
    group = np.zeros(len(b), int) if problem.group is None else problem.group
    dual = sum(s * t for s, t in zip(p, b, strict=True)) - sum(v * v for v in own) / 2
    loss = Fraction(0)
    for v in range(len(b)):
        x = p[v] - scores[v % n] - c[group[v]]
        loss += max(x * (hi[v] - b[v]), x * (lo[v] - b[v]))
    return dual, loss + sum((s - t) ** 2 for s, t in zip(w, own, strict=True)) / 2


def enumerate_optimum(problem, K):
    """The largest objective of all stationary points of all faces of a small problem."""
    m, n = len(problem.p), len(K)
    Q = np.tile(K, (m // n, m // n))
    group = np.zeros(m, int) if problem.group is None else problem.group
    A = np.stack([(group == g).astype(float) for g in np.unique(group)])
    want, best = A @ problem.start, -np.inf
    for state in map(np.array, itertools.product((-1, 0, 1), repeat=m)):
        b = np.where(state < 0, problem.lo, np.where(state > 0, problem.hi, 0.0))
        free = state == 0
        k = free.sum()
        system = np.block([[Q[np.ix_(free, free)], A[:, free].T],
                           [A[:, free], np.zeros((len(A), len(A)))]])
        right = np.concatenate([problem.p[free] - Q[free] @ b, want - A @ b])
        b[free] = np.linalg.lstsq(system, right, rcond=None)[0][:k]
        if (np.all(b >= problem.lo - 1e-9) and np.all(b <= problem.hi + 1e-9)
                and np.allclose(A @ b, want, atol=1e-9)):
            best = max(best, problem.p @ b - b @ Q @ b / 2)
    return best


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [1e-20, 1e-3, 1.0, 1e8])
@pytest.mark.parametrize("C", [1e-3, 1.0, 1e6])
def test_two_points(form, scale, C):
    """b = (a, -a), of objective 2 a - 2 a^2 s^2."""
    Z = np.array([[scale], [-scale]])
    found = solve(svc(np.array([1, -1]), C), **kernel(form, Z))
    a = min(C, 0.5 / scale**2)
    assert found.status == "converged"
    assert_allclose(found.b, [a, -a], rtol=1e-7)
    assert_allclose(found.dual, 2 * a - 2 * a**2 * scale**2, rtol=1e-12)
    assert abs(found.intercepts[0]) <= 1e-8
    if form == "factor":
        assert_allclose(found.linear.weights, [2 * a * scale], rtol=1e-7)


@pytest.mark.parametrize("form", FORMS)
def test_one_class_of_two_points(form):
    Z = np.diag([1.0, 2.0])
    found = solve(one_class(2, 0.5), **kernel(form, Z))
    assert_allclose(found.b, [0.8, 0.2], rtol=1e-8)
    assert_allclose(found.dual, -0.4, rtol=1e-12)
    assert_allclose(found.intercepts, [-0.8], rtol=1e-8)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", KINDS)
def test_small_problems_by_enumeration(form, kind, seed):
    n = 4 if kind in {"svr", "nu_svr"} else 6
    Z, y, target = data(n, 2, seed)
    y[:2] = 1, -1
    y[2:4] = 1, -1
    problem = make(kind, y, target, C=2.0)
    found = solve(problem, **kernel(form, Z))
    check_feasible(problem, found.b)
    best = enumerate_optimum(problem, Z @ Z.T)
    assert_allclose(found.dual, best, rtol=1e-7, atol=1e-9)
    assert found.status == "converged"


def reference(kind, K, y, target, C):
    """Duals of scikit-learn, with signs."""
    # LIBSVM goes on for ever where its tolerance is below rounding.
    options = {"kernel": "precomputed", "tol": 1e-5 if kind == "one_class" else 1e-8}
    model = {"svc": lambda: svm.SVC(C=C, **options).fit(K, y),
             "svr": lambda: svm.SVR(C=C, epsilon=0.1, **options).fit(K, target),
             "nu_svc": lambda: svm.NuSVC(nu=0.6, **options).fit(K, y),
             "nu_svr": lambda: svm.NuSVR(C=C, nu=0.4, **options).fit(K, target),
             "one_class": lambda: svm.OneClassSVM(nu=0.2, **options).fit(K)}[kind]()
    beta = np.zeros(len(K))
    beta[model.support_] = model.dual_coef_[0]
    return beta


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("C", [0.1, 100.0])
def test_agrees_with_libsvm(form, kind, C):
    Z, y, target = data(200, 5, 3)
    Z = Z + 2 if kind == "one_class" else Z - Z.mean(axis=0)
    K = Z @ Z.T
    problem = make(kind, y, target, C)
    found = solve(problem, **kernel(form, Z))
    check_feasible(problem, found.b)
    assert found.status == "converged"
    assert found.relative_gap <= 1e-8
    beta = reference(kind, K, y, target, C)
    ours = found.b if len(found.b) == 200 else found.b[:200] + found.b[200:]
    if kind == "nu_svc":  # LIBSVM's are divided by rho
        beta *= np.abs(ours).sum() / np.abs(beta).sum()
    linear = {"svc": y @ beta, "svr": target @ beta - 0.1 * np.abs(beta).sum(),
              "nu_svr": target @ beta}.get(kind, 0.0)
    assert_allclose(found.dual, linear - beta @ K @ beta / 2, rtol=1e-6)
    assert_allclose(ours @ K @ ours, beta @ K @ beta, rtol=1e-4)


@pytest.mark.parametrize("C", [1.0, 100.0])
def test_full_rank_matrix(C):
    """An rbf kernel: many free variables, and the duals are unique."""
    Z, y, _ = data(150, 4, 1)
    K = np.exp(-0.3 * ((Z[:, None] - Z[None]) ** 2).sum(axis=2))
    found = solve(svc(y, C), matrix=K)
    assert found.status == "converged"
    assert found.linear is None
    assert_allclose(found.b, reference("svc", K, y, None, C), rtol=1e-3, atol=1e-5 * C)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_most_duals_are_at_bounds_exactly(form, kind):
    Z, y, target = data(300, 4, 2)
    Z = Z + 2 if kind == "one_class" else Z
    problem = make(kind, y, target)
    found = solve(problem, **kernel(form, Z))
    free = (found.b > problem.lo) & (found.b < problem.hi)
    assert np.count_nonzero(free) <= Z.shape[1] + 2
    assert np.count_nonzero(found.b == 0) > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMS)
def test_certificates_are_true(form, kind):
    """Also of solutions that were not finished."""
    Z, y, target = data(40, 3, 5)
    Z = Z + 2 if kind == "one_class" else Z
    problem = make(kind, y, target, 3.0)
    for max_iter in (0, 2, 5, 100):
        found = solve(problem, max_iter=max_iter, **kernel(form, Z))
        check_feasible(problem, found.b)
        dual, gap = exact_gap(problem, Z, found.b, None, found.intercepts)
        scale = abs(float(dual)) + float(gap)
        assert_allclose([found.dual, found.gap], [float(dual), float(gap)], rtol=1e-9,
                        atol=1e-12 * scale)
        assert_allclose(found.primal, found.dual + found.gap, rtol=1e-12, atol=1e-12 * scale)
        if form == "factor":
            line = found.linear
            _, gap = exact_gap(problem, Z, found.b, line.weights, line.intercepts)
            assert_allclose(line.gap, float(gap), rtol=1e-9, atol=1e-12 * scale)
            assert line.gap <= found.gap


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.sampled_from(KINDS), st.floats(-3, 6), st.floats(-20, 8),
       st.floats(0, 10))
def test_any_scale(seed, kind, C, scale, spread):
    """Weights are optimal, whatever the sizes of C and of columns, and by a true certificate."""
    rng = np.random.default_rng(seed)
    n, d = 24, 3
    sizes = 10.0 ** np.clip(scale + spread * rng.uniform(-1, 1, d), -20, 8)
    Z, y, target = data(n, d, seed)
    y[:4] = 1, -1, 1, -1
    Z = (Z - Z.mean(axis=0)) * sizes if kind != "one_class" else (Z + 2) * sizes
    problem = make(kind, y, target, 10.0**C)
    found = solve(problem, factor=Z)
    check_feasible(problem, found.b)
    line = found.linear
    dual, gap = (float(v) for v in exact_gap(problem, Z, found.b, line.weights, line.intercepts))
    size = max(abs(dual), abs(dual + gap), found.floor)
    assert abs(gap - line.gap) <= 1e-9 * size
    assert gap <= 1e-5 * size or gap <= 1e-4 * found.floor
    assert_allclose(found.dual, dual, rtol=1e-9, atol=1e-9 * size)
    dual, gap = (float(v) for v in exact_gap(problem, Z, found.b, None, found.intercepts))
    assert_allclose(found.gap, gap, rtol=1e-6, atol=1e-6 * size)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.sampled_from(KINDS), st.floats(-3, 5), st.floats(-20, 8))
def test_any_scale_of_a_matrix(seed, kind, C, scale):
    Z, y, target = data(24, 30, seed)
    y[:4] = 1, -1, 1, -1
    K = (Z @ Z.T / 30) * 10.0 ** (2 * scale)
    problem = make(kind, y, target, 10.0 ** (C - 2 * scale))
    found = solve(problem, matrix=K)
    check_feasible(problem, found.b)
    assert found.relative_gap <= 1e-5
    beta = found.b if len(found.b) == 24 else found.b[:24] + found.b[24:]
    assert_allclose(found.dual, problem.p @ found.b - beta @ K @ beta / 2, rtol=1e-6)


def unscaled():
    rng = np.random.default_rng(0)
    A = np.exp(rng.normal(4, 2, (547, 22)))
    return A - A.mean(axis=0), A @ rng.normal(size=22) + rng.normal(size=547)


@pytest.mark.parametrize("kind", ["svr", "nu_svr"])
@pytest.mark.parametrize("C", [1.0, 1e3, 1e6])
def test_unscaled_regression(kind, C):
    """SMO is not there after a minute; this takes a tenth of a second."""
    A, target = unscaled()
    found = solve(make(kind, None, target, C), factor=A)
    assert found.status == "converged"
    line = found.linear
    assert line.gap <= 1e-8 * line.primal
    assert found.iterations <= 40
    if C == 1.0:
        assert found.relative_gap <= 1e-7


@pytest.mark.parametrize("C", [1.0, 100.0, 1e4])
def test_unscaled_breast_cancer(C):
    X, y = load_breast_cancer(return_X_y=True)
    X = X - X.mean(axis=0)
    found = solve(svc(2 * y - 1, C), factor=X)
    assert found.status == "converged"
    assert found.relative_gap <= 1e-6
    assert found.iterations <= 60
    weights = found.linear.weights
    f = X @ weights + found.linear.intercepts[0]
    primal = weights @ weights / 2 + C * np.maximum(1 - (2 * y - 1) * f, 0).sum()
    assert_allclose(found.linear.primal, primal, rtol=1e-9)
    assert found.dual <= primal * (1 + 1e-14)
    assert primal - found.dual <= 1e-7 * primal


@pytest.mark.parametrize("form", FORMS)
def test_weights_of_examples(form):
    """A weight of 2 is an example twice; one of 0 is none; heavy ones do no harm."""
    Z, y, _ = data(50, 3, 4)
    weights = np.random.default_rng(0).integers(0, 3, 50).astype(float)
    weights[0] = 1e6
    found = solve(svc(y, weights), **kernel(form, Z))
    assert found.status == "converged"
    assert_array_equal(found.b[weights == 0], 0.0)
    twice = np.repeat(np.arange(50), np.where(weights == 1e6, 1, weights).astype(int))
    C = np.where(twice == 0, 1e6, 1.0)
    again = solve(svc(y[twice], C), **kernel(form, Z[twice]))
    assert_allclose(found.dual, again.dual, rtol=1e-7)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_to_choose(form):
    Z, y, _ = data(10, 2)
    found = solve(svc(y, 0.0), **kernel(form, Z))
    assert_array_equal(found.b, 0.0)
    assert (found.dual, found.gap, found.status) == (0.0, 0.0, "converged")
    full = one_class(10, 1.0)
    found = solve(full, **kernel(form, Z))
    assert_array_equal(found.b, 1.0)
    assert found.status == "converged"


@pytest.mark.parametrize("form", FORMS)
def test_no_features(form):
    """K = 0: the objective is linear."""
    y = np.array([1, 1, 1, -1, -1])
    found = solve(svc(y, 2.0), **kernel(form, np.zeros((5, 0 if form == "factor" else 2))))
    assert found.status == "converged"
    assert_allclose(found.dual, 8.0)
    if form == "factor":
        assert found.linear.weights.shape == (0,)


@pytest.mark.parametrize("form", FORMS)
def test_constant_targets_and_contradictions(form):
    Z, y, _ = data(20, 2)
    found = solve(svr(np.full(20, 1e6), 1.0, 0.1), **kernel(form, Z))
    assert found.status == "converged"
    assert abs(found.dual) <= 1e-9
    assert abs(found.intercepts[0] - 1e6) <= 0.1 + 1e-6
    both = np.concatenate([Z, Z])
    found = solve(svc(np.concatenate([y, -y]), 1.0), **kernel(form, both))
    assert_allclose(found.dual, 40.0, rtol=1e-8)


def test_nu_too_large_for_apart():
    """Classes whose hulls meet: the best weights are 0, which is no failure."""
    Z, y, _ = data(60, 2, 7)
    found = solve(nu_svc(y, 0.9 * min(np.mean(y > 0), np.mean(y < 0)) * 2), factor=Z - Z.mean(0))
    assert found.status == "converged"
    assert found.dual <= 0
    assert found.gap <= 1e-3 * found.floor or found.relative_gap <= 1e-8


def test_more_columns_than_rows():
    Z, y, _ = data(30, 80)
    wide, square = solve(svc(y, 1.0), factor=Z), solve(svc(y, 1.0), matrix=Z @ Z.T)
    assert wide.linear is None
    assert_allclose(wide.b, square.b, rtol=1e-6, atol=1e-9)


def test_single_precision_factor():
    """The numbers are taken as they are, and sums are in double precision."""
    Z, y, _ = data(200, 4)
    Z = Z.astype(np.float32)
    assert_array_equal(solve(svc(y, 1.0), factor=Z).b,
                       solve(svc(y, 1.0), factor=Z.astype(float)).b)


def test_same_bits_and_inputs_untouched():
    Z, _, target = data(100, 4)
    for form in FORMS:
        given = kernel(form, Z)
        before = {k: v.copy() for k, v in given.items()}
        problem = nu_svr(target, 1.0, 0.4)
        for array in (*given.values(), *problem):
            if isinstance(array, np.ndarray):
                array.flags.writeable = False
        one, two = (solve(problem, **given) for _ in range(2))
        assert_array_equal(one.b, two.b)
        assert one[1:-1] == two[1:-1]
        for name, array in before.items():
            assert_array_equal(given[name], array)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("how", ["stopped", "interrupted"])
@pytest.mark.parametrize("after", [0, 1, 4, 9])
def test_stops_with_what_there_is(form, how, after):
    Z, y, _ = data(100, 4)
    calls = []

    def check():
        calls.append(0)
        if len(calls) > after:
            if how == "interrupted":
                raise KeyboardInterrupt
            return True
        return False

    problem = svc(y, 1.0)
    found = solve(problem, check=check, **kernel(form, Z))
    assert found.status == how
    assert found.iterations <= after
    check_feasible(problem, found.b)
    dual, gap = exact_gap(problem, Z, found.b, None, found.intercepts)
    assert_allclose([found.dual, found.gap], [float(dual), float(gap)], rtol=1e-9, atol=1e-9)


def test_other_exceptions_pass():
    Z, y, _ = data(20, 2)

    def check():
        raise LookupError

    with pytest.raises(LookupError):
        solve(svc(y, 1.0), factor=Z, check=check)


@pytest.mark.parametrize("arguments", [{}, {"factor": np.ones((4, 1)), "matrix": np.eye(4)},
                                       {"factor": np.ones((3, 1))}, {"matrix": np.eye(5)}])
def test_what_does_not_fit(arguments):
    with pytest.raises(ValueError, match=r"give either|expected . or .* variables"):
        solve(svc(np.array([1, -1, 1, -1]), 1.0), **arguments)


def test_ends_where_numbers_end():
    """NaN and overflow come to no convergence, no exception and no warning."""
    Z, y, _ = data(20, 2)
    for bad in (np.nan, np.inf):
        Z[3, 1] = bad
        found = solve(svc(y, 1.0), factor=Z)
        assert found.status == "stalled"
        check_feasible(svc(y, 1.0), found.b)
    found = solve(svc(y, 1.0), matrix=-np.eye(20))  # not positive: no optimum of this kind
    check_feasible(svc(y, 1.0), found.b)


def test_early_end_for_weights():
    Z, y, _ = data(2000, 10, 3)
    slow, fast = (solve(svc(y, 1.0), factor=Z, tol=1e-4, linear=which) for which in (False, True))
    assert slow.relative_gap <= 1e-4
    assert fast.linear.gap <= 1e-4 * fast.linear.primal
    assert fast.iterations <= slow.iterations


def test_memory_does_not_grow_with_rows_times_columns():
    Z, y, _ = data(40_000, 50)
    tracemalloc.start()
    found = solve(svc(y, 1.0), factor=Z.astype(np.float32), tol=1e-3, max_iter=3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.iterations <= 3
    assert peak - Z.nbytes / 2 < 60 * 8 * 40_000 + 8 * _kernel_systems.BLOCK * 8


def test_fine_sums():
    """What cancels to a part in 10^13 is right to all digits."""
    rng = np.random.default_rng(0)
    Z = np.exp(rng.normal(4, 2, (3000, 2)))
    b = rng.standard_normal(3000) * 1e3
    b -= Z @ np.linalg.lstsq(Z, b, rcond=None)[0]
    operator = _kernel_systems.FactorKernel(Z)
    truth = [float(sum(Fraction(z) * Fraction(v) for z, v in zip(Z[:, j].tolist(), b.tolist(),
                                                               strict=True))) for j in range(2)]
    assert_allclose(operator.image(b, finely=True) / operator.scale, truth, rtol=1e-10)


@pytest.mark.parametrize("bits", [0, 1, -1])
def test_the_best_intercept_does_not_depend_on_last_bits(bits):
    """All duals are at bounds: any c of [1, 3] is best, also if rounding keeps one off."""
    C = 0.01
    f, positive = np.array([3.0, 4.0, 0.5, 1.0]), np.array([True, True, False, False])
    lo, hi = np.where(positive, 0.0, -C), np.where(positive, C, 0.0)
    for v in range(4):
        b = np.where(positive, C, -C)
        b[v] -= bits * 2.0**-58 * np.sign(b[v])
        assert_allclose(_kernel_interior._intercept(f, np.clip(b, lo, hi), lo, hi), 2)
