# SPDX-License-Identifier: BSD-3-Clause
"""``hingex info``."""

import math
from collections.abc import Iterable
from typing import Any

import click

from ._common import (
    certificate,
    gap_text,
    in_a_line,
    is_calibrated,
    is_kernel_model,
    is_multilabel,
    json_option,
    label_texts,
    plain_label,
    print_json,
    print_table,
    scored_part,
)

_SHOWN = 12


@click.command("info")
@click.argument("model", type=click.Path())
@json_option
def info_command(model: str, *, as_json: bool) -> None:
    """Show what is in the file MODEL, after checking it whole."""
    from ..model_io import describe, load

    svm = load(model)
    file = describe(model)
    of_text: dict[str, Any] = {}
    classes = getattr(svm, "classes_", None)  # calibration may have more than the estimator
    calibration = _calibration(svm) if is_calibrated(svm) else {}
    svm = scored_part(svm)
    reading = getattr(svm, "reading_", None)
    if hasattr(svm, "vectorizer_"):
        of_text = {"vectorizer": " ".join(repr(svm.vectorizer_).split()),
                   **_documents(svm.vectorizer_)}  # fmt: skip
        svm = svm.classifier_
    kernel = is_kernel_model(svm)
    if not kernel and not hasattr(svm, "intercept_"):
        _show_other(svm, model, file, as_json)
        return
    read = {} if reading is None else {"reading": reading}
    facts = certificate(svm)
    own, data, course = (_of_kernel_model if kernel else _of_linear_model)(svm, facts)
    if as_json:
        labels = {} if classes is None else {
            "classes": [plain_label(label) for label in classes.tolist()],
            "multilabel": is_multilabel(svm)}  # fmt: skip
        print_json({
            "command": "info", "model": model, **file, "estimator": type(svm).__name__,
            "params": _plain(svm.get_params(deep=False)),
            **labels, "features": svm.n_features_in_, "intercept": svm.intercept_.tolist(),
            **facts, **own, **of_text, **read,
            **({"calibration": calibration} if calibration else {}),
        })  # fmt: skip
        return
    table = {
        "file": _kind(file),
        "estimator": " ".join(repr(svm).split()),
        **{name: str(value) for name, value in of_text.items()},
    }
    if calibration:
        table["calibration"] = "{method}, cv={cv}".format(**calibration)
    if classes is not None and is_multilabel(svm):
        table["labels"] = f"{len(classes)}, any number of them a row (multilabel)"
    elif classes is not None:
        table["classes"] = f"{len(classes)}: {_some(label_texts(classes))}"
    table |= {**data, "intercept": _range(svm.intercept_), "gap": gap_text(facts), **course}
    table |= _read_line(reading)
    if file.get("omitted"):
        table["not stored"] = ", ".join(file["omitted"])
    print_table(table)


def _calibration(model: Any) -> dict[str, Any]:
    """How a CalibratedClassifier turns scores into probabilities."""
    cv = model.cv if isinstance(model.cv, int) else " ".join(repr(model.cv).split())
    return {"method": model.method, "cv": cv, "random_state": model.random_state}


def _read_line(reading: dict[str, Any] | None) -> dict[str, str]:
    """How the training file was read, for the table."""
    if reading is None:
        return {}
    rest = ", ".join(f"{name} {value}" for name, value in reading.items() if name != "format")
    return {"trained on": f"{reading['format']}: {rest}"}


# Of a model: entries for JSON, and lines of the table on its data and on its fit.
_Own = tuple[dict[str, Any], dict[str, str], dict[str, str]]


def _of_linear_model(svm: Any, facts: dict[str, Any]) -> _Own:
    used = int((svm.coef_ != 0).any(axis=0).sum())
    seconds = _seconds(svm)
    own = {
        "features_used": used,
        "feature_names": getattr(svm, "feature_names_in_", None) is not None,
        "solver": getattr(svm, "solver_", None), "seconds": seconds,
    }  # fmt: skip
    course = {}
    if facts["n_iter"] is not None:
        course["epochs"] = str(facts["n_iter"])
    if seconds is not None:
        course["fit time"] = f"{seconds:.2f} s"
    if facts["primal_objective"] is not None and facts["dual_objective"] is not None:
        course["objective"] = (f"primal {facts['primal_objective']:.10g}, "
                               f"dual {facts['dual_objective']:.10g}")
    if hasattr(svm, "margin_width_"):
        course["margin width"] = _range(svm.margin_width_)
    return own, {"features": f"{svm.n_features_in_}, {used} with a nonzero weight"}, course


def _of_kernel_model(svm: Any, facts: dict[str, Any]) -> _Own:
    from ..kernels import USES

    low_rank, counts = hasattr(svm, "landmarks_"), svm.n_support_.tolist()
    numbers = {}
    if svm.kernel in USES:
        found = zip(("degree", "gamma", "coef0"), svm._kernel_numbers(), strict=True)
        numbers = {name: value for name, value in found if name in USES[svm.kernel]}
    own = {
        "kernel": {"kernel": svm.kernel, **numbers},
        "landmarks" if low_rank else "support_vectors": len(svm.support_), "n_support": counts,
    }  # fmt: skip
    by_class = f" ({_some(map(str, counts))})" if len(counts) > 1 else ""
    data = {
        "features": str(svm.n_features_in_),
        "kernel": ", ".join([svm.kernel, *(f"{k}={v:.6g}" for k, v in numbers.items())]),
        "landmarks" if low_rank else "support vectors": f"{len(svm.support_)}{by_class}",
    }
    course = {}
    if facts["n_iter"] is not None:
        course["steps"] = str(facts["n_iter"])
    if facts["dual_objective"] is not None:
        course["objective"] = f"dual {facts['dual_objective']:.10g}"
    return own, data, course


