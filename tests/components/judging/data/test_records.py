# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import tensorflow as tf

from components.guarded_evaluator.batching import content_hash
from components.judging.data import records


@pytest.fixture
def rows():
    return [bytes([i]) * (i * 37 % 300) for i in range(200)]


def test_records_are_read_in_the_order_asked_for(tmp_path, rows):
    written = records.write(str(tmp_path / "r"), rows)
    positions = [199, 0, 5, 5, 17]
    assert written.read(positions) == [rows[i] for i in positions]
    assert len(written) == 200


def test_the_file_is_a_tfrecord_file(tmp_path, rows):
    written = records.write(str(tmp_path / "r"), rows)
    assert list(tf.data.TFRecordDataset(written.path).as_numpy_iterator()) == rows


def test_hashes_are_those_of_the_evaluator_with_copies_numbered(tmp_path):
    written = records.write(str(tmp_path / "r"), [b"a", b"b", b"a", b"a", b"c", b"c"])
    hashes = dict(enumerate(written.hashes.tolist()))
    assert {hashes[0], hashes[2], hashes[3]} == {
        content_hash(b"a", i) for i in range(3)
    }
    assert hashes[1] == content_hash(b"b")
    assert {hashes[4], hashes[5]} == {content_hash(b"c"), content_hash(b"c", 1)}


def test_no_records_are_an_empty_file(tmp_path):
    written = records.write(str(tmp_path / "r"), [])
    assert len(written) == 0
    assert written.read([]) == []


def test_a_file_that_is_cut_off_is_named(tmp_path, rows):
    written = records.write(str(tmp_path / "r"), rows)
    (tmp_path / "r").write_bytes((tmp_path / "r").read_bytes()[:-100])
    with pytest.raises(OSError, match="cut off"):
        written.read(np.array([199]))
