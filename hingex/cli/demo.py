# SPDX-License-Identifier: BSD-3-Clause
"""``hingex demo``: the main job, from raw text that comes with the package to labels.

`run_demo` needs neither click nor a terminal; `demo_command`, loaded when asked for, needs click.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

STRONGEST, EXAMPLES, EXAMPLE_WORDS, DECIDING, MISTAKES = 5, 5, 6, 4, 3


def __getattr__(name: str) -> Any:
    if name == "demo_command":
        from ._demo_command import demo_command

        return demo_command
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def run_demo(
    *,
    loss: str = "squared_hinge",
    C: float = 1.0,
    tol: float = 1e-3,
    seed: int = 0,
    out: str | Path | None = "hingex_demo.png",
    progress: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Train on the texts of the bundled WordNet glosses, print what came out and draw it.

    Parameters
    ----------
    loss, C, tol
        As for `LinearSVC`.
    seed : int, default 0
        `random_state` of the fit, and which held-out definitions are shown.
    out : path or None, default "hingex_demo.png"
        The picture: a file, or a folder for hingex_demo.png; None for no picture.
    progress : bool, default False
        Show a progress bar on standard error.
    quiet : bool, default False
        Print nothing on standard output.

    Returns
    -------
    dict
        The figures that were printed; only strings, numbers, lists and dicts.

    Raises
    ------
    FileNotFoundError
        If the folder of `out` does not exist; before the fit.
    """
    from ..datasets import load_wordnet_texts
    from ..linear import LinearSVC
    from ..text import TextClassifier

    path = None if out is None else _picture_path(Path(out))
    start = perf_counter()
    texts, labels = load_wordnet_texts("train")
    held_out, true = load_wordnet_texts("test")
    loaded = perf_counter() - start
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    svc = LinearSVC(loss=loss, C=C, tol=tol, random_state=seed, verbose=progress)
    start = perf_counter()
    model = TextClassifier(svc).fit(texts, labels)
    fitted = perf_counter()
    predicted = model.predict(held_out)
    ended = perf_counter()
    linear = model.classifier_
    result = {
        "train_documents": len(texts),
        "test_documents": len(held_out),
        "megabytes": megabytes,
        "features": model.n_features_in_,
        "classes": len(model.classes_),
        "load_seconds": loaded,
        "fit_seconds": fitted - start,
        "fit_megabytes_per_second": megabytes / (fitted - start),
        "fit_documents_per_second": len(texts) / (fitted - start),
        "predict_documents_per_second": len(held_out) / (ended - fitted),
        "solver": linear.solver_,
        "epochs": linear.n_iter_,
        "converged": linear.converged_,
        "duality_gap": float(linear.duality_gap_.max()),
        "accuracy": float(np.mean(predicted == true)),
        "accuracy_of_largest_category": float(np.mean(true == _most_frequent(labels))),
        "strongest_words": strongest_words(model),
        "examples": _examples(model, held_out, true, seed),
        "mistakes": _mistakes(true, predicted),
        "picture": None,
    }
    if not quiet:
        _tell(result)
    if path is not None:
        result["picture"] = _draw(model, held_out, true, path)
        if result["picture"] and not quiet:
            print(f"\nThe gap over time and the margins are drawn in {path}")
    return result


def strongest_words(model: Any, most: int = STRONGEST) -> dict[str, list[str]]:
    """The words of highest weight for each category."""
    names = model.vectorizer_.get_feature_names_out()
    best = np.argsort(-model.classifier_.coef_, axis=1, kind="stable")[:, :most]
    return {str(label): names[row].tolist()
            for label, row in zip(model.classes_, best, strict=True)}


def _most_frequent(labels: np.ndarray) -> Any:
    names, counts = np.unique(labels, return_counts=True)
    return names[counts.argmax()]


def _examples(model: Any, texts: list[str], true: np.ndarray, seed: int) -> list[dict[str, Any]]:
    """Held-out definitions at random, with the words that decided."""
    long_enough = [i for i, text in enumerate(texts) if text.count(" ") >= EXAMPLE_WORDS - 1]
    rows = np.random.default_rng(seed).choice(long_enough, EXAMPLES, replace=False).tolist()
    told = model.explain([texts[i] for i in rows], DECIDING)
    return [
        {"text": texts[i], "category": str(true[i]), "predicted": str(why.label),
         "instead_of": str(why.other), "margin": why.margin,
         "words": [list(term) for term in why.terms]}
        for i, why in zip(rows, told, strict=True)
    ]  # fmt: skip


