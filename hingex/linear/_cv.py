# SPDX-License-Identifier: BSD-3-Clause
"""The linear support vector classifier that chooses its C by cross-validation."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from threading import RLock
from time import perf_counter
from typing import Any, NamedTuple, Self

import numpy as np

from .. import _validate as check
from .._core import kernels
from .._result import warn
from .._targets import n_lanes
from .._threads import n_threads
from ..solvers import solve_linear
from ..solvers.path import Step, solve_path, spare
from ..stop import REDRAW, Monitor, State, _progress_bar
from ._folds import check_cv, check_scoring, make_folds, make_scorer, rows_of
from ._svc import LinearSVC


class CVState(NamedTuple):
    """One more model of a cross-validation is scored.

    Attributes
    ----------
    fold : int
    C : float
    score : float
    gap : float
        Certified relative duality gap, the largest over the classes.
    done, total : int
        Models so far, of folds times Cs.
    seconds : float
        Since `fit` began.

    Examples
    --------
    >>> import hingex
    >>> seen = []
    >>> model = hingex.LinearSVCCV(Cs=2, cv=2, callback=seen.append)
    >>> _ = model.fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> seen[-1].done, seen[-1].total
    (4, 4)
    """

    fold: int
    C: float
    score: float
    gap: float
    done: int
    total: int
    seconds: float


class LinearSVCCV(LinearSVC):
    """`LinearSVC` with C chosen by cross-validation.

    Every fold goes through all C with warm starts (`LinearSVC.path`); X, its norms and labels are
    shared by all folds and never copied: rows that a fold holds out take no part in its sweeps.
    Folds run in threads. The model at the end is ``LinearSVC(C=C_)`` on all rows.

    Parameters
    ----------
    loss : {"squared_hinge", "hinge"}, default "squared_hinge"
    Cs : array-like or int, default 20
        Values of C to try, in any order; or how many from 1e-3 to 1e3, logarithmically spaced, up
        to 100 000.
    cv : int, splitter, iterable of (train, test) or None, default None
        An integer makes that many stratified folds, without shuffling, as scikit-learn's
        StratifiedKFold does; with an indicator matrix y, blocks of neighbouring rows. It must not
        exceed the rows of any class. None means 5, or as many as the smallest class of two rows and
        more has, if these are fewer. A splitter has a method `split(X, y)`, or
        `split(X, y, groups)` if groups are given to `fit`. Pairs hold row numbers or masks; rows
        may be repeated.
    scoring : str or callable, default "accuracy"
        "accuracy" (with an indicator matrix of whole label sets), "balanced_accuracy", "f1" and
        "roc_auc" (two classes), "f1_macro", "f1_micro"; all weighted by `sample_weight`. Or a
        callable (model, X, y) -> float, greater is better, which gets copies of the test rows
        and no weights.
    select : {"best", "one_standard_error"}, default "best"
        The C of the highest mean score, the smallest such C in a tie; or the smallest C whose mean
        is no more than a standard error of the best mean below it.
    multi_class, solver, tol, fit_intercept, intercept, intercept_scaling, class_weight
        As for `LinearSVC`. "balanced" is computed in each fold, from its training rows.
    max_iter : int, default 1000
        Of each model.
    max_time : float or None, default None
        Seconds for everything; a share is kept for the last fit.
    n_jobs : int or None, default None
        Threads over folds, and in the last fit. No score depends on it; the last fit may, as
        described for `LinearSVC`.
    random_state
        As for `LinearSVC`. The folds of an integer `cv` do not depend on it.
    verbose : bool, default False
        Progress bar over folds and Cs with the gap at present.
    callback : callable or None, default None
        Called with a `CVState` after every model, never by two threads at once. A true result
        ends the cross-validation; the last fit follows.
    store_dual : bool, default False
        As for `LinearSVC`, of the last fit.

    Attributes
    ----------
    C_ : float
        The C chosen.
    Cs_ : ndarray (m,)
    scores_ : ndarray (folds, m)
        NaN for what was not reached.
    fold_gaps_ : ndarray (folds, m)
        Certified relative duality gap of each model, the largest over the classes.
    fold_n_iter_ : ndarray (folds, m) of int
    best_score_ : float
        Mean score of `C_` over the folds.
    best_index_ : int
        Place of `C_` in `Cs_`.
    n_splits_ : int
    cv_results_ : dict of ndarray (m,)
        "param_C", "mean_test_score", "std_test_score", "rank_test_score" (1 is best), "max_gap",
        "mean_n_iter", "mean_fit_time" (seconds), "split0_test_score", ...
    coef_, intercept_, classes_, duality_gap_, ...
        Of the last fit, as `LinearSVC` has them.

    Warns
    -----
    ConvergenceWarning
        When models ended before `tol`, or were not reached.

    Notes
    -----
    Memory beyond X: for each thread the weights and duals of one model, and some 50 bytes per row.
    Rows of weight 0 are in no fold of an integer `cv`. Ctrl-C leaves `scores_` and its like as far
    as they came, and no model.

    Examples
    --------
    >>> import hingex
    >>> X, y = [[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]], [0, 0, 0, 1, 1, 1]
    >>> hingex.LinearSVCCV(Cs=[0.1, 1.0, 10.0], cv=3).fit(X, y).predict([[0.5], [4.5]])
    array([0, 1])
    """

    def __init__(
        self,
        loss: str = "squared_hinge",
        *,
        Cs: Any = 20,
        cv: Any = None,
        scoring: Any = "accuracy",
        select: str = "best",
        multi_class: str = "ovr",
        solver: str = "auto",
        tol: float = 1e-3,
        fit_intercept: bool = True,
        intercept: str = "unregularized",
        intercept_scaling: float = 1.0,
        class_weight: Any = None,
        max_iter: int = 1000,
        max_time: float | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: bool = False,
        callback: Callable[[Any], Any] | None = None,
        store_dual: bool = False,
    ) -> None:
        self.loss = loss
        self.Cs = Cs
        self.cv = cv
        self.scoring = scoring
        self.select = select
        self.multi_class = multi_class
        self.solver = solver
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.intercept = intercept
        self.intercept_scaling = intercept_scaling
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.max_time = max_time
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.callback = callback
        self.store_dual = store_dual

    def _with_C(self, C: float) -> LinearSVC:
        shared = LinearSVC._defaults().keys() & self._defaults().keys()
        return LinearSVC(C=C, **{name: getattr(self, name) for name in shared})

    def _options(self) -> dict[str, Any]:
        return self._with_C(1.0)._options()

    def _check_params(self) -> None:
        self._with_C(1.0)._check_params()
        check.choice("select", self.select, ("best", "one_standard_error"))
        check.many_C("Cs", self.Cs)
        check_scoring(self.scoring)
        check_cv(self.cv)

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None
    ) -> Self:
        """Choose C and train on (X, y).

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)
        y : array-like, shape (n,), or an indicator matrix (n, L)
            As for `LinearSVC.fit`.
        sample_weight : float or array-like, shape (n,), optional
            Non-negative; weighs losses and scores.
        groups : array-like, shape (n,), optional
            For a splitter as `cv`, such as scikit-learn's GroupKFold: ``cv.split(X, y, groups)``.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For parameters or data out of range, folds without a class among them.
        KeyboardInterrupt
            After Ctrl-C.
        """
        begin = perf_counter()
        owner = type(self).__name__
        options = self._options()
        verbose, callback = self._watchers()
        select = check.choice("select", self.select, ("best", "one_standard_error"))
        Cs = check.many_C("Cs", self.Cs)
        max_time = options.pop("max_time")
        del options["C"]

        rows = check.as_rows(X, owner=owner)
        classes, targets, kind = self._targets(y, rows.n, options["scheme"])
        score = make_scorer(self.scoring, targets, len(classes))
        for C in (Cs.min(), Cs.max()):
            check.row_weights(float(C), self.class_weight, sample_weight, classes, targets, rows.n)
        weights = check.sample_weights(sample_weight, rows.n)
        folds = make_folds(self.cv, (X, y, groups), targets, classes, weights, rows.n)
        check.check_feature_names(self, X, reset=True)

        workers = min(n_threads(self.n_jobs), len(folds))
        share = len(folds) / workers
        end = deadline = math.inf
        if max_time is not None:
            end = begin + max_time - spare(rows, n_lanes(targets, len(classes)), max_time)
            deadline = begin + (end - begin) * share / (1 + share)
        run = _Run(self, X, y, rows, targets, kind, classes, weights, folds, Cs, score)
        watch = _Watch(callback, verbose, owner, len(folds) * len(run.ascending), begin)
        inner = options | {"threads": max(1, options["threads"] // workers), "parts": 1}
        interrupted = False
        try:
            run.go(workers, watch, deadline, inner)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            watch.close()
        if interrupted or watch.interrupted:
            self._forget()
        self._keep_scores(run, select)
        if interrupted or watch.interrupted:
            raise KeyboardInterrupt

        C = self.C_
        cost = check.row_weights(C, self.class_weight, sample_weight, classes, targets, rows.n)
        left = None if max_time is None else max(1e-3, end - perf_counter())
        monitor = Monitor(None, verbose, options["tol"], left, f"{owner} C={C:.3g}")
        fit, chosen, reason = solve_linear(
            rows, targets, len(classes), C=C, cost=cost, max_time=left, monitor=monitor, **options
        )
        self._learn(fit, chosen, reason, classes, kind, rows.d)
        if self.store_dual:
            bound = C if cost is None else cost[:, None]
            self._keep_duals(fit, targets, bound, options["loss"], options["scheme"])
        if fit.status != "interrupted":
            self._warn(run, watch, owner, options["tol"])
        self._conclude(fit, options)
        return self

    def _forget(self) -> None:
        """Drop all that another fit has left: its model would stand beside the new scores."""
        for name in vars(self).keys() - self._defaults().keys():
            delattr(self, name)

    def _keep_scores(self, run: _Run, select: str) -> None:
        """Attributes of the cross-validation, and the choice of C."""
        scores = run.scores
        known = np.isfinite(scores).sum(axis=0)
        mean, spread = np.full((2, len(run.Cs)), np.nan)
        some = known > 0
        mean[some] = np.nanmean(scores[:, some], axis=0)
        spread[some] = np.nanstd(scores[:, some], axis=0)
        # Where not all is known, the C that most folds have scored are compared.
        comparable = np.where(some & (known == known.max()), mean, -np.inf)
        best = float(comparable.max())
        if select == "one_standard_error" and best > -np.inf and known.max() > 1:
            at = int(comparable.argmax())
            best -= float(np.nanstd(scores[:, at], ddof=1)) / math.sqrt(known.max())
        chosen = np.flatnonzero(comparable >= best)
        index = int(chosen[np.argmin(run.Cs[chosen])])
        order = -np.where(some, mean, -np.inf)
        self.Cs_, self.scores_ = run.Cs, scores
        self.fold_gaps_, self.fold_n_iter_ = run.gaps, run.n_iter
        self.n_splits_ = len(run.folds)
        self.C_, self.best_index_ = float(run.Cs[index]), index
        self.best_score_ = float(mean[index])
        reached = np.maximum(np.isfinite(run.seconds).sum(axis=0), 1)
        self.cv_results_ = {
            "param_C": run.Cs,
            "mean_test_score": mean,
            "std_test_score": spread,
            "rank_test_score": 1 + np.searchsorted(np.sort(order), order).astype(np.int32),
            "max_gap": np.fmax.reduce(run.gaps, axis=0),
            "mean_n_iter": run.n_iter.sum(axis=0) / reached,
            "mean_fit_time": np.nansum(run.seconds, axis=0) / reached,
        } | {f"split{k}_test_score": row for k, row in enumerate(scores)}

    def _warn(self, run: _Run, watch: _Watch, owner: str, tol: float) -> None:
        slow = int(np.count_nonzero(run.gaps > tol))
        missed = int(np.count_nonzero(np.isnan(run.seconds)))
        if slow or missed:
            why = ""
            if watch.stopped:
                why = " The callback stopped it."
            elif missed:
                why = " max_time was reached."
            warn(
                f"{owner}: of {run.scores.size} models, {slow} ended above tol={tol:g} (largest "
                f"relative duality gap {np.fmax.reduce(run.gaps, axis=None, initial=0.0):.2e}) "
                f"and {missed} were not come to.{why} Raise max_iter or max_time, raise tol, scale "
                "the features, or leave out the largest C.",
                "ConvergenceWarning",
            )


class _Watch:
    """What all folds share: progress bar, callback, the wish to stop."""

    def __init__(
        self, callback: Callable[[CVState], Any] | None, verbose: bool, owner: str, total: int,
        begin: float,
    ) -> None:  # fmt: skip
        self.callback, self.verbose, self.owner = callback, verbose, owner
        self.total, self.begin, self.done = total, begin, 0
        self.lock = RLock()  # reentrant: a callback may raise into `end`
        self.ending = self.stopped = self.interrupted = False
        self.bar: Any = None
        self.next_draw = 0.0

    def end(self) -> None:
        """Have all folds stop within some 10 ms."""
        self.ending = True

    def poll(self) -> None:
        if self.ending:
            raise KeyboardInterrupt

    def show(self, text: str, now: bool) -> None:
        if not self.verbose:
            return
        with self.lock:
            seconds = perf_counter() - self.begin
            if not now and seconds < self.next_draw:
                return
            self.next_draw = seconds + REDRAW
            if self.bar is None:
                self.bar = _progress_bar(self.owner)
            left = seconds * (self.total - self.done) / self.done if self.done else math.inf
            shown = f"{left:.1f} s" if self.done else "?"
            self.bar.n = round(100.0 * self.done / self.total, 1)
            self.bar.set_postfix_str(
                f"{self.done} of {self.total}, {text}, {seconds:.1f} s, left {shown}"
            )

    def tell(self, fold: int, C: float, score: float, gap: float) -> None:
        """A model is scored."""
        with self.lock:
            self.done += 1
            self.show(f"fold {fold}, C={C:.3g}, gap {gap:.2e}, score {score:.4g}", True)
            if self.callback is not None and not self.ending:
                state = CVState(
                    fold, C, score, gap, self.done, self.total, perf_counter() - self.begin
                )
                if self.callback(state):
                    self.stopped = True
                    self.end()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


class _FoldMonitor(Monitor):
    """Shows the epochs of one model in the bar of all."""

    def __init__(self, watch: _Watch, fold: int, C: float) -> None:
        super().__init__(label="")
        self.watch, self.fold, self.C = watch, fold, C
        self.poll = watch.poll

    @property
    def watching(self) -> bool:
        return self.watch.verbose

    def update(self, state: State) -> bool:
        sign = "" if state.certified else "~"
        self.watch.show(f"fold {self.fold}, C={self.C:.3g}, gap {sign}{state.gap:.2e}", False)
        return False


class _Run:
    """The models of all folds and Cs, and their scores."""

    def __init__(
        self, svc: LinearSVCCV, X: Any, y: Any, rows: Any, targets: Any, kind: dict | None,
        classes: np.ndarray, weights: np.ndarray | None, folds: list, Cs: np.ndarray, score: Any,
    ) -> None:  # fmt: skip
        self.svc, self.X, self.y, self.rows, self.targets = svc, X, y, rows, targets
        self.kind, self.classes, self.weights = kind, classes, weights
        self.folds, self.Cs, self.score = folds, Cs, score
        self.ascending, self.place = np.unique(Cs, return_inverse=True)
        shape = len(folds), len(Cs)
        self.scores, self.gaps, self.seconds = np.full((3, *shape), np.nan)
        self.n_iter = np.zeros(shape, dtype=np.int64)
        check.squared_norms(rows, float(Cs.max()))  # before threads share them

    def go(self, workers: int, watch: _Watch, deadline: float, options: dict[str, Any]) -> None:
        """All folds, in `workers` threads."""
        if workers == 1:
            for k in range(len(self.folds)):
                self._fold(k, watch, deadline, options)
            return
        with ThreadPoolExecutor(workers, "hingex-fold") as pool:
            jobs: list[Future] = []
            try:
                jobs += [
                    pool.submit(self._fold, k, watch, deadline, options)
                    for k in range(len(self.folds))
                ]
                wait(jobs, return_when=FIRST_EXCEPTION)
            finally:
                if not all(job.done() for job in jobs):
                    watch.end()  # Ctrl-C, or an exception in a fold
                    for job in jobs:
                        job.cancel()
        for job in jobs:
            if not job.cancelled():
                job.result()

    def _fold(self, k: int, watch: _Watch, deadline: float, options: dict[str, Any]) -> None:
        if watch.ending:
            return
        train, test = self.folds[k]
        n = self.rows.n
        mine = np.bincount(train, self.weights[train] if self.weights is not None else None, n)
        mine = mine.astype(np.float64)
        which = test.astype(np.int32)
        true = rows_of(self.targets, test)
        w = np.ones(len(test)) if self.weights is None else self.weights[test]
        data = None
        if self.score is None:  # lists become arrays
            X, y = (np.asarray(part) if isinstance(part, list | tuple) else part
                    for part in (self.X, self.y))
            data = check.take_rows(X, test), check.take_rows(y, test)

        def costs(C: float) -> np.ndarray | None:
            return check.row_weights(C, self.svc.class_weight, mine, self.classes, self.targets, n)

        steps = solve_path(
            solve_linear, self.rows, self.targets, len(self.classes), self.ascending, costs,
            deadline=deadline, monitor=lambda C, left: _FoldMonitor(watch, k, C), **options,
        )  # fmt: skip
        for j, step in enumerate(steps):
            if step.fit.status == "interrupted":
                if not watch.ending:  # in the main thread
                    watch.interrupted = True
                    watch.end()
                return
            if data is None:
                score = self.score(true, self._decision(step, which), w)
            else:
                score = float(self.svc.scoring(self._model(step), *data))
            at = np.flatnonzero(self.place == j)
            gap = float(step.fit.gap.max())
            self.scores[k, at], self.gaps[k, at] = score, gap
            self.n_iter[k, at], self.seconds[k, at] = step.fit.n_iter, step.seconds
            watch.tell(k, step.C, score, gap)

    def _decision(self, step: Step, which: np.ndarray) -> np.ndarray:
        fit = step.fit
        out = np.empty((len(which), n_lanes(self.targets, len(self.classes))))
        kernels("linear").linear_scores(
            self.rows, np.ascontiguousarray(fit.coef.T), np.ascontiguousarray(fit.intercept), out,
            None, 1, which,
        )  # fmt: skip
        return out

    def _model(self, step: Step) -> LinearSVC:
        model: Any = self.svc._with_C(step.C)
        model._learn(step.fit, step.solver, step.reason, self.classes, self.kind, self.rows.d)
        # The path goes on in these arrays.
        model.coef_, model.intercept_ = step.fit.coef.copy(), step.fit.intercept.copy()
        names = check.feature_names(self.X)
        if names is not None:
            model.feature_names_in_ = names
        return model
