# SPDX-License-Identifier: BSD-3-Clause
"""Linear SVMs: hingex beside scikit-learn's LinearSVC, to the same objective.

Every library solves every task over a schedule of tolerances, in a process of its own with the
same thread variables; loading is not timed, conversions that an API makes of a CSR matrix are.
The objective is recomputed in float64; suboptimality is relative to the lowest objective that
any run reached, which the hingex run at the tightest tolerance certifies.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from . import data

ADAPTERS = ("hingex_svc", "sklearn_svc")
LEVELS = (1e-2, 1e-3, 1e-4, 1e-6)
SAME = 1e-6  # objectives this close, relatively, are the same


def run(sets, losses, tasks, threads, repeats, budget, quick, out):
    """Run the tasks in turn; returns the records, and appends them to `out` as JSON lines."""
    env = os.environ | {
        name: str(threads)
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    }
    records = []
    for name in sets:
        classes = data.SHAPES[name][3]
        for task in tasks:
            if task == "ovr" and classes == 2:
                continue
            for loss in losses:
                group = []
                for adapter in ADAPTERS:
                    spec = {"adapter": adapter, "set": name, "task": task, "loss": loss, "C": 1.0,
                            "threads": threads, "repeats": repeats, "budget": budget,
                            "quick": quick}
                    group += _worker(spec, env, budget)
                records += group
                with out.open("a") as file:
                    file.writelines(json.dumps(record) + "\n" for record in group)
                _print_task(group)
    return records


def _worker(spec, env, budget):
    """Records of one worker; those printed before it ran out of time when it does."""
    command = [sys.executable, "-m", "bench.worker", json.dumps(spec)]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True,
                               cwd=Path(__file__).parents[1])
    try:
        text, _ = process.communicate(timeout=12 * budget + 120)
    except subprocess.TimeoutExpired:
        process.kill()
        text, _ = process.communicate()
    if process.returncode not in (0, -9):
        raise RuntimeError(f"worker failed: {spec}")
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def time_to(records, objective):
    """Least wall time of a run whose objective is at most `objective`; None when none is."""
    return min((r["wall"] for r in records if r["objective"] <= objective), default=None)


def summarise(group):
    """Figures of one task: seconds to each level, and to LinearSVC's own default result."""
    best = min(r["objective"] for r in group)
    by_library = {}
    for record in group:
        by_library.setdefault(record["library"], []).append(record)
    row = {"set": group[0]["set"], "task": group[0]["task"], "loss": group[0]["loss"]}
    for library, records in by_library.items():
        for level in LEVELS:
            row[library, level] = time_to(records, best * (1 + level))
        default = [r for r in records if r["is_default"]] or records[-1:]
        row[library, "default"] = default[0]["wall"]
        row[library, "suboptimality"] = default[0]["objective"] / best - 1
    if {"hingex", "LinearSVC"} <= by_library.keys():
        # The same objective, wherever LinearSVC's default stopped, to a part in a million.
        target = max(row["LinearSVC", "suboptimality"], SAME)
        same = time_to(by_library["hingex"], best * (1 + target))
        row["same"] = row["LinearSVC", "default"] / same if same else None
    return row


def _print_task(group):
    row = summarise(group)
    times = "   ".join(
        f"{library} " + " / ".join(_seconds(row.get((library, level))) for level in LEVELS)
        for library in ("hingex", "LinearSVC")
    )
    ratio = row.get("same")
    print(f"{row['set']:16s} {row['task']:6s} {row['loss']:13s} {times}   LinearSVC's default "
          f"{_seconds(row.get(('LinearSVC', 'default')))} at "
          f"{row.get(('LinearSVC', 'suboptimality'), float('nan')):.0e}, hingex to the same "
          f"{f'{ratio:.1f}x faster' if ratio else 'never'}", flush=True)


def _seconds(t):
    return "never" if t is None else f"{t:.3f}"


def markdown(records):
    """The table of RESULTS.md."""
    groups = {}
    for r in records:
        groups.setdefault((r["set"], r["task"], r["loss"]), []).append(r)
    lines = [
        "| set | task | loss | hingex to 1e-2 / 1e-3 / 1e-4 / 1e-6 | LinearSVC to the same | "
        "LinearSVC at its default: seconds, suboptimality | hingex faster to that objective |",
        "|---|---|---|---|---|---|---|",
    ]
    for group in groups.values():
        row = summarise(group)
        times = {
            library: " / ".join(_seconds(row.get((library, level))) for level in LEVELS)
            for library in ("hingex", "LinearSVC")
        }
        ratio = f"{row['same']:.1f}x" if row.get("same") else "-"
        lines.append(
            f"| {row['set']} | {row['task']} | {row['loss']} | {times['hingex']} | "
            f"{times['LinearSVC']} | {_seconds(row['LinearSVC', 'default'])}, "
            f"{row['LinearSVC', 'suboptimality']:.0e} | {ratio} |"
        )
    return "\n".join(lines)
