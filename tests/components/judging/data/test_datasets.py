# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from sklearn import datasets

from components.errors import InputError
from components.guarded_evaluator.batching import content_hash
from components.judging.data.datasets import of_data

ROWS = np.arange(6)


@pytest.fixture(scope="module")
def digits():
    data = datasets.load_digits()
    return data.images[:60], data.target[:60]


def halves(x, y):
    return (x[:40], y[:40]), (x[40:], y[40:])


def assert_alike(first, second):
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_alike(first[key], second[key])
    elif isinstance(first, tuple):
        for a, b in zip(first, second, strict=True):
            assert_alike(a, b)
    else:
        assert first.dtype == second.dtype
        assert np.array_equal(first, second)


def forms(images, labels):
    """Yields inputs in every form that a model takes."""
    flat = images.reshape(len(images), -1)
    yield flat
    yield flat.astype(np.float32)
    yield flat.astype(np.int32)
    yield flat > 8
    yield flat.tolist()
    yield tf.constant(flat)
    yield images[..., None]
    yield images[..., None] / 16
    yield (images * 15).astype(np.uint8)
    yield np.repeat((images * 15).astype(np.uint8)[..., None], 3, axis=3)
    yield images  # As a sequence.
    yield np.random.default_rng(0).normal(size=(60, 8, 8, 3))
    yield flat[:, 20]
    yield {"a": flat[:, :3], "b": flat[:, 20].astype(np.int64), "c": images[..., None]}
    yield (flat, images[..., None])
    yield [flat, flat[:, :2]]
    yield np.array([f"text {label}" for label in labels])
    yield np.array([[b"bytes", b"caf\xc3\xa9"]] * 60, object)
    yield np.random.default_rng(0).normal(size=(60, 300))


@pytest.mark.parametrize("number", range(19))
def test_a_model_is_given_the_same_from_arrays_and_from_examples(digits, number):
    images, labels = digits
    x = list(forms(images, labels))[number]
    take = (
        (lambda s: {k: v[s] for k, v in x.items()})
        if isinstance(x, dict)
        else (lambda s: type(x)(v[s] for v in x))
        if isinstance(x, tuple) or isinstance(x, list) and isinstance(x[0], np.ndarray)
        else (lambda s: x[s])
    )
    train = take(slice(0, 40)), labels[:40]
    evaluation = take(slice(40, 60)), labels[40:]
    with of_data(train, evaluation) as data:
        given = data.eval.inputs(ROWS)
        assert_alike(given, data.parse(data.eval.serialized(ROWS)))
        assert_alike(
            data.train.inputs(ROWS[:1]), data.parse(data.train.serialized([0]))
        )
        assert np.array_equal(data.eval.class_ids, labels[40:])


def test_fractions_are_given_as_float32(digits):
    images, labels = digits
    with of_data(*halves(images / 7, labels)) as data:
        assert data.train.inputs(ROWS).dtype == np.float32
        assert np.array_equal(
            data.train.inputs(ROWS), (images[:6] / 7).astype(np.float32)
        )


def test_arrays_are_not_copied(digits):
    images, labels = digits
    x = images.astype(np.float32)
    with of_data((x[:40], labels[:40]), (x[40:], labels[40:])) as data:
        x[0] += 1
        assert np.array_equal(data.train.inputs(np.array([0]))[0], x[0])


def test_pictures_are_stored_as_pictures(digits):
    images, labels = digits
    with of_data(*halves(images[..., None] / 16, labels)) as data:
        assert data.image_key == "image"
        example = tf.train.Example.FromString(data.eval.serialized([0])[0])
        encoded = example.features.feature["image"].bytes_list.value[0]
        pixels = tf.io.decode_png(encoded).numpy()
        assert np.array_equal(pixels, images[40][..., None] * 15)


def test_pictures_scaled_in_one_split_alone_stay_numbers(digits):
    images, labels = digits
    x = (images * 15)[..., None]
    with of_data((x[:40], labels[:40]), (x[40:] / 255, labels[40:])) as data:
        assert data.image_key is None


def test_columns_are_features_of_their_own(digits):
    images, labels = digits
    flat = images.reshape(60, -1)
    with of_data(*halves(flat[:, :12], labels)) as data:
        example = tf.train.Example.FromString(data.eval.serialized([0])[0])
        assert "column 11" in example.features.feature
    names = [f"f{i}" for i in range(12)]
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(flat[:, :12], columns=names)
    with of_data((frame[:40], labels[:40]), (frame[40:], labels[40:])) as data:
        example = tf.train.Example.FromString(data.eval.serialized([0])[0])
        assert sorted(example.features.feature) == sorted([*names, "label"])


def test_a_column_called_label_is_not_the_label():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"label": [1.0, 2.0], "y": [3.0, 4.0]})
    with of_data((frame, [0, 1]), (frame, [0, 1])) as data:
        assert data.label_key not in ("label", "y")
        assert np.array_equal(data.eval.inputs(np.array([1])), [[2.0, 4.0]])


