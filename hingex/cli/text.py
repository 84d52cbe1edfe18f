# SPDX-License-Identifier: BSD-3-Clause
"""``hingex text``: train, predict and explain on raw text."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Any, BinaryIO

import click

from ._common import (
    POSITIVE,
    Lines,
    Progress,
    certificate,
    check_output,
    check_target,
    gap_text,
    json_option,
    label_texts,
    plain_label,
    print_json,
    print_table,
    quiet_option,
)

_BLOCK = 1 << 22  # bytes of lines at a time

jobs_option = click.option("-j", "--n-jobs", type=click.IntRange(min=1), default=None, metavar="N",
                           help="Threads (default: the CPUs available).")
errors_option = click.option(
    "--decode-errors", type=click.Choice(["strict", "ignore", "replace"]), default=None,
    help="Bytes that are no UTF-8: an error that names the line (default), left out, or replaced.")


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
@click.option("--escapes", is_flag=True,
              help=r"Take \n, \t, \r and \\ in texts for what they mean.")
@click.option("--test", type=click.Path(), default=None, metavar="FILE",
              help="Show the accuracy on this file, of the same columns.")
@click.option("--stream", is_flag=True,
              help="Hold only some megabytes of the file at a time: it may be of any size.")
@click.option("--checkpoint", type=click.Path(), default=None, metavar="FOLDER",
              help="With --stream: what it takes to go on after a kill.")
@errors_option
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
    analyzer: str,
    ngrams: tuple[int, int],
    min_df: int,
    sublinear_tf: bool,
    label_column: int,
    text_column: int,
    escapes: bool,
    test: str | None,
    stream: bool,
    checkpoint: str | None,
    decode_errors: str | None,
    n_jobs: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train on the file TRAIN, with a tab between label and text, and write MODEL.

    An older model in MODEL is replaced only once the new one is complete; any other file is kept,
    and an error.
    """
    from ..linear import LinearSVC
    from ..text import TextClassifier, TextVectorizer, TsvBlocks, read_tsv

    if checkpoint is not None and not stream:
        raise click.UsageError("--checkpoint is for --stream")
    progress = Progress(quiet)
    check_output(model, TRAIN=train, **({} if test is None else {"FILE": test}))
    check_target(model)
    read = partial(read_tsv, label_column=label_column, text_column=text_column,
                   escapes=escapes)
    if not stream:
        start = perf_counter()
        documents, labels = read(train)
        size = documents.nbytes / 1e6
        seconds = perf_counter() - start
        progress.say(f"read {train}: {len(documents)} documents, {size:.1f} MB in {seconds:.2f} s")
    held = None if test is None else read(test)

    classifier = TextClassifier(
        LinearSVC(loss, C=cost, tol=tol, n_jobs=n_jobs, verbose=progress.terminal,
                  callback=None if quiet or progress.terminal else Lines(progress)),
        TextVectorizer(analyzer=analyzer, ngram_range=ngrams, min_df=min_df, n_jobs=n_jobs,
                       sublinear_tf=sublinear_tf, decode_error=decode_errors or "strict"),
    )  # fmt: skip
    start = perf_counter()
    if stream:
        classifier.fit_stream(TsvBlocks(train, label_column, text_column, escapes=escapes),
                              checkpoint=checkpoint)
        size = os.path.getsize(train) / 1e6
    else:
        classifier.fit(documents, labels)
    seconds = perf_counter() - start
    classifier.classifier_.set_params(verbose=False, callback=None, n_jobs=None)
    classifier.vectorizer_.set_params(n_jobs=None)
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


