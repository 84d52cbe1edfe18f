# SPDX-License-Identifier: BSD-3-Clause
"""Structured SVMs: handwritten words, part-of-speech tags, Viterbi's speed, threads.

 - ocr: 10 folds of words; training on one fold and testing on nine, and the reverse. A chain over
   letters against independent letters (the joint machine of Crammer and Singer, the C that is best
   on the test letters), each with C of its direction;
 - reference: epochs of either kind of step, the same in plain NumPy, on nine folds; they end at the
   same dual objective;
 - tags: UD English EWT, features of words hashed to 2^18 columns;
 - viterbi: states^2 a second on one core, with costs added to the scores;
 - threads: a fit to TOL with one and two threads.
"""

import time

import numpy as np

from . import child, data, linear

PARTS = ("viterbi", "reference", "threads", "tags", "ocr")
TOL = 1e-3
COSTS = {"one fold": 0.1, "nine folds": 0.3}
HEADS = {
    "ocr": """\
| trained on | C | words | fit, s (largest) | relative gap (largest) | letters right | \
independent letters right (best C) | difference, points |
|---|---|---|---|---|---|---|---|""",
    "reference": """\
| step | epochs | hingex, sparse X, s | dense X, s | NumPy, s | ratio (wanted: 50) | \
dual objectives |
|---|---|---|---|---|---|---|""",
    "tags": """\
| C | features, s | fit, s | relative gap | epochs | right on dev | right on test |
|---|---|---|---|---|---|---|""",
    "viterbi": """\
| states | length | precision | million transitions/s (wanted: 500) |
|---|---|---|---|""",
    "threads": """\
| data | C | one thread, s | two, s | ratio (wanted: 1.7) |
|---|---|---|---|---|""",
}


def run(parts, folds, out):
    for part in parts:
        threads = 2 if part == "threads" else 1
        records, code = child.run("bench.structured", {"part": part, "folds": folds}, threads)
        if code or not records:
            raise RuntimeError(f"structured, {part}: the process ended with {code}")
        stamp = {"area": "structured", "run": time.strftime("%Y-%m-%dT%H:%M:%S")}
        linear.append(out, [stamp | record for record in records])
        print(HEADS[part])
        for r in records:
            print(r["row"], flush=True)
        print(flush=True)


def main():
    """In the child."""
    import warnings

    warnings.simplefilter("ignore")
    spec = child.arguments()
    emit = child.emitter()
    {"ocr": lambda: _ocr(emit, spec["folds"]), "reference": lambda: _reference(emit),
     "tags": lambda: _tags(emit), "viterbi": lambda: _viterbi(emit),
     "threads": lambda: _threads(emit)}[spec["part"]]()  # fmt: skip


