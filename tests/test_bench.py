# SPDX-License-Identifier: BSD-3-Clause
"""The benchmarks run, and what they make of their records is right."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

ROOT = Path(__file__).parents[1]

if not (ROOT / "bench").is_dir():
    pytest.skip("the folder bench/ is not there", allow_module_level=True)


@pytest.fixture
def bench(monkeypatch):
    """Import a module of bench, which is not installed."""
    monkeypatch.syspath_prepend(ROOT)
    # The source folder hingex/ of the root must not hide the installed package.
    monkeypatch.setattr(sys, "path", [*sys.path[1:], str(ROOT)])
    return lambda name: importlib.import_module(f"bench.{name}")


def fit(library, wall, suboptimality, **more):
    return {
        "area": "linear", "run": "1", "set": "sms_spam", "task": "binary", "loss": "hinge",
        "threads": 1, "kind": "fit", "library": library, "wall": wall, "cpu": 2 * wall,
        "objective": 100 * (1 + suboptimality), "optimum": 100.0, "certified": 1e-9,
        "budget": 10.0, **more,
    }  # fmt: skip


GROUP = [
    fit("hingex", 0.5, 5e-4), fit("hingex", 1.0, 1e-7),
    fit("LinearSVC", 2.0, 9e-4), fit("LinearSVC", 1.5, 5e-2), fit("LinearSVC", 4.0, 1e-5),
    fit("libpecos", 1.0, 2e-3), fit("libpecos", 3.0, 0.0),
]  # fmt: skip


def test_time_to_a_level(bench):
    summary = bench("summary")
    theirs = [r for r in GROUP if r["library"] == "LinearSVC"]
    assert summary.time_to(theirs, 100.1) == (2.0, True)
    assert summary.time_to(theirs, 100.1, "cpu") == (4.0, True)
    assert summary.time_to(theirs, 110.0) == (1.5, True)
    assert summary.time_to(theirs, 100 * (1 + 1e-6)) == (4.0, False)
    killed = {"library": "LinearSVC", "kind": "killed", "budget": 10.0}
    assert summary.time_to([*theirs, killed], 100 * (1 + 1e-6)) == (10.0, False)


def test_ratios(bench):
    summary = bench("summary")
    assert summary.ratio(GROUP, "LinearSVC", 1e-3) == (4.0, True)
    assert summary.ratio(GROUP, "LinearSVC", 1e-6) == (4.0, False)  # never: at least this
    assert summary.ratio(GROUP, summary.FASTEST, 1e-2) == (2.0, True)
    assert summary.ratio(GROUP, summary.FASTEST, 1e-6) == (3.0, True)
    assert summary.ratio(GROUP, "snapml", 1e-3) is None
    assert summary.ratio([*GROUP, fit("LinearSVC", 9.0, 0.0, cpu=1.5)], "LinearSVC", 1e-3, "cpu") \
        == (1.5, True)
    slow = [fit("hingex", 1.0, 0.1), fit("LinearSVC", 1.0, 0.0)]
    assert summary.ratio(slow, "LinearSVC", 1e-3) == (0.0, True)
    assert summary.geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
    assert summary.geometric_mean([2.0, 0.0]) == 0.0


def test_the_last_run_counts(bench):
    summary = bench("summary")
    again = [fit("hingex", 0.25, 0.0, run="2"), fit("LinearSVC", 1.0, 0.0, run="2")]
    (group,) = summary.groups([*GROUP, *again]).values()
    assert group == again


def test_a_lower_objective_than_the_optimum_is_told(bench):
    summary = bench("summary")
    assert "WARNING" not in summary.task_table([*GROUP, fit("snapml", 1.0, -5e-9)])
    table = summary.task_table([*GROUP, fit("snapml", 1.0, -1e-5)])
    assert "WARNING: snapml" in table


def test_targets(bench):
    summary, data = bench("summary"), bench("data")
    records = [
        fit(library, wall, 0.0, set=name, loss=loss)
        for name in data.BINARY
        for loss in ("hinge", "squared_hinge")
        for library, wall in (("hingex", 1.0), ("LinearSVC", 2.5), ("snapml", 1.4))
    ]
    found = {(what, wanted): met for what, wanted, _, met in summary.targets(records)}
    first = "binary to 1e-3, {}, threads: 1, against {}, {}"
    assert found[first.format("hinge", "LinearSVC", "each"), ">= 3x"] is False
    assert found[first.format("squared_hinge", "LinearSVC", "each"), ">= 2x"] is True
    assert found[first.format("hinge", "fastest peer", "mean"), ">= 1.3x"] is True
    assert found["binary to 1e-6, hinge, threads: 1, against fastest peer, mean", ">= 1.5x"] is (
        False
    )
    assert found["svmlight parsing, 1 thread, MB/s", ">= 200"] is None
    # What is not measured on all sets is not met.
    some = [r for r in records if r["set"] != "20news"]
    found = {(what, wanted): met for what, wanted, _, met in summary.targets(some)}
    assert found[first.format("squared_hinge", "LinearSVC", "each"), ">= 2x"] is None


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_objectives_against_their_definitions(bench, loss):
    worker = bench("worker")
    rng = np.random.default_rng(0)
    X = sp.random(40, 7, 0.5, format="csr", random_state=0, dtype=np.float32)
    y = rng.integers(0, 3, 40)
    coef, intercept = rng.normal(size=(3, 7)), rng.normal(size=3)
    primal = 0.0
    for k in range(3):
        slack = np.maximum(0, 1 - np.where(y == k, 1, -1) * (X @ coef[k] + intercept[k]))
        primal += (coef[k] @ coef[k] + intercept[k] ** 2) / 2
        primal += 2.0 * (slack if loss == "hinge" else slack**2).sum()
    assert worker.objective(X, y, coef, intercept, loss, 2.0) == pytest.approx(primal)
    # Any feasible dual is below any primal value.
    signed = np.where(y[:, None] == np.arange(3), 1, -1) * rng.uniform(0, 0.1, (40, 3))
    assert worker.dual_objective(X, signed, loss, 2.0) < primal
    if loss == "hinge":
        with pytest.raises(ValueError, match="infeasible"):
            worker.dual_objective(X, 30 * signed, loss, 2.0)


def test_runs(tmp_path):
    pytest.importorskip("sklearn")
    out, env = tmp_path / "records.jsonl", dict(os.environ)
    env.pop("PYTHONSAFEPATH", None)  # `-m bench` is found in the working folder

    def run(*more):
        return subprocess.run(
            [sys.executable, "-m", "bench", "linear", "--sets", "sms_spam", "--tasks", "binary",
             "--loss", "hinge", *more],
            cwd=ROOT, env=env, check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip

    text = run("--libraries", "hingex_svc", "sklearn_svc", "--repeats", "1", "--budget", "5",
               "--out", str(out))  # fmt: skip
    assert "| hingex |" in text
    assert "| LinearSVC |" in text
    assert "WARNING" not in text
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert {r["library"] for r in records} == {"hingex", "LinearSVC"}
    for library in ("hingex", "LinearSVC"):
        fits = [r for r in records if r["library"] == library and r["kind"] == "fit"]
        assert min(r["objective"] / r["optimum"] - 1 for r in fits) < 1e-5
    pytest.importorskip("matplotlib")
    picture = tmp_path / "picture.png"
    assert run("--report", str(out), "--plot", str(picture)) in text
    assert picture.stat().st_size > 10_000


def test_path_records(bench, monkeypatch):
    """The parts of `bench path` on small data: certified, and as good as what they are beside."""
    pytest.importorskip("sklearn")
    path, data = bench("path"), bench("data")
    monkeypatch.setattr(data, "folder", lambda: None)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5)).astype(np.float32)
    y = (X[:, 0] + rng.normal(size=200) > 0).astype(int)
    monkeypatch.setattr(path, "CS", np.logspace(-2, 1, 4))
    record = path._path(X, y, "hinge", 1)
    assert record["max_gap"] <= 1e-3
    assert record["ratio"] == pytest.approx(record["seconds"] / record["cold"])
    assert path._held_out(X, y, "hinge", 1)["ratio"] > 0
    record = path._cv(X, y, "binary", [0.01, 1.0], "squared_hinge", 1)
    assert record["scores_apart"] <= 0.02
    record = path._multilabel("squared_hinge", 1)
    assert record["objective"] <= record["sklearn_objective"] * 1.001
    assert record["max_gap"] <= 1e-3


def test_the_fastest_that_is_as_accurate(bench):
    def record(library, settings, cpu, accuracy):
        return {"library": library, "settings": settings, "cpu": cpu, "accuracy": accuracy,
                "files": 0.5}  # fmt: skip

    ours = [record("hingex", "default", 1.0, 0.9), record("hingex", "quick", 0.5, 0.8)]
    lines = bench("text_peers").table([
        *ours, record("fastText", "a", 2.0, 0.75), record("fastText", "b", 2.0, 0.85),
        record("fastText", "c", 2.0, 0.95), {"library": "Vowpal Wabbit", "skipped": "why"},
    ]).splitlines()  # fmt: skip
    assert "2.0x as fast, +15.0 points | 4.0x as fast: quick" in lines[4]
    assert "2.0x as fast, +5.0 points | 2.0x as fast: default" in lines[5]
    assert "2.0x as fast, -5.0 points | none is" in lines[6]
    assert "skipped: why" in lines[7]

    vw = [record("vw", "a", 1.0, 0.7), record("vw", "b", 2.0, 0.7), record("vw", "c", 3.0, 0.85),
          record("vw", "d", 4.0, 0.95), record("vw", "e", 5.0, 0.6)]  # fmt: skip
    rows = bench("stream").vw_lines("set", [*ours, *vw])
    assert [row.split(" | ")[1] for row in rows] == ["a", "c", "d"]
    assert rows[0].endswith("| quick | 0.500 | 0.8000 | 2.00x |")
    assert rows[1].endswith("| default | 1.000 | 0.9000 | 3.00x |")
    assert "not reached" in rows[2]
    (row,) = bench("stream").vw_lines("set", [*ours, {"library": "none", "skipped": "why"}])
    assert "why" in row


@pytest.mark.parametrize("absent", [True, False])
def test_text_peers(bench, monkeypatch, absent):
    peers, text, child = bench("text_peers"), bench("text"), bench("child")
    rng = np.random.default_rng(0)

    def labelled(name, split):
        labels = rng.choice(["x", "y", "z"], 60)
        return [f"Word{rng.integers(9)}, {label * 3}\n" for label in labels], labels

    records = []
    monkeypatch.setattr(text, "labelled", labelled)
    monkeypatch.setattr(child, "emitter", lambda: records.append)
    monkeypatch.setattr(child, "arguments", lambda: {"set": "none", "repeats": 1})
    if absent:
        for module in ("fasttext", "vowpalwabbit"):
            monkeypatch.setitem(sys.modules, module, None)
    peers.main()
    found = {}
    for r in records:
        found.setdefault(r["library"], []).append(r)
    assert set(found) == {"hingex", "fastText", "Vowpal Wabbit"}
    if absent:
        assert all("skipped" in found[name][0] for name in ("fastText", "Vowpal Wabbit"))
    for r in records:
        if "skipped" not in r:
            assert r["cpu"] > 0
            # What tells the classes is one word of two; fastText needs many more steps for it.
            assert r["accuracy"] == 1 or r["library"] == "fastText" or "ect" in r["settings"]


def test_blocks_runs(bench, monkeypatch, tmp_path):
    blocks, out = bench("blocks"), tmp_path / "records.jsonl"
    monkeypatch.setattr(blocks, "SET", "sms_spam")
    monkeypatch.setattr(blocks, "THREADS", 1)
    blocks.run([1], out)
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert {r["key"] for r in records} == set(blocks.RUNS.values())
    gaps = [r["gap"] for r in records if r["key"].startswith("svc")]
    assert all(gap <= 1e-3 for gap in gaps)


def test_kernel_certificates(bench):
    """The dual objective, gap and violation of LIBSVM's coefficients, as hingex has them itself."""
    kernel = bench("kernel")
    hingex = importlib.import_module("hingex")
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    X = rng.normal(size=(90, 4)) + y[:, None] * [1.0, -1.0, 0.5, 0.0]
    for classes in (2, 3):
        rows = y < classes
        model = hingex.SVC(C=2.0, gamma=0.3).fit(X[rows], y[rows])
        given = X[rows], y[rows], model.support_
        found = kernel.certify(*given, model.dual_coef_, model.classes_, 2.0, 0.3)
        assert found["dual"] == pytest.approx(model.dual_objective_.sum(), rel=1e-6)
        assert found["gap"] == pytest.approx(model.duality_gap_.max(), rel=1e-2, abs=1e-7)
        assert found["violation"] == pytest.approx(model.kkt_violation_.max(), rel=1e-2, abs=1e-6)
        sparse = kernel.certify(sp.csr_matrix(X[rows]), *given[1:], -model.dual_coef_,
                                model.classes_, 2.0, 0.3)  # fmt: skip
        assert sparse == pytest.approx(found)
        with pytest.raises(ValueError, match="infeasible"):
            kernel.certify(*given, 3 * model.dual_coef_, model.classes_, 2.0, 0.3)
    # Another order of the classes: LIBSVM has that of their first rows.
    order = [2, 0, 1]
    full = np.zeros((90, 3, 3))  # row, its class, the other one
    for at, row in enumerate(model.support_):
        others = [k for k in range(3) if k != y[row]]
        full[row, y[row], others] = model.dual_coef_[:, at]
    coef = np.array([full[row, y[row], [k for k in order if k != y[row]]]
                     for row in model.support_]).T  # fmt: skip
    assert kernel.certify(*given, coef, order, 2.0, 0.3) == pytest.approx(found)
    assert kernel.scale(sp.csr_matrix(X)) == pytest.approx(1 / (4 * X.var()))


