# SPDX-License-Identifier: BSD-3-Clause
"""Structured SVMs: the estimator over all models and solvers."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from .. import _validate as check
from .._estimator import Estimator
from .._result import warn
from ..solvers import bcfw, one_slack, structured_subgradient
from ..solvers._blocks import Blocks, Compiled, Duck, Learned
from ..stop import Monitor
from ._parts import RESCALINGS, Layout, Parts

SOLVERS = ("bcfw", "one_slack", "subgradient")
# What ChainSVM and MultilabelSVM have in common with StructuredSVM: parameters, and attributes.
SHARED = ("C", "solver", "tol", "max_iter", "max_time", "n_jobs", "random_state", "verbose",
          "callback")  # fmt: skip
OUTCOME = ("primal_objective_", "dual_objective_", "duality_gap_", "n_iter_", "n_calls_",
           "converged_", "history_")  # fmt: skip
METHODS = {"joint_feature": "(x, y)", "loss": "(y, y_other)",
           "loss_augmented_inference": "(x, y, w)", "inference": "(x, w)"}  # fmt: skip


class StructuredSVM(Estimator):
    r"""Max-margin learning of outputs with a structure, such as label sequences.

    .. math:: \min_w \tfrac12 \|w\|^2 + C \sum_i \max_y \left( \Delta(y_i, y) + w \cdot \phi(x_i, y)
              \right) - w \cdot \phi(x_i, y_i)

    The model says what outputs there are: its joint feature phi, its loss Delta, and how the best
    output is found.

    Parameters
    ----------
    model : object, default Chain()
        `Chain`, `Tree`, `Graph`, `Multilabel` or `Multiclass`, whose inference is compiled and runs
        without the GIL; `Assignment`; or any object with the methods joint_feature(x, y), a vector,
        loss(y, y_other), not negative and 0 for the truth, inference(x, w), and
        loss_augmented_inference(x, y, w), the output with the largest loss(y, output) + w .
        joint_feature(x, output).
    C : float, default 1.0
        Weight of an example's loss.
    solver : {"bcfw", "one_slack", "subgradient"}, default "bcfw"
        Block-coordinate Frank-Wolfe and cutting planes have a duality gap; subgradient steps have
        none.
    rescaling : {"margin", "slack"}, default "margin"
        "slack": the loss is :math:`\max_y \Delta(y_i, y) (1 + w \cdot \phi(x_i, y) - w \cdot
        \phi(x_i, y_i))`, for `Chain` without costs, `Multiclass`, and models in Python whose
        loss_augmented_inference takes rescaling="slack" as well.
    step : {"pairwise", "frank_wolfe"}, default "pairwise"
        Of bcfw: "pairwise" keeps the outputs of each example that have a weight, and converges
        linearly; "frank_wolfe" keeps their mean. Examples with more than 2000 parts have
        "frank_wolfe".
    sampling : {"gap", "uniform"}, default "gap"
        Of bcfw: examples in proportion to their part of the gap, or all in turn.
    average : bool, default False
        Of bcfw: whether the average of w over the epochs is looked at as well.
    tol : float, default 1e-3
        Relative duality gap (P - D) / P at which to stop; of subgradient: share of the objective by
        which it must have fallen in 5 epochs.
    max_iter : int, default 1000
        Epochs, or cutting planes.
    max_time : float or None, default None
        Seconds after which to stop.
    warm_start : bool, default False
        Begin where the last fit ended: with bcfw at its dual, if data and C are the same; else at
        its weights, for the other solvers.
    n_jobs : int or None, default 1
        Shares of the examples, each with a thread where there are so many; None for as many as
        there are CPUs. Each share has weights of its own for some examples, so that results depend
        on the number of shares (not on that of threads: a forked child has one, and computes the
        same bits), and more than one pay with few features only. Without effect on models in
        Python.
    random_state : None, int, RandomState or Generator, default None
        Order of the examples; None means 0.
    verbose : bool, default False
        Show a progress bar with the gap.
    callback : callable or None, default None
        Called with a `hingex.stop.State` after every epoch; its `active` is how often
        loss-augmented inference has been called. A true result stops the fit.

    Attributes
    ----------
    coef_ : ndarray
        w, as joint_feature has it.
    model_ : object
        The model; of hingex's with n_states as in `fit`.
    primal_objective_, dual_objective_, duality_gap_ : float
        The gap is relative; nan without a dual.
    n_iter_, n_calls_ : int
        Epochs, and calls of loss-augmented inference.
    converged_ : bool
    history_ : structured ndarray
        An entry per epoch.

    Warns
    -----
    ConvergenceWarning
        When a fit ends before `tol`.

    References
    ----------
    I. Tsochantaridis, T. Joachims, T. Hofmann and Y. Altun, "Large margin methods for structured
    and interdependent output variables", JMLR 6, 2005. Solvers: see `hingex.solvers.bcfw`,
    `one_slack` and `structured_subgradient`.

    Examples
    --------
    >>> import numpy as np
    >>> from hingex.structured import Chain, StructuredSVM
    >>> X, Y = [np.array([[1.0], [0.2], [-1.0]]), np.array([[-1.0]])], [[1, 1, 0], [0]]
    >>> svm = StructuredSVM(Chain(), C=10.0).fit(X, Y)
    >>> svm.score(X, Y)
    1.0
    >>> svm.predict([np.array([[-2.0], [3.0]])])[0].tolist()
    [0, 1]
    """

    _owner = "StructuredSVM"  # in messages

    def __init__(
        self,
        model: Any = None,
        C: float = 1.0,
        *,
        solver: str = "bcfw",
        rescaling: str = "margin",
        step: str = "pairwise",
        sampling: str = "gap",
        average: bool = False,
        tol: float = 1e-3,
        max_iter: int = 1000,
        max_time: float | None = None,
        warm_start: bool = False,
        n_jobs: int | None = 1,
        random_state: Any = None,
        verbose: bool = False,
        callback: Callable[[Any], Any] | None = None,
    ) -> None:
        self.model = model
        self.C = C
        self.solver = solver
        self.rescaling = rescaling
        self.step = step
        self.sampling = sampling
        self.average = average
        self.tol = tol
        self.max_iter = max_iter
        self.max_time = max_time
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.callback = callback

    def fit(self, X: Any, Y: Any, lengths: Any = None) -> Self:
        """Train on examples X with outputs Y.

        Parameters
        ----------
        X : sequence of examples, as the model understands them
            Chain: a list of arrays or CSR matrices (length, d), or with `lengths` one for all of
            them, which is used where it lies. Multiclass, Multilabel: (n, d). Tree, Graph: a list
            of pairs (x, parents) or (x, edges).
        Y : sequence of outputs
            Chain, Tree, Graph: a list of label sequences, for Chain with `lengths` one array;
            integers from 0. Multiclass: one for each row. Multilabel: an indicator matrix.
        lengths : array-like of int, optional
            Of the sequences.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For parameters or data out of range; the message names what, where, and the fix.
        FloatingPointError
            When the objective is beyond float64.
        KeyboardInterrupt
            After Ctrl-C; the fitted attributes hold the best weights so far.
        """
        options = self._options()
        warm = check.boolean("warm_start", self.warm_start)
        seed = check.random_seed(self.random_state)
        model, blocks, mark = self._examples(X, Y, lengths)
        mark = (mark, options["C"], options["step"], self.rescaling)
        state, kept = None, vars(self).get("_kept")
        if warm and kept is not None and kept[0] == mark:
            state = kept[1]
            state.adopt(blocks)
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused
            learned = self._solve(blocks, options, seed, warm, state)
        self.model_ = model
        self.coef_ = blocks.flat(learned.w) if isinstance(blocks, Compiled) else learned.w
        self.primal_objective_, self.duality_gap_ = learned.primal, learned.gap
        self.dual_objective_ = learned.dual if np.isfinite(learned.dual) else float("nan")
        self.n_iter_, self.n_calls_ = learned.n_iter, learned.n_calls
        self.converged_, self.history_ = learned.status == "converged", learned.history
        self._kept = None
        if warm and mark[0] is not None and learned.state is not None:
            self._kept = mark, learned.state
        if learned.status == "interrupted":
            raise KeyboardInterrupt
        if not self.converged_:
            self._warn(learned)
        return self

    def _options(self) -> dict[str, Any]:
        return {
            "C": check.positive_float("C", self.C),
            "solver": check.choice("solver", self.solver, SOLVERS),
            "step": check.choice("step", self.step, bcfw.STEPS),
            "sampling": check.choice("sampling", self.sampling, bcfw.SAMPLINGS),
            "average": check.boolean("average", self.average),
            "tol": check.positive_float("tol", self.tol),
            "max_iter": check.integer("max_iter", self.max_iter),
            "max_time": check.optional_positive_float("max_time", self.max_time),
            "verbose": check.boolean("verbose", self.verbose),
            "callback": check.optional_callable("callback", self.callback),
        }

    def _examples(self, X: Any, Y: Any, lengths: Any) -> tuple[Any, Blocks, Any]:
        """The model with its sizes, the examples, and a mark that tells them from others."""
        model = self._chosen()
        slack = check.choice("rescaling", self.rescaling, RESCALINGS) == "slack"
        if not isinstance(model, Parts):
            _check_methods(model, slack)
            if lengths is not None:
                raise ValueError("lengths is for hingex's own models")
            X, Y = list(X), list(Y)
            if len(X) != len(Y) or not X:
                raise ValueError(f"X has {len(X)} examples, Y has {len(Y)} outputs: one for each, "
                                 "and at least one, are needed")
            return model, Duck(model, X, Y, slack), None
        if slack:
            model._check_slack()
        layout = model._gathered(X, lengths, self._owner)
        y = model._labels(Y, layout.start, lengths is not None)
        K = model._sized(y, Y)
        y = model._checked(y, K)
        check.squared_norms(layout.rows, 1.0)  # for its errors
        model = type(model)(**(model.get_params(deep=False) | {"n_states": K}))
        blocks = model._blocks(layout, y, K, self.n_jobs, slack)
        return model, blocks, _mark(layout, y, model) if self.warm_start else None

    def _solve(self, blocks: Any, options: dict[str, Any], seed: int, warm: bool,
               state: Any) -> Learned:
        solver = options.pop("solver")
        monitor = Monitor(options.pop("callback"), options.pop("verbose"), options["tol"],
                          options["max_time"], self._owner, options["max_iter"], "calls")
        blocks.watch(monitor.poll)
        if solver == "bcfw":
            return bcfw.solve(blocks, seed=seed, monitor=monitor, state=state, **options)
        for name in ("step", "sampling", "average"):
            options.pop(name)
        start = None
        if warm and "coef_" in vars(self) and len(self.coef_) == blocks.flat_size:
            start = blocks.packed(self.coef_) if isinstance(blocks, Compiled) else self.coef_
        if solver == "one_slack":
            return one_slack.solve(blocks, monitor=monitor, start=start, **options)
        return structured_subgradient.solve(blocks, seed=seed, monitor=monitor, start=start,
                                            **options)

    def _chosen(self) -> Any:
        if self.model is None:
            from ._chain import Chain

            return Chain()
        return self.model

    def _warn(self, learned: Learned) -> None:
        why = {
            "max_iter": f"max_iter={self.max_iter} was reached",
            "max_time": "max_time was reached",
            "callback": "the callback stopped it",
        }[learned.status]
        reached = "" if np.isnan(learned.gap) else (
            f" at a relative duality gap of {learned.gap:.2e}, above tol={self.tol:g}")
        warn(f"{self._owner} stopped after {learned.n_iter} epochs{reached}, because {why}. "
             "Raise max_iter or max_time, raise tol, or lower C.", "ConvergenceWarning")

    def predict(self, X: Any, lengths: Any = None) -> Any:
        """The best outputs.

        Parameters
        ----------
        X, lengths
            As for `fit`.

        Returns
        -------
        list, or ndarray of int: (rows,) for Chain with `lengths` and Multiclass, (n, labels) for
        Multilabel

        Raises
        ------
        ValueError, TypeError
            For X that is not like that of `fit`, or not finite.
        """
        self._check_fitted()
        model = self.model_
        if not isinstance(model, Parts):
            return [model.inference(x, self.coef_) for x in X]
        layout = model._gathered(X, lengths, self._owner)
        found = self._predicted(layout)
        return model._outputs(found, layout.start, lengths is not None)

    def score(self, X: Any, Y: Any, lengths: Any = None) -> float:
        """How good predictions are: the share of labels that are right.

        Parameters
        ----------
        X, Y, lengths
            As for `fit`.

        Returns
        -------
        float
            In 0..1; for a model in Python minus its mean loss.

        Raises
        ------
        ValueError, TypeError
            As `predict` and `fit`.
        """
        self._check_fitted()
        model = self.model_
        if not isinstance(model, Parts):
            Y = list(Y)
            found = self.predict(X)
            if len(found) != len(Y):
                raise ValueError(f"X has {len(found)} examples, Y has {len(Y)} outputs")
            return -float(np.mean([model.loss(y, z) for y, z in zip(Y, found, strict=True)]))
        layout = model._gathered(X, lengths, self._owner)
        y = model._labels(Y, layout.start, lengths is not None)
        found = self._predicted(layout)
        if len(y) != len(found):
            raise ValueError(f"Y has {len(y)} labels, {len(found)} are due")
        return float(np.mean(found == y))

    def _predicted(self, layout: Layout) -> np.ndarray:
        """The best labels of all examples."""
        model, K = self.model_, self.model_.n_states
        d = (len(self.coef_) - model._n_counts(K)) // K
        if layout.rows.d != d:
            raise ValueError(f"X has {layout.rows.d} features, but the model was fitted with {d}")
        return predicted(model, layout, lambda blocks: blocks.packed(self.coef_),
                         self.n_jobs)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False  # X is what the model makes of it
        tags.target_tags.required = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.pop("_kept", None)  # duals belong to the data of the last fit
        return state


def svm_of(estimator: Any, model: Any) -> StructuredSVM:
    """The SVM over this model with the parameters of an estimator, in whose name it speaks."""
    svm = StructuredSVM(model, **{name: getattr(estimator, name) for name in SHARED})
    svm._owner = type(estimator).__name__
    return svm


def hand_over(svm: StructuredSVM, estimator: Any) -> None:
    """How the fit went, to the estimator that asked for it."""
    for name in OUTCOME:
        setattr(estimator, name, getattr(svm, name))


def predicted(model: Parts, layout: Layout, weights: Any, n_jobs: int | None) -> np.ndarray:
    """The best labels of all examples; `weights(blocks)` gives those that kernels need."""
    assert model.n_states is not None
    blocks = model._blocks(layout, None, model.n_states, n_jobs)
    return model._own_labels(blocks.predict(weights(blocks)), layout).astype(np.intp)


def _check_methods(model: Any, slack: bool) -> None:
    from inspect import Parameter, signature

    for name, arguments in METHODS.items():
        if not callable(getattr(model, name, None)):
            raise TypeError(f"model of type {type(model).__name__} has no method {name}{arguments};"
                            f" StructuredSVM needs {', '.join(METHODS)}")
    if not slack:
        return
    known = signature(model.loss_augmented_inference).parameters.values()
    if not any(p.name == "rescaling" or p.kind is Parameter.VAR_KEYWORD for p in known):
        raise ValueError(f"loss_augmented_inference of {type(model).__name__} has no argument "
                         'rescaling, which rescaling="slack" needs')


def _mark(layout: Layout, y: np.ndarray, model: Parts) -> tuple[Any, ...]:
    """What tells these examples and costs from others: sizes and checksums."""
    assert model.n_states is not None
    arrays = [a for a in layout.rows.arrays if a is not None]
    sums = tuple(zlib.crc32(np.ascontiguousarray(a).view(np.uint8).data) for a in (
        *arrays, layout.start, y, *layout.joined.values()))
    return (model._kind, layout.rows.n, layout.rows.d, model.n_states,
            model._costs(model.n_states).tobytes(), *sums)
