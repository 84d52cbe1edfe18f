# SPDX-License-Identifier: BSD-3-Clause
"""Raw text to predictions: TextClassifier beside fastText and Vowpal Wabbit, on one CPU.

CPU seconds of training on all documents and of labels for the test documents, the least of the
repeats. hingex takes the texts as they are, in a list of str. The others read a file; that it is
made (words of \\w\\w+ in lower case, between spaces, the lines in random order) is told, but not
counted. fastText predicts from a list, Vowpal Wabbit from a second file and a model file, which
is read, and written without being counted.
"""

import re
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from . import child, linear

FASTTEXT = ({}, {"lr": 1.0, "epoch": 5}, {"lr": 0.5, "epoch": 25},
            {"lr": 0.5, "epoch": 5, "dim": 20}, {"lr": 1.0, "epoch": 2, "dim": 20})  # fmt: skip
VW = (  # 22 bits: few collisions of words x classes; 20: less memory
    *((f"-b 22 --oaa {{}} --loss_function {loss}", passes)
      for loss in ("hinge", "logistic") for passes in (1, 3, 10)),
    ("-b 20 --oaa {} --loss_function hinge", 1), ("-b 20 --ect {} --loss_function hinge", 1),
    ("-b 20 --ect {} --loss_function hinge", 3),
)  # fmt: skip
LONG = 3.0  # seconds, after which nothing is repeated
HEAD = ("| library, settings | seconds | accuracy | TextClassifier() is | the fastest that is as "
        "accurate is |\n|---|---|---|---|---|")


def run(name, repeats, out):
    """Measure a set in a process of its own; prints its table."""
    records, code = child.run("bench.text_peers", {"set": name, "repeats": repeats}, 1)
    if code:
        raise RuntimeError(f"text, {name}: the process ended with {code}")
    run_id = time.strftime("%Y-%m-%dT%H:%M:%S")
    linear.append(out, [r | {"area": "text_peers", "run": run_id, "set": name} for r in records])
    print(table(records), flush=True)


def table(records):
    """Rows of one set; the first record is hingex' default."""
    first = records[0]
    ours = [r for r in records if r["library"] == "hingex"]
    rows = [HEAD]
    for r in records:
        if "skipped" in r:
            rows.append(f"| {r['library']} | skipped: {r['skipped']} | | | |")
            continue
        row = f"| {r['library']} {r['settings']} | {r['cpu']:.2f} | {r['accuracy']:.4f} |"
        if r["library"] == "hingex":
            rows.append(row + " | |")
            continue
        points = 100 * (first["accuracy"] - r["accuracy"])
        own = min((s for s in ours if s["accuracy"] >= r["accuracy"]), key=lambda s: s["cpu"],
                  default=None)  # fmt: skip
        fastest = "none is" if own is None else (
            f"{r['cpu'] / own['cpu']:.1f}x as fast: {own['settings']}")
        rows.append(f"{row} {r['cpu'] / first['cpu']:.1f}x as fast, {points:+.1f} points | "
                    f"{fastest} |")
    rows.append(f"\n(the files of the other libraries: {first['files']:.2f} s)")
    return "\n".join(rows)


def vw(options, data, passes=1, cache=None):
    """A workspace that has learnt a file, or its cache."""
    from vowpalwabbit import Workspace

    more = f"--holdout_off --passes {passes} --cache_file {cache}" if cache else ""
    return Workspace(f"--quiet -d {data} {options} {more}")


def vw_predict(model, data, out):
    """The numbers that it predicts for the lines of a file."""
    from vowpalwabbit import Workspace

    Workspace(f"--quiet -t -i {model} -d {data} -p {out}").finish()
    return np.loadtxt(out)


def _hingex(train, y, test):
    from hingex import LinearSVC, PegasosClassifier
    from hingex.text import TextClassifier

    def model(classifier):
        return partial(TextClassifier(classifier).fit, train, y), None, lambda m: m.predict(test)

    yield "TextClassifier()", *model(LinearSVC(n_jobs=1))
    for loss in ("squared_hinge", "hinge"):
        for epochs in (1, 2, 5):
            yield f"Pegasos, {loss}, epochs: {epochs}", *model(PegasosClassifier(
                loss, alpha=1 / len(train), max_iter=epochs, early_stopping=None, random_state=0,
                n_jobs=1))  # fmt: skip


def _fasttext(folder, test):
    import fasttext

    lines = [text + "\n" for text in test]

    train = partial(fasttext.train_supervised, str(folder / "fasttext"), thread=1, verbose=0)

    def predict(model):
        # `model.predict` does not work with NumPy 2; this is what it calls.
        found = model.f.multilinePredict(lines, 1, 0.0, "strict")[0]
        return np.array([int(labels[0].removeprefix("__label__")) if labels else -1
                         for labels in found])  # fmt: skip

    for settings in FASTTEXT:
        told = ", ".join(f"{k} {v}" for k, v in settings.items()) or "defaults"
        yield told, partial(train, **settings), None, predict


def _vw(folder, classes):
    import vowpalwabbit  # noqa: F401 - for its ImportError

    def train(options, passes):
        cache = folder / "cache"
        cache.unlink(missing_ok=True)
        return vw(options, folder / "vw", passes, cache if passes > 1 else None)

    def predict(workspace):
        return vw_predict(folder / "model", folder / "vw_test", folder / "out") - 1

    def save(workspace):
        workspace.save(str(folder / "model"))
        workspace.finish()

    for options, passes in VW:
        told = options.format(classes)
        yield f"{told}, passes: {passes}", partial(train, told, passes), save, predict


def _measured(train, between, predict, repeats):
    """Least CPU seconds of training and predicting, without what is between; what is predicted."""
    times = []
    while len(times) < repeats and (not times or times[0] < LONG):
        start = time.process_time()
        model = train()
        spent = time.process_time() - start
        if between is not None:
            between(model)
        start = time.process_time()
        found = predict(model)
        times.append(spent + time.process_time() - start)
    return min(times), found


def main():
    """In the child."""
    from .text import labelled

    emit = child.emitter()
    spec = child.arguments()
    train, labels = labelled(spec["set"], "train")
    test, wanted = labelled(spec["set"], "test")
    names, y = np.unique(labels, return_inverse=True)
    true = np.searchsorted(names, wanted)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.process_time()
        words = re.compile(r"\w\w+").findall
        train_words, test_words = ([" ".join(words(text.lower())) for text in texts]
                                   for texts in (train, test))  # fmt: skip
        order = np.random.default_rng(0).permutation(len(y)).tolist()
        for file, form, rows in (
            ("fasttext", "__label__{} {}\n", [(y[i], train_words[i]) for i in order]),
            ("vw", "{} | {}\n", [(y[i] + 1, train_words[i]) for i in order]),
            ("vw_test", "{} | {}\n", [(1, text) for text in test_words]),
        ):
            with (folder / file).open("w", encoding="utf-8") as opened:
                opened.writelines(form.format(*row) for row in rows)
        files = time.process_time() - start
        for library, runs in (
            ("hingex", _hingex(train, y, test)),
            ("fastText", _fasttext(folder, test_words)),
            ("Vowpal Wabbit", _vw(folder, len(names))),
        ):
            try:
                for settings, *calls in runs:
                    cpu, found = _measured(*calls, spec["repeats"])
                    emit({"library": library, "settings": settings, "cpu": cpu,
                          "accuracy": float((found == true).mean()), "files": files})
            except ImportError as error:
                emit({"library": library, "skipped": str(error)})
