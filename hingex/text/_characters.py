# SPDX-License-Identifier: BSD-3-Clause
"""What this Python says about characters, for the kernels, and words to leave out."""

from __future__ import annotations

import re
from functools import cache

import numpy as np

_CODES = 0x110000
_SURROGATES = range(0xD800, 0xE000)
_BLOCK = 256


@cache
def characters() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Properties of all code points, as core/text.h has them; made in about 40 ms.

    Asked are `re` and `str.lower` themselves, so that words, white space and lower case are those
    of the running version's ``\w``, ``\s`` and ``lower``.

    Returns
    -------
    flags : ndarray (0x110000,) of uint8
        1 in words, 2 white space, 4 changed by lower().
    upper : ndarray of uint32
        The latter, ascending.
    lower : ndarray of uint64
        Their lower case: UTF-8 (32 bits, first byte lowest), its length (8 bits), and one bit for
        each byte that is part of a character of words.
    """
    text = np.arange(_CODES, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")
    flags = np.zeros(_CODES, dtype=np.uint8)
    for flag, pattern in ((1, r"\w+"), (2, r"\s+")):
        for run in re.finditer(pattern, text):
            flags[run.start():run.end()] |= flag
    upper, lower = [], []
    for start in range(0, _CODES, _BLOCK):
        block = text[start:start + _BLOCK]
        if start in _SURROGATES or block.lower() == block:
            continue
        for code, char in enumerate(block, start):
            small = char.lower()
            if small == char:
                continue
            encoded = small.encode()
            bits = at = 0
            for one in small:
                width = len(one.encode())
                if flags[ord(one)] & 1:
                    bits |= ((1 << width) - 1) << at
                at += width
            if len(encoded) > 4 or (2 * len(encoded) > 3 * len(char.encode()) and code > 0x7F):
                raise RuntimeError(f"lower case of U+{code:04X} is too long for the kernels")
            upper.append(code)
            lower.append(int.from_bytes(encoded, "little") | len(encoded) << 32 | bits << 40)
    flags[upper] |= 4
    return flags, np.array(upper, dtype=np.uint32), np.array(lower, dtype=np.uint64)


# The commonest function words of English: articles, pronouns, prepositions, conjunctions,
# auxiliary verbs, some adverbs of degree, and what an apostrophe leaves of "don't" or "we'll".
# Models that were saved rely on this list: it does not change.
_WORDS = """
    a an the this that these those
    i me my mine myself we us our ours ourselves you your yours yourself yourselves
    he him his himself she her hers herself it its itself they them their theirs themselves
    who whom whose which what one someone something anyone anything everyone everything
    and or but nor so yet if then else because while although though unless until since whether
    of at by for with without about against between among into through during before after above
    below to from up down in out on off over under upon within toward towards per via as than
    am is are was were be been being have has had having do does did doing done
    can could will would shall should may might must ought
    not no only own same such too very just also even still again ever never once
    here there where when why how all any both each few more most other some many much
    another either neither every several rather quite
    don doesn didn isn aren wasn weren hasn haven hadn won wouldn shouldn couldn
    ll ve re
"""
ENGLISH = tuple(_WORDS.split())
