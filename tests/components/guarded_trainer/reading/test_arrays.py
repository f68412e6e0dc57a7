# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import tensorflow as tf

from components.errors import InputError
from components.guarded_trainer.head import Head
from components.guarded_trainer.reading.arrays import read_arrays

SPARSE = Head(num_classes=3, units=3, logits=False, one_hot=False)
ONE_HOT = Head(num_classes=3, units=3, logits=False, one_hot=True)


def arrays(num_rows=100, seed=0):
    random = np.random.default_rng(seed)
    # Sorted by class.
    y = np.sort(random.integers(0, 3, num_rows))
    return np.column_stack([np.arange(num_rows), y]).astype(np.float32), y


def epochs_of(batches, steps, num_epochs=1):
    taken = list(batches.take(steps * num_epochs).as_numpy_iterator())
    return [taken[i * steps : (i + 1) * steps] for i in range(num_epochs)]


@pytest.fixture(scope="module")
def data():
    return read_arrays(arrays(), None, 3, held_out_share=0.3, min_held_out=1)


def test_rows_are_held_out_and_each_occurs_once(data):
    fitted = [int(x[0]) for x, _ in data.fitted().as_numpy_iterator()]
    held_out = [int(x[0]) for x, _ in data.held_out().as_numpy_iterator()]
    assert sorted(fitted + held_out) == list(range(100))
    assert fitted == sorted(fitted)
    assert (len(fitted), len(held_out)) == (data.num_fitted, data.num_held_out)
    assert 15 <= data.num_held_out <= 45
    assert data.fitted().cardinality() == data.num_fitted


def test_each_epoch_has_each_row_once_in_an_order_of_its_own(data):
    steps = data.steps_per_epoch(16)
    epochs = epochs_of(data.train_batches(16, seed=3), steps, 2)
    rows = [np.concatenate([x[:, 0] for x, _ in epoch]) for epoch in epochs]
    np.testing.assert_array_equal(np.sort(rows[0]), np.sort(rows[1]))
    assert len(set(rows[0])) == data.num_fitted
    assert (rows[0] != rows[1]).any()
    assert (rows[0] != np.sort(rows[0])).any()
    # Taken up at the second epoch, it is the same.
    again = epochs_of(data.train_batches(16, seed=3, first_epoch=1), steps)[0]
    np.testing.assert_array_equal(np.concatenate([x[:, 0] for x, _ in again]), rows[1])


def test_class_ids_stay_with_their_inputs(data):
    for x, ids in data.train_batches(16, seed=0).take(3).as_numpy_iterator():
        np.testing.assert_array_equal(x[:, 1], ids)


def test_labels_reach_the_loss_as_it_wants_them(data):
    (x, y), *_ = data.fit_batches(SPARSE, 8, seed=0).take(1)
    np.testing.assert_array_equal(x[:, 1], y)
    (x, y), *_ = data.fit_batches(ONE_HOT, 8, seed=0).take(1)
    np.testing.assert_array_equal(np.eye(3)[x[:, 1].numpy().astype(int)], y)


def test_one_hot_labels_stay_as_they_are_even_soft_ones():
    x, y = arrays()
    soft = 0.9 * np.eye(3)[y] + 0.1 / 3
    data = read_arrays((x, soft), None, 3, held_out_share=0)
    (_, labels), *_ = data.fit_batches(ONE_HOT, 8, seed=0).take(1)
    assert np.isclose(labels.numpy().max(), 0.9 + 0.1 / 3)
    with pytest.raises(InputError, match="soft labels.*class ids"):
        data.fit_batches(SPARSE, 8, seed=0)


def test_one_unit_is_given_the_labels_as_they_are():
    x, y = arrays()
    data = read_arrays((x, np.minimum(y, 1)), None, 2)
    head = Head(num_classes=2, units=1, logits=False, one_hot=False)
    (x, y), *_ = data.fit_batches(head, 8, seed=0).take(1)
    np.testing.assert_array_equal(np.minimum(x[:, 1], 1), y)


def test_texts_become_ids():
    x, y = arrays()
    names = np.array(["a", "b", "c"])[y]
    data = read_arrays((x, names), None, 3)
    assert data.classes.class_names == ("a", "b", "c")
    (x, y), *_ = data.fit_batches(SPARSE, 8, seed=0).take(1)
    np.testing.assert_array_equal(x[:, 1], y)


def test_sample_weights_stay_with_their_rows():
    x, y = arrays()
    data = read_arrays((x, y, x[:, 0] + 1), None, 3, min_held_out=1)
    assert data.has_sample_weights
    (x, _, w), *_ = data.fit_batches(SPARSE, 8, seed=0).take(1)
    np.testing.assert_array_equal(x[:, 0] + 1, w)
    for x, _, w in data.held_out_batches(SPARSE, {0: 2.0}):
        expected = (x[:, 0] + 1) * np.where(x[:, 1] == 0, 2, 1)
        np.testing.assert_allclose(w, expected)


