# SPDX-License-Identifier: Apache-2.0
import io

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tensorflow.core.example import example_pb2

from components.content.columns import columns_of
from components.content.examples import (
    ExampleParser,
    ParsedExample,
    Unreadable,
    describe_row,
    label_text,
    read_features,
    record_digest,
)
from components.content.fingerprint import fingerprint
from components.content.records import Record


def test_features_are_read_with_their_types(example):
    features = read_features(example(text=[b"a", b"b"], count=[2**62], width=[0.5]))
    assert features == {"text": [b"a", b"b"], "count": 2**62, "width": np.float32(0.5)}
    assert features["count"].dtype == np.int64
    assert features["width"].dtype == np.float32


def test_features_without_values_are_left_out():
    empty = example_pb2.Example()
    empty.features.feature["no_kind"].SetInParent()
    empty.features.feature["no_value"].int64_list.SetInParent()
    assert read_features(empty.SerializeToString()) == {}
    assert read_features(b"") == {}


def test_other_records_are_refused():
    with pytest.raises(DecodeError):
        read_features(b"\xff not a tf.train.Example")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.array([3]), "3"),
        ([b"setosa"], "setosa"),
        (["é".encode()], "é"),
        ([b"\xff"], "\\xff"),
        ([b"a", b"b"], "a, b"),
    ],
)
def test_label_becomes_text(values, text):
    assert label_text(values) == text


def test_row_is_described_by_its_ids():
    features = {"id": np.array([7]), "path": [b"a.png"], "x": np.zeros(9)}
    assert describe_row(features, "y", ("path", "id")) == "path='a.png', id=7"


def test_row_without_ids_is_described_by_its_first_features():
    features = {"d": [b"x"], "c": np.arange(9), "b": np.array([1]), "a": [b"y"]}
    assert describe_row(features, "a", ("id",)) == "b=1, c=0 1 2 ..., d='x'"


def test_row_without_features_has_an_empty_description():
    assert describe_row({}, "y", ()) == ""


def test_picture_is_described_by_its_size():
    png = b"\x89PNG\r\n\x1a\n" + bytes(92)
    assert describe_row({"image": [png]}, "y", ()) == "image=(100 bytes)"
    assert describe_row({"path": [b"BMP/1"]}, "y", ("path",)) == "path='BMP/1'"


def test_description_is_bounded():
    assert len(describe_row({"x": [b"\xff" * 10**6] * 9}, "y", ())) <= 120


def parse(records, label_key="label", **options):
    """Parses serialized examples as one batch of one file."""
    batch = [Record("a.gz", place, data) for place, data in enumerate(records)]
    return list(ExampleParser(label_key, **options).parse(batch))


def picture(mode="RGB", size=(5, 4), seed=0):
    """Draws noise of few colours."""
    rng = np.random.default_rng(seed)
    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], len(mode))
    return Image.fromarray(rng.integers(0, 4, shape, dtype=np.uint8) * 60)


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


VALUES = st.one_of(
    st.lists(st.binary(max_size=4), min_size=1, max_size=3),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=3),
    st.lists(st.floats(width=32), min_size=1, max_size=3),
)
ROWS = st.lists(
    st.dictionaries(st.sampled_from(["a", "b", "c", "label", "id"]), VALUES), max_size=5
)


@given(rows=ROWS)
def test_batch_is_read_as_its_records_are(example, rows):
    records = [example(**row) for row in rows]
    no_content = ("label", "id")
    for parsed, record in zip(parse(records, no_content=["id"]), records, strict=True):
        features = read_features(record)
        assert parsed.fingerprint == fingerprint(features, no_content)
        assert parsed.has_content == bool(features.keys() - set(no_content))
        assert parsed.features.keys() == features.keys()
        for name, values in features.items():
            assert np.array_equal(
                np.asarray(parsed.features[name]),
                np.asarray(values),
                equal_nan=isinstance(values, np.ndarray),
            )
            assert parsed.has(name)
        assert not parsed.has("d")
        assert parsed.record_digest == record_digest(record)


def test_order_of_features_and_type_of_numbers_do_not_count(example):
    first, second = parse([example(x=1, y=0.5), example(y=0.5, x=1.0)])
    assert first.fingerprint == second.fingerprint


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("GIF", {}),
        ("WEBP", {"lossless": True}),
        ("PNG", {"compress_level": 0}),
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("image", [None, "image"])
def test_picture_is_equal_in_each_lossless_format(example, kind, options, mode, image):
    drawn = picture(mode)
    one, other = parse(
        [example(image=encoded(drawn)), example(image=encoded(drawn, kind, **options))],
        image=image,
    )
    assert one.fingerprint == other.fingerprint
    assert one.pixels.dtype == np.uint8
    assert np.array_equal(one.pixels, np.asarray(drawn.convert("RGB")))
    assert np.array_equal(one.pixels, other.pixels)


