# SPDX-License-Identifier: BSD-3-Clause
"""Model files that somebody damaged or made up, with right checksums, of every class.

`load` raises ModelFormatError with the name of the file, or gives a model whose methods work or
raise a clear ValueError. Neither takes more memory or time than the file explains.
"""

import json
import random
import time
import tracemalloc
import warnings
import zlib
from contextlib import suppress

import numpy as np
import pytest
from scipy import sparse

import hingex
from hingex import model_io
from hingex.model_io import ModelFormatError, load, save
from hingex.structured import ChainSVM
from hingex.text import TextClassifier, TextVectorizer

MODELS = sorted(model_io._CLASSES)
METHODS = ("predict", "transform", "decision_function", "predict_proba", "score_samples")


def some_models():
    """(name, fitted model, what its methods take): each class, and kinds that files tell apart."""
    X = np.random.default_rng(0).normal(size=(24, 3))
    y = np.arange(24) % 3
    two, letters = y % 2, np.array(["a", "b", "c"])[y]
    sentences, tags = [X[:6], X[6:12], X[12:]], [y[:6], y[6:12], y[12:]]
    words = [[["a", "b"], ["c"]], [["a"], ["c", "d"]]]
    texts = ["the cat sat", "the dog ran", "a cat ran", "the old dog sat"]
    fitted = [
        (hingex.LinearSVC(store_dual=True).fit(X, y), X),
        (hingex.LinearSVC(class_weight={0: 1.0, 1: 2.0}).fit(X, two), X),
        (hingex.LinearSVC().fit(X, np.eye(3, dtype=int)[y]), X),
        (hingex.LinearSVCCV(Cs=2, cv=2).fit(X, y), X),
        (hingex.LinearClassifier("logistic").fit(X, two), X),
        (hingex.PegasosClassifier(max_iter=2).fit(X, y), X),
        (hingex.PassiveAggressiveClassifier(max_iter=2).fit(X, y), X),
        (hingex.AROWClassifier(max_iter=2).fit(X, y), X),
        (hingex.LinearRankSVC().fit(X, y.astype(float)), X),
        (hingex.AUCMaximizer().fit(X, two), X),
        (hingex.SVC(probability=True).fit(X, letters), X),
        (hingex.SVC(probability=True, multi_class="ovr").fit(X, y), X),
        (hingex.SVC(approximation="nystroem", n_components=5).fit(X, y), X),
        (hingex.SVC(kernel="precomputed").fit(X @ X.T, two), X @ X.T),
        (hingex.SVC().fit(sparse.csr_array(X * (X > 0)), y), X),
        (hingex.NuSVC(nu=0.3).fit(X, y), X),
        (hingex.SVR().fit(X, X[:, 0]), X),
        (hingex.NuSVR(kernel="poly").fit(X, X[:, 0]), X),
        (hingex.OneClassSVM().fit(X), X),
        (hingex.LMNN(max_iter=3).fit(X, y), X),
        (hingex.OASIS(max_iter=1).fit(X, y), X),
        (ChainSVM(max_iter=5).fit(sentences, tags), sentences),
        (ChainSVM(max_iter=5, n_features=16, cost={("x", "z"): 2.0}).fit(words, [["x", "z"]] * 2),
         words),
        (TextVectorizer(use_idf=True).fit(texts), texts),
        (TextVectorizer(method="hashing", n_features=32, use_idf=True).fit(texts), texts),
        (TextVectorizer(method="hashing", n_features=32, stop_words=["the"]).fit(texts), texts),
        (TextClassifier().fit(texts, ["c", "d", "c", "d"]), texts),
        (hingex.CalibratedClassifier(hingex.LinearSVC(), cv=2).fit(X, y), X),
    ]
    return [(type(model).__name__, model, rows) for model, rows in fitted]


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """(name, header, bytes of the arrays, what methods take) of each of them."""
    path = tmp_path_factory.mktemp("models") / "m"
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hingex.ConvergenceWarning)
        for name, model, rows in some_models():
            save(model, path)
            content = path.read_bytes()
            length = int.from_bytes(content[16:24], "little")
            header = content[32 : 32 + length]
            arrays = [content[e["offset"] : e["offset"] + e["bytes"]]
                      for e in json.loads(header)["arrays"]]
            found.append((name, header, arrays, rows))
    return found


def sample(samples, name):
    """Header and arrays of a class, to be changed."""
    _, header, arrays, rows = next(s for s in samples if s[0] == name)
    return json.loads(header), list(arrays), rows


def entry(header, name):
    return next(e for e in header["arrays"] if e["name"] == name)


def raw_file(text, out=b""):
    """A file with right sizes and checksums around a header in bytes, whatever it is."""
    size = 32 + len(text) + len(out)

    def preamble(crc):
        return (model_io.MAGIC + (1).to_bytes(4, "little") + crc.to_bytes(4, "little")
                + len(text).to_bytes(8, "little") + size.to_bytes(8, "little"))

    return preamble(zlib.crc32(text, zlib.crc32(preamble(0)))) + text + out


