# SPDX-License-Identifier: BSD-3-Clause
"""LinearRankSVC: one evaluation, LinearSVC on pairs written down, NDCG on lambdarank.

All in one process and thread each, the things compared in turn; least wall time of the repeats.

 - evaluation: objective and gradient over all pairs of one query, against X @ w and one np.sort;
 - pairs: the time to within TARGET of the optimum of LinearRankSVC on the rows and of
   scikit-learn's LinearSVC on the differences of rows, same objective, each through its
   tolerances; making the differences is not counted;
 - ndcg: NDCG@10 on lambdarank's test queries; each model's regularisation, scaling of features,
   weights of rows by grade and normalisation by five folds of the training queries; LightGBM for
   comparison.
"""

import time

from . import child, linear

PARTS = ("evaluation", "pairs", "ndcg")
TARGET = 1e-3
LONGEST = 120.0  # seconds of a fit of LinearSVC, after which no finer tolerance is tried
TOLERANCES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
SIZES = (("dense", 100_000, 50), ("dense", 1_000_000, 50), ("sparse", 1_000_000, 50))
GRADES = (2, 5)


def run(parts, repeats, out):
    for part in parts:
        records, code = child.run("bench.ranking", {"part": part, "repeats": repeats}, 1)
        if code or not records:
            raise RuntimeError(f"ranking, {part}: the process ended with {code}")
        stamp = {"area": "ranking", "run": time.strftime("%Y-%m-%dT%H:%M:%S")}
        linear.append(out, [stamp | record for record in records])
        print({"evaluation": EVALUATION, "pairs": PAIRS, "ndcg": NDCG}[part])
        for r in records:
            print(r["row"], flush=True)
        print(flush=True)


EVALUATION = """\
| rows | grades | loss | evaluation, ms | X @ w, ms | np.sort, ms | ratio (wanted: at most 3) |
|---|---|---|---|---|---|---|"""
PAIRS = f"""\
| data | pairs | loss | C | LinearRankSVC, s | LinearSVC to {TARGET:g}, s | ratio (wanted: 50) |
|---|---|---|---|---|---|---|"""
NDCG = """\
| model | chosen | NDCG@10 in training folds | NDCG@10 on test queries | \
less the second row's (standard error) | pairwise accuracy | MAP |
|---|---|---|---|---|---|---|"""


def main():
    """In the child."""
    import warnings

    warnings.simplefilter("ignore")
    spec = child.arguments()
    {"evaluation": _evaluations, "pairs": _pairs, "ndcg": _ndcg}[spec["part"]](
        child.emitter(), spec["repeats"])


def _least(call, repeats):
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def _evaluations(emit, repeats):
    import numpy as np
    import scipy.sparse as sp

    from hingex import _validate
    from hingex._targets import queries_of
    from hingex.solvers.rank import UNIT, Ranking
    from hingex.stop import Monitor

    rng = np.random.default_rng(0)
    for kind, n, width in SIZES:
        if kind == "dense":
            X = rng.standard_normal((n, width), dtype=np.float32)
        else:
            d = 50_000
            words = np.minimum(rng.zipf(1.3, n * width) - 1, d - 1).astype(np.int32)
            X = sp.csr_matrix((rng.random(n * width, np.float32), words,
                               np.arange(0, n * width + 1, width, dtype=np.int32)), shape=(n, d))
        w = rng.standard_normal(X.shape[1])
        same = w.astype(np.float32)
        for grades in GRADES:
            y = rng.integers(0, grades, n).astype(float)
            for loss in ("hinge", "squared_hinge"):
                p = Ranking(_validate.as_rows(X), queries_of(y, None), loss, np.full(1, 1e-10),
                            None, 1e-3, 1, None, 1, Monitor())

                def evaluate(p=p, w=w, squared=loss != "hinge"):
                    p.pairs.evaluate(p.scores(w), UNIT, squared, p.slopes)
                    return w + p.combine(p.slopes)

                f = np.asarray(X @ same, np.float64)
                whole = product = sort = float("inf")
                for _ in range(repeats):
                    whole = min(whole, _least(evaluate, 1))
                    product = min(product, _least(lambda X=X, same=same: X @ same, 1))
                    sort = min(sort, _least(lambda f=f: np.sort(f), 1))
                ratio = whole / (product + sort)
                emit({"rows": n, "kind": kind, "grades": grades, "loss": loss, "seconds": whole,
                      "product": product, "sort": sort, "row":
                      f"| {n} x {X.shape[1]}, {kind}, {width} a row | {grades} | {loss} | "
                      f"{1e3 * whole:.1f} | {1e3 * product:.1f} | {1e3 * sort:.1f} | "
                      f"{ratio:.2f} |"})


