# SPDX-License-Identifier: BSD-3-Clause
"""Ids, labels and ranks that float64 cannot tell apart: exact, or refused; never merged."""

import io
import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import hingex
from hingex import _validate as check
from hingex import losses, metrics
from hingex.ranking import LinearRankSVC

BIG = 2**53
X = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.5]])
RELEVANCE = [0, 1, 1, 0]
TWO = [0, 0, 1, 1]  # queries
PAIRS = 2  # of two queries; with the queries merged there are 4

RANKERS = {
    "fit": lambda qid: LinearRankSVC().fit(X, RELEVANCE, qid).n_pairs_,
    "score": lambda qid: 2 * LinearRankSVC().fit(X, RELEVANCE, TWO).score(
        X, RELEVANCE, qid) and PAIRS,
    "pairwise_accuracy": lambda qid: metrics.pairwise_accuracy(
        RELEVANCE, [0.0, 1.0, 3.0, 2.0], qid=qid) * PAIRS,
    "ndcg_score": lambda qid: metrics.ndcg_score(
        RELEVANCE, [0.0, 1.0, 3.0, 2.0], qid=qid) * PAIRS,
    "mean_average_precision": lambda qid: metrics.mean_average_precision(
        RELEVANCE, [0.0, 1.0, 3.0, 2.0], qid=qid) * PAIRS,
    "PairwiseRanking": lambda qid: losses.PairwiseRanking(normalize="none").value(
        RELEVANCE, np.zeros(4), qid=qid),
}  # fmt: skip


def pattern_of(rank, where):
    """What a message looks like: losses say qid[2], estimators and metrics that it is at row 2."""
    row, rest = re.fullmatch(r"at row (\d)(.*)", where).groups()
    return rf"qid\[{row}\] is .*{rest}" if rank == "PairwiseRanking" else (
        rf"qid is .* at row {row}{rest}")


@pytest.mark.parametrize("rank", RANKERS)
@pytest.mark.parametrize("ids", [
    np.array([BIG, BIG, BIG + 1, BIG + 1]),
    np.array([2**63, 2**63, 2**63 + 1, 2**63 + 1], np.uint64),
    np.array([-BIG, -BIG, -BIG - 1, -BIG - 1]),
    [BIG, BIG, BIG + 1, BIG + 1], [2**63 - 1, 2**63 - 1, -(2**63), -(2**63)],
    [2**63, 2**63, -1, -1], [2**63 + 1, 2**63 + 1, 2**63, 2**63],
    [2**70, 2**70, 2**70 + 1, 2**70 + 1],
    np.array([BIG, BIG, BIG + 1, BIG + 1], object), np.array([2**80, 2**80, 1, 1], object),
    ["9007199254740992", "9007199254740992", "9007199254740993", "9007199254740993"],
    [0.5, 0.5, BIG - 1.0, BIG - 1.0], np.float32([1, 1, 2**24 - 1, 2**24 - 1]),
    [0.25, 0.25, 0.5, 0.5],
], ids=repr)  # fmt: skip
def test_queries_are_told_apart(rank, ids):
    assert RANKERS[rank](ids) == RANKERS[rank](TWO) == PAIRS


@pytest.mark.parametrize("rank", RANKERS)
@pytest.mark.parametrize(("ids", "where"), [
    (np.array([1, 1, BIG, BIG + 1], float), "at row 2: float64 does not tell integers from 9007"),
    (np.array([BIG, BIG, BIG + 1, BIG + 1], float), "at row 0: float64"),
    ([1.0, 1.0, -1e17, -1e17], "at row 2: float64"),
    (np.float32([1, 1, 2**24, 2**24 + 1]), "at row 2: float32 does not tell integers from 167772"),
    (np.float16([1, 2048, 2049, 1]), "at row 1: float16"),
    ([BIG + 1, BIG + 1, 0.5, 0.5], "at row 0: float64"),
    (np.array([1, 1, 2.0**60, 2.0**60], object), "at row 2: float64"),
    (np.array([np.float32(2**25), 1, 1, 2], object), "at row 0: float32"),
    ([1.0, 1.0, np.inf, 2.0], "at row 2"),
], ids=repr)  # fmt: skip
def test_floats_that_may_be_several_queries(rank, ids, where):
    with pytest.raises(ValueError, match=pattern_of(rank, where)):
        RANKERS[rank](ids)


