# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.guarded_trainer.reading.memory import Collector


def filled(limit, batches, num_rows=0):
    collector = Collector(limit, num_rows)
    for inputs, class_ids in batches:
        collector.add(inputs, np.array(class_ids, np.int64))
    return collector


@pytest.mark.parametrize(("limit", "fits"), [(48, True), (47, False)])
def test_limit_counts_inputs_and_class_ids(limit, fits):
    # Three rows of 8 bytes of inputs and 8 of the class id.
    batches = [(np.ones((2, 2), np.float32), [0, 1]), (np.ones((1, 2), "f4"), [1])]
    assert filled(limit, batches).fits is fits


@pytest.mark.parametrize("num_rows", [0, 1, 5, 1000])
def test_rows_come_in_stored_order_however_many_were_expected(num_rows):
    inputs = np.arange(10, dtype=np.float32).reshape(5, 2)
    batches = [(inputs[:2], [0, 1]), (inputs[2:3], [0]), (inputs[3:], [1, 1])]
    mask = np.array([False, True, False, False, True])
    rows = filled(1 << 10, batches, num_rows).finish(mask)
    fitted = list(rows.fitted().as_numpy_iterator())
    assert [x.tolist() for x, _ in fitted] == inputs[~mask].tolist()
    assert [int(k) for _, k in fitted] == [0, 0, 1]
    held_out = list(rows.held_out().as_numpy_iterator())
    assert [x.tolist() for x, _ in held_out] == inputs[mask].tolist()
    assert rows.held_out().cardinality() == 2


def test_inputs_may_be_nested():
    batch = {"a": np.ones((2, 3), np.float32), "b": (np.zeros((2, 1), np.uint8),)}
    rows = filled(1 << 10, [(batch, [0, 1])] * 2).finish(np.zeros(4, bool))
    inputs, class_ids = next(iter(rows.fitted().batch(8)))
    assert (inputs["a"].shape, inputs["b"][0].shape) == ((4, 3), (4, 1))
    assert inputs["b"][0].dtype == "uint8"
    assert class_ids.numpy().tolist() == [0, 1, 0, 1]
    _, (inputs, class_ids) = next(iter(rows.train_batches(3, seed=0, first_epoch=0)))
    assert (inputs["a"].shape, class_ids.shape) == ((3, 3), (3,))
