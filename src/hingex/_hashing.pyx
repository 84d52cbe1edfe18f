# SPDX-License-Identifier: BSD-3-Clause
"""Features by name, of Python objects: hashed to columns of CSR rows."""
from libc.math cimport isfinite
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memcpy

import numpy as np

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef extern from "text.h" nogil:
    enum:
        HX_SLACK
    uint32_t hx_murmur3(const uint8_t *p, uint32_t len)
    uint32_t hx_hash_column(uint32_t h, uint32_t n)

cdef int64_t LONGEST = 1 << 20      # bytes of a name


cdef class Hasher:
    """Rows so far.

    Parameters
    ----------
    n_features : int
        Columns: the hash (MurmurHash3, 32 bits, seed 0, of the name in UTF-8), without its sign,
        modulo this.
    alternate_sign : bool
        Whether the sign of the hash is that of the value.
    """
    cdef uint32_t n_features
    cdef bint alternate
    cdef object values, indices, ends, room
    cdef float[::1] v
    cdef int32_t[::1] idx
    cdef int64_t count
    cdef uint8_t[::1] bytes_

    def __cinit__(self, int64_t n_features, bint alternate_sign):
        if not 0 < n_features <= 1 << 31:
            raise ValueError("n_features is out of range")
        self.n_features, self.alternate, self.count = <uint32_t>n_features, alternate_sign, 0
        self.values, self.indices = np.empty(1024, np.float32), np.empty(1024, np.int32)
        self.ends = [0]
        self.room = np.zeros(1024 + HX_SLACK, np.uint8)
        self.v, self.idx, self.bytes_ = self.values, self.indices, self.room

    def add(self, token):
        """A row: the names in a list, or a dict of names to numbers, strings or booleans.

        A string value is part of the name, name=value, with the value 1. Raises TypeError for
        anything else, ValueError for numbers that are not finite.
        """
        if isinstance(token, dict):
            for name, value in token.items():
                if isinstance(value, str):
                    self._put(f"{name}={value}" if isinstance(name, str) else name, 1.0)
                elif isinstance(value, bool):
                    if value:
                        self._put(name, 1.0)
                else:
                    self._put(name, _number(name, value))
        elif isinstance(token, (list, tuple, set, frozenset)):
            for name in sorted(token) if isinstance(token, (set, frozenset)) else token:
                self._put(name, 1.0)
        else:
            raise TypeError("features of a token must be a dict, or a list of names; got "
                            f"{type(token).__name__}")
        self.ends.append(self.count)

    cdef int _put(self, name, double value) except -1:
        cdef Py_ssize_t size = 0
        cdef const char *text
        cdef uint32_t h, column
        if not isinstance(name, str):
            raise TypeError(f"names of features must be strings; got {name!r}")
        text = PyUnicode_AsUTF8AndSize(name, &size)
        if size > LONGEST:
            raise ValueError(f"a feature's name has {size} bytes; at most {LONGEST} are possible")
        if size + HX_SLACK > self.bytes_.shape[0]:
            self.room = np.zeros(2 * size + HX_SLACK, np.uint8)
            self.bytes_ = self.room
        memcpy(&self.bytes_[0], text, size)
        h = hx_murmur3(&self.bytes_[0], <uint32_t>size)
        column = hx_hash_column(h, self.n_features)
        if self.alternate and h >> 31:
            value = -value
        if self.count == self.v.shape[0]:
            self.values = np.concatenate([self.values, np.empty_like(self.values)])
            self.indices = np.concatenate([self.indices, np.empty_like(self.indices)])
            self.v, self.idx = self.values, self.indices
        self.v[self.count], self.idx[self.count] = <float>value, <int32_t>column
        self.count += 1
        return 0

    def rows(self):
        """Values, indices and ends of all rows; a column may occur more than once in one."""
        return (self.values[:self.count], self.indices[:self.count],
                np.array(self.ends, dtype=np.int64))


def _number(name, value):
    try:
        number = float(value if not isinstance(value, bytes) else None)
    except OverflowError:
        raise ValueError(f"feature {name!r} has a value beyond float64") from None
    except (TypeError, ValueError):
        raise TypeError(f"feature {name!r} has the value {value!r}; a number, a string or a "
                        "boolean is expected") from None
    if not isfinite(number):
        raise ValueError(f"feature {name!r} has the value {value!r}, which is not finite")
    return number
