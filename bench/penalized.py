# SPDX-License-Identifier: BSD-3-Clause
"""LinearClassifier beside scikit-learn's LogisticRegression and LinearSVC, by CPU time, one thread.

All solve the same problem, without intercept, as each library has its own kind of it. Each goes
through its tolerances; what counts is the least time after which its objective, recomputed here,
was within TARGETS of the best lower bound known, hingex's dual objective at a gap of 1e-8.
"""

import time

from . import child, linear

TARGETS = (1e-3, 1e-5)
TOLERANCES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
LONGEST = 5.0  # CPU seconds of a fit, after which no finer tolerance is tried
PROBLEMS = (("logistic", "l2"), ("logistic", "l1"), ("logistic", "elasticnet"),
            ("squared_hinge", "l1"), ("hinge", "l1"))
COSTS = (0.1, 1.0, 10.0)
RATIO = 0.5


def run(sets, costs, repeats, out):
    for name in sets:
        spec = {"set": name, "costs": costs, "repeats": repeats}
        records, code = child.run("bench.penalized", spec, 1)
        if code or not records:
            raise RuntimeError(f"penalized, {name}: the process ended with {code}")
        stamp = {"area": "penalized", "run": time.strftime("%Y-%m-%dT%H:%M:%S")}
        linear.append(out, [stamp | record for record in records])
        print(f"{name}: CPU seconds to a relative distance of {TARGETS[0]:g}, {TARGETS[1]:g} from "
              "the optimum")
        for r in records:
            for who, seconds in r["seconds"].items():
                shown = " ".join("      -" if s is None else f"{s:7.3f}" for s in seconds)
                print(f"  {r['loss']:14s} {r['penalty']:10s} C={r['C']:<5g} {who:16s} {shown}")


def main():
    """In the child."""
    import warnings

    import numpy as np

    from . import data

    warnings.simplefilter("ignore")
    emit = child.emitter()
    spec = child.arguments()
    X, y, _ = data.load_task(spec["set"], "binary")
    signs = np.where(y == y.max(), 1.0, -1.0)
    for loss, penalty in PROBLEMS:
        for C in spec["costs"]:
            emit({"set": spec["set"], "loss": loss, "penalty": penalty, "C": C}
                 | _problem(X, y, signs, loss, penalty, C, spec["repeats"]))


def _problem(X, y, signs, loss, penalty, C, repeats):
    import numpy as np

    import hingex

    phi = hingex.losses.margin.by_name()[loss]()
    l1, l2 = {"l2": (0, 1), "l1": (1, 0), "elasticnet": (RATIO, 1 - RATIO)}[penalty]

    def objective(w):
        w = np.ravel(w).astype(np.float64)
        return l1 * abs(w).sum() + l2 / 2 * w @ w + C * phi.phi(signs * (X @ w)).sum()

    makers = _makers(X, loss, penalty, C)
    fine = hingex.LinearClassifier(loss, penalty=penalty, l1_ratio=RATIO, C=C, tol=1e-8,
                                   fit_intercept=False, max_time=60).fit(X, y)
    optimum = float(fine.dual_objective_[0])
    times = {who: {} for who in makers}
    for _ in range(repeats):
        for who, make in makers.items():
            for tol in TOLERANCES:
                start = time.process_time()
                model = make(tol).fit(X, y)
                seconds = time.process_time() - start
                distance = objective(model.coef_) / optimum - 1
                times[who].setdefault(tol, []).append((seconds, distance))
                if distance <= TARGETS[-1] or seconds > LONGEST:
                    break
    return {"optimum": optimum, "gap": float(fine.duality_gap_[0]), "seconds": {
        who: [_best(found.values(), target) for target in TARGETS] for who, found in times.items()}}


def _best(found, target):
    """Least median time of the tolerances that come within `target`, or None."""
    import statistics

    reached = [statistics.median(s for s, _ in runs) for runs in found
               if max(d for _, d in runs) <= target]
    return min(reached, default=None)


def _makers(X, loss, penalty, C):
    import hingex

    def ours(tol):
        return hingex.LinearClassifier(loss, penalty=penalty, l1_ratio=RATIO, C=C, tol=tol,
                                       fit_intercept=False, max_time=60)

    makers = {"hingex": ours}
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.svm import LinearSVC
    except ImportError:
        return makers
    ratio = {"l2": 0.0, "l1": 1.0, "elasticnet": RATIO}[penalty]
    if loss == "logistic":
        solvers = {"l2": ["lbfgs", "liblinear", "newton-cg"], "l1": ["liblinear", "saga"],
                   "elasticnet": ["saga"]}[penalty]
        if penalty == "l2" and X.shape[1] <= 2000:
            solvers.append("newton-cholesky")
        for solver in solvers:
            makers[solver] = lambda tol, solver=solver: LogisticRegression(
                l1_ratio=ratio, solver=solver, C=C, tol=tol, max_iter=300 if solver == "saga"
                else 3000, fit_intercept=False)
    elif loss == "squared_hinge":
        makers["LinearSVC"] = lambda tol: LinearSVC(
            penalty="l1", dual=False, C=C, tol=tol, max_iter=3000, fit_intercept=False)
    return makers


if __name__ == "__main__":
    main()