def built(header, arrays):
    """The same for a header and arrays, of which it gets the places."""
    start = 0
    while True:
        end = start
        for e, raw in zip(header["arrays"], arrays, strict=True):
            e |= {"offset": -(-end // 64) * 64, "bytes": len(raw), "crc32": zlib.crc32(raw)}
            end = e["offset"] + len(raw)
        text = json.dumps(header).encode()
        if 32 + len(text) <= start or not arrays:
            break
        start = -(-(32 + len(text)) // 64) * 64
    if arrays:
        text = text.ljust(start - 32)
    out = b""
    for raw in arrays:
        out += bytes(-(32 + len(text) + len(out)) % 64) + raw
    return raw_file(text, out)


def loaded(path, content, seconds=10.0):
    """The model, or None if the file is refused as it must be."""
    path.write_bytes(content)
    model, said = None, str(path)
    tracemalloc.start()
    begin = time.process_time()
    try:
        model = load(path)
    except ModelFormatError as error:
        said = str(error)
    taken = time.process_time() - begin
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(path) in said
    assert taken < seconds
    assert peak < (2 << 20) + model_io.OBJECTS + 12 * len(content)
    return model


def used(model, rows):
    """All methods of a model: they work, or raise ValueError with words of hingex."""
    tracemalloc.start()
    for name in METHODS:
        try:
            method = getattr(model, name, None)
        except ValueError:
            continue
        if method is None or (name == "predict_proba" and not hasattr(model, "loss_")
                              and isinstance(model, hingex.LinearClassifier)):
            continue
        said = None
        try:
            method(rows)
        except ValueError as error:
            said = error
        assert not isinstance(said, UnicodeError)
        assert not any(word in str(said) for word in ("broadcast", "matmul", "dimension mism"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


# ------------------------------------------------------------------------------------ mutations

VALUES = [
    None, True, False, 0, -1, 1, 2, 3, 2**31, 2**39, 2**62, -(2**63), 2**63, 2**64, 10**30, 1.5,
    -0.5, 1e308, 1e-320, "", "x", "<f8", "balanced", "rbf", "precomputed", "linear", "callable",
    [], [1], [[1.0]], ["a", "b"], {"tuple": []}, {"tuple": [1, 2]}, {"tuple": [[1], 2]},
    {"dict": []}, {"dict": [["a", 1]]}, {"float": "nan"}, {"float": "inf"}, {"float": "-inf"},
    {"dict": [[{"tuple": [[1]]}, 2]]}, {"dict": [[[1], 2]]}, {"dict": [[{"dict": []}, 2]]},
    {"loss": [[1.0, "hinge", {"dict": []}]]}, {"loss": [[1.0, "hinge", {"dict": [["a", 1]]}]]}, {},
]  # fmt: skip
TYPES = ["|b1", "|i1", "<i2", "<i4", "<i8", "|u1", "<u8", "<f2", "<f4", "<f8", "<U1", "<U2", "|S8",
         "<U99999999", "utf8", [["a", "<f8"]], None, ["<f8"]]  # fmt: skip
SHAPES = [[], [0], [1], [2], [0, 2**39], [2**39, 0], [0, 0], [1, 1], [3, 0], [0, 3], [2**39],
          [-1, -3], [1.0], "3", None]  # fmt: skip
NAMES = ["coef_", "classes_", "x_", "feature_names_in_", "multilabel_", "idf_", "landmarks_",
         "probability_slopes_", "offset_", "loss_", "a__b_", "support_", "history_", "gamma_"]
BITS = [np.float64("nan").tobytes(), np.float64(1e308).tobytes(), np.int64(-1).tobytes(),
        np.int64(2**62).tobytes(), bytes(8)]  # fmt: skip


def a_value(rng, header, arrays):
    part = header[rng.choice(["params", "fitted"])]
    if part:
        part[rng.choice(sorted(part))] = rng.choice(VALUES)


def a_part_of_a_value(rng, header, arrays):
    found = []

    def look(value):
        if isinstance(value, list | dict):
            found.append(value)
            for item in value.values() if isinstance(value, dict) else value:
                look(item)

    look(header["params"])
    place = rng.choice(found)
    if place:
        place[rng.choice(sorted(place) if isinstance(place, dict) else range(len(place)))] = (
            rng.choice(VALUES))


def less(rng, header, arrays):
    if header["fitted"] and rng.random() < 0.5:
        header["fitted"].pop(rng.choice(sorted(header["fitted"])))
    elif arrays:
        i = rng.randrange(len(arrays))
        del header["arrays"][i], arrays[i]


def another_entry(rng, header, arrays):
    if not arrays:
        return
    e = rng.choice(header["arrays"])
    key = rng.choice(["shape", "dtype", "order", "name"])
    if key == "shape":
        old = e["shape"]
        e["shape"] = rng.choice([*SHAPES, old[::-1], [1, *old], [*old, 1], old[:1]])
    else:
        e[key] = rng.choice({"dtype": TYPES, "order": ["C", "F", 3, None], "name": NAMES}[key])


def another_type(rng, header, arrays):
    """With a shape that suits it."""
    if arrays:
        i = rng.randrange(len(arrays))
        code = rng.choice(TYPES[:13])
        header["arrays"][i] |= {"dtype": code, "shape": [len(arrays[i]) // np.dtype(code).itemsize]}


def other_bytes(rng, header, arrays):
    if not arrays:
        return
    i = rng.randrange(len(arrays))
    raw = bytearray(arrays[i])
    for _ in range(rng.choice([1, 1, 4]) if raw else 0):
        at = rng.randrange(len(raw))
        if rng.random() < 0.5:
            raw[at] = rng.randrange(256)
        else:
            at -= at % 8
            raw[at : at + 8] = rng.choice(BITS)[: len(raw) - at]
    arrays[i] = bytes(raw)


def more_or_fewer(rng, header, arrays):
    """Entries, in a shape that suits them."""
    if not arrays:
        return
    i = rng.randrange(len(arrays))
    e = header["arrays"][i]
    size = np.dtype(e["dtype"]).itemsize if isinstance(e["dtype"], str) and (
        e["dtype"] != "utf8") else 1
    count = rng.choice([0, 1, 2, 5])
    arrays[i] = (arrays[i] * 6)[: size * count]
    count = len(arrays[i]) // max(size, 1)
    e["shape"] = rng.choice([[count], [1, count], [count, 1]])


def a_list(rng, header, arrays):
    """JSON in place of an array."""
    if not arrays:
        return
    i = rng.randrange(len(arrays))
    e = header["arrays"].pop(i)
    raw = arrays.pop(i)
    value = [1.0]
    if e["dtype"] in ("<f8", "<i8", "<i4", "|u1"):
        value = np.nan_to_num(np.frombuffer(raw, e["dtype"])).reshape(e["shape"]).tolist()
    header["fitted"][str(e["name"])] = value


def an_array(rng, header, arrays):
    """In place of JSON."""
    if not header["fitted"]:
        return
    name = rng.choice(sorted(header["fitted"]))
    del header["fitted"][name]
    array = rng.choice([np.array(3), np.array([1.0, 2.0]), np.zeros((3, 3)), np.array(["a", "b"]),
                        np.array([True]), np.arange(3), np.zeros(0)])  # fmt: skip
    header["arrays"].append({"name": name, "dtype": array.dtype.str, "shape": list(array.shape),
                             "order": "C"})  # fmt: skip
    arrays.append(array.tobytes())


def swapped(rng, header, arrays):
    if len(arrays) > 1:
        a, b = rng.sample(header["arrays"], 2)
        a["name"], b["name"] = b["name"], a["name"]


def another_class(rng, header, arrays):
    header["class"] = rng.choice(MODELS)


MUTATIONS = [a_value, a_value, a_part_of_a_value, less, another_entry, another_entry, another_type,
             other_bytes, more_or_fewer, a_list, an_array, swapped, another_class]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("number", range(28))
def test_changed_files(samples, tmp_path, number):
    """Seeded changes of everything that a file holds; the checksums are right."""
    assert len(samples) == 28
    name, header, arrays, rows = samples[number]
    rng = random.Random(number)
    model = loaded(tmp_path / "m", built(json.loads(header), list(arrays)))
    used(model, rows)
    for _ in range(60):
        changed, others = json.loads(header), list(arrays)
        for _ in range(rng.choice([1, 1, 2])):
            rng.choice(MUTATIONS)(rng, changed, others)
        model = loaded(tmp_path / "m", built(changed, others))
        if type(model).__name__ == name:  # others take other data
            used(model, rows)


@pytest.mark.filterwarnings("ignore")
def test_changed_text_of_headers(samples, tmp_path):
    rng = random.Random(0)
    for name, header, arrays, rows in samples:
        content = built(json.loads(header), list(arrays))
        length = int.from_bytes(content[16:24], "little")
        for _ in range(25):
            text = bytearray(content[32 : 32 + length])
            text[rng.randrange(len(header))] = rng.choice(b'09[]{}",:e-.tfn\\\xff')
            model = loaded(tmp_path / "m", raw_file(bytes(text), content[32 + length :]))
            if type(model).__name__ == name:
                used(model, rows)


def test_cut_and_flipped_files(samples, tmp_path):
    rng = random.Random(1)
    for _, header, arrays, _ in samples:
        content = built(json.loads(header), list(arrays))
        for _ in range(20):
            damaged = bytearray(content)
            if rng.random() < 0.5:
                damaged[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
            else:
                del damaged[rng.randrange(len(content)) :]
            assert loaded(tmp_path / "m", bytes(damaged)) is None


# ------------------------------------------------------------------------------- single examples


def refused(path, header, arrays, message):
    path.write_bytes(built(header, arrays))
    with pytest.raises(ModelFormatError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(("name", "key"), [
    ("ChainSVM", "coef_"), ("TextVectorizer", "idf_"), ("LinearSVC", "coef_"), ("SVC", "classes_"),
    ("LMNN", "components_"), ("SVR", "dual_coef_"), ("TextClassifier", "classifier__coef_"),
    ("TextClassifier", "vectorizer__term_ends_"),
])
def test_lists_in_place_of_arrays(samples, tmp_path, name, key):
    """These raised AttributeError, when the model was loaded or later."""
    header, arrays, _ = sample(samples, name)
    i = [e["name"] for e in header["arrays"]].index(key)
    e, raw = header["arrays"].pop(i), arrays.pop(i)
    dtype = e["dtype"]
    header["fitted"][key] = np.frombuffer(raw, dtype).reshape(e["shape"]).tolist()
    refused(tmp_path / "m", header, arrays, key.rpartition("__")[2])


@pytest.mark.parametrize("key", [{"dict": []}, {"tuple": [[1]]}, {"tuple": [{"dict": []}]}, [1]])
def test_keys_that_cannot_be_hashed(samples, tmp_path, key):
    header, arrays, _ = sample(samples, "LinearSVC")
    header["params"]["class_weight"] = {"dict": [[key, 1.0]]}
    refused(tmp_path / "m", header, arrays, "dict with a key")


def test_a_machine_without_its_classes(samples, tmp_path):
    header, arrays, _ = sample(samples, "SVC")
    i = [e["name"] for e in header["arrays"]].index("classes_")
    del header["arrays"][i], arrays[i]
    refused(tmp_path / "m", header, arrays, "classes_")


@pytest.mark.parametrize("change", [
    {"dtype": "<U99999999", "shape": [0]}, {"shape": [0, 2**39]}, {"shape": [2**39, 0]},
    {"dtype": "|S99999999", "shape": [0]},
])
def test_empty_arrays_of_impossible_kinds(samples, tmp_path, change):
    """These raised MemoryError and ValueError without a name."""
    header, arrays, _ = sample(samples, "LinearSVC")
    header["arrays"].append({"name": "x_", "order": "C", "dtype": "<f8"} | change)
    refused(tmp_path / "m", header, [*arrays, b""], "'x_' is empty")


def test_empty_strings_are_kept(tmp_path):
    model = hingex.LinearSVC().fit([[0.0], [1.0]], [0, 1])
    model.note_ = np.array(["x" * 5000])[:0]
    save(model, tmp_path / "m")
    assert load(tmp_path / "m").note_.shape == (0,)


@pytest.mark.parametrize("name", MODELS)
def test_names_of_features_of_every_class(samples, tmp_path, name):
    header, arrays, _ = sample(samples, name)
    part = "classifier__" if name == "TextClassifier" else ""
    d = header["fitted"].get(part + "n_features_in_")
    if d is None:
        pytest.skip("it has no features")
    for dtype, shape, raw in (("<i8", [d], bytes(8 * d)), ("<U1", [d, 1], bytes(4 * d)),
                              ("<U1", [d + 1], bytes(4 * d + 4))):  # fmt: skip
        changed = json.loads(json.dumps(header))
        changed["arrays"].append({"name": part + "feature_names_in_", "dtype": dtype,
                                  "shape": shape, "order": "C"})  # fmt: skip
        refused(tmp_path / "m", changed, [*arrays, raw], "feature_names_in_")


def test_errors_of_sound_files_are_not_hidden(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none")


# ---------------------------------------------------------------------------------------- limits


def colliding(kind, count):
    """Keys of the same hash: numbers modulo 2^61 - 1, and pairs made to match."""
    P = 2**61 - 1
    if kind == "integers":
        return [k * P + 5 for k in range(count)]
    if kind == "floats":
        return [{"float": "inf"} if k > 1e300 else k for k in (5.0 * 2.0 ** (61 * j)
                                                              for j in range(count))]
    # xxHash of pairs: for each first element the second that leads to the same sum.
    p1, p2, mask = 11400714785074694791, 14029467366897019727, 2**64 - 1
    inverse1, inverse2 = pow(p1, -1, 2**64), pow(p2, -1, 2**64)
    keys, first = [], 0

    def step(acc, lane):
        acc = (acc + lane * p2) & mask
        return ((acc << 31 | acc >> 33) & mask) * p1 & mask

    while len(keys) < count:
        first += 1
        before = step(2870177450012600261, first)
        wanted = 12345 * inverse1 & mask
        wanted = (wanted >> 31 | wanted << 33) & mask
        second = (wanted - before) * inverse2 & mask
        if second < P:
            keys.append({"tuple": [first, second]})
    assert len({hash(tuple(key["tuple"])) for key in keys}) == 1
    return keys


@pytest.mark.parametrize("kind", ["integers", "pairs"])
def test_keys_that_collide(samples, tmp_path, kind):
    """Loading took quadratic time: 20,000 such keys some 10 s."""
    header, arrays, _ = sample(samples, "LinearSVC")
    header["fitted"]["x_"] = {"dict": [[key, 1] for key in colliding(kind, 60_000)]}
    assert loaded(tmp_path / "m", built(header, arrays), seconds=5.0) is None


def test_many_sound_keys(samples, tmp_path):
    """What `save` writes is read: many labels, and costs of pairs of them."""
    model = hingex.LinearSVC(class_weight={}).fit([[0.0], [1.0]], [0, 1])
    model.note_ = {k: k for k in range(-20_000, 20_000)}
    model.more_ = {(str(i), j): 1.0 for i in range(100) for j in range(100)}
    model.floats_ = {k / 7: k for k in range(-10_000, 10_000)}
    save(model, tmp_path / "m")
    again = load(tmp_path / "m")
    assert (again.note_, again.more_, again.floats_) == (model.note_, model.more_, model.floats_)


def test_keys_that_occur_twice(samples, tmp_path):
    header, arrays, _ = sample(samples, "LinearSVC")
    for keys in ([1, 1], [1, 1.0], [True, 1], ["a", "a"]):
        header["params"]["class_weight"] = {"dict": [[key, 1.0] for key in keys]}
        refused(tmp_path / "m", header, arrays, "occurs twice")


@pytest.mark.parametrize("item", ["[]", "{}", '""', "0", '[0]', '{"":0}', '["ab"]'])
def test_headers_of_many_small_objects(samples, tmp_path, item):
    """A header of 4 MiB became 170 MB of Python's lists."""
    header = sample(samples, "LinearSVC")[0]
    header["fitted"]["x_"] = "HERE"
    text = json.dumps(header)
    count = (model_io.MAX_HEADER - len(text)) // (len(item) + 1)
    text = text.replace('"HERE"', "[" + ",".join([item] * count) + "]").encode()
    content = raw_file(text)
    (tmp_path / "m").write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ModelFormatError):
        load(tmp_path / "m")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < model_io.OBJECTS + 12 * len(content)


@pytest.mark.parametrize("depth", [33, 200, 900, 50_000])
def test_nesting(samples, tmp_path, depth):
    header = sample(samples, "LinearSVC")[0]
    header["fitted"]["x_"] = "HERE"
    text = json.dumps(header).replace('"HERE"', "[" * depth + "]" * depth).encode()
    assert loaded(tmp_path / "m", raw_file(text)) is None


def test_what_is_nested_too_deeply_is_left_out(tmp_path):
    model = hingex.LinearSVC().fit([[0.0], [1.0]], [0, 1])
    model.good_, model.deep_ = [], []
    for _ in range(model_io.MAX_DEPTH - 1):
        model.good_ = [model.good_]
    for _ in range(model_io.MAX_DEPTH + 3):
        model.deep_ = [model.deep_]
    save(model, tmp_path / "m")
    assert model_io.describe(tmp_path / "m")["omitted"] == ["deep_"]
    assert load(tmp_path / "m").good_ == model.good_


@pytest.mark.parametrize(("raw", "shape"), [
    (b"[" + b"[]," * 999_999 + b"[]]", 1),
    (b"[" + b"{}," * 999_999 + b"{}]", 1),
    (b"[" + b"[]," * 999_999 + b"[]]", 1_000_000),
    (b'["ab"' + b',"ab"' * 999_999 + b"]", 1),
    (b'["ab"' + b',"ab"' * 999_999 + b"]", 1_000_000),
    (b'["a' + b'\\"' * 1_000_000 + b'"]', 2),
    (b'["a', 1),
])
def test_arrays_of_strings(samples, tmp_path, raw, shape):
    """What is no list of strings is found before objects are made; nor may these be too many."""
    header, arrays, _ = sample(samples, "LinearSVC")
    header["arrays"].append({"name": "x_", "dtype": "utf8", "shape": [shape], "order": "C"})
    content = built(header, [*arrays, raw])
    (tmp_path / "m").write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ModelFormatError, match="'x_'"):
        load(tmp_path / "m")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (2 << 20) + 6 * len(content)


def test_names_of_many_features(tmp_path):
    model = hingex.LinearSVC()
    d = 300_000
    model.classes_, model.n_features_in_ = np.arange(2), d
    model.coef_, model.intercept_ = np.zeros((1, d)), np.zeros(1)
    model.feature_names_in_ = np.array([f'"{k}",[\\' for k in range(d)], dtype=object)
    save(model, tmp_path / "m")
    assert load(tmp_path / "m").feature_names_in_.tolist() == model.feature_names_in_.tolist()


def test_too_many_arrays(samples, tmp_path):
    header, arrays, _ = sample(samples, "LinearSVC")
    more = [{"name": f"x{k}_", "dtype": "<f8", "shape": [0], "order": "C"} for k in range(5000)]
    header["arrays"] += more
    refused(tmp_path / "m", header, [*arrays, *[b""] * 5000], "at most 4096")


@pytest.mark.parametrize("text", [
    b"rho " + b"1 " * 1_000_000, b"rho 1\nSV\n1 " + b" ".join(b"%d:1" % k for k in range(1, 10**5)),
    b"rho 1\nSV\n" + b"1 " * 1_000_000, b"rho 1\nSV\n" + b"1" * 3_000_000,
    b"rho 1\nlabel " + b"1 " * 1_000_000, b"rho " + b"7" * 3_000_000,
])
def test_long_lines_of_text_models(tmp_path, text):
    """Words and numbers as Python's objects took 40 times the line."""
    path = tmp_path / "m"
    path.write_bytes(b"svm_type one_class\nkernel_type rbf\ngamma 0.5\nnr_class 2\ntotal_sv 1\n"
                     + text + b"\n")
    tracemalloc.start()
    with suppress(ModelFormatError):
        load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (9 << 20) + 10 * len(text)


# ------------------------------------------------------------------------------ claimed numbers

MORE = ("get_feature_names_out", "get_params", "__repr__", "coef_")
CLAIMS = [2**31 - 1, 2**62]


def numbers(value, path=()):
    """Where there are integers in a header, booleans aside."""
    if type(value) is int:
        yield path
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from numbers(item, (*path, key))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("number", range(28))
def test_huge_numbers_in_headers(samples, tmp_path, number):
    """Cs=200000000 made a file of 6 kB take 3 GB, and names of 2^31 features another as much."""
    _, text, arrays, rows = samples[number]
    whole = json.loads(text)
    places = {(part, *at) for part in ("params", "fitted") for at in numbers(whole[part])}
    places |= {("params", key) for key in whole["params"] if key != "n_jobs"}
    for at in sorted(places, key=str):
        for claim in CLAIMS:
            header = json.loads(text)
            part = header
            for key in at[:-1]:
                part = part[key]
            part[at[-1]] = claim
            if at[-1] == "n_features_in_" and "n_features" in header["params"]:
                header["params"]["n_features"] = claim
            model = loaded(tmp_path / "m", built(header, list(arrays)))
            if model is None:
                continue
            used(model, rows)
            tracemalloc.start()
            for name in MORE:
                with suppress(ValueError, AttributeError):
                    found = getattr(model, name)
                    if callable(found):
                        found()
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 16 << 20, at


@pytest.mark.parametrize("count", [100_001, 2 * 10**8, 2**31, 2**62])
def test_counts_of_costs(samples, tmp_path, count):
    header, arrays, _ = sample(samples, "LinearSVCCV")
    header["params"]["Cs"] = count
    assert loaded(tmp_path / "m", built(header, arrays), seconds=2.0) is None
    refused(tmp_path / "m", header, arrays, f"Cs={count} .* up to 100000")
    for fit in (hingex.LinearSVCCV(Cs=count).fit,
                lambda X, y: hingex.LinearSVC().path(X, y, Cs=count)):
        with pytest.raises(ValueError, match="up to 100000"):
            fit([[0.0], [1.0]], [0, 1])
    header["params"]["Cs"] = 100_000
    assert loaded(tmp_path / "m", built(header, arrays)).Cs == 100_000


def test_names_of_claimed_features(samples, tmp_path):
    header, arrays, _ = sample(samples, "OASIS")
    for claim in (2**20 + 1, 2**31 - 1, 2**40 - 1):
        header["fitted"]["n_features_in_"] = claim
        model = loaded(tmp_path / "m", built(header, arrays))
        tracemalloc.start()
        with pytest.raises(ValueError, match=f"{claim} columns .* up to {2**20}"):
            model.get_feature_names_out()
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()
    header["fitted"]["n_features_in_"] = 2**20
    names = loaded(tmp_path / "m", built(header, arrays)).get_feature_names_out()
    assert names[[0, -1]].tolist() == ["oasis0", f"oasis{2**20 - 1}"]
    for claim in (2**40, 2**63 - 1):
        header["fitted"]["n_features_in_"] = claim
        refused(tmp_path / "m", header, arrays, "n_features_in_")


def test_names_that_a_model_holds():
    X, y = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 0, 1]
    model = hingex.OASIS(max_iter=1, max_features=1).fit(X, y)
    d = 2**20 + 1
    model.n_features_in_, model.feature_names_in_ = d, np.full(d, "x", dtype=object)
    assert len(model.get_feature_names_out()) == d


@pytest.mark.parametrize("kind", ["hingex", "liblinear", "libsvm"])
@pytest.mark.parametrize("said", ["", "Unable to allocate 4.00 TiB"])
def test_too_little_memory_names_the_file(tmp_path, monkeypatch, kind, said):
    X, y = [[0.0], [1.0], [2.0]], [0, 1, 1]
    path = tmp_path / "m"
    if kind == "libsvm":
        model_io.save_libsvm(hingex.SVC().fit(X, y), path)
    else:
        (save if kind == "hingex" else model_io.save_liblinear)(hingex.LinearSVC().fit(X, y), path)

    def without(*_, **__):
        raise MemoryError(said)

    for owner, name in ((model_io, "restored"), (model_io._Libsvm, "model"),
                        (model_io._Liblinear, "model")):
        monkeypatch.setattr(owner, name, without)
    with pytest.raises(MemoryError, match=f"{path.stat().st_size} bytes.*{said}") as caught:
        load(path)
    assert str(path) in str(caught.value)


# ----------------------------------------------------------------------------------------- texts


@pytest.mark.parametrize("name", ["TextVectorizer", "TextClassifier"])
def test_terms_that_occur_twice(samples, tmp_path, name):
    """These files were loaded, and failed when they were used."""
    header, arrays, _ = sample(samples, name)
    part = "vectorizer__" if name == "TextClassifier" else ""
    at = {e["name"]: i for i, e in enumerate(header["arrays"])}
    text, ends = at[f"{part}term_bytes_"], at[f"{part}term_ends_"]
    terms, ends = bytearray(arrays[text]), np.frombuffer(arrays[ends], "<i8")
    assert (terms[: ends[0]], terms[ends[0] : ends[1]]) == (b"cat", b"dog")
    terms[ends[0] : ends[1]] = b"cat"
    arrays[text] = bytes(terms)
    refused(tmp_path / "m", header, arrays, "term 1 occurs twice")


def test_save_refuses_terms_that_occur_twice(tmp_path):
    model = TextVectorizer().fit(["cat dog"])
    model.transform(["cat"])
    model.term_ends_ = np.array([3, 3, 6])  # the empty term is none that `fit` finds, but distinct
    model.idf_ = np.ones(3)
    save(model, tmp_path / "m")
    model.term_ends_, model.idf_ = np.array([3, 3, 3, 6]), np.ones(4)
    with pytest.raises(ValueError, match="term 2 occurs twice"):
        save(model, tmp_path / "m")


@pytest.mark.parametrize("most", [2**30 + 1, 2**40, 2**63 - 1, 2**64 - 1])
@pytest.mark.parametrize("least", [1, 0])
def test_lengths_of_n_grams(samples, tmp_path, most, least):
    header, arrays, _ = sample(samples, "TextVectorizer")
    header["params"]["ngram_range"] = {"tuple": [least or most, most]}
    refused(tmp_path / "m", header, arrays, "ngram_range .*may go up to 1073741824")


def test_the_longest_n_grams(samples, tmp_path):
    """As far as they may go; a document that has too many is named, and the advice can be taken."""
    header, arrays, rows = sample(samples, "TextVectorizer")
    header["params"]["ngram_range"] = {"tuple": [2**30, 2**30]}
    model = loaded(tmp_path / "m", built(header, arrays))
    assert model.transform(rows).nnz == 0
    header["params"]["ngram_range"] = {"tuple": [1, 2**30]}
    model = loaded(tmp_path / "m", built(header, arrays))
    with pytest.raises(ValueError, match=r"documents\[0\] .* ngram_range go up to a smaller n"):
        model.transform(rows)
    model.set_params(ngram_range=(1, 3))
    assert model.transform(rows).nnz > 0


# ------------------------------------------------------------------------------------ parameters

BAD = {
    "estimator": [None, 1, "LinearSVC", {"dict": []}],
    "C": [0.0, -1.0, "1", True, None, {"float": "nan"}], "r": [0.0, "1"],
    "tol": [-1.0, "x", None, {"float": "inf"}], "max_iter": [0, 1.5, "9", True, -2],
    "max_time": [0.0, "1", True], "n_jobs": [0, 1.5, "2", True],
    "random_state": [-1, 2**64 - 1.0, "0", True, [1]], "verbose": [1, "yes", None],
    "fit_intercept": [1, None], "intercept": ["none", 1], "intercept_scaling": [0.0, "1", -1.0],
    "loss": ["hingo", 1, None, []], "penalty": ["l3", 2], "l1_ratio": [-0.1, 1.1, "x"],
    "solver": ["best", 3], "multi_class": ["ovx", 1], "warm_start": [0, "no"],
    "store_dual": [1], "class_weight": ["unbalanced", 3, [1.0], {"dict": [[0, -1.0]]},
                                        {"dict": [[0, "x"]]}],
    "callback": [1, "f"], "kernel": ["cubic", 3, None], "degree": [-1, 2.5, "3", 2**31],
    "gamma": [-1.0, "auto2", None, True], "coef0": ["x", None, {"float": "nan"}],
    "shrinking": [1, None], "cache_size": [-1.0, "x"], "probability": [1, None],
    "approximation": ["svd", 1], "n_components": [0, 1.5, "x"], "landmarks": ["some", 1],
    "decision_function_shape": ["ovx", 1], "break_ties": [1, None], "nu": [0.0, 1.5, "x"],
    "epsilon": [-1.0, "x"], "select": ["worst", 1], "Cs": [0, "x", [], [-1.0]],
    "cv": [1, "x", True, 2.5], "scoring": ["precise", 3], "batch_size": [0, "x"],
    "projection": [1], "average": [1, "x"], "early_stopping": ["never", 1],
    "n_iter_no_change": [0, "x"], "validation_fraction": [0.0, 1.0, "x"], "variant": ["PA-3", 1],
    "alpha": [0.0, "x"], "normalize": ["all", 1], "max_features": [0, 1.5, "x"],
    "n_triplets": [0, "x"], "n_neighbors": [0, "x"], "regularization": [1.0, -0.1, "x"],
    "init": ["random", 1], "cost": [1, {"dict": [["a", 1.0]]},
                                    {"dict": [[{"tuple": ["a", "b"]}, -1.0]]}],
    "n_features": [0, "x", 1.5], "method": ["count", 1], "analyzer": ["letters", 1],
    "ngram_range": [1, {"tuple": [2, 1]}, {"tuple": ["a", "b"]}], "lowercase": [1, "x"],
    "strip_accents": ["all", 1], "stop_words": ["german", 1], "token_pattern": ["(", 1, "(a)(b)"],
    "min_df": [0, 1.5, "x"], "max_df": [0, 1.5, "x"], "vocabulary": [1, "x", []],
    "binary": [1], "sublinear_tf": [1], "use_idf": [1], "smooth_idf": [1], "norm": ["l3", 1],
    "alternate_sign": [1], "dtype": ["int32", "float16", 1], "decode_error": ["skip", 1],
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_checked_as_fit_checks_them(samples, tmp_path, name):
    header, arrays, _ = sample(samples, name)
    params = header["params"]
    if name == "TextClassifier":
        (_, linear), (_, params) = params["classifier"]["dict"]
        params = dict(params["dict"])
        assert linear == "LinearSVC"
    assert set(params) <= set(BAD), "a parameter without values that must be refused"
    for key in params:
        for value in BAD[key]:
            changed = json.loads(json.dumps(header))
            if name == "TextClassifier":
                own = changed["params"]["classifier"]["dict"][1][1]["dict"]
                next(pair for pair in own if pair[0] == key)[1] = value
            else:
                if key in ("degree", "coef0"):
                    changed["params"]["kernel"] = "poly"  # which uses them
                changed["params"][key] = value
            (tmp_path / "m").write_bytes(built(changed, arrays))
            with pytest.raises(ModelFormatError, match=str(tmp_path / "m")):
                load(tmp_path / "m")


def test_parts_of_a_text_classifier(samples, tmp_path):
    header, arrays, _ = sample(samples, "TextClassifier")
    for part, value in (("vectorizer", None), ("classifier", "LinearSVC"),
                        ("classifier", {"dict": [["class", "SVC"], ["params", {"dict": []}]]}),
                        ("classifier", {"dict": [["class", []], ["params", {"dict": []}]]}),
                        ("classifier", {"dict": [["class", "LinearSVC"], ["params", 3]]}),
                        ("classifier", {"dict": [["class", "LinearSVC"],
                                                 ["params", {"dict": [["K", 3]]}]]})):  # fmt: skip
        changed = json.loads(json.dumps(header))
        changed["params"][part] = value
        refused(tmp_path / "m", changed, arrays, part if value is None else "LinearSVC|classifier")


def test_save_refuses_parameters_that_fit_would(tmp_path):
    model = hingex.LinearSVC().fit([[0.0], [1.0]], [0, 1])
    model.set_params(C=-1.0)
    with pytest.raises(ValueError, match="C must be a positive number"):
        save(model, tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_saving_draws_no_random_numbers(tmp_path):
    rng = np.random.RandomState(0)
    model = hingex.LinearSVC(random_state=rng).fit([[0.0], [1.0]], [0, 1])
    before = rng.get_state()[2]
    save(model, tmp_path / "m")
    assert rng.get_state()[2] == before