def _mistakes(true: np.ndarray, predicted: np.ndarray) -> list[dict[str, Any]]:
    """The most frequent pairs of true and wrongly predicted category."""
    wrong = predicted != true
    pairs, rows = np.unique(np.column_stack([true, predicted])[wrong], axis=0, return_counts=True)
    return [
        {"category": str(pairs[i, 0]), "predicted": str(pairs[i, 1]), "rows": int(rows[i])}
        for i in np.argsort(-rows, kind="stable")[:MISTAKES].tolist()
    ]


def percent_above(share: float) -> str:
    """`share` in percent with two digits, rounded up: a bound stays true as printed."""
    if share <= 0:
        return "0%"
    unit = 10.0 ** (math.floor(math.log10(100 * share)) - 1)
    return f"{math.ceil(100 * share / unit * (1 - 1e-12)) * unit:.2g}%"


def _tell(result: dict[str, Any]) -> None:
    state = "converged" if result["converged"] else "NOT converged"
    print("Which category is a noun of, by the words of its definition? (WordNet 3.0)\n")
    for name, text in {
        "definitions": f"{result['train_documents']} to train on ({result['megabytes']:.1f} MB of "
                       f"text), {result['test_documents']} held out",
        "model": f"{result['features']} words, {result['classes']} categories",
        "fit": f"{result['fit_seconds']:.2f} s from text to model: "
               f"{result['fit_megabytes_per_second']:.1f} MB/s, "
               f"{result['fit_documents_per_second']:,.0f} documents/s",
        "": f"{result['epochs']} epochs of {result['solver']}",
        "predict": f"{result['predict_documents_per_second']:,.0f} documents/s from text to "
                   "category",
        "duality gap": f"{result['duality_gap']:.2e} relative, {state}",
        "accuracy": f"{100 * result['accuracy']:.1f}% of the held-out definitions (always the "
                    f"largest category: {100 * result['accuracy_of_largest_category']:.1f}%)",
    }.items():
        print(f"{name:<11}  {text}")
    print("\nFor each category, no weights whatever lower the objective by more than "
          f"{percent_above(result['duality_gap'])}\nof its value: that is what the gap, checked "
          "over all rows, says.\n")
    print("Strongest words")
    width = max(map(len, result["strongest_words"]))
    for name, words in result["strongest_words"].items():
        print(f"  {name:<{width}}  {', '.join(words)}")
    print("\nHeld-out definitions picked at random, and the words that decided: what each adds "
          "to the\nscore of the category over that of the next best")
    for example in result["examples"]:
        said, true = example["predicted"], example["category"]
        verdict = "right" if said == true else f"wrong, it is {true}"
        words = ", ".join(f"{word} {part:+.2f}" for word, part in example["words"])
        print(f"  {_shortened(example['text'])}\n      -> {said} ({verdict}), not "
              f"{example['instead_of']}: {words or 'no known word'}")
    print("\nMost frequent mistakes on held-out definitions")
    for pair in result["mistakes"]:
        print(f"  {pair['rows']:4d} x {pair['category']} taken for {pair['predicted']}")


def _shortened(text: str, most: int = 94) -> str:
    return text if len(text) <= most else text[:most - 3].rsplit(" ", 1)[0] + " ..."


def _picture_path(out: Path) -> Path:
    path = out / "hingex_demo.png" if out.is_dir() else out
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent} for the picture: make it, or give "
                                "another --out")
    return path if path.suffix else path.with_name(path.name + ".png")


def _draw(model: Any, texts: list[str], true: np.ndarray, path: Path) -> str | None:
    """Write the picture; returns its path, or None (and says why) without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        print('\nno picture: it needs matplotlib, pip install "hingex[plot]"', file=sys.stderr)
        return None
    from .. import plot

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    plot.history(model.classifier_, ax=left)
    plot.margins(model, texts, true, ax=right)
    right.set_title(f"Margins of {len(true)} held-out definitions")
    figure.savefig(path, dpi=120)
    return str(path)
