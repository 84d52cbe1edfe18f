# SPDX-License-Identifier: BSD-3-Clause
"""Time against suboptimality: a panel for each task, a line for each library."""

from . import summary

# Libraries keep their colours and markers, whichever of them are in the picture.
STYLES = {
    "hingex": ("#d62728", "o"),
    "LinearSVC": ("#1f77b4", "s"),
    "libpecos": ("#2ca02c", "^"),
    "snapml": ("#9467bd", "v"),
    "liblinear-official": ("#8c564b", "D"),
    "liblinear-multicore": ("#e377c2", "P"),
    "cyanure": ("#17becf", "X"),
    "SGDClassifier": ("#bcbd22", "<"),
    "vowpalwabbit": ("#7f7f7f", ">"),
}
FLOOR = 1e-8
COLUMNS = 3


def draw(records, path):
    """Write the picture of the last run of every task in `records` to `path`."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib import ticker

    found = summary.groups(records)
    several = len({key[1:] for key in found}) > 1
    columns = min(COLUMNS, len(found) + 1)
    rows = -(-(len(found) + 1) // columns)  # and a panel for the legend
    fig, axes = plt.subplots(
        rows, columns, figsize=(3.4 * columns, 2.7 * rows), squeeze=False, layout="constrained"
    )
    handles = {}
    for ax, (key, group) in zip(axes.flat, sorted(found.items()), strict=False):
        best = summary.best_objective(group)
        for library, all_records in summary.by_library(group).items():
            points = _front([
                (r["wall"], max(r["objective"] / best - 1, FLOOR))
                for r in all_records if r["kind"] == "fit"
            ])  # fmt: skip
            if not points:
                continue
            color, marker = STYLES.get(library, ("black", "."))
            wide = library == summary.US
            (handles[library],) = ax.plot(
                *zip(*points, strict=True), color=color, marker=marker,
                ms=4.5 if wide else 3.5, lw=2.2 if wide else 1.2, zorder=3 if wide else 2,
            )  # fmt: skip
        ax.set(xscale="log", yscale="log", ylim=(FLOOR / 2, 2))
        ax.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 3)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(ticker.NullFormatter())
        ax.set_title(" ".join(map(str, key[:3])) if several else key[0], fontsize=10)
        ax.grid(alpha=0.3)
        ax.tick_params(labelsize=8)
    for ax in list(axes.flat)[len(found) :]:
        ax.axis("off")
    order = [name for name in STYLES if name in handles]
    list(axes.flat)[len(found)].legend(
        [handles[name] for name in order], order, loc="center", fontsize=9, frameon=False
    )
    fig.supxlabel("seconds of fit", fontsize=9)
    fig.supylabel("objective above the optimum, relative", fontsize=9)
    fig.savefig(path, dpi=150)
    plt.close(fig)


def _front(points):
    """Those that no faster fit beats, by time."""
    front = []
    for seconds, value in sorted(points):
        if value <= 1e3 and (not front or value < front[-1][1]):
            front.append((seconds, value))
    return front
