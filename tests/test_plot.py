# SPDX-License-Identifier: BSD-3-Clause
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

import hingex

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")


def problem(classes):
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, 120)
    return rng.normal(size=(120, 4)) + 2 * np.eye(classes, 4)[y], y


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    matplotlib.pyplot.close("all")


def test_history_draws_every_epoch_and_what_was_certified():
    X, y = problem(2)
    model = hingex.LinearSVC("hinge").fit(X, y)
    ax = hingex.plot.history(model)
    lines = {line.get_label(): line for line in ax.lines}
    shown = model.history_[model.history_["gap"] > 0]
    assert_allclose(lines["estimated in the epochs"].get_ydata(), shown["gap"])
    assert_allclose(lines["certified"].get_xdata(), shown["seconds"][shown["certified"]])
    assert list(lines["tol = 0.001"].get_ydata()) == [1e-3, 1e-3]
    assert ax.get_yscale() == "log"
    again = hingex.plot.history(model.history_, ax=matplotlib.pyplot.figure().subplots(), tol=0.5)
    assert "tol = 0.5" in {line.get_label() for line in again.lines}


@pytest.mark.parametrize("classes", [2, 3])
def test_margins_count_every_row(classes):
    X, y = problem(classes)
    names = np.array(["a", "b", "c"])[y]
    model = hingex.LinearSVC().fit(X, names)
    values = hingex.plot.margin_values(model, X, names)
    scores = model.decision_function(X)
    if classes == 2:
        truth = np.where(y == 1, scores, -scores)
    else:
        truth = [s[k] - max(np.delete(s, k)) for s, k in zip(scores, y, strict=True)]
    assert_allclose(values, truth)
    assert np.mean(values > 0) == model.score(X, names)
    ax = hingex.plot.margins(model, X, names)
    assert sum(bar.get_height() for part in ax.containers for bar in part) == len(y)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert f"right: {model.score(X, names):.1%}" in texts
    assert {"margin 0", "margin 1"} <= set(texts)
    # No bar holds both right and wrong rows: 0 is an edge.
    edges = {round(bar.get_x(), 9) for part in ax.containers for bar in part}
    assert 0 in edges


def test_margins_refuse_a_number_of_bars_that_is_none():
    X, y = problem(2)
    model = hingex.LinearSVC().fit(X, y)
    for bins in (0, -1, 2.5):
        with pytest.raises((ValueError, TypeError), match="bins must be a positive integer"):
            hingex.plot.margins(model, X, y, bins=bins)


def test_margins_refuse_what_cannot_be_drawn():
    X, y = problem(2)
    model = hingex.LinearSVC().fit(X, y)
    with pytest.raises(ValueError, match="a label that the model does not know: 7"):
        hingex.plot.margins(model, X, np.where(y == 1, 7, 0))
    with pytest.raises(ValueError, match=r"y.shape == \(3,\), expected \(120,\)"):
        hingex.plot.margins(model, X, y[:3])


def test_without_matplotlib_the_error_says_what_to_install():
    code = ("import sys; sys.modules['matplotlib.pyplot'] = None; import hingex, numpy as np\n"
            "m = hingex.LinearSVC().fit([[0.], [1.]], [0, 1])\n"
            "try: hingex.plot.history(m)\nexcept ImportError as e: print(e)")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "hingex[plot]"' in out.stdout