class Words:
    """Words of some folds: rows, letters, lengths."""

    def __init__(self, keep):
        X, y, _ = data.load("ocr_letters")
        folder = data.folder()
        if folder is None:
            lengths = np.full(len(y) // 8, 8)
            X, y = X[: lengths.sum()], y[: lengths.sum()]
            fold = np.arange(len(lengths)) % 10
        else:
            z = np.load(folder / "ocr_letters" / "letters.npz")
            lengths, fold = z["lengths"].astype(np.int64), z["word_fold"]
        words = keep(fold)
        letters = np.repeat(words, lengths)
        self.X, self.y, self.lengths = X[letters], y[letters], lengths[words]


def _ocr(emit, folds):
    from hingex import LinearSVC, StructuredSVM
    from hingex.structured import Chain

    for name, C in COSTS.items():
        seconds, gaps, right, alone, words = [], [], [], [], 0
        for k in range(folds):
            one, nine = Words(lambda f, k=k: f == k), Words(lambda f, k=k: f != k)
            train, test = (one, nine) if name == "one fold" else (nine, one)
            words = len(train.lengths)
            start = time.perf_counter()
            svm = StructuredSVM(Chain(26), C, tol=TOL, max_iter=5000)
            svm.fit(train.X, train.y, train.lengths)
            seconds.append(time.perf_counter() - start)
            gaps.append(svm.duality_gap_)
            right.append(svm.score(test.X, test.y, test.lengths))
            alone.append(max(LinearSVC(
                "hinge", C=c, multi_class="crammer_singer", intercept="regularized", tol=TOL,
            ).fit(train.X, train.y).score(test.X, test.y) for c in (0.01, 0.1, 1.0)))
        means = [100 * float(np.mean(v)) for v in (right, alone)]
        emit({"part": "ocr", "train": name, "C": C, "seconds": seconds, "gaps": gaps,
              "right": right, "alone": alone, "row":
              f"| {name} | {C:g} | {words} | {np.mean(seconds):.2f} ({max(seconds):.2f}) | "
              f"{max(gaps):.1e} | {means[0]:.2f}% | {means[1]:.2f}% | "
              f"{means[0] - means[1]:+.1f} |"})


def _reference(emit):
    from hingex._core import kernels
    from hingex._validate import as_rows
    from hingex.solvers._blocks import ENOUGH, TURNS

    epochs, C, K = 3, COSTS["nine folds"], 26
    words = Words(lambda f: f != 0)
    dense, starts = words.X.toarray(), np.concatenate([[0], np.cumsum(words.lengths)])
    orders = [np.random.default_rng(k).permutation(len(words.lengths)) for k in range(epochs)]
    y = words.y.astype(np.int32)
    own = kernels("structured")
    for name, more in (("frank_wolfe", ()), ("pairwise", (TURNS, ENOUGH))):
        times = {}
        for form, X in (("sparse", words.X), ("dense", dense)):
            start = time.perf_counter()
            examples = own.Examples(as_rows(X), starts, starts, y, 1 - np.eye(K), K,
                                    own.KINDS["chain"], 1)
            fit = (own.Pairwise if more else own.FrankWolfe)(examples, C)
            for order in orders:
                fit.steps(order, np.inf, *more)
            times[form] = time.perf_counter() - start
        start = time.perf_counter()
        dual = numpy_epochs(dense.astype(np.float64), y, starts, orders, C, K, bool(more))
        theirs = time.perf_counter() - start
        emit({"part": "reference", "step": name, "seconds": times, "numpy": theirs, "row":
              f"| {name} | {epochs} | {times['sparse']:.3f} | {times['dense']:.3f} | "
              f"{theirs:.1f} | {theirs / times['sparse']:.0f}x | {fit.dual():.6f}, {dual:.6f} |"})


def numpy_epochs(X, y, starts, orders, C, K, pairwise):
    """Block-coordinate Frank-Wolfe for chains with Hamming costs, in plain NumPy; the dual.

    `pairwise`: hingex's pairwise steps, else Frank-Wolfe's.
    """
    W, T, ends = np.zeros((X.shape[1], K)), np.zeros((K, K)), np.zeros((2, K))
    n = len(starts) - 1
    ell = np.zeros(n)
    if pairwise:
        kept = [[[1.0, y[starts[i]:starts[i + 1]]]] for i in range(n)]
    else:
        parts = np.zeros((len(y), K))
        pairs, tips = np.zeros((n, K, K)), np.zeros((n, 2, K))

    def best(U, true):
        scores = U + 1.0
        scores[np.arange(len(true)), true] -= 1.0
        M, back = scores[0] + ends[0], []
        for t in range(1, len(true)):
            sums = M[:, None] + T
            back.append(sums.argmax(axis=0))
            M = sums.max(axis=0) + scores[t]
        z = [int((M + ends[1]).argmax())]
        for b in reversed(back):
            z.append(int(b[z[-1]]))
        return np.array(z[::-1])

    def value(U, true, z):
        return (float((z != true).sum() + U[np.arange(len(z)), z].sum()
                + T[z[:-1], z[1:]].sum()) + ends[0, z[0]] + ends[1, z[-1]])

    def counts(plus, minus, by):
        part, pair, tip = np.zeros((len(plus), K)), np.zeros((K, K)), np.zeros((2, K))
        for z, sign in ((plus, by), (minus, -by)):
            part[np.arange(len(z)), z] += sign
            np.add.at(pair, (z[:-1], z[1:]), sign)
            tip[[0, 1], [z[0], z[-1]]] += sign
        return part, pair, tip

    for i in np.concatenate(orders):
        rows = slice(starts[i], starts[i + 1])
        x, true = X[rows], y[rows]
        U = x @ W
        if pairwise:
            first = None
            for _ in range(10):
                z = best(U, true)
                values = [value(U, true, other) if a > 0 else np.inf for a, other in kept[i]]
                top = value(U, true, z)
                gap = C * (top - sum(a * v for (a, _), v in zip(kept[i], values, strict=True)
                                     if a > 0))
                first = gap if first is None else first
                down = int(np.argmin(values))
                if gap <= 0.1 * first or top <= values[down]:
                    break
                part, pair, tip = counts(kept[i][down][1], z, 1.0)
                step = x.T @ part
                square = C * ((step**2).sum() + (pair**2).sum() + (tip**2).sum())
                most = kept[i][down][0]
                size = most if square * most <= top - values[down] else (
                    top - values[down]) / square
                up = next((j for j, (_, other) in enumerate(kept[i]) if (other == z).all()), None)
                if up == down:
                    break
                if up is None:
                    kept[i].append([size, z])
                else:
                    kept[i][up][0] += size
                kept[i][down][0] -= size
                W += C * size * step
                T += C * size * pair
                ends += C * size * tip
                U = x @ W
            kept[i] = [plane for plane in kept[i] if plane[0] > 0]
            ell[i] = C * sum(a * float((z != true).sum()) for a, z in kept[i])
            continue
        z = best(U, true)
        part, pair, tip = counts(true, z, C)
        part, pair, tip = part - parts[rows], pair - pairs[i], tip - tips[i]
        step = x.T @ part
        goal = C * float((z != true).sum())
        gap = goal - ell[i] - (part * U).sum() - (pair * T).sum() - (tip * ends).sum()
        square = (step**2).sum() + (pair**2).sum() + (tip**2).sum()
        if gap <= 0:
            continue
        size = min(1.0, gap / square) if square > 0 else 1.0
        W += size * step
        T += size * pair
        ends += size * tip
        parts[rows] += size * part
        pairs[i] += size * pair
        tips[i] += size * tip
        ell[i] += size * (goal - ell[i])
    return float(ell.sum() - 0.5 * ((W**2).sum() + (T**2).sum() + (ends**2).sum()))


def _tags(emit):
    from hingex.structured import ChainSVM, read_tagged, word_features

    folder = data.folder()
    if folder is None:
        emit({"part": "tags", "row": "| no data | | | | | | |"})
        return
    read = {name: read_tagged(folder / "ud_en_ewt" / f"{name}.txt.gz")
            for name in ("train", "dev", "test")}
    start = time.perf_counter()
    features = {name: [word_features(s) for s in words] for name, (words, _) in read.items()}
    making = time.perf_counter() - start
    for C in (0.03, 0.1):
        start = time.perf_counter()
        tagger = ChainSVM(C, tol=TOL).fit(features["train"], read["train"][1])
        seconds = time.perf_counter() - start
        right = [tagger.score(features[name], read[name][1]) for name in ("dev", "test")]
        emit({"part": "tags", "C": C, "seconds": seconds, "gap": tagger.duality_gap_,
              "right": right, "row":
              f"| {C:g} | {making:.1f} | {seconds:.1f} | {tagger.duality_gap_:.1e} | "
              f"{tagger.n_iter_} | {100 * right[0]:.2f}% | {100 * right[1]:.2f}% |"})


def _viterbi(emit):
    from hingex._core import kernels

    own = kernels("structured")
    rng = np.random.default_rng(0)
    for K, length in ((26, 10), (26, 1000), (17, 1000), (100, 1000)):
        ld = -(-K // 8) * 8
        for dtype in (np.float32, np.float64):
            scores, cost = rng.random((2, length, ld)).astype(dtype)
            trans, room = rng.random((K, ld)).astype(dtype), np.empty((length, ld), dtype)
            ends, y = np.zeros(ld, dtype), np.empty(length, np.int32)
            sums = np.empty_like(scores)
            repeat = max(3, 20_000_000 // (length * K * K))
            best = np.inf
            for _ in range(5):
                start = time.perf_counter()
                for _ in range(repeat):
                    np.add(scores, cost, out=sums)
                    own.viterbi(sums, trans, ends, ends, K, room, y)
                best = min(best, time.perf_counter() - start)
            speed = repeat * length * K * K / best / 1e6
            emit({"part": "viterbi", "K": K, "length": length, "dtype": dtype.__name__,
                  "speed": speed, "row":
                  f"| {K} | {length} | {dtype.__name__} | {speed:.0f} |"})


def _threads(emit):
    from hingex import StructuredSVM
    from hingex.structured import Chain

    words = Words(lambda f: f != 0)
    for name, X in (("ocr, nine folds, dense", words.X.toarray()),
                    ("ocr, nine folds, sparse", words.X)):
        for C in (0.03, 0.1):
            times = {}
            for _ in range(3):
                for jobs in (1, 2):
                    start = time.perf_counter()
                    StructuredSVM(Chain(26), C, tol=TOL, n_jobs=jobs, max_iter=5000).fit(
                        X, words.y, words.lengths)
                    times.setdefault(jobs, []).append(time.perf_counter() - start)
            one, two = (float(np.median(times[j])) for j in (1, 2))
            emit({"part": "threads", "data": name, "C": C, "one": one, "two": two, "row":
                  f"| {name} | {C:g} | {one:.2f} | {two:.2f} | {one / two:.2f} |"})


if __name__ == "__main__":
    main()
