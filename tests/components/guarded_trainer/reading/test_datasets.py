# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import tensorflow as tf

from components.errors import InputError
from components.guarded_trainer.head import Head
from components.guarded_trainer.reading.datasets import read_batches

SPARSE = Head(num_classes=3, units=3, logits=False, one_hot=False)
ONE_HOT = Head(num_classes=3, units=3, logits=False, one_hot=True)


def arrays(num_rows=50):
    y = np.arange(num_rows) % 3
    return np.column_stack([np.arange(num_rows), y]).astype(np.float32), y


def dataset(*parts, batch=8):
    return tf.data.Dataset.from_tensor_slices(parts or arrays()).batch(batch)


def test_batches_stay_as_they_are():
    train = dataset()
    data = read_batches(train, None, 3)
    assert (data.num_fitted, data.num_held_out) == (50, 0)
    assert (data.steps_per_epoch(1), data.batch_size) == (7, 8)
    assert data.classes.train_counts == (17, 17, 16)
    for (x, y), (x_given, y_given) in zip(
        data.fit_batches(SPARSE, 99, seed=5), train, strict=False
    ):
        np.testing.assert_array_equal(x, x_given)
        np.testing.assert_array_equal(y, y_given)
    assert data.held_out_batches(SPARSE, None) is None
    assert list(data.held_out()) == []
    assert data.findings == ()


def test_epochs_of_a_whole_pass_begin_anew():
    data = read_batches(dataset(), None, 3)
    first = next(iter(data.train_batches(8, seed=0, first_epoch=4)))
    assert first[0][0, 0] == 0
    rows = [x[0, 0] for x, _ in data.train_batches(8, 0).take(15).as_numpy_iterator()]
    assert rows[7] == rows[14] == 0


def test_endless_data_go_on_where_the_last_epoch_ended():
    data = read_batches(
        dataset().repeat(), dataset().repeat(), 3, steps=3, evaluation_steps=2
    )
    assert (data.num_fitted, data.num_held_out) == (24, 16)
    assert len(list(data.fitted())) == 24
    assert len(list(data.held_out())) == 16
    x, _ = next(iter(data.train_batches(8, seed=0, first_epoch=2)))
    assert x[0, 0] == 48  # Six batches of eight have gone before.


def test_a_data_set_shorter_than_an_epoch_is_repeated():
    data = read_batches(dataset(), None, 3, steps=10)
    assert data.num_fitted == 50 + 24
    assert len(list(data.fit_batches(SPARSE, 8, seed=0).take(20))) == 20


def test_labels_become_what_the_loss_wants():
    x, y = arrays()
    names = tf.constant(["a", "b", "c"])
    forms = {
        "ids": y,
        "column": y[:, None],
        "one-hot": np.eye(3)[y],
        "texts": tf.gather(names, y),
    }
    for labels in forms.values():
        data = read_batches(dataset(x, labels), dataset(x, labels), 3)
        for head in (SPARSE, ONE_HOT):
            x_batch, y_batch = next(iter(data.fit_batches(head, 8, seed=0)))
            expected = x_batch.numpy()[:, 1].astype(int)
            expected = np.eye(3)[expected] if head.one_hot else expected
            np.testing.assert_array_equal(np.squeeze(y_batch), expected)
        x_batch, ids = next(iter(data.train_batches(8, seed=0)))
        np.testing.assert_array_equal(x_batch[:, 1], ids)


def test_sample_weights_are_never_dropped():
    x, y = arrays()
    weighted = dataset(x, y, x[:, 0] + 1)
    data = read_batches(weighted, weighted, 3)
    assert data.has_sample_weights
    x, _, w = next(iter(data.fit_batches(ONE_HOT, 8, seed=0)))
    np.testing.assert_array_equal(x[:, 0] + 1, w)
    x, _, w = next(iter(data.held_out_batches(SPARSE, {1: 3.0})))
    expected = (x[:, 0] + 1) * np.where(x[:, 1] == 1, 3, 1)
    np.testing.assert_allclose(w, expected)


