# SPDX-License-Identifier: Apache-2.0
"""A `run_fn` and a `build_model` as users of stock TFX write them."""

import keras
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.utils import io_utils
from tfx_bsl.public import tfxio

LABEL = "target"
NUM_FEATURES = 30


def build_model(context):
    normalize = keras.layers.Normalization()
    normalize.adapt(context.train_inputs)
    return keras.Sequential(
        [
            keras.Input(context.input_shape),
            normalize,
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(context.num_classes, activation="softmax"),
        ]
    )


def run_fn(fn_args: FnArgs) -> None:
    names = [f"f{i:02d}" for i in range(NUM_FEATURES)]
    spec = {name: tf.io.FixedLenFeature([1], tf.float32) for name in names}

    def assemble(features):
        return tf.concat(
            [tf.cast(features[name], tf.float32) for name in names], axis=1
        )

    schema = io_utils.parse_pbtxt_file(fn_args.schema_path, schema_pb2.Schema())
    options = tfxio.TensorFlowDatasetOptions(batch_size=32, label_key=LABEL)
    data = fn_args.data_accessor.tf_dataset_factory(
        fn_args.train_files, options, schema
    )
    data = data.map(lambda x, y: (assemble(x), tf.reshape(y, (-1,))))
    normalize = keras.layers.Normalization()
    normalize.adapt(data.map(lambda x, _: x).take(13))
    batch_norm = (fn_args.custom_config or {}).get("batch_norm")
    model = keras.Sequential(
        [
            keras.Input((NUM_FEATURES,)),
            normalize,
            keras.layers.Dense(16, activation="relu"),
            *([keras.layers.BatchNormalization(momentum=0.9)] if batch_norm else []),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(data, steps_per_epoch=13, epochs=15, verbose=0)

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serving_default",
        lambda examples: {
            "probabilities": model(
                assemble(tf.io.parse_example(examples, spec)), training=False
            )
        },
        input_signature=[tf.TensorSpec((None,), tf.string, name="examples")],
    )
    archive.write_out(fn_args.serving_model_dir, verbose=False)
