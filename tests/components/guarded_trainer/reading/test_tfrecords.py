# SPDX-License-Identifier: Apache-2.0
import dataclasses
import hashlib
import math

import numpy as np
import pytest
import tensorflow as tf

from components.errors import InputError
from components.guarded_trainer.config import ImageInput
from components.guarded_trainer.head import Head
from components.guarded_trainer.inputs import ModelInputs
from components.guarded_trainer.reading import parsing
from components.guarded_trainer.reading.held_out import Fingerprint
from components.guarded_trainer.reading.settings import ReadingConfig
from components.guarded_trainer.reading.spill import Spill, spill
from components.guarded_trainer.reading.tfrecords import (
    check_split,
    read_split,
    scan_labels,
)

RECORDS = 400


def numbers(dataset):
    """The running numbers of (input, class id) rows; they are the first input."""
    return [int(x[0]) for x, _ in dataset.as_numpy_iterator()]


def epoch(batches):
    return [(x[:, 0].astype(int), y) for x, y in batches.as_numpy_iterator()]


def epochs(batches, steps, count):
    """Yields the epochs of endless batches."""
    batches = epoch(batches.take(steps * count))
    for i in range(count):
        yield batches[i * steps : (i + 1) * steps]


@pytest.fixture(scope="module")
def make_split(model_inputs, class_table):
    def make(
        serialized,
        memory=1 << 30,
        classes=(0, 1),
        held_out_share=0.0,
        min_held_out=1,
        **options,
    ):
        return check_split(
            tf.data.Dataset.from_tensor_slices(tf.constant(serialized, tf.string)),
            model_inputs,
            class_table(*classes),
            held_out_share,
            min_held_out,
            reading=ReadingConfig(memory_bytes=memory),
            **options,
        )

    return make


@pytest.fixture(scope="module", params=["memory", "disk"])
def checked(request, rows, make_split):
    """61 rows, 30 of one class and then 31 of the other."""
    made = rows(30, 31).serialized
    kept = make_split(made)
    if request.param == "memory":
        return kept
    # Far below the least that may be configured: several files of few rows.
    on_disk = spill(
        kept.serialized,
        kept.choice,
        kept.num_bytes,
        ReadingConfig.model_construct(memory_bytes=2000, spill_dir=None),
    )
    assert len(on_disk.files) > 5
    return dataclasses.replace(kept, rows=on_disk)


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


def test_every_example_occurs_once_in_each_epoch(checked):
    assert checked.steps_per_epoch(8) == 8
    for seen in epochs(checked.train_batches(8, seed=0), checked.steps_per_epoch(8), 3):
        assert [len(n) for n, _ in seen] == [8] * 7 + [5]
        assert sorted(np.concatenate([n for n, _ in seen])) == list(range(61))


@pytest.mark.parametrize("batch_size", [1, 61, 64])
def test_any_batch_size_makes_whole_epochs(checked, batch_size):
    steps = checked.steps_per_epoch(batch_size)
    for seen in epochs(checked.train_batches(batch_size, seed=0), steps, 2):
        assert sorted(np.concatenate([n for n, _ in seen])) == list(range(61))


@pytest.mark.parametrize("memory", [1 << 30, 1 << 16])
def test_batches_are_mixed_although_the_rows_are_sorted(rows, make_split, memory):
    # On disk in several files, each of which is sorted, too.
    checked = make_split(rows(3000, 3000).serialized, memory)
    assert isinstance(checked.rows, Spill) == (memory < 1 << 30)
    seen = next(epochs(checked.train_batches(100, seed=0), 60, 1))
    shares = np.array([class_ids.mean() for _, class_ids in seen])
    # Four standard errors; those of draws without replacement are smaller still.
    assert np.abs(shares - 0.5).max() < 4 * 0.5 / math.sqrt(100)
    assert sorted(np.concatenate([n for n, _ in seen])) == list(range(6000))


def test_order_depends_on_seed_and_epoch_alone(checked):
    def order(seed, first_epoch=0):
        seen = epochs(checked.train_batches(10, seed, first_epoch), 7, 2)
        return [np.concatenate([n for n, _ in epoch]).tolist() for epoch in seen]

    first, second = order(seed=1)
    assert first != second
    tf.random.set_seed(3)
    assert order(seed=1) == [first, second]
    assert order(seed=1, first_epoch=1)[0] == second
    assert order(seed=2)[0] not in (first, second)


def test_iterating_again_begins_anew(checked):
    batches = checked.train_batches(10, seed=1).take(20)
    first, again = epoch(batches), epoch(batches)
    assert [n.tolist() for n, _ in first] == [n.tolist() for n, _ in again]


