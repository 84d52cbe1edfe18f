# SPDX-License-Identifier: BSD-3-Clause
"""Documents to rows of weighted terms; core/text.h has the loops.

`hingex.text` checks parameters, finds documents in what it is given and decides which terms are
kept; here documents are collected in batches (with the GIL), counted (without it) and written as
CSR arrays. A batch is cut into chunks of consecutive documents. A thread that counts a chunk may
number its terms in any way: columns are given by the order of the terms at the end, so results do
not depend on the number of threads.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.pycapsule cimport PyCapsule_GetPointer
from cython.parallel import prange, threadid
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memchr, memcpy, memset

from ._types cimport real


cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL
    bytes PyUnicode_AsEncodedString(object text, const char *encoding, const char *errors)
    str PyUnicode_DecodeUTF8(const char *text, Py_ssize_t size, const char *errors)


cdef extern from "text.h" nogil:
    enum:
        HX_WORD
        HX_CHAR
        HX_CHAR_WB
        HX_GROW
        HX_FIND
        HX_HASH
        HX_TEXT_RAW
        HX_TEXT_LOWERED
        HX_TEXT_TOKENS
        HX_NO_NORM
        HX_L1
        HX_L2
    ctypedef struct hx_chars:
        const uint8_t *flags
        const uint32_t *upper
        const uint64_t *lower
        int64_t n_upper
    ctypedef struct hx_term:
        int64_t start
        uint32_t len
    ctypedef struct hx_terms:
        hx_term *terms
        uint8_t *bytes
        int64_t n
        int64_t size
    ctypedef struct hx_text:
        int analyzer, mode, lowercase, min_chars
        int64_t min_n, max_n
        int alternate_sign
        uint32_t n_features
        int keep_rows, count_df, count_tf
        const hx_terms *stop
        const hx_terms *known
        hx_chars chars
    ctypedef struct hx_seen:
        int64_t df
    ctypedef struct hx_worker:
        hx_terms own
        hx_seen *seen
        int64_t seen_room
        int64_t *tf
        int64_t *df
    ctypedef struct hx_document:
        const uint8_t *p
        int64_t n
        int form
    ctypedef struct hx_chunk:
        int64_t first, count, row
        uint64_t *keys
        int64_t n_keys
        int64_t *ends
        int worker
        int failed
    ctypedef struct hx_weights:
        int binary, sublinear, norm
        const double *idf
    int64_t hx_utf8_error(const uint8_t *s, int64_t n, int *ascii)
    bint hx_has_sigma(const uint8_t *s, int64_t n)
    bint hx_terms_start(hx_terms *t)
    void hx_terms_free(hx_terms *t)
    int64_t hx_intern_exact(hx_terms *t, const uint8_t *p, uint32_t len)
    bint hx_order(const hx_terms *t, int32_t *order)
    uint32_t hx_murmur3(const uint8_t *p, uint32_t len)
    bint hx_worker_start(hx_worker *w, const hx_text *o)
    void hx_worker_free(hx_worker *w)
    void hx_count_chunk(hx_worker *w, hx_chunk *c, const hx_document *documents)
    void hx_finish_chunk(hx_worker *w, hx_chunk *c, const int32_t *map, int bits)
    void hx_write_chunk(hx_worker *w, hx_chunk *c, const hx_weights *o, float *f32, double *f64,
                        int32_t *columns)
    int hx_width(uint32_t n_values)


cdef int64_t BATCH_DOCUMENTS = 1 << 16
cdef int64_t MOST_BYTES = 1 << 30       # of a document; places in it have 32 bits


def murmur3(bytes text):
    """The 32-bit hash with seed 0, for tests."""
    cdef bytes padded = text + bytes(64)
    return hx_murmur3(<const uint8_t *>PyBytes_AS_STRING(padded), <uint32_t>len(text))


def utf8_error(bytes text):
    """Position of the first byte that does not belong to valid UTF-8, or None; for tests."""
    cdef int ascii = 0
    cdef int64_t at = hx_utf8_error(<const uint8_t *>PyBytes_AS_STRING(text), len(text), &ascii)
    return None if at == len(text) else at


cdef class Terms:
    """Fixed table of terms.

    Parameters
    ----------
    text : contiguous buffer of uint8
        The terms in UTF-8, one behind the other.
    ends : int64 array
        Where they end.
    """
    cdef hx_terms table

    def __init__(self, const uint8_t[::1] text, const int64_t[::1] ends):
        cdef int64_t i, start = 0, stop
        cdef int64_t size = text.shape[0]
        cdef const uint8_t *p = &text[0] if size else <const uint8_t *>b""
        hx_terms_free(&self.table)
        if not hx_terms_start(&self.table):
            raise MemoryError
        for i in range(ends.shape[0]):
            stop = ends[i]
            if not start <= stop <= size:
                raise ValueError(f"term {i} would have bytes {start} to {stop} of {size}")
            if hx_intern_exact(&self.table, p + start, <uint32_t>(stop - start)) < 0:
                raise MemoryError
            if self.table.n != i + 1:
                raise ValueError(f"term {i} occurs twice")
            start = stop

    def __len__(self):
        return self.table.n

    def __dealloc__(self):
        hx_terms_free(&self.table)


cdef class Counter:
    """Counts the terms of documents.

    Parameters
    ----------
    analyzer : {"word", "char", "char_wb"}
    min_n, max_n : int
        Lengths of n-grams.
    min_chars : int
        Of a word, 1 or 2.
    lowercase : bool
    stop : Terms or None
    known : Terms or None
        Where to look terms up; the number of a term is its column.
    n_features : int
        For hashing; 0 for a vocabulary, which grows if `known` is None.
    alternate_sign : bool
    keep_rows, count_df, count_tf : bool
        What is wanted.
    errors : str
        "strict", "replace" or "ignore": what Python shall do with undecodable bytes.
    characters : callable
        Returns flags, capitals and lower case of characters, when they are needed first.
    prepare : callable or None
        From a str (as it came) to what is counted: a str, or a list of str, which are tokens.
    prepare_ascii : bool
        Whether that does more than lower case to ASCII.
    threads : int
    batch_bytes, chunk_bytes : int
    """
    cdef hx_text options
    cdef hx_worker *workers
    cdef int n_workers, threads
    cdef hx_chunk *chunks
    cdef int64_t n_chunks, chunks_room
    cdef hx_document *documents
    cdef int64_t waiting                # documents of the batch
    cdef int64_t waiting_bytes, batch_bytes, chunk_bytes, most_bytes
    cdef list held                      # owners of the bytes of the batch
    cdef readonly int64_t n             # documents so far
    cdef object stop, known, prepare, characters, tables
    cdef str errors
    cdef bint prepare_ascii
    cdef hx_terms merged
    cdef int32_t **maps                 # for each worker: its numbers to merged ones, or columns
    cdef int64_t *own_n                 # and how many there are
    cdef int32_t *order                 # of the merged terms
    cdef int64_t columns

    def __cinit__(self):
        memset(&self.options, 0, sizeof(self.options))
        memset(&self.merged, 0, sizeof(self.merged))

    def __init__(self, str analyzer, int64_t min_n, int64_t max_n, int min_chars, bint lowercase,
                 Terms stop, Terms known, uint32_t n_features, bint alternate_sign,
                 bint keep_rows, bint count_df, bint count_tf, str errors, characters, prepare,
                 bint prepare_ascii, int threads, int64_t batch_bytes=32 << 20,
                 int64_t chunk_bytes=1 << 17):
        cdef hx_text *o = &self.options
        cdef int i
        if self.workers != NULL:
            raise RuntimeError("called twice")
        o.analyzer = {"word": HX_WORD, "char": HX_CHAR, "char_wb": HX_CHAR_WB}[analyzer]
        o.mode = HX_HASH if n_features else HX_GROW if known is None else HX_FIND
        o.lowercase, o.min_chars = lowercase, min_chars
        o.min_n, o.max_n = min_n, max_n
        o.alternate_sign, o.n_features = alternate_sign, n_features
        o.keep_rows, o.count_df, o.count_tf = keep_rows, count_df, count_tf
        o.stop = NULL if stop is None or stop.table.n == 0 else &stop.table
        o.known = NULL if known is None else &known.table
        self.stop, self.known, self.errors = stop, known, errors
        self.characters = characters
        self.prepare, self.prepare_ascii = prepare, prepare_ascii
        self.columns = n_features if n_features else -1 if known is None else known.table.n
        self.threads = threads
        self.batch_bytes, self.chunk_bytes = max(batch_bytes, 1), max(chunk_bytes, 1)
        self.most_bytes = MOST_BYTES // (max_n - min_n + 1)
        self.held = []
        self.documents = <hx_document *>malloc(BATCH_DOCUMENTS * sizeof(hx_document))
        self.workers = <hx_worker *>calloc(threads, sizeof(hx_worker))
        self.maps = <int32_t **>calloc(threads, sizeof(int32_t *))
        if self.documents == NULL or self.workers == NULL or self.maps == NULL:
            raise MemoryError
        self.n_workers = threads
        for i in range(threads):
            if not hx_worker_start(&self.workers[i], o):
                raise MemoryError

    def __dealloc__(self):
        cdef int64_t i
        for i in range(self.n_workers):
            hx_worker_free(&self.workers[i])
            free(self.maps[i])
        for i in range(self.n_chunks):
            free(self.chunks[i].keys)
            free(self.chunks[i].ends)
        free(self.workers)
        free(self.maps)
        free(self.own_n)
        free(self.order)
        free(self.chunks)
        free(self.documents)
        hx_terms_free(&self.merged)

    # ------------------------------------------------------------------------------ collecting

    cdef int need_characters(self) except -1:
        """Tables for characters beyond ASCII."""
        cdef const uint8_t[::1] flags
        cdef const uint32_t[::1] upper
        cdef const uint64_t[::1] lower
        if self.tables is None:
            flags, upper, lower = self.tables = self.characters()
            self.options.chars.flags = &flags[0]
            self.options.chars.upper = &upper[0]
            self.options.chars.lower = &lower[0]
            self.options.chars.n_upper = upper.shape[0]
        return 0

    cdef int add(self, const uint8_t *p, int64_t n, bint ascii, int form, name) except -1:
        """A document of valid UTF-8 (or tokens), whose bytes stay until the batch is counted."""
        cdef bytes lowered
        if not ascii:
            self.need_characters()
            if form == HX_TEXT_RAW and self.options.lowercase and hx_has_sigma(p, n):
                # Whether a sigma ends a word depends on other characters: left to Python.
                lowered = PyUnicode_AsEncodedString(
                    PyUnicode_DecodeUTF8(<const char *>p, n, "surrogatepass").lower(), "utf-8",
                    "surrogatepass")
                self.held.append(lowered)
                p, n = <const uint8_t *>PyBytes_AS_STRING(lowered), PyBytes_GET_SIZE(lowered)
                form = HX_TEXT_LOWERED
        if n > self.most_bytes:
            raise ValueError(f"{name(self.n + self.waiting)} has {n} bytes; at most "
                             f"{self.most_bytes} are possible with this ngram_range: split it, "
                             "or let ngram_range go up to a smaller n")
        self.documents[self.waiting].p = p
        self.documents[self.waiting].n = n
        self.documents[self.waiting].form = form
        self.waiting += 1
        self.waiting_bytes += n
        if self.waiting == BATCH_DOCUMENTS or self.waiting_bytes >= self.batch_bytes:
            self.count()
        return 0

    cdef int add_prepared(self, str text, name) except -1:
        cdef bytes encoded
        cdef int form = HX_TEXT_LOWERED
        made = self.prepare(text)
        if isinstance(made, list):
            form = HX_TEXT_TOKENS
            encoded = b"".join([
                PyUnicode_AsEncodedString(token, "utf-8", "surrogatepass") + b"\xff"
                for token in made])
        else:
            encoded = PyUnicode_AsEncodedString(made, "utf-8", "surrogatepass")
        self.held.append(encoded)
        self.add(<const uint8_t *>PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded),
                 form == HX_TEXT_TOKENS or encoded.isascii(), form, name)
        return 0

    cdef int add_str(self, str text, name) except -1:
        cdef Py_ssize_t size = 0
        cdef const char *p
        cdef bytes encoded
        cdef bint ascii = text.isascii()
        if self.prepare is not None and (self.prepare_ascii or not ascii):
            return self.add_prepared(text, name)
        if ascii:               # its own bytes
            p = PyUnicode_AsUTF8AndSize(text, &size)
            self.held.append(text)
            return self.add(<const uint8_t *>p, size, True, HX_TEXT_RAW, name)
        # Not by the function above, which would keep the UTF-8 for as long as the str lives.
        encoded = PyUnicode_AsEncodedString(text, "utf-8", "surrogatepass")
        self.held.append(encoded)
        return self.add(<const uint8_t *>PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded),
                        False, HX_TEXT_RAW, name)

    cdef int add_bytes(self, const uint8_t *p, int64_t n, name) except -1:
        """Bytes that somebody else keeps until the batch is counted."""
        cdef int ascii = 0
        if hx_utf8_error(p, n, &ascii) < n:
            try:
                text = PyUnicode_DecodeUTF8(<const char *>p, n, self.errors.encode())
            except UnicodeDecodeError as error:
                raise UnicodeDecodeError(
                    error.encoding, error.object, error.start, error.end,
                    f"{error.reason}, in {name(self.n + self.waiting)} (decode_error='replace' "
                    "or 'ignore', --decode-errors on the command line, accepts such bytes)"
                ) from None
            return self.add_str(text, name)
        if self.prepare is not None and (self.prepare_ascii or not ascii):
            return self.add_prepared(PyUnicode_DecodeUTF8(<const char *>p, n, "strict"), name)
        return self.add(p, n, ascii, HX_TEXT_RAW, name)

    def feed(self, documents, name, refuse):
        """Documents of an iterable: str, or bytes in UTF-8.

        Parameters
        ----------
        documents : iterable
        name : callable
            The name of a document for messages, by its number.
        refuse : callable
            Raises the error for (what is no document, its number).
        """
        cdef bytes raw
        for document in documents:
            if isinstance(document, str):
                if type(document) is not str:
                    document = str.__str__(document)
                self.add_str(document, name)
            elif isinstance(document, bytes):
                raw = document if type(document) is bytes else bytes(memoryview(document))
                self.held.append(raw)
                self.add_bytes(<const uint8_t *>PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw),
                               name)
            else:
                refuse(document, self.n + self.waiting)
        self.count()

    def feed_buffer(self, const uint8_t[::1] buffer, const int64_t[::1] starts,
                    const int64_t[::1] ends, name):
        """Documents that are pieces of a buffer."""
        cdef int64_t i, n = starts.shape[0], size = buffer.shape[0]
        cdef const uint8_t *p = &buffer[0] if size else <const uint8_t *>b""
        if ends.shape[0] != n:
            raise ValueError("starts and ends differ in number")
        for i in range(n):
            if not 0 <= starts[i] <= ends[i] <= size:
                raise ValueError(f"{name(self.n + self.waiting)} would have bytes {starts[i]} to "
                                 f"{ends[i]} of {size}")
            self.add_bytes(p + starts[i], ends[i] - starts[i], name)
        self.count()

    # -------------------------------------------------------------------------------- counting

    cdef int count(self) except -1:
        """Count the documents of the batch."""
        cdef int64_t i, first = 0, n = 0, size = 0, old = self.n_chunks
        cdef hx_chunk *c
        cdef void *p
        if self.waiting == 0:
            return 0
        for i in range(self.waiting):
            size += self.documents[i].n + 64
            if size < self.chunk_bytes and i < self.waiting - 1:
                continue
            if self.n_chunks == self.chunks_room:
                n = 2 * self.chunks_room + 64
                p = realloc(self.chunks, n * sizeof(hx_chunk))
                if p == NULL:
                    raise MemoryError
                self.chunks, self.chunks_room = <hx_chunk *>p, n
            c = &self.chunks[self.n_chunks]
            memset(c, 0, sizeof(hx_chunk))
            c.first, c.count, c.row = first, i + 1 - first, self.n + first
            if self.options.keep_rows:
                c.ends = <int64_t *>malloc(c.count * sizeof(int64_t))
                if c.ends == NULL:
                    raise MemoryError
            self.n_chunks += 1
            first, size = i + 1, 0
        self.run(old)
        self.refuse_failed()
        if not self.options.keep_rows:
            for i in range(old, self.n_chunks):
                free(self.chunks[i].keys)
            self.n_chunks = old
        self.n += self.waiting
        self.waiting = self.waiting_bytes = 0
        self.held.clear()
        return 0

    cdef void run(self, int64_t first) noexcept:
        cdef int64_t i, stop = self.n_chunks
        cdef hx_chunk *chunks = self.chunks
        cdef hx_worker *workers = self.workers
        cdef const hx_document *documents = self.documents
        cdef int threads = self.threads
        with nogil:
            for i in prange(first, stop, num_threads=threads, schedule="dynamic", chunksize=1):
                chunks[i].worker = threadid()
                hx_count_chunk(&workers[chunks[i].worker], &chunks[i],
                               documents + chunks[i].first)

    # ------------------------------------------------------------------------------ vocabulary

    def merge(self):
        """Bring the vocabularies of the threads together; returns the number of terms."""
        cdef int64_t i, k, n, id
        cdef hx_terms *own
        cdef int32_t *map
        cdef bint enough = True
        for i in range(self.n_workers):
            n = self.workers[i].own.n
            self.maps[i] = <int32_t *>malloc((n + 1) * sizeof(int32_t))
            if self.maps[i] == NULL:
                raise MemoryError
        self.merged = self.workers[0].own       # whose numbers are kept
        memset(&self.workers[0].own, 0, sizeof(hx_terms))
        self.own_n = <int64_t *>calloc(self.n_workers, sizeof(int64_t))
        self.order = NULL
        if self.own_n == NULL:
            raise MemoryError
        with nogil:
            for i in range(self.n_workers):
                own = &self.workers[i].own
                map = self.maps[i]
                n = own.n if i else self.merged.n
                self.own_n[i] = n
                for k in range(n):
                    id = k
                    if i:
                        id = hx_intern_exact(&self.merged, own.bytes + own.terms[k].start,
                                             own.terms[k].len)
                        if id < 0:
                            enough = False
                            break
                    map[k] = <int32_t>id
                hx_terms_free(own)
            n = self.merged.n
            self.order = <int32_t *>malloc((n + 1) * sizeof(int32_t))
            enough = enough and self.order != NULL and hx_order(&self.merged, self.order)
        if not enough:
            raise MemoryError
        return n

    def statistics(self, int64_t[::1] df, int64_t[::1] tf):
        """In the order of the terms, after `merge`: documents and (or None) occurrences.

        Parameters
        ----------
        df, tf : int64 array with an element for each term
        """
        cdef int64_t i, k
        cdef int64_t *total
        cdef const hx_worker *w
        cdef bint with_tf = tf is not None
        if df.shape[0] != self.merged.n or (with_tf and tf.shape[0] != self.merged.n):
            raise ValueError("one element for each term")
        total = <int64_t *>calloc(2 * self.merged.n + 1, sizeof(int64_t))
        if total == NULL:
            raise MemoryError
        with nogil:
            for i in range(self.n_workers):
                w = &self.workers[i]
                for k in range(self.own_n[i]):
                    total[2 * self.maps[i][k]] += w.seen[k].df
                    if with_tf:
                        total[2 * self.maps[i][k] + 1] += w.tf[k]
            for k in range(self.merged.n):
                df[k] = total[2 * self.order[k]]
                if with_tf:
                    tf[k] = total[2 * self.order[k] + 1]
        free(total)

    def choose(self, const int32_t[::1] columns):
        """Columns of the terms, by their order: 0, 1, ... for those that are kept, else -1.

        Returns
        -------
        (int, int)
            Terms and bytes of those that are kept.
        """
        cdef int64_t i, k, n = self.merged.n, size = 0, kept = 0
        cdef int32_t *column
        if columns.shape[0] != n:
            raise ValueError("one column for each term")
        column = <int32_t *>malloc((n + 1) * sizeof(int32_t))
        if column == NULL:
            raise MemoryError
        for k in range(n):
            column[self.order[k]] = columns[k]
            if columns[k] >= 0:
                self.order[kept] = self.order[k]
                size += self.merged.terms[self.order[k]].len
                kept += 1
        for i in range(self.n_workers):
            for k in range(self.own_n[i]):
                self.maps[i][k] = column[self.maps[i][k]]
        free(column)
        self.columns = kept
        return kept, size

    def write_terms(self, uint8_t[::1] text, int64_t[::1] ends):
        """The terms that `choose` kept, one behind the other."""
        cdef int64_t k, size = 0
        cdef const hx_term *e
        if ends.shape[0] != self.columns:
            raise ValueError("one end for each term")
        for k in range(self.columns):
            e = &self.merged.terms[self.order[k]]
            if size + e.len > text.shape[0]:
                raise ValueError("no room")
            if e.len:
                memcpy(&text[size], self.merged.bytes + e.start, e.len)
            size += e.len
            ends[k] = size

    def frequencies(self, int64_t[::1] df):
        """Documents by column, for hashing or a vocabulary that was given."""
        cdef int64_t i, k
        cdef const hx_worker *w
        if df.shape[0] != self.columns:
            raise ValueError("one element for each column")
        for i in range(self.n_workers):
            w = &self.workers[i]
            for k in range(self.columns):
                df[k] += w.df[k] if self.options.mode == HX_HASH else w.seen[k].df

    # ------------------------------------------------------------------------------------ rows

    def finish(self, int64_t[::1] indptr):
        """Sort the rows by columns; their ends to indptr[1:], of n + 1 elements."""
        cdef int64_t i, k, total = 0, stop = self.n_chunks
        cdef hx_chunk *chunks = self.chunks
        cdef hx_worker *workers = self.workers
        cdef int32_t **maps = self.maps
        cdef bint grown = self.options.mode == HX_GROW
        cdef int threads = self.threads, bits = hx_width(<uint32_t>max(self.columns, 1))
        if indptr.shape[0] != self.n + 1 or not self.options.keep_rows:
            raise ValueError("no such rows")
        with nogil:
            for i in prange(stop, num_threads=threads, schedule="dynamic", chunksize=1):
                hx_finish_chunk(&workers[threadid()], &chunks[i],
                                maps[chunks[i].worker] if grown else NULL, bits)
            indptr[0] = 0
            for i in range(stop):
                for k in range(chunks[i].count):
                    indptr[chunks[i].row + k + 1] = total + chunks[i].ends[k]
                total += chunks[i].n_keys
        self.refuse_failed()

    def write(self, real[::1] data, int32_t[::1] indices, const int64_t[::1] indptr,
              const double[::1] idf, bint binary, bint sublinear, str norm):
        """Weights and columns of the finished rows, which are forgotten then."""
        cdef int64_t i, stop = self.n_chunks, at
        cdef hx_chunk *chunks = self.chunks
        cdef hx_worker *workers = self.workers
        cdef int threads = self.threads
        cdef hx_weights o
        cdef float *f32 = NULL
        cdef double *f64 = NULL
        o.binary, o.sublinear = binary, sublinear
        o.norm = {"l2": HX_L2, "l1": HX_L1, None: HX_NO_NORM}[norm]
        o.idf = NULL
        if idf is not None:
            if idf.shape[0] != self.columns:
                raise ValueError("one idf for each column")
            o.idf = &idf[0] if self.columns else NULL
        if (indptr.shape[0] != self.n + 1 or data.shape[0] != indptr[self.n]
                or indices.shape[0] != indptr[self.n]):
            raise ValueError("no such rows")
        if data.shape[0] == 0:
            return
        if real is float:
            f32 = &data[0]
        else:
            f64 = &data[0]
        with nogil:
            for i in prange(stop, num_threads=threads, schedule="dynamic", chunksize=1):
                at = indptr[chunks[i].row]
                hx_write_chunk(&workers[threadid()], &chunks[i], &o,
                               f32 + at if f32 != NULL else NULL,
                               f64 + at if f64 != NULL else NULL, &indices[0] + at)
        self.refuse_failed()

    cdef int refuse_failed(self) except -1:
        cdef int64_t i
        for i in range(self.n_chunks):
            if self.chunks[i].failed:
                raise MemoryError
        return 0


# ------------------------------------------------------------------------------------ files

def split_lines(const uint8_t[::1] buffer, int64_t text_column, int64_t label_column,
                int64_t columns, int64_t[:, ::1] places):
    """Where texts and labels are in lines of columns with tabs between them.

    Parameters
    ----------
    buffer : uint8
    text_column, label_column : int
        Counted from 0; a label column of -1 is none.
    columns : int
        Of each line; 0: those up to the last of the two. If that is the text, it goes up to the end
        of the line, tabs included.
    places : int64 array, shape (lines, 4), or None
        For start and end of text and label of each line.

    Returns
    -------
    (int, int)
        The number of lines, and 0 or the number of columns of a line that has other than it should
        (it is the last one counted).
    """
    cdef int64_t n = buffer.shape[0], i = 0, lines = 0, end, column, stop
    cdef int64_t last = max(text_column, label_column)
    cdef int64_t expected = columns if columns else last + 1
    cdef bint to_end = columns == 0 and text_column == last
    cdef const uint8_t *s = &buffer[0] if n else <const uint8_t *>b""
    cdef const uint8_t *p
    while i < n:
        p = <const uint8_t *>memchr(s + i, c'\n', n - i)
        end = n if p == NULL else p - s
        lines += 1
        if places is not None:
            stop = end - 1 if end > i and s[end - 1] == c'\r' else end
            column = 0
            while True:
                p = NULL
                if not (to_end and column == last):
                    p = <const uint8_t *>memchr(s + i, c'\t', stop - i)
                if column == text_column:
                    places[lines - 1, 0] = i
                    places[lines - 1, 1] = stop if p == NULL else p - s
                if column == label_column:
                    places[lines - 1, 2] = i
                    places[lines - 1, 3] = stop if p == NULL else p - s
                column += 1
                if p == NULL:
                    break
                i = p - s + 1
            if column != expected:
                return lines, column
        i = end + 1
    return lines, 0


def unescape(const uint8_t[::1] buffer, uint8_t[::1] out, int64_t[:, ::1] places):
    """Copy the texts at `places`, with \\n, \\t, \\r and \\\\ made the characters they stand for.

    `places` then tell where they are in `out`, of the same size as `buffer`.
    """
    cdef int64_t line, i, j = 0, start
    cdef uint8_t c
    if out.shape[0] < buffer.shape[0]:
        raise ValueError("no room")
    for line in range(places.shape[0]):
        start = j
        i = places[line, 0]
        while i < places[line, 1]:
            c = buffer[i]
            i += 1
            if c == c'\\' and i < places[line, 1]:
                if buffer[i] == c'n':
                    c = c'\n'
                elif buffer[i] == c't':
                    c = c'\t'
                elif buffer[i] == c'r':
                    c = c'\r'
                i += c != c'\\' or buffer[i] == c'\\'
            out[j] = c
            j += 1
        places[line, 0], places[line, 1] = start, j
    return j


# ------------------------------------------------------------------------------------ Arrow

cdef extern from *:
    """
    /* The C data interface of Apache Arrow. */
    struct ArrowSchema {
        const char *format, *name, *metadata;
        int64_t flags, n_children;
        struct ArrowSchema **children, *dictionary;
        void (*release)(struct ArrowSchema *);
        void *private_data;
    };
    struct ArrowArray {
        int64_t length, null_count, offset, n_buffers, n_children;
        const void **buffers;
        struct ArrowArray **children, *dictionary;
        void (*release)(struct ArrowArray *);
        void *private_data;
    };
    struct ArrowArrayStream {
        int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *);
        int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *);
        const char *(*get_last_error)(struct ArrowArrayStream *);
        void (*release)(struct ArrowArrayStream *);
        void *private_data;
    };
    """
    struct ArrowSchema:
        const char *format
        void (*release)(ArrowSchema *) noexcept
    struct ArrowArray:
        int64_t length, null_count, offset, n_buffers
        const void **buffers
        void (*release)(ArrowArray *) noexcept
    struct ArrowArrayStream:
        int (*get_schema)(ArrowArrayStream *, ArrowSchema *) noexcept
        int (*get_next)(ArrowArrayStream *, ArrowArray *) noexcept
        const char *(*get_last_error)(ArrowArrayStream *) noexcept


cdef class ArrowText:
    """Strings that an Arrow capsule holds; a row is a view of their bytes.

    Parameters
    ----------
    column : object with __arrow_c_stream__ or __arrow_c_array__

    Raises
    ------
    TypeError
        If they are no strings or bytes.
    """
    cdef readonly list parts        # of ArrowPart
    cdef readonly str format

    def __init__(self, column):
        cdef ArrowSchema schema
        cdef ArrowArrayStream *stream
        cdef ArrowArray *array
        cdef ArrowPart part
        cdef int code
        self.parts = []
        if hasattr(column, "__arrow_c_stream__"):
            capsule = column.__arrow_c_stream__()
            stream = <ArrowArrayStream *>PyCapsule_GetPointer(capsule, b"arrow_array_stream")
            memset(&schema, 0, sizeof(schema))
            code = stream.get_schema(stream, &schema)
            if code:
                raise ValueError(f"the Arrow stream gives no schema (error {code})")
            self.format = schema.format.decode()
            if schema.release != NULL:
                schema.release(&schema)
            self.check()
            while True:
                part = ArrowPart()
                code = stream.get_next(stream, &part.array)
                if code:
                    raise ValueError(f"the Arrow stream breaks off (error {code})")
                if part.array.release == NULL:
                    break
                self.parts.append(part)
        else:
            names, capsule = column.__arrow_c_array__()
            self.format = (<ArrowSchema *>PyCapsule_GetPointer(
                names, b"arrow_schema")).format.decode()
            self.check()
            array = <ArrowArray *>PyCapsule_GetPointer(capsule, b"arrow_array")
            part = ArrowPart()
            part.array = array[0]       # moved: it is this object's to release
            array.release = NULL
            self.parts.append(part)

    cdef int check(self) except -1:
        if self.format not in ("u", "U", "z", "Z", "vu", "vz"):
            raise TypeError(f"an Arrow column of format {self.format!r} holds no text; cast it to "
                            "string")
        return 0

    def __len__(self):
        return sum((<ArrowPart>part).array.length for part in self.parts)


cdef class ArrowPart:
    cdef ArrowArray array

    def __cinit__(self):
        memset(&self.array, 0, sizeof(self.array))

    def __dealloc__(self):
        if self.array.release != NULL:
            self.array.release(&self.array)


cdef inline const uint8_t *_arrow_view(const ArrowArray *a, int64_t i, int64_t *n) noexcept:
    """Arrow's layout of short and long strings: 16 bytes each."""
    cdef const uint8_t *p = <const uint8_t *>a.buffers[1] + 16 * i
    cdef int32_t[4] word
    memcpy(word, p, 16)
    n[0] = word[0]
    if word[0] <= 12:
        return p + 4
    return <const uint8_t *>a.buffers[2 + word[2]] + word[3]


def feed_arrow(Counter counter, ArrowText text, name, refuse):
    """Count the strings of Arrow's buffers, without making Python's of them."""
    cdef ArrowPart part
    cdef const ArrowArray *a
    cdef const uint8_t *p
    cdef const uint8_t *valid
    cdef int64_t i, k, start, n = 0
    cdef bint wide = text.format in ("U", "Z"), view = text.format[0] == "v"
    for part in text.parts:
        a = &part.array
        valid = <const uint8_t *>a.buffers[0] if a.null_count != 0 else NULL
        for i in range(a.length):
            k = a.offset + i
            if valid != NULL and not valid[k >> 3] >> (k & 7) & 1:
                refuse(None, counter.n + counter.waiting)
            if view:
                p = _arrow_view(a, k, &n)
            elif wide:
                start = (<const int64_t *>a.buffers[1])[k]
                n = (<const int64_t *>a.buffers[1])[k + 1] - start
                p = <const uint8_t *>a.buffers[2] + start
            else:
                start = (<const int32_t *>a.buffers[1])[k]
                n = (<const int32_t *>a.buffers[1])[k + 1] - start
                p = <const uint8_t *>a.buffers[2] + start
            counter.add_bytes(p, n, name)
    counter.count()
