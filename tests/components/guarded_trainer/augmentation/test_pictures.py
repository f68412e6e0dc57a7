# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pydantic
import pytest
import tensorflow as tf
from sklearn import datasets

from components.errors import InputError
from components.guarded_trainer.augmentation.pictures import make_augment
from components.guarded_trainer.augmentation.settings import (
    PRESETS,
    AugmentationConfig,
)

SIDE = 24
SEED = tf.constant([3, 4], tf.int64)


@pytest.fixture(scope="module")
def pictures():
    """Sixteen tiles of real photographs: float32, shape (16, 24, 24, 3)."""
    china, flower = datasets.load_sample_images().images
    tiles = [
        photo[y : y + 192, x : x + 192]
        for photo in (china, flower)
        for y in (0, 200)
        for x in (0, 150, 300, 440)
    ]
    return tf.image.resize(tf.stack(tiles), (SIDE, SIDE), antialias=True)


def augment(pictures, seed=SEED, *, value_range=(0.0, 255.0), **settings):
    function = make_augment(
        AugmentationConfig(**settings), tuple(pictures.shape[1:]), value_range
    )
    return tf.function(function)(pictures, seed)


def test_nothing_is_done_by_default():
    assert make_augment(AugmentationConfig(), (8, 8, 1)) is None
    assert make_augment(AugmentationConfig(), (5,)) is None
    nothing_left = AugmentationConfig(
        preset="light", shift=0, zoom=0, brightness=0, contrast=0
    )
    assert make_augment(nothing_left, (8, 8, 1)) is None


