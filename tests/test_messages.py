# SPDX-License-Identifier: BSD-3-Clause
"""What messages advise can be done: the parameters and arguments they name exist."""

import functools
import inspect
import pickle
import re
import warnings

import numpy as np
import pytest

import hingex
from hingex import (
    OASIS,
    AUCMaximizer,
    LinearRankSVC,
    LinearSVC,
    MultilabelSVM,
    PegasosClassifier,
    StructuredSVM,
    metrics,
)
from hingex.blocks import save_blocks
from hingex.losses.counterparts import keras, optax, torch
from hingex.structured import Multilabel
from hingex.text import TextClassifier, TextVectorizer

X = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.5]])
Y = [0, 1, 0, 1]
ESTIMATORS = {
    name: thing for name in hingex.__all__
    if isinstance(thing := getattr(hingex, name), type) and hasattr(thing, "get_params")
} | {"TextVectorizer": TextVectorizer, "TextClassifier": TextClassifier}
NEEDED = {"CalibratedClassifier": {"estimator": LinearSVC()}}
SUPERVISED = [name for name in ESTIMATORS if name not in (
    "OneClassSVM", "SVR", "NuSVR", "LinearRankSVC", "StructuredSVM", "ChainSVM", "MultilabelSVM",
    "TextVectorizer", "TextClassifier")]


def made(name, **parameters):
    return ESTIMATORS[name](**NEEDED.get(name, {}) | parameters)