def _problems():
    """(name, X, y, qid, C) whose pairs can be written down."""
    import numpy as np

    rng = np.random.default_rng(0)
    X, y, qid = lambdarank("train")
    yield "lambdarank, scaled", _scaled(X, X), y, qid, 1e-3
    for n, d, queries in ((2_000, 50, 1), (20_000, 50, 200)):
        X = rng.standard_normal((n, d))
        f = X @ rng.standard_normal(d) / np.sqrt(d) + rng.standard_normal(n)
        yield (f"{n} x {d}, {queries} {'query' if queries == 1 else 'queries'}", X,
               np.digitize(f, [-1, 0, 1]), np.arange(n) % queries, 1e-4)


def _pairs(emit, repeats):
    import numpy as np
    import scipy.sparse as sp
    from sklearn.svm import LinearSVC

    from hingex import LinearRankSVC

    for name, X, y, qid, C in _problems():
        i, j = [], []
        for q in np.unique(qid):
            rows = np.flatnonzero(qid == q)
            a, b = np.nonzero(y[rows][:, None] > y[rows])
            i.append(rows[a])
            j.append(rows[b])
        i, j = np.concatenate(i), np.concatenate(j)
        sign = np.where(np.arange(len(i)) % 2, 1.0, -1.0)
        Z = X[i] - X[j]
        Z = sp.csr_matrix(Z.multiply(sign[:, None])) if sp.issparse(Z) else Z * sign[:, None]
        for loss in ("hinge", "squared_hinge"):
            fine = LinearRankSVC(loss, C=C, tol=1e-6, max_time=120).fit(X, y, qid)
            optimum = float(fine.dual_objective_[0])

            def objective(w, loss=loss, Z=Z, sign=sign, C=C):
                u = np.maximum(1 - sign * (Z @ w), 0)
                return 0.5 * w @ w + C * (u if loss == "hinge" else u * u).sum()

            ours = LinearRankSVC(loss, C=C, tol=TARGET)
            own = _least(lambda m=ours, X=X, y=y, qid=qid: m.fit(X, y, qid), repeats)
            assert objective(ours.coef_[0]) <= optimum * (1 + 1.01 * TARGET)
            theirs, reached = float("inf"), ""
            for dual in (True,) if loss == "hinge" else (True, False):
                for tol in TOLERANCES:
                    model = LinearSVC(loss=loss, C=C, tol=tol, dual=dual, fit_intercept=False,
                                      max_iter=20_000)
                    seconds = _least(lambda m=model, Z=Z, s=sign: m.fit(Z, s), 1)
                    if seconds < 10 and repeats > 1:
                        seconds = min(seconds, _least(lambda m=model, Z=Z, s=sign: m.fit(Z, s), 2))
                    if objective(model.coef_[0]) <= optimum * (1 + TARGET):
                        theirs = min(theirs, seconds)
                        break
                    if seconds > LONGEST:
                        reached = ">"
                        break
            emit({"data": name, "pairs": len(i), "loss": loss, "C": C, "hingex": own,
                  "linear_svc": theirs, "row":
                  f"| {name} | {len(i)} | {loss} | {C:g} | {own:.4f} | {reached}{theirs:.3g} | "
                  f"{theirs / own:.1f}x |"})


def lambdarank(split):
    """X (CSR, float64), grades and queries; synthetic of the same shape without the real data."""
    import numpy as np
    import scipy.sparse as sp

    from . import data

    if data.folder() is None:
        rng = np.random.default_rng(len(split))
        n, d = (3005 if split == "train" else 768), 301
        X = sp.random(n, d, 0.31, "csr", random_state=rng)
        f = X @ np.random.default_rng(0).standard_normal(d) + 0.5 * rng.standard_normal(n)
        return X, np.digitize(f, [0, 1, 2, 3]), np.arange(n) // 15
    z = np.load(data.folder() / "lambdarank" / f"{split}.npz")
    X = sp.csr_matrix((z["data"], z["indices"], z["indptr"]), shape=tuple(z["shape"]))
    return X, z["y"].astype(int), np.unique(z["qid"], return_inverse=True)[1]


def _scaled(X, train):
    """Columns divided by their root mean square in the training data."""
    import numpy as np
    import scipy.sparse as sp

    square = np.sqrt(np.asarray(train.multiply(train).mean(axis=0)).ravel())
    return sp.csr_matrix(X.multiply(1 / np.where(square > 0, square, 1.0)))


