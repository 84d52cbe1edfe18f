# SPDX-License-Identifier: BSD-3-Clause
"""Raw text to features: hingex beside scikit-learn's vectorizers, in MB of UTF-8 per second.

Documents are in memory, as a list of str, for both; each is measured in turn in one process on one
CPU. A last part has hingex with two threads.

Raw text to predictions: TextClassifier beside TfidfVectorizer and LinearSVC, both at their defaults
(squared hinge, C = 1), one fit on the training documents and labels for the test documents, once.
The part "peers" is the same beside fastText and Vowpal Wabbit: see text_peers.py.
"""

import gzip
import time
from functools import partial

from . import child, data, linear, text_peers
from .micro import in_turn

SETS = ("20news", "debian_sections", "wordnet_gloss")
PARTS = ("features", "peers")
RATIOS = ("tfidf", "hashing")  # which have targets, see summary.py
CASES = {  # name -> what is measured
    "tfidf": "TextVectorizer.fit_transform (TfidfVectorizer)",
    "transform": "   transform",
    "hashing": "hashing (HashingVectorizer)",
    "bigrams": "n-grams (1, 2), fit_transform",
    "chars": "characters in words, n-grams (2, 4), fit_transform",
}
LONG = ("bigrams", "chars")  # once for the other library
ALONE = {"fit": "fit alone", "buffer": "fit_transform of read_tsv's Texts",
         "read": "read_tsv, unpacked file"}  # fmt: skip


def run(sets, repeats, out, parts=PARTS):
    if "features" in parts:
        _run_features(sets, repeats, out)
    if "peers" in parts:
        for name in sets:
            print(f"{name}, raw text to predictions:", flush=True)
            text_peers.run(name, repeats, out)


def _run_features(sets, repeats, out):
    figures = {"area": "text", "run": time.strftime("%Y-%m-%dT%H:%M:%S")}
    for name in sets:
        found, code = child.run("bench.text", {"set": name, "repeats": repeats, "threads": 1}, 1)
        if code or not found:
            raise RuntimeError(f"text, {name}: the process ended with {code}")
        one = found[0]
        found, code = child.run("bench.text", {"set": name, "repeats": repeats, "threads": 2}, 2)
        two = found[0] if found and not code else {}
        figures[name] = one | {"two_threads": two.get("two_threads")}
        print(f"{name}: {one['documents']} documents, {one['megabytes']:.1f} MB"
              + ("" if one["real"] else ", synthetic"))
        for key, what in CASES.items():
            print(f"  {what:52s} {one[key]:8.1f} MB/s, scikit-learn {one[key + '_sklearn']:6.1f}: "
                  f"{one[key] / one[key + '_sklearn']:5.1f}x")
        for key, what in ALONE.items():
            print(f"  {what:52s} {one[key]:8.1f} MB/s")
        for key, (alone, both) in (figures[name]["two_threads"] or {}).items():
            print(f"  {CASES[key].strip():52s} {alone:8.1f} MB/s, two threads {both:8.1f}: "
                  f"{both / alone:5.2f}x", flush=True)  # fmt: skip
        print(f"  raw text to predictions: {one['whole']:.2f} s, accuracy {one['accuracy']:.4f}; "
              f"scikit-learn {one['whole_sklearn']:.2f} s, {one['accuracy_sklearn']:.4f}: "
              f"{one['whole_sklearn'] / one['whole']:5.1f}x", flush=True)  # fmt: skip
    figures["whole_ratio"] = min(
        figures[s]["whole_sklearn"] / figures[s]["whole"] for s in sets)
    figures["whole_loss"] = max(
        figures[s]["accuracy_sklearn"] - figures[s]["accuracy"] for s in sets)
    for key in RATIOS:
        figures[f"{key}_ratio"] = min(figures[s][key] / figures[s][f"{key}_sklearn"] for s in sets)
    linear.append(out, [figures])