@pytest.mark.parametrize("preset", ["light", "standard", "strong"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_varied_each_in_its_own_way(pictures, preset, channels):
    same = tf.repeat(pictures[:1, ..., :channels], 16, axis=0)
    varied = augment(same, preset=preset).numpy()
    assert varied.shape == same.shape
    assert varied.dtype == np.float32
    assert varied.min() >= 0
    assert varied.max() <= 255
    assert len(np.unique(varied.reshape(16, -1), axis=0)) == 16
    # And yet they are still the same picture.
    assert np.abs(varied.mean(axis=0) - same[0]).mean() < 40


def test_same_seed_varies_alike_and_another_does_not(pictures):
    once, again = (augment(pictures, preset="strong") for _ in range(2))
    np.testing.assert_array_equal(once, again)
    other = augment(pictures, tf.constant([3, 5], tf.int64), preset="strong")
    assert np.abs(once - other).mean() > 1


def test_picture_is_varied_alike_in_any_pipeline(pictures):
    function = make_augment(AugmentationConfig(preset="strong"), (SIDE, SIDE, 3))
    batches = tf.data.Dataset.from_tensor_slices(pictures).batch(4).enumerate()

    def varied(**kwargs):
        mapped = batches.map(lambda i, x: function(x, tf.stack([7, i])), **kwargs)
        return np.concatenate(list(mapped.as_numpy_iterator()))

    np.testing.assert_array_equal(varied(), varied(num_parallel_calls=4))


@pytest.mark.parametrize(
    ("dtype", "value_range"),
    [
        (tf.float32, (0.0, 1.0)),
        (tf.float32, (-1.0, 1.0)),
        (tf.float16, (0.0, 1.0)),
        (tf.uint8, (0.0, 255.0)),
    ],
    ids=str,
)
def test_type_and_range_of_values_are_kept(pictures, dtype, value_range):
    low, high = value_range
    scaled = tf.cast(low + pictures / 255 * (high - low), dtype)
    varied = augment(scaled, value_range=value_range, preset="strong")
    assert varied.dtype == dtype
    assert varied.numpy().min() >= low
    assert varied.numpy().max() <= high
    as_pixels = (tf.cast(varied, tf.float32) - low) / (high - low) * 255
    reference = augment(pictures, preset="strong")
    assert np.abs(as_pixels - reference).mean() < 2


def test_no_pictures_stay_none(pictures):
    assert augment(pictures[:0], preset="strong").shape == (0, SIDE, SIDE, 3)


def share_that(pictures, transform, **settings):
    """Returns the share of pictures that came out as `transform` makes them."""
    many = tf.repeat(pictures, 25, axis=0)
    varied = augment(many, **settings)
    differences = np.abs(varied - transform(many)).max(axis=(1, 2, 3))
    return (differences < 0.5).mean()


@pytest.mark.parametrize(
    ("settings", "transform"),
    [
        ({"horizontal_flip": True}, lambda x: x[:, :, ::-1]),
        ({"vertical_flip": True}, lambda x: x[:, ::-1]),
    ],
    ids=["horizontal", "vertical"],
)
def test_half_of_the_pictures_are_flipped(pictures, settings, transform):
    assert share_that(pictures, transform, **settings) == pytest.approx(0.5, abs=0.1)
    unchanged = share_that(pictures, lambda x: x, **settings)
    assert unchanged == pytest.approx(0.5, abs=0.1)


def test_preset_does_not_flip_where_told_not_to(pictures):
    exceptions = {"horizontal_flip": False, "rotation": 0, "shift": 0, "zoom": 0}
    settings = {"preset": "standard", "brightness": 0, "contrast": 0, **exceptions}
    assert make_augment(AugmentationConfig(**settings), (SIDE, SIDE, 3)) is None
    assert PRESETS["light"].horizontal_flip is False


def dot(at):
    """A white dot of three by three pixels on black."""
    picture = np.zeros((1, 33, 33, 1), np.float32)
    y, x = at
    picture[0, y - 1 : y + 2, x - 1 : x + 2] = 255
    return tf.constant(np.repeat(picture, 200, axis=0))


def places(pictures):
    """Returns where the dots are, in pixels from the centre: shape (batch, 2)."""
    weights = pictures.numpy()[..., 0]
    weights = weights / weights.sum(axis=(1, 2), keepdims=True)
    along = np.arange(33) - 16
    return np.stack(
        [(weights.sum(axis=2) * along).sum(1), (weights.sum(axis=1) * along).sum(1)], 1
    )


def test_pictures_are_shifted_as_far_as_asked():
    moved = places(augment(dot((16, 16)), shift=0.25))
    assert 7.5 < np.abs(moved).max() <= 0.25 * 33 + 0.01
    assert np.abs(moved.mean(axis=0)).max() < 1


def test_pictures_are_rotated_as_far_as_asked():
    moved = places(augment(dot((16, 26)), rotation=30))
    angles = np.degrees(np.arctan2(moved[:, 0], moved[:, 1]))
    assert 27 < np.abs(angles).max() < 31
    np.testing.assert_allclose(np.hypot(*moved.T), 10, atol=0.3)


def test_pictures_are_zoomed_as_far_as_asked():
    moved = places(augment(dot((16, 24)), zoom=0.25))[:, 1] / 8
    assert 0.74 <= moved.min() < 0.8
    assert 1.2 < moved.max() <= 1.26


def test_brightness_and_contrast_change_as_far_as_asked():
    grey = tf.fill((200, 8, 8, 1), 128.0)
    by = augment(grey, brightness=0.1).numpy()[:, 0, 0, 0] - 128
    assert 24 < np.abs(by).max() <= 25.51
    stripes = grey + tf.constant([-50.0, 50.0] * 4)[:, None]
    spread = augment(stripes, contrast=0.2).numpy().std(axis=(1, 2, 3)) / 50
    assert 0.8 <= spread.min() < 0.82
    assert 1.18 < spread.max() <= 1.2001


def test_saturation_needs_colour(pictures):
    def colour(x):
        return (tf.reduce_max(x, -1) - tf.reduce_min(x, -1)).numpy().mean((1, 2))

    many = tf.repeat(pictures, 8, axis=0)
    ratio = colour(augment(many, saturation=0.4)) / colour(many)
    assert 0.6 <= ratio.min() < 0.7
    assert 1.2 < ratio.max() < 1.41
    grey = pictures[..., :1]
    np.testing.assert_allclose(augment(grey, saturation=0.4), grey, atol=1e-3)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("share", [0.25, 1.0])
def test_share_of_the_pictures_is_compressed(pictures, channels, share):
    images = tf.repeat(pictures[..., :channels], 10, axis=0)
    varied = augment(images, jpeg=share)
    change = np.abs(varied - images).mean(axis=(1, 2, 3))
    assert (change > 0.05).mean() == pytest.approx(share, abs=0.1)
    assert change.max() < 20


def test_rectangle_is_erased_in_a_share_of_the_pictures(pictures):
    many = tf.repeat(pictures, 25, axis=0)
    changed = (np.abs(augment(many, erasing=0.5) - many) > 0.01).any(axis=-1)
    areas = changed.mean(axis=(1, 2))
    assert (areas > 0).mean() == pytest.approx(0.5, abs=0.1)
    assert areas.max() < 0.25
    for rows, columns in ((c.any(axis=1), c.any(axis=0)) for c in changed if c.any()):
        assert rows.sum() * columns.sum() <= SIDE * SIDE * 0.25


@pytest.mark.parametrize(
    "shape",
    [(30,), (8, 8), (8, 8, 2), (None, 8, 3), {"a": (3,), "b": (3,)}, None],
    ids=str,
)
def test_what_is_no_picture_is_refused(shape):
    with pytest.raises(InputError, match="augmentation: expected pictures"):
        make_augment(AugmentationConfig(preset="light"), shape)


@pytest.mark.parametrize(
    "settings", [{"zoom": 1.0}, {"shift": -0.1}, {"rotation": 181}, {"erasing": 1.1}]
)
def test_limits_of_the_settings(settings):
    with pytest.raises(pydantic.ValidationError):
        AugmentationConfig(**settings)
