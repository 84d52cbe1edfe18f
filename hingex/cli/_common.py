# SPDX-License-Identifier: BSD-3-Clause
"""What the commands share: options, reading of data, output."""

import math
import os
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import click

from .._open import MAX_LINE_BYTES, is_one_line, opened
from .._reading import kept

_MAX_JOBS = 1024
_LIBLINEAR = b"solver_type "  # the start of LIBLINEAR's files
POSITIVE = click.FloatRange(min=0, min_open=True)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object on standard output."
)
quiet_option = click.option(
    "-q", "--quiet", is_flag=True, help="No progress on standard error; warnings stay."
)


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where a fit ends before --tol is reached: the warning then says to raise these."""
    for option in reversed((
        click.option("--max-iter", type=click.IntRange(min=1), default=1000, show_default=True,
                     metavar="N", help="Epochs."),
        click.option("--max-time", type=POSITIVE, default=None, metavar="SECONDS",
                     help="Stop fitting after this time, with the gap reached by then."),
    )):  # fmt: skip
        command = option(command)
    return command


line_option = click.option(
    "--max-line-bytes", type=click.IntRange(min=1), default=MAX_LINE_BYTES, show_default=True,
    metavar="N", help="Longer lines are an error, so that a small compressed file cannot fill the "
                      "memory.")  # fmt: skip


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options for how a data file is read."""
    for option in reversed((
        click.option("--zero-based/--one-based", "zero_based", default=None,
                     help="Where feature indices start (default: at 1 when training, else as the "
                          "file that MODEL was trained on)."),
        click.option("--float32/--float64", "float32", default=False,
                     help="Precision of feature values in memory (default: 64 bits)."),
        click.option("-j", "--n-jobs", type=int, default=None, metavar="N",
                     callback=_check_jobs, help="Threads (default: the CPUs available)."),
        line_option,
    )):  # fmt: skip
        command = option(command)
    return command


def _check_jobs(_: click.Context, __: click.Parameter, value: int | None) -> int | None:
    if value is not None and (value == 0 or value > _MAX_JOBS):
        raise click.BadParameter(f"{value} threads cannot work; 1 to {_MAX_JOBS}, or -1 for all "
                                 "CPUs")
    return value


class Progress:
    """Lines on standard error that tell what goes on, unless --quiet."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.terminal = not quiet and sys.stderr.isatty()

    def say(self, text: str) -> None:
        if not self.quiet:
            click.echo(text, err=True)


class Lines:
    """Callback that prints the state of the fit, at growing intervals, where no bar can be."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.next = 1.0

    def __call__(self, state: Any) -> bool:
        if state.seconds >= self.next:
            self.next = state.seconds * 1.5
            about = "" if state.certified else "~"
            self.progress.say(f"epoch {state.epoch}: gap {about}{state.gap:.2e}, "
                              f"{state.seconds:.1f} s")
        return False