def test_given_rows_are_held_out_whole_and_in_order():
    train, evaluation = arrays(), arrays(30, seed=1)
    evaluation[0][:, 0] += 1000
    data = read_arrays(train, evaluation, 3)
    assert (data.num_fitted, data.num_held_out) == (100, 30)
    (x, y, w), *_ = data.held_out_batches(SPARSE, None)
    np.testing.assert_array_equal(x, evaluation[0])
    np.testing.assert_array_equal(y, evaluation[1])
    assert (w.numpy() == 1).all()
    assert data.fingerprints().keys() == {"train", "eval"}
    assert data.findings == ()


def test_copies_are_never_on_both_sides_and_a_class_never_lost():
    x, y = arrays(40)
    x, y = np.tile(x, (5, 1)), np.tile(y, 5)
    data = read_arrays((x, y), None, 3, held_out_share=0.5, min_held_out=1)
    fitted = {tuple(row) for row, _ in data.fitted().as_numpy_iterator()}
    held_out = {tuple(row) for row, _ in data.held_out().as_numpy_iterator()}
    assert not fitted & held_out
    only = read_arrays(
        (np.zeros((9, 1)), np.arange(9) % 3), None, 3, held_out_share=0.999
    )
    assert only.num_fitted == 9


@pytest.mark.parametrize(("least", "expected"), [(31, False), (1, True)])
def test_too_few_are_not_held_out(least, expected):
    data = read_arrays(arrays(), None, 3, held_out_share=0.1, min_held_out=least)
    assert bool(data.num_held_out) is expected
    assert (data.held_out_batches(SPARSE, None) is not None) is expected


def test_nested_inputs_keep_their_form():
    x, y = arrays()
    data = read_arrays(({"a": x, "b": (x[:, 0], x[:, 1:])}, y), None, 3)
    (inputs, ids), *_ = data.train_batches(8, seed=0).take(1)
    assert inputs["b"][1].shape == (8, 1)
    np.testing.assert_array_equal(inputs["a"][:, 1], ids)


def test_augmentation_varies_fitted_batches_alone():
    data = read_arrays(
        arrays(),
        None,
        3,
        augment=lambda x, seed: x + tf.random.stateless_normal((), seed),
    )
    epochs = epochs_of(data.fit_batches(SPARSE, 16, seed=3), 2, 2)
    shifts = [x[0, 0] % 1 for epoch in epochs for x, _ in epoch]
    assert len(set(shifts)) == 4
    again = epochs_of(data.fit_batches(SPARSE, 16, seed=3), 2, 1)
    np.testing.assert_array_equal(again[0][0][0], epochs[0][0][0])
    for x, _ in data.train_batches(16, seed=3).take(1):
        assert (x[:, 0] % 1 == 0).numpy().all()


def test_an_epoch_may_be_shorter():
    data = read_arrays(arrays(), None, 3, held_out_share=0, steps=2)
    assert data.steps_per_epoch(10) == 2
    epochs = epochs_of(data.train_batches(10, seed=0), 2, 2)
    rows = [np.concatenate([x[:, 0] for x, _ in epoch]) for epoch in epochs]
    assert [len(set(r)) for r in rows] == [20, 20]
    with pytest.raises(InputError, match="steps_per_epoch: expected at most 10"):
        read_arrays(arrays(), None, 3, held_out_share=0, steps=11).check_steps(10)


@pytest.mark.parametrize(
    ("train", "evaluation", "message"),
    [
        pytest.param(
            (np.zeros((5, 1)), np.ones(5, int)),
            None,
            "all 5 labels are 1",
            id="constant",
        ),
        pytest.param(
            (np.zeros((4, 1)), [0, 1, 0, 1]),
            (np.zeros((2, 1)), [0, 2]),
            "eval y: expected classes that occur .* 1 of 2 labels are others .2.",
            id="unseen",
        ),
        pytest.param(
            (np.zeros((4, 1)), [0, 1, 0, 1]),
            (np.zeros((2, 2)), [0, 1]),
            "eval: expected inputs of the same shape",
            id="shape",
        ),
        pytest.param(
            (np.zeros((4, 1)), [0, 1, 0, 1]),
            (np.zeros((2, 1)), np.eye(3)[[0, 1]]),
            "eval y: expected labels of the same form",
            id="form",
        ),
    ],
)
def test_what_cannot_train_is_refused(train, evaluation, message):
    with pytest.raises(InputError, match=message):
        read_arrays(train, evaluation, 3)


def test_a_class_that_never_occurs_and_shared_rows_are_told():
    x, y = arrays()
    data = read_arrays((x, y), (x[:10], y[:10]), 4)
    causes = [finding.cause for finding in data.findings]
    assert causes == ["missing_class", "duplicate_leakage"]
    assert data.findings[0].subject.class_name == "3"
    assert data.findings[1].measured == 1.0
    assert data.classes.train_counts[3] == 0
    assert min(data.classes.priors) > 0
