# SPDX-License-Identifier: BSD-3-Clause
"""One opener for all readers: compressed content, damaged files, long lines."""

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from scipy.sparse import vstack

from hingex import _open, dump_svmlight_file, load_svmlight_file
from hingex.blocks import SvmlightBlocks
from hingex.structured import read_tagged
from hingex.text import TsvBlocks, read_tsv

TEXT = b"".join(b"%d\tline %d of some text\n" % (i % 3, i * i) for i in range(20000))


def zstd(data):
    return pytest.importorskip("zstandard").ZstdCompressor().compress(data)


PACK = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": zstd}
ENDINGS = {"gzip": ".gz", "bzip2": ".bz2", "xz": ".xz", "zstd": ".zst"}


def whole(raw, name="in"):
    with _open.opened(io.BytesIO(raw), name) as file:
        return file.read()


@pytest.mark.parametrize("kind", PACK)
def test_content_decides(tmp_path, kind):
    packed = PACK[kind](TEXT)
    for name in ("plain_name", "wrong.gz", "right" + ENDINGS[kind]):
        path = tmp_path / name
        path.write_bytes(packed)
        with _open.opened(path) as file:
            assert file.read() == TEXT
    assert whole(packed + packed) == TEXT + TEXT  # streams one after the other
    assert whole(packed + bytes(1000) + packed + bytes(5)) == TEXT + TEXT  # blocks of a tape
    assert whole(PACK[kind](b"")) == b""
    with _open.opened(io.BytesIO(packed)) as file:
        file.seek(1000)
        assert file.tell() == 1000
        assert file.read(30) == TEXT[1000:1030]
        with pytest.raises(io.UnsupportedOperation):
            file.seek(5)


