# SPDX-License-Identifier: Apache-2.0
import logging
import os
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from components.guarded_trainer.checkpoints import Checkpoints
from components.guarded_trainer.state import LoopState
from components.records.training import Epoch

STATE = LoopState(planned=5, best_loss=0.1, best_epoch=1)
ARRAYS = {
    "model": [np.arange(6.0, dtype=np.float32).reshape(2, 3), np.float32(7.0)],
    "optimizer": [np.array([1, 2], np.int64), np.zeros((0, 4), np.float32)],
}


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "checkpoints")


@pytest.fixture
def store(folder):
    return Checkpoints(folder, "key")


def read(store, saved):
    return {name: list(group) for name, group in store.arrays(saved).items()}


def only_file(folder):
    (name,) = os.listdir(folder)
    return os.path.join(folder, name)


def test_what_is_saved_comes_back(store, folder):
    store.save(3, STATE, ARRAYS)
    saved = Checkpoints(folder, "key").latest()
    assert (saved.number, saved.state) == (3, STATE)
    back = read(store, saved)
    assert back.keys() == ARRAYS.keys()
    for name, arrays in ARRAYS.items():
        for old, new in zip(arrays, back[name], strict=True):
            assert old.dtype == new.dtype
            np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64", "bool", "uint32"])
def test_variables_of_every_type_come_back(store, dtype):
    variable = keras.Variable(tf.cast([[0, 1, 2]], dtype), dtype=dtype)
    store.save(0, STATE, {"model": [variable]})
    (back,) = read(store, store.latest())["model"]
    variable.assign(tf.zeros((1, 3), dtype))
    variable.assign(back)
    assert tf.cast(variable.value, "float32").numpy().tolist() in (
        [[0, 1, 2]],
        [[0, 1, 1]],
    )


def test_state_that_is_not_finite_comes_back(store):
    state = STATE.model_copy(update={"best_loss": float("inf")})
    store.save(0, state, {})
    assert store.latest().state == state


def test_newest_is_taken_and_the_others_are_removed(store):
    for number in (0, 1, 2, 11):
        store.save(number, STATE, ARRAYS)
    assert store.latest().number == 11
    store.keep_only({0, 2})
    assert store.latest().number == 2
    assert store.find(1) is None
    assert store.find(0).number == 0


def test_empty_folder_has_no_checkpoint(store):
    assert store.latest() is None


@given(st.data())
def test_damaged_file_is_passed_over(tmp_path_factory, data):
    folder = str(tmp_path_factory.mktemp("damaged"))
    store = Checkpoints(folder, "key")
    store.save(1, STATE, ARRAYS)
    store.save(2, STATE, ARRAYS)
    path = os.path.join(folder, "000002.checkpoint")
    content = bytearray(Path(path).read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[position] ^= data.draw(st.integers(1, 255))
    else:
        del content[position:]
    Path(path).write_bytes(content)
    assert store.latest().number == 1


def test_unfinished_file_is_no_checkpoint(store, folder):
    store.save(1, STATE, ARRAYS)
    Path(folder, "000002.checkpoint.unfinished").write_bytes(b"half")
    assert store.latest().number == 1


def test_checkpoints_of_another_training_are_not_taken_up(store, folder, caplog):
    caplog.set_level(logging.WARNING, "components.guarded_trainer")
    store.save(1, STATE, ARRAYS)
    assert Checkpoints(folder, "another key").latest() is None
    assert "training starts afresh" in caplog.text
    assert folder in caplog.text
    # They would be found again otherwise.
    assert store.latest() is None


def test_checkpoint_of_the_same_number_is_replaced(store):
    store.save(1, STATE, ARRAYS)
    store.save(1, STATE.model_copy(update={"attempt": 7}), {"model": [np.ones(1)]})
    saved = store.latest()
    assert saved.state.attempt == 7
    assert read(store, saved)["model"] == [[1.0]]


def test_journal_is_cut_to_the_epochs_of_a_checkpoint(store, folder):
    epochs = [Epoch(loss=loss) for loss in (3.0, float("nan"), 1.0)]
    store.append(epochs[:1])
    store.append(epochs[1:])
    store = Checkpoints(folder, "key")
    back = store.rewind(2)
    assert str(back) == str(epochs[:2])
    store.append([Epoch(loss=9.0)])
    assert [epoch.loss for epoch in store.rewind(3)][2] == 9.0


def test_half_a_line_of_a_killed_process_is_dropped(store, folder):
    store.append([Epoch(loss=3.0)])
    with open(os.path.join(folder, "epochs.jsonl"), "a") as file:
        file.write('{"loss": 2.')
    assert [epoch.loss for epoch in store.rewind(1)] == [3.0]
    store.append([Epoch(loss=1.0)])
    assert [epoch.loss for epoch in store.rewind(2)] == [3.0, 1.0]


def test_journal_that_lost_epochs_is_noticed(store):
    store.append([Epoch(loss=3.0)])
    with pytest.raises(ValueError, match="1 of 2 epochs"):
        store.rewind(2)


def test_nothing_is_left_in_the_end(store, folder):
    store.save(1, STATE, ARRAYS)
    store.append([Epoch()])
    store.remove()
    assert not os.path.exists(folder)


def test_files_of_others_are_left(store, folder):
    store.save(1, STATE, ARRAYS)
    kept = os.path.join(folder, "mine.txt")
    Path(kept).touch()
    store.remove()
    assert only_file(folder) == kept


def test_temporary_folder_is_removed_too():
    store = Checkpoints(None, "")
    store.save(1, STATE, ARRAYS)
    assert store.latest().number == 1
    store.remove()
    assert not os.path.exists(store._folder)
