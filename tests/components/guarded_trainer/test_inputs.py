# SPDX-License-Identifier: Apache-2.0
import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from components.errors import InputError
from components.guarded_trainer.config import ImageInput, InputConfig
from components.guarded_trainer.inputs import ModelInputs, choose_inputs, decode_image

SCHEMA = """
    feature { name: "label" type: INT }
    feature { name: "wide" type: FLOAT shape { dim { size: 2 } dim { size: 3 } } }
    feature { name: "count" type: INT value_count { min: 1 max: 1 } }
    feature { name: "plain" type: FLOAT }
    feature { name: "picture" type: BYTES }
"""
NUMBERS = ("count", "plain", "wide")


def config(**kwargs):
    return InputConfig(label_key="label", **kwargs)


def test_numeric_features_are_chosen_by_name(schema):
    inputs = choose_inputs(schema(SCHEMA), config(ignore=("picture",)))
    assert dict(inputs.sizes) == {"count": 1, "plain": 1, "wide": 6}
    assert inputs.dtypes == {
        "count": tf.int64,
        "plain": tf.float32,
        "wide": tf.float32,
    }
    assert inputs.shape == (8,)
    assert inputs.num_bytes == 32
    assert inputs.entry_names == (
        "count",
        "plain",
        *(f"wide[{i}]" for i in range(6)),
    )


def test_named_features_keep_their_order(schema):
    inputs = choose_inputs(schema(SCHEMA), config(features=("wide", "count")))
    assert list(inputs.sizes) == ["wide", "count"]


def test_image_is_chosen(schema):
    image = ImageInput(feature="picture", height=4, width=5, channels=1)
    inputs = choose_inputs(schema(SCHEMA), config(image=image))
    assert inputs.shape == (4, 5, 1)
    assert inputs.num_bytes == 80
    assert inputs.entry_names == ()


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        pytest.param(
            {}, "'picture': expected numbers, .*BYTES; put it under `ignore`", id="text"
        ),
        pytest.param(
            {"features": ("wdie",)},
            "features: .*no 'wdie' among .*; did you mean 'wide'?",
            id="misspelt",
        ),
        pytest.param(
            {"features": ("zzz",)}, "no 'zzz' among .*; correct the name", id="unknown"
        ),
        pytest.param(
            {"ignore": ("pictures",)},
            "^ignore: .*did you mean 'picture'?",
            id="unknown-ignored",
        ),
        pytest.param(
            {"features": ("label",)}, "'label' is the label, .*leave it out", id="label"
        ),
        pytest.param(
            {"features": ("wide", "wide")}, "'wide' is named again; name", id="twice"
        ),
        pytest.param(
            {"features": ("wide",), "ignore": ("wide",)},
            "'wide' is named again under `ignore`",
            id="also-ignored",
        ),
        pytest.param(
            {"ignore": ("picture", *NUMBERS)}, "none is left; .*ignore", id="all-gone"
        ),
        pytest.param({"features": ()}, "none is left", id="none-named"),
        pytest.param(
            {"image": ImageInput(feature="pictur", height=1, width=1)},
            "image.feature: .*did you mean 'picture'?",
            id="image-misspelt",
        ),
        pytest.param(
            {"image": ImageInput(feature="wide", height=1, width=1)},
            "'wide': expected encoded images .*FLOAT",
            id="image-of-numbers",
        ),
        pytest.param(
            {"image": ImageInput(feature="label", height=1, width=1)},
            "'label' is the label",
            id="label-as-image",
        ),
        pytest.param(
            {
                "image": ImageInput(feature="picture", height=1, width=1),
                "features": ("wide",),
            },
            "both `image` and wide are given; leave one out",
            id="image-and-numbers",
        ),
    ],
)
def test_choice_is_refused(schema, choice, message):
    with pytest.raises(InputError, match=message):
        choose_inputs(schema(SCHEMA), config(**choice))


def test_unknown_label_is_refused(schema):
    with pytest.raises(InputError, match="label_key: .*'labels'.*did you mean 'label'"):
        choose_inputs(schema(SCHEMA), InputConfig(label_key="labels"))


def test_schema_with_nothing_but_the_label_is_refused(schema):
    with pytest.raises(InputError, match="none is left"):
        choose_inputs(schema('feature { name: "label" type: INT }'), config())


@pytest.mark.parametrize(
    ("counts", "size"),
    [
        pytest.param("", 1, id="unsaid"),
        pytest.param("value_count { min: 0 max: 1 }", 1, id="may-be-missing"),
        pytest.param("value_count { min: 4 max: 4 }", 4, id="fixed"),
        pytest.param("shape { }", 1, id="scalar"),
        pytest.param("shape { dim { size: 4 } }", 4, id="shape"),
    ],
)
def test_size_of_a_feature(schema, counts, size):
    text = f'feature {{ name: "label" }} feature {{ name: "f" type: INT {counts} }}'
    assert choose_inputs(schema(text), config()).shape == (size,)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        pytest.param("value_count { min: 1 max: 3 }", "allows 1 to 3; pad", id="range"),
        pytest.param("value_count { min: 2 }", "2 to any number; pad", id="open"),
        pytest.param(
            "value_count { min: 1 }", "1 to any number; pad", id="open-at-one"
        ),
        pytest.param("shape { dim { size: 0 } }", r"says \[0\]; correct", id="nothing"),
        pytest.param("shape { dim { } }", r"says \[0\]; correct", id="unknown-size"),
    ],
)
def test_feature_of_varying_size_is_refused(schema, counts, message):
    text = f'feature {{ name: "label" }} feature {{ name: "f" type: INT {counts} }}'
    with pytest.raises(InputError, match=f"feature 'f': expected .*{message}"):
        choose_inputs(schema(text), config())


