# SPDX-License-Identifier: Apache-2.0
import gc
import itertools
import os

import pytest
import tensorflow as tf

from components.errors import InputError
from components.guarded_trainer.reading import spill as spilling
from components.guarded_trainer.reading.held_out import BUCKETS, Choice
from components.guarded_trainer.reading.settings import ReadingConfig
from components.guarded_trainer.reading.spill import spill

EXAMPLES = [f"example {i:04d}".encode() for i in range(1000)]


@pytest.fixture
def written(tmp_path):
    def write(memory=3000, choice=Choice(), examples=EXAMPLES):  # noqa: B008  # frozen
        reading = ReadingConfig.model_construct(
            memory_bytes=memory, spill_dir=str(tmp_path)
        )
        serialized = tf.data.Dataset.from_tensor_slices(examples)
        return spill(serialized, choice, sum(map(len, examples)), reading)

    return write


def epoch(made, batch_size=100, number=0, seed=0):
    batches = made.batches(batch_size, seed, first_epoch=number)
    rows = sum(made.file_rows)
    taken = batches.take(-(-rows // batch_size)).as_numpy_iterator()
    return [batch.tolist() for batch in taken]


def test_files_are_random_samples_of_all(written):
    made = written()
    # A quarter of the memory each.
    assert len(made.files) == 16
    assert sum(made.file_rows) == 1000
    for file in made.files:
        numbers = [EXAMPLES.index(x.numpy()) for x in tf.data.TFRecordDataset(file)]
        # Sorted on disk, from the whole range.
        assert numbers == sorted(numbers)
        assert numbers[0] < 300
        assert numbers[-1] > 700


def test_epochs_hold_all_examples_in_an_order_of_their_own(written):
    made = written()
    epochs = [epoch(made, number=number) for number in range(2)]
    for batches in epochs:
        assert sorted(itertools.chain(*batches)) == EXAMPLES
    assert epochs[0] != epochs[1]
    assert epoch(made) == epochs[0]
    assert epoch(made, seed=1) != epochs[0]
    assert epoch(written()) == epochs[0]


def test_last_batch_of_an_epoch_is_smaller(written):
    assert [len(b) for b in epoch(written(), batch_size=300)] == [300, 300, 300, 100]


def test_examples_held_out_are_apart(written):
    made = written(choice=Choice(BUCKETS // 5))
    held_out = list(made.held_out().as_numpy_iterator())
    assert 140 < len(held_out) < 260
    assert held_out == sorted(held_out)
    fitted = list(itertools.chain(*epoch(made)))
    assert sorted(fitted + held_out) == EXAMPLES


def test_files_that_nothing_falls_into_are_left_out(written):
    made = written(memory=1, examples=EXAMPLES[:10])
    assert 1 <= len(made.files) <= 10
    assert sorted(itertools.chain(*epoch(made, batch_size=3))) == EXAMPLES[:10]


def test_folder_is_removed_with_the_spill(written, tmp_path):
    made = written()
    assert len(os.listdir(tmp_path)) == 1
    del made
    gc.collect()
    assert os.listdir(tmp_path) == []


def test_folder_is_removed_where_reading_fails(written, tmp_path, monkeypatch):
    def fail(batch):
        raise OSError("disk full")

    monkeypatch.setattr(spilling, "content_hash", fail)
    with pytest.raises(OSError, match="disk full"):
        written()
    assert os.listdir(tmp_path) == []


def test_too_little_room_is_refused_before_anything_is_written(tmp_path):
    reading = ReadingConfig(spill_dir=str(tmp_path))
    with pytest.raises(InputError, match=r"spill_dir: expected .* GiB of room .* free"):
        spill(tf.data.Dataset.from_tensors(b""), Choice(), 1 << 60, reading)
    assert os.listdir(tmp_path) == []


def test_missing_folder_is_refused():
    reading = ReadingConfig(spill_dir="/no/such/folder")
    with pytest.raises(InputError, match="'/no/such/folder' cannot be used .No such"):
        spill(tf.data.Dataset.from_tensors(b""), Choice(), 1, reading)