def test_kernel_targets(bench):
    kernel = bench("kernel")

    def record(adapter, threads, fit, **more):
        return {"area": "kernel", "run": "1", "set": "a9a", "parameters": "tuned", "n": 5000,
                "d": 9, "K": 2, "adapter": adapter, "library": adapter, "threads": threads,
                "fit": fit, "predict": fit / 10, "dual": 100.0, "gap": 1e-4, "claimed_gap": None,
                "support_vectors": 50, "memory": 1e6, "model_bytes": 1000, "budget": 60.0,
                **more}  # fmt: skip

    records = [
        record("hingex", 1, 1.0), record("hingex", 2, 0.5), record("sklearn", 1, 12.0),
        record("intelex", 1, 1.5), record("intelex", 2, 0.5, dual=99.0),
    ]  # fmt: skip
    met = [row[3] for row in kernel.targets(records)]
    assert met == [True, True, True, False, False, False, True, True, False]
    lines = kernel.table(records).splitlines()
    assert "| 12.00x | 24.00x | - | 1.50x | 1.00x | 12.00x | 1.50x | DIFFERS |" in lines[2]
    killed = {k: v for k, v in records[2].items() if k != "fit"} | {"killed": "why"}
    (problem,) = kernel.problems([*records[:2], killed]).values()
    assert kernel.ratio(problem, ("sklearn", 1), 1) == (60.0, False)
    assert kernel.ratio(problem, ("sklearn", 1), 1, "predict") is None
    assert all(row[3] is None for row in kernel.targets([]))
    large = record("hingex", 1, 1.0, memory=3e8, claimed_gap=1e-5)
    assert [row[3] for row in kernel.targets([large])][-2:] == [False, False]