def documents(name):
    """(list of str, whether they are real)."""
    path = data.folder() and data.folder() / name / "train.tsv.gz"
    if path and path.exists():
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
            lines = [line.rstrip("\n").split("\t")[1] for line in file]
        return [line.replace(r"\n", "\n").replace(r"\t", "\t") for line in lines], True
    X, _, _ = data.load(name)
    words = [f"{'wxyz'[j % 4]}{j:x}" for j in range(X.shape[1])]
    return [" ".join(words[j] for j in X.indices[a:b])
            for a, b in zip(X.indptr[:-1], X.indptr[1:], strict=True)], False  # fmt: skip


def labelled(name, split):
    """(list of str, labels); synthetic where there is no data."""
    path = data.folder() and data.folder() / name / f"{split}.tsv.gz"
    if path and path.exists():
        from hingex.text import read_tsv

        texts, labels = read_tsv(path, escapes=True)
        return list(texts), labels
    texts, _ = documents(name)
    return texts, data.load(name)[1][:len(texts)]


def _whole(name):
    """Seconds and accuracies of both, from raw text to predictions."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    from hingex.text import TextClassifier

    train, y = labelled(name, "train")
    test, true = labelled(name, "test")
    found = {}
    for key, model in (("", TextClassifier()),
                       ("_sklearn", make_pipeline(TfidfVectorizer(), LinearSVC()))):
        start = time.perf_counter()
        predicted = model.fit(train, y).predict(test)
        found[f"whole{key}"] = time.perf_counter() - start
        found[f"accuracy{key}"] = float((predicted == true).mean())
    return found


def main():
    """In the child."""
    import tempfile
    from pathlib import Path

    from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer

    from hingex.text import TextVectorizer, read_tsv

    emit = child.emitter()
    spec = child.arguments()
    texts, real = documents(spec["set"])
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    repeats = max(3, spec["repeats"])
    options = {
        "tfidf": {}, "transform": {}, "hashing": {}, "bigrams": {"ngram_range": (1, 2)},
        "chars": {"analyzer": "char_wb", "ngram_range": (2, 4)},
    }  # fmt: skip

    def ours(key, n_jobs):
        if key == "hashing":
            return TextVectorizer("hashing", use_idf=False, n_jobs=n_jobs).transform
        vectorizer = TextVectorizer(n_jobs=n_jobs, **options[key])
        return vectorizer.fit(texts).transform if key == "transform" else vectorizer.fit_transform

    def theirs(key):
        if key == "hashing":
            return HashingVectorizer().transform
        vectorizer = TfidfVectorizer(**options[key])
        return vectorizer.fit(texts).transform if key == "transform" else vectorizer.fit_transform

    if spec["threads"] == 2:
        found = {}
        for key in CASES:
            seconds = in_turn([partial(ours(key, n), texts) for n in (1, 2)], repeats)
            found[key] = [megabytes / s for s in seconds]
        emit({"two_threads": found})
        return
    figures = {"documents": len(texts), "megabytes": megabytes, "real": real}
    for key in CASES:
        if key in LONG:
            (a,) = in_turn([partial(ours(key, 1), texts)], repeats)
            start = time.perf_counter()
            theirs(key)(texts)
            b = time.perf_counter() - start
        else:
            a, b = in_turn([partial(f, texts) for f in (ours(key, 1), theirs(key))], repeats)
        figures |= {key: megabytes / a, f"{key}_sklearn": megabytes / b}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.tsv"
        path.write_text("".join("0\t" + text.replace("\n", r"\n").replace("\t", r"\t")
                                .replace("\r", r"\r") + "\n" for text in texts),
                        encoding="utf-8", newline="\n")  # fmt: skip
        buffer, _ = read_tsv(path)
        calls = {"fit": partial(TextVectorizer(n_jobs=1).fit, texts),
                 "buffer": partial(TextVectorizer(n_jobs=1).fit_transform, buffer),
                 "read": partial(read_tsv, path)}  # fmt: skip
        for key, call in calls.items():
            (a,) = in_turn([call], repeats)
            figures[key] = megabytes / a
    emit(figures | _whole(spec["set"]))
