# SPDX-License-Identifier: Apache-2.0
import hashlib
import math

import numpy as np
import pytest
import tensorflow as tf

from components.errors import InputError
from components.guarded_trainer import data
from components.guarded_trainer.config import ImageInput
from components.guarded_trainer.data import check_split, read_split, scan_labels
from components.guarded_trainer.inputs import ModelInputs

RECORDS = 400


def numbers(dataset):
    """The running numbers of (input, class id) rows; they are the first input."""
    return [int(x[0]) for x, _ in dataset.as_numpy_iterator()]


def epoch(batches):
    return [(x[:, 0].astype(int), y) for x, y in batches.as_numpy_iterator()]


def test_rows_are_parsed(rows, split):
    made = rows(3, 2)
    checked = split(made.serialized)
    inputs, class_ids = zip(*checked.fitted().as_numpy_iterator(), strict=True)
    np.testing.assert_array_equal(np.stack(inputs), made.inputs)
    assert list(class_ids) == [0, 0, 0, 1, 1]
    assert (checked.num_fitted, checked.num_held_out) == (5, 0)
    assert checked.num_bytes == sum(map(len, made.serialized))


def test_class_ids_follow_the_class_table(rows, split, class_table):
    made = rows(2, 2, 1, labels=[b"ant", b"bee", b"cow"])
    checked = split(made.serialized, class_table("cow", "ant", "bee"))
    assert [int(k) for _, k in checked.fitted()] == [1, 1, 2, 2, 0]


def test_integer_labels_need_not_start_at_zero(rows, split, class_table):
    made = rows(1, 2, labels=[-7, 40])
    checked = split(made.serialized, class_table(-7, 40))
    assert [int(k) for _, k in checked.fitted()] == [0, 1, 1]


@pytest.mark.parametrize("classes", [(0, 1), ()])
def test_empty_split_is_refused(split, class_table, classes):
    with pytest.raises(InputError, match="the split is empty; check the data path"):
        split([], class_table(*classes))


@pytest.mark.parametrize(("labels", "came"), [((0,), "0"), ((), "none")])
def test_fewer_than_two_classes_are_refused(rows, split, class_table, labels, came):
    with pytest.raises(InputError, match=f"at least two classes, .* have {came};"):
        split(rows(3).serialized, class_table(*labels))


@pytest.mark.parametrize(
    ("bad", "name"),
    [
        pytest.param({"x": [1.0, math.nan]}, r"x\[1\]", id="nan"),
        pytest.param({"x": [math.inf, 1.0]}, r"x\[0\]", id="infinity"),
        pytest.param({"x": [-math.inf, math.nan]}, r"x\[0\]", id="both"),
    ],
)
def test_input_that_is_not_finite_is_named(rows, split, example, bad, name):
    serialized = [*rows(600, 2).serialized, example(n=1, label=0, **bad)]
    with pytest.raises(
        InputError, match=rf"feature '{name}': .* 1 training examples .*; fill in"
    ):
        split(serialized)


def test_unknown_label_is_counted(rows, split):
    with pytest.raises(
        InputError, match="label 'label': expected one of 0, 1, but 3 examples"
    ):
        split(rows(2, 2, 3).serialized)


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        pytest.param({"n": 1, "label": 0}, "Feature: x .*required", id="missing"),
        pytest.param(
            {"n": 1, "x": [1.0], "label": 0}, "Key: x.*Number of .*values", id="short"
        ),
        pytest.param(
            {"n": 1.5, "x": [1.0, 2.0], "label": 0}, "Key: n.*types", id="other-type"
        ),
        pytest.param({"n": 1, "x": [1.0, 2.0]}, "label .*required", id="unlabelled"),
    ],
)
def test_example_that_cannot_be_parsed_is_explained(
    rows, split, example, features, reason
):
    serialized = [*rows(2, 2).serialized, example(**features)]
    with pytest.raises(InputError, match=f"reading failed: [^{{]*{reason}.*; fill in"):
        split(serialized)


def test_what_is_no_example_is_refused(split):
    with pytest.raises(InputError, match="reading failed: a record is no tf.Example;"):
        split([b"\xff\xff"])


def test_broken_image_is_refused(example, class_table):
    inputs = ModelInputs({}, {}, ImageInput(feature="f", height=2, width=2))
    records = tf.data.Dataset.from_tensors(example(f=b"no image", label=0))
    with pytest.raises(InputError, match="features f and the label 'label'"):
        check_split(records, inputs, class_table(0, 1), 0.0, 1)


def test_nothing_is_held_out_by_a_share_of_zero(rows, split):
    checked = split(rows(200, 200).serialized, held_out_share=0.0)
    assert (checked.num_fitted, checked.num_held_out) == (RECORDS, 0)
    assert list(checked.held_out_serialized()) == []


def test_held_out_rows_are_disjoint_and_all_are_used(rows, split):
    checked = split(rows(200, 200).serialized, held_out_share=0.1)
    fitted, held_out = numbers(checked.fitted()), numbers(checked.held_out())
    assert sorted(fitted + held_out) == list(range(RECORDS))
    assert (len(fitted), len(held_out)) == (checked.num_fitted, checked.num_held_out)
    # Four standard errors of a binomial share.
    assert abs(len(held_out) - 40) < 4 * math.sqrt(RECORDS * 0.1 * 0.9)


