# SPDX-License-Identifier: BSD-3-Clause
"""``hingex train``."""

import math
import os
from time import perf_counter
from typing import Any

import click

from ..solvers import SCHEMES, SOLVERS, check_solver
from ._common import (
    POSITIVE,
    Lines,
    Progress,
    certificate,
    check_output,
    check_target,
    data_options,
    gap_text,
    json_option,
    limit_options,
    print_json,
    print_table,
    quiet_option,
    read_data,
)


def _class_weight(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> Any:
    if not values:
        return None
    if values == ("balanced",):
        return "balanced"
    weights = {}
    for value in values:
        label, equals, weight = value.partition("=")
        try:
            number = float(label)
            if not equals or not math.isfinite(number):
                raise ValueError
            key = int(number) if number.is_integer() else number
            weights[key] = float(weight)
        except ValueError:
            raise click.BadParameter(f"{value!r} is neither \"balanced\" nor LABEL=WEIGHT, such as "
                                     "-1=2.5; \"balanced\" stands alone") from None
    if len(weights) < len(values):
        raise click.BadParameter("a label occurs twice")
    return weights


@click.command("train")
@click.argument("train")
@click.argument("model", type=click.Path())
@click.option("--loss", type=click.Choice(["squared_hinge", "hinge"]), default="squared_hinge",
              show_default=True)
@click.option("-C", "--cost", type=POSITIVE, default=1.0, show_default=True, metavar="C",
              help="Weight of the loss against the penalty.")
@click.option("--multi-class", type=click.Choice(SCHEMES), default="ovr", show_default=True,
              help="More than two classes: each against the rest, or one problem for all.")
@click.option("--solver", type=click.Choice(["auto", *SOLVERS]), default="auto", show_default=True,
              help="\"auto\" takes the one that suits the data.")
@click.option("--tol", type=POSITIVE, default=1e-3, show_default=True, metavar="GAP",
              help="Relative duality gap to reach.")
@click.option("--intercept", type=click.Choice(["unregularized", "regularized"]),
              default="unregularized", show_default=True,
              help="\"regularized\" is LIBLINEAR's constant feature.")
@click.option("--no-intercept", is_flag=True, help="Hyperplanes through the origin.")
@click.option("--intercept-scaling", type=POSITIVE, default=1.0, show_default=True, metavar="S",
              help="Value of the constant feature of a regularized intercept.")
@click.option("--class-weight", multiple=True, callback=_class_weight, metavar="LABEL=WEIGHT",
              help="Factor of C for the rows of a class (repeatable), or \"balanced\".")
@limit_options
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=None, metavar="N",
              help="Order in which rows are visited (default: always the same).")
@click.option("--n-features", type=click.IntRange(min=1), default=None, metavar="D",
              help="Features of the model (default: the highest index in TRAIN).")
@data_options
@click.option("--liblinear", is_flag=True, help="Write LIBLINEAR's text format.")
@json_option
@quiet_option
def train_command(
    train: str,
    model: str,
    *,
    loss: str,
    cost: float,
    multi_class: str,
    solver: str,
    tol: float,
    intercept: str,
    no_intercept: bool,
    intercept_scaling: float,
    class_weight: Any,
    max_iter: int,
    max_time: float | None,
    seed: int | None,
    n_features: int | None,
    zero_based: bool | None,
    n_jobs: int | None,
    liblinear: bool,
    as_json: bool,
    quiet: bool,
    **reading: Any,
) -> None:
    """Train a linear SVM on the svmlight file TRAIN and write it to MODEL.

    An older model in MODEL is replaced only once the new one is complete; any other file is kept,
    and an error. A fit that ends before --tol is reached
    is written too, with a warning and exit code 0. MODEL keeps where feature indices of TRAIN
    start, for `hingex predict` and `hingex evaluate`.
    """
    progress = Progress(quiet)
    check_solver(solver, loss, multi_class)
    check_output(model, TRAIN=train)
    check_target(model)
    if liblinear and zero_based:
        raise click.UsageError("LIBLINEAR counts features from 1, and its files cannot say "
                               "otherwise: leave out --liblinear or --zero-based")
    X, y = read_data(train, n_features=n_features, zero_based=bool(zero_based), n_jobs=n_jobs,
                     progress=progress, **reading)

    from ..linear import LinearSVC
    from ..model_io import save_liblinear

    svm = LinearSVC(
        loss=loss, C=cost, multi_class=multi_class, solver=solver, tol=tol,
        fit_intercept=not no_intercept, intercept=intercept,
        intercept_scaling=intercept_scaling, class_weight=class_weight, max_iter=max_iter,
        max_time=max_time, n_jobs=n_jobs, random_state=seed, verbose=progress.terminal,
        callback=None if quiet or progress.terminal else Lines(progress),
    )  # fmt: skip
    start = perf_counter()
    svm.fit(X, y)
    seconds = perf_counter() - start
    # The file is for other machines and moments: how this run was shown is no part of it.
    svm.set_params(verbose=False, callback=None, n_jobs=None)
    svm.reading_ = {"format": "svmlight", "zero_based": bool(zero_based)}
    if liblinear:
        save_liblinear(svm, model)
    else:
        svm.save(model)

    facts = certificate(svm)
    if as_json:
        print_json({
            "command": "train", "data": train, "model": model, "bytes": os.path.getsize(model),
            "format": "liblinear" if liblinear else "hingex", "rows": len(y),
            "features": svm.n_features_in_, "classes": len(svm.classes_), **facts,
            "seconds": seconds,
        })  # fmt: skip
    elif not quiet:
        print_table({
            "trained": f"{len(y)} rows, {svm.n_features_in_} features, "
                       f"{len(svm.classes_)} classes",
            "epochs": f"{facts['n_iter']} in {seconds:.2f} s",
            "gap": gap_text(facts),
            "objective": f"{facts['primal_objective']:.10g}",
            "model": f"{model} ({os.path.getsize(model)} bytes)",
        })  # fmt: skip
