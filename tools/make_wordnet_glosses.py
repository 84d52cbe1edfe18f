# SPDX-License-Identifier: BSD-3-Clause
"""Make hingex/datasets/data/wordnet_glosses.tsv.xz from Debian's package wordnet-base.

    apt-get install wordnet-base
    python tools/make_wordnet_glosses.py

A document is the definition of a WordNet 3.0 noun synset (the gloss up to its first quoted
example; the synset's own words are not in it), its label the synset's lexicographer file. The
file has a line for each, in WordNet's order: label, tab, definition. `hingex.datasets` makes
features of it. The output is the same bytes on every run with the same liblzma.
"""

import argparse
import lzma
import re
from pathlib import Path

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
    return lzma.compress(raw, format=lzma.FORMAT_XZ, filters=filters)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--out", type=Path, default=HOME)
    args = parser.parse_args()

    names = noun_categories()
    lines = [f"{names[number]}\t{text}\n"
             for number, text in read_glosses(args.wordnet / "data.noun")]
    raw = "".join(lines).encode("ascii")  # which is what the words of features rely on
    if raw.count(b"\t") != len(lines) or raw.count(b"\n") != len(lines):
        raise SystemExit("a definition holds a tab or the end of a line")
    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / "wordnet_glosses.tsv.xz"
    file.write_bytes(pack(raw))
    (args.out / "LICENSE.wordnet").write_text(licence_text(args.wordnet / "data.noun"))
    print(f"{file}: {len(lines)} glosses, {len(raw):,} bytes, packed {file.stat().st_size:,}")


if __name__ == "__main__":
    main()