def check_target(path: str) -> None:
    """Fail before the work, not after it, and keep files that are no models."""
    from ..model_io import MAGIC

    folder = os.path.dirname(os.path.realpath(path))
    if os.path.isdir(path):
        raise ValueError(f"{path} is a folder; name a file for the model")
    if not os.path.isdir(folder):
        raise ValueError(f"{path}: there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"{path}: no right to write in {folder}")
    if os.path.isfile(path) and os.path.getsize(path):
        with open(path, "rb") as file:
            start = file.read(len(_LIBLINEAR))
        if not start.startswith(MAGIC) and start != _LIBLINEAR:
            raise ValueError(f"{path} exists and is no model: it is not replaced; name another "
                             "file for the model, or delete this one")


def load_predictor(path: str) -> Any:
    """The model for svmlight rows in a model file; ValueError if it holds something else."""
    from ..model_io import load

    model = load(path)
    part = scored_part(model)
    name = type(model).__name__ + ("" if part is model else f" of a {type(part).__name__}")
    of_text, of_words = hasattr(part, "vectorizer_"), hasattr(model, "transitions_")
    if of_text or of_words or not hasattr(model, "predict"):
        hint = f"; use `hingex {'text' if of_text else 'tag'}`" if of_text or of_words else ""
        raise ValueError(f"{path}: holds a {name}, which is no model of svmlight rows{hint}")
    if getattr(part, "kernel", None) == "precomputed":
        raise ValueError(f"{path}: holds a {name} with kernel='precomputed', for which rows of "
                         "features are no input; use it from Python")
    return model


def scored_part(model: Any) -> Any:
    """What gives the scores: of a CalibratedClassifier its estimator, else the model itself."""
    return model.estimator_ if is_calibrated(model) else model


def is_calibrated(model: Any) -> bool:
    """Whether the predictions come from calibrated probabilities, and not from scores."""
    return hasattr(model, "calibrators_")


def is_multilabel(model: Any) -> bool:
    """Whether it was fitted on an indicator matrix, so that a row has a set of labels."""
    return "multilabel_" in vars(getattr(model, "classifier_", model))


def set_jobs(model: Any, n_jobs: int | None) -> None:
    """Let so many threads predict, in whatever part of the model has such a parameter."""
    if "n_jobs" in model.get_params(deep=False):
        model.set_params(n_jobs=n_jobs)
    for name in ("estimator_", "classifier_", "vectorizer_"):
        if name in vars(model):
            set_jobs(getattr(model, name), n_jobs)


def is_kernel_model(model: Any) -> bool:
    """Whether the scores are sums of kernels with support vectors."""
    return hasattr(model, "support_vectors_")


def votes_by_pairs(model: Any) -> bool:
    """Whether the class of the highest score may be another one than `predict` says."""
    return (is_kernel_model(model) and len(getattr(model, "classes_", ())) > 2
            and model.multi_class == "ovo")


def check_output(path: str, **inputs: str) -> None:
    """Refuse to write to a file that is read: inputs maps its name in the usage to its path."""
    if not os.path.isfile(path):
        return
    target = os.stat(path)
    for name, source in inputs.items():
        try:
            same = os.path.samestat(target, os.fstat(0) if source == "-" else os.stat(source))
        except OSError:  # reading it will tell
            continue
        if same:
            raise ValueError(f"{path} is {name} itself and would be replaced; name another file "
                             "for the output")


def read_data(
    path: str,
    *,
    n_features: int | None,
    zero_based: bool,
    float32: bool,
    n_jobs: int | None,
    max_line_bytes: int,
    progress: Progress,
    multilabel: bool = False,
    advice: str = "give --zero-based",
) -> tuple[Any, Any]:
    """X (CSR) and y of an svmlight file; integral labels as integers.

    With `multilabel` y is a list of tuples of floats. `advice` is for files where an index 0
    occurs although indices start at 1.
    """
    from time import perf_counter

    import numpy as np

    from ..io import INDEX_ZERO_ADVICE, load_svmlight_file

    start = perf_counter()
    name = "standard input" if path == "-" else path
    try:
        X, y = load_svmlight_file(
            opened(sys.stdin.buffer, name) if path == "-" else path,
            n_features=n_features,
            dtype=np.float32 if float32 else np.float64,
            zero_based=zero_based,
            n_jobs=n_jobs,
            max_line_bytes=max_line_bytes,
            multilabel=multilabel,
        )
    except ValueError as error:
        text = str(error) if name in str(error) else f"{name}: {error}"
        raise ValueError(text.replace(INDEX_ZERO_ADVICE, "but indices start at 1 here: " + advice)
                         ) from error
    if not len(y):
        raise ValueError(f"{name}: no rows in this file")
    progress.say(f"read {name}: {len(y)} rows, {X.shape[1]} features, {X.nnz} values, "
                 f"{perf_counter() - start:.2f} s")
    if not multilabel and (np.abs(y) <= 2**53).all() and (np.floor(y) == y).all():
        y = y.astype(np.int64)
    return X, y


def convention(
    model: Any, model_path: str, form: str, key: str, given: Any, default: Any,
    options: dict[Any, str],
) -> Any:  # fmt: skip
    """How to read a file for `model`: as the one that it was trained on.

    An option that says otherwise is an error: the model would be given something else than what it
    was trained on. `options` names the option for each value. Models that do not tell (LIBLINEAR's,
    those trained in Python on arrays) leave the choice to the user.
    """
    own = kept(model, form, key)
    if own is None:
        return default if given is None else given
    if given is not None and given != own:
        raise ValueError(f"{model_path}: was trained on a file read with {options[own]}; "
                         f"{options[given]} contradicts it: leave it out")
    return own


def read_data_for(
    model: Any, model_path: str, path: str, *, zero_based: bool | None, **options: Any
) -> tuple[Any, Any]:
    """As `read_data`, with as many features as `model` has, and indices from where it had them.

    Labels are read as sets where those of the model are.
    """
    given, own = zero_based, kept(model, "svmlight", "zero_based")
    zero_based = convention(model, model_path, "svmlight", "zero_based", given, False,
                            {True: "--zero-based", False: "--one-based"})
    advice = "give --zero-based" if own is None else (
        f"number the features as in the file that {model_path} was trained on, from 1")
    X, y = read_data(path, n_features=None, zero_based=zero_based, advice=advice,
                     multilabel=is_multilabel(model), **options)
    d = model.n_features_in_
    if X.shape[1] > d:
        from_one = given and own is None and X.shape[1] == d + 1 and not (X.indices == 0).any()
        fix = ("indices seem to start at 1: leave out --zero-based" if from_one else
               "is it the model for these data? (train with --n-features to make space)")
        raise ValueError(f"{path} has {X.shape[1]} features, but {model_path} was trained on {d}: "
                         + fix)
    if X.shape[1] < d:
        X.resize((X.shape[0], d))  # features that do not occur: nothing is stored for them
    return X, y


def in_blocks(model: Any, X: Any, want_scores: bool) -> Iterator[tuple[slice, Any, Any]]:
    """(rows, scores, predictions), in bounded memory.

    Scores are (rows, columns) or (rows,), or None: of regressors, whose predictions they are, and
    where predictions do not come from scores and these are not wanted. Predictions of classifiers
    are places in `classes_`, or after a fit on an indicator matrix rows of such a matrix; others
    are values.
    """
    import numpy as np

    classes = getattr(model, "classes_", None)
    many = is_multilabel(model)
    from_scores = classes is not None and not votes_by_pairs(model) and not is_calibrated(model)
    if not hasattr(model, "decision_function"):
        want_scores = False
    step = max(1, (1 << 22) // (1 if classes is None else len(classes)))
    for start in range(0, X.shape[0], step):
        rows = slice(start, min(start + step, X.shape[0]))
        part = X if rows.stop - rows.start == X.shape[0] else X[rows]
        scores: Any = model.decision_function(part) if from_scores or want_scores else None
        if from_scores and many:
            found = scores > 0
        elif from_scores:
            found = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
        else:
            found = model.predict(part)
            if classes is not None:
                found = np.searchsorted(classes, found)
        yield rows, scores, found


def label_texts(classes: Any) -> list[str]:
    """Labels as they are printed: integral numbers without a point."""
    return [str(plain_label(label)) for label in classes.tolist()]


def label_sets(indicator: Any) -> list[list[int]]:
    """The labels of each row of an indicator matrix, dense or CSR as `predict` makes it."""
    import numpy as np

    if hasattr(indicator, "indptr"):
        return [indicator.indices[a:b].tolist() for a, b in pairwise(indicator.indptr)]
    return [np.flatnonzero(row).tolist() for row in indicator]


def set_text(labels: list[int]) -> str:
    """As the multilabel form of svmlight files has it."""
    return ",".join(map(str, labels))


def printed_labels(classes: Any, model_path: str, advice: str) -> list[str]:
    """As `label_texts`, for predictions: a line each; ValueError for labels that are no line.

    Training on files refuses such labels; models made in Python may have them.
    """
    texts = label_texts(classes)
    for text in texts:
        if not is_one_line(text) or not _is_text(text):
            raise ValueError(f"{model_path}: the class {text!a} has a name that is empty or of "
                             f"several lines, or no Unicode text; {advice}")
    return texts


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def in_a_line(text: str) -> str:
    """A label or a term inside a line: as it is, or quoted and escaped."""
    return text if is_one_line(text) and _is_text(text) else ascii(text)


def plain_label(label: Any) -> Any:
    """A label for JSON: int where integral, else as it is."""
    if isinstance(label, bytes):
        return label.decode("latin-1")
    return int(label) if isinstance(label, float) and label.is_integer() else label


def print_json(result: dict[str, Any]) -> None:
    """One JSON object on one line; what is not finite becomes null."""
    import json

    click.echo(json.dumps(_finite(result), allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(rows: dict[str, str]) -> None:
    """Aligned ``name  value`` lines."""
    width = max(map(len, rows))
    for name, value in rows.items():
        click.echo(f"{name:<{width}}  {value}")


def certificate(model: Any) -> dict[str, Any]:
    """What the fit certified; None where the file (LIBLINEAR's, LIBSVM's) does not tell."""
    import numpy as np

    model = scored_part(model)

    def reduce(name: str, how: Callable[[Any], Any]) -> Any:
        array = getattr(model, name, None)
        return None if array is None else how(array).item()

    return {
        "n_iter": reduce("n_iter_", np.sum),
        "converged": getattr(model, "converged_", None),
        "duality_gap": reduce("duality_gap_", np.max),
        "primal_objective": reduce("primal_objective_", np.sum),
        "dual_objective": reduce("dual_objective_", np.sum),
    }


def gap_text(facts: dict[str, Any]) -> str:
    if facts["duality_gap"] is None:
        return "unknown (the file does not tell)"
    state = {True: ", converged", False: ", NOT converged"}.get(facts["converged"], "")
    return f"{facts['duality_gap']:.2e} relative{state}"
