# SPDX-License-Identifier: BSD-3-Clause
"""The estimator protocol, with and without scikit-learn, on a small reference classifier."""

import copy
import os
import pickle
import subprocess
import sys
from math import inf
from multiprocessing import get_context

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hingex import _result, _threads, _validate
from hingex._estimator import Classifier, Estimator


class Reference(Classifier):
    """Ridge regression on targets of +-1, one class against the rest, through the whole gate."""

    def __init__(self, *, C=1.0, class_weight=None, random_state=None, inner=None):
        self.C = C
        self.class_weight = class_weight
        self.random_state = random_state
        self.inner = inner

    def fit(self, X, y, sample_weight=None):
        owner = type(self).__name__
        C = _validate.positive_float("C", self.C)
        _validate.random_seed(self.random_state)
        rows = _validate.as_rows(X, owner=owner)
        classes, codes = _validate.encode_labels(y, rows.n, owner)
        weights = _validate.row_weights(C, self.class_weight, sample_weight, classes, codes, rows.n)
        if weights is None:
            weights = np.full(rows.n, C)
        A = np.c_[dense(rows), np.ones(rows.n)]
        T = np.where(codes[:, None] == np.arange(len(classes)), 1.0, -1.0)
        if len(classes) == 2:
            T = T[:, 1:]
        ridge = np.diag([1.0] * rows.d + [1e-6])
        W = np.linalg.solve(A.T @ (weights[:, None] * A) + ridge, A.T @ (weights[:, None] * T))
        _validate.check_feature_names(self, X, reset=True)
        self.coef_, self.intercept_ = W[:-1].T, W[-1]
        self.classes_, self.n_features_in_ = classes, rows.d
        return self

    def decision_function(self, X):
        self._check_fitted()
        rows = dense(_validate.fitted_rows(self, X))
        scores = np.stack([row @ self.coef_.T for row in rows]) + self.intercept_
        return scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X):
        scores = self.decision_function(X)
        return self.classes_[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(1)]


def dense(rows):
    values, indices, indptr = rows.arrays
    if indices is None:
        return values
    out = np.zeros((rows.n, rows.d))
    for i in range(rows.n):
        part = slice(indptr[i], indptr[i + 1])
        np.add.at(out[i], indices[part], values[part])
    return out


X = np.array([[0.0, 1], [1, 0], [3, 3], [4, 3], [3, 4]])
Y = np.array(["lo", "lo", "hi", "hi", "hi"])


# ------------------------------------------------------------------------------ parameters


def test_params():
    est = Reference(C=3)
    assert est.get_params() == {"C": 3, "class_weight": None, "random_state": None, "inner": None}
    assert est.set_params() is est
    assert est.set_params(C=5, random_state=1) is est
    assert (est.C, est.random_state) == (5, 1)


def test_nested_params():
    est = Reference(inner=Reference(C=7))
    assert est.get_params()["inner__C"] == 7
    assert "inner__C" not in est.get_params(deep=False)
    est.set_params(inner__C=8)
    assert est.inner.C == 8
    est.set_params(inner=Reference(), inner__C=9)
    assert est.inner.C == 9
    assert Reference(inner=Reference).get_params()["inner"] is Reference


@pytest.mark.parametrize(("params", "text"), [
    ({"c": 1}, r"Invalid parameter 'c' for estimator Reference\(C=2\)\. Did you mean 'C'\? Valid "
               r"parameters are: \['C', 'class_weight', 'random_state', 'inner'\]"),
    ({"C": 3, "sample_wieght": 1}, "Invalid parameter 'sample_wieght'"),
    ({"C__x": 1}, "Invalid parameter 'C__x'"),
    ({"inner__C": 1}, "Invalid parameter 'inner__C'"),
])
def test_invalid_params_change_nothing(params, text):
    est = Reference(C=2)
    with pytest.raises(ValueError, match=text):
        est.set_params(**params)
    assert est.C == 2


def test_constructor_must_name_its_parameters():
    class Loose(Estimator):
        def __init__(self, *args):
            pass

    with pytest.raises(TypeError, match=r"Loose\.__init__ must name its parameters"):
        Loose().get_params()
    assert Estimator().get_params() == {}


def test_repr():
    assert repr(Reference()) == "Reference()"
    assert repr(Reference(C=2.5, inner=Reference(C=1))) == "Reference(C=2.5, inner=Reference(C=1))"
    assert repr(Reference(C=np.ones(3))) == "Reference(C=array([1., 1., 1.]))"
    assert repr(Reference(C=float("nan"))) == "Reference(C=nan)"
    long = repr(Reference(class_weight={i: 1 for i in range(1000)}, C="x" * 9999))
    assert "..." in long
    assert len(long) < 500

    class Strange:
        def __eq__(self, other):
            raise RuntimeError

        __hash__ = None

        def __repr__(self):
            return "strange"

    assert repr(Reference(C=Strange())) == "Reference(C=strange)"


