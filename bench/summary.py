# SPDX-License-Identifier: BSD-3-Clause
"""Figures from records: times to levels of suboptimality, ratios, and which targets are met."""

import math

from . import data

LEVELS = (1e-2, 1e-3, 1e-4, 1e-6)
BEYOND = 1e-8  # how far below the certified optimum an objective may be by rounding
US = "hingex"
FASTEST = "fastest peer"


def groups(records):
    """Records of the last run of every (set, task, loss, threads)."""
    found = {}
    for r in records:
        if r.get("area") == "linear":
            key = (r["set"], r["task"], r["loss"], r["threads"])
            found.setdefault(key, {}).setdefault(r["run"], []).append(r)
    return {key: runs[max(runs)] for key, runs in found.items()}


def by_library(group):
    libraries = {}
    for r in group:
        libraries.setdefault(r["library"], []).append(r)
    return libraries


def best_objective(group):
    """The certified optimum, or what somebody found below it."""
    values = [r["objective"] for r in group if "objective" in r]
    return min([group[0]["optimum"], *values])


def time_to(records, objective, clock="wall"):
    """(seconds, whether reached) to an objective for one library.

    The seconds are the least of a fit (median of its repeats) that reaches it. When none does,
    they are the most that was spent on one fit, which then is less than what it would take.
    """
    fits = [r for r in records if r["kind"] == "fit"]
    reached = [r[clock] for r in fits if r["objective"] <= objective]
    if reached:
        return min(reached), True
    spent = [r[clock] for r in fits] + [r["budget"] for r in records if r["kind"] == "killed"]
    return max(spent, default=0.0), False


def ratio(group, against, level, clock="wall"):
    """(how many times as long `against` takes as hingex, whether it reached the level).

    None when one of them was not run; 0 when hingex did not reach the level. `against` is a
    library, or FASTEST for the fastest one that reached the level (if none did, the one that
    spent least).
    """
    libraries = by_library(group)
    ours = libraries.pop(US, None)
    if against != FASTEST:
        libraries = {k: v for k, v in libraries.items() if k == against}
    if ours is None or not libraries:
        return None
    target = best_objective(group) * (1 + level)
    seconds, reached = time_to(ours, target, clock)
    if not reached:
        return 0.0, True
    theirs = [time_to(records, target, clock) for records in libraries.values()]
    those = [t for t, done in theirs if done]
    if those:
        return min(those) / seconds, True
    return max(t for t, _ in theirs) / seconds, False


def geometric_mean(values):
    return math.exp(math.fsum(map(math.log, values)) / len(values)) if min(values) > 0 else 0.0


def _time(found):
    seconds, reached = found
    return f"{seconds:.4g}" if reached else f"never ({seconds:.3g})"


def task_table(group):
    """A markdown table of one task: a line for each library."""
    if not group:
        return "nothing was run"
    first = group[0]
    best = best_objective(group)
    lines = []
    if best < first["optimum"] * (1 - BEYOND):
        who = min((r for r in group if "objective" in r), key=lambda r: r["objective"])
        lines.append(
            f"WARNING: {who['library']} reached an objective {1 - best / first['optimum']:.1e} "
            f"below the optimum of the reference (certified to {first['certified']:.1e})"
        )
    if first["certified"] > 1e-7:
        lines.append(f"WARNING: the optimum is certified only to {first['certified']:.1e}")
    lines += [
        "",
        f"**{first['set']}, {first['task']}, {first['loss']}**, threads: {first['threads']}; "
        f"optimum {first['optimum']:.8g}, certified to {max(first['certified'], 0):.0e}",
        "",
        "| | wall (CPU) seconds to 1e-2 | 1e-3 | 1e-4 | 1e-6 | peak memory of the default fit, MB "
        "(X is " + f"{_megabytes(group)}) | test accuracy |",
        "|---|---|---|---|---|---|---|",
    ]
    for library, records in by_library(group).items():
        cells = []
        for level in LEVELS:
            target = best * (1 + level)
            wall, cpu = time_to(records, target), time_to(records, target, "cpu")
            cells.append(f"{_time(wall)} ({cpu[0]:.3g})" if wall[1] else _time(wall))
        default = next((r for r in records if r["kind"] == "default"), {})
        memory, accuracy = default.get("memory"), default.get("accuracy")
        cells.append("-" if memory is None else f"{memory / 1e6:.1f}")
        cells.append("-" if accuracy is None else f"{accuracy:.4f}")
        lines.append(f"| {library} | " + " | ".join(cells) + " |")
    for against in (FASTEST, "LinearSVC"):
        ratios = [ratio(group, against, level) for level in LEVELS]
        if None not in ratios:
            lines.append(f"| {against} / {US} | " + " | ".join(map(_ratio, ratios)) + " | | |")
    return "\n".join(lines)


