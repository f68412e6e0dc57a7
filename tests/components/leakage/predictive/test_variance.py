# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from sklearn.datasets import load_digits, load_sample_images

from components.causes import Severity
from components.leakage.predictive.variance import (
    MIN_DEVIATION,
    PictureSums,
    add_picture,
    class_share,
    deviation_of,
    judge_variance,
    merge,
    reduce_picture,
)


def sums_of(pictures, labels):
    found = {}
    for picture, label in zip(pictures, labels, strict=True):
        add_picture(found.setdefault(str(label), PictureSums()), np.asarray(picture))
    return found


def found_in(pictures, labels):
    return [
        (finding.subject.class_name, finding.unit)
        for finding in judge_variance(sums_of(pictures, labels), "train")
    ]


@pytest.fixture(scope="module")
def digits():
    images, target = load_digits(return_X_y=True)
    pictures = (images.reshape(-1, 8, 8) * 15).astype(np.uint8)
    return pictures.repeat(4, axis=1).repeat(4, axis=2), target


@pytest.fixture(scope="module")
def tiles():
    """1200 pieces of two photos, 32 x 32 pixels, and which photo each is of."""
    rng = np.random.default_rng(0)
    photos = load_sample_images().images
    labels = rng.integers(0, 2, 1200)
    pieces = []
    for label in labels:
        row, column = rng.integers(0, 380), rng.integers(0, 590)
        pieces.append(photos[label][row : row + 32, column : column + 32])
    return np.array(pieces), labels


@pytest.fixture(scope="module")
def noise():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (600, 32, 32, 3), dtype=np.uint8)


def test_real_pictures_pass(digits, tiles):
    assert found_in(*digits) == []
    assert found_in(*tiles) == []


def test_random_noise_differs(noise):
    assert found_in(noise, np.arange(600) % 2) == []


@pytest.mark.parametrize("count", [3, 50])
def test_copies_of_one_picture_hardly_differ(tiles, count):
    pictures = [tiles[0][0]] * count
    (finding,) = judge_variance(sums_of(pictures, np.arange(count) % 2), "train")
    assert (finding.cause, finding.severity) == ("low_variance", Severity.WARN)
    assert (finding.measured, finding.limit) == (0, MIN_DEVIATION)
    assert finding.subject.split == "train"


def test_noise_of_a_sensor_is_no_variety(tiles):
    rng = np.random.default_rng(0)
    shots = [tiles[0][0] + rng.normal(0, 3, (32, 32, 3)) for _ in range(50)]
    shots = np.clip(shots, 0, 255).astype(np.uint8)
    assert len(found_in(shots, [0] * 50)) == 1


@pytest.mark.parametrize(("grey", "is_low"), [(5, True), (6, False)])
def test_limit_is_one_percent_of_the_grey_range(grey, is_low):
    pictures = [np.full((16, 16), 100 + grey * (n % 2), np.uint8) for n in range(10)]
    assert bool(found_in(pictures, [0] * 10)) is is_low


def test_class_of_copies_is_named(tiles):
    pictures = np.concatenate([tiles[0][:100], tiles[0][:1].repeat(60, axis=0)])
    labels = [0] * 100 + [1] * 60
    assert found_in(pictures, labels) == [("1", "share of the grey range")]


def test_labels_drawn_by_lot_get_a_hint(tiles):
    labels = np.random.default_rng(2).permutation(tiles[1])
    sums = sums_of(tiles[0], labels)
    (finding,) = judge_variance(sums, "train")
    assert finding.unit == "share of variance"
    assert "hint only" in finding.message
    assert finding.severity is Severity.WARN


def test_few_pictures_get_no_hint(tiles):
    labels = np.random.default_rng(0).permutation(tiles[1])[:900]
    assert found_in(tiles[0][:900], labels) == []


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_pictures_tell_nothing(count):
    assert found_in([np.zeros((32, 32, 3), np.uint8)] * count, [0] * count) == []


def test_measures_are_those_of_numpy(noise):
    labels = np.arange(600) % 3
    sums = sums_of(noise, labels)
    reduced = np.array([reduce_picture(picture) for picture in noise], float)
    spread = np.sqrt(reduced.var(axis=0).mean()) / 765
    assert deviation_of(merge(sums.values())) == pytest.approx(spread)
    within = sum(reduced[labels == k].var(axis=0).sum() * 200 for k in range(3))
    total = reduced.var(axis=0).sum() * 600
    expected = (total - within - 2 * within / 597) / (total + within / 597)
    assert class_share(sums) == pytest.approx(expected)


def test_one_picture_per_class_explains_nothing(noise):
    assert class_share(sums_of(noise[:3], range(3))) == 0
    assert class_share({}) == 0
    assert deviation_of(PictureSums()) == 0


def test_reduction_is_a_mean_of_blocks():
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:2, :2] = 255
    assert reduce_picture(picture)[0, 0] == 765
    assert reduce_picture(picture).sum() == 765
    assert reduce_picture(np.full((16, 16), 7, np.uint8)).tolist() == [[21] * 16] * 16


@pytest.mark.parametrize("shape", [(30, 32), (32, 8, 3), (0, 0)])
def test_picture_of_another_size_is_refused(shape):
    with pytest.raises(ValueError, match="multiples of 16"):
        reduce_picture(np.zeros(shape, np.uint8))