def said(call):
    """The messages of a call that must fail, or warn."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            call()
        except (ValueError, TypeError, AttributeError) as error:
            return [str(error), *(str(w.message) for w in caught)]
    return [str(w.message) for w in caught]


# ------------------------------------------------------------------------ parameters by name

BAD_DATA = [
    ("no rows", np.empty((0, 2)), []), ("one row", X[:1], [0]), ("one class", X, [1] * 4),
    ("no y", X, None), ("short y", X, [0, 1]), ("NaN", X * np.nan, Y),
    ("text", [["a", "b"]] * 4, Y),
    ("1-D", X[0], Y), ("3-D", X[None], Y), ("huge", X * 1e200, Y), ("tiny", X * 1e-300, Y),
    ("continuous", X, [0.5, 1.5, 0.2, 0.1]), ("lists", X, [[0], [0, 1], [], [1]]),
    ("matrix", X, np.eye(4)), ("unknown", X, [None] * 4), ("ragged", [[1.0], [1.0, 2.0]], Y),
]  # fmt: skip


@functools.cache
def parameters_of_all():
    """The names of parameters and arguments of any estimator that are no words of English."""
    return {name for cls in ESTIMATORS.values() for name in signature_names(cls) if "_" in name}


def names_of(message):
    """What a message names as parameters: name=value, and names that some estimator has."""
    found = set(re.findall(r"(?<![\w.\[(])([a-zA-Z_]\w*)=(?!=)", message))
    return found | (set(re.findall(r"(?<!\.)\b[a-z_]+\b(?![.(])", message)) & parameters_of_all())


def signature_names(cls):
    names = set(inspect.signature(cls.__init__).parameters)
    for _, method in inspect.getmembers(cls, callable):
        try:
            names |= set(inspect.signature(method).parameters)
        except (TypeError, ValueError):  # not of Python
            continue
    return names


@pytest.mark.parametrize("name", ESTIMATORS)
def test_named_parameters_exist(name):
    """Whatever is wrong with data or a parameter: what the message names is in a signature."""
    messages = []
    for _, data, y in BAD_DATA:
        messages += said(lambda data=data, y=y: made(name).fit(data, y))
        messages += said(lambda data=data, y=y: made(name, **(
            {"max_iter": 1} if "max_iter" in ESTIMATORS[name]._defaults() else {})).fit(data, y))
    for parameter in ESTIMATORS[name]._defaults():
        for value in (-1, 0, "nonsense", None, np.nan, np.inf, [1, 2], object()):
            try:
                model = made(name, **{parameter: value})
            except (ValueError, TypeError):
                continue
            if parameter in ("random_state", "n_jobs", "verbose") and value in (-1, 0, None):
                continue
            messages += said(lambda model=model: model.fit(X, Y))
    known = signature_names(ESTIMATORS[name]) | {"shape", "dtype", "lengths", "var", "wrt"}
    for method in ("predict", "score", "transform", "decision_function"):
        if hasattr(ESTIMATORS[name], method):
            messages += said(lambda method=method: getattr(made(name), method)(X))
    assert messages
    for message in messages:
        strange = {n for n in names_of(message) if n not in known}
        assert not strange, message


@pytest.mark.parametrize("name", ESTIMATORS)
def test_what_fit_takes(name):
    """The call that NotFittedError advises has the arguments that fit needs."""
    if name in ("StructuredSVM", "ChainSVM"):
        method, data = "predict", [X]
    else:
        data = ["a text"] if "Text" in name else X
        method = next(m for m in ("predict", "transform") if hasattr(ESTIMATORS[name], m))
    message, = said(lambda: getattr(made(name), method)(data))
    call = re.search(r"not fitted yet: call fit\((.*)\) before", message).group(1).split(", ")
    parameters = inspect.signature(ESTIMATORS[name].fit).parameters
    needed = [p.name for p in parameters.values() if p.default is p.empty and p.name != "self"]
    assert set(needed) <= set(call) <= set(parameters)
    assert ("y" in call) == (name not in ("OneClassSVM", "TextVectorizer", "StructuredSVM",
                                          "MultilabelSVM"))


def test_old_pickles():
    """`save` is advised where there is one."""
    for model in (LinearSVC().fit(X, Y), MultilabelSVM().fit(X, [["a"], ["b"]] * 2)):
        advice = "use save and hingex.load" if hasattr(model, "save") else "or fit it again"
        state = model.__getstate__() | {"_hingex_version": "0.0.1"}
        with pytest.warns(UserWarning, match=advice):
            pickle.loads(pickle.dumps(type(model)())).__setstate__(state)


# ------------------------------------------------------------------------------------- losses


@pytest.mark.parametrize(("call", "name"), [
    (lambda y: torch.SoftMarginLoss()([0.5, 1.0], y), "target"),
    (lambda y: torch.SoftMarginLoss().value_and_gradient([0.5, 1.0], y), "target"),
    (lambda y: torch.HingeEmbeddingLoss()([0.5, 1.0], y), "target"),
    (lambda y: torch.MarginRankingLoss()([0.5, 1.0], [1.0, 2.0], y), "target"),
    (lambda y: optax.hinge_loss([0.5, 1.0], y), "targets"),
    (lambda y: optax.perceptron_loss.value_and_gradient([0.5, 1.0], y), "targets"),
])  # fmt: skip
def test_targets_of_counterparts(call, name):
    """They have no `labels` to pass: the advice is to convert the argument, by its own name."""
    for y, fix in (([0, 1], f"pass np.where({name} == 1, 1, -1)"), (["a", "b"], "== 'b', 1, -1)"),
                   ([True, False], f"np.where({name}"), ([0, 0], "must hold nothing else"),
                   ([1, 2, ], f"np.where({name} == 1"), ([np.nan, 1.0], name)):
        message, = said(lambda y=y: call(y))
        assert "labels=" not in message
        assert fix in message
        assert name in message
    message, = said(lambda: call([1]))
    assert f"y is {name}" in message
    message, = said(lambda: call([[1], [1, -1]]))
    assert f"{name} must be an array, or lists of equal length: row 1 has 2 values" in message


@pytest.mark.parametrize("call", [
    lambda: torch.MultiMarginLoss()([[0.0, 1.0]], [2]),
    lambda: torch.MultiMarginLoss().value_and_gradient([[0.0, 1.0]], ["a"]),
    lambda: optax.multiclass_hinge_loss([[0.0, 1.0]], [2]),
    lambda: torch.MultiMarginLoss()(np.zeros((1, 2, 3)), [2]),
])  # fmt: skip
def test_classes_of_counterparts(call):
    message, = said(call)
    assert re.match(r"here (y is (target|labels)|scores is input)( and .*)?: ", message)


def test_hinge_loss_has_average():
    for call in (lambda: metrics.hinge_loss([], [], labels=[0, 1]),
                 lambda: metrics.hinge_loss([0, 1], [1.0, 2.0], sample_weight=[0, 0])):
        message, = said(call)
        assert "use average=None" in message
        assert "reduction" not in message
    assert metrics.hinge_loss([], [], labels=[0, 1], average=None).shape == (0,)
    message, = said(lambda: metrics.hinge_loss([[1], [1, 2]], [0.0, 1.0]))
    assert message.startswith("here y is y_true")


def test_scores_of_rankings():
    """`empty` and `gains` are arguments of the metrics, not of LinearRankSVC.score."""
    model = LinearRankSVC().fit(X, Y)
    for y, metric, advice in (
        ([0] * 4, "ndcg", "hingex.metrics.ndcg_score with empty=0.0"),
        ([0] * 4, "map", "hingex.metrics.mean_average_precision with empty=0.0"),
        ([0, 2000, 1, 1], "ndcg", 'hingex.metrics.ndcg_score with gains="linear"'),
        ([0, -1, 1, 1], "ndcg", "here relevance is y"), ([0] * 3, "ndcg", "here relevance is y"),
    ):
        message, = said(lambda y=y, metric=metric: model.score(X, y, metric=metric))
        assert advice in message
    auc = AUCMaximizer().fit(X, Y)
    message, = said(lambda: auc.auc(X, [1] * 4))
    assert "y has no row of class 0" in message
    assert "query" not in message


# ------------------------------------------------------------------------------- label lists


@pytest.mark.parametrize("name", SUPERVISED)
def test_lists_of_labels(name):
    """What to do with several labels per row, and nothing of NumPy's inhomogeneous shapes."""
    column = np.empty(4, object)
    column[:] = [["a"], ["b", "a"], [], ["b"]]
    cases = [[["a"], ["b", "a"], [], ["b"]], [("a",), ("b",), ("a", "b"), ()], [{"a"}, {"b"}] * 2,
             [["a", "b"], [], ["b", "c"], []], column, [[1], [2, 3], [1], [1]]]
    if name in ("LinearSVC", "LinearSVCCV"):
        cases.append([["a", "b"], ["b", "c"]] * 2)  # no indicator
    for y in cases:
        message, = said(lambda y=y: made(name).fit(X, y))
        assert "MultilabelSVM takes the lists of labels" in message, y
        assert "MultiLabelBinarizer makes an indicator matrix" in message
        assert "inhomogeneous" not in message
    labels = [["a"], ["b", "a"], [], ["b"]]
    assert MultilabelSVM().fit(X, labels).predict(X)
    matrix = np.array([[1, 0], [1, 1], [0, 0], [0, 1]])
    assert LinearSVC().fit(X, matrix).predict(X).shape == (4, 2)