# ------------------------------------------------------------------------- fitted and pickle


def test_not_fitted():
    for error in (_result.NotFittedError, ValueError, AttributeError):
        with pytest.raises(error, match="This Reference instance is not fitted yet: call fit"):
            Reference().predict(X)
    exceptions = pytest.importorskip("sklearn.exceptions")
    with pytest.raises(exceptions.NotFittedError) as caught:
        Reference().predict(X)
    assert isinstance(caught.value, _result.NotFittedError)
    assert type(caught.value).__name__ == "NotFittedError"
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is type(caught.value)
    assert str(again) == str(caught.value)


@pytest.mark.parametrize("name", ["ConvergenceWarning", "DataConversionWarning", "NotFittedError"])
def test_shared_classes(name):
    exceptions = pytest.importorskip("sklearn.exceptions")
    category = _result.warning_category(name)
    assert issubclass(category, getattr(exceptions, name))
    assert issubclass(category, getattr(_result, name))
    assert category is _result.warning_category(name)
    assert pickle.loads(pickle.dumps(category)) is category
    with pytest.raises(AttributeError, match="has no attribute '_sklearn_Nothing'"):
        _ = _result._sklearn_Nothing


def test_without_sklearn_classes_are_plain():
    code = """if 1:
        import sys, pickle
        from hingex import _result
        for name in ("ConvergenceWarning", "DataConversionWarning", "NotFittedError"):
            assert _result.warning_category(name) is getattr(_result, name)
        assert "sklearn" not in sys.modules
        sys.modules["sklearn"] = None  # as if it were not installed
        assert _result._sklearn_NotFittedError is _result.NotFittedError
    """
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_pickle_and_copy():
    est = Reference(C=2).fit(X, Y)
    for other in (pickle.loads(pickle.dumps(est)), copy.deepcopy(est)):
        assert vars(other).keys() == vars(est).keys()
        assert other.get_params() == est.get_params()
        assert (other.predict(X) == est.predict(X)).all()


def test_pickle_of_another_version_warns():
    est = Reference().fit(X, Y)
    state = est.__getstate__()
    assert "_hingex_version" in state
    state["_hingex_version"] = "99.1.0"
    with pytest.warns(UserWarning, match=r"pickled by hingex 99\.1\.0 and is read by"):
        Reference.__new__(Reference).__setstate__(state)
    assert state["_hingex_version"] == "99.1.0"


def test_score():
    est = Reference().fit(X, Y)
    assert est.score(X, Y) == 1
    assert est.score(X, ["lo", "hi", "hi", "hi", "never seen"]) == 0.6
    assert_allclose(est.score(X, ["hi", *Y[1:]], sample_weight=[3, 1, 0, 0, 1]), 0.4)
    assert type(est.score(X, Y)) is float
    with pytest.raises(ValueError, match="y holds numbers, but Reference was fitted on labels that "
                                         "are strings"):
        est.score(X, [1, 2, 1, 1, 1])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        est.score(X, Y[:2])
    with pytest.raises(ValueError, match="sample_weight must be finite and not negative"):
        est.score(X, Y, sample_weight=[-1, 1, 1, 1, 1])
    assert est.score(X, Y.astype(object)) == 1
    integers = Reference().fit(X, [0, 0, 1, 1, 1])
    assert integers.score(X, np.array([0, 0, 1, 1, 1.0])) == 1


# ----------------------------------------------------------------------------- scikit-learn


def test_tags():
    utils = pytest.importorskip("sklearn.utils")
    tags = utils.get_tags(Reference())
    assert tags.estimator_type == "classifier"
    assert tags.input_tags.sparse
    assert tags.target_tags.required
    assert utils.get_tags(Estimator()).estimator_type is None
    base = pytest.importorskip("sklearn.base")
    assert base.is_classifier(Reference())


@pytest.mark.filterwarnings("ignore")
def test_check_estimator():
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    results = checks.check_estimator(Reference(), on_fail=None, on_skip=None)
    failed = {r["check_name"]: r["exception"] for r in results
              if r["status"] not in ("passed", "skipped")}
    assert not failed
    assert len(results) > 40


