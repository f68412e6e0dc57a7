# SPDX-License-Identifier: Apache-2.0
import types

import numpy as np
import pytest

from components.guarded_evaluator.config import EvaluationConfig
from components.judging import pixel_ranges
from components.judging.measuring import measure
from components.records.evaluation import CANDIDATE

IDS = np.arange(120) % 2


@pytest.fixture
def data(make_split):
    """Bright and dark pictures, as they are given: 0 to 255."""
    x = np.where(IDS, 200, 50)[:, None, None, None] * np.ones((1, 4, 4, 1))
    split = make_split("eval", x.astype(np.float32), IDS)
    return types.SimpleNamespace(
        train=split, eval=split, labels=(0, 1), label_key="label", image_key="image"
    )


def brighter_than(threshold):
    def answer(pictures):
        second = (pictures.mean(axis=(1, 2, 3)) > threshold).astype(float)
        return np.stack([1 - second, second], axis=1)

    return answer


@pytest.fixture
def find(data, make_model):
    def of(function, pixels="0..255"):
        model = make_model({CANDIDATE: function}, num_classes=2)
        config = EvaluationConfig(max_perturbed_examples=0)
        record = measure(model, data, config, 16).evaluation
        return list(pixel_ranges.explain(model, data, record, config, pixels))

    return of


def test_a_model_of_shares_that_is_given_bytes_is_noticed(find):
    (finding,) = find(brighter_than(0.5))
    assert finding.cause == "unscaled_input"
    assert finding.blocks
    assert "pixels of 0 to 1 the model is right on 120 of 120" in finding.message
    assert "on 60:" in finding.message
    assert "--pixels 0..1" in finding.remedy
    assert (finding.measured, finding.limit) == (0.5, 1.0)


def test_a_model_around_zero_is_noticed(find):
    (finding,) = find(brighter_than(0.0))
    assert "--pixels -1..1" in finding.remedy


@pytest.mark.parametrize("threshold", [125, 1000])
def test_a_model_that_is_right_or_wrong_in_any_range_is_not(find, threshold):
    assert find(brighter_than(threshold)) == []


def test_pixels_that_are_given_as_shares_are_scaled_back(find, data):
    data.eval.x /= 255
    (finding,) = find(brighter_than(125), "0..1")
    assert "--pixels 0..255" in finding.remedy
    assert find(brighter_than(0.5), "0..1") == []
