# SPDX-License-Identifier: BSD-3-Clause
"""Npz files that lie, are damaged, or hold more than is needed: blocks and checkpoints."""

import io
import random
import tracemalloc
import zipfile

import numpy as np
import pytest
from scipy import sparse

import hingex
from hingex import _npz
from hingex.blocks import NpzBlocks, save_blocks


def member(array=None, header=None, raw=None):
    """The bytes of a member: those of an array, with another header if one is given."""
    file = io.BytesIO()
    if header is None:
        np.lib.format.write_array(file, array, version=(1, 0))
    else:
        np.lib.format.write_array_header_1_0(file, header)
        file.write(raw if raw is not None else np.ascontiguousarray(array).tobytes())
    return file.getvalue()


def npz(path, packing=zipfile.ZIP_STORED, **members):
    with zipfile.ZipFile(path, "w", packing) as archive:
        for key, content in members.items():
            archive.writestr(f"{key}.npy", content if isinstance(content, bytes) else (
                member(np.asarray(content))))


def sizes_of(path, key, packed=None, size=None):
    """Write other sizes of a member into the archive's directory."""
    content = bytearray(path.read_bytes())
    at = content.rindex(f"{key}.npy".encode()) - 46  # its entry in the directory
    for offset, value in ((20, packed), (24, size)):
        if value is not None:
            content[at + offset : at + offset + 4] = value.to_bytes(4, "little")
    path.write_bytes(content)


def data(n=60):
    rng = np.random.default_rng(0)
    X = sparse.csr_matrix(rng.normal(size=(n, 5)) * (rng.random((n, 5)) < 0.5))
    return X, (np.asarray(X.sum(axis=1)).ravel() > 0).astype(int)


def parts(X, y):
    return {"data": X.data, "indices": X.indices, "indptr": X.indptr, "shape": np.array(X.shape),
            "y": y}  # fmt: skip


