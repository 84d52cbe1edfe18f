# SPDX-License-Identifier: BSD-3-Clause
"""``hingex info``."""

from typing import Any

import click

from ._common import (
    certificate,
    gap_text,
    is_kernel_model,
    json_option,
    label_texts,
    plain_label,
    print_json,
    print_table,
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
    if hasattr(svm, "vectorizer_"):
        of_text = {"vectorizer": " ".join(repr(svm.vectorizer_).split()),
                   "documents": svm.vectorizer_.n_documents_}  # fmt: skip
        svm = svm.classifier_
    if is_kernel_model(svm):
        _show_kernel_model(svm, model, file, as_json)
        return
    if not hasattr(svm, "coef_"):
        _show_vectorizer(svm, model, file, as_json)
        return
    facts = certificate(svm)
    used = int((svm.coef_ != 0).any(axis=0).sum())
    if as_json:
        print_json({
            "command": "info", "model": model, **file, "estimator": type(svm).__name__,
            "params": svm.get_params(deep=False) | _plain_weights(svm.class_weight),
            "classes": [plain_label(label) for label in svm.classes_.tolist()],
            "features": svm.n_features_in_, "features_used": used,
            "feature_names": getattr(svm, "feature_names_in_", None) is not None,
            "intercept": svm.intercept_.tolist(), **facts,
            "solver": getattr(svm, "solver_", None),
            "seconds": _seconds(svm), **of_text,
        })  # fmt: skip
        return
    labels = label_texts(svm.classes_)
    shown = ", ".join(labels[:_SHOWN]) + (", ..." if len(labels) > _SHOWN else "")
    table = {
        "file": _kind(file),
        "estimator": " ".join(repr(svm).split()),
        **{name: str(value) for name, value in of_text.items()},
        "classes": f"{len(labels)}: {shown}",
        "features": f"{svm.n_features_in_}, {used} with a nonzero weight",
        "intercept": _range(svm.intercept_),
        "gap": gap_text(facts),
    }
    if facts["n_iter"] is not None:
        table["epochs"] = str(facts["n_iter"])
    seconds = _seconds(svm)
    if seconds is not None:
        table["fit time"] = f"{seconds:.2f} s"
    if facts["primal_objective"] is not None and facts["dual_objective"] is not None:
        table["objective"] = (f"primal {facts['primal_objective']:.10g}, "
                              f"dual {facts['dual_objective']:.10g}")
    if hasattr(svm, "margin_width_"):
        table["margin width"] = _range(svm.margin_width_)
    if file.get("omitted"):
        table["not stored"] = ", ".join(file["omitted"])
    print_table(table)


def _kind(file: dict[str, Any]) -> str:
    kind = {
        "hingex": "hingex model, format {format_version}, by hingex {hingex}",
        "liblinear": "LIBLINEAR model, {solver_type}",
        "libsvm": "LIBSVM model, {svm_type} with kernel {kernel_type}",
    }[file["format"]].format(**file)
    return f"{kind}, {file['bytes']} bytes"


def _show_kernel_model(svm: Any, model: str, file: dict[str, Any], as_json: bool) -> None:
    from ..kernels import USES

    facts = certificate(svm)
    classes = svm.classes_ if hasattr(svm, "classes_") else None
    low_rank = hasattr(svm, "landmarks_")
    kernel: dict[str, Any] = {"kernel": svm.kernel}
    if svm.kernel in USES:
        numbers = zip(("degree", "gamma", "coef0"), svm._kernel_numbers(), strict=True)
        kernel |= {name: value for name, value in numbers if name in USES[svm.kernel]}
    vectors = len(svm.support_)
    if as_json:
        print_json({
            "command": "info", "model": model, **file, "estimator": type(svm).__name__,
            "params": svm.get_params(deep=False) | _plain_weights(
                getattr(svm, "class_weight", None)),
            **({} if classes is None else
               {"classes": [plain_label(label) for label in classes.tolist()]}),
            "features": svm.n_features_in_, "kernel": kernel,
            "landmarks" if low_rank else "support_vectors": vectors,
            "n_support": svm.n_support_.tolist(), "intercept": svm.intercept_.tolist(), **facts,
        })  # fmt: skip
        return
    table = {"file": _kind(file), "estimator": " ".join(repr(svm).split())}
    if classes is not None:
        labels = label_texts(classes)
        table["classes"] = (f"{len(labels)}: {', '.join(labels[:_SHOWN])}"
                            + (", ..." if len(labels) > _SHOWN else ""))
    table["features"] = str(svm.n_features_in_)
    table["kernel"] = ", ".join([kernel["kernel"]] + [
        f"{name}={value:.6g}" for name, value in kernel.items() if name != "kernel"])
    counts = svm.n_support_.tolist()
    by_class = f" ({', '.join(map(str, counts[:_SHOWN]))}{', ...' * (len(counts) > _SHOWN)})"
    table["landmarks" if low_rank else "support vectors"] = str(vectors) + (
        by_class if len(counts) > 1 else "")
    table["intercept"] = _range(svm.intercept_)
    table["gap"] = gap_text(facts)
    if facts["n_iter"] is not None:
        table["steps"] = str(facts["n_iter"])
    if facts["dual_objective"] is not None:
        table["objective"] = f"dual {facts['dual_objective']:.10g}"
    if file.get("omitted"):
        table["not stored"] = ", ".join(file["omitted"])
    print_table(table)


def _show_vectorizer(vectorizer: Any, model: str, file: dict[str, Any], as_json: bool) -> None:
    hashing = vectorizer.method == "hashing"
    features = vectorizer.n_features if hashing else len(vectorizer.term_ends_)
    if as_json:
        print_json({
            "command": "info", "model": model, **file, "estimator": type(vectorizer).__name__,
            "params": vectorizer.get_params(deep=False), "features": features,
            "documents": vectorizer.n_documents_,
        })  # fmt: skip
        return
    print_table({
        "file": _kind(file),
        "estimator": " ".join(repr(vectorizer).split()),
        "features": f"{features}, {'by hashing' if hashing else 'a term each'}",
        "documents": f"{vectorizer.n_documents_}",
    })


def _range(values: Any) -> str:
    if len(values) == 1:
        return f"{values[0]:.6g}"
    return f"{values.min():.6g} to {values.max():.6g}"


def _seconds(svm: Any) -> float | None:
    history = getattr(svm, "history_", None)
    return float(history["seconds"][-1]) if history is not None and len(history) else None


def _plain_weights(weights: Any) -> dict[str, Any]:
    """JSON's keys are strings."""
    if not isinstance(weights, dict):
        return {}
    return {"class_weight": {str(plain_label(k)): v for k, v in weights.items()}}
