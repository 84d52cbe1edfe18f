# SPDX-License-Identifier: BSD-3-Clause
"""Losses: value and gradient beside NumPy's expressions and torch's autograd, on one CPU."""

import time
from functools import partial

from . import child, linear
from .micro import in_turn

SHOWN = (
    ("stream_gbs", "memory bandwidth: the better of these two", "GB/s"),
    ("triad_gbs", "   a = b + s c, arrays past the caches", "GB/s"),
    ("copy_gbs", "   a = b, arrays past the caches", "GB/s"),
    ("hinge_ms", "hinge, value and gradient, 10^6 float32 scores", "ms"),
    ("hinge_over_numpy", "   NumPy's expression", "x"),
    ("hinge_over_torch", "   torch", "x"),
    ("hinge_of_stream", "   bytes read and written, of that bandwidth", "x"),
    ("hinge_out_ms", "   the gradient in out=", "ms"),
    ("hinge_out_of_stream", "      bytes read and written, of that bandwidth", "x"),
    ("hinge_large_ms", "   20 times as many scores, past the caches, out=", "ms"),
    ("hinge_large_of_stream", "      bytes read and written, of that bandwidth", "x"),
    ("logistic_ms", "logistic, value and gradient, 10^6 float32 scores", "ms"),
    ("logistic_over_numpy", "   NumPy's expression", "x"),
    ("logistic_over_torch", "   torch", "x"),
    ("multi_margin_ms", "MultiMargin, value and gradient, 10^5 x 20 float32", "ms"),
    ("multi_margin_over_torch", "   torch", "x"),
    ("cross_entropy_ms", "cross-entropy, value and gradient, 10^5 x 20 float32", "ms"),
    ("cross_entropy_over_torch", "   torch", "x"),
    ("ranking_ms", "pairwise ranking, value and gradient, 10^5 in a query", "ms"),
    ("ranking_levels_ms", "   with five levels of relevance", "ms"),
    ("small_us", "hinge, value and gradient, 32 scores", "us"),
    ("small_function_us", "   hinge_loss, the value", "us"),
)

def run(repeats, out):
    records, code = child.run("bench.losses", {"repeats": repeats}, 1)
    if code or not records:
        raise RuntimeError(f"losses: the process ended with {code}")
    figures = {"area": "losses", "run": time.strftime("%Y-%m-%dT%H:%M:%S"), **records[0]}
    linear.append(out, [figures])
    for key, what, unit in SHOWN:
        figure = figures.get(key)
        print(f"{what:56s} {'-' if figure is None else f'{figure:.4g}':>10s} {unit}")


def main():
    """In the child."""
    emit = child.emitter()
    repeats = max(9, 3 * child.arguments()["repeats"])
    figures = {}
    for part in (_stream, _margin, _out, _multiclass, _ranking, _small):
        figures |= part(repeats)
    for name, size in (("hinge", 1), ("hinge_out", 1), ("hinge_large", 20)):
        moved = 3 * 4 * size * 1e6     # y, f and the gradient, once each
        figures[f"{name}_of_stream"] = 1e-6 * moved / figures[f"{name}_ms"] / figures["stream_gbs"]
    emit(figures)


def _stream(repeats):
    """A triad of three streams, of 256 MB in all, and a copy: more than caches hold.

    As for the losses, bytes are those that are read and written, without those that a processor
    reads to write others.
    """
    import numpy as np

    n = 256 * 10**6 // 3 // 8
    a, b, c = (np.ones(n) for _ in range(3))
    block = 1 << 14

    def triad():
        for i in range(0, n, block):    # the product stays in the cache
            part = a[i:i + block]
            np.multiply(c[i:i + block], 3.0, out=part)
            part += b[i:i + block]

    def copy():
        np.copyto(a, b)

    one, two = in_turn([triad, copy], repeats)
    figures = {"triad_gbs": 3e-9 * 8 * n / one, "copy_gbs": 2e-9 * 8 * n / two}
    return {"stream_gbs": max(figures.values()), **figures}


def _torch():
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    return torch


