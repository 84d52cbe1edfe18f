# SPDX-License-Identifier: BSD-3-Clause
"""The group of commands: loads them when they are called, and turns failures into exit codes."""

import codecs
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import Any

import click


def _train() -> click.Command:
    from .train import train_command

    return train_command


def _predict() -> click.Command:
    from .predict import predict_command

    return predict_command


def _evaluate() -> click.Command:
    from .evaluate import evaluate_command

    return evaluate_command


def _info() -> click.Command:
    from .info import info_command

    return info_command


def _demo() -> click.Command:
    from .demo import demo_command

    return demo_command


def _text() -> click.Command:
    from .text import text_group

    return text_group


def _tag() -> click.Command:
    from .tag import tag_group

    return tag_group


# Name -> what imports the command, and its line in the help, which imports none.
_COMMANDS: dict[str, tuple[Callable[[], click.Command], str]] = {
    "train": (_train, "Train a linear SVM on an svmlight file."),
    "predict": (_predict, "Predict the labels of an svmlight file."),
    "evaluate": (_evaluate, "Judge a model on a labelled svmlight file."),
    "text": (_text, "Train on raw text, predict, and explain."),
    "tag": (_tag, "Train on tagged sentences, and tag words."),
    "info": (_info, "Show what is in a model file."),
    "demo": (_demo, "Train on real text that comes with hingex, and show the result."),
}

# What bad data, models, options or machines cause. Anything else is a bug and shows a traceback.
_EXPECTED = (ValueError, TypeError, OSError, EOFError, MemoryError, ImportError, ArithmeticError)


class Failure(click.ClickException):
    """One line on standard error, exit code 1."""

    exit_code = 1

    def show(self, file: Any = None) -> None:
        click.echo(f"error: {one_line(self.message)}", err=True)


def one_line(text: str) -> str:
    return " ".join(text.split())


def explain(error: BaseException) -> str:
    """What an exception says, for people."""
    if isinstance(error, OSError) and error.strerror:
        where = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        return where + error.strerror
    if isinstance(error, MemoryError):
        return f"not enough memory ({error})" if str(error) else "not enough memory"
    return str(error) or type(error).__name__


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    def show(message: Any, *_: Any, **__: Any) -> None:
        click.echo(f"warning: {one_line(str(message))}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = show
        yield


def _drop_output() -> None:
    """If standard output takes no more (full disk, no reader), keep Python from trying at exit."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _bytes_of_names(error: UnicodeError) -> Any:
    """Names of files that are no UTF-8 come out as the bytes that they are; else an escape."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeEncodeError:
        return codecs.lookup_error("backslashreplace")(error)


codecs.register_error("hingex.names", _bytes_of_names)


@contextmanager
def _utf8_output() -> Iterator[None]:
    """What is written is UTF-8, as what is read, whatever the locale says."""
    before = []
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            before.append((stream, stream.encoding, stream.errors))
            stream.reconfigure(encoding="utf-8", errors="hingex.names")
    try:
        yield
    finally:
        for stream, encoding, errors in before:
            with suppress(OSError, ValueError):  # a full disk, no reader; closed
                stream.reconfigure(encoding=encoding, errors=errors)


class _App(click.Group):
    def main(self, *args: Any, **options: Any) -> Any:
        with _utf8_output():
            return super().main(*args, **options)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return _COMMANDS[name][0]() if name in _COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _warnings_as_lines():
                result = super().invoke(ctx)
            if sys.stdout is not None:
                sys.stdout.flush()
            return result
        except KeyboardInterrupt:
            click.echo("error: interrupted", err=True)
            ctx.exit(130)
        except BrokenPipeError:
            _drop_output()
            ctx.exit(141)
        except _EXPECTED as error:
            _drop_output()
            raise Failure(explain(error)) from error


def _version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        import hingex

        click.echo(f"hingex {hingex.__version__}")
        ctx.exit()


@click.group(cls=_App, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version,
              help="Show the version and exit.")  # fmt: skip
def app() -> None:
    """Linear support vector machines with a certificate of how good the optimum is.

    Data files are in svmlight (LIBSVM) format: a label and index:value pairs per line, indices
    from 1 unless --zero-based is given; "-" reads standard input. Data compressed by gzip, bzip2,
    xz or zstd are unpacked. Models are hingex's own or LIBLINEAR's text files. All that is read and
    written is UTF-8.

    \b
    hingex train train.svm model.hgx
    hingex evaluate model.hgx test.svm
    hingex predict model.hgx new.svm -o labels.txt
    """