def _megabytes(group):
    size = next((r["data_bytes"] for r in group if "data_bytes" in r), None)
    return "?" if size is None else f"{size / 1e6:.1f}"


def _ratio(found):
    if found is None:
        return "-"
    value, reached = found
    return "hingex never" if value == 0 else f"{'' if reached else '>'}{value:.2f}x"


def ratio_tables(records, clock="wall"):
    """For each task kind, loss and number of threads: ratios per set, and their means."""
    found = groups(records)
    lines = []
    for task, loss, threads in sorted({key[1:] for key in found}):
        sets = [key[0] for key in found if key[1:] == (task, loss, threads)]
        head = [f"{against} {level:.0e}" for against in ("LinearSVC", FASTEST) for level in LEVELS]
        lines += [
            "",
            f"**{task}, {loss}, threads: {threads}**: times as long as hingex by {clock} time "
            "(> : never reached)",
            "",
            "| set | " + " | ".join(head) + " |",
            "|---" * (1 + len(head)) + "|",
        ]
        columns = []
        for name in sets:
            group = found[name, task, loss, threads]
            row = [
                ratio(group, against, level, clock)
                for against in ("LinearSVC", FASTEST) for level in LEVELS
            ]  # fmt: skip
            columns.append(row)
            lines.append(f"| {name} | " + " | ".join(map(_ratio, row)) + " |")
        means = []
        for column in zip(*columns, strict=True):
            if None in column:
                means.append("-")
            else:
                bound = not all(reached for _, reached in column)
                mean = geometric_mean([value for value, _ in column])
                means.append(f"{'>' if bound else ''}{mean:.2f}x")
        lines.append("| geometric mean | " + " | ".join(means) + " |")
    return "\n".join(lines)


# ------------------------------------------------------------------------------ the targets

# name, sets, task, threads, against, level, ratio to reach on "each" set or in the geometric
# "mean", by loss.
LINEAR_TARGETS = (
    ("binary to 1e-3", data.BINARY, "binary", 1, "LinearSVC", 1e-3, "each",
     {"hinge": 3.0, "squared_hinge": 2.0}),
    ("binary to 1e-3", data.BINARY, "binary", 1, FASTEST, 1e-3, "mean",
     {"hinge": 1.3, "squared_hinge": 1.3}),
    ("binary to 1e-3", data.BINARY, "binary", 1, FASTEST, 1e-3, "each",
     {"hinge": 1.0, "squared_hinge": 1.0}),
    ("binary to 1e-6", data.BINARY, "binary", 1, FASTEST, 1e-6, "mean",
     {"hinge": 1.5, "squared_hinge": 1.5}),
    ("one-vs-rest to 1e-3", data.OVR, "ovr", 1, "LinearSVC", 1e-3, "each",
     {"hinge": 6.0, "squared_hinge": 6.0}),
    ("one-vs-rest to 1e-3", data.OVR, "ovr", 1, "libpecos", 1e-3, "each",
     {"hinge": 3.0, "squared_hinge": 3.0}),
    ("one-vs-rest to 1e-3", data.OVR, "ovr", 2, "LinearSVC", 1e-3, "each",
     {"hinge": 10.0, "squared_hinge": 10.0}),
    ("1,000 classes to 1e-3", (data.CLUSTERS,), "ovr", 1, "LinearSVC", 1e-3, "each",
     {"hinge": 10.0, "squared_hinge": 10.0}),
)  # fmt: skip
CLUSTERS_BYTES = 2 << 30  # beyond X

# name, figure of the last micro run, the least (or, where negative, the most) it may be
MICRO_TARGETS = (
    ("svmlight parsing, 1 thread, MB/s", "parse_1", 200.0),
    ("svmlight parsing, 2 threads over 1", "parse_2_over_1", 1.6),
    ("decision_function, CSR, binary, over scikit-learn", "decision_binary_ratio", 2.0),
    ("decision_function, CSR, 45 classes, over scikit-learn", "decision_45_ratio", 4.0),
    ("fit on 20 x 5, hinge, of LinearSVC's time", "small_hinge_ratio", -1.0),
    ("fit on 20 x 5, squared hinge, of LinearSVC's time", "small_squared_hinge_ratio", -1.0),
    ("fit on 20 x 5, hinge, microseconds", "small_hinge_us", -150.0),
    ("fit on 20 x 5, squared hinge, microseconds", "small_squared_hinge_us", -150.0),
)

LOSSES_TARGETS = (
    ("hinge value and gradient over NumPy's expression", "hinge_over_numpy", 5.0),
    ("hinge value and gradient over torch", "hinge_over_torch", 1.0),
    ("hinge value and gradient, of the memory bandwidth", "hinge_of_stream", 0.6),
    ("MultiMargin 10^5 x 20 over torch", "multi_margin_over_torch", 2.0),
    ("pairwise ranking of 10^5 items, milliseconds", "ranking_ms", -100.0),
    ("hinge of 32 scores, microseconds", "small_us", -3.0),
)

