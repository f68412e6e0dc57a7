# SPDX-License-Identifier: Apache-2.0
import pytest


@pytest.fixture(scope="session")
def example():
    """Makes a serialized tf.train.Example of values by feature name.

    Values are bytes, int or float, one or a list.
    """
    # Here, so that tests of pure modules do not load TensorFlow.
    from tensorflow.core.example import example_pb2

    fields = {bytes: "bytes_list", int: "int64_list", float: "float_list"}

    def make(**features):
        example = example_pb2.Example()
        for name, values in features.items():
            values = values if isinstance(values, list) else [values]
            feature = example.features.feature[name]
            getattr(feature, fields[type(values[0])]).value.extend(values)
        # Else the order of the features, and so the hash, differs between processes.
        return example.SerializeToString(deterministic=True)

    return make


@pytest.fixture(scope="session")
def write_examples():
    """Writes an Examples artifact of serialized examples by split."""
    import tensorflow as tf
    from tfx.types import standard_artifacts

    def write(folder, splits, span=0):
        examples = standard_artifacts.Examples()
        examples.uri = str(folder)
        examples.splits = list(splits)
        examples.span = span
        examples.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")
        examples.set_string_custom_property("file_format", "tfrecords_gzip")
        for split, records in splits.items():
            (folder / f"Split-{split}").mkdir(parents=True)
            path = folder / f"Split-{split}" / "data_tfrecord-00000-of-00001.gz"
            with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
                for record in records:
                    writer.write(record)
        return examples

    return write