def test_kernel_runs(tmp_path):
    out, env = tmp_path / "records.jsonl", dict(os.environ)
    env.pop("PYTHONSAFEPATH", None)
    text = subprocess.run(
        [sys.executable, "-m", "bench", "kernel", "--only", "svmguide1", "--parameters", "default",
         "--peers", "hingex,sklearn", "--repeat", "1", "--out", str(out)],
        cwd=ROOT, env=env, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert "| hingex, 1 |" in text
    assert "DIFFERS" not in text
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert ("hingex", 1) in {(r["adapter"], r["threads"]) for r in records}
    assert all(r["violation"] <= 1.1e-3 for r in records)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_many_classes_run(bench, capsys, tmp_path):
    bench("many_classes").run(["linear_2_10"], [6], tmp_path / "records.jsonl")
    lines = capsys.readouterr().out.splitlines()
    assert [x.split("|")[4].strip() for x in lines[2:]] == ["no", "yes"]
    records = [json.loads(x) for x in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert {r["library"] for r in records} == {"hingex", "sklearn"}
    assert all(r["accuracy"] > 0.9 for r in records)


def test_ranking_runs(bench, monkeypatch):
    ranking = bench("ranking")
    monkeypatch.setattr(ranking, "SIZES", (("dense", 3000, 4), ("sparse", 3000, 4)))
    records = []
    ranking._evaluations(records.append, 1)
    assert len(records) == 8
    assert all(r["seconds"] > 0 and r["row"].count("|") == 8 for r in records)
    X, y, qid = ranking.lambdarank("test")
    assert X.shape[0] == len(y) == len(qid)
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    data = np.random.default_rng(0).normal(size=(60, 3))
    problem = ("small", data, (data[:, 0] > 0).astype(int), np.arange(60) % 3, 0.1)
    monkeypatch.setattr(ranking, "_problems", lambda: [problem])
    records.clear()
    ranking._pairs(records.append, 1)
    assert [r["loss"] for r in records] == ["hinge", "squared_hinge"]
    assert all(0 < r["linear_svc"] < 10 for r in records)


def test_the_numpy_reference_makes_the_same_steps(bench):
    from hingex._core import kernels
    from hingex._validate import as_rows

    own, K = kernels("structured"), 4
    rng = np.random.default_rng(0)
    starts = np.concatenate([[0], np.cumsum(rng.integers(1, 6, 30))])
    X, y = rng.normal(size=(starts[-1], 5)), rng.integers(0, K, starts[-1]).astype(np.int32)
    orders = [rng.permutation(30) for _ in range(3)]
    examples = own.Examples(as_rows(X), starts, starts, y, 1 - np.eye(K), K, own.KINDS["chain"], 1)
    fit = own.FrankWolfe(examples, 0.3)
    fit.steps(np.concatenate(orders), np.inf)
    structured = bench("structured")
    found = structured.numpy_epochs(X, y, starts, orders, 0.3, K, False)
    assert found == pytest.approx(fit.dual(), rel=1e-9)
    # Ties up to rounding send pairwise steps other ways, which are as good.
    pairs = own.Pairwise(examples, 0.3)
    pairs.steps(np.concatenate(orders), np.inf, 10, 0.1)
    found = structured.numpy_epochs(X, y, starts, orders, 0.3, K, True)
    assert found == pytest.approx(pairs.dual(), rel=0.05)


def test_retrieval_is_that_of_the_score(bench):
    from hingex import OASIS

    rng = np.random.default_rng(0)
    X = sp.csr_array(rng.normal(size=(100, 6)) * (rng.random((100, 6)) < 0.6))
    y = np.arange(100) % 3
    metric = bench("metric")
    for k in (None, 3):
        model = OASIS(max_features=k, max_iter=2).fit(X, y)
        found = metric.precision(model.transform(X), X, y)
        assert found == pytest.approx(model.score(X, y), abs=2e-3)  # rows of zeros tie


def test_metric_objective_is_the_fits(bench):
    from hingex import LMNN
    from hingex.solvers.lmnn import target_neighbors

    metric = bench("metric")
    rng = np.random.default_rng(0)
    y = np.arange(300) % 3
    X = rng.normal(size=(300, 4)) + y[:, None]
    model = LMNN(tol=1e-3).fit(X, y)
    targets = target_neighbors(X, y.astype(np.int32), 3)
    assert metric.objective(model.components_, X, y, targets) == pytest.approx(model.objective_)
