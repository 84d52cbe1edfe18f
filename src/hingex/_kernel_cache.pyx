# SPDX-License-Identifier: BSD-3-Clause
"""Kernel rows that are kept: float32 in a budget of bytes, the least recently used go first."""
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

import numpy as np

cdef enum:
    LINE = 16       # floats; rows begin where lines of the processor's cache do


cdef class RowCache:
    """Rows of the kernel of n examples with those that are active.

    Columns are the active examples in their order. Where fewer are active, rows become shorter
    and more of them fit; where more are, they all are forgotten.

    Parameters
    ----------
    n : int
        Examples.
    budget : size_t
        Bytes; too few for a row is no error, and keeps none.
    """

    def __init__(self, int64_t n, size_t budget):
        self.budget = budget
        self.slot_of = np.full(n, -1, dtype=np.int32)
        self.memory = np.empty(0, dtype=np.float32)
        self.owner = self.last = np.empty(0, dtype=np.int64)
        self.width = 0

    cdef void clear(self):
        """Forget all rows."""
        cdef int64_t k
        for k in range(self.used):
            self.slot_of[self.owner[k]] = -1
        self.used = 0
        self.width = 0

    cdef int _lay_out(self, int64_t columns) except -1:
        cdef int64_t width = (columns + LINE - 1) // LINE * LINE
        cdef size_t slots = min(self.budget // (width * sizeof(float)),
                                <size_t>self.slot_of.shape[0])
        if self.memory.shape[0] == 0 and slots > 0:
            # As much as can ever be used; pages that are not touched take no memory.
            n = self.slot_of.shape[0]
            most = min(self.budget // sizeof(float), n * (n + LINE))
            raw = np.empty(most + LINE, dtype=np.float32)
            skip = -raw.ctypes.data % 64 // 4
            self.memory = raw[skip:]
        owner, last = np.empty(slots, dtype=np.int64), np.zeros(slots, dtype=np.int64)
        if self.used:
            owner[:self.used] = np.asarray(self.owner)[:self.used]
            last[:self.used] = np.asarray(self.last)[:self.used]
        self.owner, self.last = owner, last
        self.width, self.slots = width, slots
        return 0

    cdef int place(self, const int64_t *rows, int64_t count, int64_t columns, float **lines,
                   char *ready) except -1:
        """Where the row of each example is, or is to be put; NULL where there is no room.

        ready[k] tells whether it is there. Rows that are asked for together are all kept.
        """
        cdef int64_t k, before = self.clock, missing = 0, spare, take = 0
        cdef int32_t slot
        cdef const int64_t[::1] oldest
        if self.width == 0:
            self._lay_out(columns)
        for k in range(count):
            slot = self.slot_of[rows[k]]
            ready[k] = slot >= 0
            lines[k] = NULL
            if slot >= 0:
                self.clock += 1
                self.last[slot] = self.clock
                lines[k] = &self.memory[slot * self.width]
            else:
                missing += 1
        spare = min(missing, self.slots - self.used)
        oldest = np.empty(0, dtype=np.int64)
        if missing > spare and self.used > 0:
            ages = np.asarray(self.last)[:self.used]
            order = np.arange(self.used)
            if missing - spare < self.used:
                order = np.argpartition(ages, missing - spare - 1)[:missing - spare]
            order = order[ages[order] <= before]
            oldest = order[np.argsort(ages[order])]
        for k in range(count):
            if ready[k]:
                continue
            if spare > 0:
                slot = <int32_t>self.used
                self.used += 1
                spare -= 1
            elif take < oldest.shape[0]:
                slot = <int32_t>oldest[take]
                self.slot_of[self.owner[slot]] = -1
                take += 1
            else:
                continue
            self.clock += 1
            self.last[slot], self.owner[slot] = self.clock, rows[k]
            self.slot_of[rows[k]] = slot
            lines[k] = &self.memory[slot * self.width]
        return 0

    cdef int narrow(self, const int64_t *kept, int64_t count) except -1:
        """Leave the columns at the positions `kept`, which ascend."""
        cdef int64_t width = (count + LINE - 1) // LINE * LINE, slot, k
        cdef float *to
        cdef const float *from_
        if self.width == 0 or self.slots == 0:
            self.width = 0
            return 0
        with nogil:
            for slot in range(self.used):
                from_ = &self.memory[slot * self.width]
                to = &self.memory[slot * width]
                for k in range(count):
                    to[k] = from_[kept[k]]
                memset(to + count, 0, (width - count) * sizeof(float))
        self._lay_out(count)
        return 0
