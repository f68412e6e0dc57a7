# SPDX-License-Identifier: Apache-2.0
import io
import pickle

import numpy as np
import pytest
from PIL import Image
from tensorflow.core.example import example_pb2

from components.guarded_evaluator.perturbing.changes import CHANGE_NAMES, make_changes
from components.guarded_evaluator.perturbing.noise import Scale

SCALE = Scale(np.ones(1), -9 * np.ones(1), 9 * np.ones(1))


@pytest.fixture(scope="module")
def png():
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def values(serialized, name):
    feature = example_pb2.Example.FromString(serialized).features.feature[name]
    return list(getattr(feature, feature.WhichOneof("kind")).value)


def test_names_are_those_that_may_be_made():
    made = make_changes("image", {"x": SCALE})
    assert tuple(made) == CHANGE_NAMES
    assert make_changes(None, {}) == {}
    assert list(make_changes(None, {"x": SCALE})) == ["noise"]


def test_only_what_is_to_be_changed_is_changed(example, png):
    row = example(image=png, x=[1.5, 2.5], n=3, label=b"a", y=0.5)
    for name, change in make_changes("image", {"x": SCALE}).items():
        changed = change(row)
        assert changed != row
        assert change(row) == changed
        assert pickle.loads(pickle.dumps(change))(row) == changed
        assert (values(changed, "image") == [png]) == (name == "noise")
        assert (values(changed, "x") == [1.5, 2.5]) == (name != "noise")
        for other in ("n", "label", "y"):
            assert values(changed, other) == values(row, other)


def test_equal_numbers_of_two_features_are_moved_apart(example):
    row = example(**{f"x{i}": 1.5 for i in range(32)})
    change = make_changes(None, {f"x{i}": SCALE for i in range(32)})["noise"]
    changed = change(row)
    assert len({values(changed, f"x{i}")[0] for i in range(32)}) == 2


def test_no_change_applies_to_absent_features(example):
    row = example(label=1)
    for change in make_changes("image", {"x": SCALE}).values():
        assert change(row) is None


def test_a_damaged_picture_is_not_changed(example, png):
    row = example(image=png[:50], x=1.5)
    changes = make_changes("image", {"x": SCALE})
    assert [n for n, change in changes.items() if change(row)] == ["noise"]


def test_all_pictures_of_an_example_are_changed_or_none(example, png):
    change = make_changes("image", {})["contrast"]
    both = values(change(example(image=[png, png])), "image")
    assert both[0] == both[1] != png
    assert change(example(image=[png, b"damaged"])) is None
