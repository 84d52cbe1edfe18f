# SPDX-License-Identifier: BSD-3-Clause
"""``hingex predict``."""

import os
from collections.abc import Iterator
from typing import Any

import click

from ._common import (
    Progress,
    check_output,
    data_options,
    in_blocks,
    is_calibrated,
    is_multilabel,
    json_option,
    label_sets,
    label_texts,
    load_predictor,
    plain_label,
    print_json,
    printed_labels,
    quiet_option,
    read_data_for,
    set_jobs,
    set_text,
)

_LINES = 1 << 14  # written at a time


@click.command("predict")
@click.argument("model", type=click.Path())
@click.argument("data")
@click.option("-o", "--output", type=click.Path(), default=None, metavar="OUT",
              help="File for the labels (default: standard output).")
@click.option("--decision", is_flag=True,
              help="Add the scores: one for two classes (positive means the larger label), else "
                   "one per class in the order that `hingex info` shows. (SVR predicts numbers, "
                   "which have no scores.)")
@data_options
@json_option
@quiet_option
def predict_command(
    model: str,
    data: str,
    *,
    output: str | None,
    decision: bool,
    n_jobs: int | None,
    as_json: bool,
    quiet: bool,
    **reading: Any,
) -> None:
    """Predict a label, or a number, for each row of the svmlight file DATA with MODEL.

    One per line; of a model of several labels a row, the numbers of its labels, from 0, with commas
    between them, and an empty line for a row without a label. DATA must have labels too, as the
    format demands; they are not used. With
    --json the labels (and scores) are in the object, or in OUT if that is given. An older file OUT
    is replaced once the new one is complete.
    """
    from .._files import replacing

    if output is not None:
        check_output(output, MODEL=model, DATA=data)
        if os.path.isdir(output):
            raise ValueError(f"{output} is a folder; name a file for the labels")
    progress = Progress(quiet)
    svm = load_predictor(model)
    if decision and is_calibrated(svm):
        raise ValueError(f"{model}: holds a {type(svm).__name__}, which predicts by probabilities "
                         "and not by scores; leave out --decision, or call predict_proba in Python")
    if decision and not hasattr(svm, "decision_function"):
        raise ValueError(f"{model}: holds a {type(svm).__name__}, which predicts numbers and has "
                         "no scores beside them; leave out --decision")
    set_jobs(svm, n_jobs)
    texts: list[str] = []
    if hasattr(svm, "classes_"):
        texts = label_texts(svm.classes_) if as_json and output is None else printed_labels(
            svm.classes_, model, "print predictions with --json")
    X, _ = read_data_for(svm, model, data, n_jobs=n_jobs, progress=progress, **reading)
    result: dict[str, Any] = {"command": "predict", "model": model, "data": data,
                              "rows": X.shape[0]}  # fmt: skip
    if as_json and output is None:
        found: list[Any] = []
        scores: list[Any] = []
        plain = [plain_label(label) for label in svm.classes_.tolist()] if texts else None
        for _, block, predicted in in_blocks(svm, X, decision):
            found += label_sets(predicted) if is_multilabel(svm) else [
                plain[p] if plain else p for p in predicted.tolist()]
            scores += block.tolist() if decision else []
        print_json(result | {"labels": found} | ({"decision": scores} if decision else {}))
        return
    if output is None:
        for text in _lines(svm, X, texts, decision):
            click.echo(text, nl=False)
        return
    # Pipes and devices cannot be replaced.
    plain_file = os.path.isfile(output) or not os.path.exists(output)
    with replacing(output) if plain_file else open(output, "wb") as file:
        file.writelines(text.encode() for text in _lines(svm, X, texts, decision))
    progress.say(f"wrote {output}: {X.shape[0]} predictions")
    if as_json:
        print_json(result | {"output": output})


def _lines(svm: Any, X: Any, texts: list[str], decision: bool) -> Iterator[str]:
    for rows, scores, predicted in in_blocks(svm, X, decision):
        for start in range(0, rows.stop - rows.start, _LINES):
            block = predicted[start:start + _LINES]
            names = [*map(set_text, label_sets(block))] if is_multilabel(svm) else [
                texts[p] if texts else repr(p) for p in block.tolist()]
            if decision:
                table = scores[start:start + _LINES].reshape(len(names), -1).tolist()
                names = [f"{name} {' '.join(map(repr, row))}"
                         for name, row in zip(names, table, strict=True)]
            yield "\n".join(names) + "\n"
