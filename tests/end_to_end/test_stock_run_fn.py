# SPDX-License-Identifier: Apache-2.0
"""A stock TFX pipeline with its own `run_fn` gets the safeguards by one line."""

import inspect
import math
import sys
from pathlib import Path

import pytest
from sklearn.datasets import load_iris

from components.records.training import TRAINING_RECORD_FILE, TrainingRecord

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("penguin")
    (folder / "data").mkdir()
    frame = load_iris(as_frame=True).frame
    frame.columns = [
        "sepal_length",
        "sepal_width",
        "petal_length",
        "petal_width",
        "species",
    ]
    frame.to_csv(folder / "data" / "iris.csv", index=False)
    sys.path.insert(0, str(Path(__file__).parent))
    yield folder
    sys.path.remove(str(Path(__file__).parent))


@pytest.fixture
def run(folder):
    """Runs CsvExampleGen, StatisticsGen, SchemaGen and a Trainer; returns its outputs.

    What ran before with equal inputs comes from the cache.
    """

    def run(make_trainer):
        from tfx.components import CsvExampleGen, SchemaGen, StatisticsGen
        from tfx.orchestration import metadata, pipeline
        from tfx.orchestration.local.local_dag_runner import LocalDagRunner

        examples = CsvExampleGen(input_base=str(folder / "data"))
        statistics = StatisticsGen(examples=examples.outputs["examples"])
        schema = SchemaGen(
            statistics=statistics.outputs["statistics"], infer_feature_shape=True
        )
        trainer = make_trainer(
            examples=examples.outputs["examples"], schema=schema.outputs["schema"]
        )
        database = str(folder / "metadata.sqlite")
        LocalDagRunner().run(
            pipeline.Pipeline(
                pipeline_name="penguin",
                pipeline_root=str(folder / "root"),
                metadata_connection_config=metadata.sqlite_metadata_connection_config(
                    database
                ),
                components=[examples, statistics, schema, trainer],
                enable_cache=True,
                beam_pipeline_args=[
                    "--runner=FnApiRunner",
                    "--sdk_container_image=none",
                ],
            )
        )
        outputs = {}
        for key in trainer.outputs:
            found = (folder / "root" / trainer.id / key).iterdir()
            outputs[key] = max(found, key=lambda path: int(path.name))
        return outputs

    return run


def stock_trainer(function, rate=0.02):
    """TFX's own Trainer."""

    def make(**channels):
        from tfx.components import Trainer
        from tfx.proto import trainer_pb2

        return Trainer(
            run_fn=f"penguin_trainer.{function}",
            train_args=trainer_pb2.TrainArgs(num_steps=5),
            eval_args=trainer_pb2.EvalArgs(num_steps=2),
            custom_config={"rate": rate, "epochs": 15},
            **channels,
        )

    return make


def record_of(outputs):
    path = outputs["model_run"] / TRAINING_RECORD_FILE
    return TrainingRecord.from_json(path.read_text()) if path.exists() else None


def test_the_functions_differ_by_one_line():
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        import penguin_trainer
    finally:
        sys.path.remove(str(Path(__file__).parent))
    plain = inspect.getsource(penguin_trainer.run_fn).splitlines()[1:]
    guarded = inspect.getsource(penguin_trainer.guarded_run_fn).splitlines()[1:]
    # The call, whose arguments stay but for `eval`, which `fit` calls
    # `validation_data`, and the folder for the record.
    assert [line for line in plain if line not in guarded] == [
        "    model.fit(",
        "        validation_data=eval_dataset,",
        "        verbose=0,",
    ]


def test_with_and_without_the_line(run):
    plain = run(stock_trainer("run_fn"))
    assert record_of(plain) is None
    guarded = run(stock_trainer("guarded_run_fn"))
    record = record_of(guarded)
    assert record.passed, record.verdict
    assert record.steps_per_epoch == 5
    assert (record.batch_size, record.num_held_out) == (20, 40)
    assert record.epochs[-1].held_out_accuracy > 0.8
    assert list((guarded["model_run"] / "logs").rglob("events.*"))
    for outputs in (plain, guarded):
        assert (outputs["model"] / "Format-Serving" / "saved_model.pb").is_file()


def test_a_training_that_nan_destroys_is_stopped_or_repaired(run):
    guarded = run(stock_trainer("guarded_run_fn", rate=1e30))
    record = record_of(guarded)
    assert record.remedies or not record.passed
    assert not all(math.isfinite(epoch.loss or 0.0) for epoch in record.epochs)
    import tensorflow as tf

    model = tf.saved_model.load(str(guarded["model"] / "Format-Serving"))
    for variable in model.variables:
        assert bool(tf.reduce_all(tf.math.is_finite(variable)))


def test_in_the_guarded_trainer_with_a_copy_for_judging(run):
    def make(**channels):
        from components import GuardedTrainer

        return GuardedTrainer(
            run_fn="penguin_trainer:judged_run_fn",
            train_steps=5,
            eval_steps=2,
            custom_config={"rate": 0.02, "epochs": 15},
            **channels,
        )

    outputs = run(make)
    record = record_of(outputs)
    assert record.passed, record.verdict
    assert record.export_max_difference < 1e-5
    assert (outputs["model"] / "Format-TFMA" / "saved_model.pb").is_file()
    assert (outputs["findings"] / "findings.json").is_file()
