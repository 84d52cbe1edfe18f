# SPDX-License-Identifier: BSD-3-Clause
"""Child processes of tests import the installed package, even from the repository root."""

import os
import signal

# Keeps `python -c` from putting the current folder first on sys.path, where the source folder
# hingex/ would hide the installed package.
os.environ["PYTHONSAFEPATH"] = "1"

# A shell that runs the tests in the background has them ignore Ctrl-C, and so would all children.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