def _some(texts: Iterable[str]) -> str:
    """The first of them, in a line."""
    every = [in_a_line(text) for text in texts]
    return ", ".join(every[:_SHOWN]) + (", ..." if len(every) > _SHOWN else "")


def _kind(file: dict[str, Any]) -> str:
    kind = {
        "hingex": "hingex model, format {format_version}, by hingex {hingex}",
        "liblinear": "LIBLINEAR model, {solver_type}",
        "libsvm": "LIBSVM model, {svm_type} with kernel {kernel_type}",
    }[file["format"]].format(**file)
    return f"{kind}, {file['bytes']} bytes"


def _show_other(found: Any, model: str, file: dict[str, Any], as_json: bool) -> None:
    kinds = {"components_": _of_metric, "transitions_": _of_tagger, "calibrators_": _of_calibrated}
    of = next((of for name, of in kinds.items() if hasattr(found, name)), _of_vectorizer)
    own, lines = of(found)
    reading = getattr(found, "reading_", None)
    if reading is not None:
        own["reading"] = reading
    lines |= _read_line(reading)
    if as_json:
        print_json({
            "command": "info", "model": model, **file, "estimator": type(found).__name__,
            "params": _plain(found.get_params(deep=False)), **own,
        })  # fmt: skip
        return
    table = {"file": _kind(file), "estimator": " ".join(repr(found).split()), **lines}
    if file.get("omitted"):
        table["not stored"] = ", ".join(file["omitted"])
    print_table(table)


def _of_tagger(tagger: Any) -> tuple[dict[str, Any], dict[str, str]]:
    labels = label_texts(tagger.classes_)
    used = int((tagger.coef_ != 0).any(axis=0).sum())
    gap = tagger.duality_gap_
    own = {
        "classes": [plain_label(label) for label in tagger.classes_.tolist()],
        "features": tagger.n_features_in_, "features_used": used, "n_iter": tagger.n_iter_,
        "duality_gap": None if math.isnan(gap) else gap, "seconds": _seconds(tagger),
    }  # fmt: skip
    hashed = ", by hashing" if tagger.hashed_ else ""
    lines = {
        "classes": f"{len(labels)}: {_some(labels)}",
        "features": f"{tagger.n_features_in_}{hashed}, {used} with a nonzero weight",
        "gap": "none with this solver" if math.isnan(gap) else f"{gap:.2e}",
        "epochs": str(tagger.n_iter_),
    }  # fmt: skip
    if own["seconds"] is not None:
        lines["fit time"] = f"{own['seconds']:.2f} s"
    return own, lines


def _of_vectorizer(vectorizer: Any) -> tuple[dict[str, Any], dict[str, str]]:
    hashing = vectorizer.method == "hashing"
    features = vectorizer.n_features if hashing else len(vectorizer.term_ends_)
    documents = _documents(vectorizer)
    return {"features": features, **documents}, {
        "features": f"{features}, {'by hashing' if hashing else 'a term each'}",
        **{name: str(count) for name, count in documents.items()},
    }


def _documents(vectorizer: Any) -> dict[str, int]:
    """How many a vectorizer was fitted to; hashing without idf need not be."""
    found = vars(vectorizer)
    return {"documents": found["n_documents_"]} if "n_documents_" in found else {}


def _of_calibrated(model: Any) -> tuple[dict[str, Any], dict[str, str]]:
    labels = label_texts(model.classes_)
    own = {"classes": [plain_label(label) for label in model.classes_.tolist()]}
    return own, {"classes": f"{len(labels)}: {_some(labels)}"}


def _of_metric(metric: Any) -> tuple[dict[str, Any], dict[str, str]]:
    shape = list(metric.components_.shape)
    own = {"features": metric.n_features_in_, "components": shape, "n_iter": metric.n_iter_,
           "seconds": _seconds(metric)}  # fmt: skip
    lines = {"features": str(metric.n_features_in_), "components": " x ".join(map(str, shape)),
             "epochs": str(metric.n_iter_)}  # fmt: skip
    if own["seconds"] is not None:
        lines["fit time"] = f"{own['seconds']:.2f} s"
    return own, lines


def _range(values: Any) -> str:
    if len(values) == 1:
        return f"{values[0]:.6g}"
    return f"{values.min():.6g} to {values.max():.6g}"


def _seconds(svm: Any) -> float | None:
    history = getattr(svm, "history_", None)
    seconds = float(history["seconds"][-1]) if history is not None and len(history) else 0.0
    return seconds or None  # files tell no times, but for those of earlier versions


def _plain(value: Any) -> Any:
    """Parameters as JSON has them: keys are strings, and a loss is told by its text."""
    if isinstance(value, dict):
        return {str(plain_label(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "get_params"):
        return {"class": type(value).__name__, "params": _plain(value.get_params(deep=False))}
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)