def _margin(repeats):
    import numpy as np

    from hingex import losses

    rng = np.random.default_rng(0)
    f = rng.standard_normal(10**6).astype(np.float32)
    y = np.where(rng.random(10**6) < 0.5, -1, 1).astype(np.float32)
    n = np.float32(len(f))

    def numpy_hinge():
        t = y * f
        return np.maximum(0, 1 - t).mean(dtype=np.float64), np.where(t < 1, -y, 0) / n

    def numpy_logistic():
        t = y * f
        return np.logaddexp(0, -t).mean(dtype=np.float64), -y / (1 + np.exp(t)) / n

    torch = _torch()
    figures = {}
    for name, loss, expression in (("hinge", losses.Hinge(), numpy_hinge),
                                   ("logistic", losses.Logistic(), numpy_logistic)):  # fmt: skip
        calls = [partial(loss.value_and_gradient, y, f), expression]
        if torch is not None:
            scores, labels = torch.tensor(f, requires_grad=True), torch.tensor(y)

            def torch_loss(name=name, scores=scores, labels=labels):
                scores.grad = None
                t = labels * scores
                value = (torch.clamp(1 - t, min=0) if name == "hinge"
                         else torch.nn.functional.softplus(-t)).mean()
                value.backward()
                return value.item(), scores.grad.numpy()

            calls.append(torch_loss)
        _agree([call() for call in calls])
        ours, *theirs = in_turn(calls, repeats)
        figures[f"{name}_ms"] = 1e3 * ours
        for other, seconds in zip(("numpy", "torch"), theirs, strict=False):
            figures[f"{name}_over_{other}"] = seconds / ours
    return figures


def _out(repeats):
    """The hinge with an array for the gradient, which in the others' time is a new one."""
    import numpy as np

    from hingex import losses

    rng = np.random.default_rng(0)
    calls = []
    for size in (10**6, 20 * 10**6):
        f = rng.standard_normal(size, dtype=np.float32)
        y = np.where(rng.random(size, dtype=np.float32) < 0.5, np.float32(-1), np.float32(1))
        calls.append(partial(losses.Hinge().value_and_gradient, y, f, out=np.zeros_like(f)))
    return {f"{name}_ms": 1e3 * in_turn([call], repeats)[0]
            for name, call in zip(("hinge_out", "hinge_large"), calls, strict=True)}


def _agree(results):
    """No figures of libraries that do not compute the same."""
    import numpy as np

    for value, gradient in results[1:]:
        assert abs(value - results[0][0]) <= 1e-5 * abs(value)
        assert np.abs(gradient - results[0][1]).max() <= 1e-5 * np.abs(gradient).max()


def _multiclass(repeats):
    import numpy as np

    from hingex import losses

    rng = np.random.default_rng(0)
    s = rng.standard_normal((10**5, 20)).astype(np.float32)
    y = rng.integers(0, 20, len(s))
    torch = _torch()
    figures = {}
    for name, loss in (("multi_margin", losses.WestonWatkins(mean_over_classes=True)),
                       ("cross_entropy", losses.CrossEntropy())):
        calls = [partial(loss.value_and_gradient, y, s)]
        if torch is not None:
            scores, labels = torch.tensor(s, requires_grad=True), torch.tensor(y)
            module = {"multi_margin": torch.nn.MultiMarginLoss,
                      "cross_entropy": torch.nn.CrossEntropyLoss}[name]()

            def torch_loss(module=module, scores=scores, labels=labels):
                scores.grad = None
                value = module(scores, labels)
                value.backward()
                return value.item(), scores.grad.numpy()

            calls.append(torch_loss)
        _agree([call() for call in calls])
        ours, *theirs = in_turn(calls, repeats)
        figures[f"{name}_ms"] = 1e3 * ours
        if theirs:
            figures[f"{name}_over_torch"] = theirs[0] / ours
    return figures


def _ranking(repeats):
    import numpy as np

    from hingex import losses

    rng = np.random.default_rng(0)
    f = rng.standard_normal(10**5)
    calls = [partial(losses.PairwiseRanking().value_and_gradient, rng.integers(0, levels, 10**5), f)
             for levels in (2, 5)]
    two, five = in_turn(calls, repeats)
    return {"ranking_ms": 1e3 * two, "ranking_levels_ms": 1e3 * five}


def _small(repeats):
    import numpy as np

    from hingex import losses

    rng = np.random.default_rng(0)
    f = rng.standard_normal(32).astype(np.float32)
    y = np.where(f > 0, 1, -1).astype(np.float32)
    hinge = losses.Hinge()
    both, value = in_turn([lambda: hinge.value_and_gradient(y, f),
                           lambda: losses.hinge_loss(y, f)], max(50, 5 * repeats), 1000)
    return {"small_us": 1e6 * both, "small_function_us": 1e6 * value}
