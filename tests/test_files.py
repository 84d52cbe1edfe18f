# SPDX-License-Identifier: BSD-3-Clause
"""Files that others cut off while they are read or mapped; files that are replaced in private."""

import os
import stat
import subprocess
import sys
import textwrap
import tracemalloc

import numpy as np
import pytest
from scipy import sparse

import hingex
from hingex import _files, model_io
from hingex import io as hio
from hingex.blocks import Checkpoint, RowBlocks, SvmlightBlocks, save_blocks
from hingex.io import dump_svmlight_file, load_svmlight_file

LINE = b"1 1:0.5 2:0.25 7:1.125\n"
LINES = 2_000_000  # some windows of several threads


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "big.svm"
    with open(path, "wb") as file:
        for _ in range(20):
            file.write(LINE * (LINES // 20))
    return path


@pytest.fixture
def own(text, tmp_path):
    """A copy of it that may be changed."""
    path = tmp_path / "own.svm"
    path.write_bytes(text.read_bytes())
    return path


# --------------------------------------------------------------------------------- svmlight text

CUT = """
import os, sys
from hingex import io
path, size, jobs, way = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
kernel = io.kernels("svmlight")

class Parser:
    # After its first window somebody cuts the file off.
    def __init__(self, *a):
        self.own, self.windows = kernel.Parser(*a), 0
    def __getattr__(self, name):
        return getattr(self.own, name)
    def feed(self, window, *a):
        if self.windows == 0:
            os.truncate(path, size)
        self.windows += 1
        return self.own.feed(window, *a)

class Kernel:
    def __getattr__(self, name):
        return Parser if name == "Parser" else getattr(kernel, name)

io.kernels = lambda name: Kernel()
file = {"path": lambda: path, "file": lambda: open(path, "rb"),
        "raw": lambda: open(path, "rb", buffering=0),
        "descriptor": lambda: os.open(path, os.O_RDONLY)}[way]()
try:
    io.load_svmlight_file(file, n_jobs=jobs)
except ValueError as error:
    print(error)
else:
    print("loaded")
"""


@pytest.mark.parametrize("way", ["path", "file", "raw", "descriptor"])
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("size", [0, 40_000_000])
def test_a_file_that_is_cut_off_while_it_is_read(own, size, jobs, way):
    """Mapped files killed Python by SIGBUS; streams gave what was left."""
    done = subprocess.run([sys.executable, "-c", CUT, str(own), str(size), str(jobs), way],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    name = "<file descriptor" if way == "descriptor" else str(own)
    assert done.stdout.startswith(name)
    assert f"was cut off while it was read: it had {len(LINE) * LINES} bytes" in done.stdout


@pytest.mark.parametrize("jobs", [1, 2])
def test_text_is_read_in_bounded_memory(own, jobs, monkeypatch):
    seen = []
    windows = hio._Source.windows

    def watched(self, *a):
        for window in windows(self, *a):
            seen.append(len(window))
            yield window

    monkeypatch.setattr(hio._Source, "windows", watched)
    tracemalloc.start()
    X, y = load_svmlight_file(own, n_jobs=jobs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert X.shape == (LINES, 7)
    assert sum(seen) == len(LINE) * LINES
    assert max(seen) <= 20 << 20
    result = sum(a.nbytes for a in (X.data, X.indices, X.indptr, y))
    assert peak < result + (40 << 20)  # columns of the parser are not traced, their copies are


@pytest.mark.parametrize("window", [8, 64, 300, 1 << 16])
def test_windows_of_every_size_give_the_same(tmp_path, window, monkeypatch):
    """Lines longer than a window, parts of the file, and no line end at the end."""
    rng = np.random.default_rng(0)
    rows = [" ".join([str(i), *(f"{k + 1}:{i + k}" for k in range(rng.integers(0, 60)))])
            for i in range(50)]
    text = "\n".join(rows)
    path = tmp_path / "a.svm"
    for end in ("", "\n", "\r\n", "\n\n"):
        path.write_text(text + end)
        monkeypatch.undo()
        X, y = load_svmlight_file(path, n_features=60, zero_based=False)
        monkeypatch.setattr(hio, "_WINDOW_BYTES", window)
        monkeypatch.setattr(hio, "_CHUNK_BYTES", 16)
        for jobs in (1, 2):
            again, labels = load_svmlight_file(path, n_features=60, zero_based=False, n_jobs=jobs)
            assert (again != X).nnz == 0
            assert (labels == y).all()
        for step in (1, 7, 113, 10**6):
            parts = [load_svmlight_file(path, n_features=60, zero_based=False, offset=at,
                                        length=step, n_jobs=2)
                     for at in range(0, path.stat().st_size + step, step)]  # fmt: skip
            assert (sparse.vstack([part[0] for part in parts]) != X).nnz == 0
            assert np.concatenate([part[1] for part in parts]).tolist() == y.tolist()


def test_a_file_that_grows_is_read_to_its_old_end(tmp_path, monkeypatch):
    path = tmp_path / "a.svm"
    path.write_bytes(LINE * 100_000)
    fill = hio._Source._fill

    def appended(self, *a):
        with open(path, "ab") as file:
            file.write(b"more than this")
        return fill(self, *a)

    monkeypatch.setattr(hio._Source, "_fill", appended)
    assert load_svmlight_file(path)[0].shape == (100_000, 7)


def test_a_part_that_changes_while_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "a.svm"
    path.write_bytes(LINE * 1000)
    source = SvmlightBlocks(path, block_size=1000)
    load = hingex.blocks.load_svmlight_file

    def changed(*a, **k):
        result = load(*a, **k)
        os.truncate(path, len(LINE) * 900)
        return result

    monkeypatch.setattr(hingex.blocks, "load_svmlight_file", changed)
    with pytest.raises(ValueError, match=r"a.svm has changed"):
        source[0]


# ----------------------------------------------------------------------------------- mapped arrays


def mapped(path, array):
    np.save(path, array)
    return np.load(path, mmap_mode="r")


def test_mapped_arrays_that_were_cut_off(tmp_path):
    """A clear error in place of SIGBUS, wherever rows of the user are looked at first."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20_000, 5)), np.arange(20_000) % 2
    path = tmp_path / "X.npy"
    model = hingex.LinearSVC().fit(X, y)
    M = mapped(path, X)
    source = RowBlocks(M[100:], y[100:], block_size=100_000)
    labels = mapped(tmp_path / "y.npy", y)
    with_labels = RowBlocks(X, labels, block_size=100_000)
    for views in (M, M[5:], M[:, ::-1], np.asarray(M), np.asarray(M)[::2]):
        assert model.predict(views).shape == (len(views),)
    os.truncate(path, 4096)
    os.truncate(tmp_path / "y.npy", 4096)
    said = r"X\.npy was cut off while it is mapped: it has 4096 bytes"
    for views in (M, M[5:], M[:, ::-1], np.asarray(M), np.asarray(M)[::2]):
        with pytest.raises(ValueError, match=said):
            model.predict(views)
    with pytest.raises(ValueError, match=said):
        hingex.LinearSVC().fit(M, y)
    with pytest.raises(ValueError, match=said):
        hingex.LinearSVC().fit_stream(source)
    with pytest.raises(ValueError, match=r"y\.npy was cut off"):
        with_labels[3]


def test_mapped_sparse_rows_that_were_cut_off(tmp_path):
    X = sparse.random(5000, 50, 0.2, format="csr", random_state=0)
    y = np.arange(5000) % 2
    for part in ("data", "indices", "indptr"):
        M = X.copy()
        setattr(M, part, mapped(tmp_path / f"{part}.npy", getattr(X, part)))
        source = RowBlocks(M, y, block_size=50_000)
        os.truncate(tmp_path / f"{part}.npy", 4096)
        with pytest.raises(ValueError, match=rf"{part}\.npy was cut off"):
            hingex.LinearSVC().fit(M, y)
        with pytest.raises(ValueError, match=rf"{part}\.npy was cut off"):
            source[1]


def test_fits_on_blocks_whose_map_is_cut_off_meanwhile(tmp_path):
    """Between two epochs the file shrinks; the fit ends with an error, not by a signal."""
    script = textwrap.dedent(f"""
        import os
        import numpy as np, hingex
        from hingex.blocks import RowBlocks
        path = {str(tmp_path / "X.npy")!r}
        rng = np.random.default_rng(0)
        np.save(path, rng.normal(size=(20_000, 20)))
        X, y = np.load(path, mmap_mode="r"), rng.integers(0, 2, 20_000)
        class Slow(RowBlocks):
            visits = 0
            def __getitem__(self, i):
                Slow.visits += 1
                if Slow.visits == 2 * len(self):
                    os.truncate(path, 4096)
                return super().__getitem__(i)
        try:
            hingex.PegasosClassifier().fit_stream(Slow(X, y, block_size=3_200_000), 100)
        except ValueError as error:
            print(error)
    """)
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                              check=False)
        if done.returncode == 0:  # a block that was in use may still be read when it is cut off
            break
    assert "X.npy was cut off while it is mapped" in done.stdout, done.stderr


def test_text_models_that_are_cut_off(tmp_path, monkeypatch):
    """Nothing is read over: a last number that lost its digits would be another number."""
    path = tmp_path / "model"
    X = np.random.default_rng(0).normal(size=(10, 5000))
    model_io.save_liblinear(hingex.LinearSVC().fit(X, np.arange(10) % 2), path)
    size = path.stat().st_size
    readline = model_io._Text._readline

    def shortened(self):
        os.truncate(path, size - 4)
        return readline(self)

    monkeypatch.setattr(model_io._Text, "_readline", shortened)
    with pytest.raises(model_io.ModelFormatError, match=rf"{path}: line \d+: the file changed"):
        model_io.load(path)


# --------------------------------------------------------------------------------- replaced files


def savers():
    X = np.random.default_rng(0).normal(size=(20, 3))
    y = np.arange(20) % 2
    linear, svm = hingex.LinearSVC().fit(X, y), hingex.SVC().fit(X, y)
    return {
        "save": ("m", lambda path: model_io.save(linear, path)),
        "save_liblinear": ("m", lambda path: model_io.save_liblinear(linear, path)),
        "save_libsvm": ("m", lambda path: model_io.save_libsvm(svm, path)),
        "dump": ("m.svm", lambda path: dump_svmlight_file(X, y, path)),
        "dump.gz": ("m.svm.gz", lambda path: dump_svmlight_file(X, y, path)),
        "checkpoint": ("state.npz", lambda path: Checkpoint(path.parent).save({"a": y})),
    }


@pytest.mark.parametrize("way", savers())
@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o660, 0o644])
def test_new_content_is_never_readable_by_more(tmp_path, way, mode, monkeypatch):
    """The temporary file of a model that replaces a 0600 file was 0644 for a moment."""
    name, saver = savers()[way]
    path = tmp_path / name
    path.write_bytes(b"old")
    path.chmod(mode)
    modes, opened, closed = [], os.open, os.fsync

    def watched(name, flags, *a, **k):
        handle = opened(name, flags, *a, **k)
        if flags & os.O_CREAT:
            modes.append(stat.S_IMODE(os.fstat(handle).st_mode))
        return handle

    monkeypatch.setattr(os, "open", watched)
    monkeypatch.setattr(os, "fsync", lambda handle: (
        modes.append(stat.S_IMODE(os.fstat(handle).st_mode)), closed(handle)))
    before = os.umask(0o022)
    try:
        saver(path)
    finally:
        os.umask(before)
    assert path.read_bytes() != b"old"
    assert stat.S_IMODE(path.stat().st_mode) == mode
    files = [m for m in modes if m < 0o700 and m not in (0o755, 0o700)]
    assert files
    assert all(m & ~mode & 0o777 & ~0o200 == 0 for m in files), [oct(m) for m in files]
    assert modes[0] & 0o077 == 0
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_new_files_have_what_the_umask_allows(tmp_path):
    for mask, mode in ((0o022, 0o644), (0o077, 0o600), (0o002, 0o664)):
        before = os.umask(mask)
        try:
            for number, (name, saver) in enumerate(savers().values()):
                path = tmp_path / f"{mask}-{number}" / name
                path.parent.mkdir()
                saver(path)
                assert stat.S_IMODE(path.stat().st_mode) == mode, name
        finally:
            os.umask(before)


def test_a_group_that_cannot_be_kept_gains_nothing(tmp_path, monkeypatch):
    path = tmp_path / "m"
    path.write_bytes(b"old")
    path.chmod(0o640)
    real = os.stat

    def foreign(name, *a, **k):
        found = real(name, *a, **k)
        fields = list(found)
        fields[5] += 1 if str(name) == str(path) else 0
        return os.stat_result(fields)

    def refused(*_):
        raise PermissionError(1, "not your group")

    monkeypatch.setattr(os, "stat", foreign)
    monkeypatch.setattr(os, "fchown", refused)
    with _files.replacing(path) as file:
        file.write(b"new")
    monkeypatch.undo()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_blocks_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    X, y = np.zeros((4, 2)), np.arange(4)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        save_blocks([(X, y)], tmp_path)
    with pytest.raises(OSError, match="No space"):
        dump_svmlight_file(X, y, tmp_path / "a.svm")
    assert not list(tmp_path.iterdir())