def test_in_pipeline_and_grid_search():
    pytest.importorskip("sklearn")
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    A = rng.normal(size=(60, 3))
    y = np.where(A[:, 0] > 0, "yes", "no")
    search = GridSearchCV(make_pipeline(StandardScaler(), Reference()),
                          {"reference__C": [0.1, 10]}, cv=3).fit(A, y)
    assert search.score(A, y) > 0.9
    assert "Reference" in repr(search)
    assert "Reference" in search._repr_html_()
    assert cross_val_score(Reference(), A, y, scoring="roc_auc").min() > 0.9
    est = clone(Reference(C=3).fit(A, y))
    assert est.C == 3
    assert not hasattr(est, "coef_")


def test_joblib(tmp_path):
    joblib = pytest.importorskip("joblib")
    est = Reference().fit(X, Y)
    joblib.dump(est, tmp_path / "model")
    assert (joblib.load(tmp_path / "model", mmap_mode="r").predict(X) == Y).all()


# ---------------------------------------------------------------------------------- threads


def test_n_threads(monkeypatch):
    monkeypatch.setattr(_threads, "available_cpus", lambda: 6)
    n_threads = _threads.n_threads
    assert [n_threads(j) for j in (1, 3, 100, -1, -2, -6, -7, -99, np.int64(2))] == [
        1, 3, 100, 6, 5, 1, 1, 1, 2]
    assert 1 <= n_threads() <= 6
    assert [_threads.n_parts(j) for j in (None, 1, 3, -1, -2)] == [1, 1, 3, 6, 5]
    monkeypatch.setattr(_threads, "_in_forked_child", True)
    assert (n_threads(3), _threads.n_parts(3)) == (1, 3)
    monkeypatch.setattr(_threads, "_in_forked_child", False)
    with pytest.raises(ValueError, match="n_jobs must be a positive number, or negative"):
        n_threads(0)
    for bad in (1.0, "2", True):
        with pytest.raises(TypeError, match="n_jobs must be an integer or None; got"):
            n_threads(bad)


def test_openmp_limits_are_obeyed():
    code = "from hingex._threads import n_threads; print(n_threads(), n_threads(5))"
    got = subprocess.run([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"},
                         check=True, capture_output=True, text=True, timeout=60).stdout
    assert got.split() == ["1", "5"]


def test_threadpoolctl_is_obeyed():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    _threads.n_threads()  # loads the OpenMP library
    with threadpoolctl.threadpool_limits(1, user_api="openmp"):
        assert _threads.n_threads() == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU affinity here")
def test_affinity_is_obeyed():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert _threads.n_threads() == 1
        assert _threads.n_threads(-1) == 1
    finally:
        os.sched_setaffinity(0, before)


def threads_in_child(queue):
    queue.put((_threads.n_threads(), _threads.n_threads(8), _threads.n_threads(-1)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_one_thread_after_fork():
    context = get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=threads_in_child, args=(queue,))
    child.start()
    child.join(30)
    assert child.exitcode == 0
    assert queue.get() == (1, 1, 1)


def cgroup(tmp_path, lines, files):
    (tmp_path / "self").write_text("\n".join(lines))
    for name, text in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return _threads._cgroup_cpus(str(tmp_path / "self"), str(tmp_path / "root"))


@pytest.mark.parametrize(("lines", "files", "expected"), [
    (["0::/a/b"], {"a/b/cpu.max": "max 100000", "a/cpu.max": "250000 100000"}, 3),
    (["0::/a/b"], {"a/b/cpu.max": "100000 100000", "a/cpu.max": "250000 100000"}, 1),
    (["0::/"], {"cpu.max": "50000 100000"}, 1),
    (["0::/host/path"], {"cpu.max": "400000 100000"}, 4),
    (["0::/"], {"cpu.max": "max 100000"}, inf),
    (["0::/"], {"cpu.max": "broken"}, inf),
    (["3:cpu,cpuacct:/x", "2:memory:/x", "0::/"],
     {"cpu,cpuacct/x/cpu.cfs_quota_us": "150000", "cpu,cpuacct/x/cpu.cfs_period_us": "100000"}, 2),
    (["1:cpu:/"], {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, inf),
    (["1:name=systemd:/"], {}, inf),
])
def test_cgroup_quota(tmp_path, lines, files, expected):
    assert cgroup(tmp_path, lines, files) == expected


def test_no_cgroups(tmp_path):
    assert _threads._cgroup_cpus(str(tmp_path / "missing"), str(tmp_path)) == inf


def test_fit_record_has_slots():
    one = np.zeros(1)
    fit = _result.Fit(np.zeros((1, 2)), one, None, one, one, one, one, 3, True, "converged", 0.1)
    assert fit.n_iter == 3
    with pytest.raises(AttributeError):
        fit.extra = 1
