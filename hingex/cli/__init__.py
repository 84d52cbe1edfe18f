# SPDX-License-Identifier: BSD-3-Clause
"""The command line, ``hingex``. Needs click: ``pip install "hingex[cli]"``."""

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line; what the script ``hingex`` calls.

    Parameters
    ----------
    args : sequence of str, optional
        Arguments after the program's name, by default those of this process.

    Returns
    -------
    int
        Exit code: 0 done, 1 an error in data, model or environment (one line on standard error),
        2 wrong usage, 130 interrupted by Ctrl-C, 141 when a reader of the output went away.
    """
    try:
        try:
            import click  # noqa: F401
        except ImportError:
            print('error: the command line needs click: pip install "hingex[cli]"',
                  file=sys.stderr)
            return 1
        from ._app import app

        app.main(args=None if args is None else list(args), prog_name="hingex")
    except KeyboardInterrupt:  # before any command has begun
        return 130
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0
