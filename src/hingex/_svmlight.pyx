# SPDX-License-Identifier: BSD-3-Clause
"""svmlight/libsvm text to CSR arrays and back.

`hingex.io` opens files, cuts them into windows of whole lines and words the errors; here windows
are parsed. A window is split into chunks at line ends. One pass over the chunks counts what they
may hold, so that every chunk knows its place in the output; a second one parses them into place;
then gaps (qid and comments hold colons too) are closed. What a chunk gives does not depend on who
parses it, so results do not depend on the number of threads.
"""
from cython.parallel import prange
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.math cimport isfinite, isinf
from libc.stdint cimport INT32_MAX, INT64_MAX, int32_t, int64_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcpy, memmove

from ._types cimport index, real


cdef extern from "decimal.h" nogil:
    ctypedef struct hx_u128:
        uint64_t hi
        uint64_t lo
    const int HX_POW_MIN
    const int HX_POW_MAX
    const int HX_NUMBER_CHARS
    const int HX_READ_OK
    const int HX_READ_OVERFLOW
    const int HX_READ_UNDECIDED
    const char *hx_read_number(const char *p, const hx_u128 *powers, double *out, int *status)
    char *hx_put_uint(char *p, uint64_t value)
    char *hx_put_int(char *p, int64_t value)
    char *hx_put_double(char *p, double x, const hx_u128 *powers)
    char *hx_put_float(char *p, float x, const hx_u128 *powers)


cdef extern from *:
    """
    /* How many bytes of p are c, and how many are d: sums in 32 bytes that compilers vectorise. */
    static void hx_count(const char *p, int64_t n, char c, char d, int64_t *of_c, int64_t *of_d)
    {
        int64_t cs = 0, ds = 0, i = 0;
        while (n - i >= 32) {
            const int64_t steps = (n - i) / 32, most = steps < 255 ? steps : 255;
            unsigned char some_c[32] = {0}, some_d[32] = {0};
            for (int64_t k = 0; k < most; k++, i += 32)
                for (int j = 0; j < 32; j++) {
                    some_c[j] = (unsigned char)(some_c[j] + (p[i + j] == c));
                    some_d[j] = (unsigned char)(some_d[j] + (p[i + j] == d));
                }
            for (int j = 0; j < 32; j++) {
                cs += some_c[j];
                ds += some_d[j];
            }
        }
        for (; i < n; i++) {
            cs += p[i] == c;
            ds += p[i] == d;
        }
        *of_c = cs;
        *of_d = ds;
    }

    #ifdef _WIN32
    #define HX_READS_AT 0
    static int64_t hx_read_at(int file, char *to, int64_t n, int64_t at)
    {
        (void)file, (void)to, (void)n, (void)at;
        return 0;
    }
    #else
    #define HX_READS_AT 1
    #include <errno.h>
    #include <unistd.h>
    /* Bytes of a file from `at` on: n of them, or fewer before the file's end or an error. */
    static int64_t hx_read_at(int file, char *to, int64_t n, int64_t at)
    {
        int64_t done = 0;
        while (done < n) {
            ssize_t some = pread(file, to + done, (size_t)(n - done), (off_t)(at + done));
            if (some < 0 && errno == EINTR) continue;
            if (some <= 0) break;
            done += some;
        }
        return done;
    }
    #endif
    """
    const bint HX_READS_AT
    int64_t hx_read_at(int file, char *to, int64_t n, int64_t at) noexcept nogil
    void hx_count(const char *p, int64_t n, char c, char d, int64_t *of_c,
                  int64_t *of_d) noexcept nogil


# Powers of ten, filled in once, below, and only read from then on.
cdef hx_u128[667] powers


cdef _fill_powers():
    cdef object bits, ten, shift, power     # Python's integers, of any size
    cdef int q
    for q in range(HX_POW_MIN, HX_POW_MAX + 1):
        power = q
        ten = 10 ** abs(power)
        shift = 127 - ((power * 1741647) >> 19)
        if q < 0:
            bits = (1 << shift) // ten
        else:
            bits = ten << shift if shift >= 0 else ten >> -shift
        powers[q - HX_POW_MIN].hi = bits >> 64
        powers[q - HX_POW_MIN].lo = bits & 0xFFFFFFFFFFFFFFFF


_fill_powers()


# ------------------------------------------------------------------------------------ reading

