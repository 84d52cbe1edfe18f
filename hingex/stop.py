# SPDX-License-Identifier: BSD-3-Clause
"""What watches a solver while it runs: the state it shows, callbacks, the progress bar."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

REDRAW = 0.05  # seconds between two drawings of the progress bar

HISTORY_DTYPE = np.dtype([
    ("epoch", "i8"), ("seconds", "f8"), ("primal", "f8"), ("dual", "f8"), ("gap", "f8"),
    ("active", "i8"), ("certified", "?"),
])  # fmt: skip


class State(NamedTuple):
    """Where a solver stands at the end of an epoch: the fields of HISTORY_DTYPE in its order.

    Attributes
    ----------
    epoch : int
        Epochs done.
    seconds : float
        Since `fit` began to solve.
    primal, dual : float
        Objectives, summed over the classes of one-vs-rest.
    gap : float
        Relative duality gap, the largest over the classes.
    active : int
        Rows that shrinking left in the sweeps.
    certified : bool
        Whether primal and gap are true (a pass over all rows) or estimates from the sweep.

    Examples
    --------
    >>> import hingex
    >>> seen = []
    >>> model = hingex.LinearSVC(callback=seen.append).fit([[0.0], [1.0]], [0, 1])
    >>> seen[-1].epoch == model.n_iter_, seen[-1].certified
    (True, True)
    """

    epoch: int
    seconds: float
    primal: float
    dual: float
    gap: float
    active: int
    certified: bool


class Monitor:
    """Calls the callback and draws the progress bar.

    Parameters
    ----------
    callback : callable or None
        Called with a `State` after every epoch; a true return value stops the fit.
    verbose : bool
        Show a tqdm bar (or plain lines when tqdm is not installed).
    tol : float
        The gap at which the bar is full.
    max_time : float or None
        Seconds allowed; bounds the time left that is shown.
    label : str
        Text before the bar.
    max_iter : int, optional
        Epochs at which the bar is full where there is no gap (nan).
    counted : str
        What the bar calls the field `active`.
    """

    def __init__(
        self,
        callback: Callable[[State], Any] | None = None,
        verbose: bool = False,
        tol: float = 1e-3,
        max_time: float | None = None,
        label: str = "fit",
        max_iter: int | None = None,
        counted: str = "active",
    ) -> None:
        self.callback, self.counted = callback, counted
        self.max_time = max_time
        self.tol = tol
        self.verbose = verbose
        self.label = label
        self.max_iter = max_iter
        # Made by the first epoch: an error before it leaves no bar on the screen.
        self.bar: Any = None
        self.waiting: State | None = None  # not drawn yet
        self.next_draw = 0.0
        self.poll: Callable[[], Any] | None = None  # called about every 10 ms; may raise
        self.asked = False  # whether the callback has ever asked to stop, in the last epoch as well
        self.before = (0, 0.0)  # epochs and seconds of the solvers before this one

    @property
    def watching(self) -> bool:
        """Whether anybody looks at every epoch."""
        return self.verbose or self.callback is not None

    def go_on(self, epochs: int, seconds: float) -> None:
        """Add these to the states of the solver to come, which counts from 0."""
        self.before = epochs, seconds

    def update(self, state: State) -> bool:
        """Tell everyone; True when the callback asks to stop."""
        epochs, seconds = self.before
        if epochs:
            state = state._replace(epoch=state.epoch + epochs, seconds=state.seconds + seconds)
        if self.verbose:
            if self.bar is None:
                self.bar = _progress_bar(self.label)
            self.waiting = state
            if state.seconds >= self.next_draw:
                self._draw(self.bar, state)
                self.next_draw = state.seconds + REDRAW
        stop = self.callback is not None and bool(self.callback(state))
        self.asked = self.asked or stop
        return stop

    def _draw(self, bar: Any, state: State) -> None:
        # The gap falls about geometrically, so its logarithm is what advances evenly.
        done = 0.0
        if math.isnan(state.gap):
            done = state.epoch / self.max_iter if self.max_iter else 0.0
        elif 0 < state.gap < 1 and self.tol < 1:
            done = min(1.0, math.log(state.gap) / math.log(max(self.tol, 1e-16)))
        elif state.gap <= self.tol:
            done = 1.0
        left = state.seconds * (1 - done) / done if done > 0 else math.inf
        if self.max_time is not None:
            left = min(left, max(0.0, self.max_time - state.seconds))
        bar.n = max(bar.n, round(100 * done, 1))
        sign = "" if state.certified else "~"
        reached = f"gap {sign}{state.gap:.2e}"
        if math.isnan(state.gap):
            reached = f"objective {state.primal:.6g}"
        shown = "?" if math.isinf(left) else f"{left:.1f} s"
        bar.set_postfix_str(
            f"epoch {state.epoch}, {reached}, "
            f"{self.counted} {state.active}, {state.seconds:.1f} s, left {shown}"
        )

    def close(self) -> None:
        """Draw the last state and leave the bar."""
        if self.bar is not None and self.waiting is not None:
            self._draw(self.bar, self.waiting)
            self.bar.close()
        self.bar = None


class _PlainLines:
    """Stands in for tqdm: a line on standard error at doubling epochs."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.n = 0.0
        self.count = 0
        self.text = ""

    def set_postfix_str(self, text: str) -> None:
        import sys

        self.text = text
        self.count += 1
        if self.count & (self.count - 1) == 0:
            print(f"{self.label}: {text}", file=sys.stderr)

    def close(self) -> None:
        import sys

        print(f"{self.label}: {self.text}", file=sys.stderr)


def _progress_bar(label: str) -> Any:
    try:
        from tqdm import tqdm
    except ImportError:
        return _PlainLines(label)
    return tqdm(
        # tqdm puts ", " before a postfix.
        total=100.0, desc=label, leave=True, bar_format="{desc} {percentage:3.0f}%|{bar}|{postfix}"
    )