def test_grey_equals_its_rgb(example):
    grey = picture("L")
    one, other = parse(
        [example(x=encoded(grey)), example(x=encoded(grey.convert("RGB"), "BMP"))]
    )
    assert one.fingerprint == other.fingerprint


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(picture(seed=1), id="other-pixels"),
        pytest.param(picture().transpose(Image.Transpose.ROTATE_90), id="turned"),
        pytest.param(picture().resize((4, 5)), id="other-shape"),
    ],
)
def test_different_pictures_differ(example, other):
    one, another = parse([example(x=encoded(picture())), example(x=encoded(other))])
    assert one.fingerprint != another.fingerprint


def test_equal_bytes_of_another_shape_differ(example):
    wide = Image.fromarray(np.zeros((2, 8, 3), np.uint8))
    tall = Image.fromarray(np.zeros((8, 2, 3), np.uint8))
    one, another = parse([example(x=encoded(wide)), example(x=encoded(tall))])
    assert one.fingerprint != another.fingerprint


def test_several_pictures_count_in_their_order(example):
    first, second = encoded(picture()), encoded(picture(seed=1))
    one, same, other = parse(
        [
            example(x=[first, second]),
            example(x=[encoded(picture(), "BMP"), second]),
            example(x=[second, first]),
        ]
    )
    assert one.fingerprint == same.fingerprint != other.fingerprint


def test_bytes_that_only_look_like_a_picture_count_as_they_are(example):
    one, other, number = parse(
        [example(x=b"BMW", n=1), example(x=b"BMX", n=1), example(x=b"BMW", n=2)]
    )
    assert len({one.fingerprint, other.fingerprint, number.fingerprint}) == 3
    assert one.pixels is None
    assert one.fingerprint == fingerprint({"x": [b"BMW"], "n": [1]})


@pytest.mark.parametrize(
    "wrong", [b"", b"BM", b"text", b"\xff\xd8\xff cut off"], ids=str
)
def test_image_that_cannot_be_decoded_is_unreadable_where_it_is_named(example, wrong):
    records = [
        example(image=encoded(picture()), path=b"a.png", n=1),
        example(image=wrong, path=b"b.png", n=1),
    ]
    good, bad = parse(records, image="image", named_by=["path"])
    assert isinstance(good, ParsedExample)
    assert isinstance(bad, Unreadable)
    assert (bad.file, bad.position, bad.row) == ("a.gz", 1, "path='b.png'")
    assert bad.reason.startswith("image 'image': ")
    assert all(isinstance(each, ParsedExample) for each in parse(records))


def test_feature_named_as_image_may_be_absent_or_a_number(example):
    absent, number = parse([example(n=1), example(image=1)], image="image")
    assert absent.pixels is None
    assert number.pixels is None
    assert not absent.has("image")


def test_damaged_record_spoils_no_other(example):
    records = [example(x=1), b"\xff\xff", example(x=2), b"\xff"]
    parsed = parse(records)
    assert [type(each) for each in parsed] == [
        ParsedExample,
        Unreadable,
        ParsedExample,
        Unreadable,
    ]
    assert [each.position for each in parsed] == [0, 1, 2, 3]
    assert parsed[1].reason == "no tf.train.Example"


@pytest.mark.parametrize(
    ("label", "text", "problem"),
    [
        (3, "3", None),
        (b"cat", "cat", None),
        ("é".encode(), "é", None),
        (b"", None, None),
        (0.5, None, "float"),
        (b"\xff", None, "not UTF-8"),
        ([1, 2], "1, 2", None),
    ],
    ids=str,
)
def test_label_is_a_text_or_has_a_problem(example, label, text, problem):
    (parsed,) = parse([example(x=1, label=label)])
    assert (parsed.label, parsed.label_problem) == (text, problem)


def test_long_labels_are_cut_but_stay_different(example):
    one, other = parse([example(label=b"x" * 500 + end) for end in (b"a", b"b")])
    assert len(one.label) == len(other.label) == 120
    assert one.label != other.label


def test_nothing_is_parsed_to_nothing():
    assert parse([]) == []
    (empty,) = parse([b""])
    assert not empty.has_content
    assert empty.features == {}


def test_columns_of_one_example_hold_its_values():
    columns = columns_of({"x": np.array([1, 2]), "a": (b"y",)})
    assert list(columns) == ["a", "x"]
    assert columns["x"].values_of(0).tolist() == [1, 2]
    assert columns["x"].texts_of(0) == []
    assert columns["a"].texts_of(0) == [b"y"]