def test_ragged_arrays():
    """Lists of unequal length: where, instead of NumPy's words."""
    ragged = [[1.0], [1.0, 2.0], [1.0], [2.0]]
    for call, text in (
        (lambda: LinearSVC().fit(ragged, Y), "rows of equal length: row 1 has 2 values, row 0 has"),
        (lambda: LinearSVC().fit(X, Y, ragged), "sample_weight must be an array"),
        (lambda: LinearRankSVC().fit(X, ragged), "y must be an array, or lists of equal length"),
        (lambda: LinearRankSVC().fit(X, Y, ragged), "qid must be an array"),
        (lambda: OASIS().fit(X, triplets=ragged), "triplets must be an array"),
        (lambda: hingex.losses.Hinge().value(ragged, ragged), "f must be an array"),
        (lambda: keras.Hinge()(ragged, [[1.0, 2.0]] * 4), "y_true must be an array"),
        (lambda: StructuredSVM(Multilabel()).fit(X, ragged), "Y must be an array"),
        (lambda: StructuredSVM().fit([X], [ragged]), "sequence 0 of Y must be an array"),
        (lambda: StructuredSVM().fit(X, Y, lengths=ragged), "lengths must be an array"),
    ):
        message, = said(call)
        assert text in message
        assert "inhomogeneous" not in message


