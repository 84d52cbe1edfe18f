# SPDX-License-Identifier: BSD-3-Clause
"""Command line of the benchmarks: `python -m bench linear [options]`."""

import argparse
from pathlib import Path

from . import data, linear


def main():
    parser = argparse.ArgumentParser(prog="python -m bench")
    area = parser.add_subparsers(dest="area", required=True)
    p = area.add_parser("linear", help="linear SVMs beside scikit-learn's LinearSVC")
    p.add_argument("--sets", nargs="+", default=list(data.SHAPES), choices=list(data.SHAPES))
    p.add_argument("--loss", nargs="+", default=["hinge", "squared_hinge"])
    p.add_argument("--tasks", nargs="+", default=["binary", "ovr"])
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--repeats", type=int, default=3)
    p.add_argument("--budget", type=float, default=10.0,
                   help="seconds per setting after which no repeat and no tighter one is tried")
    p.add_argument("--quick", action="store_true",
                   help="other libraries only at their default tolerance")
    p.add_argument("--out", type=Path, default=Path("bench/out/linear.jsonl"))
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if data.folder() is None:
        print("HINGEX_DATA is not a folder: synthetic data of the same shapes are used")
    print("seconds (median wall) to 1e-2 / 1e-3 / 1e-4 / 1e-6 relative suboptimality")
    records = linear.run(args.sets, args.loss, args.tasks, args.threads, args.repeats,
                         args.budget, args.quick, args.out)
    print()
    print(linear.markdown(records))


if __name__ == "__main__":
    main()
