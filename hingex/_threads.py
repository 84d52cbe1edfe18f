# SPDX-License-Identifier: BSD-3-Clause
"""How many shares the work of a call has, and how many threads may carry them out."""

import os
from functools import cache
from math import ceil, inf
from pathlib import Path
from typing import Any

from ._core import kernels

MAX_THREADS = 256  # more would only fail: every thread needs a stack

_in_forked_child = False


def _after_fork() -> None:
    global _in_forked_child  # noqa: PLW0603
    _in_forked_child = True


# libgomp's threads do not survive a fork, and its next parallel region waits for them forever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def n_threads(n_jobs: Any = None) -> int:
    """Number of threads for the parameter `n_jobs`.

    Parameters
    ----------
    n_jobs : int or None
        None: the CPUs this process may use (affinity, cgroup quota), but no more than OpenMP's
        limit (OMP_NUM_THREADS, threadpoolctl). A positive number is taken as it is, up to 256;
        -1 means all CPUs this process may use, -2 all but one, and so on, at least 1.

    Returns
    -------
    int
        At least 1; always 1 in a forked child process.

    Raises
    ------
    ValueError, TypeError
        If `n_jobs` is 0 or not an integer.
    """
    wanted = n_shares(n_jobs)
    if _in_forked_child:
        return 1
    if n_jobs is None:
        return max(1, min(wanted, kernels("build").max_threads()))
    return wanted


def n_parts(n_jobs: Any = None) -> int:
    """Shares of a linear problem: those of `n_shares`, but 1 for None.

    Its result does not depend on how many CPUs there happen to be unless that is asked for.
    """
    return 1 if n_jobs is None else n_shares(n_jobs)


def n_shares(n_jobs: Any = None) -> int:
    """Shares of work for the parameter `n_jobs`, where the result depends on their number.

    The threads asked for, or CPUs for None, whether so many can work or not: the bits of a result
    are the same in a forked child, below OpenMP's limits and in builds without OpenMP.
    """
    if n_jobs is None:
        return available_cpus()
    if isinstance(n_jobs, bool) or not hasattr(n_jobs, "__index__"):
        raise TypeError(f"n_jobs must be an integer or None; got {n_jobs!r}")
    n_jobs = n_jobs.__index__()
    if n_jobs == 0:
        raise ValueError("n_jobs must be a positive number, or negative to count back from "
                         "all CPUs (-1), or None; got 0")  # fmt: skip
    return min(n_jobs, MAX_THREADS) if n_jobs > 0 else max(1, available_cpus() + 1 + n_jobs)


def available_cpus() -> int:
    """CPUs this process may use, by affinity (asked each time) and cgroup quota (read once)."""
    try:
        cpus = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        cpus = os.cpu_count() or 1
    return int(min(cpus, _cgroup_cpus()))


@cache
def _cgroup_cpus(proc: str = "/proc/self/cgroup", root: str = "/sys/fs/cgroup") -> int | float:
    """CPU quota of this process's control groups and their parents, rounded up; inf when none."""
    try:
        lines = Path(proc).read_text().splitlines()
    except OSError:
        return inf
    least = inf
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2
            base, read = Path(root), _quota_v2
        elif "cpu" in controllers.split(","):
            base, read = Path(root, controllers), _quota_v1
        else:
            continue
        # Inside a container the path may be the host's; its last parent is then the container.
        relative = Path(path.lstrip("/"))
        for folder in (relative, *relative.parents):
            try:
                least = min(least, read(base / folder))
            except (OSError, ValueError):
                continue
    return max(1, ceil(least)) if least < inf else inf


def _quota_v2(folder: Path) -> float:
    quota, period = (folder / "cpu.max").read_text().split()
    return inf if quota == "max" else int(quota) / int(period)


def _quota_v1(folder: Path) -> float:
    quota = int((folder / "cpu.cfs_quota_us").read_text())
    return quota / int((folder / "cpu.cfs_period_us").read_text()) if quota > 0 else inf
