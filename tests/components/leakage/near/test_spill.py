# SPDX-License-Identifier: Apache-2.0
import collections

import numpy as np
import pytest

from components.leakage.near import spill
from components.leakage.near.spill import SpillWriter, make_folder, read_rows

ROW = np.dtype([("number", "<u8"), ("flag", "u1")])


def rows(numbers):
    made = np.zeros(len(numbers), ROW)
    made["number"] = numbers
    return made


def gather(extents):
    places = collections.defaultdict(list)
    for partition, extent in extents:
        places[partition].append(extent)
    return places


def test_rows_come_back_by_partition(tmp_path):
    writer = SpillWriter(str(tmp_path), "kind", ROW)
    numbers = np.arange(100)
    assert list(writer.add(numbers[:60] % 7, rows(numbers[:60]))) == []
    assert list(writer.add(numbers[60:] % 7, rows(numbers[60:]))) == []
    places = gather(writer.flush())
    assert list(places) == list(range(7))
    for partition, extents in places.items():
        read = read_rows(extents, "kind", ROW)
        assert sorted(read["number"]) == list(range(partition, 100, 7))


def test_enough_rows_are_written_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(spill, "BUFFER_BYTES", 10 * ROW.itemsize)
    writer = SpillWriter(str(tmp_path), "kind", ROW)
    zeros = np.zeros(9, np.int64)
    assert list(writer.add(zeros, rows(range(9)))) == []
    ((_, first),) = writer.add(zeros[:1], rows([9]))
    assert first.num_rows == 10
    list(writer.add(zeros[:1], rows([10])))
    ((_, second),) = writer.flush()
    assert first.path != second.path
    read = read_rows([second, first], "kind", ROW)
    assert read["number"].tolist() == [10, *range(10)]


def test_nothing_gathered_writes_no_file(tmp_path):
    writer = SpillWriter(str(tmp_path), "kind", ROW)
    assert list(writer.flush()) == []
    assert list(writer.add(np.empty(0, np.int64), rows([]))) == []
    assert list(writer.flush()) == []
    assert list(tmp_path.iterdir()) == []


def test_rows_of_other_kinds_are_passed_over(tmp_path):
    writer = SpillWriter(str(tmp_path), "kind", ROW)
    list(writer.add(np.zeros(3, np.int64), rows(range(3))))
    ((_, extent),) = writer.flush()
    assert len(read_rows([extent], "other", ROW)) == 0
    assert len(read_rows([], "kind", ROW)) == 0


def test_a_file_that_ends_early_is_an_error(tmp_path):
    writer = SpillWriter(str(tmp_path), "kind", ROW)
    list(writer.add(np.zeros(3, np.int64), rows(range(3))))
    ((_, extent),) = writer.flush()
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(OSError, match="expected 27 bytes from byte 0, but 26 came"):
        read_rows([extent], "kind", ROW)


def test_a_folder_is_made_once(tmp_path):
    folder = tmp_path / "a" / "b"
    make_folder(str(folder))
    make_folder(str(folder))
    assert folder.is_dir()
