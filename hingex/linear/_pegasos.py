# SPDX-License-Identifier: BSD-3-Clause
"""Linear classifiers that learn by steps: Pegasos, passive-aggressive ones, AROW."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import perf_counter
from typing import Any, Self

import numpy as np

from .. import _validate as check
from .._result import losing, warn
from .._targets import weightless
from ..losses import Hinge
from ..solvers import pegasos
from ..stop import Monitor
from ._base import LinearModel
from ._classifier import _loss

STREAM_ALPHA = 1e-4  # where the number of rows is not known; as SGDClassifier has it


class _Stepwise(LinearModel):
    """What they have in common: fit, partial_fit, the fitted attributes.

    coef_ and intercept_ are made when they are asked for: a call of `partial_fit` may have a few
    rows only, and weights for a million features.
    """

    max_iter: int
    n_iter_no_change: int
    early_stopping: str | None
    validation_fraction: float
    average: bool
    class_weight: Any

    def _rule(self) -> dict[str, Any]:
        """loss, rule, alpha, C, batch, projection of `pegasos.make`; alpha None: 1 / (C n).

        alpha is 0 for rules without a penalty.
        """
        raise NotImplementedError

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on (X, y) from the start.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)
        y : array-like, shape (n,)
            Labels: at least two distinct strings, integers, booleans or integral floats.
        sample_weight : float or array-like, shape (n,), optional
            Non-negative factors of the rows' losses; rows of weight 0 are passed over. A class of
            such rows stays in `classes_`; its score is the mean of the others' less 1, so that it
            is never predicted. At least two classes must have a row of positive weight.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For parameters or data out of range; the message names what, where, and the fix.
        FloatingPointError
            When the weights grow beyond float64, as they may with a loss that grows faster than
            linearly on features that are not scaled.
        KeyboardInterrupt
            After Ctrl-C; the fitted attributes hold what was reached.
        """
        owner = type(self).__name__
        options = self._options()
        rows = check.as_rows(X, owner=owner)
        classes, codes = check.encode_labels(y, rows.n, owner)
        weight = check.row_weights(1.0, self.class_weight, sample_weight, classes, codes, rows.n)
        check.check_feature_names(self, X, reset=True)
        monitor = Monitor(options["callback"], options["verbose"], options["tol"],
                          options["max_time"], owner, options["max_iter"])  # fmt: skip
        held = self._hold_out(X, y, codes, weight, options)
        self._begin(rows, classes, weight, options)
        self._absent = weightless(codes, weight, len(classes))
        score = None
        if held is not None:
            X_held, y_held, w_held, weight = held

            def score() -> float:
                self._forget_weights()
                return self.score(X_held, y_held, w_held)

        learned = self._learn(rows, codes, weight, options, monitor, score)
        _ = self.coef_  # made now: predictions leave the attributes as they are
        self.history_, self.n_iter_ = learned.history, learned.n_iter
        self.converged_ = learned.status == "converged"
        if learned.status == "interrupted":
            raise KeyboardInterrupt
        if not self.converged_ and options["stopping"] is not None:
            warn(f"{owner} stopped as the callback asked, and was still making progress"
                 if learned.status == "callback" else
                 f"{owner} was still making progress when {learned.status} was reached: raise it, "
                 "or raise tol", "ConvergenceWarning")  # fmt: skip
        return self

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> Self:
        """Learn from (X, y), one pass over it, after what has been learned before.

        After `fit`, it goes on from its model. No objective is made, so there is no `history_`.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)
            With as many features as the first time.
        y : array-like, shape (n,)
        classes : array-like, shape (K,), optional
            All labels that will ever occur; needed the first time.
        sample_weight : float or array-like, shape (n,), optional

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For labels that are not among the classes, classes that are not those of the first time,
            another number of features, or class_weight="balanced".
        KeyboardInterrupt
            After Ctrl-C; what was learned from the rows before it stays.
        """
        owner = type(self).__name__
        options = self._options()
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight={self.class_weight!r} needs all rows at once, which partial_fit "
                "does not have: give a dict of weights, or use fit"
            )
        if options["rule"]["alpha"] is None:
            options["rule"]["alpha"] = STREAM_ALPHA
        rows = check.as_rows(X, owner=owner)
        first = "_state" not in vars(self)
        if first and self.__sklearn_is_fitted__():
            raise ValueError(
                "this model comes from a file that keeps what predicts, not what learns: pickle "
                "the estimator to go on with it later"
            )
        if first and classes is None:
            raise ValueError("the first call of partial_fit needs classes: all labels to come")
        if classes is not None:
            known = check.encode_labels(classes, len(classes), owner)[0]
            if not first and not np.array_equal(known, self.classes_):
                raise ValueError(
                    f"classes are {known.tolist()}, but were {self.classes_.tolist()} when "
                    "partial_fit was first called: use a new estimator"
                )
        else:
            known = self.classes_
        codes = check.encode_known(
            y, rows.n, known, owner, "begin anew, and give the first call of partial_fit all "
            "labels to come as classes")
        weight = check.given_weights(self.class_weight, sample_weight, known, codes, rows.n)
        check.check_feature_names(self, X, reset=first)
        if first:
            self._begin(rows, known, weight, options)
        else:
            check.check_n_features(self, rows)
        limit = options["max_time"]
        state = self._resume()
        state.poll = None
        done = pegasos.visit(
            state, rows, codes, weight, needs_norms=pegasos.needs_norms(options["rule"]),
            seed=options["seed"], number=self._epochs,
            deadline=math.inf if limit is None else perf_counter() + limit,
        )  # fmt: skip
        self._epochs += 1
        self._absent = np.setdiff1d(self._absent, codes if weight is None else codes[weight > 0])
        self._forget_weights()
        self.n_iter_, self.converged_ = 1, False
        self.__dict__.pop("history_", None)
        if not done:
            warn(f"{owner} has learned from a part of the rows only, as max_time was reached: "
                 "raise it, or give fewer rows at once", "ConvergenceWarning")  # fmt: skip
        return self

    def fit_stream(self, blocks: Any, epochs: int = 1, *, checkpoint: Any = None) -> Self:
        """Train on data larger than memory, from the start, a block at a time.

        An epoch visits the blocks, and the rows of each, in random order. `early_stopping` is not
        looked at: there are as many epochs as asked for.

        Parameters
        ----------
        blocks : names of files, sequence or iterable of (X, y) or (X, y, sample_weight)
            As `LinearSVC.fit_stream` takes them. For blocks that come and go, with labels known
            before, there is `partial_fit`.
        epochs : int, default 1
        checkpoint : path, optional
            A folder that keeps what has been learned after each block: a call with the same
            blocks, parameters and folder after a kill loses no more than a block, and comes to the
            same bits.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError, OSError, FloatingPointError
            As `fit` and `LinearSVC.fit_stream`.
        KeyboardInterrupt
            After Ctrl-C; the fitted attributes hold what was reached.

        Warns
        -----
        ConvergenceWarning
            When `max_time` comes before the last epoch.

        Notes
        -----
        Memory: two blocks and the weights. A pass over all blocks comes first, for classes, number
        of rows and norms.
        """
        from ._stream import step_stream

        return step_stream(self, blocks, epochs, checkpoint)

    # ---- inside ----------------------------------------------------------------------------

    def _options(self) -> dict[str, Any]:
        options = self._common_options()
        options["verbose"], options["callback"] = self._watchers()
        options["rule"] = self._rule()
        options["average"] = check.boolean("average", self.average)
        stopping = self.early_stopping
        if stopping is not None:
            check.choice("early_stopping", stopping, ("objective", "validation"))
        options["stopping"] = stopping
        options["patience"] = check.integer("n_iter_no_change", self.n_iter_no_change)
        share = check.real("validation_fraction", self.validation_fraction)
        if not 0 < share < 1:
            raise ValueError(f"validation_fraction must lie between 0 and 1; got {share!r}")
        return options

    def _check_params(self) -> None:
        self._options()
        check.class_weight_form(self.class_weight)

    def _hold_out(
        self, X: Any, y: Any, codes: np.ndarray, weight: np.ndarray | None, options: dict[str, Any]
    ) -> tuple[Any, ...] | None:
        """Rows that only tell when to stop, as (X, y, weights), and the weights of all with 0."""
        if options["stopping"] != "validation":
            return None
        rng = np.random.default_rng(options["seed"])
        held = np.zeros(len(codes), dtype=bool)
        for k in range(int(codes.max()) + 1):  # the same share of every class
            of_class = np.flatnonzero(codes == k)
            count = round(self.validation_fraction * len(of_class))
            held[rng.permutation(of_class)[: min(count, len(of_class) - 1)]] = True
        if not held.any():
            raise ValueError(
                f"validation_fraction={self.validation_fraction!r} of {len(codes)} rows leaves no "
                "row to validate on: raise it, or use early_stopping='objective'"
            )
        where = np.flatnonzero(held)
        used = np.ones(len(codes)) if weight is None else weight.copy()
        w_held = None if weight is None else weight[where]
        used[where] = 0.0
        X = check.take_rows(np.asarray(X) if isinstance(X, list | tuple) else X, where)
        return X, np.asarray(y)[where], w_held, used

    def _begin(
        self, rows: Any, classes: np.ndarray, weight: np.ndarray | None, options: dict[str, Any]
    ) -> None:
        self._begin_at(
            rows.n, rows.d, classes, check.squared_norms(rows, 1.0)[1],
            1.0 if weight is None else float(weight.mean()), rows.is_single, options,
        )  # fmt: skip

    def _begin_at(
        self, n: int, d: int, classes: np.ndarray, mean_square: float, weight: float, single: bool,
        options: dict[str, Any],
    ) -> None:  # fmt: skip
        """A model that has learned nothing, for n rows with such a mean square and mean weight."""
        rule = dict(options["rule"])
        if rule["alpha"] is None:
            rule["alpha"] = 1.0 / (rule["C"] * n)
        if rule["alpha"] > 0:
            self.alpha_ = rule["alpha"]
        self.classes_, self.n_features_in_ = classes, d
        lanes = 1 if len(classes) == 2 else len(classes)
        made = dict(
            mean_square=mean_square, intercept=options["intercept"], scaling=options["scaling"],
            average=options["average"], weight=weight, single=single, threads=options["threads"],
            **rule,
        )  # fmt: skip
        self._made = (d, lanes), made
        self._state = pegasos.make(d, lanes, **made)
        self._epochs = 0
        self._absent = np.empty(0, np.int64)  # classes without weight, whose score never wins

    def _learn(
        self, rows: Any, codes: np.ndarray, weight: np.ndarray | None, options: dict[str, Any],
        monitor: Monitor, score: Any,
    ) -> pegasos.Learned:  # fmt: skip
        stopping = options["stopping"] is not None
        regularized = options["intercept"] == "regularized"
        learned = pegasos.run(
            self._resume(), rows, codes, weight, alpha=self._made[1]["alpha"],
            size=options["scaling"] ** 2 if regularized else np.inf,
            needs_norms=pegasos.needs_norms(options["rule"]), max_iter=options["max_iter"],
            max_time=options["max_time"], tol=options["tol"],
            patience=options["patience"] if stopping else options["max_iter"] + 1, score=score,
            average=options["average"],
            seed=options["seed"], first=self._epochs, monitor=monitor,
        )  # fmt: skip
        self._epochs += learned.n_iter
        self._forget_weights()
        return learned

    @property
    def t_(self) -> int:
        """Steps made."""
        if "_state" not in vars(self):
            raise AttributeError("t_ is there after fit or partial_fit only")
        return self._resume().t

    def __getattr__(self, name: str) -> Any:
        if name in ("coef_", "intercept_") and "_state" in vars(self):
            state = self._resume()
            d, lanes = state.v.shape
            W, b = np.empty((d, lanes)), np.empty(lanes)
            state.weights(W, b, True)
            if not (np.isfinite(W).all() and np.isfinite(b).all()):
                raise FloatingPointError(pegasos.OVERFLOW)
            absent = vars(self).get("_absent", [])
            W.T[absent], b[absent] = losing(W.T, b, absent)
            self.coef_, self.intercept_ = W.T, b
            return vars(self)[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _forget_weights(self) -> None:
        """They are to be made anew."""
        for name in ("coef_", "intercept_"):
            vars(self).pop(name, None)

    def _check_fitted(self) -> None:
        super()._check_fitted()
        _ = self.coef_, self.intercept_

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if "_state" in state and not isinstance(self._state, tuple):
            state["_state"] = self._state.arrays()
        return state

    def _resume(self) -> Any:
        """The kernel's state, made anew from its arrays after copying or unpickling."""
        if isinstance(self._state, tuple):
            arrays = self._state
            self._state = pegasos.make(*self._made[0], **self._made[1])
            self._state.restore(*arrays)
        return self._state


class PegasosClassifier(_Stepwise):
    """Linear classifier by stochastic subgradient steps, binary and one-vs-rest.

    For two classes, y_i = +-1, the problem is

        min  alpha / 2 ||w||^2 + 1/n sum_i c_i phi(y_i (w.x_i + b))

    and for more the same for each class against the rest, all in one pass. It reads the data a few
    times only, in blocks if need be (`partial_fit`); for a certified optimum take `LinearSVC` or
    `LinearClassifier`.

    Parameters
    ----------
    loss : str or margin loss of hingex.losses, default "hinge"
        phi: any convex margin loss, by name or as an object, also mixtures.
    alpha : float or None, default None
        Weight of the penalty. None: 1 / (C n), which makes the problem that of `LinearSVC`; for
        `partial_fit`, which does not know how many rows will come, 1e-4.
    C : float, default 1.0
        Used if alpha is None.
    batch_size : int, default 1
        Rows of a step.
    average : bool, default True
        Whether the result is the average of the w_t, weighted by t, or the last one. w is taken
        into it once in 8 d nonzeros of X, for all steps since the last time.
    projection : bool, default False
        Whether w is kept in the ball that the optimum lies in; not needed for convergence.
    early_stopping : {"objective", "validation"} or None, default "objective"
        Stop when the objective as seen in an epoch (its rows as of their visits), or the accuracy
        on held-out rows, has made no progress for `n_iter_no_change` epochs; None: `max_iter` are
        made.
    validation_fraction : float, default 0.1
        Share of each class's rows that is held out, if it is "validation".
    n_iter_no_change : int, default 2
    tol : float, default 1e-3
        Progress: a fall of the objective by this share, or a rise of the accuracy by so much. For
        the classifiers without a penalty, whose objective may go to 0, a fall below tol^2 is none.
    max_iter : int, default 1000
        Epochs.
    fit_intercept, intercept, intercept_scaling
        As `LinearSVC` has them: an unregularized intercept by default.
    class_weight : None, "balanced" or dict
    max_time : float, optional
        Seconds, for `fit` and for each call of `partial_fit`.
    n_jobs : int, optional
        Threads over the classes of one-vs-rest, by default as many as there are CPUs; results do
        not depend on it.
    random_state : int, optional
    verbose : bool, default False
    callback : callable, optional
        Called with a `State` after each epoch; a true return value stops the fit.

    Attributes
    ----------
    classes_, coef_ (K, d), intercept_ (K,), n_features_in_
        K is 1 for two classes.
    alpha_ : float
    t_ : int
        Steps made.
    n_iter_ : int
        Epochs of the last fit; 1 after partial_fit.
    converged_ : bool
        Whether `early_stopping` ended the fit.
    history_ : structured ndarray
        Of the last fit: epoch, seconds and the objective as seen (`primal`), summed over the
        classes.

    Warns
    -----
    ConvergenceWarning
        When `max_iter` or `max_time` comes before `early_stopping` would stop.

    Notes
    -----
    The steps' length has no parameter: step t is 1 / (alpha (t + delay)), where delay makes the
    first steps move a row's score by about 1. With the average, the objective's distance to its
    minimum falls as 1 / (alpha t). An epoch costs O(nonzeros K). Memory: X is used where it lies;
    w and its average take 16 bytes for each feature and class, 8 with float32 data and more than
    two classes, which have weights of single precision while they learn.

    References
    ----------
    Shalev-Shwartz, Singer, Srebro and Cotter, "Pegasos: primal estimated sub-gradient solver for
    SVM", Mathematical Programming 127, 2011.

    Examples
    --------
    >>> import hingex
    >>> X, y = [[-2.0], [-1.0], [1.0], [2.0]] * 5, ["a", "a", "b", "b"] * 5
    >>> model = hingex.PegasosClassifier(random_state=0).fit(X, y)
    >>> model.predict([[-1.5], [1.5]])
    array(['a', 'b'], dtype='<U1')
    """

    def __init__(
        self,
        loss: Any = "hinge",
        *,
        alpha: float | None = None,
        C: float = 1.0,
        batch_size: int = 1,
        average: bool = True,
        projection: bool = False,
        early_stopping: str | None = "objective",
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 2,
        tol: float = 1e-3,
        max_iter: int = 1000,
        fit_intercept: bool = True,
        intercept: str = "unregularized",
        intercept_scaling: float = 1.0,
        class_weight: Any = None,
        max_time: float | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: bool = False,
        callback: Callable[[Any], Any] | None = None,
    ) -> None:
        self.loss = loss
        self.alpha = alpha
        self.C = C
        self.batch_size = batch_size
        self.average = average
        self.projection = projection
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.max_iter = max_iter
        self.fit_intercept = fit_intercept
        self.intercept = intercept
        self.intercept_scaling = intercept_scaling
        self.class_weight = class_weight
        self.max_time = max_time
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.callback = callback

    def _rule(self) -> dict[str, Any]:
        loss = _loss(self.loss)
        if not loss.is_convex:
            raise ValueError(f"loss {loss!r} is not convex, so steps need not come to its minimum; "
                             "hinge, squared_hinge, logistic and the other convex ones do")
        alpha = self.alpha
        return {
            "rule": "pegasos", "loss": loss,
            "alpha": None if alpha is None else check.positive_float("alpha", alpha),
            "C": check.positive_float("C", self.C),
            "batch": check.integer("batch_size", self.batch_size),
            "projection": check.boolean("projection", self.projection),
        }  # fmt: skip


class _Passive(_Stepwise):
    """Rules without a penalty: their intercept is the weight of a constant feature 1."""

    intercept = "regularized"
    intercept_scaling = 1.0

    def _steps_of(self, rule: str, C: float) -> dict[str, Any]:
        return {"rule": rule, "loss": Hinge(), "alpha": 0.0, "C": C, "batch": 1,
                "projection": False}  # fmt: skip


class PassiveAggressiveClassifier(_Passive):
    """Linear classifier by passive-aggressive steps, binary and one-vs-rest.

    A row with hinge loss l = max(0, 1 - y f) > 0 moves w by tau y x, with q = ||x||^2 (+ 1 for the
    intercept), just as far as it has to or may:

        PA: tau = l / q        PA-I: tau = min(C, l / q)        PA-II: tau = l / (q + 1 / (2 C))

    Nothing is minimised: the mistakes made on the way are bounded. For a minimum take
    `PegasosClassifier` or `LinearSVC`.

    Parameters
    ----------
    variant : {"PA", "PA-I", "PA-II"}, default "PA-I"
    C : float, default 1.0
        Aggressiveness: the longest step of PA-I, the softness of PA-II; PA has none.
    average : bool, default False
        Whether the result is the average of the w_t, as `PegasosClassifier` has it, or the last.
    early_stopping : {"objective", "validation"} or None, default "objective"
        Stop when the mean hinge loss of the rows, each as of its visit, or the accuracy on held-out
        rows, has made no progress for `n_iter_no_change` epochs; None: `max_iter` are made.
    validation_fraction, n_iter_no_change, tol, max_iter
        As `PegasosClassifier` has them.
    fit_intercept : bool, default True
        The intercept is the weight of a constant feature 1.
    class_weight : None, "balanced" or dict
        Weights multiply C; with PA, which has no C, only the weight 0 counts.
    max_time, n_jobs, random_state, verbose, callback
        As `PegasosClassifier` has them.

    Attributes
    ----------
    classes_, coef_ (K, d), intercept_ (K,), n_features_in_, t_, n_iter_, converged_, history_
        As `PegasosClassifier` has them; `primal` in the history is the mean loss.

    Warns
    -----
    ConvergenceWarning
        When `max_iter` or `max_time` comes before `early_stopping` would stop.

    References
    ----------
    Crammer, Dekel, Keshet, Shalev-Shwartz and Singer, "Online passive-aggressive algorithms",
    JMLR 7, 2006, section 3.

    Examples
    --------
    >>> import hingex
    >>> X, y = [[0.0], [1.0], [3.0], [4.0]], ["a", "a", "b", "b"]
    >>> model = hingex.PassiveAggressiveClassifier(random_state=0).fit(X, y)
    >>> model.predict([[0.5], [3.5]])
    array(['a', 'b'], dtype='<U1')
    """

    def __init__(
        self,
        variant: str = "PA-I",
        *,
        C: float = 1.0,
        average: bool = False,
        early_stopping: str | None = "objective",
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 2,
        tol: float = 1e-3,
        max_iter: int = 1000,
        fit_intercept: bool = True,
        class_weight: Any = None,
        max_time: float | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: bool = False,
        callback: Callable[[Any], Any] | None = None,
    ) -> None:
        self.variant = variant
        self.C = C
        self.average = average
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.max_iter = max_iter
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.max_time = max_time
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.callback = callback

    def _rule(self) -> dict[str, Any]:
        check.choice("variant", self.variant, ("PA", "PA-I", "PA-II"))
        return self._steps_of(self.variant, check.positive_float("C", self.C))


class AROWClassifier(_Passive):
    """Linear classifier by adaptive regularization of weights, binary and one-vs-rest.

    Each weight w_j has a variance S_j, 1 at first, which falls with every row that it has learned
    from: rare features go on learning when common ones are settled. A row with hinge loss
    l = max(0, 1 - y f) > 0 changes

        q = r + sum_j S_j x_j^2,  tau = l / q:    w_j += tau y S_j x_j,    S_j -= (S_j x_j)^2 / q

    which is one of the best rules for a single pass over text. Nothing is minimised.

    Parameters
    ----------
    r : float, default 1.0
        Regularization: larger means shorter steps and slower falling variances.
    early_stopping, validation_fraction, n_iter_no_change, tol, max_iter, fit_intercept
        As `PassiveAggressiveClassifier` has them.
    class_weight : None, "balanced" or dict
        Weights divide r.
    max_time, n_jobs, random_state, verbose, callback
        As `PegasosClassifier` has them.

    Attributes
    ----------
    classes_, coef_ (K, d), intercept_ (K,), n_features_in_, t_, n_iter_, converged_, history_
        As `PassiveAggressiveClassifier` has them.

    Warns
    -----
    ConvergenceWarning
        When `max_iter` or `max_time` comes before `early_stopping` would stop.

    References
    ----------
    Crammer, Kulesza and Dredze, "Adaptive regularization of weight vectors", NIPS 2009, with the
    diagonal of the covariance.

    Examples
    --------
    >>> import hingex
    >>> X, y = [[0.0], [1.0], [3.0], [4.0]], ["a", "a", "b", "b"]
    >>> model = hingex.AROWClassifier(random_state=0).fit(X, y)
    >>> model.predict([[0.5], [3.5]])
    array(['a', 'b'], dtype='<U1')
    """

    average = False

    def __init__(
        self,
        r: float = 1.0,
        *,
        early_stopping: str | None = "objective",
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 2,
        tol: float = 1e-3,
        max_iter: int = 1000,
        fit_intercept: bool = True,
        class_weight: Any = None,
        max_time: float | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: bool = False,
        callback: Callable[[Any], Any] | None = None,
    ) -> None:
        self.r = r
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.max_iter = max_iter
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.max_time = max_time
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.callback = callback

    def _rule(self) -> dict[str, Any]:
        return self._steps_of("AROW", check.positive_float("r", self.r))
