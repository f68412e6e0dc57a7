# SPDX-License-Identifier: Apache-2.0
"""The digits demo as a user of stock TFX would write it, without any guard.

The same data, model, epochs and batch size as `pipeline/scenarios/digits`.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from tensorflow_model_analysis.proto import config_pb2
from tfx.components import (
    Evaluator,
    ExampleValidator,
    ImportExampleGen,
    Pusher,
    SchemaGen,
    StatisticsGen,
    Trainer,
)
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.orchestration import metadata
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.proto import example_gen_pb2, pusher_pb2, trainer_pb2

from components.guarded_trainer.context import ModelContext
from pipeline.scenarios.digits.model import build_model

EPOCHS = 25
BATCH_SIZE = 32
SPEC = {
    "image": tf.io.FixedLenFeature([], tf.string),
    "label": tf.io.FixedLenFeature([], tf.int64),
}


def parse(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    parsed = tf.io.parse_example(serialized, SPEC)
    pixels = tf.map_fn(
        lambda png: tf.cast(
            tf.ensure_shape(tf.io.decode_png(png, 1), (8, 8, 1)), tf.float32
        ),
        parsed["image"],
        fn_output_signature=tf.TensorSpec((8, 8, 1), tf.float32),
    )
    return pixels, parsed["label"]


def read(patterns: list[str]) -> tf.data.Dataset:
    files = [file for pattern in patterns for file in tf.io.gfile.glob(pattern)]
    rows = tf.data.TFRecordDataset(files, "GZIP").batch(512).map(parse).unbatch()
    return rows.cache()


def run_fn(fn_args: FnArgs) -> None:
    train, held_out = read(fn_args.train_files), read(fn_args.eval_files)
    names = tuple("0123456789")
    model = build_model(ModelContext((8, 8, 1), (), names, 0, {}, train))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        train.shuffle(2000).batch(BATCH_SIZE).prefetch(tf.data.AUTOTUNE),
        validation_data=held_out.batch(256),
        epochs=EPOCHS,
        callbacks=[keras.callbacks.TensorBoard(fn_args.model_run_dir)],
        verbose=0,
    )
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serving_default",
        lambda examples: {"probabilities": model(parse(examples)[0], training=False)},
        input_signature=[tf.TensorSpec((None,), tf.string, name="examples")],
    )
    archive.write_out(fn_args.serving_model_dir, verbose=False)


def main(data: Path, output: Path) -> None:
    split = example_gen_pb2.SplitConfig.Split
    examples = ImportExampleGen(
        input_base=str(data),
        output_config=example_gen_pb2.Output(
            split_config=example_gen_pb2.SplitConfig(
                splits=[
                    split(name="train", hash_buckets=800),
                    split(name="eval", hash_buckets=200),
                ]
            )
        ),
    )
    statistics = StatisticsGen(examples=examples.outputs["examples"])
    schema = SchemaGen(statistics=statistics.outputs["statistics"])
    validator = ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    trainer = Trainer(
        run_fn="stock_pipeline.run_fn",
        examples=examples.outputs["examples"],
        train_args=trainer_pb2.TrainArgs(num_steps=1),
        eval_args=trainer_pb2.EvalArgs(num_steps=1),
    )
    threshold = config_pb2.MetricThreshold(
        value_threshold=config_pb2.GenericValueThreshold(lower_bound={"value": 0.5})
    )
    evaluator = Evaluator(
        examples=examples.outputs["examples"],
        model=trainer.outputs["model"],
        eval_config=config_pb2.EvalConfig(
            model_specs=[config_pb2.ModelSpec(label_key="label")],
            slicing_specs=[config_pb2.SlicingSpec()],
            metrics_specs=[
                config_pb2.MetricsSpec(
                    metrics=[
                        config_pb2.MetricConfig(
                            class_name="SparseCategoricalAccuracy", threshold=threshold
                        )
                    ]
                )
            ],
        ),
    )
    pusher = Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(
            filesystem={"base_directory": str(output / "serving")}
        ),
    )
    LocalDagRunner().run(
        tfx_pipeline.Pipeline(
            pipeline_name="digits",
            pipeline_root=str(output / "artifacts"),
            metadata_connection_config=metadata.sqlite_metadata_connection_config(
                str(output / "metadata.sqlite")
            ),
            components=[
                examples,
                statistics,
                schema,
                validator,
                trainer,
                evaluator,
                pusher,
            ],
            # As the guarded pipeline has it: no packing of TFX for remote workers.
            beam_pipeline_args=["--runner=FnApiRunner", "--sdk_container_image=none"],
        )
    )
    if not list((output / "serving").glob("*/saved_model.pb")):
        raise RuntimeError("the stock pipeline pushed nothing: there is no comparison")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(Path(sys.argv[1]), Path(sys.argv[2]))
