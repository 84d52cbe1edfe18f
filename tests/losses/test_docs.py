# SPDX-License-Identifier: BSD-3-Clause
"""docs/losses.md and the examples in docstrings say what the code does."""

import doctest
import math
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import hingex.losses as hl
from hingex import metrics
from hingex.losses import adversarial, margin, multiclass, multilabel, structured, theory

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "losses.md").read_text(encoding="utf-8")
FUNCTIONS = {name: getattr(math, name) for name in ("exp", "log", "sqrt")}


def rows(*head):
    """The cells of the table with this head, code marks taken off."""
    lines = iter(PAGE.splitlines())
    for line in lines:
        if cells(line)[:len(head)] == list(head):
            next(lines)
            found = []
            for row in lines:
                if not row.startswith("|"):
                    return found
                found.append(cells(row))
    raise AssertionError(f"no table with the columns {head}")


def cells(line):
    return [cell.strip().strip("`") for cell in line.split("|")[1:-1]]


def made(text):
    """The loss of a first cell."""
    return eval(text, {}, {name: getattr(hl, name) for name in hl.__all__})


def same(cell, value):
    if isinstance(value, bool) or value is None:
        return cell == {True: "yes", False: "no", None: "-"}[value]
    return cell == "-" if np.isinf(value) else float(cell) == pytest.approx(value, abs=0.005)


FORMULAS = rows("loss", "phi(t)", "derivative")
PROPERTIES = rows("loss", "convex", "Lipschitz")
MULTICLASS = rows("loss", "value", "convex")


def test_no_loss_is_missing():
    def classes(module, base):
        return {c.__name__ for c in vars(module).values() if isinstance(c, type)
                and issubclass(c, base) and c.__module__ == module.__name__ and c is not base
                and not issubclass(c, hl.MarginMixture | hl.MulticlassMixture)}

    def named(table):
        return {row[0].split("(")[0] for row in table}

    assert named(FORMULAS) == named(PROPERTIES) == classes(margin, hl.MarginLoss)
    assert named(MULTICLASS) == classes(multiclass, hl.MulticlassLoss)
    for module in (adversarial, structured, theory):
        for name in module.__all__:
            assert name in PAGE or name in ("StructuredOracle", "structured_hinge_loss")


@pytest.mark.parametrize("row", FORMULAS, ids=lambda row: row[0])
def test_margin_formulas(row):
    name, phi, slope = row
    loss = made(name)
    assert repr(loss) == name == repr(type(loss)())  # the defaults
    parameters = FUNCTIONS | vars(loss)
    t = np.concatenate([np.linspace(-3, 3, 121), list(loss.kinks)])
    assert_allclose(loss.phi(t), [eval(phi, parameters | {"t": v}) for v in t], atol=1e-14)
    assert_allclose(loss.slope(t), [eval(slope, parameters | {"t": v}) for v in t], atol=1e-14)


@pytest.mark.parametrize("row", PROPERTIES, ids=lambda row: row[0])
def test_margin_properties(row):
    loss = made(row[0])
    attributes = ("is_convex", "lipschitz", "smoothness", "is_classification_calibrated",
                  "is_upper_bound_on_zero_one", "has_sparse_dual")
    for cell, attribute in zip(row[1:-1], attributes, strict=True):
        assert same(cell, getattr(loss, attribute)), attribute
    if row[-1] != "-":
        for theta in (0.0, 0.2, 0.7, 0.99):
            want = eval(row[-1], FUNCTIONS | {"theta": theta})
            assert_allclose(loss.psi(theta), want, atol=1e-12)


@pytest.mark.parametrize("row", MULTICLASS, ids=lambda row: row[0])
def test_multiclass_table(row):
    loss = made(row[0])
    for cell, attribute in zip(row[2:], ("is_convex", "is_fisher_consistent",
                                         "is_upper_bound_on_zero_one"), strict=True):
        assert same(cell, getattr(loss, attribute)), attribute
    rng = np.random.default_rng(0)
    parameters = FUNCTIONS | {key: value.phi if key == "phi" else value
                              for key, value in vars(loss).items()}
    for _ in range(50):
        s, k = rng.standard_normal(5), int(rng.integers(5))
        names = {"K": 5, "s_k": s[k], "others": list(np.delete(s, k)), "top": sorted(-s)}
        names["top"] = [-v for v in names["top"]]
        assert_allclose(loss.value([k], [s]), eval(row[1], parameters | names), rtol=1e-12)


@pytest.mark.parametrize("name", ["docs/losses.md", "README.md"])
def test_examples_of_pages(name):
    failed, tried = doctest.testfile(str(ROOT / name), module_relative=False, encoding="utf-8")
    assert tried >= 3
    assert not failed


@pytest.mark.parametrize("module", [
    adversarial, structured, theory, margin, multilabel, metrics])
def test_examples_of_docstrings(module):
    failed, tried = doctest.testmod(module)
    assert tried
    assert not failed


def test_the_picture_is_there():
    picture = re.search(r"!\[.*\]\((.*)\)", PAGE).group(1)
    file = ROOT / "docs" / picture
    assert file.read_bytes().startswith(b"\x89PNG")
    assert file.stat().st_size < 100_000
    pictured = re.search(r"losses\(\[(.*?)\]\)", PAGE, re.DOTALL).group(1)
    assert len(re.findall(r'"\w+"', pictured)) == 6