def test_nested_sparse_and_text_inputs_pass():
    x, y = arrays(30)
    ragged = tf.ragged.constant([[1.0] * (i % 4) for i in range(30)])
    inputs = {"x": (x, x[:, 0]), "text": np.array(["t"] * 30), "ragged": ragged}
    data = read_batches(dataset(inputs, y), None, 3)
    assert data.fingerprints() == {}
    inputs, ids = next(iter(data.train_batches(8, seed=0)))
    np.testing.assert_array_equal(inputs["x"][0][:, 1], ids)


def test_order_does_not_matter_to_the_fingerprint():
    x, y = arrays()
    order = np.random.default_rng(0).permutation(len(y))
    one = read_batches(dataset(x, y), None, 3).fingerprints()
    other = read_batches(dataset(x[order], y[order], batch=5), None, 3).fingerprints()
    changed = read_batches(dataset(x + 1, y), None, 3).fingerprints()
    assert one == other != changed


def sorted_rows(num_rows, classes=3):
    return np.sort(np.arange(num_rows) % classes)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        pytest.param(sorted_rows(300), True, id="sorted"),
        pytest.param(np.arange(300) % 3, False, id="in-turn"),
        pytest.param(
            np.random.default_rng(0).permutation(sorted_rows(300)), False, id="shuffled"
        ),
        pytest.param(np.arange(300) >= 297, False, id="too-few-to-tell"),
        pytest.param(np.arange(4000) >= 3900, True, id="rare-class-last"),
        pytest.param(
            np.random.default_rng(0).permutation(np.arange(4000) >= 3900),
            False,
            id="rare-class-anywhere",
        ),
        pytest.param(sorted_rows(6), False, id="few-rows"),
    ],
)
def test_sorted_data_are_told(labels, told):
    x = np.zeros((len(labels), 1), np.float32)
    data = read_batches(dataset(x, labels.astype(int), batch=50), None, 3)
    causes = [finding.cause for finding in data.findings]
    assert ("label_leakage" in causes) is told


@pytest.mark.parametrize(
    ("train", "options", "message"),
    [
        pytest.param(
            lambda: dataset().unbatch(), {}, r"end the data set with `.batch", id="rows"
        ),
        pytest.param(
            lambda: dataset(np.zeros((9, 4)), np.eye(3)[np.arange(9) % 3]).unbatch(),
            {},
            r"end the data set with `.batch",
            id="one-hot-rows",
        ),
        pytest.param(
            lambda: tf.data.Dataset.from_tensors({"x": [1.0], "y": [1]}),
            {},
            "elements are dict",
            id="dict",
        ),
        pytest.param(
            lambda: tf.data.Dataset.from_tensors(([1.0], {"a": [1], "b": [0]})),
            {},
            "one tensor of labels.*the one output",
            id="several-outputs",
        ),
        pytest.param(lambda: dataset().repeat(), {}, "`steps_per_epoch`", id="endless"),
        pytest.param(dataset, {"steps": 0}, "positive number of batches", id="steps"),
        pytest.param(
            lambda: dataset().take(0), {}, "the data set is empty", id="empty"
        ),
        pytest.param(
            lambda: dataset(np.zeros((4, 1)), [0, 1, 2, 3]),
            {},
            "train batch 0, y: expected class ids from 0 to 2",
            id="label",
        ),
        pytest.param(
            lambda: dataset(np.zeros((4, 1)), [1, 1, 1, 1]),
            {},
            "all 4 labels are 1",
            id="constant",
        ),
        pytest.param(
            lambda: dataset({"a": np.array([[1.0], [np.nan]] * 20)}, np.arange(40) % 3),
            {},
            r"train batch 0, x\['a'\], column 0: expected finite",
            id="nan",
        ),
        pytest.param(
            lambda: dataset(np.zeros((9, 1)), np.arange(9) % 3, batch=2).map(
                lambda x, y: (tf.ensure_shape(x, (2, 1)), y)
            ),
            {},
            "reading failed after 4 batches",
            id="broken",
        ),
    ],
)
def test_what_cannot_train_is_refused(train, options, message):
    with pytest.raises(InputError, match=message):
        read_batches(train(), None, 3, **options)


def test_evaluation_is_checked_as_well():
    x, y = arrays()
    with pytest.raises(InputError, match="eval y: expected classes that occur"):
        read_batches(dataset(x, y % 2), dataset(), 3)
    with pytest.raises(InputError, match="eval: .*`validation_steps`"):
        read_batches(dataset(), dataset().repeat(), 3)