# What can be wrong with a line; hingex.io has the words.
cpdef enum:
    FINE
    BAD_LABEL
    LABEL_NOT_FINITE
    BAD_QID
    NO_QID
    BAD_INDEX
    INDEX_ZERO
    INDEX_TOO_LARGE
    NOT_ASCENDING
    DUPLICATE
    BAD_VALUE
    VALUE_TOO_LARGE
    OUT_OF_MEMORY
    NEEDS_INT64         # no mistake: an index does not fit in 32 bits


cdef class Column:
    """Growing array of numbers that hands its memory to NumPy through the buffer protocol."""
    cdef char *data
    cdef readonly Py_ssize_t itemsize, size
    cdef Py_ssize_t capacity
    cdef int exports

    def __cinit__(self, Py_ssize_t itemsize):
        self.itemsize = itemsize

    def __dealloc__(self):
        free(self.data)

    cdef int reserve(self, Py_ssize_t more, double growth=1.0) except -1:
        """Take capacity for `more` numbers behind the present ones.

        A forecast says that there will be `growth` times as many. Memory that is never written
        costs nothing; arrays that grow step by step are copied, and take new pages each time.
        """
        cdef Py_ssize_t least = self.size + more
        if more <= self.capacity - self.size:
            return 0
        if growth > 1:
            try:
                return self.resize(<Py_ssize_t>(growth * least) + 1)
            except MemoryError:
                pass                    # the forecast may be wrong
        return self.resize(max(least, self.size + self.size // 4))

    cdef int resize(self, Py_ssize_t capacity) except -1:
        cdef void *data
        if self.exports:
            raise BufferError("the memory is in use")
        data = realloc(self.data, max(capacity, 1) * self.itemsize)
        if data == NULL:
            raise MemoryError
        self.data, self.capacity = <char *>data, capacity
        return 0

    def widen(self):
        """int32 to int64."""
        cdef Column wide = Column(8)
        cdef Py_ssize_t i
        wide.reserve(self.size)
        for i in range(self.size):
            (<int64_t *>wide.data)[i] = (<int32_t *>self.data)[i]
        wide.size = self.size
        return wide

    def __getbuffer__(self, Py_buffer *view, int flags):
        if not self.exports and self.capacity != self.size:
            self.resize(self.size)
        PyBuffer_FillInfo(view, self, self.data, self.size * self.itemsize, 0, flags)
        self.exports += 1

    def __releasebuffer__(self, Py_buffer *view):
        self.exports -= 1


cdef struct Chunk:
    const char *begin           # first byte of a line
    const char *end             # behind a line end
    int64_t lines
    int64_t row, value, label   # its place in the output, by upper bounds of what comes before
    int64_t rows, values, labels                # upper bounds, then what was found
    int64_t low, high           # smallest and largest index
    int status
    const char *at              # what is wrong


cdef struct Target:
    int is_f32
    int is_i64
    int multilabel
    int query_id
    int one_based
    char *data
    char *indices
    int64_t *row_end
    double *labels
    int64_t *label_end
    int64_t *qid


cdef inline bint is_blank(char c) noexcept nogil:
    return c == c' ' or c == c'\t' or c == c'\r' or c == c'\x0b' or c == c'\x0c'


cdef inline bint is_end(char c) noexcept nogil:
    return is_blank(c) or c == c'\n' or c == c'#'


cdef inline const char *skip_blanks(const char *p) noexcept nogil:
    while is_blank(p[0]):
        p += 1
    return p


cdef inline bint is_digit(char c) noexcept nogil:
    return c'0' <= c <= c'9'


cdef int _read_slowly(const char *start, const char *end, double *x) noexcept with gil:
    """Python's own conversion, for the few numbers that 128 bits do not decide."""
    try:
        x[0] = float(start[:end - start])
    except MemoryError:
        return OUT_OF_MEMORY
    except BaseException:
        return BAD_VALUE
    return VALUE_TOO_LARGE if isinf(x[0]) else FINE


cdef inline const char *read_number(const char *p, double *x, int *status) noexcept nogil:
    """FINE, BAD_VALUE, VALUE_TOO_LARGE or OUT_OF_MEMORY in `status`; returns the end."""
    cdef const char *start = p
    cdef int read = HX_READ_OK
    p = hx_read_number(p, powers, x, &read)
    if read == HX_READ_OK:
        status[0] = FINE
    elif read == HX_READ_OVERFLOW:
        status[0] = VALUE_TOO_LARGE
    elif read == HX_READ_UNDECIDED:
        status[0] = _read_slowly(start, p, x)
    else:
        status[0] = BAD_VALUE
    return p


cdef inline const char *read_int(const char *p, uint64_t limit, uint64_t *out,
                                 int *status) noexcept nogil:
    """Digits; FINE, BAD_INDEX (none) or INDEX_TOO_LARGE (above limit <= 2^63) in `status`."""
    cdef const char *start = p
    cdef uint64_t n = 0
    cdef bint large = False
    while is_digit(p[0]):
        large |= n > (<uint64_t>1 << 63) // 10
        n = 10 * n + <uint64_t>(p[0] - c'0')
        p += 1
    out[0] = n
    status[0] = BAD_INDEX if p == start else INDEX_TOO_LARGE if large or n > limit else FINE
    return p


cdef const char *read_labels(const char *p, Chunk *c, const Target *t, int64_t *n,
                             int *status) noexcept nogil:
    """The label, or several with commas between them, or none before a feature or qid."""
    cdef const char *s = p
    cdef double *out = t.labels + c.label
    cdef double x = 0
    status[0] = FINE
    if t.multilabel:
        while not is_end(s[0]):
            if s[0] == c':':
                return p
            s += 1
    while True:
        c.at = p
        p = read_number(p, &x, status)
        if status[0] == BAD_VALUE:
            status[0] = BAD_LABEL
        if status[0] != FINE:
            return p
        if not isfinite(x):
            status[0] = LABEL_NOT_FINITE
            return p
        out[n[0]] = x
        n[0] += 1
        if is_end(p[0]):
            return p
        if not t.multilabel or p[0] != c',':
            status[0] = BAD_LABEL
            return p
        p += 1


cdef const char *read_qid(const char *p, int64_t *qid, int *status) noexcept nogil:
    """Behind "qid:"."""
    cdef bint negative = p[0] == c'-'
    cdef uint64_t n = 0
    if negative or p[0] == c'+':
        p += 1
    p = read_int(p, <uint64_t>INT64_MAX + negative, &n, status)
    if status[0] != FINE or not is_end(p[0]):
        status[0] = BAD_QID
    qid[0] = <int64_t>(0 - n if negative else n)
    return p


cdef void _count(Chunk *c, const Target *t) noexcept nogil:
    cdef int64_t n = c.end - c.begin, commas = 0, again
    hx_count(c.begin, n, c'\n', c':', &c.lines, &c.values)
    if t.multilabel:
        hx_count(c.begin, n, c',', c',', &commas, &again)
    c.rows, c.labels = c.lines, c.lines + commas


cdef void _parse(Chunk *c, const Target *t, real *data, index *indices) noexcept nogil:
    cdef const char *p = c.begin
    cdef int64_t rows = 0, k = 0, labels = 0, j, previous, first, qid = 0
    cdef uint64_t n = 0
    cdef double x = 0
    cdef real value
    cdef int status = FINE
    data += c.value
    indices += c.value
    c.low, c.high = -1, -1
    while p < c.end:
        p = skip_blanks(p)
        if p[0] == c'#':
            p = <const char *>memchr(p, c'\n', c.end - p)
        if p[0] == c'\n':
            p += 1
            continue
        p = read_labels(p, c, t, &labels, &status)
        if status != FINE:
            break
        p = skip_blanks(p)
        c.at = p
        if p[0] == c'q' and p[1] == c'i' and p[2] == c'd' and p[3] == c':':
            p = read_qid(p + 4, &qid, &status)
            if status != FINE:
                break
        elif t.query_id:
            status = NO_QID
            break
        previous = -1
        first = k
        while True:
            p = skip_blanks(p)
            if p[0] == c'#':
                p = <const char *>memchr(p, c'\n', c.end - p)
            if p[0] == c'\n':
                p += 1
                break
            c.at = p
            p = read_int(p + (p[0] == c'+'), <uint64_t>INT64_MAX - 1, &n, &status)
            if status == FINE and p[0] != c':':
                status = BAD_INDEX
            if status != FINE:
                break
            j = <int64_t>n
            p = read_number(p + 1, &x, &status)
            if status == FINE and not is_end(p[0]):
                status = BAD_VALUE
            if status != FINE:
                break
            if j <= previous:
                status = DUPLICATE if j == previous else NOT_ASCENDING
                break
            if j == 0 and t.one_based:
                status = INDEX_ZERO
                break
            if index is int32_t and j > INT32_MAX:
                status = NEEDS_INT64
                break
            value = <real>x
            if real is float and isinf(value) and not isinf(x):
                status = VALUE_TOO_LARGE
                break
            data[k] = value
            indices[k] = <index>j
            previous = j
            k += 1
        if status != FINE:
            break
        if k > first:
            if c.low < 0 or <int64_t>indices[first] < c.low:
                c.low = <int64_t>indices[first]
            c.high = max(c.high, previous)
        if t.query_id:
            t.qid[c.row + rows] = qid
        if t.multilabel:
            t.label_end[c.row + rows] = labels
        t.row_end[c.row + rows] = k
        rows += 1
    c.status = status
    c.rows, c.values, c.labels = rows, k, labels


cdef void _parse_any(Chunk *c, const Target *t) noexcept nogil:
    if t.is_f32:
        if t.is_i64:
            _parse(c, t, <float *>t.data, <int64_t *>t.indices)
        else:
            _parse(c, t, <float *>t.data, <int32_t *>t.indices)
    elif t.is_i64:
        _parse(c, t, <double *>t.data, <int64_t *>t.indices)
    else:
        _parse(c, t, <double *>t.data, <int32_t *>t.indices)


cdef inline void _move(char *to, int64_t to_i, int64_t from_i, int64_t n,
                       Py_ssize_t size) noexcept nogil:
    if to_i != from_i and n:
        memmove(to + to_i * size, to + from_i * size, n * size)


cdef class Parser:
    """CSR arrays of the windows fed so far.

    Parameters
    ----------
    is_f32, is_i64 : bool
        Type of values and indices; indices become int64 by themselves when one is too large.
    multilabel, query_id : bool
    one_based : bool
        Whether an index of 0 is a mistake. Indices are left as they are.

    The columns `row_end`, `label_end` and `qid` start with a 0 of their own.
    """
    cdef readonly Column data, indices, row_end, labels, label_end, qid
    cdef readonly int64_t lines         # line ends in all windows but a faulty one
    cdef readonly int64_t low, high     # smallest and largest index so far, or -1
    cdef readonly int multilabel, query_id
    cdef int is_f32, is_i64, one_based
    cdef int64_t fed                    # bytes in all windows
    cdef double growth                  # bytes in all windows to come and so far, by those so far

    def __init__(self, bint is_f32, bint is_i64, bint multilabel, bint query_id, bint one_based):
        self.is_f32, self.is_i64 = is_f32, is_i64
        self.multilabel, self.query_id, self.one_based = multilabel, query_id, one_based
        self.data = Column(4 if is_f32 else 8)
        self.indices = Column(8 if is_i64 else 4)
        self.row_end, self.labels = Column(8), Column(8)
        self.label_end, self.qid = Column(8), Column(8)
        for column in (self.row_end, self.label_end, self.qid):
            (<Column>column).reserve(1)
            (<int64_t *>(<Column>column).data)[0] = 0
            (<Column>column).size = 1
        self.low = self.high = -1

    def feed(self, window, int threads, Py_ssize_t chunk_bytes, int64_t ahead=0):
        """Parse bytes that end with a line end; `ahead` are known to come after them.

        Returns
        -------
        None or (int, int)
            What is wrong and at which byte of the window, at the first mistake.
        """
        cdef Py_buffer view
        cdef const char *text
        cdef const char *end
        cdef const char *p
        cdef Chunk *chunks
        cdef int64_t n = 0, i = 0
        cdef int status = NEEDS_INT64
        PyObject_GetBuffer(window, &view, PyBUF_SIMPLE)
        try:
            if view.len == 0:
                return None
            self.fed += view.len
            self.growth = 1.02 * (self.fed + ahead) / self.fed if ahead > 0 else 1.0
            text = <const char *>view.buf
            end = text + view.len
            if (end - 1)[0] != c'\n':
                raise ValueError("a window must end with a line end")
            chunk_bytes = max(chunk_bytes, 1)
            chunks = <Chunk *>malloc((view.len // chunk_bytes + 1) * sizeof(Chunk))
            if chunks == NULL:
                raise MemoryError
            try:
                p = text
                while p < end:
                    chunks[n].begin = p
                    if end - p > chunk_bytes:
                        p += chunk_bytes - 1
                        p = <const char *>memchr(p, c'\n', end - p) + 1
                    else:
                        p = end
                    chunks[n].end = p
                    n += 1
                threads = <int>max(1, min(<int64_t>threads, n))
                while status == NEEDS_INT64:
                    i = self.parse(chunks, n, threads)
                    status = chunks[i].status if i < n else FINE
                    if status == NEEDS_INT64:
                        self.indices = self.indices.widen()
                        self.is_i64 = True
                if status == OUT_OF_MEMORY:
                    raise MemoryError
                if status != FINE:
                    return status, chunks[i].at - text
            finally:
                free(chunks)
        finally:
            PyBuffer_Release(&view)
        return None

    cdef int64_t parse(self, Chunk *chunks, int64_t n, int threads) except -1:
        """Parse all chunks into place; the number of the first one with a mistake, or n."""
        cdef Target t
        cdef Chunk *c
        cdef int64_t i, r, row0 = self.row_end.size, value0 = self.data.size
        cdef int64_t label0 = self.labels.size, row = row0, value = value0, label = label0
        cdef int64_t low = self.low, high = self.high, lines = self.lines
        t.is_f32, t.is_i64, t.one_based = self.is_f32, self.is_i64, self.one_based
        t.multilabel, t.query_id = self.multilabel, self.query_id
        with nogil:
            for i in prange(n, num_threads=threads, schedule="dynamic", chunksize=1):
                _count(&chunks[i], &t)
        for i in range(n):
            c = &chunks[i]
            c.row, c.value, c.label = row, value, label
            row += c.rows
            value += c.values
            label += c.labels
        self.data.reserve(value - value0, self.growth)
        self.indices.reserve(value - value0, self.growth)
        self.row_end.reserve(row - row0, self.growth)
        self.labels.reserve(label - label0, self.growth)
        if t.multilabel:
            self.label_end.reserve(row - row0, self.growth)
        if t.query_id:
            self.qid.reserve(row - row0, self.growth)
        t.data, t.indices = self.data.data, self.indices.data
        t.row_end = <int64_t *>self.row_end.data
        t.labels = <double *>self.labels.data
        t.label_end = <int64_t *>self.label_end.data
        t.qid = <int64_t *>self.qid.data
        with nogil:
            for i in prange(n, num_threads=threads, schedule="dynamic", chunksize=1):
                _parse_any(&chunks[i], &t)
        for i in range(n):
            if chunks[i].status != FINE:
                return i
        row, value, label = row0, value0, label0
        with nogil:
            for i in range(n):
                c = &chunks[i]
                _move(t.data, value, c.value, c.values, 4 if t.is_f32 else 8)
                _move(t.indices, value, c.value, c.values, 8 if t.is_i64 else 4)
                _move(<char *>t.labels, label, c.label, c.labels, 8)
                for r in range(c.rows):
                    t.row_end[row + r] = t.row_end[c.row + r] + value
                if t.multilabel:
                    for r in range(c.rows):
                        t.label_end[row + r] = t.label_end[c.row + r] + label
                if t.query_id:
                    _move(<char *>t.qid, row, c.row, c.rows, 8)
                row += c.rows
                value += c.values
                label += c.labels
                if c.values:
                    low = c.low if low < 0 else min(low, c.low)
                    high = max(high, c.high)
                lines += c.lines
        self.low, self.high, self.lines = low, high, lines
        self.row_end.size, self.labels.size = row, label
        self.data.size = self.indices.size = value
        if t.multilabel:
            self.label_end.size = row
        if t.query_id:
            self.qid.size = row
        return n


READS_AT = HX_READS_AT          # whether `read_at` works on this system


def read_at(int file, int64_t at, unsigned char[::1] to, int threads, int64_t piece_bytes):
    """Read the bytes of a file from `at` on, in pieces by threads.

    Returns how many bytes there are up to the first that could not be read.
    """
    cdef int64_t size = to.shape[0], n = (size + piece_bytes - 1) // piece_bytes, i, begin
    cdef int64_t *counts
    if size == 0:
        return 0
    counts = <int64_t *>malloc(n * sizeof(int64_t))
    if counts == NULL:
        raise MemoryError
    with nogil:
        for i in prange(n, num_threads=threads, schedule="static", chunksize=1):
            begin = i * piece_bytes
            counts[i] = hx_read_at(file, <char *>&to[begin], min(piece_bytes, size - begin),
                                   at + begin)
        begin = 0
        for i in range(n):
            begin += counts[i]
            if counts[i] < piece_bytes:
                break
    free(counts)
    return begin


def read_float(text):
    """One number by the parser's rules, for tests; None when it is not one."""
    cdef bytes line = text + b"\n"
    cdef const char *start = line
    cdef const char *p
    cdef double x = 0
    cdef int status = FINE
    p = read_number(start, &x, &status)
    if status == VALUE_TOO_LARGE:
        raise OverflowError
    return x if status == FINE and p - start == len(text) else None


# ------------------------------------------------------------------------------------ writing

cdef struct Numbers:
    char kind           # 'd', 'f': double, float; 'q', 'Q': int64, uint64; 'i': int32
    const char *at


cdef Numbers _numbers(array) except *:
    cdef Numbers v
    kinds = {"f8": b"d", "f4": b"f", "i8": b"q", "u8": b"Q", "i4": b"i"}
    v.kind = kinds[array.dtype.str[1:]][0]
    v.at = <const char *><size_t>array.__array_interface__["data"][0]
    return v


cdef inline char *_put(char *p, const Numbers *v, int64_t i, int64_t plus) noexcept nogil:
    if v.kind == c'd':
        return hx_put_double(p, (<const double *>v.at)[i], powers)
    if v.kind == c'f':
        return hx_put_float(p, (<const float *>v.at)[i], powers)
    if v.kind == c'q':
        return hx_put_int(p, (<const int64_t *>v.at)[i] + plus)
    if v.kind == c'i':
        return hx_put_int(p, <int64_t>(<const int32_t *>v.at)[i] + plus)
    return hx_put_uint(p, (<const uint64_t *>v.at)[i])


def render(values, indices, const int64_t[::1] ends, labels, const int64_t[::1] label_ends,
           qid, bint one_based):
    """Lines of text, as bytes.

    Parameters
    ----------
    values, labels : ndarray of float64, float32, int64 or uint64, contiguous
        Finite numbers.
    indices : ndarray of int32 or int64, contiguous
    ends, label_ends : ndarray of int64, shape (n + 1,)
        Values (and labels) of row i are those from ends[i] to ends[i + 1].
    qid : ndarray of int64, shape (n,), or None
    one_based : bool
        Write indices + 1.

    A row with nothing in it (no labels, qid and values) would be a blank line, which readers
    skip: an explicit zero for the first feature keeps it.
    """
    cdef Numbers v = _numbers(values), idx = _numbers(indices), lab = _numbers(labels), q
    cdef bint has_qid = qid is not None
    cdef int64_t n = ends.shape[0] - 1, i, k
    cdef int64_t size
    cdef char *text
    cdef char *p
    if label_ends.shape[0] != n + 1 or len(values) < ends[n] or len(indices) < ends[n] or (
            len(labels) < label_ends[n]) or (has_qid and len(qid) != n):
        raise ValueError("lengths differ")
    if has_qid:
        q = _numbers(qid)
    size = (2 * (ends[n] - ends[0]) + label_ends[n] - label_ends[0] + 2 * n + 1)
    text = <char *>malloc(size * HX_NUMBER_CHARS)
    if text == NULL:
        raise MemoryError
    with nogil:
        p = text
        for i in range(n):
            for k in range(label_ends[i], label_ends[i + 1]):
                if k > label_ends[i]:
                    p[0] = c','
                    p += 1
                p = _put(p, &lab, k, 0)
            if has_qid:
                memcpy(p, b" qid:", 5)
                p = _put(p + 5, &q, i, 0)
            elif label_ends[i] == label_ends[i + 1] and ends[i] == ends[i + 1]:
                memcpy(p, b" 1:0" if one_based else b" 0:0", 4)
                p += 4
            for k in range(ends[i], ends[i + 1]):
                p[0] = c' '
                p = _put(p + 1, &idx, k, one_based)
                p[0] = c':'
                p = _put(p + 1, &v, k, 0)
            p[0] = c'\n'
            p += 1
    try:
        return PyBytes_FromStringAndSize(text, p - text)
    finally:
        free(text)
