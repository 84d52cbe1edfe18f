# SPDX-License-Identifier: BSD-3-Clause
"""The options of ``hingex demo``."""

import sys
from pathlib import Path

import click

from ._common import json_option, print_json
from .demo import run_demo


@click.command("demo")
@click.option("--loss", type=click.Choice(["squared_hinge", "hinge"]), default="squared_hinge",
              show_default=True)
@click.option("-C", "--cost", type=click.FloatRange(min=0, min_open=True), default=1.0,
              show_default=True, metavar="C", help="Weight of the loss against the penalty.")
@click.option("--tol", type=click.FloatRange(min=0, min_open=True), default=1e-3,
              show_default=True, help="Relative duality gap to reach.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--out", type=click.Path(), default="hingex_demo.png", show_default=True,
              help="The picture: a file, or a folder for it.")
@click.option("--no-plot", is_flag=True, help="No picture.")
@json_option
def demo_command(loss: str, cost: float, tol: float, seed: int, out: str, no_plot: bool,
                 as_json: bool) -> None:
    """Train on the definitions of nouns in WordNet and tell what came out.

    The task is to tell the category of a noun (animal, food, feeling, ...) from the words of its
    definition, from raw text. Throughput, certificate, accuracy on held-out definitions, the
    strongest words of each category, some predictions with the words that decided, and a picture
    are shown.
    """
    result = run_demo(loss=loss, C=cost, tol=tol, seed=seed, out=None if no_plot else Path(out),
                      progress=not as_json and sys.stderr.isatty(), quiet=as_json)
    if as_json:
        print_json(result)