@pytest.mark.parametrize("rank", RANKERS)
def test_mixed_ids(rank):
    """NumPy makes one string of 1 and "1"."""
    for ids in ([1, 1, "1", "1"], [1, 1, "a", "a"], np.array([1, 1, "1", "1"], object)):
        with pytest.raises(TypeError, match="qid must hold numbers or strings, not a mixture"):
            RANKERS[rank](ids)
    for ids in ([1, 1, None, 2], [1.0, 1.0, np.nan, 2.0]):
        if rank == "PairwiseRanking" and None in ids:
            with pytest.raises(TypeError, match="qid must hold numbers or strings; got None"):
                RANKERS[rank](ids)
            continue
        with pytest.raises(ValueError, match=pattern_of(rank, "at row 2")):
            RANKERS[rank](ids)


def test_weights_by_query():
    ids = np.array([BIG, BIG, BIG + 1, BIG + 1])
    one = LinearRankSVC().fit(X, RELEVANCE, ids, query_weight={BIG + 1: 0.0})
    other = LinearRankSVC().fit(X[:2], RELEVANCE[:2])
    assert one.n_pairs_ == 1
    np.testing.assert_allclose(one.coef_, other.coef_, rtol=1e-3, atol=1e-9)


def test_relevance():
    """Of which only the order counts."""
    y = [BIG, BIG + 1, 0, 0]
    for given in (y, np.array(y), np.array(y, object), np.array([*y[:2], 2**63, 0], np.uint64)):
        with pytest.raises(ValueError, match=r"y is 9007199254740993 at row 1.*Pass ranks"):
            LinearRankSVC().fit(X, given)
        with pytest.raises(ValueError, match="relevance is 9007199254740993 at row 1"):
            metrics.pairwise_accuracy(given, np.zeros(4))
        with pytest.raises(ValueError, match="relevance is 9007199254740993 at row 1"):
            losses.PairwiseRanking().value(given, np.zeros(4))
    ranks = np.unique(y, return_inverse=True)[1]
    assert LinearRankSVC().fit(X, ranks).n_pairs_ == 5
    assert LinearRankSVC().fit(X, [2.0**60, 2.0**61, 0, 0]).n_pairs_ == 5  # as floats are


# --------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize("y", [
    np.array([BIG, BIG + 1, BIG, BIG + 1], float), [float(BIG), 1.0, 1.0, 1.0],
    np.float32([2**24, 1, 2**24, 1]), np.float16([2048, 1, 1, 1]), np.array([1e300, 1, 1, 1]),
    np.array([2.0**53, 1.0, 1.0, 1.0], object), np.longdouble([BIG, BIG + 1, BIG, BIG + 1]),
], ids=repr)  # fmt: skip
def test_labels_that_may_be_several(y):
    match = "(does not tell integers from .* apart|has no exact place)"
    for model in (hingex.LinearSVC(), hingex.SVC(), hingex.PegasosClassifier(), hingex.LMNN(
            n_neighbors=1), hingex.OASIS()):
        with pytest.raises(ValueError, match=match):
            model.fit(X, y)
    with pytest.raises(ValueError, match=match):
        hingex.ChainSVM().fit([X], [y])
    with pytest.raises(ValueError, match=match):
        hingex.MultilabelSVM().fit(X, [y[:1], y[1:], y, []])
    with pytest.raises(ValueError, match=match):
        hingex.LinearSVC().fit_stream([(X, y)])
    with pytest.raises(ValueError, match=match):
        hingex.LinearSVC().fit(X, [0, 1, 0, 1]).score(X, y)


@pytest.mark.parametrize("y", [
    np.array([BIG, BIG + 1, BIG, BIG + 1]), [BIG, BIG + 1, BIG, BIG + 1],
    np.array([2**63, 2**63 + 1, 2**63, 2**63 + 1], np.uint64),
    np.array([BIG, BIG + 1, BIG, BIG + 1], object), np.array([BIG - 1.0, 1, BIG - 1.0, 1]),
], ids=repr)  # fmt: skip
def test_labels_are_exact(y, tmp_path):
    X = np.array([[0.0, 1.0], [4.0, 0.0], [0.2, 1.0], [4.0, 0.5]])
    for model in (hingex.LinearSVC(), hingex.SVC(), hingex.PegasosClassifier(random_state=0)):
        model.fit(X, y)
        assert_array_equal(model.predict(X), y)
        assert model.score(X, y) == 1
        assert model.score(X, y[::-1]) == 0
        model.save(tmp_path / "model")
        assert_array_equal(hingex.load(tmp_path / "model").classes_, model.classes_)
    tagger = hingex.ChainSVM(10.0).fit([X], [y])
    assert tagger.classes_.tolist() == sorted({int(label) for label in y})


