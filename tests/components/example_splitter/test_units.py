# SPDX-License-Identifier: Apache-2.0
import io

import numpy as np
import pytest
from PIL import Image

from components.content.records import Record
from components.example_splitter import units
from components.example_splitter.config import SplitConfig
from components.example_splitter.units import UnitReader


@pytest.fixture
def read():
    """Reads serialized examples; returns what each says."""

    def run(records, **config):
        reader = UnitReader("label", SplitConfig(**config))
        records = [Record("a.gz", n, data) for n, data in enumerate(records)]
        found = list(reader.read(records))
        assert [reading.record for reading in found] == records
        return found

    return run


def picture(kind):
    file = io.BytesIO()
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def test_content_leaves_out_label_and_ignored_features(read, example):
    one, same, other = read(
        [
            example(x=1, label=b"a", id=1, day=3),
            example(x=1.0, label=b"b", id=2),
            example(x=2, label=b"a", id=1, day=3),
        ],
        ignore=("id",),
        time="day",
    )
    assert one.unit == same.unit != other.unit
    assert (one.label, same.label) == ("a", "b")


@pytest.mark.parametrize("image", ["image", None])
def test_pictures_count_by_their_pixels(read, example, image):
    png, bmp = read(
        [example(image=picture(kind), label=1) for kind in ("PNG", "BMP")], image=image
    )
    assert png.unit == bmp.unit


def test_image_that_cannot_be_decoded_counts_as_it_is_stored(read, example):
    broken = picture("PNG")[:40]
    one, same, other = read(
        [
            example(image=broken, label=1),
            example(image=broken, label=2),
            example(image=broken + b"x", label=1),
        ],
        image="image",
    )
    assert one.unit == same.unit != other.unit
    assert not one.problem


def test_unlabelled_example_has_its_unit_all_the_same(read, example):
    labelled, unlabelled = read(
        [example(image=picture("PNG"), label=1), example(image=picture("BMP"))]
    )
    assert unlabelled.problem == units.NO_LABEL
    assert (unlabelled.label, unlabelled.detail) == ("", "image")
    assert unlabelled.unit == labelled.unit


def test_groups_count_by_value(read, example):
    one, same, other = read(
        [
            example(group=5, x=1, label=0),
            example(group=5.0, x=2, label=0),
            example(group=b"5", x=1, label=0),
        ],
        by="group",
        group="group",
    )
    assert one.unit == same.unit != other.unit


def test_times_are_read_in_their_order(read, example):
    late, early = read(
        [
            example(time=b"2023-12-31T23:00:00Z", label=0),
            example(time=b"2024-01-01T00:30:00+02:00", label=0),
        ],
        by="time",
        time="time",
    )
    assert early.time < late.time
    assert early.unit is None


@pytest.mark.parametrize(
    ("record", "config", "problem"),
    [
        (b"\xffnothing", {}, units.UNREADABLE),
        (b"\xffnothing", {"by": "group", "group": "g"}, units.UNREADABLE),
        ({"x": 1, "label": 0.5}, {}, units.FLOAT_LABEL),
        ({"x": 1, "label": b"\xff"}, {}, units.ODD_LABEL),
        ({"g": 1, "label": 0.5}, {"by": "group", "group": "g"}, units.FLOAT_LABEL),
        ({"x": 1, "label": 0}, {"by": "group", "group": "g"}, units.NO_GROUP),
        ({"x": 1, "label": 0}, {"by": "time", "time": "t"}, units.NO_TIME),
        ({"t": b"now", "label": 0}, {"by": "time", "time": "t"}, units.ODD_TIME),
        ({"t": [1, 2], "label": 0}, {"by": "time", "time": "t"}, units.ODD_TIME),
        (
            {"t": float("nan"), "label": 0},
            {"by": "time", "time": "t"},
            units.ODD_TIME,
        ),
    ],
)
def test_what_is_wrong_is_named(read, example, record, config, problem):
    record = record if isinstance(record, bytes) else example(**record)
    (reading,) = read([record], **config)
    assert reading.problem == problem
    assert reading.detail


def test_nothing_is_read_of_nothing(read):
    assert read([]) == []
