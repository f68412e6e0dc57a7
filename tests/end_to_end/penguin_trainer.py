# SPDX-License-Identifier: Apache-2.0
"""A `run_fn` after TFX's penguin tutorial; `guarded_run_fn` differs by one line."""

import keras
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components.trainer.fn_args_utils import DataAccessor, FnArgs
from tfx.utils import io_utils
from tfx_bsl.public import tfxio

from components import export_guarded, fit_guarded

FEATURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")
LABEL = "species"
BATCH = 20


def input_fn(
    patterns: list[str], accessor: DataAccessor, schema: schema_pb2.Schema
) -> tf.data.Dataset:
    """Batches of (features by name, labels), without end."""
    return accessor.tf_dataset_factory(
        patterns,
        tfxio.TensorFlowDatasetOptions(batch_size=BATCH, label_key=LABEL),
        schema=schema,
    ).repeat()


def build_keras_model(rate: float) -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs = {name: keras.Input((1,), name=name) for name in FEATURES}
    hidden = keras.layers.concatenate(list(inputs.values()))
    for _ in range(2):
        hidden = keras.layers.Dense(8, activation="relu")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(3)(hidden))
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy()],
    )
    return model


def run_fn(fn_args: FnArgs) -> None:
    schema = io_utils.parse_pbtxt_file(fn_args.schema_path, schema_pb2.Schema())
    train_dataset = input_fn(fn_args.train_files, fn_args.data_accessor, schema)
    eval_dataset = input_fn(fn_args.eval_files, fn_args.data_accessor, schema)
    model = build_keras_model(fn_args.custom_config["rate"])
    model.fit(
        train_dataset,
        epochs=fn_args.custom_config["epochs"],
        steps_per_epoch=fn_args.train_steps,
        validation_data=eval_dataset,
        validation_steps=fn_args.eval_steps,
        verbose=0,
    )
    model.export(fn_args.serving_model_dir, verbose=False)


def guarded_run_fn(fn_args: FnArgs) -> None:
    schema = io_utils.parse_pbtxt_file(fn_args.schema_path, schema_pb2.Schema())
    train_dataset = input_fn(fn_args.train_files, fn_args.data_accessor, schema)
    eval_dataset = input_fn(fn_args.eval_files, fn_args.data_accessor, schema)
    model = build_keras_model(fn_args.custom_config["rate"])
    fit_guarded(
        model,
        train_dataset,
        eval_dataset,
        epochs=fn_args.custom_config["epochs"],
        steps_per_epoch=fn_args.train_steps,
        validation_steps=fn_args.eval_steps,
        log_dir=fn_args.model_run_dir,
    )
    model.export(fn_args.serving_model_dir, verbose=False)


def judged_run_fn(fn_args: FnArgs) -> None:
    """As above, and leaves the copy for judging as well."""
    guarded_run_fn(fn_args)
    served = tf.saved_model.load(fn_args.serving_model_dir)
    model = build_keras_model(fn_args.custom_config["rate"])
    for variable, trained in zip(
        model.trainable_variables, served.trainable_variables, strict=True
    ):
        variable.assign(trained)
    spec = {name: tf.io.FixedLenFeature([1], tf.float32) for name in FEATURES}
    export_guarded(
        model,
        fn_args,
        lambda serialized: tf.io.parse_example(serialized, spec),
        label_key=LABEL,
        labels=(0, 1, 2),
    )
