# SPDX-License-Identifier: BSD-3-Clause
"""Rows in blocks: the sources, fits on them beside `fit`, and what a kill or bad data leave."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
import tracemalloc
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

import hingex
from hingex import blocks as module
from hingex.blocks import NpzBlocks, RowBlocks, SvmlightBlocks, save_blocks
from hingex.io import dump_svmlight_file


def problem(n=300, d=40, classes=3, seed=0, density=0.4):
    rng = np.random.default_rng(seed)
    X = sparse.random(n, d, density, "csr", rng=rng, dtype=np.float64)
    X.data = rng.standard_normal(len(X.data))
    y = np.asarray((X @ rng.standard_normal((d, classes)) + 0.5 * rng.standard_normal(
        (n, classes))).argmax(axis=1))  # fmt: skip
    return X, y


def cut(X, y, *ends):
    ends = [0, *ends, X.shape[0]]
    return [(X[a:b], y[a:b]) for a, b in pairwise(ends)]


def primal(model, X, y, loss, C, regularized, weight=None):
    """The summed objective from its formula."""
    total = 0.0
    classes = model.classes_[1:] if len(model.classes_) == 2 else model.classes_
    for w, b, c in zip(model.coef_, model.intercept_, classes, strict=True):
        slack = np.maximum(0, 1 - np.where(y == c, 1, -1) * (X @ w + b))
        each = slack if loss == "hinge" else slack**2
        total += 0.5 * w @ w + (0.5 * b * b if regularized else 0)
        total += C * float((each if weight is None else each * weight).sum())
    return total


# ---- dual coordinate descent -------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("intercept", ["none", "regularized", "unregularized"])
@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
@pytest.mark.parametrize("together", [0, 3000, module.TOGETHER])
def test_the_optimum_is_that_of_fit(loss, intercept, classes, together, monkeypatch):
    monkeypatch.setattr(module, "TOGETHER", together)
    X, y = problem(n=200, classes=classes)
    how = dict(loss=loss, C=0.02, fit_intercept=intercept != "none",
               intercept="regularized" if intercept == "none" else intercept)  # fmt: skip
    best = hingex.LinearSVC(tol=1e-9, max_iter=100_000, **how).fit(X, y)
    lower = best.dual_objective_
    for blocks in (cut(X, y, 10, 11, 150), RowBlocks(X, y, block_size=900), cut(X, y)):
        model = hingex.LinearSVC(tol=1e-3, max_iter=20_000, **how).fit_stream(blocks)
        assert model.converged_
        assert (model.duality_gap_ <= 1e-3).all()
        assert (model.dual_objective_ <= best.primal_objective_ * (1 + 1e-12)).all()
        assert (model.primal_objective_ >= lower * (1 - 1e-12)).all()
        assert (model.primal_objective_ <= best.primal_objective_ * (1 + 1.1e-3)).all()
        found = primal(model, X, y, loss, 0.02, intercept == "regularized")
        assert found == pytest.approx(model.primal_objective_.sum(), rel=1e-11)


def test_duals_may_lie_on_disk(monkeypatch, tmp_path):
    X, y = problem()
    parts = cut(X, y, 100, 200)
    once = hingex.LinearSVC(C=0.1).fit_stream(parts)
    monkeypatch.setattr(module, "IN_MEMORY", 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    seen = []
    model = hingex.LinearSVC(C=0.1, callback=lambda s: seen.append(os.listdir(
        tmp_path / os.listdir(tmp_path)[0]))).fit_stream(parts)  # fmt: skip
    assert np.array_equal(model.coef_, once.coef_)
    assert seen[-1]
    assert not os.listdir(tmp_path)


def test_weights_count_as_in_fit():
    X, y = problem()
    weight = np.random.default_rng(1).integers(0, 4, len(y)).astype(float)
    blocks = [(*block, weight[a:a + 100]) for a, block in
              zip((0, 100, 200), cut(X, y, 100, 200), strict=True)]  # fmt: skip
    how = dict(C=0.1, class_weight="balanced", tol=1e-4, max_iter=10_000)
    model = hingex.LinearSVC(**how).fit_stream(blocks)
    best = hingex.LinearSVC(**how).fit(X, y, weight)
    np.testing.assert_allclose(model.primal_objective_, best.primal_objective_, rtol=2e-4)
    best = hingex.LinearSVC("hinge", class_weight="balanced", tol=1e-4).fit(X, y, weight)
    model = hingex.PegasosClassifier(class_weight="balanced", random_state=0).fit_stream(blocks, 99)
    cost = weight * (weight.sum() / 3 / np.bincount(y, weight))[y]
    found = primal(model, X, y, "hinge", 1.0, False, cost)
    assert found < 1.1 * best.primal_objective_.sum()


def test_bits_do_not_depend_on_threads_or_time():
    X, y = problem(classes=5)
    blocks = cut(X, y, 50, 100, 150)
    one = hingex.LinearSVC(n_jobs=1).fit_stream(blocks)
    for n_jobs in (1, 2):
        again = hingex.LinearSVC(n_jobs=n_jobs).fit_stream(blocks)
        assert np.array_equal(one.coef_, again.coef_)
        assert np.array_equal(one.intercept_, again.intercept_)
    other = hingex.LinearSVC(random_state=1).fit_stream(blocks)
    assert not np.array_equal(one.coef_, other.coef_)


class Counting(list):
    """Blocks that count how often each is read, and may fail at a reading."""

    def __init__(self, blocks, fail_at=None):
        super().__init__(blocks)
        self.read, self.fail_at = [0] * len(blocks), fail_at

    def __getitem__(self, i):
        if self.fail_at is not None and sum(self.read) == self.fail_at:
            raise RuntimeError("killed")
        self.read[i] += 1
        return super().__getitem__(i)


def test_blocks_that_have_nothing_to_do_are_not_read(monkeypatch):
    monkeypatch.setattr(module, "TOGETHER", 0)
    # Rows of the second block lie far outside the margins, once w has its direction.
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    X = np.where(y == 1, 1.0, -1.0)[:, None] + 0.6 * rng.standard_normal((200, 3))
    X[100:] = np.where(y[100:] == 1, 50.0, -50.0)[:, None]
    blocks = Counting(cut(X, y, 100))
    model = hingex.LinearSVC(loss="hinge", tol=1e-7, max_iter=5000).fit_stream(blocks)
    assert model.converged_
    assert model.n_iter_ > 20
    assert blocks.read[1] < 0.6 * blocks.read[0]


def test_history_and_callback():
    X, y = problem()
    seen = []
    model = hingex.LinearSVC(callback=seen.append).fit_stream(cut(X, y, 100))
    assert [s.epoch for s in seen] == list(range(1, model.n_iter_ + 1))
    assert model.history_["certified"][-1]
    assert model.history_["gap"][-1] == model.duality_gap_.max()
    with pytest.warns(hingex.ConvergenceWarning, match="callback"):
        stopped = hingex.LinearSVC(tol=1e-10, callback=lambda s: s.epoch == 3).fit_stream(
            cut(X, y, 100))  # fmt: skip
    assert stopped.n_iter_ == 3
    found = primal(stopped, X, y, "squared_hinge", 1.0, False)
    assert found == pytest.approx(stopped.primal_objective_.sum(), rel=1e-9)  # of what was reached


def test_too_few_epochs_and_too_little_time_are_told_with_the_true_gap():
    X, y = problem(seed=3)
    for options, epochs in (({}, 2), ({"max_time": 1e-4}, 10**6)):
        model = hingex.LinearSVC(loss="hinge", C=100.0, tol=1e-9, **options)
        with pytest.warns(hingex.ConvergenceWarning, match="gap of"):
            model.fit_stream(cut(X, y, 40, 80), epochs)
        found = primal(model, X, y, "hinge", 100.0, False)
        assert found == pytest.approx(model.primal_objective_.sum(), rel=1e-9)


def test_ctrl_c_leaves_a_model(tmp_path):
    X, y = problem()

    def stop(state):
        if state.epoch == 2:
            raise KeyboardInterrupt

    for model in (hingex.LinearSVC(C=0.01, tol=1e-5, callback=stop),
                  hingex.PegasosClassifier(callback=stop)):  # fmt: skip
        with pytest.raises(KeyboardInterrupt):
            model.fit_stream(cut(X, y, 100), 10, checkpoint=tmp_path / type(model).__name__)
        assert model.score(X, y) > 0.5
        model.set_params(callback=None)
        model.fit_stream(cut(X, y, 100), 1000, checkpoint=tmp_path / type(model).__name__)
        assert model.n_iter_ > 2


@pytest.mark.parametrize(("parameters", "words"), [
    ({"multi_class": "crammer_singer"}, "multi_class"), ({"solver": "newton"}, "solver"),
    ({"C": np.inf}, "finite C"), ({"warm_start": True}, "warm_start"),
    ({"store_dual": True}, "store_dual"),
])  # fmt: skip
def test_what_blocks_cannot_do_is_refused(parameters, words):
    X, y = problem()
    with pytest.raises(ValueError, match=words):
        hingex.LinearSVC(**parameters).fit_stream(cut(X, y, 100))


# ---- checkpoints -------------------------------------------------------------------------------

@pytest.fixture
def every_block(monkeypatch):
    """A state after each block, not waiting for the disk."""
    monkeypatch.setattr(module, "LEAST_APART", 0.0)
    monkeypatch.setattr(module, "MOST_OF_TIME", 1e9)
    monkeypatch.setattr(module, "TOGETHER", 0)
    monkeypatch.setattr(os, "fsync", lambda handle: None)


MODELS = [
    lambda: hingex.LinearSVC(C=0.1, tol=1e-3, random_state=3),
    lambda: hingex.LinearSVC("hinge", C=0.02, tol=1e-3, intercept="regularized"),
    lambda: hingex.PegasosClassifier(random_state=3),
    lambda: hingex.AROWClassifier(random_state=3),
]


def stream(model, blocks, **more):
    return model.fit_stream(blocks, 6 if hasattr(model, "early_stopping") else 5000, **more)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("make", MODELS)
def test_a_fit_goes_on_where_it_was_killed(make, classes, tmp_path, every_block):
    X, y = problem(n=200, d=60, classes=classes)
    parts = cut(X, y, 40, 80, 81, 120, 160)
    whole = stream(make(), parts)
    for fail_at in (0, 3, 11, 23):
        folder = tmp_path / str(fail_at)
        with pytest.raises(RuntimeError, match="killed"):
            stream(make(), Counting(parts, fail_at), checkpoint=folder)
        with suppress(RuntimeError):  # and perhaps once more
            stream(make(), Counting(parts, fail_at), checkpoint=folder)
        blocks = Counting(parts)
        model = stream(make(), blocks, checkpoint=folder)
        if fail_at == 23:
            assert blocks.read[0] <= whole.n_iter_ + 8  # and the survey was not made again
        if hasattr(model, "early_stopping"):
            assert np.array_equal(model.coef_, whole.coef_)
        else:
            np.testing.assert_allclose(
                model.primal_objective_, whole.primal_objective_, rtol=2e-3)
            assert model.converged_
        blocks = Counting(parts)
        again = stream(make(), blocks, checkpoint=folder)
        assert np.array_equal(again.coef_, model.coef_)
        assert sum(blocks.read) == 0  # all was done


def test_the_bits_are_those_of_a_fit_that_was_not_killed(tmp_path, every_block):
    X, y = problem(n=300, d=60)
    parts = cut(X, y, 60, 120, 180, 240)
    whole = hingex.LinearSVC(C=0.1).fit_stream(parts)
    assert whole.n_iter_ >= 3
    # The survey reads 5 blocks; no certificate comes before the second epoch's end.
    with pytest.raises(RuntimeError, match="killed"):
        hingex.LinearSVC(C=0.1).fit_stream(Counting(parts, 5 + 4), checkpoint=tmp_path)
    model = hingex.LinearSVC(C=0.1).fit_stream(parts, checkpoint=tmp_path)
    assert np.array_equal(model.coef_, whole.coef_)
    assert np.array_equal(model.intercept_, whole.intercept_)


@pytest.mark.parametrize("kind", ["LinearSVC", "PegasosClassifier"])
def test_a_killed_process_loses_little(kind, tmp_path):
    X, y = problem(n=3000, d=50)
    files = save_blocks(RowBlocks(X, y, block_size=20_000), tmp_path / "data").files
    script = textwrap.dedent(f"""
        import sys, time, hingex
        from hingex import blocks
        blocks.LEAST_APART = 0.0
        class Slow(blocks.NpzBlocks):
            def __getitem__(self, i):
                time.sleep(0.005)
                return super().__getitem__(i)
        model = hingex.{kind}(C=0.01, random_state=0)
        print("begun", flush=True)
        model.fit_stream(Slow({files!r}), 2000, checkpoint={str(tmp_path / "kept")!r})
    """)
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    child.stdout.readline()
    state = tmp_path / "kept" / "state.npz"
    until = time.time() + 60
    while not state.exists() and time.time() < until:
        time.sleep(0.01)
    time.sleep(0.3)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert state.exists()
    epochs = 2000 if kind == "LinearSVC" else 20
    model = getattr(hingex, kind)(C=0.01, random_state=0)
    model.fit_stream(NpzBlocks(files), epochs, checkpoint=tmp_path / "kept")
    assert model.score(X, y) > 0.8
    if kind == "LinearSVC":
        assert model.converged_
        found = primal(model, X, y, "squared_hinge", 0.01, False)
        assert found == pytest.approx(model.primal_objective_.sum(), rel=1e-10)


def test_a_checkpoint_is_for_its_own_fit_only(tmp_path):
    X, y = problem()
    parts = cut(X, y, 100)
    hingex.LinearSVC().fit_stream(parts, checkpoint=tmp_path)
    with pytest.raises(ValueError, match=r"of another fit: C was 1.0, and is 2.0"):
        hingex.LinearSVC(C=2.0).fit_stream(parts, checkpoint=tmp_path)
    with pytest.raises(ValueError, match="of another fit"):
        hingex.PegasosClassifier().fit_stream(parts, checkpoint=tmp_path)
    with pytest.raises(ValueError, match="is of 2 blocks, not 3"):
        hingex.LinearSVC().fit_stream(cut(X, y, 50, 100), checkpoint=tmp_path)
    with pytest.raises(TypeError, match="checkpoint must be the path"):
        hingex.LinearSVC().fit_stream(parts, checkpoint=3)
    (tmp_path / "state.npz").write_bytes((tmp_path / "state.npz").read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"state.npz: damaged or cut off"):
        hingex.LinearSVC().fit_stream(parts, checkpoint=tmp_path)


@pytest.mark.parametrize("make", MODELS)
def test_a_full_disk_loses_nothing(make, tmp_path, every_block, monkeypatch):
    X, y = problem(d=60)
    parts = cut(X, y, 100, 200)
    whole = stream(make(), parts)
    count, real = 0, np.savez

    def savez(file, **arrays):
        nonlocal count
        count += 1
        if count > 9:
            file.write(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device")
        real(file, **arrays)

    monkeypatch.setattr(np, "savez", savez)
    with pytest.raises(OSError, match="No space left on device; what was learned before is in"):
        stream(make(), parts, checkpoint=tmp_path)
    monkeypatch.setattr(np, "savez", real)
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]
    model = stream(make(), parts, checkpoint=tmp_path)
    if hasattr(model, "early_stopping"):
        assert np.array_equal(model.coef_, whole.coef_)
    else:
        np.testing.assert_allclose(model.primal_objective_, whole.primal_objective_, rtol=2e-3)


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit of file sizes here")
def test_a_file_that_may_not_grow(tmp_path):
    script = textwrap.dedent(f"""
        import resource, signal, numpy as np, hingex
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        rng = np.random.default_rng(0)
        X = rng.standard_normal((60, 50_000)); y = np.arange(60) % 2
        try:
            hingex.LinearSVC().fit_stream([(X[:30], y[:30]), (X[30:], y[30:])],
                                          checkpoint={str(tmp_path)!r})
        except OSError as error:
            print("told:", error)
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert "told:" in done.stdout, done.stderr
    assert "state.npz" in done.stdout
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]


