# SPDX-License-Identifier: Apache-2.0
import io

import numpy as np
import pytest
from PIL import Image

from components.guarded_evaluator.perturbing.survey import look_at, suitable_changes


@pytest.fixture(scope="module")
def png():
    file = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(file, "PNG")
    return file.getvalue()


def changes(rows):
    return suitable_changes(look_at(row, "label") for row in rows)


def test_numbers_get_noise_and_pictures_all_the_rest(example, png):
    numbers = [example(x=[0.5 * i, 1.0], label=i) for i in range(5)]
    pictures = [example(image=png, note=b"text", label=i) for i in range(5)]
    assert list(changes(numbers)) == ["noise"]
    found = changes(pictures)
    assert "noise" not in found
    assert {"brightness_up", "jpeg", "shift"} <= set(found)
    assert found["jpeg"].keywords["image_key"] == "image"


@pytest.mark.parametrize(("damaged", "found"), [(2, True), (3, False)])
def test_pictures_are_found_though_some_are_damaged(example, png, damaged, found):
    rows = [example(image=png) for _ in range(5 - damaged)]
    rows += [example(image=b"%d" % i) for i in range(damaged)]
    assert bool(changes(rows)) is found


def test_the_label_codes_and_texts_are_left_alone(example):
    rows = [example(label=0.5 * i, code=float(i), text=b"a") for i in range(5)]
    assert changes(rows) == {}


def test_of_no_examples_nothing_is_known():
    assert changes([]) == {}


def test_the_order_does_not_matter(example):
    rng = np.random.default_rng(0)
    rows = [example(x=rng.normal(size=3).tolist()) for _ in range(50)]
    row = rows[7]
    made = {changes(rng.permutation(rows).tolist())["noise"](row) for _ in range(5)}
    assert len(made) == 1
