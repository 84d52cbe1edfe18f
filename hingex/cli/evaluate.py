# SPDX-License-Identifier: BSD-3-Clause
"""``hingex evaluate``."""

from typing import Any

import click

from ._common import (
    Progress,
    certificate,
    data_options,
    gap_text,
    in_a_line,
    in_blocks,
    is_calibrated,
    is_multilabel,
    json_option,
    label_sets,
    label_texts,
    load_predictor,
    plain_label,
    print_json,
    print_table,
    quiet_option,
    read_data_for,
    set_jobs,
    votes_by_pairs,
)


def judge(true: Any, predicted: Any, worst: int) -> dict[str, Any]:
    """Accuracy, F1, the worst classes and the most frequent confusions.

    Parameters
    ----------
    true, predicted : ndarray (n,)
        Labels of one kind, n > 0.
    worst : int
        Length of the two lists at most.

    Returns
    -------
    dict
        accuracy; f1_macro, the mean of F1 over all labels that occur in either array; f1_micro;
        worst_classes, by F1 and then by rows, each a dict of label, rows, precision, recall, f1
        (a ratio over nothing is 0); confusions, each a dict of true, predicted, rows and share
        of the rows of the true class.
    """
    import numpy as np

    labels = np.union1d(true, predicted)
    t, p = np.searchsorted(labels, true), np.searchsorted(labels, predicted)
    k = len(labels)
    hits = np.bincount(t[t == p], minlength=k)
    rows, said = np.bincount(t, minlength=k), np.bincount(p, minlength=k)
    f1 = 2 * hits / (rows + said)
    accuracy = float(hits.sum() / len(t))
    names = [plain_label(label) for label in labels.tolist()]
    wrong, counts = np.unique((t * k + p)[t != p], return_counts=True)
    top = np.lexsort((wrong, -counts))[:worst]
    return {
        "accuracy": accuracy,
        "f1_macro": float(f1.mean()),
        "f1_micro": accuracy,  # each row has one label: every miss is one false of both kinds
        "worst_classes": _worst(names, hits, rows, said, f1, worst),
        "confusions": [
            {
                "true": names[pair // k],
                "predicted": names[pair % k],
                "rows": count,
                "share": count / int(rows[pair // k]),
            }
            for pair, count in zip(wrong[top].tolist(), counts[top].tolist(), strict=True)
        ],
    }


def _worst(names: list[Any], hits: Any, rows: Any, said: Any, f1: Any, most: int) -> list[Any]:
    """The classes of the lowest F1, and of these those of the most rows, as `judge` has them."""
    import numpy as np

    return [
        {
            "label": names[i],
            "rows": int(rows[i]),
            "precision": float(hits[i] / max(said[i], 1)),
            "recall": float(hits[i] / max(rows[i], 1)),
            "f1": float(f1[i]),
        }
        for i in np.lexsort((-rows, f1))[:most].tolist()
        if f1[i] < 1
    ]


def judge_sets(true: list[Any], predicted: list[Any], n_labels: int, worst: int) -> dict[str, Any]:
    """Subset accuracy, F1, Hamming loss and the worst labels.

    Parameters
    ----------
    true, predicted : list of collections of numbers
        Labels of each row, n > 0 rows.
    n_labels : int
        Labels of the model: 0..n_labels-1. Others, in `true`, are labels that it never predicts.
    worst : int
        Length of the list at most.

    Returns
    -------
    dict
        accuracy, of whole sets; f1_macro, the mean of F1 over the labels that occur in either
        list; f1_micro, of all pairs of a row and a label; hamming, the share of these pairs that
        are wrong; worst_classes as `judge` has them. A ratio over nothing is 0.
    """
    import numpy as np

    pairs = [[(i, label) for i, row in enumerate(rows) for label in set(row)]
             for rows in (true, predicted)]
    labels = np.union1d(np.arange(n_labels), [label for pair in pairs for _, label in pair])
    counts = []
    for found in (*pairs, set(pairs[0]) & set(pairs[1])):
        places = np.searchsorted(labels, [label for _, label in found])
        counts.append(np.bincount(places.astype(np.intp), minlength=len(labels)))
    rows, said, hits = counts
    f1 = 2 * hits / np.maximum(rows + said, 1)
    some = np.flatnonzero(rows + said)
    total, right = int((rows + said).sum()), int(hits.sum())
    names = [plain_label(label) for label in labels[some].tolist()]
    return {
        "accuracy": sum(set(t) == set(p) for t, p in zip(true, predicted, strict=True)) / len(true),
        "f1_macro": float(f1[some].mean()) if len(some) else 0.0,
        "f1_micro": 2 * right / max(total, 1),
        "hamming": (total - 2 * right) / (len(true) * len(labels)),
        "worst_classes": _worst(names, hits[some], rows[some], said[some], f1[some], worst),
    }


def hinge_sum(scores: Any, codes: Any) -> float:
    """Sum of the hinge loss over rows whose true classes are `codes` (places in classes_).

    Two classes: max(0, 1 - y f) with y = +-1. More: Crammer and Singer's
    max(0, 1 + max_{j != k} s_j - s_k) for the true class k.
    """
    import numpy as np

    if scores.ndim == 1:
        return float(np.maximum(0, 1 - np.where(codes == 1, scores, -scores)).sum())
    row = np.arange(len(codes))
    own = scores[row, codes]
    others = scores.copy()
    others[row, codes] = -np.inf
    return float(np.maximum(0, 1 + others.max(axis=1) - own).sum())


@click.command("evaluate")
@click.argument("model", type=click.Path())
@click.argument("test")
@click.option("--worst", type=click.IntRange(min=0), default=5, show_default=True, metavar="N",
              help="How many of the worst classes and most frequent confusions to list.")
@data_options
@json_option
@quiet_option
def evaluate_command(
    model: str,
    test: str,
    *,
    worst: int,
    n_jobs: int | None,
    as_json: bool,
    quiet: bool,
    **reading: Any,
) -> None:
    """Judge MODEL on the labelled svmlight file TEST.

    Prints accuracy, macro and micro F1, the mean hinge loss (two classes: of y*f; more:
    Crammer-Singer's, of the margin over the best other class; not of kernel machines of several
    classes, which vote by pairs), the worst classes, the most frequent confusions, and the duality
    gap that training certified. Labels that the model does not know count as errors; the hinge loss
    leaves their rows out. Of SVR and NuSVR: R^2, and the root of the mean squared and the mean
    absolute error. Of models of several labels a row, for which TEST has label numbers from 0 with
    commas between them, or none: the share of rows with all labels right, macro and micro F1, and
    the Hamming loss, the share of wrong pairs of a row and a label.
    """
    import numpy as np

    svm = load_predictor(model)
    set_jobs(svm, n_jobs)
    reading |= {"n_jobs": n_jobs, "progress": Progress(quiet)}
    if not hasattr(svm, "classes_"):
        _evaluate_numbers(svm, model, test, as_json, **reading)
        return
    if is_multilabel(svm):
        _evaluate_sets(svm, model, test, as_json, worst, **reading)
        return
    classes = svm.classes_
    if classes.dtype.kind not in "biuf":
        raise ValueError(f"{model}: its classes are text, such as "
                         f"{in_a_line(label_texts(classes[:1])[0])}; the labels of svmlight files "
                         "are numbers")
    X, true = read_data_for(svm, model, test, **reading)
    codes = np.minimum(np.searchsorted(classes, true), len(classes) - 1)
    known = classes[codes] == true
    predicted = np.empty(len(true), dtype=np.intp)
    hinge = 0.0
    kind = None
    if not votes_by_pairs(svm) and not is_calibrated(svm):
        kind = "binary" if len(classes) == 2 else "crammer_singer"
    for rows, scores, block in in_blocks(svm, X, kind is not None):
        predicted[rows] = block
        if kind:
            hinge += hinge_sum(scores[known[rows]], codes[rows][known[rows]])
    n_known = int(known.sum())
    facts = certificate(svm)
    result = {
        "command": "evaluate", "model": model, "data": test, "rows": len(true),
        "rows_of_unknown_labels": len(true) - n_known,
        **judge(true, classes[predicted], worst),
        "hinge_kind": kind,
        "hinge": hinge / n_known if n_known and kind else None,
        "duality_gap": facts["duality_gap"], "converged": facts["converged"],
    }  # fmt: skip
    if as_json:
        print_json(result)
    else:
        _print(result, facts, is_calibrated(svm))


def _evaluate_sets(
    svm: Any, model: str, test: str, as_json: bool, worst: int, **reading: Any
) -> None:
    """What is usual for rows with any number of labels."""
    X, true = read_data_for(svm, model, test, **reading)
    predicted: list[Any] = []
    for _, _, block in in_blocks(svm, X, False):
        predicted += label_sets(block)
    known = set(range(len(svm.classes_)))
    facts = certificate(svm)
    result = {
        "command": "evaluate", "model": model, "data": test, "rows": len(true),
        "rows_of_unknown_labels": sum(not known.issuperset(labels) for labels in true),
        **judge_sets(true, predicted, len(known), worst),
        "duality_gap": facts["duality_gap"], "converged": facts["converged"],
    }  # fmt: skip
    if as_json:
        print_json(result)
        return
    table = {
        "rows": str(result["rows"]),
        "accuracy": f"{result['accuracy']:.4f} of whole sets of labels",
        "macro F1": f"{result['f1_macro']:.4f}",
        "micro F1": f"{result['f1_micro']:.4f}",
        "Hamming": f"{result['hamming']:.4f}",
        "gap": f"{gap_text(facts)} (from training)",
    }
    _print_judged(table, result)


def _evaluate_numbers(svm: Any, model: str, test: str, as_json: bool, **reading: Any) -> None:
    """R^2 and errors of a regressor."""
    import numpy as np

    if svm._estimator_type == "ranker":
        raise ValueError(f"{model}: holds a {type(svm).__name__}, whose scores are judged query by "
                         "query; use its method score, with qid, in Python")
    if svm._estimator_type != "regressor":
        raise ValueError(f"{model}: holds a {type(svm).__name__}, which knows no labels to be "
                         "judged by; `hingex predict` tells inliers (1) from outliers (-1)")
    X, true = read_data_for(svm, model, test, **reading)
    predicted = np.concatenate([found for _, _, found in in_blocks(svm, X, False)])
    error, spread = predicted - true, true - true.mean()
    facts = certificate(svm)
    total = float(spread @ spread)
    result = {
        "command": "evaluate", "model": model, "data": test, "rows": len(true),
        "r2": 1 - float(error @ error) / total if total > 0 else None,
        "root_mean_squared_error": float(np.sqrt(np.mean(error**2))),
        "mean_absolute_error": float(np.mean(np.abs(error))),
        "duality_gap": facts["duality_gap"], "converged": facts["converged"],
    }  # fmt: skip
    if as_json:
        print_json(result)
        return
    r2 = result["r2"]
    print_table({
        "rows": str(result["rows"]),
        "R^2": "the targets are all the same" if r2 is None else f"{r2:.4f}",
        "RMSE": f"{result['root_mean_squared_error']:.6g}",
        "mean |error|": f"{result['mean_absolute_error']:.6g}",
        "gap": f"{gap_text(facts)} (from training)",
    })


def _print(result: dict[str, Any], facts: dict[str, Any], calibrated: bool) -> None:
    kind = {"binary": "y*f", "crammer_singer": "Crammer-Singer"}.get(result["hinge_kind"])
    hinge = "none of the labels is known" if result["hinge"] is None else f"{result['hinge']:.6g}"
    by = "probabilities" if calibrated else "votes by pairs of classes"
    hinge = f"{hinge} ({kind})" if kind else f"not defined for {by}"
    table = {
        "rows": str(result["rows"]),
        "accuracy": f"{result['accuracy']:.4f}",
        "macro F1": f"{result['f1_macro']:.4f}",
        "micro F1": f"{result['f1_micro']:.4f}",
        "mean hinge": hinge,
        "gap": f"{gap_text(facts)} (from training)",
    }
    _print_judged(table, result)
    if result["confusions"]:
        click.echo("\nmost frequent confusions")
        for c in result["confusions"]:
            click.echo(f"{c['true']!s} taken for {c['predicted']!s}: {c['rows']} rows, "
                       f"{100 * c['share']:.1f}% of {c['true']!s}")


def _print_judged(table: dict[str, str], result: dict[str, Any]) -> None:
    """The table, and the worst classes."""
    if result["rows_of_unknown_labels"]:
        table["unknown"] = f"{result['rows_of_unknown_labels']} rows of labels that MODEL lacks"
    print_table(table)
    if result["worst_classes"]:
        click.echo("\nworst classes    rows  precision  recall      F1")
        for c in result["worst_classes"]:
            click.echo(f"{c['label']!s:<13} {c['rows']:>7}  {c['precision']:>9.4f} "
                       f"{c['recall']:>7.4f} {c['f1']:>7.4f}")
