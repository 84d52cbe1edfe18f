# SPDX-License-Identifier: BSD-3-Clause
"""Command line of the benchmarks: `python -m bench AREA`, with the areas that `--help` lists."""

import argparse
import json
from pathlib import Path

from . import (
    blocks,
    data,
    kernel,
    linear,
    losses,
    many_classes,
    metric,
    micro,
    path,
    penalized,
    plot,
    ranking,
    stream,
    structured,
    summary,
    tall,
    text,
    threads,
)

LOSSES = ("hinge", "squared_hinge")
TASKS = ("binary", "ovr")
OUT = Path(__file__).parent / "out" / "records.jsonl"


def main():
    parser = argparse.ArgumentParser(prog="python -m bench")
    area = parser.add_subparsers(dest="area", required=True)
    p = area.add_parser("linear", help="linear SVMs: hingex beside other libraries")
    _common(p)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--budget", type=float, default=30.0,
                   help="seconds after which a fit is killed; a tenth of it ends the repeats")
    p.add_argument("--libraries", nargs="+", default=list(linear.ADAPTERS),
                   choices=linear.ADAPTERS, metavar="NAME", help=" ".join(linear.ADAPTERS))
    p.add_argument("--plot", type=Path, help="PNG of time against suboptimality")
    p.add_argument("--clock", choices=("wall", "cpu"), default="wall",
                   help="of the ratios; cpu for one thread on a busy machine")
    p.add_argument("--report", type=Path,
                   help="run nothing: tables, and the plot, of these records")
    p = area.add_parser("threads", help="hingex with two threads against one")
    _common(p)
    p = area.add_parser("tall", help="many rows, few features, C from small to large")
    p.add_argument("--sets", nargs="+", default=tall.SETS, choices=tall.SETS, metavar="SET")
    p.add_argument("--loss", nargs="+", default=LOSSES, choices=LOSSES)
    p.add_argument("--costs", nargs="+", type=float, default=tall.CS, metavar="C")
    p.add_argument("--budget", type=float, default=60.0, help="CPU seconds for a fit of a peer")
    p.add_argument("--libraries", nargs="*", default=tall.PEERS, metavar="NAME")
    p.add_argument("--out", type=Path, default=OUT)
    p.add_argument("--report", action="store_true", help="run nothing: the table of the records")
    p = area.add_parser("micro", help="parsing, prediction, import, small fits, memory")
    p.add_argument("--repeats", type=int, default=5)
    p.add_argument("--out", type=Path, default=OUT)
    p = area.add_parser("losses", help="losses beside NumPy's expressions and torch")
    p.add_argument("--repeats", type=int, default=5)
    p.add_argument("--out", type=Path, default=OUT)
    p = area.add_parser("path", help="paths over C, cross-validation, indicator targets")
    p.add_argument("--loss", nargs="+", default=LOSSES, choices=LOSSES)
    p.add_argument("--repeats", type=int, default=5)
    p.add_argument("--parts", nargs="+", default=path.PARTS, choices=path.PARTS, metavar="PART",
                   help=" ".join(path.PARTS))
    p.add_argument("--out", type=Path, default=OUT)
    p = area.add_parser("penalized", help="LinearClassifier beside scikit-learn and LIBLINEAR")
    p.add_argument("--sets", nargs="+", default=["20news", "a9a"], choices=list(data.SHAPES),
                   metavar="SET", help=" ".join(data.SHAPES))
    p.add_argument("--costs", nargs="+", type=float, default=list(penalized.COSTS), metavar="C")
    p.add_argument("--repeats", type=int, default=5)
    p.add_argument("--out", type=Path, default=OUT)
    p = area.add_parser("stream", help="PegasosClassifier beside SGDClassifier and Vowpal Wabbit")
    p.add_argument("--sets", nargs="+", default=stream.SETS, choices=stream.SETS, metavar="SET")
    p.add_argument("--loss", nargs="+", default=list(stream.LOSSES), choices=list(stream.LOSSES))
    p.add_argument("--tasks", nargs="+", default=stream.TASKS, choices=stream.TASKS)
    p.add_argument("--parts", nargs="+", default=stream.PARTS, choices=stream.PARTS,
                   metavar="PART", help=" ".join(stream.PARTS))
    p.add_argument("--repeats", type=int, default=3)
    p.add_argument("--out", type=Path, default=OUT)
    p = area.add_parser("blocks", help="fits on files larger and larger: time and memory")
    p.add_argument("--copies", nargs="+", type=int, default=blocks.COPIES, metavar="N",
                   help="how many times 31 MB a file has")
    p.add_argument("--out", type=Path, default=OUT)
    p = area.add_parser("text", help="raw text to features and to predictions")
    p.add_argument("--sets", nargs="+", default=text.SETS, choices=text.SETS, metavar="SET")
    p.add_argument("--parts", nargs="+", default=text.PARTS, choices=text.PARTS, metavar="PART",
                   help=" ".join(text.PARTS))
    p.add_argument("--repeats", type=int, default=5)
    p.add_argument("--out", type=Path, default=OUT)
    p = area.add_parser("kernel", help="kernel SVMs: hingex beside other libraries")
    p.add_argument("--only", type=_names(kernel.SETS), default=kernel.SETS, metavar="SET,...",
                   help=" ".join(kernel.SETS))
    p.add_argument("--parameters", type=_names(kernel.ALL_PARAMETERS), default=kernel.PARAMETERS,
                   metavar="NAME,...",
                   help=f"{' '.join(kernel.ALL_PARAMETERS)} (default: all but the last)")
    p.add_argument("--peers", type=_names(kernel.ADAPTERS), default=kernel.PEERS,
                   metavar="NAME,...", help=" ".join(kernel.ADAPTERS))
    p.add_argument("--repeat", type=int, default=3,
                   help=f"fits; fewer once they have taken {kernel.LONG:g} s")
    p.add_argument("--budget", type=float, default=300.0,
                   help="seconds after which a fit is killed")
    p.add_argument("--clock", choices=("wall", "cpu"), default="wall",
                   help="of the ratios for one thread; cpu on a busy machine")
    p.add_argument("--quick", action="store_true", help="small sets, tuned, one fit")
    p.add_argument("--out", type=Path, default=OUT)
    p.add_argument("--report", type=Path, help="run nothing: the tables of these records")
    p = area.add_parser("many_classes", help="SVC with many small classes beside scikit-learn")
    p.add_argument("--sets", nargs="+", default=list(many_classes.KINDS),
                   choices=many_classes.KINDS, metavar="SET", help=" ".join(many_classes.KINDS))
    p.add_argument("--classes", nargs="+", type=int, default=many_classes.CLASSES, metavar="K")
    p.add_argument("--out", type=Path, default=OUT)
    p = area.add_parser("ranking", help="RankSVM: an evaluation, LinearSVC on pairs, NDCG")
    p.add_argument("--parts", nargs="+", default=ranking.PARTS, choices=ranking.PARTS,
                   metavar="PART", help=" ".join(ranking.PARTS))
    p.add_argument("--repeats", type=int, default=5)
    p.add_argument("--out", type=Path, default=OUT)
    p = area.add_parser("metric", help="LMNN beside metric-learn, OASIS beside cosine")
    p.add_argument("--sets", nargs="+", default=metric.SETS, choices=metric.SETS, metavar="SET")
    p.add_argument("--out", type=Path, default=OUT)
    p = area.add_parser("structured", help="chains: OCR letters, tags, Viterbi, threads")
    p.add_argument("--parts", nargs="+", default=structured.PARTS, choices=structured.PARTS,
                   metavar="PART", help=" ".join(structured.PARTS))
    p.add_argument("--folds", type=int, default=10, help="of ocr")
    p.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()

    if data.folder() is None:
        print("HINGEX_DATA is not a folder: synthetic data of the same shapes are used")
    if args.area == "tall":
        if not args.report:
            print(tall.HEAD)
            tall.run(args.sets, args.loss, args.costs, args.budget, args.libraries, args.out)
        else:
            print(tall.table([json.loads(line) for line in args.out.read_text().splitlines()]))
        return
    if args.area == "kernel":
        kernel.report(args)
        return
    if args.area == "many_classes":
        many_classes.run(args.sets, args.classes, args.out)
        return
    if args.area == "ranking":
        ranking.run(args.parts, args.repeats, args.out)
        return
    if args.area == "metric":
        metric.run(args.sets, args.out)
        return
    if args.area == "structured":
        structured.run(args.parts, args.folds, args.out)
        return
    if args.area == "blocks":
        blocks.run(args.copies, args.out)
        return
    if args.area == "micro":
        micro.run(args.repeats, args.out)
    elif args.area == "text":
        text.run(args.sets, args.repeats, args.out, args.parts)
    elif args.area == "losses":
        losses.run(args.repeats, args.out)
    elif args.area == "path":
        path.run(args.loss, args.repeats, args.out, args.parts)
        return
    elif args.area == "stream":
        if "sgd" in args.parts:
            print(stream.HEAD)
            stream.run(args.sets, args.loss, args.tasks, args.repeats, args.out)
        if "vw" in args.parts:
            print(stream.VW_HEAD)
            stream.run_vw([s for s in args.sets if s in stream.VW_SETS], args.repeats, args.out)
        return
    elif args.area == "penalized":
        penalized.run(args.sets, args.costs, args.repeats, args.out)
    elif args.area == "threads":
        threads.run(args.sets, args.loss, args.tasks, args.repeats, args.out)
    elif args.report is None:
        linear.run(args.sets, args.loss, args.tasks, args.threads, args.repeats, args.budget,
                   args.libraries, args.out)
    source = getattr(args, "report", None) or args.out
    records = [json.loads(line) for line in source.read_text().splitlines()]
    if args.area == "linear":
        chosen = [r for r in records if r.get("area") == "linear" and _chosen(args, r)]
        if args.report is not None:
            for group in summary.groups(chosen).values():
                print(summary.task_table(group))
        print(summary.ratio_tables(chosen, args.clock))
        if args.plot is not None:
            plot.draw(chosen, args.plot)
    print()
    print(summary.target_table(records, getattr(args, "clock", "wall")))


def _common(p):
    p.add_argument("--sets", nargs="+", default=list(data.BINARY), choices=list(data.SHAPES),
                   metavar="SET", help=" ".join(data.SHAPES))
    p.add_argument("--loss", nargs="+", default=LOSSES, choices=LOSSES)
    p.add_argument("--tasks", nargs="+", default=TASKS, choices=(*TASKS, "crammer_singer"))
    p.add_argument("--repeats", type=int, default=5)
    p.add_argument("--out", type=Path, default=OUT,
                   help="records are appended to this file, as JSON lines")


def _names(known):
    """Type of an argument with some of the known names, parted by commas."""

    def parse(text):
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return names

    return parse


def _chosen(args, record):
    return (record["set"] in args.sets and record["loss"] in args.loss
            and record["task"] in args.tasks and record["threads"] == args.threads)


if __name__ == "__main__":
    main()