# ---- stochastic steps --------------------------------------------------------------------------


def test_steps_come_near_the_optimum_and_do_not_depend_on_threads():
    X, y = problem(n=2000, classes=3)
    blocks = RowBlocks(X, y, block_size=8000)
    assert len(blocks) > 10
    best = hingex.LinearSVC("hinge", tol=1e-4, max_iter=50_000).fit(X, y).primal_objective_.sum()
    model = hingex.PegasosClassifier(random_state=0, n_jobs=1).fit_stream(blocks, 30)
    found = primal(model, X, y, "hinge", 1.0, False)
    assert best * (1 - 1e-6) <= found < 1.02 * best
    again = hingex.PegasosClassifier(random_state=0, n_jobs=2).fit_stream(blocks, 30)
    assert np.array_equal(again.coef_, model.coef_)
    assert model.n_iter_ == 30
    assert len(model.history_) == 30
    for kind in (hingex.PassiveAggressiveClassifier, hingex.AROWClassifier):
        assert kind(random_state=0).fit_stream(blocks, 3).score(X, y) > 0.75


def test_one_block_is_like_fit_but_for_the_order():
    X, y = problem(n=1000)
    model = hingex.PegasosClassifier(random_state=0, early_stopping=None, max_iter=20)
    a = model.fit(X, y)
    b = hingex.PegasosClassifier(random_state=0).fit_stream([(X, y)], 20)
    assert a.alpha_ == b.alpha_
    assert np.array_equal(a.coef_, b.coef_)


