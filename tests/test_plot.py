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


def test_losses_are_drawn_with_their_jumps():
    import hingex.losses as hl

    several = ["hinge", hl.SquaredHinge(0.5), "ZeroOne", 0.5 * hl.Hinge() + hl.Logistic()]
    value, slope = hingex.plot.losses(several)
    names = ["Hinge(margin=1.0)", "SquaredHinge(margin=0.5)", "ZeroOne()",
             "0.5*Hinge(margin=1.0) + 1*Logistic()"]
    assert [text.get_text() for text in value.get_legend().get_texts()] == names
    losses = [hl.Hinge(), several[1], hl.ZeroOne(), several[3]]
    for loss, name in zip(losses, names, strict=True):
        for panel, function in ((value, loss.phi), (slope, loss.slope)):
            line = next(line for line in panel.lines if line.get_label() == name)
            t = line.get_xdata()
            assert_allclose([t[0], t[-1]], [-1.5, 2.5])
            assert (np.diff(t) > 0).all()
            assert_allclose(line.get_ydata(), function(t))
    hinge = next(line for line in slope.lines if line.get_label() == names[0])
    steps = np.diff(hinge.get_xdata())[np.diff(hinge.get_ydata()) != 0]
    assert (steps < 1e-15).all()    # the derivative jumps: a vertical line
    looks = {(line.get_color(), line.get_linestyle()) for line in value.lines[:4]}
    assert len(looks) == 4


def test_losses_on_given_axes():
    ax = matplotlib.pyplot.figure().subplots()
    assert hingex.plot.losses("smooth_hinge", ax=ax, derivative=False, margins=(-4, 4)) is ax
    assert ax.get_xlim() == (-4, 4)
    both = matplotlib.pyplot.figure().subplots(2, 1)
    got = hingex.plot.losses(["ramp"], ax=both)
    assert list(got) == list(both)
    assert both[1].get_ylabel() == "derivative"
    many = hingex.plot.losses([hingex.losses.Hinge(0.1 * i) for i in range(20)], derivative=False)
    assert len({(line.get_color(), line.get_linestyle()) for line in many.lines[:20]}) == 20


@pytest.mark.parametrize(("arguments", "error", "said"), [
    ({"losses": []}, ValueError, "losses is empty"),
    ({"losses": "hing"}, ValueError, "no margin loss is named 'hing'; there are Exponential, Hin"),
    ({"losses": [3]}, TypeError, "losses must be margin losses"),
    ({"losses": "hinge", "margins": (1, 1)}, ValueError, "margins must be a pair"),
    ({"losses": "hinge", "margins": 3}, ValueError, "margins must be a pair"),
    ({"losses": "hinge", "derivative": 1}, TypeError, "derivative must be True or False"),
])  # fmt: skip
def test_losses_refuse_what_cannot_be_drawn(arguments, error, said):
    with pytest.raises(error, match=said):
        hingex.plot.losses(**arguments)
    with pytest.raises(ValueError, match="ax must be two Axes for derivative=True; got 1"):
        hingex.plot.losses("hinge", ax=matplotlib.pyplot.figure().subplots())


def test_without_matplotlib_the_error_says_what_to_install():
    code = ("import sys; sys.modules['matplotlib.pyplot'] = None; import hingex, numpy as np\n"
            "m = hingex.LinearSVC().fit([[0.], [1.]], [0, 1])\n"
            "try: hingex.plot.history(m)\nexcept ImportError as e: print(e)")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "hingex[plot]"' in out.stdout
