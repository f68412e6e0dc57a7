# SPDX-License-Identifier: Apache-2.0
import pytest
from tfx.dsl.components.base import executor_spec
from tfx.types import channel_utils, standard_artifacts

from components import GuardedTrainer
from components.artifacts import ClassWeights, GuardFindings
from components.errors import InputError
from components.guarded_trainer import user_code
from components.guarded_trainer.config import InputConfig, TrainingConfig
from components.guarded_trainer.executor import Executor


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "model.py"
    path.write_text("def build_model(context): ...\n")
    return str(path)


@pytest.fixture
def channels():
    return {
        name: channel_utils.as_channel([kind()])
        for name, kind in {
            "examples": standard_artifacts.Examples,
            "schema": standard_artifacts.Schema,
            "class_weights": ClassWeights,
        }.items()
    }


def test_types_and_properties(channels, model_file):
    inputs = InputConfig(label_key="species")
    trainer = GuardedTrainer(build_model=model_file, inputs=inputs, **channels)
    assert {name: channel.type for name, channel in trainer.outputs.items()} == {
        "model": standard_artifacts.Model,
        "model_run": standard_artifacts.ModelRun,
        "findings": GuardFindings,
    }
    assert set(trainer.inputs) == {"examples", "schema", "class_weights"}
    properties = trainer.exec_properties
    assert properties["build_model"] == model_file
    assert properties["source_sha256"] == user_code.source_digest(model_file)
    assert InputConfig.from_json(properties["inputs"]) == inputs
    assert TrainingConfig.from_json(properties["config"]) == TrainingConfig()
    assert isinstance(trainer.executor_spec, executor_spec.ExecutorClassSpec)
    assert trainer.executor_spec.executor_class is Executor


def test_class_weights_are_optional(channels, model_file):
    del channels["class_weights"]
    trainer = GuardedTrainer(
        build_model=model_file,
        inputs=InputConfig(label_key="species"),
        config=TrainingConfig(epochs=3),
        **channels,
    )
    assert set(trainer.inputs) == {"examples", "schema"}
    assert TrainingConfig.from_json(trainer.exec_properties["config"]).epochs == 3


def test_other_artifacts_are_refused(channels, model_file):
    channels["schema"] = channels["class_weights"]
    with pytest.raises(TypeError, match="schema"):
        GuardedTrainer(
            build_model=model_file, inputs=InputConfig(label_key="y"), **channels
        )


def test_missing_file_is_refused_when_the_pipeline_is_made(channels):
    with pytest.raises(InputError, match="no such file"):
        GuardedTrainer(
            build_model="nowhere.py", inputs=InputConfig(label_key="y"), **channels
        )
