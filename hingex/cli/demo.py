# SPDX-License-Identifier: BSD-3-Clause
"""``hingex demo``: the main job on real text that comes with the package."""

from pathlib import Path
from time import perf_counter
from typing import Any

import click
import numpy as np

from ._common import gap_text, json_option, print_json, print_table

STRONGEST = 5


@click.command("demo")
@click.option("--loss", type=click.Choice(["squared_hinge", "hinge"]), default="squared_hinge",
              show_default=True)
@click.option("-C", "--cost", type=click.FloatRange(min=0, min_open=True), default=1.0,
              show_default=True, metavar="C", help="Weight of the loss against the penalty.")
@click.option("--tol", type=click.FloatRange(min=0, min_open=True), default=1e-3,
              show_default=True, help="Relative duality gap to reach.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--out", type=click.Path(), default="hingex_demo.png", show_default=True,
              help="The picture: a file, or a folder for it.")
@click.option("--no-plot", is_flag=True, help="No picture.")
@json_option
def demo_command(loss: str, cost: float, tol: float, seed: int, out: str, no_plot: bool,
                 as_json: bool) -> None:
    """Train on the definitions of nouns in WordNet and tell what came out.

    The task is to tell the category of a noun (animal, food, feeling, ...) from the words of its
    definition. Data, certificate, accuracy on held-out definitions, the strongest words of each
    category and a picture are shown.
    """
    import sys

    from ..datasets import load_wordnet_glosses
    from ..linear import LinearSVC

    start = perf_counter()
    train, test = load_wordnet_glosses("train"), load_wordnet_glosses("test")
    loaded = perf_counter() - start
    model = LinearSVC(loss=loss, C=cost, tol=tol, random_state=seed,
                      verbose=not as_json and sys.stderr.isatty())
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
        "strongest_words": strongest_words(model, train),
        "picture": None,
    }
    if not as_json:
        _tell(result, model, train, test, predicted)
    if not no_plot:
        result["picture"] = _draw(model, test, Path(out))
    if as_json:
        print_json(result)
    elif result["picture"]:
        click.echo(f"\nThe gap over time and the margins are drawn in {result['picture']}")


def strongest_words(model: Any, data: Any, most: int = STRONGEST) -> dict[str, list[str]]:
    """The words of highest weight for each category."""
    best = np.argsort(-model.coef_, axis=1, kind="stable")[:, :most]
    return {
        data.target_names[label]: data.feature_names[best[k]].tolist()
        for k, label in enumerate(model.classes_.tolist())
    }


def _tell(result: dict[str, Any], model: Any, train: Any, test: Any, predicted: Any) -> None:
    click.echo("Which category is a noun of, by the words of its definition? (WordNet 3.0)\n")
    print_table({
        "definitions": f"{result['train_rows']} to train on, {result['test_rows']} held out",
        "matrix": f"{result['features']} words, {result['nonzeros']} nonzeros, "
                  f"{result['classes']} categories",
        "fit": f"{result['fit_seconds']:.2f} s, {result['epochs']} epochs of "
               f"{result['solver']}",
        "duality gap": gap_text(result),
        "accuracy": f"{100 * result['accuracy']:.1f}% of the held-out definitions",
    })
    click.echo(f"\nFor each category, no weights whatever lower the objective by more than "
               f"{100 * result['duality_gap']:.2g}%\nof its value: that is what the gap, checked "
               "over all rows, says.\n")
    click.echo("Strongest words")
    width = max(map(len, result["strongest_words"]))
    for name, words in result["strongest_words"].items():
        click.echo(f"  {name:<{width}}  {', '.join(words)}")
    click.echo("\nMost frequent mistakes on held-out definitions")
    wrong = predicted != test.y
    k = len(test.target_names)
    pairs = np.bincount(test.y[wrong] * k + predicted[wrong], minlength=k * k)
    for pair in np.argsort(-pairs, kind="stable")[:3]:
        true, said = divmod(int(pair), k)
        click.echo(f"  {pairs[pair]:4d} x {test.target_names[true]} taken for "
                   f"{test.target_names[said]}")


def _draw(model: Any, test: Any, out: Path) -> str | None:
    """Write the picture; returns its path, or None (and says why) without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        click.echo('\nno picture: it needs matplotlib, pip install "hingex[plot]"', err=True)
        return None
    from .. import plot

    path = out / "hingex_demo.png" if out.is_dir() else out
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    plot.history(model, ax=left)
    plot.margins(model, test.X, test.y, ax=right)
    figure.savefig(path, dpi=120)
    return str(path)
