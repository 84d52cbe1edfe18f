# SPDX-License-Identifier: BSD-3-Clause
"""``hingex tag``: train and predict on files with a word on each line."""

import os
import sys
from time import perf_counter
from typing import Any

import click

from .._open import opened
from .._reading import kept
from ._common import (
    POSITIVE,
    Lines,
    Progress,
    check_output,
    check_target,
    convention,
    json_option,
    limit_options,
    line_option,
    print_json,
    print_table,
    printed_labels,
    quiet_option,
)

_TOGETHER = 1000  # sentences that are tagged at a time


@click.group("tag", no_args_is_help=True)
def tag_group() -> None:
    """Tag the words of sentences: UTF-8, a word on each line, blank lines between sentences."""


@tag_group.command("train")
@click.argument("train", type=click.Path())
@click.argument("model", type=click.Path())
@click.option("-C", "--cost", type=POSITIVE, default=0.1, show_default=True, metavar="C",
              help="Weight of the loss against the penalty.")
@click.option("--tol", type=POSITIVE, default=1e-3, show_default=True, metavar="GAP",
              help="Relative duality gap to reach.")
@limit_options
@click.option("--features", type=click.IntRange(min=1, max=2**31 - 1), default=2**18,
              show_default=True, metavar="N", help="Columns that features are hashed to.")
@click.option("--word-column", type=click.IntRange(min=0), default=0, show_default=True,
              metavar="K")
@click.option("--tag-column", type=click.IntRange(min=0), default=1, show_default=True,
              metavar="K")
@click.option("--columns", type=click.IntRange(min=1), default=None, metavar="N",
              help="Of each line, of which those that are neither word nor tag are left out "
                   "(default: those up to the last of the two; more are an error).")
@click.option("--test", type=click.Path(), default=None, metavar="FILE",
              help="Show the share of right tags on this file, of the same columns.")
@line_option
@json_option
@quiet_option
def train_command(
    train: str,
    model: str,
    *,
    cost: float,
    tol: float,
    max_iter: int,
    max_time: float | None,
    features: int,
    word_column: int,
    tag_column: int,
    columns: int | None,
    test: str | None,
    max_line_bytes: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train on the file TRAIN, with word and tag on a line, parted by a tab, and write MODEL.

    Features are the words, their ends and shapes, and their neighbours. Files compressed by gzip,
    bzip2, xz or zstd are unpacked. MODEL keeps the columns for `hingex tag predict`.
    """
    from ..structured import ChainSVM, word_features
    from ..structured._tagged import TaggedLines, tagged_of

    progress = Progress(quiet)
    check_output(model, TRAIN=train, **({} if test is None else {"FILE": test}))
    check_target(model)
    form = TaggedLines(train, word_column, tag_column, columns, max_line_bytes=max_line_bytes)
    words, tags = tagged_of(form)
    count = sum(map(len, words))
    progress.say(f"read {train}: {len(words)} sentences, {count} words")
    held = None if test is None else tagged_of(TaggedLines(
        test, word_column, tag_column, columns, max_line_bytes=max_line_bytes))
    tagger = ChainSVM(cost, tol=tol, max_iter=max_iter, max_time=max_time, n_features=features,
                      verbose=progress.terminal,
                      callback=None if quiet or progress.terminal else Lines(progress))
    start = perf_counter()
    tagger.fit([word_features(sentence) for sentence in words], tags)
    seconds = perf_counter() - start
    tagger.set_params(verbose=False, callback=None)
    tagger.reading_ = form.reading
    tagger.save(model)
    right = None
    if held is not None:
        right = tagger.score([word_features(sentence) for sentence in held[0]], held[1])
    if as_json:
        print_json({
            "command": "tag train", "data": train, "model": model, "bytes": os.path.getsize(model),
            "sentences": len(words), "words": count, "tags": len(tagger.classes_),
            "duality_gap": tagger.duality_gap_, "n_iter": tagger.n_iter_,
            "converged": tagger.converged_, "seconds": seconds, "accuracy": right,
        })  # fmt: skip
    elif not quiet:
        print_table({
            "trained": f"{len(words)} sentences, {count} words, {len(tagger.classes_)} tags",
            "time": f"{seconds:.2f} s",
            "gap": f"{tagger.duality_gap_:.2e} after {tagger.n_iter_} epochs",
            **({} if right is None else {"accuracy": f"{right:.4f} on {test}"}),
            "model": f"{model} ({os.path.getsize(model)} bytes)",
        })  # fmt: skip


@tag_group.command("predict")
@click.argument("model", type=click.Path())
@click.argument("words", type=click.Path(), default="-")
@click.option("--word-column", type=click.IntRange(min=0), default=None, metavar="K",
              help="(default: that of the file that MODEL was trained on)")
@line_option
def predict_command(
    model: str, words: str, *, word_column: int | None, max_line_bytes: int
) -> None:
    """Print each word of the file WORDS, or of standard input, with its tag.

    WORDS has a word alone on each line, or the columns of the file that MODEL was trained on, of
    which those after the word may be missing; tags in it are not used. Word and tag are printed
    with a tab between them; a blank line follows each sentence. A file compressed by gzip, bzip2,
    xz or zstd is unpacked.
    """
    tagger = _load(model)
    texts = printed_labels(tagger.classes_, model, "predict in Python")
    names = dict(zip(tagger.classes_.tolist(), texts, strict=True))
    form = _lines_of(tagger, model, "standard input" if words == "-" else words, word_column,
                     max_line_bytes)
    waiting: list[list[str]] = []
    with opened(sys.stdin.buffer if words == "-" else words, form.name) as file:
        for (sentence,) in form.sentences(file):
            waiting.append(sentence)
            if len(waiting) == _TOGETHER or (words == "-" and sys.stdin.isatty()):
                _print(tagger, waiting, names)
                waiting = []
    if waiting:
        _print(tagger, waiting, names)


def _lines_of(tagger: Any, model: str, name: str, word_column: int | None, longest: int) -> Any:
    """What the lines of a file of words to be tagged are."""
    from ..structured._tagged import TaggedLines

    own = kept(tagger, "tagged", "word_column")
    column = convention(tagger, model, "tagged", "word_column", word_column, 0, {
        k: f"--word-column {k}" for k in (own, word_column)})
    if own is None:
        return TaggedLines(name, column, max_line_bytes=longest)
    trained = TaggedLines(name, own, tagger.reading_["tag_column"], tagger.reading_["columns"])
    return TaggedLines(name, own, columns=trained.columns or trained.needed, words_alone=True,
                       max_line_bytes=longest)


def _print(tagger: Any, waiting: list[list[str]], names: dict[Any, str]) -> None:
    from ..structured import word_features

    for sentence, tags in zip(
        waiting, tagger.predict([word_features(s) for s in waiting]), strict=True
    ):
        for word, tag in zip(sentence, tags.tolist(), strict=True):
            click.echo(f"{word}\t{names[tag]}")
        click.echo()


def _load(path: str) -> Any:
    from ..model_io import load
    from ..structured import ChainSVM

    tagger = load(path)
    if not isinstance(tagger, ChainSVM) or not tagger.hashed_:
        raise ValueError(f"{path}: holds a {type(tagger).__name__}; `hingex tag` needs a model "
                         "that `hingex tag train` has written")
    return tagger
