# SPDX-License-Identifier: BSD-3-Clause
"""Fresh processes for all that is measured, with as many CPUs and threads as asked for."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS",
)  # fmt: skip
# The CPUs are set before anything is imported that starts threads. The root comes last in
# sys.path, so that its source folder hingex/ does not hide the installed package.
_START = """
import importlib, os, sys
root, module, threads = sys.argv[1:4]
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-int(threads):])
sys.path.append(root)
importlib.import_module(module).main()
"""


def run(module, spec, threads):
    """Run `module.main()` in a new process, which finds `spec` by `arguments()`.

    Returns
    -------
    (list of dict, int)
        The records that it printed with `emitter`, and its return code.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if cpus < threads:
        raise RuntimeError(f"{threads} threads on {cpus} CPUs would measure nothing")
    env = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
    command = [sys.executable, "-P", "-c", _START, str(ROOT), module, str(threads)]
    process = subprocess.run(
        [*command, json.dumps(spec)], env=env, capture_output=True, text=True, check=False,
        cwd=ROOT,
    )  # fmt: skip
    if process.returncode > 0:
        raise RuntimeError(f"{module} failed for {spec}:\n{process.stderr[-3000:]}")
    return [json.loads(line) for line in process.stdout.splitlines()], process.returncode


def arguments():
    """In the child: what `run` was given."""
    return json.loads(sys.argv[4])


def emitter():
    """In the child: a function that sends a record; all other output goes to stderr."""
    sys.stdout.flush()
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def emit(record):
        out.write(json.dumps(record) + "\n")
        out.flush()

    return emit
