# SPDX-License-Identifier: BSD-3-Clause
"""svmlight files: against a plain Python twin, scikit-learn and Python's own float()."""

import bz2
import gzip
import io
import os
import re
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import hingex.io as hio
from hingex import dump_svmlight_file, load_svmlight_file, load_svmlight_files
from hingex._core import kernels

read_float = kernels("svmlight").read_float
SMALL = settings(max_examples=200, deadline=None)

# ------------------------------------------------------------------------------------ helpers

NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|infinity|nan)", re.I)


class Malformed(Exception):
    pass


def twin_float(text, dtype=np.float64):
    if not NUMBER.fullmatch(text):
        raise Malformed(text)
    x = float(text)
    with np.errstate(over="ignore"):
        rounded = dtype(x)
    if np.isinf(rounded) and b"n" not in text.lower():
        raise Malformed(text)
    return rounded


def twin_int(text, low, high):
    if not re.fullmatch(rb"[+-]?\d+", text) or not low <= int(text) <= high:
        raise Malformed(text)
    return int(text)


def twin_line(line, *, multilabel, query_id, one_based, dtype):
    """labels, qid, indices and values of a line; None for a blank one."""
    tokens = re.findall(rb"[^ \t\r\v\f]+", line.split(b"#")[0])
    if not tokens:
        return None
    labels = []
    if not multilabel:
        labels = [twin_float(tokens.pop(0))]
    elif b":" not in tokens[0]:
        labels = [twin_float(part) for part in tokens.pop(0).split(b",")]
    if not np.isfinite(labels).all():
        raise Malformed(line)
    qid = None
    if tokens and tokens[0].startswith(b"qid:"):
        qid = twin_int(tokens.pop(0)[4:], -2**63, 2**63 - 1)
    elif query_id:
        raise Malformed(line)
    indices, values = [], []
    for token in tokens:
        index, _, value = token.partition(b":")
        if index.startswith(b"-"):
            raise Malformed(token)
        indices.append(twin_int(index, int(one_based), 2**63 - 2))
        values.append(twin_float(value, dtype))
        if len(indices) > 1 and indices[-1] <= indices[-2]:
            raise Malformed(token)
    return tuple(sorted(labels)), qid, indices, values


