# SPDX-License-Identifier: BSD-3-Clause
"""Make hingex/datasets/data/wordnet_glosses.npz from Debian's package wordnet-base.

    apt-get install wordnet-base
    python tools/make_wordnet_glosses.py

A document is the definition of a WordNet 3.0 noun synset (the gloss up to its first quoted
example; the synset's own words are not in it), its label the synset's lexicographer file. Words
are runs of letters in lower case that occur in at least MIN_DOCUMENTS definitions. What is stored:
word ids ordered by frequency and then alphabet; per document its sorted ids as differences, their
counts less one, its label, and the vocabulary; all of it through LZMA. `hingex.datasets` rebuilds
the tf-idf matrix. The output is the same bytes on every run.
"""

import argparse
import lzma
import re
from collections import Counter
from pathlib import Path

import numpy as np

MIN_DOCUMENTS = 3
HOME = Path(__file__).resolve().parents[1] / "hingex" / "datasets" / "data"
LICENCE_HEAD = "The bundled glosses are taken from WordNet 3.0, under this licence:\n\n"


def noun_categories():
    """Names of the lexicographer files of nouns by number; 03 is noun.Tops (wninput(5WN))."""
    names = """Tops act animal artifact attribute body cognition communication event feeling food
        group location motive object person phenomenon plant possession process quantity relation
        shape state substance time"""
    return {3 + k: f"noun.{name}" for k, name in enumerate(names.split())}


def read_glosses(path):
    """Yield (lexicographer file number, definition) of each synset of data.noun."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):  # the licence
            continue
        head, _, gloss = line.partition(" | ")
        yield int(head.split()[1]), gloss.split('; "')[0].strip()


def licence_text(path):
    """The WordNet licence at the top of data.noun, without its line numbers."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("  "):
            break
        lines.append(re.sub(r"^ +\d+ ?", "", line).rstrip())
    return LICENCE_HEAD + "\n".join(lines) + "\n"


def pack(raw):
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "pb": 0}]
    return np.frombuffer(lzma.compress(raw, format=lzma.FORMAT_XZ, filters=filters), np.uint8)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--out", type=Path, default=HOME)
    args = parser.parse_args()

    numbers, documents = [], []
    for number, text in read_glosses(args.wordnet / "data.noun"):
        numbers.append(number)
        documents.append(Counter(re.findall(r"[a-z]+", text.lower())))
    frequency = Counter(word for document in documents for word in document)
    words = sorted((w for w, n in frequency.items() if n >= MIN_DOCUMENTS),
                   key=lambda w: (-frequency[w], w))
    place = {word: k for k, word in enumerate(words)}

    steps, counts, lengths = [], [], []
    for document in documents:
        ids = sorted(place[w] for w in document if w in place)
        steps.extend(np.diff(ids, prepend=0).tolist())
        counts.extend(min(document[words[k]], 256) - 1 for k in ids)
        lengths.append(len(ids))
    steps = np.array(steps, dtype="<u2")
    target_names = noun_categories()
    args.out.mkdir(parents=True, exist_ok=True)
    arrays = {
        # High and low bytes apart: the high ones compress far better.
        "steps": pack(steps.view(np.uint8).reshape(-1, 2).T.tobytes()),
        "counts": pack(np.array(counts, np.uint8).tobytes()),
        "lengths": pack(np.array(lengths, np.uint8).tobytes()),
        "labels": pack(np.array(numbers, np.uint8).tobytes()),
        "words": pack("\n".join(words).encode()),
        "target_names": pack("\n".join(target_names.values()).encode()),
        "shape": np.array([len(documents), len(words), len(steps)], dtype="<i8"),
    }
    file = args.out / "wordnet_glosses.npz"
    np.savez(file, **arrays)
    (args.out / "LICENSE.wordnet").write_text(licence_text(args.wordnet / "data.noun"))
    print(f"{file}: {len(documents)} glosses, {len(words)} words, {len(steps)} nonzeros, "
          f"{file.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