@pytest.mark.parametrize(
    ("encode", "labels"),
    [
        (lambda y: y, tuple(range(10))),
        (lambda y: y[:, None], tuple(range(10))),
        (lambda y: y.astype(np.float64), tuple(range(10))),
        (lambda y: y.tolist(), tuple(range(10))),
        (lambda y: y.astype(object), tuple(range(10))),
        (lambda y: np.eye(10)[y], tuple(range(10))),
        (lambda y: np.array([f"d{k}" for k in y]), tuple(f"d{k}" for k in range(10))),
        (
            lambda y: np.array([b"d%d" % k for k in y], object),
            tuple(f"d{k}" for k in range(10)),
        ),
    ],
)
def test_labels_of_any_form_become_class_ids(digits, encode, labels):
    images, y = digits
    encoded = encode(y)
    with of_data((images[:40], encoded[:40]), (images[40:], encoded[40:])) as data:
        assert data.labels == labels
        assert np.array_equal(data.train.class_ids, y[:40])
        assert data.eval.class_ids.dtype == np.int64


def test_splits_may_encode_their_labels_differently(digits):
    images, y = digits
    with of_data((images[:40], np.eye(10)[y[:40]]), (images[40:], y[40:])) as data:
        assert np.array_equal(data.eval.class_ids, y[40:])


def test_class_names_give_the_order(digits):
    images, y = digits
    names = [f"d{9 - k}" for k in range(10)]
    with of_data(*halves(images, y), class_names=names) as data:
        assert data.labels == tuple(names)
        assert np.array_equal(data.eval.class_ids, y[40:])


def test_a_class_that_no_split_shows_is_still_one(digits):
    images, y = digits
    with of_data(*halves(images, np.minimum(y, 3)), num_classes=10) as data:
        assert len(data.labels) == 10


def dataset_forms(x, y):
    rows = tf.data.Dataset.from_tensor_slices
    yield rows((x, y))
    yield rows((x, y)).batch(7)
    yield rows((x, y, np.ones(len(y)))).batch(10, drop_remainder=True)
    yield rows((x, np.eye(10)[y])).batch(10)
    yield rows((x, np.eye(10)[y]))
    yield rows(({"in": x}, y)).batch(10)
    yield rows((x, y)).batch(16).filter(lambda *_: True)


@pytest.mark.parametrize("number", range(7))
def test_a_data_set_is_read_in_batches_or_one_by_one(digits, number):
    images, y = digits
    x = images.reshape(60, -1)
    train = list(dataset_forms(x[:40], y[:40]))[number]
    evaluation = list(dataset_forms(x[40:], y[40:]))[number]
    with of_data(train, evaluation) as data:
        assert np.array_equal(data.train.class_ids, y[:40])
        given = data.eval.inputs(ROWS)
        given = given["in"] if isinstance(given, dict) else given
        assert np.array_equal(given, x[40:46].astype(np.float32))


def test_arrays_and_data_sets_give_the_same_examples(digits):
    images, y = digits
    train, evaluation = halves(images[..., None] / 16, y)
    rows = tf.data.Dataset.from_tensor_slices(evaluation).batch(8)
    with of_data(train, evaluation) as arrays, of_data(train, rows) as data:
        assert np.array_equal(arrays.eval.hashes, data.eval.hashes)
        assert np.array_equal(arrays.train.hashes, data.train.hashes)


def test_a_data_set_that_shuffles_gives_labels_that_belong_to_its_rows(digits):
    images, y = digits
    x = images.reshape(60, -1)
    of_row = {tuple(row): label for row, label in zip(x.tolist(), y, strict=True)}
    rows = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(60).batch(8)
    with of_data(rows, (x, y)) as data:
        given = data.train.inputs(np.arange(60))
        found = [of_row[tuple(row)] for row in given.tolist()]
        assert found == data.train.class_ids.tolist()


def test_a_data_set_that_varies_its_pictures_is_stored_as_numbers(digits):
    images, y = digits
    rows = tf.data.Dataset.from_tensor_slices((images[..., None] / 16, y))
    passes = iter(range(1000))

    def vary(x, y):
        noise = tf.numpy_function(lambda: float(next(passes) >= 60) / 3, [], tf.float64)
        return tf.ensure_shape(x + noise, (8, 8, 1)), y

    with of_data(rows.map(vary), halves(images[..., None] / 16, y)[1]) as data:
        assert data.image_key is None


def test_hashes_are_those_of_the_examples(digits):
    with of_data(*halves(*digits)) as data:
        (row,) = data.eval.serialized([3])
        assert data.eval.hashes[3] == content_hash(row)


def test_examples_are_the_same_in_every_process():
    with of_data(([[1.5, 2.0]], [0]), ([[1.5, 2.0]], [0])) as data:
        # Written down once; protobuf's own order changes with each process.
        assert data.eval.hashes.tolist() == [4272968429867920100]


def test_the_folder_is_removed_at_the_end(digits):
    with of_data(*halves(*digits)) as data:
        assert os.path.exists(data.files["eval"][0])
    assert not os.path.exists(data.folder)
    data.close()


