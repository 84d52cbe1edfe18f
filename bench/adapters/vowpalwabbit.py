# SPDX-License-Identifier: BSD-3-Clause
"""Vowpal Wabbit, training from its cache file over passes; hinge only.

Not timed: its text file and the cache. Feature names are the column numbers, which it takes as
they are, so that nothing collides. It applies --l2 in a step only where the hinge is active, so
what it minimises is not our objective; of the learning rates and penalties that were tried on
sms_spam and 20news (its defaults, --sgd, --adaptive, --invariant, --power_t 0.5 and 1, l2 of 1 to
8 / n, --bfgs), the one below comes nearest, to 10 to 30% of the optimum.
"""

import math
import tempfile
from pathlib import Path

import numpy as np
from vowpalwabbit import Workspace, __version__

from . import split_last, with_ones

NAME = "vowpalwabbit"
LOSSES = ("hinge",)
TASKS = ("binary", "ovr")
THREADED = ()
MOST_CLASSES = 100


def version():
    return __version__


def schedules(loss):
    return [[{"passes": k} for k in (1, 2, 3, 5, 8, 12, 20, 30)]]


def default(loss):
    return {"passes": 1}


def prepare(X, y):
    if y.max() >= MOST_CLASSES:
        raise NotImplementedError(f"reading the weights of more than {MOST_CLASSES} classes")
    X = with_ones(X)
    n, d = X.shape
    classes = int(y.max()) + 1
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name)
    labels = np.where(y == 1, 1, -1) if classes == 2 else y + 1
    with (path / "x").open("w") as file:
        for i in np.random.default_rng(0).permutation(n):  # it learns in the order of the file
            row = slice(*X.indptr[i : i + 2])
            pairs = zip(X.indices[row], X.data[row], strict=True)
            file.write(f"{labels[i]} | " + " ".join(f"{j}:{v:.9g}" for j, v in pairs) + "\n")
    command = (
        f"-d {path / 'x'} --cache_file {path / 'cache'} --holdout_off --noconstant --quiet "
        f"-b {math.ceil(math.log2(d * classes))} --loss_function hinge"
        + (f" --oaa {classes}" if classes > 2 else "")
    )
    Workspace(command + " --passes 2").finish()
    return folder, command, n, d, classes


def fit(data, *, loss, C, threads, passes):
    folder, command, n, _, _ = data
    rate = f"--sgd --invariant --power_t 1 --initial_t {n} -l 1 --l2 {4 / (C * n)}"
    model = Path(folder.name) / "model"
    return data, Workspace(f"{command} {rate} --passes {passes} --readable_model {model}")


def weights(model):
    (folder, _, _, d, classes), workspace = model
    lanes = 1 if classes == 2 else classes
    # The weights of the classes lie side by side for each feature.
    W = np.array([workspace.get_weight(j) for j in range(d * lanes)]).reshape(d, lanes).T
    workspace.finish()  # writes the model, with the factor of all weights that it keeps apart
    with (Path(folder.name) / "model").open() as file:
        state = next(line for line in file if line.startswith("l2_state"))
    return split_last(W * float(state.split()[1]))