def test_choice_does_not_depend_on_order(rows, split):
    serialized = rows(200, 200).serialized
    choices = [
        set(split(order, held_out_share=0.2).held_out_serialized().as_numpy_iterator())
        for order in (serialized, serialized[::-1], serialized[7:] + serialized[:7])
    ]
    assert choices[0] == choices[1] == choices[2]


def test_copies_are_on_one_side(rows, split):
    serialized = rows(200, 200).serialized * 3
    checked = split(serialized, held_out_share=0.2)
    fitted, held_out = numbers(checked.fitted()), numbers(checked.held_out())
    assert not set(fitted) & set(held_out)
    assert len(fitted) == checked.num_fitted
    assert len(fitted) + len(held_out) == 3 * RECORDS


@pytest.mark.parametrize(("extra", "held_out"), [(0, True), (1, False)])
def test_too_few_rows_are_not_held_out(rows, split, extra, held_out):
    serialized = rows(200, 200).serialized
    count = split(serialized, held_out_share=0.1).num_held_out
    checked = split(serialized, held_out_share=0.1, min_held_out=count + extra)
    assert bool(checked.num_held_out) is held_out
    assert checked.num_fitted + checked.num_held_out == RECORDS
    assert len(numbers(checked.fitted())) == checked.num_fitted


def test_no_class_is_held_out_as_a_whole(rows, split, class_table):
    made = rows(1, 1, 2, 3, 300)
    checked = split(made.serialized, class_table(0, 1, 2, 3, 4), held_out_share=0.9)
    fitted = numbers(checked.fitted())
    assert set(made.class_ids[fitted]) == set(range(5))
    held_out = numbers(checked.held_out())
    assert sorted(fitted + held_out) == list(range(307))
    assert checked.num_held_out == len(held_out) > 200


def test_copies_of_the_only_example_of_a_class_are_fitted(rows, split):
    copies = rows(1).serialized * 50
    others = rows(0, 300).serialized
    checked = split(copies + others, held_out_share=0.9)
    assert numbers(checked.fitted()).count(0) >= 50
    assert checked.num_fitted + checked.num_held_out == 350


def test_every_example_occurs_once_in_each_epoch(rows, split):
    batches = split(rows(30, 31).serialized).train_batches(8, seed=0)
    for _ in range(2):
        seen = epoch(batches)
        assert [len(n) for n, _ in seen] == [8] * 7 + [5]
        assert sorted(np.concatenate([n for n, _ in seen])) == list(range(61))


@pytest.mark.parametrize("memory", [1 << 30, 60_000, 0])
def test_batches_are_mixed_although_the_rows_are_sorted(
    rows, split, monkeypatch, memory
):
    monkeypatch.setattr(data, "_MEMORY", memory)
    checked = split(rows(200, 200).serialized)
    if not memory:
        # Without memory the order on disk is all there is.
        assert sorted(
            np.concatenate([n for n, _ in epoch(checked.train_batches(50, 0))])
        ) == list(range(RECORDS))
        return
    for _, class_ids in epoch(checked.train_batches(50, seed=0)):
        assert set(class_ids) == {0, 1}


def test_epochs_differ_and_seeds_repeat(rows, split):
    checked = split(rows(50, 50).serialized)

    def order(batches):
        return [int(n) for ns, _ in epoch(batches) for n in ns]

    batches = checked.train_batches(10, seed=1)
    first, second = order(batches), order(batches)
    assert first != second
    again = checked.train_batches(10, seed=1)
    assert [order(again), order(again)] == [first, second]
    assert order(checked.train_batches(10, seed=2)) != first


def test_held_out_rows_are_not_in_the_batches(rows, split):
    checked = split(rows(200, 200).serialized, held_out_share=0.2)
    held_out = set(numbers(checked.held_out()))
    seen = np.concatenate([n for n, _ in epoch(checked.train_batches(32, seed=0))])
    assert not held_out & set(seen)
    assert len(seen) == checked.num_fitted


def test_large_inputs_are_parsed_in_small_batches(monkeypatch, rows, split):
    monkeypatch.setattr(data, "_BATCH_BYTES", 7)  # Less than one row.
    checked = split(rows(3, 2).serialized)
    assert numbers(checked.fitted()) == [0, 1, 2, 3, 4]


def test_files_are_read_in_the_order_of_their_names(tmp_path):
    paths = [str(tmp_path / name) for name in ("b.gz", "a.gz")]
    for path in paths:
        with tf.io.TFRecordWriter(path, "GZIP") as writer:
            writer.write(path[-4:-3])
    assert list(read_split(paths).as_numpy_iterator()) == [b"a", b"b"]
    assert list(read_split([])) == []


def test_truncated_file_is_refused(tmp_path, rows, model_inputs, class_table):
    path = tmp_path / "a.gz"
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for i in range(100):
            writer.write(hashlib.sha512(str(i).encode()).digest())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="reading failed: .*mend the record"):
        check_split(read_split([str(path)]), model_inputs, class_table(0, 1), 0.0, 1)


def test_labels_are_counted(rows):
    def count(serialized, integer):
        dataset = tf.data.Dataset.from_tensor_slices(tf.constant(serialized, tf.string))
        return scan_labels(dataset, "label", integer=integer)

    assert count(rows(3, 600).serialized, True) == {0: 3, 1: 600}
    texts = rows(2, 1, labels=["Zürich".encode(), b"bee"]).serialized
    assert count(texts, False) == {"Zürich": 2, "bee": 1}
    assert count([], True) == {}
    for serialized in (texts, [b"\xff\xff"]):
        with pytest.raises(InputError, match="label 'label': .*label the example"):
            count(serialized, True)