def test_labels_of_two_kinds_of_integers():
    """NumPy compares int64 and uint64 as floats."""
    classes = np.array([BIG, BIG + 1, BIG + 2])
    y = np.array([BIG + 2, BIG + 1, BIG], np.uint64)
    assert check.encode_known(y, 3, classes).tolist() == [2, 1, 0]
    with pytest.raises(ValueError, match=r"y\[0\] is 9007199254740995, which is not among"):
        check.encode_known(np.array([BIG + 3], np.uint64), 1, classes)
    model = hingex.PegasosClassifier().partial_fit(X, classes[[0, 1, 2, 1]], classes=classes)
    model.partial_fit(X, classes[[0, 1, 2, 1]].astype(np.uint64))
    signed, unsigned = np.array([BIG + 1, -1, 1, -1]), np.array([2**63, 1, 1, 1], np.uint64)
    with pytest.raises(ValueError, match="all blocks together have no exact place"):
        hingex.LinearSVC().fit_stream([(X, signed), (X, unsigned)])


# ---------------------------------------------------------------------------------------- files


def test_svmlight_qids():
    ids = np.array([BIG + 1, BIG, 2**63 - 1, -(2**63)])
    file = io.BytesIO()
    hingex.dump_svmlight_file(X, [0, 1, 0, 1], file, query_id=ids)
    file.seek(0)
    assert_array_equal(hingex.load_svmlight_file(file, query_id=True)[2], ids)
    for text in (b"1 qid:9223372036854775808 1:1\n", b"1 qid:9007199254740993.0 1:1\n",
                 b"1 qid:1e3 1:1\n"):
        with pytest.raises(ValueError, match="qid: and an integer of at most 64 bits"):
            hingex.load_svmlight_file(io.BytesIO(text), query_id=True)
    for given in (np.array([2**63, 1, 1, 1], np.uint64),):
        with pytest.raises(ValueError, match="query_id holds 9223372036854775808 at row 0"):
            hingex.dump_svmlight_file(X, [0, 1, 0, 1], io.BytesIO(), query_id=given)
    for given in (ids.astype(float), ids.astype(object)):
        with pytest.raises(ValueError, match="query_id must hold 4 integers"):
            hingex.dump_svmlight_file(X, [0, 1, 0, 1], io.BytesIO(), query_id=given)


def test_svmlight_labels():
    """Labels are read as float64: those that may be several are not learned from."""
    text = b"9007199254740992 1:1\n9007199254740993 1:2\n1 1:0\n"
    rows, y = hingex.load_svmlight_file(io.BytesIO(text))
    with pytest.raises(ValueError, match="does not tell integers"):
        hingex.LinearSVC().fit(rows, y)


@pytest.mark.parametrize("save", ["save_liblinear", "save_libsvm"])
def test_labels_of_text_models(save, tmp_path):
    """C ints there."""
    model = (hingex.SVC if save == "save_libsvm" else hingex.LinearSVC)()
    model.fit(X, np.array([2**31, 1, 2**31, 1]))
    with pytest.raises(ValueError, match="integers of 32 bits"):
        getattr(hingex.model_io, save)(model, tmp_path / "model")


def test_row_numbers():
    """Integers only, whose range is looked at before they become narrower."""
    for rows in (np.array([[0, 1, 2**63]], np.uint64), np.array([[0, 1, 2**32]]),
                 np.array([[0, 1, -1]])):
        with pytest.raises(ValueError, match=r"triplets\[0, 2\] is"):
            hingex.OASIS().fit(X, triplets=rows)
    with pytest.raises(ValueError, match="triplets must be integers"):
        hingex.OASIS().fit(X, triplets=[[0.0, 1.0, 2.0]])
    for part in ([2**32], np.array([2**63], np.uint64)):
        with pytest.raises(ValueError, match=r"must lie in 0\.\.3"):
            hingex.LinearSVCCV(cv=[(part, [0, 1])]).fit(X, [0, 1, 0, 1])
    with pytest.raises(ValueError, match="must be a 1-D array of integers"):
        hingex.LinearSVCCV(cv=[([0.0, 1.0], [2, 3])]).fit(X, [0, 1, 0, 1])
