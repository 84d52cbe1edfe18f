# SPDX-License-Identifier: BSD-3-Clause
"""``hingex demo``: the main job on real text that comes with the package.

`run_demo` needs neither click nor a terminal; `demo_command`, loaded when asked for, needs click.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

STRONGEST, EXAMPLES, EXAMPLE_WORDS, MISTAKES = 5, 5, 6, 3


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
    """Train on the bundled WordNet glosses, print what came out and draw it.

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
    from ..datasets import load_wordnet_glosses
    from ..linear import LinearSVC

    path = None if out is None else _picture_path(Path(out))
    start = perf_counter()
    train, test = load_wordnet_glosses("train"), load_wordnet_glosses("test")
    loaded = perf_counter() - start
    model = LinearSVC(loss=loss, C=C, tol=tol, random_state=seed, verbose=progress)
    start = perf_counter()
    model.fit(train.X, train.y)
    seconds = perf_counter() - start
    predicted = model.predict(test.X)
    result = {
        "train_rows": train.X.shape[0],
        "test_rows": test.X.shape[0],
        "features": train.X.shape[1],
        "nonzeros": int(train.X.nnz),
        "classes": len(train.target_names),
        "load_seconds": loaded,
        "fit_seconds": seconds,
        "solver": model.solver_,
        "epochs": model.n_iter_,
        "converged": model.converged_,
        "duality_gap": float(model.duality_gap_.max()),
        "accuracy": float(np.mean(predicted == test.y)),
        "accuracy_of_largest_category":
            float(np.mean(test.y == np.bincount(train.y).argmax())),
        "strongest_words": strongest_words(model, train),
        "examples": _examples(test, predicted, seed),
        "mistakes": _mistakes(test, predicted),
        "picture": None,
    }
    if not quiet:
        _tell(result)
    if path is not None:
        result["picture"] = _draw(model, test, path)
        if result["picture"] and not quiet:
            print(f"\nThe gap over time and the margins are drawn in {path}")
    return result


def strongest_words(model: Any, data: Any, most: int = STRONGEST) -> dict[str, list[str]]:
    """The words of highest weight for each category."""
    best = np.argsort(-model.coef_, axis=1, kind="stable")[:, :most]
    return {
        data.target_names[label]: data.feature_names[best[k]].tolist()
        for k, label in enumerate(model.classes_.tolist())
    }


def _examples(test: Any, predicted: Any, seed: int) -> list[dict[str, Any]]:
    """Held-out definitions at random, with their words of highest tf-idf first."""
    long_enough = np.flatnonzero(np.diff(test.X.indptr) >= EXAMPLE_WORDS)
    found = []
    for row in np.random.default_rng(seed).choice(long_enough, EXAMPLES, replace=False):
        x = test.X[row]
        best = np.argsort(-x.data, kind="stable")[:EXAMPLE_WORDS]
        found.append({
            "words": test.feature_names[x.indices[best]].tolist(),
            "category": test.target_names[test.y[row]],
            "predicted": test.target_names[predicted[row]],
        })
    return found


def _mistakes(test: Any, predicted: Any) -> list[dict[str, Any]]:
    """The most frequent pairs of true and wrongly predicted category."""
    wrong = predicted != test.y
    k = len(test.target_names)
    pairs = np.bincount(test.y[wrong] * k + predicted[wrong], minlength=k * k)
    return [
        {"category": test.target_names[pair // k], "predicted": test.target_names[pair % k],
         "rows": int(pairs[pair])}
        for pair in np.argsort(-pairs, kind="stable")[:MISTAKES].tolist()
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
        "definitions": f"{result['train_rows']} to train on, {result['test_rows']} held out",
        "matrix": f"{result['features']} words, {result['nonzeros']} nonzeros, "
                  f"{result['classes']} categories",
        "fit": f"{result['fit_seconds']:.2f} s, {result['epochs']} epochs of "
               f"{result['solver']}",
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
    print("\nHeld-out definitions picked at random, by their most distinctive words")
    for example in result["examples"]:
        said, true = example["predicted"], example["category"]
        verdict = "right" if said == true else f"wrong, it is {true}"
        print(f"  {', '.join(example['words'])}\n      -> {said} ({verdict})")
    print("\nMost frequent mistakes on held-out definitions")
    for pair in result["mistakes"]:
        print(f"  {pair['rows']:4d} x {pair['category']} taken for {pair['predicted']}")


def _picture_path(out: Path) -> Path:
    path = out / "hingex_demo.png" if out.is_dir() else out
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent} for the picture: make it, or give "
                                "another --out")
    return path if path.suffix else path.with_name(path.name + ".png")


def _draw(model: Any, test: Any, path: Path) -> str | None:
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
    plot.history(model, ax=left)
    plot.margins(model, test.X, test.y, ax=right)
    right.set_title(f"Margins of {len(test.y)} held-out definitions")
    figure.savefig(path, dpi=120)
    return str(path)
