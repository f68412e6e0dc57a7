# SPDX-License-Identifier: Apache-2.0
import pytest
from tfx.dsl.components.base import executor_spec
from tfx.types import channel_utils, standard_artifacts

from components import GuardedTrainer
from components.artifacts import ClassWeights, GuardFindings
from components.errors import InputError
from components.guarded_trainer.config import InputConfig, TrainingConfig
from components.guarded_trainer.executor import Executor
from components.guarded_trainer.transfer.settings import TransferConfig
from components.guarded_trainer.user_code import references


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
    assert properties["source_sha256"] == references.source_digest(model_file)
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


def test_run_fn_and_transfer_take_the_place_of_build_model(channels, model_file):
    del channels["class_weights"]
    trainer = GuardedTrainer(
        run_fn=model_file, train_steps=5, custom_config={"a": 1}, **channels
    )
    properties = trainer.exec_properties
    assert (properties["run_fn"], properties["build_model"]) == (model_file, "")
    assert properties["source_sha256"] == references.source_digest(model_file)
    assert '"train_steps": 5' in properties["run_fn_args"]
    transfer = TransferConfig(backbone="MobileNet", weights="none")
    trainer = GuardedTrainer(
        transfer=transfer, inputs=InputConfig(label_key="y"), **channels
    )
    properties = trainer.exec_properties
    assert TransferConfig.from_json(properties["transfer"]) == transfer
    assert properties["source_sha256"] == properties["run_fn_args"] == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param({}, "exactly one of .* but got none", id="none"),
        pytest.param(
            {"build_model": "a.py", "run_fn": "b.py"},
            "but got build_model and run_fn",
            id="both",
        ),
        pytest.param(
            {"build_model": "a.py"}, "expected `inputs`, but got", id="inputs"
        ),
        pytest.param(
            {"run_fn": "a.py", "config": TrainingConfig()},
            "no config with `run_fn`",
            id="config",
        ),
        pytest.param(
            {
                "transfer": TransferConfig(backbone="MobileNets"),
                "inputs": InputConfig(label_key="y"),
            },
            "MobileNet",
            id="backbone",
        ),
    ],
)
def test_other_combinations_are_refused(channels, arguments, message):
    del channels["class_weights"]
    with pytest.raises(InputError, match=message):
        GuardedTrainer(**channels, **arguments)
