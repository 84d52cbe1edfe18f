# SPDX-License-Identifier: BSD-3-Clause
"""``hingex text``: train, predict and explain on raw text."""

import os
import sys
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import click

from .._open import opened
from .._reading import kept
from ._common import (
    POSITIVE,
    Lines,
    Progress,
    certificate,
    check_output,
    check_target,
    convention,
    gap_text,
    in_a_line,
    is_calibrated,
    is_multilabel,
    json_option,
    label_sets,
    limit_options,
    line_option,
    plain_label,
    print_json,
    print_table,
    printed_labels,
    quiet_option,
    scored_part,
    set_jobs,
    set_text,
)

_BLOCK = 1 << 22  # bytes of lines at a time
_LOOK = 20  # lines that are looked at for labels

jobs_option = click.option("-j", "--n-jobs", type=click.IntRange(min=1), default=None, metavar="N",
                           help="Threads (default: the CPUs available).")
errors_option = click.option(
    "--decode-errors", type=click.Choice(["strict", "ignore", "replace"]), default=None,
    help="Bytes that are no UTF-8: an error that names the line (default), left out, or replaced.")


def lines_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options for how lines of texts without labels are read."""
    for option in reversed((
        click.option("--text-column", type=click.IntRange(min=0), default=None, metavar="K",
                     help="Lines have columns, with tabs between them, and texts are in this one "
                          "(default: a line is a text)."),
        click.option("--columns", type=click.IntRange(min=1), default=None, metavar="N",
                     help="With --text-column: columns of each line, of which the others are left "
                          "out (default: those up to the text, which ends with the line)."),
        click.option("--escapes/--no-escapes", default=None,
                     help=r"Take \n, \t, \r and \\ in texts for what they mean (default: as in the "
                          "file that MODEL was trained on)."),
        errors_option,
        line_option,
    )):  # fmt: skip
        command = option(command)
    return command


@click.group("text", no_args_is_help=True)
def text_group() -> None:
    """Classify raw text: UTF-8, a document per line."""


@text_group.command("train")
@click.argument("train", type=click.Path())
@click.argument("model", type=click.Path())
@click.option("--loss", type=click.Choice(["squared_hinge", "hinge"]), default="squared_hinge",
              show_default=True)
@click.option("-C", "--cost", type=POSITIVE, default=1.0, show_default=True, metavar="C",
              help="Weight of the loss against the penalty.")
@click.option("--tol", type=POSITIVE, default=1e-3, show_default=True, metavar="GAP",
              help="Relative duality gap to reach.")
@limit_options
@click.option("--analyzer", type=click.Choice(["word", "char", "char_wb"]), default="word",
              show_default=True, help="What features are made of.")
@click.option("--ngrams", type=(click.IntRange(min=1), click.IntRange(min=1)), default=(1, 1),
              show_default=True, metavar="MIN MAX", help="Sizes of n-grams.")
@click.option("--min-df", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
              help="Leave out terms of fewer documents.")
@click.option("--sublinear-tf", is_flag=True, help="1 + log(count) in the place of counts.")
@click.option("--label-column", type=click.IntRange(min=0), default=0, show_default=True,
              metavar="K")
@click.option("--text-column", type=click.IntRange(min=0), default=1, show_default=True,
              metavar="K")
@click.option("--columns", type=click.IntRange(min=1), default=None, metavar="N",
              help="Of each line, of which those that are neither label nor text are left out "
                   "(default: those up to the last of the two; the text ends with the line).")
@click.option("--escapes", is_flag=True,
              help=r"Take \n, \t, \r and \\ in texts for what they mean.")
@click.option("--test", type=click.Path(), default=None, metavar="FILE",
              help="Show the accuracy on this file, of the same columns.")
@click.option("--stream", is_flag=True,
              help="Hold only some megabytes of the file at a time: it may be of any size.")
@click.option("--checkpoint", type=click.Path(), default=None, metavar="FOLDER",
              help="With --stream: what it takes to go on after a kill.")
@errors_option
@line_option
@jobs_option
@json_option
@quiet_option
def train_command(
    train: str,
    model: str,
    *,
    loss: str,
    cost: float,
    tol: float,
    max_iter: int,
    max_time: float | None,
    analyzer: str,
    ngrams: tuple[int, int],
    min_df: int,
    sublinear_tf: bool,
    test: str | None,
    stream: bool,
    checkpoint: str | None,
    decode_errors: str | None,
    n_jobs: int | None,
    as_json: bool,
    quiet: bool,
    **reading: Any,
) -> None:
    """Train on the file TRAIN, with a tab between label and text, and write MODEL.

    The text goes up to the end of the line, if it comes last. A file compressed by gzip, bzip2, xz
    or zstd is unpacked. Labels must be such that they can be printed on a line, as predictions.
    MODEL keeps how TRAIN was read, for `hingex text predict` and `explain`. An older model in MODEL
    is replaced only once the new one is complete; any other file is kept, and an error.
    """
    from ..linear import LinearSVC
    from ..text import TextClassifier, TextVectorizer, TsvBlocks, read_tsv

    if checkpoint is not None and not stream:
        raise click.UsageError("--checkpoint is for --stream")
    progress = Progress(quiet)
    check_output(model, TRAIN=train, **({} if test is None else {"FILE": test}))
    check_target(model)
    if not stream:
        documents, labels = _read(train, reading, progress)
        size = documents.nbytes / 1e6
    held = None if test is None else read_tsv(test, **reading)

    classifier = TextClassifier(
        LinearSVC(loss, C=cost, tol=tol, max_iter=max_iter, max_time=max_time, n_jobs=n_jobs,
                  verbose=progress.terminal,
                  callback=None if quiet or progress.terminal else Lines(progress)),
        TextVectorizer(analyzer=analyzer, ngram_range=ngrams, min_df=min_df, n_jobs=n_jobs,
                       sublinear_tf=sublinear_tf, decode_error=decode_errors or "strict"),
    )  # fmt: skip
    start = perf_counter()
    if stream:
        classifier.fit_stream(TsvBlocks(train, **reading, one_line_labels=True),
                              checkpoint=checkpoint)
        size = os.path.getsize(train) / 1e6
    else:
        classifier.fit(documents, labels)
    seconds = perf_counter() - start
    classifier.classifier_.set_params(verbose=False, callback=None)
    set_jobs(classifier, None)
    classifier.save(model)

    facts = certificate(classifier.classifier_)
    accuracy = None if held is None else classifier.score(*held)
    if as_json:
        print_json({
            "command": "text train", "data": train, "model": model,
            "bytes": os.path.getsize(model), "documents": classifier.vectorizer_.n_documents_,
            "features": classifier.n_features_in_, "classes": len(classifier.classes_), **facts,
            "seconds": seconds, "accuracy": accuracy,
        })  # fmt: skip
    elif not quiet:
        print_table({
            "trained": f"{classifier.vectorizer_.n_documents_} documents, "
                       f"{classifier.n_features_in_} terms, {len(classifier.classes_)} classes",
            "time": f"{seconds:.2f} s, {size / seconds:.1f} MB/s",
            "gap": gap_text(facts),
            **({} if accuracy is None else {"accuracy": f"{accuracy:.4f} on {test}"}),
            "model": f"{model} ({os.path.getsize(model)} bytes)",
        })  # fmt: skip


def _read(path: str, reading: dict[str, Any], progress: Progress) -> tuple[Any, Any]:
    """Documents and labels to train on."""
    from ..text import read_tsv

    start = perf_counter()
    documents, labels = read_tsv(path, one_line_labels=True, **reading)
    progress.say(f"read {path}: {len(documents)} documents, {documents.nbytes / 1e6:.1f} MB in "
                 f"{perf_counter() - start:.2f} s")
    return documents, labels


@text_group.command("predict")
@click.argument("model", type=click.Path())
@click.argument("lines", type=click.Path(), default="-")
@lines_options
@jobs_option
@quiet_option
def predict_command(
    model: str, lines: str, *, decode_errors: str | None, n_jobs: int | None, quiet: bool,
    **reading: Any,
) -> None:  # fmt: skip
    """Print a label for each line of the file LINES, or of standard input.

    Lines are texts without labels, unless --text-column says which column they are in. They are
    read in blocks, so a file may be of any size; compressed by gzip, bzip2, xz or zstd it is
    unpacked. With a model of several labels a line, their numbers, from 0, with commas between
    them, and an empty line where it has none.
    """
    classifier = _load(model, decode_errors, n_jobs)
    many = is_multilabel(classifier)
    names = printed_labels(classifier.classes_, model, "predict in Python")
    place = {label: name for label, name in zip(classifier.classes_.tolist(), names, strict=True)}
    start, count, size = perf_counter(), 0, 0
    for documents in _blocks(lines, classifier, model, **reading):
        predicted = classifier.predict(documents)
        click.echo("\n".join(map(set_text, label_sets(predicted)) if many else
                             (place[label] for label in predicted.tolist())))
        count, size = count + len(documents), size + documents.nbytes
    seconds = max(perf_counter() - start, 1e-9)
    Progress(quiet).say(f"{count} lines, {size / 1e6:.1f} MB in {seconds:.2f} s: "
                        f"{size / 1e6 / seconds:.1f} MB/s")


@text_group.command("explain")
@click.argument("model", type=click.Path())
@click.argument("lines", type=click.Path(), default="-")
@click.option("-n", "--top", type=click.IntRange(min=1), default=10, show_default=True,
              metavar="N", help="Terms for each line.")
@lines_options
@json_option
def explain_command(
    model: str, lines: str, *, top: int, decode_errors: str | None, as_json: bool, **reading: Any
) -> None:
    """Print, for each line of LINES or of standard input, the label and the terms that decided.

    A term's figure is what it adds to the difference between the scores of the label and of the
    next best one. With --json an object for each line. Lines are read as by `hingex text predict`.
    """
    classifier = _load(model, decode_errors, None)
    if is_calibrated(classifier) or is_multilabel(classifier):
        kind = "which predicts by probabilities" if is_calibrated(classifier) else (
            "with any number of labels a line")
        raise ValueError(f"{model}: holds a {type(classifier).__name__}, {kind}; terms explain the "
                         "one label of the highest score: `hingex text predict` takes this model")
    if not as_json:
        printed_labels(classifier.classes_, model, "explain with --json")
    for documents in _blocks(lines, classifier, model, **reading):
        for told in classifier.explain(documents, top):
            label, other = plain_label(told.label.item()), plain_label(told.other.item())
            if as_json:
                print_json({"label": label, "other": other, "margin": told.margin,
                            "intercept": told.intercept,
                            "terms": [list(term) for term in told.terms]})  # fmt: skip
                continue
            terms = ", ".join(f"{in_a_line(term)} {part:+.3f}" for term, part in told.terms)
            click.echo(f"{label} (not {other}, by {told.margin:.3f}): {terms or 'no known term'}")


def _load(path: str, decode_errors: str | None, n_jobs: int | None) -> Any:
    from ..model_io import load
    from ..text import TextClassifier

    model = load(path)
    part = scored_part(model)
    if not isinstance(part, TextClassifier):
        of = "" if part is model else f" of a {type(part).__name__}"
        raise ValueError(f"{path}: holds a {type(model).__name__}{of}; `hingex text` needs a model "
                         "that `hingex text train` has written, or another TextClassifier")
    set_jobs(model, n_jobs)
    if decode_errors is not None:
        own = part.vectorizer_.decode_error
        if "strict" not in (own, decode_errors) and own != decode_errors:
            raise ValueError(f"{path}: was trained with --decode-errors {own}; --decode-errors "
                             f"{decode_errors} contradicts it: leave it out")
        part.vectorizer_.set_params(decode_error=decode_errors)
    return model


def _blocks(
    path: str, model: Any, model_path: str, *, text_column: int | None, columns: int | None,
    escapes: bool | None, max_line_bytes: int,
) -> Iterator[Any]:  # fmt: skip
    """The lines of a file, as `Texts` of some megabytes, whole lines each."""
    from ..text import TsvBlocks

    if columns is not None and text_column is None:
        raise click.UsageError("--columns is for --text-column")
    trained = scored_part(model)  # knows how its file was read
    escapes = convention(trained, model_path, "tsv", "escapes", escapes, False,
                         {True: "--escapes", False: "--no-escapes"})
    form = TsvBlocks("standard input" if path == "-" else path, None, text_column or 0,
                     columns=columns, escapes=escapes, max_line_bytes=max_line_bytes)
    with opened(sys.stdin.buffer if path == "-" else path, form.name) as file:
        read1 = file.read1  # type: ignore[attr-defined] # of all that `opened` returns
        # What is there: a line typed in is answered at once.
        first = True
        for documents, _ in form.blocks_of(lambda: read1(_BLOCK), empty=True):
            if first and text_column is None:
                _warn_of_labels(documents, trained)
            first = False
            yield documents


def _warn_of_labels(documents: Any, model: Any) -> None:
    """Warn if the first lines have labels in the place where the training file had them."""
    import warnings

    column = kept(model, "tsv", "label_column")
    if column is None:
        return
    known = {str(label).encode() for label in model.classes_.tolist()}
    for i in range(min(len(documents), _LOOK)):
        parts = documents.raw(i).split(b"\t")
        if not column < len(parts) > 1 or parts[column] not in known:
            return
    if len(documents):
        place = kept(model, "tsv", "text_column")
        warnings.warn("the lines seem to have labels, which are taken for a part of the texts; for "
                      f"texts in a column there is --text-column (as in training: {place})",
                      stacklevel=2)
