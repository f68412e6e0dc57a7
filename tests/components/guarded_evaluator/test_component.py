# SPDX-License-Identifier: Apache-2.0
import json

import pytest
from tensorflow_model_analysis.proto import config_pb2
from tfx.components import Evaluator
from tfx.components.evaluator import executor as stock
from tfx.types import channel_utils, standard_artifacts

from components import ClassWeights, GuardedEvaluator, GuardFindings
from components.guarded_evaluator.config import EvaluationConfig
from components.guarded_evaluator.executor import Executor
from components.guarded_evaluator.inputs import UPSTREAM_KEYS


def channel(artifact_type):
    return channel_utils.as_channel([artifact_type()])


@pytest.fixture
def required():
    return {
        "examples": channel(standard_artifacts.Examples),
        "model": channel(standard_artifacts.Model),
        "label_key": "species",
    }


def test_is_an_evaluator_of_tfx(required):
    component = GuardedEvaluator(**required)
    assert isinstance(component, Evaluator)
    assert issubclass(Executor, stock.Executor)
    assert component.executor_spec.executor_class is Executor
    assert component.id == "GuardedEvaluator"


def test_reads_and_writes_what_it_says(required):
    component = GuardedEvaluator(**required)
    assert sorted(component.inputs) == ["examples", "model"]
    assert {name: out.type for name, out in component.outputs.items()} == {
        "evaluation": standard_artifacts.ModelEvaluation,
        "blessing": standard_artifacts.ModelBlessing,
        "findings": GuardFindings,
    }


def test_takes_what_the_other_components_write(required):
    optional = {
        "baseline_model": standard_artifacts.Model,
        "schema": standard_artifacts.Schema,
        "model_run": standard_artifacts.ModelRun,
        "class_weights": ClassWeights,
        **dict.fromkeys(UPSTREAM_KEYS, GuardFindings),
    }
    component = GuardedEvaluator(
        **required, **{name: channel(kind) for name, kind in optional.items()}
    )
    assert set(component.inputs) == {"examples", "model", *optional}


def test_the_configuration_travels_as_one_string(required):
    config = EvaluationConfig(min_accuracy=0.9, eval_split="test")
    properties = GuardedEvaluator(**required, config=config).exec_properties
    assert EvaluationConfig.from_json(properties["config"]) == config
    assert properties["label_key"] == "species"
    # A user's own metrics are evaluated on the split that decides.
    assert json.loads(properties["example_splits"]) == ["test"]


def test_an_eval_config_of_the_users_own_is_handed_on(required):
    eval_config = config_pb2.EvalConfig(
        model_specs=[config_pb2.ModelSpec(label_key="species")]
    )
    component = GuardedEvaluator(
        **required, eval_config=eval_config, example_splits=["a", "b"]
    )
    properties = component.exec_properties
    assert json.loads(properties["eval_config"])["model_specs"] == [
        {"label_key": "species"}
    ]
    assert json.loads(properties["example_splits"]) == ["a", "b"]


@pytest.mark.parametrize("missing", ["examples", "model", "label_key"])
def test_refuses_to_be_made_without(required, missing):
    del required[missing]
    with pytest.raises(TypeError, match=missing):
        GuardedEvaluator(**required)


def test_refuses_an_artifact_of_another_type(required):
    required["model"] = channel(standard_artifacts.Examples)
    with pytest.raises(TypeError, match="model"):
        GuardedEvaluator(**required)