def refused(path, *words):
    """A ValueError with the file's name and these words, in little memory."""
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"a\.npz") as caught:
        hingex.LinearSVC().fit_stream(str(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_only_what_is_needed_is_read(tmp_path, packing):
    """Members of other names may hold anything, such as what cannot be read or is very large."""
    X, y = data()
    path = tmp_path / "a.npz"
    lie = member(header={"descr": "<f8", "fortran_order": False, "shape": (2**40,)}, raw=b"")
    npz(path, packing, **parts(X, y), other=b"nothing", big=lie, names=lie, X_=lie)
    (A, labels), = NpzBlocks(path)
    assert (A != X).nnz == 0
    assert (labels == y).all()
    npz(path, packing, X=X.toarray(), y=lie, data=lie, shape=b"")
    (A, labels), = NpzBlocks(path, [y])  # labels are given: y is not read
    assert (X.toarray() == A).all()
    assert labels is y
    sparse.save_npz(path, X)
    (A, labels), = NpzBlocks(path, [y])
    assert (A != X).nnz == 0


@pytest.mark.parametrize("key", ["X", "data", "indices", "indptr", "shape", "y", "sample_weight"])
@pytest.mark.parametrize("shape", [(2**40,), (2**20, 2**20), (2**62, 4), (-1, -60), (-60,),
                                   (0, 2**63), (62,), (59,), ()])  # fmt: skip
def test_shapes_that_lie(tmp_path, key, shape):
    """These were a MemoryError of 8 TiB that named nothing."""
    X, y = data()
    path = tmp_path / "a.npz"
    members = parts(X, y)
    if key == "X":
        members = {"X": X.toarray(), "y": y}
    if key == "sample_weight":
        members[key] = np.ones(len(y))
    true = members[key]
    header = {"descr": np.asarray(true).dtype.str, "fortran_order": False, "shape": shape}
    npz(path, **members | {key: member(true, header)})
    refused(path, key, "damaged")


@pytest.mark.parametrize("shape", [(2**40, 5), (60, 2**46), (60,), (60, 5, 1), (-60, 5), (59, 5)])
def test_matrices_that_are_said_to_be_large(tmp_path, shape):
    """SciPy made an array of as many entries as there were said to be rows."""
    X, y = data()
    path = tmp_path / "a.npz"
    npz(path, **parts(X, y) | {"shape": np.array(shape)})
    refused(path, "shape")


@pytest.mark.parametrize(("key", "value"), [
    ("shape", np.array([60.0, 5.0])), ("shape", np.array(["60", "5"])), ("indptr", np.zeros(61)),
    ("indptr", np.zeros((61, 1), int)), ("data", np.ones((4, 4))), ("indices", np.zeros(3, int)),
])
def test_matrices_of_parts_that_do_not_fit(tmp_path, key, value):
    X, y = data()
    path = tmp_path / "a.npz"
    npz(path, **parts(X, y) | {key: value})
    refused(path, key)


@pytest.mark.parametrize("content", [
    b"", b"\x93NUM", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x01\x00\xff\xff{",
    b"\x93NUMPY\x09\x00\x10\x00", b"\x93NUMPY\x01\x00\x05\x00[[[[[",
    b"\x93NUMPY\x01\x00\x06\x00{'a':1", b"\x93NUMPY\x01\x00\x02\x00{}",
    b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + b" " * 100,
    member(header={"descr": "|O", "fortran_order": False, "shape": (3,)}, raw=b"\x80\x04N."),
    member(header={"descr": [("a", "|O")], "fortran_order": False, "shape": (3,)}, raw=b"."),
    member(np.arange(60)) + b"more", member(np.arange(60))[:-1],
])  # fmt: skip
def test_members_that_are_no_arrays(tmp_path, content):
    X, y = data()
    for key in ("y", "data", "shape"):
        path = tmp_path / "a.npz"
        npz(path, **parts(X, y) | {key: content})
        refused(path, f"member '{key}'", "damaged")


@pytest.mark.parametrize("key", ["X", "y", "sample_weight", "data", "shape"])
@pytest.mark.parametrize("descr", ["<U0", "|S0", "|V0", [("a", "<U0")]])
@pytest.mark.parametrize("shape", [(60,), (10**6,), (2**33,), (2**40,), (2**20, 2**20)])
def test_entries_of_no_width(tmp_path, key, descr, shape):
    """NumPy widens each of them: a file of 400 bytes asked for 4 TiB, or took 4 MB."""
    X, y = data()
    members = parts(X, y) if key in ("data", "shape") else {"X": X.toarray(), "y": y}
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    npz(tmp_path / "a.npz", **members | {key: member(header=header, raw=b"")})
    refused(tmp_path / "a.npz", f"member '{key}'", "take no bytes")


def test_no_entries_of_no_width(tmp_path):
    header = {"descr": "<U0", "fortran_order": False, "shape": (0,)}
    npz(tmp_path / "a.npz", X=np.ones((0, 3)), y=member(header=header, raw=b""))
    A, labels = NpzBlocks([tmp_path / "a.npz"])[0]
    assert (A.shape, labels.shape) == ((0, 3), (0,))


@pytest.mark.parametrize(("key", "value"), [
    ("X", np.ones(60)), ("X", np.ones((60, 5, 1))), ("X", np.float64(3.0)), ("y", np.zeros(59)),
    ("X", np.ones((1,) * 40)), ("y", np.zeros((1,) * 32)), ("y", np.array(1)), ("y", np.zeros(0)),
    ("y", np.zeros((60, 1, 1))), ("y", np.zeros((59, 2))), ("sample_weight", np.ones(61)),
    ("sample_weight", np.ones((60, 1))),
])
def test_members_of_unequal_length(tmp_path, key, value):
    X, y = data()
    dense = {"X": X.toarray(), "y": y}
    for members in [dense] if key == "X" else [dense, parts(X, y)]:
        npz(tmp_path / "a.npz", **members | {key: value})
        with pytest.raises(ValueError, match=rf"a\.npz: damaged: member '{key}'"):
            NpzBlocks([tmp_path / "a.npz"])[0]
        refused(tmp_path / "a.npz", f"member '{key}'", str(np.shape(value)))


def test_one_weight_for_all_rows(tmp_path):
    X, y = data()
    for weight in (2.0, np.full(60, 2.0)):
        npz(tmp_path / "a.npz", X=X.toarray(), y=y, sample_weight=weight)
        model = hingex.LinearSVC(tol=1e-8).fit_stream(str(tmp_path / "a.npz"))
        other = hingex.LinearSVC(tol=1e-8).fit(X, y, sample_weight=np.full(60, 2.0))
        np.testing.assert_allclose(model.coef_, other.coef_, rtol=1e-3)


@pytest.mark.parametrize("size", [10**9, 2**32 - 2])
@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_sizes_that_lie(tmp_path, packing, size):
    """A member that says it is large, and has a header that fits this, holds what it holds."""
    path = tmp_path / "a.npz"
    count = (size - 128) // 8
    size = 128 + 8 * count
    header = {"descr": "<f8", "fortran_order": False, "shape": (count, 1)}
    npz(path, packing, X=member(np.ones(100), header), y=np.ones(3))
    sizes_of(path, "X", size=size)
    refused(path, "X.npy", "cannot hold")
    if packing == zipfile.ZIP_STORED:
        sizes_of(path, "X", packed=size, size=size)
        refused(path, "X.npy", "cannot hold")


def test_bombs(tmp_path):
    """What unpacks to more than it says is cut; what says so much takes no more than it unpacks."""
    path = tmp_path / "a.npz"
    header = {"descr": "<f8", "fortran_order": False, "shape": (10, 1)}
    npz(path, zipfile.ZIP_DEFLATED, X=member(header=header, raw=bytes(50 << 20)), y=np.ones(10))
    assert path.stat().st_size < 100_000
    sizes_of(path, "X", size=208)
    refused(path, "member 'X'")
    # 40 MB in truth and in its header, in 40 kB: sizes are compared before it is unpacked.
    header["shape"] = (2**40, 1)
    npz(path, zipfile.ZIP_DEFLATED, X=member(header=header, raw=bytes(40 << 20)), y=np.ones(10))
    refused(path, "member 'X'", "but it has")


def test_other_packings(tmp_path):
    X, y = data()
    path = tmp_path / "a.npz"
    for packing in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        npz(path, packing, **parts(X, y))
        refused(path, "numpy.savez")


def test_members_that_occur_twice(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", member(np.ones((3, 1))))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("X.npy", member(np.ones((3, 1))))
    refused(path, "'X' occurs twice")


@pytest.mark.parametrize("array", [
    np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.array(3),
    np.array("text"), np.array(["a", "bé"]), np.array([b"a", b"bb"]), np.zeros((0, 4)),
    np.zeros((3, 0), dtype="<U0"), np.array([True, False]), np.arange(3, dtype=">i4"),
    np.zeros(2, dtype=[("epoch", "<i8"), ("gap", "<f8")]), np.arange(10.0)[::2],
    np.arange(400_000.0),
])  # fmt: skip
@pytest.mark.parametrize("writer", [np.savez, np.savez_compressed])
def test_sound_arrays(tmp_path, array, writer):
    path = tmp_path / "a.npz"
    writer(path, a=array)
    with _npz.open_npz(str(path)) as file:
        found = file.read("a")
    wanted = np.load(path)["a"]
    np.testing.assert_array_equal(found, wanted)
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    assert found.flags.f_contiguous == wanted.flags.f_contiguous
    assert found.flags.writeable


def test_damage_of_every_kind(tmp_path):
    """Flipped, cut, and overwritten bytes: a block as it was, or a ValueError with the name."""
    X, y = data()
    rng = random.Random(0)
    path = tmp_path / "a.npz"
    wholes = []
    for writer in (np.savez, np.savez_compressed):
        writer(path, **parts(X, y))
        wholes.append(path.read_bytes())
    for i in range(1500):
        content = bytearray(wholes[i % 2])
        kind = rng.choice(["flip", "cut", "write", "directory"])
        at = rng.randrange(len(content))
        if kind == "flip":
            content[at] ^= 1 << rng.randrange(8)
        elif kind == "cut":
            del content[at:]
        elif kind == "write":
            content[at : at + 8] = rng.randbytes(8)
        else:
            at = rng.randrange(content.index(b"PK\x01\x02"), len(content))
            content[at] = rng.randrange(256)
        path.write_bytes(content)
        said = None
        tracemalloc.start()
        try:
            A, labels = NpzBlocks(path)[0]
            assert (A != X).nnz == 0
            assert (labels == y).all()
        except ValueError as error:
            said = str(error)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1 << 20
        assert said is None or str(path) in said


# ----------------------------------------------------------------------------------- checkpoints


@pytest.fixture
def kept(tmp_path):
    """A checkpoint, and how to go on with it."""
    X, y = data(200)
    source = save_blocks([(X[:100], y[:100] + y[:100]), (X[100:], y[100:] * 2)], tmp_path / "npz")
    folder = tmp_path / "kept"
    hingex.LinearSVC(max_iter=3, tol=1e-9).fit_stream(source, checkpoint=folder)
    return folder, lambda: hingex.LinearSVC(max_iter=5, tol=1e-9).fit_stream(
        source, checkpoint=folder)


@pytest.mark.filterwarnings("ignore::hingex.ConvergenceWarning")
@pytest.mark.parametrize("name", ["survey.npz", "state.npz", "duals-000000.npz"])
def test_checkpoints_that_lack_or_change_a_member(kept, name):
    folder, go_on = kept
    path = folder / name
    whole = dict(np.load(path))
    for key, array in whole.items():
        others = {k: v for k, v in whole.items() if k != key}
        changes = [others]
        if key not in ("key",):
            changes += [others | {key: np.zeros((3, 3, 3))}, others | {key: np.array(["x"])}]
        if name != "state.npz" and array.ndim:
            changes.append(others | {key: array[:-1]})
        for changed in changes:
            np.savez(path, **changed)
            with pytest.raises(ValueError, match=r"npz|checkpoint") as caught:
                go_on()
            assert type(caught.value) is ValueError
            assert "checkpoint" in str(caught.value) or name in str(caught.value)
    np.savez(path, **whole)
    go_on()


@pytest.mark.filterwarnings("ignore::hingex.ConvergenceWarning")
def test_weights_of_another_shape_are_not_used(kept):
    """Kernels write to them by the number of features of the blocks."""
    folder, go_on = kept
    whole = dict(np.load(folder / "state.npz"))
    for W in (whole["W"][:1], whole["W"].astype(np.float32), whole["W"].ravel()):
        np.savez(folder / "state.npz", **whole | {"W": W})
        with pytest.raises(ValueError, match=r"'W' of the checkpoint has shape"):
            go_on()