@pytest.mark.parametrize("kind", PACK)
def test_every_way_to_be_broken_is_named(kind):
    packed = PACK[kind](TEXT)
    flipped = bytearray(packed)
    flipped[len(packed) // 2] ^= 255
    cuts = [packed[:n] for n in (12, len(packed) // 2, len(packed) - 5, len(packed) - 1)]
    for broken in (*cuts, packed + b"more", packed + packed[:20]):
        with pytest.raises(ValueError, match="in: broken compressed data"):
            whole(broken)
    if kind != "zstd":  # without a checksum not all damage can be found
        with pytest.raises(ValueError, match="in: broken compressed data"):
            whole(bytes(flipped))
    if kind == "gzip":  # the CRC
        wrong = packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:]
        with pytest.raises(ValueError, match=r"in: broken compressed data: gzip: .*data check"):
            whole(wrong)


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst"])
def test_names_that_promise_too_much(tmp_path, ending):
    path = tmp_path / ("a" + ending)
    for content in (b"", b"spam\tbuy now\n"):
        path.write_bytes(content)
        for read in (read_tsv, load_svmlight_file, read_tagged):
            with pytest.raises(ValueError, match=f"a{ending}: broken compressed data: its name"):
                read(path)


def test_zstd_without_a_module(tmp_path, monkeypatch):
    path = tmp_path / "a.tsv"
    path.write_bytes(zstd(TEXT))
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    with pytest.raises(ImportError, match=r"a\.tsv: .*pip install zstandard"):
        read_tsv(path)


@pytest.mark.parametrize("kind", [*PACK, "plain"])
def test_all_readers(tmp_path, kind):
    pack = PACK.get(kind, bytes)
    (tmp_path / "svm").write_bytes(pack(b"1 1:2 3:4\n-1 2:1\n" * 50))
    (tmp_path / "tsv").write_bytes(pack(TEXT))
    (tmp_path / "tags").write_bytes(pack(b"the\tDET\ncat\tNOUN\n\nGo\tVERB\n"))
    X, y = load_svmlight_file(tmp_path / "svm")
    assert X.shape == (100, 3)
    assert y.tolist() == [1, -1] * 50
    offset, _ = load_svmlight_file(tmp_path / "svm", n_features=3, zero_based=False, offset=700)
    assert offset.shape[0] == 100 - -(-700 // 17) * 2 + (700 % 17 < 10)
    texts, labels = read_tsv(tmp_path / "tsv")
    assert [b"%s\t%s" % (a.encode(), t.encode()) for a, t in zip(labels, texts, strict=True)] == (
        TEXT.splitlines())
    assert sum(len(part) for part, _ in TsvBlocks(tmp_path / "tsv", block_size=5000)) == 20000
    assert read_tagged(tmp_path / "tags") == ([["the", "cat"], ["Go"]], [["DET", "NOUN"], ["VERB"]])
    if kind == "plain":
        assert len(SvmlightBlocks(tmp_path / "svm")) == 1
    else:
        with pytest.raises(ValueError, match="unpack it first"):
            SvmlightBlocks(tmp_path / "svm")


@pytest.mark.parametrize("kind", ["gzip", "plain"])
def test_pipes_that_give_a_byte_at_a_time(kind):
    data = PACK.get(kind, bytes)(TEXT[:2000])
    r, w = os.pipe()

    def write():
        with open(w, "wb", buffering=0) as sink:
            for i in range(len(data)):
                sink.write(data[i:i + 1])

    writer = threading.Thread(target=write)
    writer.start()
    with open(r, "rb") as source, _open.opened(source, "pipe") as file:
        assert file.read() == TEXT[:2000]
    writer.join()


def test_what_is_there_is_answered_at_once():
    r, w = os.pipe()
    with open(w, "wb", buffering=0) as sink, open(r, "rb") as source:
        sink.write(b"B\n")
        with _open.opened(source, "pipe") as file:
            assert file.read1(100) == b"B\n"
            sink.write(b"second\n")
            assert file.read1(100) == b"second\n"


# -------------------------------------------------------------------------------------- lines


def test_too_long_is_exact():
    rng = np.random.default_rng(0)
    for _ in range(300):
        text = rng.choice(np.array([10, 97], np.uint8), size=rng.integers(0, 40), p=[0.2, 0.8])
        text = text.tobytes()
        for limit in (1, 3, 7):
            at, expected = 0, -1
            for line in text.split(b"\n"):
                if len(line) > limit:
                    expected = at
                    break
                at += len(line) + 1
            assert _open.too_long(text, limit) == expected
            assert _open.too_long(memoryview(text), limit) == expected


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_lines_longer_than_the_limit(tmp_path, packed, end):
    pack = gzip.compress if packed else bytes
    svm, tsv, tags = tmp_path / "svm", tmp_path / "tsv", tmp_path / "tags"
    svm.write_bytes(pack(b"1 1:1\n2 2:1\n" + b"1 " + b" ".join(b"%d:1" % i for i in range(1, 30))
                         + end))
    size = 2 + sum(len(str(i)) + 3 for i in range(1, 30)) - 1
    assert load_svmlight_file(svm, max_line_bytes=size)[0].shape == (3, 29)
    with pytest.raises(ValueError, match=rf"svm, line 3: longer than {size - 1} bytes.*max_line"):
        load_svmlight_file(svm, max_line_bytes=size - 1)
    tsv.write_bytes(pack(b"a\tb\na\t" + b"x" * 98 + end))
    assert len(read_tsv(tsv, max_line_bytes=100)[0]) == 2
    for read in (read_tsv, lambda *a, **k: list(TsvBlocks(*a, block_size=7, **k))):
        with pytest.raises(ValueError, match="tsv, line 2: longer than 99 bytes"):
            read(tsv, max_line_bytes=99)
    tags.write_bytes(pack(b"a\tX\n\na\t" + b"Y" * 98 + end))
    assert len(read_tagged(tags, max_line_bytes=100)[0]) == 2
    with pytest.raises(ValueError, match="tags, line 3: longer than 99 bytes"):
        read_tagged(tags, max_line_bytes=99)


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_bomb_of_one_line_takes_no_memory(tmp_path, kind):
    """900 MB of a line; of the process, not of tracemalloc: the buffers are C's as well."""
    path = tmp_path / "bomb"
    if kind == "gzip":
        with gzip.open(path, "wb", compresslevel=1) as file:
            for _ in range(900):
                file.write(bytes(1 << 20))
    else:
        path.write_bytes(zstd(bytes(900 << 20)))
    code = f"""if 1:
        import resource, numpy, scipy.sparse
        from hingex import load_svmlight_file
        from hingex.text import read_tsv
        from hingex.structured import read_tagged
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for read in (load_svmlight_file, read_tsv, read_tagged):
            try:
                read({str(path)!r})
            except ValueError as error:
                assert "bomb, line 1: longer than 67108864 bytes" in str(error), error
            else:
                raise SystemExit("no error")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          timeout=120)
    assert int(done.stdout) < 400_000


def test_marks_of_encodings(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"\xef\xbb\xbfthe\tDET\n")
    assert read_tagged(path) == ([["the"]], [["DET"]])
    for encoding in ("utf-16", "utf-16-be"):
        path.write_bytes(("\ufeff" * (encoding == "utf-16-be") + "the\tDET\n").encode(encoding))
        for read in (read_tsv, read_tagged):
            with pytest.raises(ValueError, match="a: begins like UTF-16"):
                read(path)


def test_marks_of_encodings_in_svmlight_files(tmp_path):
    """Rows are those of the file without the mark, however it is read; UTF-16 is named."""
    body = b"".join(b"%d 1:%d 3:0.5\n" % (i % 2, i) for i in range(1, 200_000))  # two windows
    expected = load_svmlight_file(io.BytesIO(body))
    path, packed = tmp_path / "a.svm", tmp_path / "a.svm.gz"
    path.write_bytes(b"\xef\xbb\xbf" + body)
    packed.write_bytes(gzip.compress(path.read_bytes()))

    def check(found):
        assert (found[0] != expected[0]).nnz == 0
        np.testing.assert_array_equal(found[1], expected[1])

    for n_jobs in (1, 2):
        check(load_svmlight_file(path, n_jobs=n_jobs))
    with path.open("rb") as file:
        check(load_svmlight_file(file))
    with path.open("rb") as file:
        check(load_svmlight_file(file.fileno()))
    check(load_svmlight_file(packed))
    check(load_svmlight_file(io.BytesIO(path.read_bytes())))
    parts = [load_svmlight_file(path, offset=at, length=10**6, n_features=3, zero_based=False)
             for at in range(0, path.stat().st_size, 10**6)]
    check((vstack([X for X, _ in parts]), np.concatenate([y for _, y in parts])))

    for text in (b"", b"\n", b"# none\n"):  # a mark and no rows
        path.write_bytes(b"\xef\xbb\xbf" + text)
        assert load_svmlight_file(path)[0].shape == (0, 1)
    path.write_bytes(b"\xef\xbb\xbf1 1:1\n0 2:1\n1 1:2\n")
    for size in (1, 2, 3, 4, 8, 9, 100):
        blocks = list(SvmlightBlocks(path, block_size=size))
        assert np.concatenate([y for _, y in blocks]).tolist() == [1, 0, 1]
        assert vstack([X for X, _ in blocks]).toarray().tolist() == [[1, 0], [0, 1], [2, 0]]
    path.write_bytes(b"1 1:1\n\xef\xbb\xbf0 2:1\n")  # no place for a mark
    with pytest.raises(ValueError, match="line 2, column 1: the label"):
        load_svmlight_file(path)
    path.write_bytes(b"\xef\xbb\xbf1 1:1\nx 2:1\n")
    with pytest.raises(ValueError, match="line 2, column 1: the label 'x'"):
        load_svmlight_file(path)
    for encoding in ("utf-16", "utf-16-be"):
        mark = "\ufeff" * (encoding == "utf-16-be")
        path.write_bytes((mark + "1 1:1\n0 2:1\n").encode(encoding))
        for read in (load_svmlight_file, SvmlightBlocks,
                     lambda f: load_svmlight_file(f, offset=4, n_features=2)):
            with pytest.raises(ValueError, match=r"a\.svm, line 1, column 1: begins like UTF-16"):
                read(path)


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst", ".zstd", ".svm"])
def test_files_that_are_written_are_read_again(tmp_path, ending):
    if ending.startswith(".zst"):
        pytest.importorskip("zstandard")
    path = tmp_path / ("a" + ending)
    dump_svmlight_file(np.eye(300), np.arange(300), path)
    X, y = load_svmlight_file(path)
    assert (X.toarray() == np.eye(300)).all()
    assert y.tolist() == list(range(300))
    assert (path.stat().st_size < 1500) == (ending != ".svm")


def test_a_file_for_zstd_without_a_module(tmp_path, monkeypatch):
    path = tmp_path / "a.zst"
    path.write_bytes(b"as it was")
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    with pytest.raises(ImportError, match=r"a\.zst: .*pip install zstandard"):
        dump_svmlight_file(np.eye(3), np.arange(3), path)
    assert path.read_bytes() == b"as it was"
