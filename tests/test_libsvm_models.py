# SPDX-License-Identifier: BSD-3-Clause
"""LIBSVM's text models: what is written and read, and beside its own package."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array

import hingex
from hingex import SVC, SVR, NuSVC, NuSVR, OneClassSVM, kernels, model_io
from hingex.model_io import ModelFormatError, load_libsvm, save_libsvm

ALL = [SVC, NuSVC, SVR, NuSVR, OneClassSVM]
KERNELS = ["linear", "poly", "rbf", "sigmoid", "precomputed"]
CODES = {SVC: 0, NuSVC: 1, OneClassSVM: 2, SVR: 3, NuSVR: 4}
RNG = np.random.default_rng(0)
X = np.round(RNG.normal(size=(60, 4)), 3) * (RNG.random((60, 4)) < 0.7)
X[0] = 1.0  # the last feature is there


def targets(Model, classes):
    if Model is OneClassSVM:
        return None
    if Model in (SVR, NuSVR):
        return X.sum(axis=1)
    labels = [5, -3, 8, 2][:classes]
    scores = X @ np.random.default_rng(1).normal(size=(4, classes))
    return np.array(labels)[scores.argmax(axis=1)]


def fitted(Model, kernel, classes=3):
    options = {"nu": 0.2} if Model in (NuSVC, NuSVR, OneClassSVM) else {"C": 2.0}
    model = Model(kernel=kernel, gamma=0.3, coef0=0.5, degree=2, **options)
    return model.fit(table(kernel), targets(Model, classes))


def table(kernel):
    return kernels.rbf(X, gamma=0.3) if kernel == "precomputed" else X


def outputs(model, Z):
    return (model.decision_function if hasattr(model, "decision_function") else model.predict)(Z)


@pytest.mark.parametrize(("Model", "classes"), [
    *((Model, 2) for Model in ALL), (SVC, 3), (NuSVC, 3), (SVC, 4), (NuSVC, 4),
])
@pytest.mark.parametrize("kernel", KERNELS)
def test_what_is_written_is_read(Model, classes, kernel, tmp_path):
    model = fitted(Model, kernel, classes)
    path = tmp_path / "model"
    save_libsvm(model, path)
    again = load_libsvm(path, n_features=table(kernel).shape[1])
    assert type(again) is Model
    assert_allclose(outputs(again, table(kernel)), outputs(model, table(kernel)), rtol=1e-12,
                    atol=1e-12)
    assert_array_equal(again.predict(table(kernel)) if Model in (SVC, NuSVC) else 0,
                       model.predict(table(kernel)) if Model in (SVC, NuSVC) else 0)
    assert_array_equal(again.dual_coef_, model.dual_coef_)
    assert_array_equal(again.intercept_, model.intercept_)
    assert_array_equal(again.n_support_, model.n_support_)
    first = path.read_bytes()
    save_libsvm(again, path)
    assert path.read_bytes() == first
    assert model_io.describe(path)["format"] == "libsvm"
    if kernel != "precomputed":
        assert type(hingex.load(path)) is Model


# Not NuSVC of three: LIBSVM 3.37 crashes where it predicts with its own nu_svc of several classes.
@pytest.mark.parametrize(("Model", "classes"), [*((Model, 2) for Model in ALL), (SVC, 3)])
@pytest.mark.parametrize("kernel", KERNELS)
def test_libsvm_reads_and_writes_the_same(Model, classes, kernel, tmp_path):
    libsvm = pytest.importorskip("libsvm.svmutil")
    # What LIBSVM reads from a file of ours predicts the same.
    model = fitted(Model, kernel, classes)
    ours = str(tmp_path / "ours")
    save_libsvm(model, ours)
    K = table(kernel)
    rows = [({0: i + 1} | {j + 1: v for j, v in enumerate(row)}) if kernel == "precomputed"
            else {j + 1: v for j, v in enumerate(row) if v} for i, row in enumerate(K.tolist())]
    labels, _, values = libsvm.svm_predict([0] * 60, rows, libsvm.svm_load_model(ours), "-q")
    if Model in (SVC, NuSVC):
        model.decision_function_shape = "ovo"
        assert_array_equal(labels, model.predict(K))
        assert_allclose(np.squeeze(values), outputs(model, K), atol=1e-9)
    else:
        assert_allclose(np.squeeze(values), outputs(model, K), atol=1e-9)
    # A file of LIBSVM's is read as what it predicts.
    y = targets(Model, classes)
    t = KERNELS.index(kernel)
    trained = libsvm.svm_train(
        [0] * 60 if y is None else y.tolist(), rows,
        f"-s {CODES[Model]} -t {t} -g 0.3 -r 0.5 -d 2 -n 0.2 -c 2 -q")
    theirs = str(tmp_path / "theirs")
    libsvm.svm_save_model(theirs, trained)
    labels, _, values = libsvm.svm_predict([0] * 60, rows, libsvm.svm_load_model(theirs), "-q")
    read = load_libsvm(theirs, n_features=K.shape[1])
    assert type(read) is Model
    assert_allclose(read.predict(K), labels, atol=1e-9)
    found, expected = outputs(read, K), np.squeeze(values)
    if Model in (SVC, NuSVC):  # in LIBSVM's order of labels, where the first of a pair is positive
        order, known = libsvm.svm_load_model(theirs).get_labels(), sorted(set(y.tolist()))
        read.decision_function_shape = "ovo"
        found, expected = outputs(read, K).reshape(60, -1), expected.reshape(60, -1)
        scores = dict(zip(itertools.combinations(known, 2), found.T, strict=True))
        if classes == 2:
            scores = {(b, a): column for (a, b), column in scores.items()}
        turned = {(b, a): -column for (a, b), column in scores.items()}
        found = np.column_stack([(scores | turned)[pair]
                                 for pair in itertools.combinations(order, 2)])
    assert_allclose(found, expected, atol=1e-9)


GOOD = b"""svm_type c_svc
kernel_type rbf
gamma 0.5
nr_class 2
total_sv 3
rho 0.25
label 1 -1
nr_sv 1 2
SV
1 1:1 3:2
-0.5 2:1
-0.5 1:-1 2:3
"""


def test_a_model_by_hand(tmp_path):
    path = tmp_path / "model"
    path.write_bytes(GOOD)
    model = load_libsvm(path)
    assert_array_equal(model.classes_, [-1, 1])
    assert_array_equal(model.n_support_, [2, 1])
    Z = np.array([[0.5, 1.0, 1.0]])
    V = np.array([[1, 0, 2], [0, 1, 0], [-1, 3, 0]])
    expected = kernels.rbf(Z, V, gamma=0.5) @ [1, -0.5, -0.5] - 0.25
    assert_allclose(model.decision_function(csr_array(Z)), expected)
    assert_array_equal(model.predict(Z), np.where(expected > 0, 1, -1))


@pytest.mark.parametrize(("old", "new", "line"), [
    (b"svm_type c_svc", b"svm_type d_svc", 1), (b"kernel_type rbf", b"kernel_type x", 2),
    (b"gamma 0.5\n", b"", 8), (b"gamma 0.5", b"gamma nan", 3), (b"gamma 0.5", b"gamma -1", 3),
    (b"gamma 0.5", b"gamma", 3), (b"nr_class 2", b"nr_class 3", 7),
    (b"nr_class 2", b"nr_class 1000000000", 7), (b"total_sv 3", b"total_sv -3", 5),
    (b"total_sv 3", b"total_sv 99999999999", 5), (b"nr_sv 1 2", b"nr_sv -1 4", 8),
    (b"nr_sv 1 2", b"nr_sv 2 2", 8), (b"label 1 -1", b"label 1 1", 7),
    (b"label 1 -1", b"label a b", 7), (b"rho 0.25", b"rho inf", 6), (b"rho 0.25", b"rho 1 2", 6),
    (b"SV\n", b"SV 3\n", 9), (b"SV\n", b"", 9), (b"-0.5 2:1\n", b"", 12),
    (b"-0.5 2:1", b"nan 2:1", 11), (b"-0.5 2:1", b"-0.5 0:1", 11), (b"-0.5 2:1", b"-0.5 2", 11),
    (b"1:-1 2:3", b"2:3 1:-1", 12), (b"1:-1 2:3", b"1:-1 1:3", 12), (b"2:3", b"2:inf", 12),
    (b"2:3", b"99999999999:3", 12), (b"2:3\n", b"2:3\n1 1:1\n", 13), (b"2:3", b"2_0:3", 12),
    (b"gamma 0.5", b"gamma 0.5\ngamma 0.5", 4), (b"gamma 0.5", b"delta 0.5", 3),
])
def test_malformed_files(old, new, line, tmp_path):
    assert old in GOOD
    path = tmp_path / "model"
    path.write_bytes(GOOD.replace(old, new, 1))
    with pytest.raises(ModelFormatError, match=f"line {line}:"):
        load_libsvm(path)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damage_is_an_error_or_a_model(data, tmp_path_factory):
    text = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        match data.draw(st.sampled_from(["byte", "cut", "double"])):
            case "byte":
                text[at] = data.draw(st.sampled_from(b"0123456789-.:e \nx\xff"))
            case "cut":
                del text[at:at + data.draw(st.integers(1, 30))]
            case "double":
                text[at:at] = text[at:at + 20]
        if not text:
            break
    path = tmp_path_factory.mktemp("damaged") / "model"
    path.write_bytes(bytes(text))
    try:
        model = load_libsvm(path)
    except ModelFormatError:
        return
    assert np.isfinite(outputs(model, np.ones((2, model.n_features_in_)))).all()


def test_what_the_format_cannot_hold(tmp_path):
    path = tmp_path / "model"
    labels = targets(SVC, 3)
    for model, message in ((SVC(kernel="chi2").fit(np.abs(X), labels), "no kernel 'chi2'"),
                           (SVC(kernel=kernels.linear).fit(X, labels), "that is a function"),
                           (SVC(multi_class="ovr").fit(X, labels), "for each pair"),
                           (SVC().fit(X, labels.astype(str)), "labels are integers")):
        with pytest.raises(ValueError, match=message):
            save_libsvm(model, path)
    with pytest.raises(TypeError, match="LIBSVM's files hold"):
        save_libsvm(hingex.LinearSVC().fit(X, labels), path)
    with pytest.raises(hingex.NotFittedError):
        save_libsvm(SVC(), path)
    low = SVC(approximation="nystroem", n_components=10).fit(X, labels)
    with pytest.raises(ValueError, match="low rank"):
        save_libsvm(low, path)
    assert not path.exists()


# ---------------------------------------------------------------------------------- probabilities


def trained_by_libsvm(libsvm, Model, classes, path):
    """A file that LIBSVM wrote with -b 1, and the probabilities that LIBSVM reads out of it."""
    rng = np.random.default_rng(2)
    y = X.sum(axis=1)
    if Model in (SVC, NuSVC):
        labels = np.array([5, -3, 8, 2, 0][:classes])
        y = labels[(X @ rng.normal(size=(4, classes)) + rng.normal(size=(60, classes))).argmax(1)]
    rows = [{j + 1: v for j, v in enumerate(row)} for row in X.tolist()]
    options = f"-s {CODES[Model]} -t 2 -g 0.3 -n 0.1 -c 2 -b 1 -q"
    libsvm.svm_save_model(path, libsvm.svm_train(y.tolist(), rows, options))
    return lambda name: probabilities_of(libsvm, name, rows)


def probabilities_of(libsvm, path, rows):
    model = libsvm.svm_load_model(path)
    found = np.array(libsvm.svm_predict([0] * len(rows), rows, model, "-b 1 -q")[2])
    return found[:, np.argsort(model.get_labels())]


def header(path):
    return path.read_text().split("SV\n")[0].splitlines()


@pytest.mark.parametrize("Model", [SVC, NuSVC])
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_probabilities_are_libsvms(Model, classes, tmp_path):
    libsvm = pytest.importorskip("libsvm.svmutil")
    path, again = tmp_path / "theirs", tmp_path / "again"
    expected = trained_by_libsvm(libsvm, Model, classes, str(path))
    model = load_libsvm(path)
    assert model.probA_.shape == model.probB_.shape == (classes * (classes - 1) // 2,)
    assert_allclose(model.predict_proba(X), expected(str(path)), atol=1e-12)
    # What is written again is what was read, and LIBSVM finds the same in it.
    save_libsvm(model, again)
    assert header(again) == header(path)
    assert_allclose(expected(str(again)), expected(str(path)), atol=1e-12)
    assert_array_equal(load_libsvm(again).predict_proba(X), model.predict_proba(X))
    # So do hingex's own files.
    model.save(tmp_path / "own")
    assert_array_equal(hingex.load(tmp_path / "own").predict_proba(X), model.predict_proba(X))
    # A fit leaves nothing of them.
    model.set_params(**({"nu": 0.1} if Model is NuSVC else {})).fit(X, targets(Model, 2))
    assert not hasattr(model, "probA_")
    assert not hasattr(model, "libsvm_order_")
    if Model is NuSVC:
        with pytest.raises(AttributeError, match="only available in models that LIBSVM trained"):
            _ = model.predict_proba
    else:
        assert_array_equal(model.predict_proba(X).argmax(axis=1),
                           np.searchsorted(model.classes_, model.predict(X)))


@pytest.mark.parametrize(("Model", "name", "shape"), [
    (SVR, "probA_", (1,)), (NuSVR, "probA_", (1,)), (OneClassSVM, "prob_density_marks_", (10,)),
])
def test_what_else_probabilities_are_is_kept(Model, name, shape, tmp_path):
    libsvm = pytest.importorskip("libsvm.svmutil")
    path, again = tmp_path / "theirs", tmp_path / "again"
    trained_by_libsvm(libsvm, Model, 0, str(path))
    model = load_libsvm(path)
    assert getattr(model, name).shape == shape
    save_libsvm(model, again)
    assert header(again) == header(path)
    assert not hasattr(model, "predict_proba")
    model.fit(X, X.sum(axis=1))
    assert not hasattr(model, name)


def test_sigmoids_of_two_classes(tmp_path):
    """By hand: 1 / (1 + exp(A f + B)) of the label that comes first in the file."""
    text = ("svm_type c_svc\nkernel_type linear\nnr_class 2\ntotal_sv 2\nrho 0.5\nlabel {}\n"
            "probA -2\nprobB 0.25\nnr_sv 1 1\nSV\n1 1:1\n-1 1:-1\n")
    for labels in ("1 7", "7 1"):
        (tmp_path / "model").write_text(text.format(labels))
        model = load_libsvm(tmp_path / "model")
        for x in (-3.0, 0.0, 0.1, 2.0):
            first = 1 / (1 + np.exp(-2 * (2 * x - 0.5) + 0.25))
            expected = [first, 1 - first] if labels == "1 7" else [1 - first, first]
            assert_allclose(model.predict_proba([[x]]), [expected], rtol=1e-9)
        assert_allclose(model.predict_proba([[1e3]]).max(), 1 - 1e-7, rtol=1e-12)
        assert_allclose(model.predict_log_proba([[1.0]]), np.log(model.predict_proba([[1.0]])))


@pytest.mark.parametrize(("change", "words"), [
    (("probB 0.25\n", ""), "line 7: 'probA' without 'probB': probabilities need both"),
    (("probB 0.25\n", "probB 0.25 1\n"), "line 8: 'probB' has 2 numbers"),
    (("probB 0.25\n", "probB nan\n"), "line 8: 'probB' has a number that is not finite"),
    (("probB 0.25\n", "probB 0.25\nprob_density_marks 1 2\n"),
     "line 9: 'prob_density_marks' has no place in a model of type c_svc"),
])
def test_damaged_probabilities(change, words, tmp_path):
    text = ("svm_type c_svc\nkernel_type linear\nnr_class 2\ntotal_sv 2\nrho 0.5\nlabel 1 7\n"
            "probA -2\nprobB 0.25\nnr_sv 1 1\nSV\n1 1:1\n-1 1:-1\n")
    (tmp_path / "model").write_text(text.replace(*change))
    with pytest.raises(ModelFormatError, match=words):
        load_libsvm(tmp_path / "model")


def test_changed_probabilities_are_refused(tmp_path):
    (tmp_path / "model").write_text(
        "svm_type c_svc\nkernel_type linear\nnr_class 2\ntotal_sv 2\nrho 0.5\nlabel 1 7\n"
        "probA -2\nprobB 0.25\nnr_sv 1 1\nSV\n1 1:1\n-1 1:-1\n")
    for name, value, words in [
        ("probA_", np.zeros(2), "probA_ of this SVC must"), ("probB_", None, "probB_ of this SVC"),
        ("libsvm_order_", np.array([0, 0]), "libsvm_order_ of this SVC must hold each of 0 to 1"),
    ]:
        model = load_libsvm(tmp_path / "model")
        setattr(model, name, value)
        for use in (lambda: save_libsvm(model, tmp_path / "again"),  # noqa: B023
                    lambda: model.predict_proba([[1.0]])):  # noqa: B023
            with pytest.raises(ValueError, match=words):
                use()
