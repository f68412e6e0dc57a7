# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest


@pytest.fixture(scope="session")
def schema():
    """Parses a schema in text format."""
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    return lambda text: text_format.Parse(text, schema_pb2.Schema())


@dataclasses.dataclass(frozen=True)
class Rows:
    """Examples of two features, `x` (two floats) and `n` (an integer), and a label.

    Class k lies around (3k, -3k); `n` is a running number. Sorted by class.
    """

    serialized: tuple[bytes, ...]
    inputs: np.ndarray  # float32, shape (rows, 3): n, x[0], x[1]
    class_ids: np.ndarray


@pytest.fixture(scope="session")
def rows(example):
    """Makes rows of some classes, so many of each."""

    def make(*counts, spread=1.0, seed=0, labels=None):
        random = np.random.default_rng(seed)
        class_ids = np.repeat(np.arange(len(counts)), counts)
        center = np.stack([3.0 * class_ids, -3.0 * class_ids], axis=1)
        x = (center + spread * random.normal(size=center.shape)).astype(np.float32)
        n = np.arange(len(class_ids))
        return Rows(
            serialized=tuple(
                example(
                    x=[float(v) for v in x[i]],
                    n=int(n[i]),
                    label=labels[k] if labels else int(k),
                )
                for i, k in enumerate(class_ids)
            ),
            inputs=np.column_stack([n, x]).astype(np.float32),
            class_ids=class_ids,
        )

    return make


@pytest.fixture(scope="session")
def model_inputs():
    """What `rows` give a model: `n`, then `x`."""
    import tensorflow as tf

    from components.guarded_trainer.inputs import ModelInputs

    return ModelInputs({"n": 1, "x": 2}, {"n": tf.int64, "x": tf.float32}, None)


@pytest.fixture(scope="session")
def class_table():
    """Makes the class table of labels."""
    from components.labels import ClassTable

    def make(*labels, counts=None, weights=None):
        return ClassTable(
            label_key="label",
            labels=labels,
            train_counts=tuple(counts or [1] * len(labels)),
            weights=tuple(weights or [1.0] * len(labels)),
        )

    return make


@pytest.fixture(scope="session")
def split(model_inputs, class_table):
    """Makes the checked training split of serialized rows."""
    import tensorflow as tf

    from components.guarded_trainer.reading.tfrecords import check_split

    def make(serialized, classes=None, held_out_share=0.0, min_held_out=1):
        return check_split(
            tf.data.Dataset.from_tensor_slices(tf.constant(serialized, tf.string)),
            model_inputs,
            classes or class_table(0, 1),
            held_out_share,
            min_held_out,
        )

    return make


@pytest.fixture(autouse=True)
def _small_state():
    """Lets tests set the precision without telling the next one."""
    import sys

    yield
    if keras := sys.modules.get("keras"):
        keras.config.set_dtype_policy("float32")