def test_the_folder_is_removed_if_the_data_are_refused(digits, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    images, y = digits
    with pytest.raises(InputError):
        of_data((images, y), (images, y + 20), num_classes=10)
    assert not list(tmp_path.iterdir())


def test_rows_may_be_sliced_by_values_of_their_own(digits):
    images, y = digits
    site = np.array(["a", None, "b", "a"] * 15, object)
    device = np.arange(60) % 3
    with of_data(
        *halves(images, y),
        slices={"site": (site[:40], site[40:]), "device": (device[:40], device[40:])},
    ) as data:
        assert data.eval.slice_values("site") == site[40:].tolist()
        assert data.train.slice_values("device") == [str(d) for d in device[:40]]
        assert data.no_input == ("site", "device")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x, y[:-1]), "eval x: expected one row for each of 19 labels"),
        (lambda x, y: (x, y - 1), "eval y: expected class ids from 0 to 9"),
        (lambda x, y: (x, y + 5), "eval y: .*largest 13"),
        (lambda x, y: (x, y + 0.5), "eval y: expected class ids, but"),
        (lambda x, y: (x[:0], y[:0]), "eval: expected examples, but y is empty"),
        (lambda x, y: (x, None), "eval: expected labels, but y is None"),
        (lambda x, y: (x, [None, *y[1:]]), "eval y: .* mixed or missing"),
        (lambda x, y: (x, ["a", *y[1:].tolist()]), "eval y: .*say|mixed"),
        (lambda x, y: x, r"eval: expected \(x, y\)"),
        (lambda x, y: (x[:, :4], y), r"eval: .* x of shape \(4, 8\)"),
        (lambda x, y: ({"a": x}, y), r"eval: .* x\['a'\] of shape"),
        (lambda x, y: ([[1], [2, 3]], y[:2]), "eval x: expected an array"),
        (
            lambda x, y: (np.array([1, None], object), y[:2]),
            "eval x: .* missing, mixed",
        ),
        (lambda x, y: (np.float32(3), y), "eval x: .* a single"),
        (lambda x, y: (x, [f"d{k}" for k in y]), "eval y: .* say d0"),
        (
            lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)).batch(5).repeat(),
            r"eval: expected a data set with an end.*take",
        ),
        (
            lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)).take(0),
            "eval: expected examples, but the data set is empty",
        ),
        (lambda x, y: tf.data.Dataset.from_tensor_slices(x), "eval: .* of \\(inputs"),
        (
            lambda x, y: tf.data.Dataset.from_tensor_slices((x, {"a": y})),
            "eval: expected dense tensors",
        ),
        (
            lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)).map(
                lambda a, b: (tf.numpy_function(lambda v: v, [a], tf.float64), b)
            ),
            "eval: expected inputs of known rank",
        ),
        (
            lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)).map(
                lambda a, b: (tf.debugging.check_numerics(a / 0.0, "broken"), b)
            ),
            "eval: expected a data set that can be read.*broken",
        ),
    ],
)
def test_what_cannot_be_judged_is_refused(digits, change, message):
    images, y = digits
    with pytest.raises(InputError, match=message):
        of_data((images[:40], y[:40]), change(images[40:], y[40:]), num_classes=10)


def test_rows_of_changing_shape_are_refused(digits):
    images, y = digits
    rows = tf.data.Dataset.from_generator(
        lambda: ((np.zeros(3 + i % 2, np.float32), i % 2) for i in range(8)),
        output_signature=(tf.TensorSpec([None]), tf.TensorSpec([], tf.int64)),
    )
    with pytest.raises(InputError, match=r"x of shape \(4,\).*one shape"):
        of_data(rows.batch(1), rows.batch(1))


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        ({"site": [1, 2]}, "expected one row for each of 40 labels"),
        ({"site": "ab"}, "expected a pair"),
        ({"x": (np.zeros(40), np.zeros(20))}, "no input has"),
    ],
)
def test_slices_that_fit_no_rows_are_refused(digits, slices, message):
    with pytest.raises(InputError, match=message):
        of_data(*halves(*digits), slices=slices)


@pytest.mark.parametrize("largest", [755_000, 2**62, float("inf")])
def test_quantities_are_no_class_ids(largest):
    x, y = np.zeros((3, 2)), np.array([0, 1, largest])
    with pytest.raises(InputError, match="train y: .*regression is not supported"):
        of_data((x, y), (x, y))


def test_slices_of_a_data_set_are_refused(digits):
    rows = tf.data.Dataset.from_tensor_slices(digits)
    with pytest.raises(InputError, match="slices: expected arrays"):
        of_data(rows, rows, slices={"site": (digits[1], digits[1])})


@pytest.mark.slow
def test_tfx_is_not_loaded():
    code = (
        "import sys\n"
        "from components.judging.data import datasets, files, guards\n"
        "print([m for m in sys.modules if m == 'tfx' or m.startswith('tfx.')])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr
