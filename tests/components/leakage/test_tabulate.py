# SPDX-License-Identifier: Apache-2.0
import functools

import apache_beam as beam
import pytest

from components.content.records import Record
from components.leakage import tables, tabulate
from components.leakage.config import LeakageConfig
from components.leakage.keys import content_key, group_key
from components.leakage.parse import ParseExamples
from components.leakage.stored import StoredTable, read_file, write_file
from components.leakage.tabulate import Tabulate


def write(folder, records, key_of=content_key, partition_by="high"):
    """Writes the table of (split, serialized example), each split a file."""
    files = {"train.gz": "train", "eval.gz": "eval"}
    with beam.Pipeline(argv=["--runner=FnApiRunner"]) as pipeline:
        _ = (
            pipeline
            | beam.Create(
                [
                    Record(f"{split}.gz", place, data)
                    for place, (split, data) in enumerate(records)
                ]
            )
            | beam.ParDo(ParseExamples(files, "label", LeakageConfig()))
            | Tabulate(str(folder), ("train", "eval"), key_of, partition_by)
        )
    return StoredTable(str(folder))


@pytest.fixture(scope="module")
def records(example):
    return [
        (("train", "eval")[n % 3 == 0], example(x=n % 50, label=n % 2, id=n))
        for n in range(300)
    ]


def tally_of(stored):
    return tables.tally(tables.merge(stored), ("train", "eval"), "train", 3)


def test_table_holds_every_record_whatever_the_order_and_the_blocks(
    records, tmp_path, monkeypatch
):
    whole = write(tmp_path / "1", records)
    monkeypatch.setattr(tabulate, "_ROWS", 7)
    pieces = write(tmp_path / "2", records[::-1])
    for one, other in zip(whole, pieces, strict=True):
        assert tables.to_bytes(one) == tables.to_bytes(other)
    tally = tally_of(whole)
    assert tally.splits["train"].examples == 200
    assert tally.splits["eval"].examples == 100


def test_keys_that_are_absent_are_left_out(records, tmp_path):
    key_of = functools.partial(group_key, feature="nowhere")
    assert list(write(tmp_path / "none", records, key_of)) == []


def test_partitions_are_as_named(records, tmp_path):
    stored = write(tmp_path / "t", records, partition_by="digest")
    for number in range(tables.NUM_PARTITIONS):
        for digest in stored.partition(number).rows["digest"]:
            assert int(digest) >> 57 == number


def test_table_that_nobody_wrote_is_empty(tmp_path):
    stored = StoredTable(str(tmp_path / "nowhere"))
    assert list(stored) == []
    assert tally_of(stored).num_examples == 0


def test_files_are_written_into_folders_that_are_made(tmp_path):
    folder = str(tmp_path / "a b" / "c")
    assert read_file(write_file(folder, "name", b"\0data")) == b"\0data"
    assert read_file(write_file(folder, "name", b"again")) == b"again"