# ---- sources -----------------------------------------------------------------------------------


def gathered(source):
    parts = [source[i] for i in range(len(source))]
    X = [part[0] for part in parts]
    return (sparse.vstack(X) if sparse.issparse(X[0]) else np.vstack(X)), np.concatenate(
        [part[1] for part in parts])


@pytest.mark.parametrize("size", [1, 7, 100, 1000, 10**6])
def test_row_blocks_have_every_row_once(size):
    X, y = problem()
    for data in (X, X.toarray(), X.astype(np.float32)):
        source = RowBlocks(data, y, block_size=size)
        found, labels = gathered(source)
        assert (found != data).sum() == 0
        assert np.array_equal(labels, y)
        assert found.dtype == data.dtype
    assert len(RowBlocks(X, y, block_size=1)) == X.shape[0]


def test_row_blocks_are_views_also_of_mapped_arrays(tmp_path):
    X, y = problem()
    arrays = {}
    for name in ("data", "indices", "indptr"):
        np.save(tmp_path / f"{name}.npy", getattr(X, name))
        arrays[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    mapped = sparse.csr_matrix(X.shape)
    mapped.data, mapped.indices, mapped.indptr = (arrays[n] for n in ("data", "indices", "indptr"))
    source = RowBlocks(mapped, y, block_size=500)
    assert len(source) > 10
    part = source[3][0]
    assert np.shares_memory(part.data, arrays["data"])
    assert np.shares_memory(part.indices, arrays["indices"])
    a = hingex.LinearSVC(C=0.1, tol=1e-4).fit_stream(source)
    b = hingex.LinearSVC(C=0.1, tol=1e-4).fit(X, y)
    np.testing.assert_allclose(a.primal_objective_, b.primal_objective_, rtol=2e-4)


@pytest.mark.parametrize("zero_based", [True, False])
@pytest.mark.parametrize("size", [1, 13, 100, 5000, 10**6])
def test_svmlight_blocks_have_every_row_once(size, zero_based, tmp_path):
    X, y = problem(n=60)
    X = X + sparse.csr_matrix(([1.0], ([0], [0])), shape=X.shape)
    paths = [tmp_path / "a.svm", tmp_path / "b.svm"]
    for path, (A, b) in zip(paths, cut(X, y, 25), strict=True):
        dump_svmlight_file(A, b, path, zero_based=zero_based)
    source = SvmlightBlocks(paths, block_size=size)
    assert source.n_features == X.shape[1]
    found, labels = gathered(source)
    assert (found != X).sum() == 0
    assert np.array_equal(labels, y)


def test_sources_give_the_same_model(tmp_path):
    X, y = problem()
    X = X + sparse.csr_matrix(([1.0], ([0], [0])), shape=X.shape)
    dump_svmlight_file(X, y, tmp_path / "all.svm")
    parts = cut(X, y.astype(float), 100, 200)
    kept = save_blocks(parts, tmp_path / "npz")
    once = hingex.LinearSVC(C=0.01).fit_stream(parts)
    for source in (kept, str(tmp_path / "npz"), kept.files, iter(parts), (p for p in parts)):
        model = hingex.LinearSVC(C=0.01).fit_stream(source)
        assert np.array_equal(model.coef_, once.coef_)
    # One block, with floats for labels.
    one = hingex.LinearSVC(C=0.01).fit_stream(cut(X, y.astype(float)))
    for source in (tmp_path / "all.svm", [str(tmp_path / "all.svm")]):
        model = hingex.LinearSVC(C=0.01).fit_stream(source)
        assert np.array_equal(model.coef_, one.coef_)
        assert np.array_equal(model.predict(X), one.predict(X))
    # What can be read but once is kept beside a checkpoint, and not asked for again.
    folder = tmp_path / "kept"
    hingex.LinearSVC(C=0.01).fit_stream(iter(parts), checkpoint=folder)
    again = hingex.LinearSVC(C=0.01).fit_stream(iter(()), checkpoint=folder)
    assert np.array_equal(again.coef_, once.coef_)


def test_strings_weights_and_dense_rows_survive_npz(tmp_path):
    X, y = problem(classes=2)
    names = np.array(["ham", "spamspam"])[y]
    weight = np.arange(1.0, 301.0)
    blocks = [(X[:9].toarray(), ["ham", "spam", "ham"] * 3, weight[:9]),
              (X[9:].toarray().astype(np.float32), names[9:], weight[9:])]  # fmt: skip
    kept = save_blocks(iter(blocks), tmp_path)
    for (A, b, w), (P, q, r) in zip(blocks, (kept[0], kept[1]), strict=True):
        assert np.array_equal(A, P)
        assert A.dtype == P.dtype
        assert list(b) == q.tolist()
        assert np.array_equal(w, r)
    model = hingex.LinearSVC(C=1e-3).fit_stream(kept)
    assert model.classes_.tolist() == ["ham", "spam", "spamspam"]
    with pytest.raises(ValueError, match=r"there are .npz files"):
        save_blocks(iter(blocks), tmp_path)


def test_blocks_without_rows_are_passed_over():
    X, y = problem()
    parts = cut(X, y, 0, 100)
    assert parts[0][0].shape[0] == 0
    a = hingex.LinearSVC(tol=1e-4).fit_stream([*parts, (X[:0], y[:0])])
    b = hingex.LinearSVC(tol=1e-4).fit(X, y)
    np.testing.assert_allclose(a.primal_objective_, b.primal_objective_, rtol=2e-4)
    assert hingex.PegasosClassifier().fit_stream(parts, 3).score(X, y) > 0.8


# ---- bad input ---------------------------------------------------------------------------------


def test_errors_name_the_block():
    X, y = problem()
    parts = cut(X, y, 100, 200)
    wrong = {
        r"block 1 has 19 features, but the blocks before it have 40": (X[:9, :19], y[:9]),
        r"block 1: .*NaN": (np.full((2, 40), np.nan), [0, 1]),
        r"block 1: it must be \(X, y\).* got a tuple of 1": (X[:9],),
        r"block 1: it must be \(X, y\).* got a csr_matrix": X[:9],
        r"block 1: .*y has 8": (X[:9], y[:8]),
        r"block 1: .*labels?": (X[:9], ["a"] * 9),
        r"block 1: sample_weight must be finite and not negative": (X[:9], y[:9], -np.ones(9)),
    }  # fmt: skip
    for message, block in wrong.items():
        for model in (hingex.LinearSVC(), hingex.PegasosClassifier()):
            with pytest.raises((ValueError, TypeError), match=message):
                model.fit_stream([parts[0], block, parts[2]], 2)


@pytest.mark.parametrize(("blocks", "error", "words"), [
    ([], ValueError, "empty"), (iter([]), ValueError, "empty|no .npz"), (3, TypeError, "sequence"),
    (np.zeros((3, 2)), TypeError, "RowBlocks"), (["a.npz", "b.svm"], ValueError, "one kind"),
    ("nowhere.svm", OSError, "nowhere.svm"), ("nowhere.npz", OSError, "nowhere.npz"),
    ("data.svm.gz", ValueError, "unpack"), (iter([1]), TypeError, r"block 0 must be \(X, y\)"),
    ([(np.eye(2), [1, 1])], ValueError, "1 distinct label"),
])  # fmt: skip
def test_what_is_no_source_of_blocks(blocks, error, words):
    with pytest.raises(error, match=words):
        hingex.LinearSVC().fit_stream(blocks)


def test_truncated_and_changed_files(tmp_path):
    X, y = problem()
    files = save_blocks(cut(X, y, 100, 200), tmp_path / "npz").files
    whole = Path(files[1]).read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        with open(files[1], "wb") as file:
            file.write(whole[:size])
        with pytest.raises(ValueError, match=r"block 1 \(.*000001.npz\): .*damaged or cut off"):
            hingex.LinearSVC().fit_stream(files)
    np.savez(files[1], data=X.data)
    with pytest.raises(ValueError, match="neither X nor a CSR matrix"):
        hingex.LinearSVC().fit_stream(files)
    np.savez(files[1], X=X[:5].toarray())
    with pytest.raises(ValueError, match="no y in it"):
        hingex.LinearSVC().fit_stream(files)
    path = tmp_path / "a.svm"
    dump_svmlight_file(X, y, path)
    source = SvmlightBlocks(path, block_size=1000)
    os.truncate(path, path.stat().st_size - 500)
    with pytest.raises(ValueError, match="has changed since it was first read"):
        hingex.LinearSVC().fit_stream(source)
    with open(path, "a") as file:
        file.write("oops\n")
    with pytest.raises(ValueError, match=r"a.svm.*line"):
        hingex.LinearSVC().fit_stream(path)


def test_blocks_that_change_under_the_fit():
    X, y = problem()

    class Shrinking(list):
        reads = 0

        def __getitem__(self, i):
            Shrinking.reads += 1
            A, b = super().__getitem__(i)
            return (A[:-1], b[:-1]) if Shrinking.reads > 3 else (A, b)

    with pytest.raises(ValueError, match=r"has changed: it has .* rows .*, and had"):
        hingex.LinearSVC().fit_stream(Shrinking(cut(X, y, 100, 200)))


def test_memory_is_that_of_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TOGETHER", 0)
    rng = np.random.default_rng(0)
    d, rows, count = 1000, 2000, 12

    def parts():
        for _ in range(count):
            X = sparse.random(rows, d, 0.05, "csr", rng=rng, dtype=np.float64)
            yield X, (np.asarray(X.sum(axis=1)).ravel() > 25).astype(int)

    size = rows * d * 0.05 * 12
    files = save_blocks(parts(), tmp_path / "data").files
    for model in (hingex.LinearSVC(C=1e-3, tol=0.1, n_jobs=1), hingex.PegasosClassifier(n_jobs=1)):
        tracemalloc.start()
        model.fit_stream(files, 50, checkpoint=tmp_path / type(model).__name__)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        # The present block, the next one, and what makes an array of a file's bytes.
        assert peak < 5 * size < 0.5 * count * size
