# SPDX-License-Identifier: Apache-2.0
import gzip

import apache_beam as beam
import pytest
import tensorflow as tf
from apache_beam.testing.util import assert_that, equal_to

from components.content import records as module
from components.content.records import DAMAGED, RECORDS, Damage, ReadRecords, Record

RECORDS_OF_A_FILE = [b"first", b"", b"\0\0", b"last\0"] + [b"x" * 50] * 700


@pytest.fixture
def write(tmp_path):
    def write_records(name, records):
        path = tmp_path / name
        kind = "GZIP" if name.endswith(".gz") else ""
        with tf.io.TFRecordWriter(str(path), kind) as writer:
            for record in records:
                writer.write(record)
        return path

    return write_records


def read(path):
    """Reads one file; returns its records and where it breaks off."""
    outputs = list(module._ReadFileFn().process(str(path)))
    found = [each for each in outputs if isinstance(each, Record)]
    damage = [each.value for each in outputs if not isinstance(each, Record)]
    return found, damage


@pytest.mark.parametrize("name", ["a.gz", "a b\n.tfrecord"])
def test_records_come_in_their_order_with_their_places(write, name):
    path = write(name, RECORDS_OF_A_FILE)
    found, damage = read(path)
    assert [each.data for each in found] == RECORDS_OF_A_FILE
    assert [each.position for each in found] == list(range(len(RECORDS_OF_A_FILE)))
    assert {each.file for each in found} == {str(path)}
    assert damage == []


def test_file_that_breaks_off_gives_its_whole_records_and_the_place(write):
    path = write("a.gz", RECORDS_OF_A_FILE)
    whole = gzip.decompress(path.read_bytes())
    # Each record has 16 bytes beside its data.
    size = sum(16 + len(record) for record in RECORDS_OF_A_FILE[:600])
    path.write_bytes(gzip.compress(whole[: size + 20]))
    found, damage = read(path)
    assert [each.data for each in found] == RECORDS_OF_A_FILE[:600]
    (broken,) = damage
    assert (broken.file, broken.position) == (str(path), 600)
    assert broken.reason


def test_flipped_bit_is_damage_where_it_is(write):
    path = write("a.gz", RECORDS_OF_A_FILE)
    whole = bytearray(gzip.decompress(path.read_bytes()))
    whole[12] ^= 1
    path.write_bytes(gzip.compress(bytes(whole)))
    found, (broken,) = read(path)
    assert found == []
    assert broken.position == 0


@pytest.mark.parametrize("content", [b"", b"not compressed", None], ids=str)
def test_file_of_another_kind_is_damaged_from_its_beginning(tmp_path, content):
    path = tmp_path / "a.gz"
    if content is not None:
        path.write_bytes(content)
    found, (broken,) = read(path)
    assert found == []
    assert (broken.file, broken.position) == (str(path), 0)
    assert "\n" not in broken.reason


def test_file_without_records_is_whole(write):
    assert read(write("a.gz", [])) == ([], [])


def test_files_are_read_in_a_pipeline(write, tmp_path):
    one, two = write("1.gz", [b"a", b"b"]), write("2.gz", [b"c"])
    (tmp_path / "3.gz").write_bytes(b"")
    files = [str(one), str(two), str(tmp_path / "3.gz")]
    with beam.Pipeline(argv=["--runner=FnApiRunner"]) as pipeline:
        read = pipeline | ReadRecords(files)
        assert_that(
            read[RECORDS],
            equal_to([(files[0], 0, b"a"), (files[0], 1, b"b"), (files[1], 0, b"c")]),
        )
        damage = Damage(files[2], 0, "the file has zero bytes")
        assert_that(read[DAMAGED], equal_to([damage]), label="damage")
        none = pipeline | "Nothing" >> ReadRecords([])
        assert_that(none[RECORDS], equal_to([]), label="nothing")