@pytest.mark.parametrize("memory", [1 << 30, 1 << 16])
def test_held_out_rows_are_not_in_the_batches(rows, make_split, memory):
    made = rows(2000, 2000).serialized
    checked = make_split(made, memory, held_out_share=0.2)
    assert isinstance(checked.rows, Spill) == (memory < 1 << 30)
    held_out = set(numbers(checked.held_out()))
    assert len(held_out) == checked.num_held_out > 700
    steps = checked.steps_per_epoch(32)
    seen = next(epochs(checked.train_batches(32, seed=0), steps, 1))
    assert set(np.concatenate([n for n, _ in seen])) == set(range(4000)) - held_out
    assert set(numbers(checked.fitted())) == set(range(4000)) - held_out
    stored = list(checked.held_out_serialized().as_numpy_iterator())
    assert stored == [made[i] for i in numbers(checked.held_out())]


def test_batches_for_fitting_carry_augmented_inputs_and_encoded_labels(checked):
    seeds = []

    def augment(inputs, seed):
        tf.py_function(lambda s: seeds.append(tuple(s.numpy())), [seed], [])
        return inputs + 1000.0

    head = Head(num_classes=2, units=2, logits=True, one_hot=True)
    varied = dataclasses.replace(checked, augment=augment)
    batches = varied.fit_batches(head, 10, seed=5, first_epoch=2).take(3)
    plain = checked.train_batches(10, seed=5, first_epoch=2).take(3)
    for (x, y), (inputs, class_ids) in zip(batches, plain, strict=True):
        np.testing.assert_array_equal(x, inputs + 1000.0)
        np.testing.assert_array_equal(y, np.eye(2, dtype=np.float32)[class_ids])
    # Seven batches make an epoch. tf.data reads ahead.
    assert sorted(seeds)[:3] == [(5, 14), (5, 15), (5, 16)]


@pytest.mark.parametrize(
    ("class_weight", "weights"), [(None, {1.0}), ({0: 0.5, 1: 2.0}, {0.5, 2.0})]
)
@pytest.mark.parametrize("memory", [1 << 30, 1 << 16])
def test_held_out_batches_are_weighted(rows, make_split, memory, class_weight, weights):
    checked = make_split(rows(2000, 2000).serialized, memory, held_out_share=0.1)
    head = Head(num_classes=2, units=1, logits=True, one_hot=False)
    batches = list(checked.held_out_batches(head, class_weight))
    assert sum(len(x) for x, _, _ in batches) == checked.num_held_out
    assert {float(w) for _, _, ws in batches for w in ws} == weights
    for _, labels, ws in batches:
        assert labels.shape == (len(ws), 1)
        if class_weight:
            np.testing.assert_array_equal(ws, np.where(labels[:, 0] == 1, 2.0, 0.5))


def test_nothing_held_out_gives_no_batches(checked):
    head = Head(num_classes=2, units=2, logits=True, one_hot=False)
    assert checked.held_out_batches(head, None) is None


def test_fingerprint_ignores_the_order_and_notices_copies(rows, make_split):
    made = rows(50, 50).serialized
    prints = make_split(made, held_out_share=0.2).fingerprints()
    assert set(prints) == {"train", "held_out"}
    assert make_split(made[::-1], held_out_share=0.2).fingerprints() == prints
    assert make_split(made).fingerprints() == {"train": prints["train"]}
    copied = make_split((*made, made[0])).fingerprints()
    assert copied["train"] != prints["train"]


def test_fingerprint_of_what_is_held_out_is_of_just_that(rows, make_split):
    # All classes but the last would lose all they have, and so keep some.
    made = rows(1, 1, 300, labels=[0, 1, 2])
    checked = make_split(
        made.serialized, held_out_share=0.9, classes=(0, 1, 2), min_held_out=1
    )
    held_out = list(checked.held_out_serialized().as_numpy_iterator())
    whole = Fingerprint()
    whole.add(held_out)
    assert checked.fingerprints()["held_out"] == whole.hexdigest()


@pytest.mark.parametrize(("batch_size", "fits"), [(20, True), (21, False)])
def test_fewer_examples_than_a_batch_are_refused(rows, make_split, batch_size, fits):
    made = rows(10, 10).serialized
    if fits:
        assert make_split(made, batch_size=batch_size).steps_per_epoch(20) == 1
        return
    with pytest.raises(InputError, match="batch_size: expected at most 20, .*is 21;"):
        make_split(made, batch_size=batch_size)


def test_large_inputs_are_parsed_in_small_batches(monkeypatch, rows, split):
    monkeypatch.setattr(parsing, "_BATCH_BYTES", 7)  # Less than one row.
    checked = split(rows(3, 2).serialized)
    assert numbers(checked.fitted()) == [0, 1, 2, 3, 4]


def test_files_are_read_interleaved_in_the_order_of_their_names(tmp_path):
    paths = [str(tmp_path / name) for name in ("b.gz", "a.gz")]
    for path in paths:
        with tf.io.TFRecordWriter(path, "GZIP") as writer:
            writer.write(f"{path[-4]}1")
            writer.write(f"{path[-4]}2")
    records = [b"a1", b"b1", b"a2", b"b2"]
    assert list(read_split(paths).as_numpy_iterator()) == records
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
