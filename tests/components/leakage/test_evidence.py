# SPDX-License-Identifier: Apache-2.0
import io
import json

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.util import assert_that, equal_to
from PIL import Image

from components.content.examples import record_digest
from components.content.records import Record
from components.findings import find
from components.leakage.config import LeakageConfig
from components.leakage.evidence import (
    DescribeRecords,
    named_records,
    show,
    thumbnail,
)


def finding(*groups):
    return find("duplicate_leakage", "m", evidence={"num": 1, "groups": list(groups)})


def test_records_are_named_by_the_findings():
    findings = [
        finding({"records": {"train": ["a", "b"], "eval": ["c"]}}, {"records": {}}),
        find("label_leakage", "m"),
        finding({"records": {"eval": ["c"]}}),
    ]
    assert named_records(findings) == {"a", "b", "c"}
    assert named_records([]) == frozenset()


def test_what_is_known_takes_the_place_of_digests():
    shown = {
        "a": {"row": "path=1", "picture": "pictures/a.png", "group": "Ann"},
        "c": {"row": "path=3"},
    }
    group = {"examples": {"train": 2}, "records": {"train": ["a", "b"], "eval": ["c"]}}
    other = find("label_leakage", "m", evidence={"groups": []})
    first, second = show([finding(group), other], shown)
    assert first.evidence == {
        "num": 1,
        "groups": [
            {
                "examples": {"train": 2},
                "group": "Ann",
                "rows": {"train": ["path=1"], "eval": ["path=3"]},
                "pictures": {"train": ["pictures/a.png"]},
            }
        ],
    }
    assert second is other


def test_group_without_pictures_names_none():
    (shown,) = show([finding({"records": {"eval": ["c"]}})], {"c": {"row": "id=1"}})
    assert shown.evidence["groups"] == [{"rows": {"eval": ["id=1"]}}]


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((1, 1), (1, 1)),
        ((8, 8), (8, 8)),
        ((96, 96), (96, 96)),
        ((97, 96), (96, 95)),
        ((4000, 10), (96, 1)),
    ],
)
def test_thumbnail_has_at_most_96_pixels_a_side(size, shown):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    picture = Image.open(io.BytesIO(thumbnail(pixels)))
    assert (picture.format, picture.size) == ("PNG", shown)
    if size == shown:
        assert np.array_equal(np.asarray(picture), pixels)


def test_named_records_are_described_and_drawn(example, tmp_path):
    file = io.BytesIO()
    Image.new("RGB", (200, 100), "red").save(file, "BMP")
    drawn = example(image=file.getvalue(), path=b"a.bmp", patient=b"Ann", label=1)
    plain = example(x=1.5, path=b"b", label=1)
    records = [drawn, plain, drawn, example(x=2), b"\xff"]
    digests = [record_digest(each).hex() for each in (drawn, plain, b"\xff")]
    picture = f"pictures/{digests[0]}.png"
    wanted = {
        digests[0]: {"row": "path='a.bmp'", "group": "Ann", "picture": picture},
        digests[1]: {"row": "path='b'"},
    }
    with beam.Pipeline(argv=["--runner=FnApiRunner"]) as pipeline:
        shown = (
            pipeline
            | beam.Create([Record("a", n, each) for n, each in enumerate(records)])
            | DescribeRecords(
                digests,
                "label",
                LeakageConfig(ignore=("path",), group="patient"),
                str(tmp_path),
            )
            | beam.MapTuple(lambda digest, text: (digest, json.loads(text)))
        )
        assert_that(shown, equal_to(list(wanted.items())))
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.png")] == [picture]
    with Image.open(tmp_path / picture) as drawn_picture:
        assert drawn_picture.size == (96, 48)
