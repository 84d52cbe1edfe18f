# SPDX-License-Identifier: BSD-3-Clause
"""Child processes of tests import the installed package, even from the repository root."""

import os

# Keeps `python -c` from putting the current folder first on sys.path, where the source folder
# hingex/ would hide the installed package.
os.environ["PYTHONSAFEPATH"] = "1"