@text_group.command("predict")
@click.argument("model", type=click.Path())
@click.argument("lines", type=click.Path(), default="-")
@errors_option
@jobs_option
@quiet_option
def predict_command(
    model: str, lines: str, *, decode_errors: str | None, n_jobs: int | None, quiet: bool
) -> None:
    """Print a label for each line of the file LINES, or of standard input.

    Lines are texts without labels. They are read in blocks, so a file may be of any size.
    """
    classifier = _load(model, decode_errors, n_jobs)
    names = label_texts(classifier.classes_)
    if any(len(name.splitlines()) != 1 for name in names):
        raise ValueError(f"{model}: a class has a name that is empty or of several lines")
    place = {label: name for label, name in zip(classifier.classes_.tolist(), names, strict=True)}
    start, count, size = perf_counter(), 0, 0
    for documents in _blocks(lines):
        predicted = classifier.predict(documents).tolist()
        click.echo("\n".join(place[label] for label in predicted))
        count, size = count + len(documents), size + documents.nbytes
    seconds = max(perf_counter() - start, 1e-9)
    Progress(quiet).say(f"{count} lines, {size / 1e6:.1f} MB in {seconds:.2f} s: "
                        f"{size / 1e6 / seconds:.1f} MB/s")


@text_group.command("explain")
@click.argument("model", type=click.Path())
@click.argument("lines", type=click.Path(), default="-")
@click.option("-n", "--top", type=click.IntRange(min=1), default=10, show_default=True,
              metavar="N", help="Terms for each line.")
@errors_option
@json_option
def explain_command(
    model: str, lines: str, *, top: int, decode_errors: str | None, as_json: bool
) -> None:
    """Print, for each line of LINES or of standard input, the label and the terms that decided.

    A term's figure is what it adds to the difference between the scores of the label and of the
    next best one. With --json an object for each line.
    """
    classifier = _load(model, decode_errors, None)
    for documents in _blocks(lines):
        for told in classifier.explain(documents, top):
            label, other = plain_label(told.label.item()), plain_label(told.other.item())
            if as_json:
                print_json({"label": label, "other": other, "margin": told.margin,
                            "intercept": told.intercept,
                            "terms": [list(term) for term in told.terms]})  # fmt: skip
                continue
            terms = ", ".join(f"{term} {part:+.3f}" for term, part in told.terms)
            click.echo(f"{label} (not {other}, by {told.margin:.3f}): {terms or 'no known term'}")


def _load(path: str, decode_errors: str | None, n_jobs: int | None) -> Any:
    from ..model_io import load
    from ..text import TextClassifier

    model = load(path)
    if not isinstance(model, TextClassifier):
        raise ValueError(f"{path}: holds a {type(model).__name__}; `hingex text` needs a model "
                         "that `hingex text train` has written")
    model.classifier_.set_params(n_jobs=n_jobs)
    model.vectorizer_.set_params(n_jobs=n_jobs)
    if decode_errors is not None:
        model.vectorizer_.set_params(decode_error=decode_errors)
    return model


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    if path == "-":
        yield sys.stdin.buffer
    else:
        with open(path, "rb") as file:
            yield file


def _blocks(path: str) -> Iterator[Any]:
    """The lines of a file, as `Texts` of some megabytes, whole lines each."""
    import numpy as np

    from ..text import Texts

    name = "standard input" if path == "-" else path
    done = 0
    with _opened(path) as file:
        rest = b""
        while True:
            # What is there: a line typed in is answered at once.
            read = file.read1(_BLOCK) if hasattr(file, "read1") else file.read(_BLOCK)
            data = rest + read
            cut = data.rfind(b"\n") + 1 if read else len(data)
            data, rest = data[:cut], data[cut:]
            if data:
                raw = np.frombuffer(data, dtype=np.uint8)
                ends = np.flatnonzero(raw == 10)
                if not data.endswith(b"\n"):
                    ends = np.append(ends, len(data))
                starts = np.concatenate([[0], ends[:-1] + 1])
                ends = ends - ((ends > starts) & (raw[ends - 1] == 13))  # \r\n
                yield Texts(data, starts, ends, name, done + 1 + np.arange(len(ends)))
                done += len(ends)
            if not read:
                return
