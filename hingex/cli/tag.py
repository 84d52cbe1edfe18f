# SPDX-License-Identifier: BSD-3-Clause
"""``hingex tag``: train and predict on files with a word on each line."""

import os
import sys
from time import perf_counter
from typing import Any

import click

from ._common import (
    POSITIVE,
    Lines,
    Progress,
    check_output,
    check_target,
    json_option,
    label_texts,
    print_json,
    print_table,
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
@click.option("--features", type=click.IntRange(min=1, max=2**31 - 1), default=2**18,
              show_default=True, metavar="N", help="Columns that features are hashed to.")
@click.option("--word-column", type=click.IntRange(min=0), default=0, show_default=True,
              metavar="K")
@click.option("--tag-column", type=click.IntRange(min=0), default=1, show_default=True,
              metavar="K")
@click.option("--test", type=click.Path(), default=None, metavar="FILE",
              help="Show the share of right tags on this file, of the same columns.")
@json_option
@quiet_option
def train_command(
    train: str,
    model: str,
    *,
    cost: float,
    tol: float,
    features: int,
    word_column: int,
    tag_column: int,
    test: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train on the file TRAIN, with word and tag on a line, parted by a tab, and write MODEL.

    Features are the words, their ends and shapes, and their neighbours. Files that end in .gz are
    unpacked.
    """
    from ..structured import ChainSVM, read_tagged, word_features

    progress = Progress(quiet)
    check_output(model, TRAIN=train, **({} if test is None else {"FILE": test}))
    check_target(model)
    words, tags = read_tagged(train, word_column, tag_column)
    count = sum(map(len, words))
    progress.say(f"read {train}: {len(words)} sentences, {count} words")
    held = None if test is None else read_tagged(test, word_column, tag_column)
    tagger = ChainSVM(cost, tol=tol, n_features=features, verbose=progress.terminal,
                      callback=None if quiet or progress.terminal else Lines(progress))
    start = perf_counter()
    tagger.fit([word_features(sentence) for sentence in words], tags)
    seconds = perf_counter() - start
    tagger.set_params(verbose=False, callback=None)
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
@click.option("--word-column", type=click.IntRange(min=0), default=0, show_default=True,
              metavar="K")
def predict_command(model: str, words: str, *, word_column: int) -> None:
    """Print each word of the file WORDS, or of standard input, with its tag.

    Word and tag are parted by a tab; a blank line follows each sentence. A file that ends in .gz is
    unpacked.
    """
    from ..structured._tagged import opened, sentences

    tagger = _load(model)
    names = dict(zip(tagger.classes_.tolist(), label_texts(tagger.classes_), strict=True))
    name = "standard input" if words == "-" else words
    waiting: list[list[str]] = []
    file = sys.stdin.buffer if words == "-" else opened(words)
    try:
        for (sentence,) in sentences(file, name, (word_column,)):
            waiting.append(sentence)
            if len(waiting) == _TOGETHER or (words == "-" and sys.stdin.isatty()):
                _print(tagger, waiting, names)
                waiting = []
    finally:
        if words != "-":
            file.close()
    if waiting:
        _print(tagger, waiting, names)


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