WEIGHTS = {"1": None, "1 + y": lambda y: 1.0 + y, "2^y": lambda y: 2.0**y}


def _models():
    """Name -> {what was chosen: maker of a model}."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.svm import LinearSVR

    from hingex import LinearRankSVC

    def rank(loss, costs):
        return {f"C={c:g}, {by}": lambda c=c, by=by: LinearRankSVC(loss, C=c, normalize=by)
                for c in costs for by in ("items", "queries")}

    def pointwise(make, costs):
        return {f"C={c:g}": lambda c=c: make(c) for c in costs}

    return {
        "LinearRankSVC, hinge": rank("hinge", 10.0 ** np.arange(-3, 3)),
        "LinearRankSVC, squared hinge": rank("squared_hinge", 10.0 ** np.arange(-3, 3)),
        "Ridge": pointwise(lambda c: Ridge(1 / c), 10.0 ** np.arange(-5, 1)),
        "LinearSVR": pointwise(lambda c: LinearSVR(C=c, max_iter=3000), 10.0 ** np.arange(-4, 1)),
        "LogisticRegression": pointwise(lambda c: LogisticRegression(C=c, max_iter=300),
                                        10.0 ** np.arange(-4, 1)),
    }


def _scores(make, weigh, X, y, qid, X_new):
    """Scores of X_new by a model that was trained on the rest."""
    from hingex import LinearRankSVC

    model = make()
    weight = {} if weigh is None else {"sample_weight": weigh(y)}
    if isinstance(model, LinearRankSVC):
        return model.fit(X, y, qid, **weight).predict(X_new)
    model.fit(X, y, **weight)
    if hasattr(model, "predict_proba"):  # the expected grade
        return model.predict_proba(X_new) @ model.classes_
    return model.predict(X_new)


def _ndcg(emit, repeats):
    import numpy as np

    from hingex.metrics import mean_average_precision, ndcg_score, pairwise_accuracy

    X, y, qid = lambdarank("train")
    X_test, y_test, qid_test = lambdarank("test")
    kinds = {"raw": (X, X_test), "scaled": (_scaled(X, X), _scaled(X_test, X))}
    fold = qid % 5

    def cross(score):
        f = np.empty(len(y))
        for k in range(5):
            train = fold != k
            f[~train] = score(train)
        return ndcg_score(y, f, qid=qid, k=10)

    def each(f):
        return np.array([ndcg_score(y_test[qid_test == q], f[qid_test == q], k=10)
                         if y_test[qid_test == q].any() else np.nan for q in np.unique(qid_test)])

    ours = []

    def show(name, chosen, inner, f):
        by_query = each(f)
        ours.append(by_query)
        apart = by_query - ours[1] if len(ours) > 1 else by_query - by_query
        count = np.isfinite(apart).sum()
        emit({"model": name, "ndcg": float(np.nanmean(by_query)), "inner": inner, "row":
              f"| {name} | {chosen} | {inner:.4f} | {np.nanmean(by_query):.4f} | "
              f"{np.nanmean(apart):+.4f} ({np.nanstd(apart) / np.sqrt(count):.4f}) | "
              f"{pairwise_accuracy(y_test, f, qid=qid_test):.4f} | "
              f"{mean_average_precision(y_test, f, qid=qid_test):.4f} |"})

    for name, makers in _models().items():
        found = {}
        for kind, (data, _) in kinds.items():
            for weights, weigh in WEIGHTS.items():
                for chosen, make in makers.items():
                    found[kind, weights, chosen] = cross(lambda t, d=data, m=make, w=weigh: _scores(
                        m, w, d[t], y[t], qid[t], d[~t]))
        kind, weights, chosen = best = max(found, key=found.get)
        f = _scores(makers[chosen], WEIGHTS[weights], kinds[kind][0], y, qid, kinds[kind][1])
        show(name, f"{chosen}, weights {weights}, {kind}", found[best], f)
    try:
        import lightgbm
    except ImportError:
        return

    def trees(rounds, X, y, qid, X_new):
        model = lightgbm.LGBMRanker(n_estimators=rounds, verbose=-1, n_jobs=1)
        sizes = np.unique(qid, return_counts=True)[1]
        return model.fit(X.toarray(), y, group=sizes).predict(X_new.toarray())

    found = {rounds: cross(lambda t, r=rounds: trees(r, X[t], y[t], qid[t], X[~t]))
             for rounds in (50, 100, 200)}
    rounds = max(found, key=found.get)
    show("LightGBM (trees)", f"{rounds} trees", found[rounds], trees(rounds, X, y, qid, X_test))


if __name__ == "__main__":
    main()
