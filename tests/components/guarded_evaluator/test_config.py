# SPDX-License-Identifier: Apache-2.0
import pydantic
import pytest

from components.guarded_evaluator.config import EvaluationConfig


def test_travels_as_json():
    config = EvaluationConfig(min_accuracy=0.9, max_accuracy_drop=None)
    assert EvaluationConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("confidence", 1),
        ("confidence", 0.49),
        ("max_mode_gap", -0.1),
        ("max_mode_gap", float("nan")),
        ("certain_mode_distance", 0),
        ("max_batch_distance", 1.1),
        ("max_generalization_gap", 1.1),
        ("min_leaving_share", 0.51),
        ("min_class_recall", -1),
        ("min_output_spread", float("nan")),
        ("min_output_spread", float("inf")),
        ("min_eval_examples", 0),
        ("min_accuracy", 90),
        ("max_accuracy_drop", -0.01),
        ("max_train_examples", 0),
        ("max_slices", 0),
        ("min_slice_examples", 0),
        ("max_slice_gap", 1.1),
        ("max_perturbed_examples", -1),
        ("max_flipped_share", 1.1),
        ("max_destroyed_share", 0),
        ("max_confidence_gap", -0.1),
        ("min_train_gain", 1.1),
        ("min_imbalance_ratio", 1),
        ("max_mode_gpa", 0.1),
    ],
)
def test_refuses_what_is_no_limit(field, value):
    with pytest.raises(pydantic.ValidationError, match=field):
        EvaluationConfig(**{field: value})


def test_refuses_to_judge_on_the_training_split():
    with pytest.raises(pydantic.ValidationError, match="both 'train'"):
        EvaluationConfig(eval_split="train")


def test_alpha_is_what_confidence_leaves():
    assert EvaluationConfig(confidence=0.75).alpha == 0.25