# ------------------------------------------------------------------------------ steps, streams


def test_labels_that_come_later():
    """partial_fit has `classes`; the blocks of fit_stream and confusion have not."""
    model = PegasosClassifier().partial_fit(X, Y, classes=[0, 1])
    message, = said(lambda: model.partial_fit(X, [0, 1, 2, 1]))
    assert "first call of partial_fit all labels to come as classes" in message
    blocks = [(X, np.array(Y)), (X, np.array(Y))]

    class Changing(list):
        reads = 0

        def __getitem__(self, i):
            Changing.reads += 1
            return (X, np.array(Y) + (Changing.reads > 2))

    message, = said(lambda: PegasosClassifier().fit_stream(Changing(blocks), epochs=1))
    assert "the block had other labels when blocks were gone through the first time" in message
    tagger = hingex.ChainSVM().fit([X], [Y])
    message, = said(lambda: tagger.confusion([X], [[0, 1, 2, 1]]))
    assert "as classes" not in message
    assert "leave sequences with other labels out" in message


@pytest.mark.parametrize("cls", [LinearSVC, PegasosClassifier])
def test_streams_of_indicators(cls, tmp_path):
    """An iterator of blocks goes to a temporary folder, which no message names."""
    matrix = np.eye(2, dtype=int)[Y]
    blocks = [(X, np.array(Y)), (X, matrix)]
    for source, options in ((iter(blocks), {}), (blocks, {}),
                            (iter(blocks), {"checkpoint": tmp_path / "kept"})):
        message, = said(lambda source=source, options=options: cls().fit_stream(source, **options))
        assert message.startswith("block 1: y has shape (4, 2), but blocks have one label per row")
        assert "LinearSVC.fit does" in message
    message, = said(lambda: save_blocks(iter(blocks), tmp_path / "other"))
    assert message.startswith("block 1: y has shape (4, 2)")
    # Other faults of a block, too, and only files that the user named are named
    message, = said(lambda: cls().fit_stream(iter([(X, Y), (X[:, :1], Y)])))
    assert message.startswith("block 1 has 1 features")
    message, = said(lambda: cls().fit_stream(iter([(X, Y), (X * np.nan, Y)])))
    assert message.startswith("block 1: Input X contains NaN")
    message, = said(lambda: cls().fit_stream(iter([(X, Y), (X, [[0], [1, 0], [], [1]])])))
    assert message.startswith("block 1: y should be a 1d array of labels")
    save_blocks([(X, Y), (X[:, :1], Y)], tmp_path / "named")
    message, = said(lambda: cls().fit_stream(tmp_path / "named"))
    assert "block 1 (" in message
    assert "000001.npz" in message


def test_stopped_by_a_callback():
    """No advice to raise a callback."""
    message, = said(lambda: PegasosClassifier(callback=lambda state: True).fit(X, Y))
    assert "the callback" in message
    assert "raise" not in message


# --------------------------------------------------------------------------------------- text


def test_documents_shorter_than_ngrams():
    """They are not blamed on stop words where there are none."""
    for options, present, absent in (
        ({"ngram_range": (3, 3)}, "fewer than 3 words", "stop"),
        ({"ngram_range": (3, 4), "stop_words": "english"}, "fewer than 3 words", "characters"),
        ({"analyzer": "char", "ngram_range": (9, 9)}, "fewer than 9 characters", "stop|pattern"),
        ({"token_pattern": r"\d+"}, "token_pattern finds no word", "stop|fewer"),
    ):
        message, = said(lambda options=options: TextVectorizer(**options).fit(["so it", "is"]))
        assert present in message
        assert not re.search(absent, message)
    message, = said(lambda: TextVectorizer(stop_words=["only"]).fit(["only"]))
    assert "all their words are stop_words" in message
    message, = said(lambda: TextVectorizer().fit(["a", "b c"]))
    assert "long enough for token_pattern" in message
