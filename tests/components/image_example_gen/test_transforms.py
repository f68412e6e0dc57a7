# SPDX-License-Identifier: Apache-2.0
import apache_beam as beam
import pytest
import tensorflow as tf
from apache_beam.testing.util import assert_that, equal_to

from components.image_example_gen import metadata
from components.image_example_gen.config import ImageExampleGenConfig
from components.image_example_gen.layout import find_layout
from components.image_example_gen.transforms import FACTS, SHARDS, WritePictures


@pytest.fixture
def base(make_folder, png):
    """30 pictures of two classes, one of which cannot be decoded, and a table."""
    files = {f"{'cd'[n % 2]}/{n:02}.png": png(n) for n in range(30)}
    rows = "".join(f"{path},{n}\n" for n, path in enumerate(files))
    return make_folder(files | {"c/02.png": b"", "t.csv": f"path,n\n{rows}".encode()})


def read(folder):
    """Returns the records of all files in the order of their names."""
    return [
        record
        for file in sorted(folder.iterdir())
        for record in tf.data.TFRecordDataset(str(file), "GZIP").as_numpy_iterator()
    ]


def check_facts(facts):
    counts = {kind: count for kind, (count, _) in facts}
    assert counts == {
        ("example", "all", "c"): 14,
        ("example", "all", "d"): 15,
        ("undecodable",): 1,
    }
    names = {kind: names for kind, (_, names) in facts}
    assert names["undecodable",] == ["c/02.png (zero bytes)"]
    assert names["example", "all", "d"] == [f"d/{n:02}.png" for n in range(1, 30, 2)]


def test_examples_and_facts_do_not_depend_on_sharding(base, tmp_path):
    table = metadata.read_table(str(base / "t.csv"), ())
    records = {}
    for num_shards in (1, 4):
        folder = tmp_path / f"shards-{num_shards}"
        with beam.Pipeline(argv=["--runner=FnApiRunner"]) as pipeline:
            written = pipeline | WritePictures(
                str(base),
                find_layout(str(base)).class_folders,
                ImageExampleGenConfig(),
                table=table,
                num_shards=num_shards,
                folder=str(folder),
            )
            numbers = written[SHARDS] | beam.Map(lambda shard: shard.number)
            assert_that(written[FACTS], check_facts, label="Facts")
            assert_that(numbers, equal_to(range(num_shards)), label="Shards")
        assert len(list(folder.iterdir())) == num_shards
        records[num_shards] = read(folder)
    assert len(records[1]) == 29
    assert sorted(records[1]) == sorted(records[4])