@given(
    st.lists(
        st.tuples(
            st.integers(-(2**40), 2**40),
            st.lists(st.floats(width=32, allow_nan=False), min_size=6, max_size=6),
        ),
        max_size=5,
    )
)
def test_parse_equals_numpy(example, batch):
    inputs = ModelInputs(
        {"wide": 6, "count": 1}, {"wide": tf.float32, "count": tf.int64}, None
    )
    serialized = [example(wide=wide, count=count, other=b"x") for count, wide in batch]
    expected = np.array([[*wide, count] for count, wide in batch], np.float32)
    parsed = inputs.parse(tf.constant(serialized, tf.string))
    assert parsed.dtype == tf.float32
    np.testing.assert_array_equal(parsed, expected.reshape(len(batch), 7))


RANDOM = np.random.default_rng(0)
RGB = RANDOM.integers(0, 256, (6, 5, 3), np.uint8)
GREY = RANDOM.integers(0, 256, (6, 5, 1), np.uint8)


def bmp(pixels):
    """Encodes by the format's definition: rows from below, padded to 4 bytes, BGR."""
    height, width, channels = pixels.shape
    data = b"".join(row[:, ::-1].tobytes() + b"\0" * 3 for row in pixels[::-1])
    stride = (width * channels + 3) // 4 * 4
    data = b"".join(row[:, ::-1].tobytes().ljust(stride, b"\0") for row in pixels[::-1])
    palette = (
        bytes(x for i in range(256) for x in (i, i, i, 0)) if channels == 1 else b""
    )
    start = 54 + len(palette)
    return (
        b"BM"
        + struct.pack("<IHHI", start + len(data), 0, 0, start)
        + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8 * channels, *6 * [0])
        + palette
        + data
    )


def gif(*frames):
    images = [Image.fromarray(frame) for frame in frames]
    buffer = io.BytesIO()
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:])
    return buffer.getvalue()


FLAT = np.broadcast_to(np.array([200, 100, 50], np.uint8), (6, 5, 3))
"""One color, which the lossy formats keep."""


def decode(encoded, channels, height=6, width=5):
    image = ImageInput(feature="f", height=height, width=width, channels=channels)
    # In a graph, as in training and serving.
    return tf.function(lambda x: decode_image(x, image))(tf.constant(encoded)).numpy()


@pytest.mark.parametrize(
    ("encode", "tolerance"),
    [
        pytest.param(lambda x: tf.io.encode_png(x).numpy(), 0, id="png"),
        pytest.param(bmp, 0, id="bmp"),
        pytest.param(lambda x: tf.io.encode_jpeg(x, quality=100).numpy(), 2, id="jpeg"),
        pytest.param(lambda x: gif(x, 255 - x), 2, id="gif"),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_color_is_decoded(encode, tolerance, channels):
    pixels = decode(encode(FLAT), channels)
    assert pixels.dtype == np.float32
    if channels == 3:
        np.testing.assert_allclose(pixels, FLAT, atol=tolerance)
    else:
        # ITU-R BT.601; the formats' libraries round differently.
        grey = np.full((6, 5, 1), 0.299 * 200 + 0.587 * 100 + 0.114 * 50)
        np.testing.assert_allclose(pixels, grey, atol=tolerance + 2)


@pytest.mark.parametrize(
    "encode",
    [
        pytest.param(lambda x: tf.io.encode_png(x).numpy(), id="png"),
        pytest.param(bmp, id="bmp"),
    ],
)
def test_grey_is_repeated_for_rgb(encode):
    np.testing.assert_array_equal(decode(encode(GREY), 1), GREY)
    np.testing.assert_array_equal(decode(encode(GREY), 3), GREY.repeat(3, axis=2))


def test_pixels_keep_their_places():
    for encoded in (tf.io.encode_png(RGB).numpy(), bmp(RGB)):
        np.testing.assert_array_equal(decode(encoded, 3), RGB)


def test_transparency_is_dropped():
    encoded = tf.io.encode_png(np.dstack([RGB, GREY])).numpy()
    assert decode(encoded, 3).shape == (6, 5, 3)


@pytest.mark.parametrize("encode", [lambda x: tf.io.encode_png(x).numpy(), bmp])
def test_image_of_another_size_is_resized(encode):
    expected = tf.image.resize(tf.cast(RGB, tf.float32), (3, 9))
    np.testing.assert_array_equal(decode(encode(RGB), 3, 3, 9), expected)


def test_images_of_many_formats_are_one_batch(example):
    image = ImageInput(feature="f", height=6, width=5)
    inputs = ModelInputs({}, {}, image)
    encoded = [tf.io.encode_png(FLAT).numpy(), bmp(FLAT), gif(FLAT)]
    batch = inputs.parse(tf.constant([example(f=x) for x in encoded]))
    assert batch.shape == (3, 6, 5, 3)
    np.testing.assert_allclose(batch, np.stack([FLAT] * 3), atol=2)


def test_no_images_are_an_empty_batch():
    inputs = ModelInputs({}, {}, ImageInput(feature="f", height=6, width=5))
    batch = tf.function(inputs.parse)(tf.constant([], tf.string))
    assert batch.shape == (0, 6, 5, 3)


@pytest.mark.parametrize("encoded", [b"", b"BM", b"not an image"])
def test_broken_image_is_an_error(encoded):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(encoded, 3)
