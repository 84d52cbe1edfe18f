# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of fits and losses. Needs matplotlib: ``pip install "hingex[plot]"``."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _validate as check

# Two colours that stay apart for colour-blind readers and in print (Okabe and Ito).
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#777777"
# For more lines: all of their colours that show on white, and dashes that differ as well.
COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":")


def _axes(ax: Any, columns: int = 1) -> Any:
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError('pictures need matplotlib: pip install "hingex[plot]"') from None
    return plt.subplots(1, columns, figsize=(5.5 * columns**0.7, 4), layout="constrained")[1]


def history(model: Any, ax: Any = None, tol: float | None = None) -> Any:
    """Draw the relative duality gap over the seconds of a fit; of a loaded model, the epochs.

    Parameters
    ----------
    model : fitted estimator, or its `history_`
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    tol : float, optional
        The gap that was asked for, drawn as a line; by default the estimator's `tol`.

    Returns
    -------
    matplotlib Axes

    Notes
    -----
    The line joins all epochs; dots mark gaps that were certified by a pass over all rows. Model
    files hold no times.

    Examples
    --------
    >>> import hingex
    >>> model = hingex.LinearSVC().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> hingex.plot.history(model).get_ylabel()
    'relative duality gap'
    """
    entries = getattr(model, "history_", model)
    tol = getattr(model, "tol", None) if tol is None else tol
    ax = _axes(ax)
    shown = entries[entries["gap"] > 0]
    certified = shown[shown["certified"]]
    when = "seconds" if entries["seconds"].any() else "epoch"
    ax.plot(shown[when], shown["gap"], color=BLUE, lw=1.5, label="estimated in the epochs")
    ax.plot(certified[when], certified["gap"], "o", color=ORANGE, label="certified")
    if tol is not None:
        ax.axhline(tol, color=GREY, lw=1, ls="--", label=f"tol = {tol:g}")
    if len(shown):
        ax.set_yscale("log")
    ax.set(xlabel=when if when == "seconds" else "epochs",
           ylabel="relative duality gap", title="How far from the optimum")
    ax.set_xlim(left=0)
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def margins(model: Any, X: Any, y: Any, ax: Any = None, bins: int = 60) -> Any:
    """Draw the distribution of margins of labelled rows.

    Two classes: y f with y = +-1 and f the score. More: score of the true class minus the highest
    other score, which is positive exactly for rows that are classified correctly. Lines mark
    margin 0, where the decision changes, and margin 1, where the hinge loss of two classes ends.
    The outermost bars also hold the 0.1% of margins beyond them on each side.

    Parameters
    ----------
    model : fitted classifier
    X : array-like or CSR, shape (n, d)
    y : array-like, shape (n,)
        Labels among `model.classes_`.
    ax : matplotlib Axes, optional
    bins : int, default 60
        Bars, roughly: 0 is always an edge between two.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        For labels that the model does not know, or `bins` below 1.
    TypeError
        For `bins` that is no integer.

    Examples
    --------
    >>> import hingex
    >>> model = hingex.LinearSVC().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> hingex.plot.margins(model, [[0.0], [3.0]], [0, 1]).get_xlabel()
    'margin y f(x)'
    """
    bins = check.integer("bins", bins)
    values = margin_values(model, X, y)
    ax = _axes(ax)
    low, high = np.percentile(values, [0.1, 99.9])
    low, high = min(low, -0.5), max(high, 1.5)
    width = (high - low) / bins
    edges = width * np.arange(np.floor(low / width), np.ceil(high / width) + 1)
    clipped = np.clip(values, edges[0], edges[-1])
    for part, colour, label in (
        (clipped[values > 0], BLUE, f"right: {np.mean(values > 0):.1%}"),
        (clipped[values <= 0], ORANGE, f"wrong: {np.mean(values <= 0):.1%}"),
    ):
        ax.hist(part, bins=edges, color=colour, alpha=0.85, label=label)
    ax.axvline(0, color=GREY, lw=1, label="margin 0")
    ax.axvline(1, color=GREY, lw=1, ls="--", label="margin 1")
    many = len(model.classes_) > 2
    name = "true class's score - highest other score" if many else "margin y f(x)"
    ax.set(xlabel=name, ylabel="rows", title=f"Margins of {len(values)} rows")
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def margin_values(model: Any, X: Any, y: Any) -> np.ndarray:
    """The margins that `margins` draws, shape (n,).

    Examples
    --------
    >>> import hingex
    >>> model = hingex.LinearSVC().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> hingex.plot.margin_values(model, [[0.0], [3.0]], [0, 1]).round(1).tolist()
    [1.5, 1.5]
    """
    scores = model.decision_function(X)
    y = np.asarray(y)
    if y.shape != (len(scores),):
        raise ValueError(f"y.shape == {y.shape}, expected ({len(scores)},): one label per row of X")
    codes = np.minimum(np.searchsorted(model.classes_, y), len(model.classes_) - 1)
    unknown = model.classes_[codes] != y
    if unknown.any():
        raise ValueError(f"y has a label that the model does not know: {y[unknown][0].item()!r}")
    if scores.ndim == 1:
        return np.where(codes == 1, scores, -scores)
    rows = np.arange(len(scores))
    own = scores[rows, codes].copy()
    scores[rows, codes] = -np.inf
    return own - scores.max(axis=1)


