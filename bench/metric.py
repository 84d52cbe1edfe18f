# SPDX-License-Identifier: BSD-3-Clause
"""LMNN beside metric-learn's: time to the objective that metric-learn ends at, and k-NN errors.
OASIS beside cosine similarity: mean average precision on the test documents of 20news.

Both minimise the same sum over the same targets from the identity: hinge, equal weights, one
thread. metric-learn makes ITERATIONS gradient steps; what is timed of hingex is the fit until its
objective is as low, and then the fit to its own tolerance. Errors are those of 3 nearest neighbours
on the test data. The objectives of both are recomputed by one function, from all rows.

Each test document ranks all others, those of its group being relevant. The rows are of unit norm,
so that the dot product is the cosine.
"""

import time

from . import child, linear

SETS = ("letter", "usps_zip", "20news")
ITERATIONS = {"letter": 20, "usps_zip": 200}
K = 3
HEAD = """\
| data | metric-learn: steps, s | its objective | hingex to it, s | ratio (wanted: 10) | \
hingex to its end, s | its objective | error of k-NN: Euclidean | metric-learn | hingex |
|---|---|---|---|---|---|---|---|---|---|"""
OASIS_SETS = ("20news",)
FEATURES = 10_000
OASIS_HEAD = """\
| data | OASIS: C | pairs of features | fit, s | triplets | \
mean average precision | cosine similarity |
|---|---|---|---|---|---|---|"""


def run(sets, out):
    head = None
    for name in sets:
        last, head = head, OASIS_HEAD if name in OASIS_SETS else HEAD
        if head != last:
            print(("\n" if last else "") + head, flush=True)
        records, code = child.run("bench.metric", {"set": name}, 1)
        if code or not records:
            raise RuntimeError(f"metric, {name}: the process ended with {code}")
        stamp = {"area": "metric", "run": time.strftime("%Y-%m-%dT%H:%M:%S")}
        linear.append(out, [stamp | record for record in records])
        for r in records:
            print(r["row"], flush=True)


def main():
    """In the child."""
    import warnings

    import numpy as np
    from sklearn.neighbors import KNeighborsClassifier

    import hingex
    from hingex.solvers.lmnn import target_neighbors

    from . import data

    warnings.simplefilter("ignore")
    emit = child.emitter()
    name = child.arguments()["set"]
    X, y, _ = data.load(name)
    X_test, y_test, _ = data.load(name, "test")
    if name in OASIS_SETS:
        _retrieval(name, X, y, X_test, y_test, emit)
        return
    X, X_test = (np.asarray(part.toarray(), np.float64) for part in (X, X_test))
    targets = target_neighbors(X, y.astype(np.int32), K)

    def error(L):
        model = KNeighborsClassifier(K).fit(X @ L.T, y)
        return 1 - model.score(X_test @ L.T, y_test)

    def fit(goal, **options):
        start = time.perf_counter()
        model = hingex.LMNN(K, callback=lambda s: s.primal <= goal, **options).fit(X, y)
        return model, time.perf_counter() - start

    identity = np.eye(X.shape[1])
    record = {"set": name, "euclidean": error(identity)}
    theirs = seconds = None
    try:
        from metric_learn import LMNN, _util
    except ImportError:
        goal = -np.inf
    else:
        for check in ("check_array", "check_X_y"):  # an argument that scikit-learn has renamed
            setattr(_util, check, _renamed(getattr(_util, check)))
        peer = LMNN(n_neighbors=K, max_iter=ITERATIONS[name] + 2, init="identity",
                    convergence_tol=1e-12, regularization=0.5)
        start = time.perf_counter()
        peer.fit(X, y)
        seconds = time.perf_counter() - start
        theirs, goal = error(peer.components_), objective(peer.components_, X, y, targets)
        model, own = fit(goal)
        assert objective(model.components_, X, y, targets) <= goal * (1 + 1e-9)
        record |= {"peer": seconds, "goal": goal, "hingex": own, "peer_error": theirs}
    model, whole = fit(-np.inf, tol=1e-4)
    end = objective(model.components_, X, y, targets)
    record |= {"whole": whole, "objective": end, "error": error(model.components_)}
    beside = "- | - | - | - |"
    if seconds is not None:
        ratio = seconds / own
        beside = f"{ITERATIONS[name]}, {seconds:.1f} | {goal:.0f} | {own:.2f} | {ratio:.1f}x |"
    known = "-" if theirs is None else f"{100 * theirs:.2f}%"
    emit(record | {"row": f"| {name} | {beside} {whole:.1f} | {end:.0f} | "
                          f"{100 * record['euclidean']:.2f}% | {known} | "
                          f"{100 * record['error']:.2f}% |"})


def _retrieval(name, X, y, X_test, y_test, emit):
    import hingex

    cosine = precision(X_test, X_test, y_test)
    for C in (0.1, 1.0):
        start = time.perf_counter()
        model = hingex.OASIS(C, max_features=min(FEATURES, X.shape[1])).fit(X, y)
        seconds = time.perf_counter() - start
        learnt = precision(model.transform(X_test), X_test, y_test)
        record = {"set": name, "C": C, "seconds": seconds, "triplets": model.n_steps_,
                  "precision": learnt, "cosine": cosine}
        emit(record | {"row": f"| {name} | {C:g} | {len(model.features_)}^2 | {seconds:.0f} | "
                              f"{model.n_steps_} | {learnt:.3f} | {cosine:.3f} |"})


def precision(queries, X, y):
    """Mean average precision when row i of X @ queries[i] ranks all rows but i."""
    import numpy as np

    total, count = 0.0, 0
    X = X.T.tocsr()
    for begin in range(0, len(y), 64):
        part = queries[begin:begin + 64]
        block = part @ X
        block = block.toarray() if hasattr(block, "toarray") else block
        for i, scores in enumerate(block, begin):
            scores[i] = -np.inf
            hit = (y == y[i])[np.argsort(-scores, kind="stable")[:-1]]
            if hit.any():
                places = np.flatnonzero(hit)
                total += float(np.mean(np.arange(1, len(places) + 1) / (places + 1)))
                count += 1
    return total / count


def _renamed(check):
    def call(*args, force_all_finite=True, **options):
        return check(*args, ensure_all_finite=force_all_finite, **options)

    return call


def objective(L, X, y, targets):
    """Half the targets' distances and half the margins', over all rows, in blocks."""
    import numpy as np

    Z = X @ L.T
    squares = (Z * Z).sum(axis=1)
    near = ((Z[:, None] - Z[targets]) ** 2).sum(axis=2)
    total = 0.5 * near.sum()
    for begin in range(0, len(Z), 256):
        rows = np.arange(begin, min(len(Z), begin + 256))
        D = squares[rows, None] + squares - 2 * Z[rows] @ Z.T
        D[y[rows][:, None] == y] = np.inf
        for j in range(targets.shape[1]):
            total += 0.5 * np.maximum(1 + near[rows, j, None] - D, 0).sum()
    return float(total)


if __name__ == "__main__":
    main()