def twin(text, *, multilabel=False, query_id=False, zero_based="auto", dtype=np.float64):
    """X as (indptr, indices, values, shape), y, qid; or the number of the first bad line."""
    rows = []
    for number, line in enumerate(text.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            row = twin_line(line, multilabel=multilabel, query_id=query_id,
                            one_based=zero_based is False, dtype=dtype)
        except Malformed:
            return number
        if row is not None:
            rows.append(row)
    indices = np.array([i for row in rows for i in row[2]], np.int64)
    if zero_based is False or (zero_based == "auto" and len(indices) and indices.min() > 0):
        indices -= 1
    values = np.array([v for row in rows for v in row[3]], dtype)
    indptr = np.cumsum([0] + [len(row[2]) for row in rows])
    shape = len(rows), int(indices.max(initial=0)) + 1
    y = [row[0] for row in rows] if multilabel else np.array([row[0][0] for row in rows], float)
    return (indptr, indices, values, shape), y, [row[1] for row in rows]


@contextmanager
def sizes(window, chunk):
    """Other window and chunk sizes, so that short texts are split as well."""
    saved = hio._WINDOW_BYTES, hio._CHUNK_BYTES
    hio._WINDOW_BYTES, hio._CHUNK_BYTES = window, chunk
    try:
        yield
    finally:
        hio._WINDOW_BYTES, hio._CHUNK_BYTES = saved


def same_bits(a, b):
    return a.dtype == b.dtype and a.tobytes() == b.tobytes()


def assert_is(result, expected):
    """Loaded (X, y, ...) against the twin's."""
    X, y = result[:2]
    (indptr, indices, values, shape), y_twin, qid = expected
    assert X.shape == shape
    assert X.indices.dtype == X.indptr.dtype
    assert np.array_equal(X.indptr, indptr)
    assert np.array_equal(X.indices, indices)
    assert X.dtype == values.dtype
    assert np.array_equal(np.isnan(X.data), np.isnan(values))
    assert same_bits(np.nan_to_num(X.data, nan=5), np.nan_to_num(values, nan=5))
    if isinstance(y_twin, list):
        assert y == y_twin
    else:
        assert y.dtype == np.float64
        assert same_bits(y, y_twin)
    if len(result) > 2:
        assert result[2].dtype == np.int64
        assert result[2].tolist() == qid


def load_text(text, **options):
    return load_svmlight_file(io.BytesIO(text), **options)


def load_or_line(text, **options):
    """The result, or the line that the error names."""
    try:
        return load_text(text, **options)
    except ValueError as error:
        return int(re.search(r", line (\d+), column \d+: ", str(error))[1])


# ------------------------------------------------------------------------------------ numbers


def assert_reads_like_float(text):
    expected = float(text)
    if np.isinf(expected) and "n" not in text.lower():
        with pytest.raises(OverflowError):
            read_float(text.encode())
    elif np.isnan(expected):
        assert np.isnan(read_float(text.encode()))
    else:
        assert struct.pack("d", read_float(text.encode())) == struct.pack("d", expected)


@SMALL
@given(st.floats(allow_nan=False), st.sampled_from(["r", ".16e", ".15e", ".17e", ".25e", "f"]))
def test_numbers_of_any_size(x, form):
    assert_reads_like_float(repr(x) if form == "r" else format(x, form))


@SMALL
@given(st.from_regex(r"[+-]?([0-9]{1,30}\.?[0-9]{0,30}|\.[0-9]{1,30})([eE][+-]?[0-9]{1,4})?",
                     fullmatch=True, alphabet="0123456789.eE+-"))
@example("0" * 5000 + "." + "0" * 5000 + "1e5001")
@example("1" + "0" * 400 + "e-400")
@example("0e99999999999999999999999")
@example("1e-99999999999999999999999")
@example("1e99999999999999999999999")
@example("1.7976931348623158e308")
@example("1.7976931348623159e308")
@example("2.4703282292062327e-324")
@example("2.4703282292062328e-324")
@example("2.2250738585072011e-308")
@example("9007199254740993")
@example("18446744073709551615")
@example("18446744073709551616")
def test_decimal_text(text):
    assert_reads_like_float(text)


@SMALL
@given(st.integers(0, 0x7FEFFFFFFFFFFFFE), st.sampled_from(["", "0", "1", "0" * 800 + "1"]))
def test_middle_between_two_doubles(bits, more):
    # The exact middle of two neighbours has up to 770 digits: the hardest numbers there are.
    low, high = (struct.unpack("d", struct.pack("Q", b))[0] for b in (bits, bits + 1))
    from decimal import Context, Decimal

    exact = Context(prec=2000, Emax=999999, Emin=-999999)
    middle = exact.divide(exact.add(Decimal(low), Decimal(high)), Decimal(2))
    _, digits, exponent = middle.as_tuple()
    text = "".join(map(str, digits)) + more
    exponent -= len(more)
    assert_reads_like_float(f"{text}e{exponent}")
    assert_reads_like_float(f"{int(text) - 1}e{exponent}")


@pytest.mark.parametrize("text", ["inf", "-Infinity", "+INF", "nan", "-NaN", ".5", "5.", "+1E+5"])
def test_special_numbers(text):
    assert_reads_like_float(text)


@pytest.mark.parametrize(
    "text", ["", ".", "-", "+-1", "e5", "1e", "1e+", "1_0", "0x1p3", "infi", "na", "1..2", "1 ",
             "\u0661", "nan(1)", "1f", "1\0"])
def test_not_numbers(text):
    assert read_float(text.encode()) is None


# ------------------------------------------------------------------------------------ reading

numbers = st.one_of(
    st.integers(-1000, 1000).map(str),
    st.floats(allow_nan=False).map(repr),
    st.floats(0, 1).map("{:.6f}".format),
    st.sampled_from(["nan", "-inf", "Infinity", "+1.", ".5", "-0", "1E5", "1e400", "1e39",
                     "0.1000000000000000055511151231257827"]),
)
labels = st.one_of(st.sampled_from(["1", "-1", "+1", "0", "3.5", "1e3", "-0"]), numbers)
blanks = st.sampled_from([" ", " ", " ", "  ", "\t", " \t "])
ends = st.sampled_from(["\n", "\n", "\n", "\r\n", " \n", " # 3:4 qid:\0 #\n", "#x\n", "\n\n",
                        "\n# y\n", "\n \t\n"])


@st.composite
def texts(draw, fine=False, base=0):
    """Text that mostly is in order; `fine`: always."""
    label = labels.filter(lambda s: "n" not in s.lower() and s != "1e400") if fine else labels
    number = numbers.filter(lambda s: s not in ("1e400", "1e39")) if fine else numbers
    with_qid, commas = draw(st.booleans()), draw(st.booleans())
    out = []
    for _ in range(draw(st.integers(0, 8))):
        if commas:
            out.append(",".join(draw(st.lists(label, max_size=3))))
        else:
            out.append(draw(label))
        if with_qid:
            out.append(draw(blanks) + "qid:" + str(draw(st.integers(-9, 9))))
        indices = draw(st.lists(st.one_of(st.integers(base, 9), st.integers(base, 40000)),
                                unique=True, max_size=5))
        if draw(st.integers(0, 40)) == 40 and not fine:
            indices = [*indices, draw(st.sampled_from([2**31 - 1, 2**31, 2**63 - 2, 2**63 - 1]))]
        out += [draw(blanks) + f"{i}:{draw(number)}" for i in sorted(indices)]
        out.append(draw(ends))
    text = "".join(out)
    return (text.rstrip("\n") if draw(st.booleans()) else text).encode()


junk = st.one_of(
    st.sampled_from([b":", b" ", b"\n", b"#", b",", b"-", b"+", b".", b"e", b"\0", b"\r", b"qid:",
                     b"\xff", b"_", b"99999999999", b"1:", b" 1:1", b"nan", b"\t", b"\x0b", b"x"]),
    st.binary(max_size=3),
)
splits = st.tuples(st.sampled_from([1, 7, 64, 1 << 20]), st.sampled_from([1, 5, 30, 1 << 20]),
                   st.sampled_from([1, 2]))
options = st.fixed_dictionaries({
    "multilabel": st.booleans(),
    "query_id": st.booleans(),
    "zero_based": st.sampled_from(["auto", True, False]),
    "dtype": st.sampled_from([np.float64, np.float32]),
})


def assert_like_twin(text, split, choice):
    expected = twin(text, **choice)
    window, chunk, threads = split
    with sizes(window, chunk):
        result = load_or_line(text, n_jobs=threads, **choice)
    if isinstance(expected, int) or isinstance(result, int):
        assert result == expected
    else:
        assert_is(result, expected)


@settings(max_examples=100, deadline=None)
@given(texts(), splits, options)
@example(b"1 2147483647:1\n2 2147483648:2\n" * 3, (1 << 20, 5, 2), {})
@example(b"1 9223372036854775806:1 9223372036854775807:1\n", (1, 1, 1), {})
def test_like_the_twin(text, split, choice):
    assert_like_twin(text, split, choice)


@settings(max_examples=150, deadline=None)
@given(texts(), splits, options, st.data())
def test_mutated_text_like_the_twin(text, split, choice, data):
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + data.draw(junk) + text[at + data.draw(st.integers(0, 4)):]
    assert_like_twin(text, split, choice)


@SMALL
@given(st.binary(max_size=40), splits, options)
def test_any_bytes_like_the_twin(text, split, choice):
    assert_like_twin(text, split, choice)


def assert_like_sklearn(ours, theirs):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        if sp.issparse(a):
            assert a.shape == b.shape
            assert a.dtype == b.dtype
            assert isinstance(a, sp.csr_matrix)
            for name in ("data", "indices", "indptr"):
                assert np.array_equal(getattr(a, name), getattr(b, name),
                                      equal_nan=name == "data")
        elif isinstance(a, list):
            assert a == b
        else:
            assert a.dtype == b.dtype
            assert np.array_equal(a, b)


@settings(max_examples=100, deadline=None)
@given(texts(fine=True), options)
def test_like_sklearn(text, choice):
    sk = pytest.importorskip("sklearn.datasets")
    try:
        ours = load_text(text, **choice)
    except ValueError as error:
        # Commas without multilabel, index 0: scikit-learn agrees. Not here:
        if "needs a qid" in str(error) or "too large for float32" in str(error):
            return
        with pytest.raises(ValueError):  # noqa: PT011
            sk.load_svmlight_file(io.BytesIO(text), **choice)
        return
    assert_like_sklearn(ours, sk.load_svmlight_file(io.BytesIO(text), **choice))


@settings(max_examples=100, deadline=None)
@given(texts(fine=True), st.data())
def test_mutated_text_never_differs_from_sklearn(text, data):
    sk = pytest.importorskip("sklearn.datasets")
    at = data.draw(st.integers(0, len(text)))
    text = text[:at] + data.draw(junk) + text[at + data.draw(st.integers(0, 4)):]
    try:
        ours = load_text(text)
    except ValueError:
        return
    assume(ours[0].shape[1] < 2**31)
    assert_like_sklearn(ours, sk.load_svmlight_file(io.BytesIO(text)))


def big_text(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    X = sp.random(n, 500, 0.02, format="csr", random_state=seed)
    y = rng.integers(-3, 4, n)
    out = io.BytesIO()
    dump_svmlight_file(X, y, out, query_id=np.arange(n) // 7)
    return X, y, out.getvalue()


@pytest.mark.parametrize("kind", ["plain", "gz", "bz2", "file", "buffer", "fd", "pipe", "raw"])
def test_kinds_of_files(tmp_path, kind):
    X, y, text = big_text()
    path = tmp_path / ("a." + kind)
    pack = {"gz": gzip.compress, "bz2": bz2.compress}.get(kind, bytes)
    path.write_bytes(pack(text))
    with sizes(10000, 1000):
        if kind == "buffer":
            got = load_svmlight_file(io.BytesIO(text), query_id=True)
        elif kind == "file":
            with open(path, "rb") as f:
                got = load_svmlight_file(f, query_id=True)
                assert not f.closed
        elif kind == "raw":
            with open(path, "rb", buffering=0) as f:
                got = load_svmlight_file(f, query_id=True)
        elif kind == "fd":
            fd = os.open(path, os.O_RDONLY)
            try:
                got = load_svmlight_file(fd, query_id=True)
                os.fstat(fd)  # still open
            finally:
                os.close(fd)
        elif kind == "pipe":
            r, w = os.pipe()
            with ThreadPoolExecutor(1) as pool, open(w, "wb") as sink, open(r, "rb") as source:
                written = pool.submit(lambda: (sink.write(text), sink.close()))
                got = load_svmlight_file(source, query_id=True)
                written.result()
        else:
            got = load_svmlight_file(path, query_id=True)
            assert_like_sklearn(load_svmlight_file(str(path), query_id=True), got)
    assert abs(got[0] - X).nnz == 0
    assert np.array_equal(got[1], y)
    assert np.array_equal(got[2], np.arange(len(y)) // 7)


def test_threads_and_splits_give_the_same_bits(tmp_path):
    path = tmp_path / "a.svm"
    path.write_bytes(big_text()[2])
    first = load_svmlight_file(path, n_jobs=1)
    for window, chunk, threads in [(1 << 24, 1 << 20, 2), (5000, 700, 2), (100, 1, 3), (1, 1, 1)]:
        with sizes(window, chunk):
            X, y = load_svmlight_file(path, n_jobs=threads)
        for a, b in [(X.data, first[0].data), (X.indices, first[0].indices),
                     (X.indptr, first[0].indptr), (y, first[1])]:
            assert same_bits(a, b)


def test_many_at_once(tmp_path):
    path = tmp_path / "a.svm"
    path.write_bytes(big_text()[2])
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: load_svmlight_file(path, n_jobs=2), range(8)))
    for X, _ in results:
        assert same_bits(X.data, results[0][0].data)


@pytest.mark.parametrize("text", [b"", b"\n\n", b"# nothing\n", b" \t\r\n#"])
def test_no_rows(tmp_path, text):
    path = tmp_path / "empty"
    path.write_bytes(text)
    X, y, qid = load_svmlight_file(path, query_id=True)
    assert X.shape == (0, 1)
    assert y.shape == qid.shape == (0,)
    sk = pytest.importorskip("sklearn.datasets")
    assert_like_sklearn([X, y], sk.load_svmlight_file(path))
    assert load_svmlight_file(path, multilabel=True, n_features=7)[0].shape == (0, 7)
    assert load_svmlight_file(path, multilabel=True)[1] == []


def test_one_long_line_and_no_end_of_line():
    n = 5000
    text = b"7 " + b" ".join(b"%d:%d" % (i, i) for i in range(1, n)) + b" " * 999
    for window in (1 << 20, 100):
        with sizes(window, 10):
            X, y = load_text(text, zero_based=True)
        assert y == [7]
        assert np.array_equal(X.toarray().ravel(), np.arange(n))


def test_index_dtype():
    X, _ = load_text(b"1 3:1\n")
    assert X.indices.dtype == X.indptr.dtype == np.int32
    X, _ = load_text(b"1 3:1\n", index_dtype=np.int64)
    assert X.indices.dtype == X.indptr.dtype == np.int64
    X, _ = load_text(b"1 3:1\n2 1:5 2147483647:2\n", zero_based=False)
    assert X.indices.dtype == X.indptr.dtype == np.int32
    assert X.shape == (2, 2**31 - 1)
    # Fits only after indices have become zero-based.
    X, _ = load_text(b"1 3:1\n2 1:5 2147483648:2\n")
    assert X.indices.dtype == X.indptr.dtype == np.int64
    assert X.indices.tolist() == [2, 0, 2**31 - 1]
    with pytest.raises(ValueError, match="too many for index_dtype=int32"):
        load_text(b"1 3000000000:1\n", index_dtype=np.int32)
    assert load_text(b"1 1:1\n", n_features=2**40)[0].indices.dtype == np.int64


def test_several_files(tmp_path):
    a, b, c = (tmp_path / name for name in "abc")
    a.write_bytes(b"1 1:1 9:2\n")
    b.write_bytes(b"2 3:1\n")
    c.write_bytes(b"2 0:1\n")
    sk = pytest.importorskip("sklearn.datasets")
    for files, more in [([a, b], {}), ([a, b, c], {}), ([str(a), b], {"n_features": 50}),
                        ([a, b], {"zero_based": True})]:
        assert_like_sklearn(load_svmlight_files(files, **more),
                            sk.load_svmlight_files(files, **more))
    assert load_svmlight_files([]) == []
    with pytest.raises(ValueError, match=r"a: n_features is 8, but index 9 occurs"):
        load_svmlight_files([b, a], n_features=8)
    assert load_svmlight_files([b, a], n_features=9)[0].shape == (1, 9)
    with pytest.raises(TypeError, match="load_svmlight_file"):
        load_svmlight_files(str(a))


# --------------------------------------------------------------------------- offset and length


@pytest.mark.parametrize("kind", ["plain", "gz", "buffer"])
def test_segments_give_every_row_once(tmp_path, kind):
    text = b"# head\n1 1:1\n\n22 2:2 # c\n# ###########\n333 3:3\n4 1:4\r\n5"
    path = tmp_path / ("a." + kind)
    path.write_bytes(gzip.compress(text) if kind == "gz" else text)
    for step in range(1, len(text) + 2):
        rows, entries = [], 0
        for offset in range(0, len(text) + 3, step):
            f = io.BytesIO(text) if kind == "buffer" else path
            with sizes(1 if step % 2 else 1000, 1000):
                X, y = load_svmlight_file(f, n_features=9, offset=offset, length=step)
            rows += y.tolist()
            entries += X.sum()
        assert rows == [1, 22, 333, 4, 5]
        assert entries == 10


def test_segments_like_sklearn():
    sk = pytest.importorskip("sklearn.datasets")
    _, _, text = big_text(60)
    longest = max(map(len, text.splitlines(keepends=True)))
    for offset in range(0, len(text), 97):
        for length in (-1, 0, longest, longest + 1, 3 * longest):
            choice = {"n_features": 500, "offset": offset, "length": length, "query_id": True}
            f, g = io.BytesIO(text), io.BytesIO(text)
            assert_like_sklearn(load_svmlight_file(f, **choice),
                                sk.load_svmlight_file(g, **choice))
            if length > 0 and offset + longest < len(text):
                assert f.tell() == g.tell()


def test_file_object_is_read_from_where_it_stands():
    f = io.BytesIO(b"9 1:9\n1 1:1\n2 1:2\n")
    f.readline()
    assert load_svmlight_file(f)[1].tolist() == [1, 2]


def test_offset_needs_n_features():
    with pytest.raises(ValueError, match="n_features is required"):
        load_text(b"1 1:1\n", offset=3)


# ------------------------------------------------------------------------------------- errors

MALFORMED = [
    (b"x 1:1", 1, "the label 'x' is not a number"),
    (b"1:2 3:4", 1, "the label '1:2' is not a number"),
    (b"1,2 3:4", 1, "the label '1,2' is not a number"),
    (b"nan 3:4", 1, "the label 'nan' is not finite"),
    (b"-inf 3:4", 1, "the label '-inf' is not finite"),
    (b"1e999 3:4", 1, "the number in '1e999' is too large for float64"),
    (b"1 3", 3, "expected index:value, where index is an integer of 0 or more; got '3'"),
    (b"1  3 :4", 4, "got '3'"),
    (b"1 -3:4", 3, "got '-3:4'"),
    (b"1 3.5:4", 3, "got '3.5:4'"),
    (b"1 1_0:4", 3, "got '1_0:4'"),
    (b"1 :4", 3, "got ':4'"),
    (b"1 3:", 3, "the value in '3:' is not a number"),
    (b"1 3: 4", 3, "the value in '3:' is not a number"),
    (b"1 3:4:5", 3, "the value in '3:4:5' is not a number"),
    (b"1 3:4,5", 3, "the value in '3:4,5' is not a number"),
    (b"1 3:0x10", 3, "the value in '3:0x10' is not a number"),
    (b"1 3:1\0 4:1", 3, r"the value in '3:1\x00' is not a number"),
    (b"1 1:1 3:1e309", 7, "the number in '3:1e309' is too large for float64"),
    (b"1 3:1 2:1", 7, "indices must ascend in each row; '2:1' comes behind a larger index"),
    (b"1 3:1 03:1", 7, "two values for one feature in a row; the second is '03:1'"),
    (b"1 9223372036854775807:1", 3, "the index in '9223372036854775807:1' does not fit"),
    (b"1 99999999999999999999999:1", 3, "does not fit in 64 bits"),
    (b"1 qid:x 1:1", 3, "'qid:x' must be qid: and an integer"),
    (b"1 qid:1.5 1:1", 3, "'qid:1.5' must be qid: and an integer"),
    (b"1 qid:9223372036854775808", 3, "must be qid: and an integer of at most 64 bits"),
    (b"1 1:1 qid:1", 7, "where index is an integer of 0 or more; got 'qid:1'"),
    (b"1 " + b"z" * 100, 3, "got '" + "z" * 37 + "...'"),
    (b"\xff\xfe1", 1, r"the label '\xff\xfe1' is not a number"),
]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("line", "column", "words"), MALFORMED)
def test_malformed_lines_are_named(tmp_path, line, column, words, threads):
    path = tmp_path / "bad.svm"
    before = b"".join(b"%d 1:%d # x\r\n\n" % (i, i) for i in range(50))
    after = b"\nworse and worse\n"
    path.write_bytes(before + line + after)
    for chunk, window in [(1 << 20, 1 << 20), (40, 1000), (1, 1)]:
        with sizes(window, chunk), pytest.raises(ValueError) as info:  # noqa: PT011
            load_svmlight_file(path, n_jobs=threads)
        assert str(info.value).startswith(f"{path}, line 101, column {column}: ")
        assert words in str(info.value)


def test_other_errors_in_lines():
    for text, more, words in [
        (b"1 1:1\n1 0:1\n", {"zero_based": False}, "<BytesIO>, line 2, column 3: index 0 in"),
        (b"1 1:1e39\n", {"dtype": np.float32}, "too large for float32"),
        (b"1 qid:1 1:1\n1 1:2\n", {"query_id": True}, "line 2, column 3: query_id=True needs"),
        (b"1 1:1\n", {"query_id": True}, "needs a qid: behind the label of every row; got '1:1'"),
        (b"1 # 1:1\n", {"query_id": True}, "line 1, column 3: query_id=True needs a qid"),
        (b"1,x 1:1\n", {"multilabel": True}, "column 3: the label 'x' is not a number, nor"),
        (b"1, 1:1\n", {"multilabel": True}, "column 3: the label"),
        (b"1,inf 1:1\n", {"multilabel": True}, "the label 'inf' is not finite"),
    ]:
        with pytest.raises(ValueError, match=re.escape(words)):
            load_text(text, **more)


def test_line_numbers_with_offset(tmp_path):
    text = b"1 1:1\n" * 30 + b"oops\n" + b"1 1:1\n" * 30
    path, packed = tmp_path / "a", tmp_path / "a.gz"
    path.write_bytes(text)
    packed.write_bytes(gzip.compress(text))
    for f in (path, packed):
        for window in (50, 1 << 20):
            with sizes(window, 20), pytest.raises(ValueError, match="line 31, column 1: the label"):
                load_svmlight_file(f, n_features=3, offset=75)
    with pytest.raises(ValueError, match="line 18 after the one at byte 75, column 1: the label"):
        load_text(text, n_features=3, offset=75)


def test_broken_compressed_files(tmp_path):
    text = big_text(500)[2]
    for ending, pack in [("gz", gzip.compress), ("bz2", bz2.compress)]:
        whole = pack(text)
        path = tmp_path / ("a." + ending)
        noise = bytearray(whole)
        noise[len(noise) // 2] ^= 255
        for broken in (whole[:-9], whole[:len(whole) // 2], whole[:5], b"1 1:1\n", bytes(noise)):
            path.write_bytes(broken)
            with pytest.raises(ValueError, match=f"a.{ending}: broken compressed data"):
                load_svmlight_file(path, query_id=True)


def test_wrong_files_and_parameters(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_svmlight_file(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        load_svmlight_file(tmp_path)
    with pytest.raises(TypeError, match="binary mode"):
        load_svmlight_file(io.StringIO("1 1:1\n"))
    with pytest.raises(ValueError, match="negative"):
        load_svmlight_file(-1)
    for f in (None, 1.5, True, [b"1"]):
        with pytest.raises(TypeError, match="f must be a path"):
            load_svmlight_file(f)
    for error, words, more in [
        (ValueError, "dtype must be float64 or float32; got int32", {"dtype": np.int32}),
        (ValueError, "dtype must be", {"dtype": ">f8"}),
        (ValueError, "index_dtype must be int32 or int64", {"index_dtype": np.uint32}),
        (ValueError, "n_features must be at least 1", {"n_features": 0}),
        (TypeError, "n_features must be an integer", {"n_features": 1.5}),
        (ValueError, "offset must be at least 0", {"offset": -1}),
        (ValueError, "zero_based must be True or False or \"auto\"", {"zero_based": "no"}),
        (ValueError, "multilabel must be True or False", {"multilabel": "yes"}),
        (ValueError, "n_jobs", {"n_jobs": 0}),
    ]:
        with pytest.raises(error, match=words):
            load_text(b"1 1:1\n", **more)


# ------------------------------------------------------------------------------------ writing


def dumped(X, y, **more):
    out = io.BytesIO()
    dump_svmlight_file(X, y, out, **more)
    return out.getvalue()


@SMALL
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1), st.booleans())
@example([5e-324, 1.7976931348623157e308, 2.2250738585072014e-308, 1e16, 1e17, 1e22, 0.5], False)
def test_float64_comes_back_in_shortest_form(values, zero_based):
    X = sp.csr_matrix((values, np.arange(len(values)), [0, len(values)]))
    text = dumped(X, values[:1], zero_based=zero_based)
    for token, x in zip(text.split()[1:], values, strict=True):
        number = token.split(b":")[1].decode()
        digits = [re.sub(r"e.*|[-.]", "", s).strip("0") for s in (number, repr(x))]
        assert digits[0] == digits[1]
        assert len(number) <= 24
    X2, y2 = load_text(text, zero_based=zero_based)
    assert same_bits(X2.data, X.data)
    assert same_bits(y2, np.array(values[:1]))
    assert np.array_equal(X2.indices, X.indices)


@SMALL
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
@example([1e-45, 3.4028234663852886e38, 1.1754943508222875e-38, 16777216.0, 1e10])
def test_float32_comes_back_in_shortest_form(values):
    values = np.array(values, np.float32)
    X = sp.csr_matrix((values, np.arange(len(values)), [0, len(values)]))
    text = dumped(X, values[:1])
    for token, x in zip(text.split()[1:], values, strict=True):
        number = token.split(b":")[1].decode()
        digits = [re.sub(r"e.*|[-.]", "", s).strip("0") for s in (number, str(x))]
        assert digits[0] == digits[1]
    X2, y2 = load_text(text, dtype=np.float32, zero_based=True)
    assert same_bits(X2.data, values)
    assert same_bits(y2.astype(np.float32), values[:1])


def test_the_float32_whose_shortest_digits_mislead():
    x = float.fromhex("0x1.5c87fap-84")
    assert np.float32(float(str(np.float32(x)))) != x
    X = np.array([[x, -x]], np.float32)
    assert same_bits(load_text(dumped(X, [1]), dtype=np.float32)[0].toarray(), X)


KINDS = ["float64", "float32", "float16", "int8", "int64", "uint16", "uint64", "bool"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["C", "F", "list", "csr", "csc", "coo", "array", "int64"])
def test_forms_of_X(kind, form):
    rng = np.random.default_rng(0)
    dense = (rng.integers(0, 3, (40, 7)) * rng.choice([1, 1.5], (40, 7))).astype(kind)
    y = rng.permutation(40)
    X = {"C": np.array, "F": np.asfortranarray, "list": np.ndarray.tolist}.get(form)
    if X is not None:
        X = X(dense)
    elif kind == "float16":
        pytest.skip("scipy has no sparse float16")
    else:
        X = sp.csr_array(dense) if form in ("array", "int64") else (
            sp.csr_matrix(dense).asformat(form))
        if form == "int64":
            X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    for zero_based in (True, False):
        X2, y2 = load_text(dumped(X, y, zero_based=zero_based), zero_based=zero_based,
                           n_features=7)
        assert np.array_equal(X2.toarray(), dense.astype(float))
        assert np.array_equal(y2, y)


@pytest.mark.parametrize("sparse", [False, True])
def test_read_by_sklearn(sparse):
    sk = pytest.importorskip("sklearn.datasets")
    rng = np.random.default_rng(0)
    X = rng.random((50, 20)) * (rng.random((50, 20)) < 0.3)
    X[:, -1] = 1
    y = rng.normal(size=50)
    X = sp.csr_matrix(X) if sparse else X
    text = dumped(X, y, comment="hello\nworld", query_id=np.arange(50), zero_based=False)
    ours = load_text(text, query_id=True)
    assert_like_sklearn(ours, sk.load_svmlight_file(io.BytesIO(text), query_id=True))
    assert same_bits(ours[1], y)
    assert same_bits(ours[0].toarray(), np.asarray(X.toarray() if sparse else X))
    other = io.BytesIO()
    sk.dump_svmlight_file(X, y.round(3), other, query_id=np.arange(50), comment="a b")
    for a, b in zip(load_text(other.getvalue(), query_id=True)[1:], (y.round(3), np.arange(50)),
                    strict=True):
        assert np.array_equal(a, b)


def test_integers_are_written_whole():
    X = np.array([[2**63 - 1, -2**63, 7]])
    assert dumped(X, [2**53 + 1]) == (
        b"9007199254740993 0:9223372036854775807 1:-9223372036854775808 2:7\n")
    X = np.array([[2**64 - 1]], np.uint64)
    assert dumped(X, np.array([2**64 - 1], np.uint64), query_id=[-2**63], zero_based=False) == (
        b"18446744073709551615 qid:-9223372036854775808 1:18446744073709551615\n")
    assert load_text(b"1 qid:-9223372036854775808\n", query_id=True)[2].tolist() == [-2**63]


def test_sparse_entries_out_of_order():
    X = sp.csr_matrix((np.array([1.0, 2, 3, 0]), np.array([3, 1, 3, 0]), [0, 3, 4]), shape=(2, 5))
    assert dumped(X, [1, 2]) == b"1 1:2 3:4\n2 0:0\n"
    assert X.indices.tolist() == [3, 1, 3, 0]
    X.indices[0] = 5
    with pytest.raises(ValueError, match=r"outside 0..4 in rows 0 to 1"):
        dumped(X, [1, 2])


def test_multilabel_round_trip():
    sk = pytest.importorskip("sklearn.datasets")
    Y = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0], [0, 0, 0]])
    X = np.array([[1, 0], [0, 2], [0, 0], [0, 0]])
    expected = [(0, 2), (), (1,), ()]
    for y in (Y, Y.astype(bool), sp.csr_matrix(Y), sp.csc_array(Y), Y * 0.5):
        text = dumped(X, y, multilabel=True)
        assert text == b"0,2 0:1\n 1:2\n1\n 0:0\n"
        X2, y2 = load_text(text, multilabel=True, n_features=2)
        assert y2 == expected
        assert np.array_equal(X2.toarray(), X)
        assert sk.load_svmlight_file(io.BytesIO(text), multilabel=True)[1] == expected
    assert dumped(X, Y, multilabel=True, zero_based=False).endswith(b"\n 1:0\n")
    text = dumped(X, Y, multilabel=True, query_id=[1, 2, 3, 4])
    assert load_text(text, multilabel=True, query_id=True)[2].tolist() == [1, 2, 3, 4]


def test_sparse_y_of_one_column():
    y = sp.csr_matrix([[0.0], [2.0], [0.0]])
    assert dumped(np.eye(3), y) == b"0 0:1\n2 1:1\n0 2:1\n"


def test_comment():
    assert dumped([[1]], [2], comment="ä\n\nb").decode() == (
        "# Written by hingex\n# Column indices are zero-based\n#\n# ä\n#\n# b\n2 0:1\n")
    assert dumped([[1]], [2], comment="") == b"2 0:1\n"
    with pytest.raises(ValueError, match="NUL"):
        dumped([[1]], [2], comment=b"\0")
    with pytest.raises(TypeError, match="comment"):
        dumped([[1]], [2], comment=3)


@pytest.mark.parametrize("ending", ["svm", "gz", "bz2"])
def test_write_to_path(tmp_path, ending):
    X, y, text = big_text(300)
    path = tmp_path / ("a." + ending)
    path.write_bytes(b"old")
    path.chmod(0o640)
    link = tmp_path / ("link." + ending)
    link.symlink_to(path)
    dump_svmlight_file(X, y, link, query_id=np.arange(300) // 7)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    unpack = {"gz": gzip.decompress, "bz2": bz2.decompress}.get(ending, bytes)
    assert unpack(path.read_bytes()) == text
    assert abs(load_svmlight_file(path, n_features=500, zero_based=True)[0] - X).nnz == 0

    broken = sp.csr_matrix(X)
    broken.data[-1] = np.nan
    with pytest.raises(ValueError, match="X contains NaN or infinity"):
        dump_svmlight_file(broken, y, str(path))
    assert unpack(path.read_bytes()) == text
    assert sorted(os.listdir(tmp_path)) == sorted([path.name, link.name])


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="needs /dev/fd")
def test_write_and_read_what_is_no_plain_file():
    r, w = os.pipe()
    try:
        dump_svmlight_file([[1, 0, 3]], [1], f"/dev/fd/{w}")
        os.close(w)
        w = None
        X, y = load_svmlight_file(f"/dev/fd/{r}")
    finally:
        os.close(r)
        if w is not None:
            os.close(w)
    assert X.toarray().tolist() == [[1, 0, 3]]
    assert y.tolist() == [1]


def test_writer_that_takes_little_at_a_time():
    class Slow(io.RawIOBase):
        got = b""

        def writable(self):
            return True

        def write(self, b):
            self.got += bytes(b[:3])
            return min(3, len(b))

    slow = Slow()
    dump_svmlight_file([[1.5, 2.5]], [1], slow)
    assert slow.got == b"1 0:1.5 1:2.5\n"
    with pytest.raises(TypeError, match="binary mode"):
        dump_svmlight_file([[1.5, 2.5]], [1], io.StringIO())


def test_writing_wrong_things():
    eye = np.eye(3)
    for X, y, more, words in [
        (eye, [1, 2], {}, r"y must have shape \(3,\) for X with 3 rows; got shape \(2,\)"),
        (eye, eye, {}, "y must have shape"),
        (eye, [1, 2, 3], {"multilabel": True}, r"\(3, number of labels\)"),
        (eye, [1, 2, np.nan], {}, "y contains NaN or infinity"),
        (eye, ["a", "b", "c"], {}, "y must hold bool, int or float"),
        (eye * 1j, [1, 2, 3], {}, "X must hold bool, int or float"),
        (eye[0], [1, 2, 3], {}, "X must have 2 dimensions"),
        (eye, [1, 2, 3], {"query_id": [1, 2]}, "query_id must hold 3 integers"),
        (eye, [1, 2, 3], {"query_id": [1.0, 2, 3]}, "query_id must hold 3 integers"),
        (eye, sp.csr_matrix(eye), {}, r"sparse y must have shape \(3, 1\)"),
        (np.full((3, 1), np.inf), [1, 2, 3], {}, "X contains NaN or infinity"),
        (eye, [1, 2, 3], {"zero_based": "auto"}, "zero_based must be True or False"),
    ]:
        with pytest.raises(ValueError, match=words):
            dumped(X, y, **more)
    with pytest.raises(TypeError, match="f must be a path or a binary file object"):
        dump_svmlight_file(eye, [1, 2, 3], 5)


def test_no_rows_or_columns_to_write():
    assert dumped(np.empty((0, 3)), []) == b""
    assert dumped(np.empty((2, 0)), [1, 2]) == b"1\n2\n"
    assert dumped(sp.csr_matrix((2, 3)), [1, 2]) == b"1\n2\n"