def losses(losses: Any, ax: Any = None, derivative: bool = True,
           margins: tuple[float, float] = (-1.5, 2.5)) -> Any:
    """Draw margin losses, and beside them their derivatives, against the margin t = y f.

    Parameters
    ----------
    losses : margin loss or name, or a sequence of these
        ``Hinge(0.5)``, ``0.9 * Hinge() + 0.1 * Logistic()``, or "hinge", "squared_hinge",
        "ModifiedHuber": the loss with its defaults.
    ax : matplotlib Axes, or with `derivative` a pair of them, optional
        Where to draw; a new figure by default.
    derivative : bool, default True
        Draw derivatives, too. Where one jumps its line is vertical: all subgradients.
    margins : pair of float, default (-1.5, 2.5)
        The range of t.

    Returns
    -------
    matplotlib Axes, or with `derivative` an array of two, losses and derivatives

    Raises
    ------
    ValueError
        For no losses, unknown names, `margins` that are no finite range, or too few `ax`.
    TypeError
        For what is neither a margin loss nor a name.

    Examples
    --------
    >>> import hingex
    >>> ax = hingex.plot.losses([hingex.losses.Hinge(), "logistic"], derivative=False)
    >>> ax.get_legend().get_texts()[1].get_text()
    'Logistic()'
    """
    check.boolean("derivative", derivative)
    several = [losses] if isinstance(losses, str) or not hasattr(losses, "__iter__") else losses
    shown = [_margin_loss(loss) for loss in several]
    if not shown:
        raise ValueError("losses is empty; name at least one")
    ends = np.asarray(margins, np.float64)
    if ends.shape != (2,) or not np.isfinite(ends).all() or not ends[0] < ends[1]:
        raise ValueError(f"margins must be a pair (lowest, highest) of t; got {margins!r}")
    panels = np.ravel(_axes(ax, 2 if derivative else 1))
    if len(panels) != (2 if derivative else 1):
        raise ValueError(f"ax must be {'two Axes' if derivative else 'one Axes'} for derivative="
                         f"{derivative}; got {len(panels)}")
    for i, loss in enumerate(shown):
        t = _places(loss, ends)
        # Thinner and thinner, so that none is hidden where several coincide.
        style = {"color": COLOURS[i % len(COLOURS)], "ls": DASHES[i % len(DASHES)],
                 "lw": 1.5 + 2.0 * (len(shown) - 1 - i) / max(len(shown) - 1, 1)}
        panels[0].plot(t, loss.phi(t), label=repr(loss), **style)
        if derivative:
            panels[1].plot(t, loss.slope(t), label=repr(loss), **style)
    for panel, name in zip(panels, ("loss", "derivative"), strict=False):
        panel.axvline(0, color=GREY, lw=0.6, zorder=0)
        panel.axhline(0, color=GREY, lw=0.6, zorder=0)
        panel.set(xlabel="margin t = y f", ylabel=name, xlim=ends)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False, fontsize="small")
    return panels if derivative else panels[0]


def _margin_loss(loss: Any) -> Any:
    """`loss`, or the margin loss of that name."""
    from .losses.margin import MarginLoss, MarginMixture

    if isinstance(loss, MarginLoss):
        return loss
    if not isinstance(loss, str):
        raise TypeError("losses must be margin losses such as Hinge(), or names; got "
                        f"{check._show(loss)}")
    known = {cls.__name__: cls for cls in MarginLoss.__subclasses__() if cls is not MarginMixture}
    for name, cls in known.items():
        if name.lower() == loss.replace("_", "").lower():
            return cls()
    raise ValueError(f"no margin loss is named {loss!r}; there are {', '.join(sorted(known))}")


def _places(loss: Any, ends: np.ndarray) -> np.ndarray:
    """Margins to draw at; also right before, at and right after each place where it may jump."""
    jumps = [np.nextafter(t, [-np.inf, t, np.inf]) for t in (0.0, *loss.kinks)]
    places = np.concatenate([np.linspace(ends[0], ends[1], 401), *jumps])
    return np.unique(np.clip(places, *ends))