TEXT_TARGETS = (
    ("raw text, fit_transform over TfidfVectorizer, 1 thread, each", "tfidf_ratio", 10.0),
    ("raw text, hashing over HashingVectorizer, 1 thread, each", "hashing_ratio", 5.0),
    ("raw text to predictions over TfidfVectorizer + LinearSVC, each", "whole_ratio", 8.0),
)


def targets(records, clock="wall"):
    """List of (what, wanted, got, met: True, False, or None when not all of it was measured)."""
    return [*_linear_targets(records, clock), *_thread_targets(records),
            *_figure_targets(records, "micro", MICRO_TARGETS),
            *_figure_targets(records, "losses", LOSSES_TARGETS),
            *_figure_targets(records, "text", TEXT_TARGETS)]


def _linear_targets(records, clock):
    found = groups(records)
    rows = []
    for name, sets, task, threads, against, level, how, wanted in LINEAR_TARGETS:
        for loss, least in wanted.items():
            what = f"{name}, {loss}, threads: {threads}, against {against}, {how}"
            row = [
                (s, ratio(found[s, task, loss, threads], against, level, clock))
                for s in sets if (s, task, loss, threads) in found
            ]  # fmt: skip
            row = [(s, r) for s, r in row if r is not None]
            if not row:
                rows.append((what, f">= {least:g}x", "not measured", None))
                continue
            values = [r[0] for _, r in row]
            got = geometric_mean(values) if how == "mean" else min(values)
            worst = min(row, key=lambda x: x[1][0])
            text = f"{got:.2f}x" if how == "mean" else f"{_ratio(worst[1])} on {worst[0]}"
            if how == "each" and len(row) > 1:
                text += f", mean {geometric_mean(values):.2f}x"
            met = got >= least
            if len(row) < len(sets):
                text += f" ({len(row)} of {len(sets)} sets)"
                met = None if met or how == "mean" else False
            rows.append((what, f">= {least:g}x", text, met))
    for loss in ("hinge", "squared_hinge"):
        group = found.get((data.CLUSTERS, "ovr", loss, 1), [])
        record = next((r for r in group if r["library"] == US and r["kind"] == "default"), {})
        size = record.get("memory")
        rows.append((
            f"1,000 classes, {loss}: memory beyond X", "<= 2 GiB",
            "not measured" if size is None else f"{size / 2**30:.2f} GiB",
            None if size is None else size <= CLUSTERS_BYTES,
        ))  # fmt: skip
    return rows


def _thread_targets(records):
    last = {}
    for r in records:
        if r.get("area") == "threads":
            last[r["set"], r["task"], r["loss"]] = r
    rows = []
    for task, sets, least in (("binary", data.LARGEST, 1.5), ("binary", data.BINARY, 0.95)):
        for loss in ("hinge", "squared_hinge"):
            row = [last[s, task, loss] for s in sets if (s, task, loss) in last]
            what = f"{task}, {loss}: 2 threads against 1, " + (
                "the three largest" if sets is data.LARGEST else "each"
            )
            if not row:
                rows.append((what, f">= {least:g}x", "not measured", None))
                continue
            worst = min(row, key=lambda r: r["ratio"])
            met = worst["ratio"] >= least
            rows.append((what, f">= {least:g}x", f"{worst['ratio']:.2f}x on {worst['set']}",
                         None if met and len(row) < len(sets) else met))  # fmt: skip
    for task, field, what in (
        ("binary", "same_bits", "same bits for the same n_jobs"),
        ("ovr", "same_bits_any", "same bits for any n_jobs"),
    ):
        row = [r for r in last.values() if r["task"] == task]
        bad = [f"{r['set']} {r['loss']}" for r in row if not r[field]]
        got = ("not on " + ", ".join(bad)) if bad else f"on {len(row)} tasks"
        rows.append((f"{task}: {what}", "yes", got if row else "not measured",
                     not bad if row else None))  # fmt: skip
    return rows


def _figure_targets(records, area, wanted):
    figures = next((r for r in reversed(records) if r.get("area") == area), {})
    rows = []
    for what, key, bound in wanted:
        value = figures.get(key)
        least = f">= {bound:g}" if bound > 0 else f"<= {-bound:g}"
        if value is None:
            rows.append((what, least, "not measured", None))
        else:
            rows.append((what, least, f"{value:.3g}",
                         value >= bound if bound > 0 else value <= -bound))  # fmt: skip
    return rows


def target_table(records, clock="wall"):
    lines = ["| what | wanted | got | met |", "|---|---|---|---|"]
    for what, wanted, got, met in targets(records, clock):
        word = {True: "yes", False: "NO", None: "?"}[met]
        lines.append(f"| {what} | {wanted} | {got} | {word} |")
    return "\n".join(lines)
