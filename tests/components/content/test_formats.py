# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from components.content.formats import format_of


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", "csv"),
        ("A.CSV", "csv"),
        ("a.csv.gz", "csv"),
        ("a.b.parquet", "parquet"),
        ("a.tfrecord", "tfrecord"),
        ("a.tfrecords.gz", "tfrecord"),
        ("data_tfrecord-00000-of-00001.gz", "tfrecord"),
        ("a.tfrecord-00003-of-00010", "tfrecord"),
        ("a.gz", None),
        ("csv", None),
        ("a.csv.bak", None),
        ("", None),
    ],
)
def test_the_name_tells_the_format(name, expected):
    assert format_of(Path(name)) == expected
